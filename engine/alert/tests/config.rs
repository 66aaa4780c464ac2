//! The section `alerts`: what it means, and what is wrong with it.

use std::path::Path;
use std::time::Duration;

use tapestore::time::{HOUR_NS, MINUTE_NS};
use tapestore_alert::sink::Kind;
use tapestore_alert::{Alerts, Check, Level, Rule};
use tapestore_fetch::config::Config;

const TOML: &str = r#"store = "market"
[alerts]
[[alerts.rules]]
name = "majors late"
check = "freshness"
level = "HIGH"
series = ["*.BINANCE 1m"]
above = "10m"
clear = "2m"
for = "5m"
clear_for = "1m"
repeat = "1h"
sinks = ["chat"]
[[alerts.rules]]
check = "disk-free"
below = "1.5 TB"
repeat = "never"
[alerts.sinks.journal]
kind = "log"
path = "alerts.jsonl"
[alerts.sinks.chat]
kind = "webhook"
url = "https://example.org/hook/hunter2"
timeout = "3s"
attempts = 2
level = "MEDIUM"
[alerts.sinks.pager]
kind = "command"
command = ["page", "--urgent"]
"#;

fn read(text: &str, name: &str) -> Result<Alerts, String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join(name);
    std::fs::write(&path, text).expect("a file");
    let config = Config::load(&path).map_err(|error| error.to_string())?;
    Alerts::read(&config.sections["alerts"]).map_err(|error| error.to_string())
}

#[test]
fn a_section_means_what_it_says() {
    let alerts = read(TOML, "tape.toml").unwrap();
    let rule = &alerts.rules[0];
    assert_eq!((rule.name.as_str(), rule.check, rule.level), ("majors late", Check::Freshness, Level::High));
    assert_eq!((rule.limit, rule.clear), ((10 * MINUTE_NS) as f64, (2 * MINUTE_NS) as f64));
    assert_eq!((rule.spans.hold_ns, rule.spans.clear_ns), (5 * MINUTE_NS, MINUTE_NS));
    assert_eq!((rule.spans.repeat_ns, rule.condition()), (HOUR_NS, "above 10m for 5m".to_owned()));
    assert_eq!(rule.sinks.as_deref(), Some(&["chat".to_owned()][..]));
    // A rule of its own takes the place of the default of that name; the others hold.
    let names: Vec<&str> = alerts.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(
        names,
        ["majors late", "disk-free", "quality", "freshness", "gaps", "fetch", "disk-used", "checksum"]
    );
    assert_eq!((alerts.rules[1].limit, alerts.rules[1].spans.repeat_ns), (1.5e12, 0));
    let Kind::Log(path) = &alerts.sinks["journal"].kind else { panic!("{alerts:?}") };
    assert!(path.is_absolute() && path.ends_with(Path::new("alerts.jsonl")), "beside the configuration");
    let Kind::Webhook { timeout, attempts, .. } = &alerts.sinks["chat"].kind else { panic!("{alerts:?}") };
    assert_eq!((*timeout, *attempts, alerts.sinks["chat"].level), (Duration::from_secs(3), 2, Level::Medium));
    assert!(!format!("{alerts:?}").contains("hunter2"), "an address may hold a secret");
    let plain = read("alerts: {}\n", "tape.yaml").unwrap();
    assert_eq!(plain.rules, Rule::defaults());
    assert!(read("alerts: {defaults: false}\n", "tape.yaml").unwrap().rules.is_empty());
}

#[test]
fn mistakes_are_named_with_their_lines_and_the_fix() {
    for (from, to, hint) in [
        (
            "check = \"freshness\"",
            "check = \"fresh\"",
            "line 4: there is no check \"fresh\"; the checks are quality, ",
        ),
        ("level = \"HIGH\"", "level = \"LOUD\"", "line 6: \"LOUD\" is no level; write CRITICAL, HIGH"),
        ("above = \"10m\"", "below = \"10m\"", "line 8: freshness is bad above a value; write above"),
        ("above = \"10m\"", "above = 10", "above of freshness is no such value; write \"5m\""),
        ("clear = \"2m\"", "clear = \"20m\"", "line 9: 20m is still bad, above 10m"),
        ("for = \"5m\"", "for = \"5 minutes\"", "line 10: for: \"5 minutes\" is no span of time"),
        (
            "sinks = [\"chat\"]",
            "sinks = [\"mail\"]",
            "there is no sink \"mail\"; sinks: chat, journal, pager",
        ),
        ("sinks = [\"chat\"]", "deep = true", "\"deep\" is for checksum only"),
        ("sinks = [\"chat\"]", "silent = true", "a rule has no field \"silent\"; the fields are name, check"),
        ("repeat = \"never\"", "series = [\"*\"]", "disk-free is of the store, not of series"),
        ("1.5 TB", "1.5 elephants", "write \"10 GB\""),
        ("kind = \"log\"", "kind = \"mail\"", "a sink needs the field \"kind\": log, webhook or command"),
        ("path = \"alerts.jsonl\"", "", "a log needs the field \"path\""),
        ("path = ", "file = ", "a sink of this kind has no field \"file\""),
        (
            "url = \"https://example.org/hook/hunter2\"",
            "url_env = \"TAPE_NO_SUCH\"",
            "no variable TAPE_NO_SUCH",
        ),
        ("https://example.org", "ftp://example.org", "begins with https:// or http://"),
        ("command = [\"page\", \"--urgent\"]", "command = []", "a command needs command = [\"program\", …]"),
        (
            "check = \"disk-free\"",
            "check = \"disk-free\"\nname = \"majors late\"",
            "two rules \"majors late\"",
        ),
    ] {
        assert!(TOML.contains(from), "{from}");
        let error = read(&TOML.replacen(from, to, 1), "tape.toml").unwrap_err();
        assert!(error.contains(hint) && error.contains("tape.toml, line "), "{to}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
