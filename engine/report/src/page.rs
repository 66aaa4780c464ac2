//! The page of a report, section by section.

use std::fmt::Write as _;

use tapestore::{Operation, Outcome};
use tapestore_alert::Incident;
use tapestore_alert::rule::brief_span;
use tapestore_quality::{Score, Severity, Tier};
use tapestore_text::number::{bytes, grouped};
use tapestore_text::stamp::brief;

use crate::draw;
use crate::gather::{Case, Report, percent};
use crate::html::{begin, end, end_table, escaped, row, table, told};
use crate::overview::{Group, Line, Overview};

/// A report as one page. It names no other file, holds no script, and asks nothing of a network.
pub fn html(report: &Report) -> String {
    let overview = &report.overview;
    let name = overview
        .directory
        .as_ref()
        .and_then(|path| path.file_name())
        .map_or_else(|| "a store".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut out = begin(&format!("Report on {name}"), "");
    head(&mut out, report, &name);
    cards(&mut out, overview);
    alerts(&mut out, report);
    heat(&mut out, report);
    quality(&mut out, report);
    findings(&mut out, report);
    trend(&mut out, report);
    series(&mut out, report);
    storage(&mut out, overview);
    speed(&mut out, report);
    end(&mut out);
    out
}

/// Seconds are enough for people.
fn at(time_ns: i64) -> String {
    brief(time_ns - time_ns.rem_euclid(1_000_000_000))
}

/// What is not all of it is never shown as 100 %.
fn share(ratio: f64) -> String {
    percent((ratio * 1e9) as u64, 1_000_000_000)
}

fn lag(lag_ns: Option<i64>) -> String {
    match lag_ns {
        None => "-".to_owned(),
        Some(0) => "none".to_owned(),
        Some(lag) => brief_span(lag),
    }
}

fn tier(tier: Tier) -> String {
    format!("<span class=\"tier t{0}\">{0}</span>", tier.name())
}

fn head(out: &mut String, report: &Report, name: &str) {
    let overview = &report.overview;
    let health = overview.health().name();
    let _ = writeln!(
        out,
        "<h1>{} <span class=\"health {health}\">{health}</span></h1>\n<p class=\"note\">As of {} UTC, version {}{}. All times are UTC.</p>",
        escaped(name),
        at(overview.now_ns),
        overview.stats.version,
        overview.committed_ns.map_or_else(String::new, |time| format!(" of {}", at(time))),
    );
    let mut only = Vec::new();
    if !report.instruments.is_empty() {
        only.push(format!("instruments {}", report.instruments.join(", ")));
    }
    if report.range.start != i64::MIN {
        only.push(format!("days and findings from {}", brief(report.range.start)));
    }
    if report.range.end != i64::MAX {
        only.push(format!("days and findings before {}", brief(report.range.end)));
    }
    if !only.is_empty() {
        let _ = writeln!(out, "<p class=\"note\">Only {}.</p>", escaped(&only.join("; ")));
    }
}

fn card(out: &mut String, name: &str, value: &str, more: &str) {
    let _ = writeln!(
        out,
        "<div class=\"card\"><h3>{name}</h3><b>{value}</b><small>{}</small></div>",
        escaped(more)
    );
}

fn cards(out: &mut String, overview: &Overview) {
    out.push_str("<div class=\"cards\">\n");
    match &overview.score {
        None => card(out, "Quality", "-", "not checked yet: tape quality"),
        Some(score) => {
            let value = format!("{} {}", share(score.ratio), tier(score.tier));
            let few = if score.provisional { "; provisional" } else { "" };
            let held = if score.held_back { "; held back by its lag" } else { "" };
            card(out, "Quality", &value, &format!("of expected bars can be used{few}{held}"));
        }
    }
    let open = overview.findings.len() as u64;
    let more = format!(
        "{} of weight, {} worth a look",
        grouped((overview.open(Severity::High) + overview.open(Severity::Medium)) as u64),
        grouped(overview.open(Severity::Low) as u64)
    );
    card(out, "Open findings", &grouped(open), &more);
    let firing = overview.firing();
    let value = firing.first().map_or_else(
        || "none".to_owned(),
        |first| format!("{} <span class=\"level l{1}\">{1}</span>", firing.len(), first.level.name()),
    );
    card(out, "Alerts", &value, &format!("{} pending", overview.alerts.len() - firing.len()));
    let late = overview.lines.iter().filter(|line| line.lag_ns.is_some_and(|lag| lag > 0)).count();
    let kept = overview.lines.iter().filter(|line| line.kept).count();
    let worst = overview.lines.iter().filter_map(|line| line.lag_ns).max();
    card(out, "Largest lag", &lag(worst), &format!("{late} of {kept} series that are kept current are late"));
    let saved = overview
        .saved()
        .map_or_else(String::new, |saved| format!("; {:.1} % less than plain values", saved * 100.0));
    card(
        out,
        "Store",
        &bytes(overview.stats.bytes_on_disk),
        &format!("{} rows{saved}", grouped(overview.stats.rows)),
    );
    let (value, more) = run(overview.fetch.0.as_ref(), overview.now_ns);
    card(out, "Last fetch", &value, &more);
    let (value, more) = run(overview.verified.as_ref(), overview.now_ns);
    card(out, "Last verification", &value, &more);
    if let Some(disk) = overview.disk {
        let used = 100.0 - disk.free as f64 * 100.0 / disk.all.max(1) as f64;
        card(
            out,
            "Disk",
            &format!("{} free", bytes(disk.free)),
            &format!("of {}; {used:.0} % used", bytes(disk.all)),
        );
    }
    out.push_str("</div>\n");
}

fn run(operation: Option<&Operation>, now_ns: i64) -> (String, String) {
    let Some(last) = operation else { return ("-".to_owned(), "never noted".to_owned()) };
    let value = format!("{} ago", brief_span(now_ns.saturating_sub(last.time_ns)));
    let what = if last.outcome == Outcome::Failed { &last.error } else { &last.detail };
    (value, format!("{}: {what}", last.outcome.name()))
}

fn alerts(out: &mut String, report: &Report) {
    let firing = report.overview.firing();
    if firing.is_empty() {
        return;
    }
    out.push_str("<h2>Alerts</h2>\n");
    let (seen, all) = report.bounds.alerts;
    incidents(out, &firing[..firing.len().min(seen)]);
    if firing.len() > seen {
        let rest = &firing[seen..firing.len().min(all)];
        let _ = writeln!(out, "<details><summary>{} more</summary>", grouped(rest.len() as u64));
        incidents(out, rest);
        out.push_str("</details>\n");
    }
    left_out(out, firing.len(), all, "alerts");
}

fn incidents(out: &mut String, incidents: &[&Incident]) {
    told(out, &[("level", true), ("rule", true), ("subject", true), ("what", true), ("since", true)]);
    for it in incidents {
        let _ = writeln!(
            out,
            "<tr><td class=\"l\"><span class=\"level l{0}\">{0}</span></td><td class=\"l\">{1}</td><td class=\"l\">{2}</td>\
             <td class=\"say\">{3}</td><td class=\"l\">{4}</td></tr>",
            it.level.name(),
            escaped(&it.rule),
            escaped(&it.subject),
            escaped(&it.evidence),
            at(it.state.since_ns)
        );
    }
    end_table(out);
}

fn left_out(out: &mut String, all: usize, shown: usize, what: &str) {
    if all > shown {
        let _ = writeln!(
            out,
            "<p class=\"note\">{} of {} {what} are shown; the others are left out.</p>",
            grouped(shown as u64),
            grouped(all as u64)
        );
    }
}

fn heat(out: &mut String, report: &Report) {
    let heat = &report.heat;
    if heat.rows.is_empty() {
        return;
    }
    let days = if heat.days == 1 { "a day".to_owned() } else { format!("{} days", heat.days) };
    let _ = writeln!(
        out,
        "<h2>Days</h2>\n<p class=\"note\">The share of expected bars that can be used, {days} a cell, the worst instruments first; \
         of each instrument its finest bars.</p>"
    );
    out.push_str("<div class=\"key\">");
    for (class, text) in [
        ("S", "S: 99.9 % or more"),
        ("A", "A: 99.5 %"),
        ("B", "B: 99 %"),
        ("C", "C: 95 %"),
        ("F", "F: less"),
        ("n", "none expected"),
    ] {
        let colour = if class == "n" { "none".to_owned() } else { class.to_lowercase() };
        let _ = write!(out, "<span><i style=\"background:var(--{colour})\"></i>{text}</span>");
    }
    let _ = writeln!(out, "</div>\n<div class=\"wide heat\">{}</div>", draw::heat(&heat.rows, &heat.dates));
    if heat.unchecked > 0 {
        let _ = writeln!(
            out,
            "<p class=\"note\">{} of them were not checked yet: there a bar that is there counts as good, and every slot as expected.</p>",
            grouped(heat.unchecked as u64)
        );
    }
    left_out(out, heat.rows.len() + heat.left_out, heat.rows.len(), "instruments");
}

fn quality(out: &mut String, report: &Report) {
    let overview = &report.overview;
    let Some(score) = &overview.score else { return };
    out.push_str("<h2>Tiers and dimensions</h2>\n");
    let all: u64 = overview.tiers.iter().map(|tier| tier.1).sum();
    out.push_str("<div class=\"bar\">");
    for (tier, count) in overview.tiers.iter().filter(|(_, count)| *count > 0) {
        let _ = write!(
            out,
            "<span class=\"t{}\" style=\"width:{:.2}%\">{} {}</span>",
            tier.name(),
            *count as f64 * 100.0 / all.max(1) as f64,
            grouped(*count),
            tier.name()
        );
    }
    let _ =
        writeln!(out, "</div>\n<p class=\"note\">{} series that were checked, by tier.</p>", grouped(all));
    let d = &score.dimensions;
    out.push_str("<div class=\"meters\">\n");
    for (name, value) in [
        ("Completeness", Some(d.completeness)),
        ("Validity", Some(d.validity)),
        ("Consistency", Some(d.consistency)),
        ("Accuracy", Some(d.accuracy)),
        ("Timeliness", score.lag_ns.map(|_| d.timeliness)),
    ] {
        let _ = writeln!(
            out,
            "<span>{name}</span><div class=\"meter\"><i style=\"width:{:.2}%\"></i></div><span class=\"num\">{}</span>",
            value.unwrap_or(0.0).clamp(0.0, 1.0) * 100.0,
            value.map_or_else(|| "not measured".to_owned(), share)
        );
    }
    out.push_str("</div>\n");
    let named = |groups: &[Group]| groups.iter().any(|group| !group.name.is_empty());
    if named(&overview.groups) {
        groups(out, "universe", &overview.groups);
    }
    groups(out, "timeframe", &overview.frames);
}

fn scored(score: Option<&Score>) -> String {
    score.map_or_else(
        || "<td>-</td><td class=\"l\"></td>".to_owned(),
        |score| {
            let few = if score.provisional { " provisional" } else { "" };
            format!("<td>{}</td><td class=\"l\">{}{few}</td>", share(score.ratio), tier(score.tier))
        },
    )
}

fn groups(out: &mut String, what: &str, groups: &[Group]) {
    let _ = writeln!(out, "<h3>By {what}</h3>");
    let heads = [(what, true), ("series", false), ("bars", false), ("newest", true), ("largest lag", false)];
    table(out, &[&heads[..], &[("usable", false), ("tier", true)]].concat());
    for group in groups {
        let name = if group.name.is_empty() { "(none)" } else { &group.name };
        let _ = writeln!(
            out,
            "<tr><td class=\"l\">{}</td><td>{}</td><td>{}</td><td class=\"l\">{}</td><td>{}</td>{}</tr>",
            escaped(name),
            grouped(group.series),
            grouped(group.rows),
            group.newest_ns.map_or_else(|| "-".to_owned(), at),
            lag(group.lag_ns),
            scored(group.score.as_ref())
        );
    }
    end_table(out);
}

fn findings(out: &mut String, report: &Report) {
    let all = &report.overview.findings;
    if all.is_empty() {
        return;
    }
    out.push_str(
        "<h2>Worst findings</h2>\n<p class=\"note\">With the bars around; what the finding is about is on bright ground, \
         missing bars are a dashed box with their number.</p>\n<div class=\"found\">\n",
    );
    report.cases.iter().for_each(|case| figure(out, case));
    out.push_str("</div>\n");
    let listed = all.len().min(report.bounds.listed);
    let _ = writeln!(
        out,
        "<details><summary>The first {} of {} open findings</summary>",
        grouped(listed as u64),
        grouped(all.len() as u64)
    );
    told(
        out,
        &[
            ("severity", true),
            ("series", true),
            ("rule", true),
            ("from", true),
            ("bars", false),
            ("what", true),
        ],
    );
    for it in all.iter().take(listed) {
        let cells =
            [it.severity.name().to_owned(), it.key.to_string(), it.rule.name().to_owned(), at(it.at_ns)];
        out.push_str("<tr>");
        cells.iter().for_each(|cell| out.push_str(&format!("<td class=\"l\">{}</td>", escaped(cell))));
        let _ = writeln!(
            out,
            "<td>{}</td><td class=\"say\">{}</td></tr>",
            grouped(it.bars),
            escaped(&it.evidence)
        );
    }
    end_table(out);
    out.push_str("</details>\n");
}

fn figure(out: &mut String, case: &Case) {
    let it = &case.finding;
    let level = match it.severity {
        Severity::High => "HIGH",
        Severity::Medium => "MEDIUM",
        Severity::Low => "LOW",
    };
    let about = format!("{} at {}", it.key, at(it.worst_ns));
    let picture = if case.candles.is_empty() { String::new() } else { draw::candles(&case.candles, &about) };
    let _ = writeln!(
        out,
        "<figure><figcaption><span class=\"level l{level}\">{}</span> <b>{}</b><br>{}</figcaption>{picture}\
         <p>{}: {}; {} {}</p></figure>",
        escaped(it.rule.name()),
        escaped(&it.key.to_string()),
        at(it.worst_ns),
        escaped(it.rule.meaning().trim().trim_end_matches('.')),
        escaped(&it.evidence),
        grouped(it.bars),
        if it.bars == 1 { "bar" } else { "bars" }
    );
}

fn trend(out: &mut String, report: &Report) {
    if report.trend.is_empty() {
        return;
    }
    out.push_str("<h2>Trend</h2>\n<p class=\"note\">The score as older versions of the store have it, without lags.</p>\n");
    if report.trend.len() > 1 {
        let values: Vec<f32> = report.trend.iter().map(|it| (it.score.ratio * 100.0) as f32).collect();
        let most = values.iter().copied().fold(f32::MIN, f32::max);
        let _ = writeln!(
            out,
            "<div class=\"curves\"><figure><figcaption>Usable bars in percent, version by version</figcaption>{}</figure></div>",
            draw::curve(&values, most, 2, "The score over versions")
        );
    }
    out.push_str("<details><summary>Versions</summary>");
    table(
        out,
        &[("version", false), ("committed", true), ("expected", false), ("usable", false), ("score", false)],
    );
    for it in report.trend.iter().rev() {
        row(
            out,
            &[
                (it.version.to_string(), false),
                (at(it.time_ns), true),
                (grouped(it.score.tally.expected), false),
                (grouped(it.score.tally.usable), false),
                (share(it.score.ratio), false),
            ],
        );
    }
    end_table(out);
    out.push_str("</details>\n");
}

fn series(out: &mut String, report: &Report) {
    let mut lines: Vec<&Line> = report.overview.lines.iter().collect();
    lines.sort_by(|a, b| {
        let ratio = |line: &Line| line.score.as_ref().map_or(2.0, |score| score.ratio);
        ratio(a).total_cmp(&ratio(b)).then(a.key.cmp(&b.key))
    });
    if lines.is_empty() {
        return;
    }
    out.push_str("<h2>Series</h2>\n");
    let heads = [("series", true), ("bars", false), ("first", true), ("last", true), ("lag", false)];
    let more = [
        ("usable", false),
        ("tier", true),
        ("missing", false),
        ("invalid", false),
        ("inconsistent", false),
        ("inaccurate", false),
    ];
    table(out, &[&heads[..], &more].concat());
    for line in lines.iter().take(report.bounds.series) {
        let time = |time: Option<i64>| time.map_or_else(|| "-".to_owned(), at);
        let tally = line.score.as_ref().map(|score| score.tally);
        let count = |of: Option<u64>| of.map_or_else(|| "-".to_owned(), grouped);
        let _ = writeln!(
            out,
            "<tr><td class=\"l\">{}</td><td>{}</td><td class=\"l\">{}</td><td class=\"l\">{}</td><td>{}</td>{}<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&line.key.to_string()),
            grouped(line.rows),
            time(line.first_ns),
            time(line.last_ns),
            lag(line.lag_ns),
            scored(line.score.as_ref()),
            count(tally.map(|tally| tally.missing())),
            count(tally.map(|tally| tally.invalid)),
            count(tally.map(|tally| tally.inconsistent)),
            count(tally.map(|tally| tally.inaccurate))
        );
    }
    end_table(out);
    left_out(out, lines.len(), report.bounds.series, "series");
}

fn storage(out: &mut String, overview: &Overview) {
    let stats = &overview.stats;
    out.push_str("<h2>Storage</h2>\n<div class=\"bar\">");
    let all = stats.bytes_on_disk.max(1) as f64;
    let parts = [
        ("segments", stats.segment_bytes, "#2563a8"),
        ("log", stats.wal_bytes, "#7d5ba6"),
        ("manifest", stats.manifest_bytes, "#b3611a"),
    ];
    for (name, size, colour) in parts {
        let width = size as f64 * 100.0 / all;
        let _ = write!(
            out,
            "<span style=\"width:{width:.2}%;background:{colour}\">{name} {}</span>",
            bytes(size)
        );
    }
    let saved = overview.saved().filter(|saved| *saved > 0.0).map_or_else(String::new, |saved| {
        format!(
            ", {:.1} % less than the {} that time and values take at eight bytes each",
            saved * 100.0,
            bytes(overview.plain_bytes)
        )
    });
    let _ = writeln!(
        out,
        "</div>\n<p>{} for {} rows and {} of history in {} segments: {:.2} bytes a row{saved}.</p>",
        bytes(stats.bytes_on_disk),
        grouped(stats.rows),
        grouped(stats.history_rows),
        grouped(stats.segments),
        all / stats.rows.max(1) as f64
    );
    let mut largest: Vec<&Line> = overview.lines.iter().filter(|line| line.bytes > 0).collect();
    largest.sort_by_key(|line| std::cmp::Reverse(line.bytes));
    if largest.is_empty() {
        return;
    }
    out.push_str("<details><summary>The largest series</summary>");
    table(out, &[("series", true), ("bars", false), ("in segments", false), ("bytes a bar", false)]);
    for line in largest.iter().take(12) {
        row(
            out,
            &[
                (line.key.to_string(), true),
                (grouped(line.rows), false),
                (bytes(line.bytes), false),
                (format!("{:.2}", line.bytes as f64 / line.rows.max(1) as f64), false),
            ],
        );
    }
    end_table(out);
    out.push_str("</details>\n");
}

fn speed(out: &mut String, report: &Report) {
    let Some(speed) = &report.speed else { return };
    let _ = writeln!(
        out,
        "<h2>Reading</h2>\n<p>Measured while this page was made: {} bars of {} series with open, high, low, close and volume in \
         {:.3} s, {} bars a second, one thread; 1,000 bars at a random place in {:.2} ms (median of 100), {:.2} ms (99 of 100).</p>",
        grouped(speed.rows),
        speed.series,
        speed.first_s,
        grouped(speed.rows_per_s as u64),
        speed.median_ms,
        speed.p99_ms
    );
}
