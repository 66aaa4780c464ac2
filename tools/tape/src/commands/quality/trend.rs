//! `tape quality --trend`: how scores went, version by version.

use std::collections::BTreeMap;
use std::io::Write;

use tapestore::{AsOf, Store};
use tapestore_quality::{Score, Setup, Tally, checked};

use super::{Universes, is_wanted, labels, named as asked, percent, tally_of, whole_days};
use crate::args::quality::{By, Quality};
use crate::calendar::brief;
use crate::commands::{Context, is_whole, range};
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::Out;
use crate::output::json::Object;
use crate::output::table::{Side, Table};

/// Shows a line for every version in which the score of a group changed; without `--by`, of everything.
pub(super) fn trend(
    context: &Context,
    arguments: &Quality,
    store: &Store,
    setup: &Setup,
    universes: &Universes,
) -> Result<()> {
    if arguments.by == Some(By::Day) {
        let text = "a trend goes by version, not by day; tape quality --by day shows days".to_owned();
        return Err(Fail::Usage(text));
    }
    let whole = is_whole(&arguments.span);
    let span = if whole { None } else { Some(whole_days(&range(&arguments.span)?)) };
    let mut before: BTreeMap<(String, String), Tally> = BTreeMap::new();
    let mut lines = Vec::new();
    let mut log = store.log(usize::MAX)?;
    log.reverse();
    for commit in &log {
        // Versions that were given up are no part of the trend.
        let Ok(view) = store.as_of(&AsOf::Version(commit.version)) else { continue };
        let mut groups: BTreeMap<(String, String), Tally> = BTreeMap::new();
        for one in checked(&view)?.iter().filter(|one| is_wanted(arguments, &one.key)) {
            let named = |by| labels(by, universes, &one.key);
            for label in arguments.by.map_or_else(|| vec![(String::new(), String::new())], named) {
                *groups.entry(label).or_default() += tally_of(&view, one, span.as_ref())?;
            }
        }
        for (label, tally) in groups {
            if before.insert(label.clone(), tally) != Some(tally) {
                lines.push((commit.version, commit.time_ns, label, tally));
            }
        }
    }
    if lines.is_empty() {
        return Err(Fail::Usage(format!(
            "no bars{} were checked yet; run tape quality first",
            asked(arguments)
        )));
    }
    write(context, arguments, setup, &lines)
}

/// Version, when it was committed, what it is about, what was counted.
type Line = (u64, i64, (String, String), Tally);

fn write(context: &Context, arguments: &Quality, setup: &Setup, lines: &[Line]) -> Result<()> {
    let mut out = Out::stdout();
    let named = match arguments.by {
        None => None,
        Some(By::Universe) => Some("universe"),
        Some(_) => Some("instrument"),
    };
    let mut columns = vec![("version", Side::Right), ("committed", Side::Left)];
    columns.extend(named.into_iter().flat_map(|name| [(name, Side::Left), ("frame", Side::Left)]));
    columns.extend([("tier", Side::Left), ("usable %", Side::Right)]);
    columns.extend([("expected", Side::Right), ("usable", Side::Right)]);
    let mut table = Table::new(columns);
    if arguments.csv {
        out.write_all(b"version,committed,instrument,frame,tier,score,expected,usable\n")?;
    }
    let limit = arguments.limit.unwrap_or(usize::MAX);
    for (version, committed, (instrument, frame), tally) in lines.iter().take(limit) {
        let score = Score::of(*tally, None, &setup.rules);
        if context.json {
            let mut object = Object::new().count("version", *version).int("committed", *committed);
            if named.is_some() {
                object = object.text("instrument", instrument).text("frame", frame);
            }
            let object = object
                .text("tier", score.tier.name())
                .float("score", score.ratio)
                .flag("provisional", score.provisional)
                .count("expected", tally.expected)
                .count("usable", tally.usable);
            out.write_all(&object.line())?;
        } else if arguments.csv {
            let mut text = format!("{version},{committed},").into_bytes();
            crate::output::rows::push_csv_text(&mut text, instrument);
            let rest =
                format!(",{frame},{},{},{},{}\n", score.tier, score.ratio, tally.expected, tally.usable);
            text.extend(rest.bytes());
            out.write_all(&text)?;
        } else {
            let mut row = vec![version.to_string(), brief(*committed)];
            if named.is_some() {
                row.extend([instrument.clone(), frame.clone()]);
            }
            let few = if score.provisional { "?" } else { "" };
            row.extend([format!("{}{few}", score.tier), percent(score.ratio)]);
            row.extend([grouped(tally.expected), grouped(tally.usable)]);
            table.row(row);
        }
    }
    if !context.json && !arguments.csv {
        table.write(&mut out)?;
        if lines.len() > limit {
            writeln!(out, "{} more", grouped((lines.len() - limit) as u64))?;
        }
    }
    out.finish()
}
