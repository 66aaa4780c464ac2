//! The section `alerts` of a configuration.
//!
//! ```toml
//! [alerts]
//! defaults = true                        # the rules of `Rule::defaults`; one of the same name takes its place
//!
//! [[alerts.rules]]
//! name = "majors late"                   # by default the name of the check
//! check = "freshness"                    # quality, freshness, gaps, fetch, disk-free, disk-used, checksum
//! level = "HIGH"                         # CRITICAL, HIGH, MEDIUM, LOW
//! series = ["*.BINANCE 1m"]              # instruments and frames; by default what [[fetch]] keeps current
//! above = "5m"                           # or below, as the check has it: "95 %", 0.95, "10 GB", "5m", 3
//! clear = "2m"                           # resolved from here on
//! for = "10m"                            # bad for so long before it fires
//! clear_for = "5m"                       # good for so long before it is resolved
//! repeat = "4h"                          # or "never"
//! within = "7d"                          # gaps: how far back; "all": to the beginning
//! every = "1d"                           # checksum: how often the store is verified
//! deep = false                           # checksum: every byte is decoded
//! sinks = ["chat"]                       # by default all
//!
//! [alerts.sinks.journal]
//! kind = "log"
//! path = "alerts.jsonl"                  # beside this file unless absolute
//!
//! [alerts.sinks.chat]
//! kind = "webhook"
//! url_env = "CHAT_WEBHOOK"               # or url = "https://…", if it holds no secret
//! keys = [{ header = "Authorization", env = "CHAT_TOKEN" }]
//! timeout = "10s"                        # of one attempt
//! attempts = 4
//! level = "MEDIUM"                       # the lowest that it is told of
//!
//! [alerts.sinks.pager]
//! kind = "command"
//! command = ["/usr/local/bin/page", "--urgent"]      # gets JSON on its standard input; no shell
//! timeout = "30s"
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tapestore_catalog::file::{Node, Reader, Value, mistake};
use tapestore_catalog::span;
use tapestore_fetch::config::{Section, secret};

use crate::error::{Error, Result};
use crate::rule::{Check, Level, Pattern, Rule, Unit};
use crate::sink::{Kind, Sink, Url};

/// What is watched, and who is told.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// Rules, their names different.
    pub rules: Vec<Rule>,
    /// Sinks by name.
    pub sinks: BTreeMap<String, Sink>,
}

impl Default for Alerts {
    /// The rules that hold without a configuration, and nobody who is told.
    fn default() -> Self {
        Self { rules: Rule::defaults(), sinks: BTreeMap::new() }
    }
}

const TOP: [&str; 3] = ["defaults", "rules", "sinks"];
const RULE: [&str; 14] = [
    "name",
    "check",
    "level",
    "series",
    "below",
    "above",
    "clear",
    "for",
    "clear_for",
    "repeat",
    "within",
    "every",
    "deep",
    "sinks",
];

type Members<'n> = &'n [(String, usize, Node)];

fn member<'n>(members: Members<'n>, name: &str) -> Option<&'n Node> {
    members.iter().find(|member| member.0 == name).map(|member| &member.2)
}

struct Reading<'a> {
    reader: Reader<'a>,
    folder: &'a Path,
}

impl Alerts {
    /// Reads the section; keys are read from the environment and from files.
    ///
    /// # Errors
    /// [`Error::Usage`] names file and line of the first mistake, and the fix.
    pub fn read(section: &Section) -> Result<Self> {
        let reading = Reading { reader: Reader { file: &section.file }, folder: &section.folder };
        reading.alerts(&section.node).map_err(|error| match error {
            Error::Store(error) => Error::Usage(error.to_string()),
            error @ Error::Usage(_) => error,
        })
    }
}

impl Reading<'_> {
    fn wrong(&self, line: usize, what: &str) -> Error {
        mistake(self.reader.file, line, what).into()
    }

    fn text(&self, members: Members<'_>, name: &str) -> Result<Option<String>> {
        Ok(member(members, name).map(|node| self.reader.text(node, name)).transpose()?)
    }

    fn yes(&self, members: Members<'_>, name: &str) -> Result<Option<bool>> {
        let Some(node) = member(members, name) else { return Ok(None) };
        match node.value {
            Value::Bool(yes) => Ok(Some(yes)),
            _ => Err(self.reader.expected(node, name, "true or false").into()),
        }
    }

    /// A span of time; `other` is a word that stands for none.
    fn span(&self, members: Members<'_>, name: &str, other: &str) -> Result<Option<i64>> {
        let Some(node) = member(members, name) else { return Ok(None) };
        let text = self.reader.text(node, name)?;
        if text == other {
            return Ok(Some(0));
        }
        let or = if other.is_empty() { String::new() } else { format!(", or {other:?}") };
        let parsed = span::parse(&text);
        let wrong = || self.wrong(node.line, &format!("{name}: {text:?} is no span of time; write 10m{or}"));
        parsed.map(Some).ok_or_else(wrong)
    }

    fn level(&self, members: Members<'_>) -> Result<Option<Level>> {
        let Some(node) = member(members, "level") else { return Ok(None) };
        let text = self.reader.text(node, "level")?;
        let wrong =
            || self.wrong(node.line, &format!("{text:?} is no level; write CRITICAL, HIGH, MEDIUM or LOW"));
        Level::parse(&text).map(Some).ok_or_else(wrong)
    }

    fn alerts(&self, root: &Node) -> Result<Alerts> {
        let members = self.reader.fields(root, "alerts", &TOP)?;
        let mut sinks = BTreeMap::new();
        if let Some(node) = member(members, "sinks") {
            for (name, line, node) in self.reader.map(node, "sinks")? {
                if name.is_empty() || name.contains(',') {
                    return Err(self.wrong(*line, "a sink has a name, without commas"));
                }
                sinks.insert(name.clone(), self.sink(node)?);
            }
        }
        let mut rules: Vec<Rule> = Vec::new();
        if let Some(list) = member(members, "rules") {
            for node in self.reader.list(list, "rules")? {
                let rule = self.rule(node, &sinks)?;
                if rules.iter().any(|known| known.name == rule.name) {
                    let text = format!("there are two rules {:?}; give them different names", rule.name);
                    return Err(self.wrong(node.line, &text));
                }
                rules.push(rule);
            }
        }
        if self.yes(members, "defaults")?.unwrap_or(true) {
            let more = Rule::defaults().into_iter();
            let more: Vec<Rule> =
                more.filter(|rule| rules.iter().all(|known| known.name != rule.name)).collect();
            rules.extend(more);
        }
        Ok(Alerts { rules, sinks })
    }

    fn rule(&self, node: &Node, sinks: &BTreeMap<String, Sink>) -> Result<Rule> {
        let members = self.reader.fields(node, "a rule", &RULE)?;
        let line = members.first().map_or(node.line, |member| member.1);
        let checks = Check::ALL.map(Check::name).join(", ");
        let name = self.text(members, "check")?;
        let name = name
            .ok_or_else(|| self.wrong(line, &format!("a rule needs the field \"check\": one of {checks}")))?;
        let check = Check::parse(&name).ok_or_else(|| {
            self.wrong(line, &format!("there is no check {name:?}; the checks are {checks}"))
        })?;
        let mut rule = Rule::of(check);
        if let Some(name) = self.text(members, "name")? {
            if name.is_empty() || name.contains('\0') {
                return Err(self.wrong(line, "a rule needs a name that is not empty"));
            }
            rule.name = name;
        }
        rule.level = self.level(members)?.unwrap_or(rule.level);
        self.thresholds(line, members, &mut rule)?;
        if let Some(node) = member(members, "series") {
            if !check.is_of_series() {
                let text = format!("{} is of the store, not of series", check.name());
                return Err(self.wrong(node.line, &text));
            }
            rule.series = self.reader.texts(node, "series")?.iter().map(|text| Pattern::new(text)).collect();
        }
        rule.spans.hold_ns = self.span(members, "for", "")?.unwrap_or(rule.spans.hold_ns);
        rule.spans.clear_ns = self.span(members, "clear_for", "")?.unwrap_or(rule.spans.clear_ns);
        rule.spans.repeat_ns = self.span(members, "repeat", "never")?.unwrap_or(rule.spans.repeat_ns);
        let only = |name: &str, of: &[Check]| match member(members, name) {
            Some(node) if !of.contains(&check) => {
                let of = of.iter().map(|check| check.name()).collect::<Vec<_>>().join(" and ");
                Err(self.wrong(node.line, &format!("{name:?} is for {of} only")))
            }
            _ => Ok(()),
        };
        only("within", &[Check::Gaps])?;
        only("every", &[Check::Checksum])?;
        only("deep", &[Check::Checksum])?;
        if let Some(within) = self.span(members, "within", "all")? {
            rule.within_ns = (within > 0).then_some(within);
        }
        rule.every_ns = self.span(members, "every", "")?.unwrap_or(rule.every_ns);
        rule.deep = self.yes(members, "deep")?.unwrap_or(false);
        if let Some(node) = member(members, "sinks") {
            let names = self.reader.texts(node, "sinks")?;
            if let Some(unknown) = names.iter().find(|name| !sinks.contains_key(*name)) {
                let known = sinks.keys().cloned().collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "none is declared".to_owned() } else { known };
                let text = format!("there is no sink {unknown:?}; sinks: {known}");
                return Err(self.wrong(node.line, &text));
            }
            rule.sinks = Some(names);
        }
        Ok(rule)
    }

    fn thresholds(&self, line: usize, members: Members<'_>, rule: &mut Rule) -> Result<()> {
        let (own, other) = if rule.check.is_bad_below() { ("below", "above") } else { ("above", "below") };
        if let Some(node) = member(members, other) {
            let text = format!("{} is bad {own} a value; write {own} instead of {other}", rule.check.name());
            return Err(self.wrong(node.line, &text));
        }
        if let Some(node) = member(members, own) {
            rule.limit = self.value(node, own, rule.check)?;
            rule.clear = rule.limit;
        }
        if let Some(node) = member(members, "clear") {
            rule.clear = self.value(node, "clear", rule.check)?;
        }
        let sound =
            if rule.check.is_bad_below() { rule.clear >= rule.limit } else { rule.clear <= rule.limit };
        if sound {
            return Ok(());
        }
        let line = member(members, "clear").map_or(line, |node| node.line);
        let (limit, clear) = (rule.check.show(rule.limit), rule.check.show(rule.clear));
        Err(self.wrong(line, &format!("{clear} is still bad, {own} {limit}; clear lies on the other side")))
    }

    /// A value in the unit of a check.
    fn value(&self, node: &Node, name: &str, check: Check) -> Result<f64> {
        let number = match &node.value {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        };
        let text = match &node.value {
            Value::Text(text) => text.trim(),
            _ => "",
        };
        let (value, example) = match check.unit() {
            Unit::Share => {
                let percent = text.strip_suffix('%').and_then(|text| text.trim().parse::<f64>().ok());
                (number.or(percent.map(|percent| percent / 100.0)), "0.95 or \"95 %\"")
            }
            Unit::Span => (span::parse(text).map(|span| span as f64), "\"5m\""),
            Unit::Bytes => (number.or_else(|| size(text)), "\"10 GB\""),
            Unit::Count => (number.filter(|number| number.fract() == 0.0), "3"),
        };
        let most = if check.unit() == Unit::Share { 1.0 } else { f64::MAX };
        value.filter(|value| (0.0..=most).contains(value)).ok_or_else(|| {
            let text = format!("{name} of {} is no such value; write {example}", check.name());
            self.wrong(node.line, &text)
        })
    }

    fn sink(&self, node: &Node) -> Result<Sink> {
        let members = self.reader.map(node, "a sink")?;
        let line = members.first().map_or(node.line, |member| member.1);
        let kind = self.text(members, "kind")?;
        let known: &[&str] = match kind.as_deref() {
            Some("log") => &["kind", "level", "path"],
            Some("webhook") => &["kind", "level", "url", "url_env", "keys", "timeout", "attempts"],
            Some("command") => &["kind", "level", "command", "timeout"],
            _ => return Err(self.wrong(line, "a sink needs the field \"kind\": log, webhook or command")),
        };
        let members = self.reader.fields(node, "a sink of this kind", known)?;
        let default_s = if kind.as_deref() == Some("command") { 30 } else { 10 };
        let timeout = self.span(members, "timeout", "")?.filter(|span| *span > 0);
        let timeout =
            timeout.map_or(Duration::from_secs(default_s), |span| Duration::from_nanos(span.unsigned_abs()));
        let kind = match kind.as_deref() {
            Some("log") => {
                let path = self.text(members, "path")?;
                let path = path.ok_or_else(|| self.wrong(line, "a log needs the field \"path\""))?;
                Kind::Log(self.folder.join(path))
            }
            Some("webhook") => {
                let keys = match member(members, "keys") {
                    None => Vec::new(),
                    Some(node) => self
                        .reader
                        .list(node, "keys")?
                        .iter()
                        .map(|node| secret(self.reader, self.folder, node))
                        .collect::<std::result::Result<_, _>>()
                        .map_err(|error| Error::Usage(error.to_string()))?,
                };
                let attempts = member(members, "attempts")
                    .map(|node| self.reader.integer(node, "attempts", 1..=10))
                    .transpose()?;
                let url = Url(self.url(line, members)?);
                Kind::Webhook { url, keys, timeout, attempts: attempts.unwrap_or(4) as u32 }
            }
            _ => {
                let words = member(members, "command").map(|node| self.reader.texts(node, "command"));
                let words = words.transpose()?.filter(|words| !words.is_empty());
                let words =
                    words.ok_or_else(|| self.wrong(line, "a command needs command = [\"program\", …]"))?;
                Kind::Command { words, timeout }
            }
        };
        Ok(Sink { kind, level: self.level(members)?.unwrap_or(Level::Low) })
    }

    fn url(&self, line: usize, members: Members<'_>) -> Result<String> {
        let url = match (self.text(members, "url")?, self.text(members, "url_env")?) {
            (Some(url), None) => url,
            (None, Some(variable)) => std::env::var(&variable).map_err(|_| {
                self.wrong(line, &format!("the environment has no variable {variable}, for url_env"))
            })?,
            _ => return Err(self.wrong(line, "a webhook needs a url, or url_env if it holds a secret")),
        };
        if url.starts_with("https://") || url.starts_with("http://") {
            return Ok(url);
        }
        Err(self.wrong(line, "the url of a webhook begins with https:// or http://"))
    }
}

/// `10 GB`, `512MB`, `1.5 TB`: powers of ten.
fn size(text: &str) -> Option<f64> {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    };
    Some(number * unit)
}
