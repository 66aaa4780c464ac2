//! The report of an exploration: one HTML file that needs nothing else, without scripts; curves are inline SVG.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use tapestore_report::draw;
use tapestore_report::html::{begin, end, escaped};

use super::{Done, Explore, PARTS, Scored, peak_bytes};
use crate::calendar::brief;
use crate::commands::backtest::{SHOWN, number};
use crate::number::{bytes, grouped};
use crate::when::now_ns;

/// Results of the ranking that are listed.
const LISTED: usize = 50;
/// Results whose curve is drawn.
const DRAWN: usize = 12;
/// What only this page has.
const STYLE: &str = "th{position:sticky;top:0}.bar{max-width:700px}";

/// The page.
pub(super) fn html(done: &Done, arguments: &Explore) -> String {
    let title = format!("Exploration of {}", arguments.instruments.join(", "));
    let mut out = begin(&title, STYLE);
    let _ = writeln!(out, "<h1>{}</h1>", escaped(&title));
    head(&mut out, done, arguments);
    time(&mut out, done);
    curves(&mut out, &done.found.scored);
    ranking(&mut out, done, arguments);
    correlations(&mut out, &done.found.scored);
    failures(&mut out, done);
    end(&mut out);
    out
}

fn head(out: &mut String, done: &Done, arguments: &Explore) {
    let results = grouped(done.found.scored.len() as u64);
    let kept = done.run.map_or(String::new(), |run| format!(", kept as run {run}"));
    let now = now_ns() / 1_000_000_000 * 1_000_000_000;
    let _ = writeln!(
        out,
        "<p class=\"note\">As of {} UTC, version {} of the store{kept}. {results} results, {} failed. Signals are shaped by \
         {}; factors take gaps as {}.</p>",
        escaped(&brief(now)),
        done.store_version,
        grouped(done.found.failed.len() as u64),
        escaped(&arguments.shape),
        done.gaps.name()
    );
    let Some(first) = done.found.scored.first() else { return };
    let settings: Vec<&str> =
        first.record.settings.split(' ').filter(|part| !part.starts_with("bars_per_year")).collect();
    let _ = writeln!(out, "<p class=\"note\">Settings: {}.</p>", escaped(&settings.join(", ")));
    let mut spans: BTreeMap<(&str, i64), (&str, String)> = BTreeMap::new();
    for Scored { record, .. } in &done.found.scored {
        let (from, to) = (brief(record.bars_ns.0), brief(record.bars_ns.1));
        let bars = grouped(record.value("bars") as u64);
        let text = format!("{bars} bars, {from} to {to}; a year: {}", record.basis);
        spans.entry((&record.instrument, -(record.value("bars") as i64))).or_insert((&record.frame, text));
    }
    out.push_str("<details><summary>Bars, and how many of them a year has</summary><table>");
    out.push_str("<tr><th class=\"l\">instrument<th class=\"l\">frame<th class=\"l\">bars</tr>\n");
    for ((instrument, _), (frame, text)) in spans {
        let cells = [instrument, frame, &text].map(|cell| format!("<td class=\"l\">{}", escaped(cell)));
        let _ = writeln!(out, "<tr>{}</tr>", cells.concat());
    }
    out.push_str("</table></details>\n");
}

fn time(out: &mut String, done: &Done) {
    let work: f64 = done.parts.iter().sum::<f64>().max(1e-9);
    out.push_str("<h2>Time</h2>\n<div class=\"bar\">");
    for ((name, seconds), colour) in
        PARTS.iter().zip(done.parts).zip(["#4878a8", "#6aa84f", "#b45f06", "#7d5ba6"])
    {
        let share = seconds / work * 100.0;
        let _ = write!(
            out,
            "<span style=\"width:{share:.2}%;background:{colour}\" title=\"{name}: {seconds:.3} s\">{name} {share:.0} %</span>"
        );
    }
    let parts: Vec<String> =
        PARTS.iter().zip(done.parts).map(|(name, seconds)| format!("{name} {seconds:.3} s")).collect();
    let memory = peak_bytes().map_or(String::new(), |peak| format!(", at most {} of memory", bytes(peak)));
    let _ = writeln!(
        out,
        "</div>\n<p>{} of {} threads; {:.3} s by the clock, {} bars, {:.0} results a second{memory}. Writing this report is \
         not in it.</p>",
        parts.join(", "),
        done.threads,
        done.seconds,
        grouped(done.found.bars),
        done.speed()
    );
}

fn ranking(out: &mut String, done: &Done, arguments: &Explore) {
    let scored = &done.found.scored;
    let _ = writeln!(
        out,
        "<h2>Ranking by {}</h2>\n<p class=\"note\">The first {} of {}. In-sample: among so many, the best are partly lucky.</p>",
        arguments.rank_by.name(),
        grouped(scored.len().min(LISTED) as u64),
        grouped(scored.len() as u64)
    );
    out.push_str("<div class=\"wide\"><table><tr><th>#<th class=\"l\">instrument<th class=\"l\">frame<th class=\"l\">factor");
    for (_, head) in SHOWN {
        let _ = write!(out, "<th>{head}");
    }
    out.push_str("</tr>\n");
    for (place, Scored { record, .. }) in scored.iter().take(LISTED).enumerate() {
        let names = [&record.instrument, &record.frame, &record.signal];
        let names = names.map(|name| format!("<td class=\"l\">{}", escaped(name))).concat();
        let cells = SHOWN.map(|(name, _)| format!("<td>{}", number(name, record.value(name)))).concat();
        let _ = writeln!(out, "<tr><td>{}{names}{cells}</tr>", place + 1);
    }
    out.push_str("</table></div>\n");
}

fn curves(out: &mut String, scored: &[Scored]) {
    out.push_str("<h2>Accounts of the first</h2>\n<p class=\"note\">As multiples of the start, bar by bar; each on a scale of its own.</p>\n<div class=\"curves\">\n");
    for Scored { record, curve } in scored.iter().take(DRAWN).filter(|scored| scored.curve.len() > 1) {
        let names = format!("{} {} {}", record.instrument, record.frame, record.signal);
        let change = number("total_return", record.value("total_return"));
        let _ = writeln!(
            out,
            "<figure><figcaption><b>{}</b> {change}, drawdown {}</figcaption>{}</figure>",
            escaped(&names),
            number("max_drawdown", record.value("max_drawdown")),
            draw::curve(curve, 1.0, 4, &format!("Account of {names}"))
        );
    }
    out.push_str("</div>\n");
}

/// For each instrument a table of rank correlations: a row a factor, a column a timeframe.
fn correlations(out: &mut String, scored: &[Scored]) {
    out.push_str("<h2>Information coefficients</h2>\n<p class=\"note\">Rank correlation of the signal with the return of the next bar; Pearson's shows when pointed at. Blue: with it, red: against it.</p>\n");
    let instruments: BTreeSet<&str> = scored.iter().map(|scored| scored.record.instrument.as_str()).collect();
    for instrument in instruments {
        let of: Vec<&Scored> =
            scored.iter().filter(|scored| scored.record.instrument == instrument).collect();
        // The longest first: the finest timeframe has the most bars.
        let mut frames: Vec<(i64, &str)> =
            of.iter().map(|it| (-(it.record.value("bars") as i64), it.record.frame.as_str())).collect();
        frames.sort_unstable();
        frames.dedup();
        let signals: BTreeSet<&str> = of.iter().map(|scored| scored.record.signal.as_str()).collect();
        let cells: BTreeMap<(&str, &str), (f64, f64)> = of
            .iter()
            .map(|it| {
                let values = (it.record.value("rank_ic"), it.record.value("ic"));
                ((it.record.signal.as_str(), it.record.frame.as_str()), values)
            })
            .collect();
        let _ = write!(
            out,
            "<h3>{}</h3><div class=\"wide\"><table><tr><th class=\"l\">factor",
            escaped(instrument)
        );
        frames.iter().for_each(|(_, frame)| out.push_str(&format!("<th>{}", escaped(frame))));
        out.push_str("</tr>\n");
        for signal in signals {
            let _ = write!(out, "<tr><td class=\"l\">{}", escaped(signal));
            for (_, frame) in &frames {
                out.push_str(&cell(cells.get(&(signal, *frame))));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</table></div>\n");
    }
}

/// A correlation on a background that is stronger the further it is from zero, full at 0.2.
fn cell(values: Option<&(f64, f64)>) -> String {
    let Some((rank, plain)) = values.filter(|values| !values.0.is_nan()) else { return "<td>-".into() };
    let strength = (rank.abs() / 0.2).min(1.0) * 0.55;
    let colour = if *rank > 0.0 { "37,99,168" } else { "190,60,50" };
    let plain = number("ic", *plain);
    format!("<td title=\"IC {plain}\" style=\"background:rgba({colour},{strength:.2})\">{rank:.3}")
}

fn failures(out: &mut String, done: &Done) {
    if !done.found.skipped.is_empty() {
        out.push_str("<h2>Skipped</h2>\n<p class=\"note\">Factors whose warm-up is longer than the bars without a gap.</p>\n<table><tr><th class=\"l\">instrument<th class=\"l\">frame<th>bars<th class=\"l\">factors</tr>\n");
    }
    for skipped in &done.found.skipped {
        let (instrument, frame) = (escaped(&skipped.instrument), escaped(&skipped.frame));
        let factors = skipped.factors.join(" ");
        let (longest, style) = (skipped.longest, "class=\"l\" style=\"white-space:normal\"");
        let _ = writeln!(
            out,
            "<tr><td class=\"l\">{instrument}<td class=\"l\">{frame}<td>{longest}<td {style}>{factors}</tr>"
        );
    }
    if !done.found.skipped.is_empty() {
        out.push_str("</table>\n");
    }
    if done.found.failed.is_empty() {
        return;
    }
    out.push_str("<h2>Failures</h2>\n<p class=\"note\">Nothing else was affected.</p>\n<table><tr><th class=\"l\">instrument<th class=\"l\">frame<th class=\"l\">factor<th class=\"l\">why</tr>\n");
    for failed in &done.found.failed {
        let cells = [&failed.instrument, &failed.frame, &failed.signal, &failed.error];
        let cells = cells.map(|cell| format!("<td class=\"l\">{}", escaped(cell))).concat();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    }
    out.push_str("</table>\n");
}
