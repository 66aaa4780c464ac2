//! `tape quality accept|reopen|compare`: what is said of findings, and what sources say of one another.

use std::io::Write;

use tapestore::SeriesKey;
use tapestore_quality::{FindingState, compare_and_note, reconsider};

use super::setup;
use crate::args::quality::{Accept, Compare};
use crate::calendar::brief;
use crate::commands::{Context, range};
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::Out;
use crate::output::json::Object;
use crate::output::table::{Side, Table};

/// Accepts findings, or opens them again.
pub(super) fn settle(context: &Context, arguments: &Accept, state: FindingState) -> Result<()> {
    let (context, setup, _) = &setup(context, &arguments.how, false)?;
    let store = context.open_to_write()?;
    let key = SeriesKey::new(&arguments.instrument, &arguments.frame)?;
    store.view().schema(&key)?;
    let changed = reconsider(&store, &key, arguments.rule, &range(&arguments.span)?, state, setup)?;
    store.close()?;
    if changed == 0 {
        let text = format!(
            "no finding {} of {key} to change there; tape quality --findings lists them",
            arguments.rule
        );
        return Err(Fail::Usage(text));
    }
    let mut out = Out::stdout();
    if context.json {
        let object = Object::new().text("state", state.name()).count("findings", changed);
        out.write_all(&object.line())?;
    } else {
        let plural = if changed == 1 { "finding is" } else { "findings are" };
        writeln!(out, "{key}: {changed} {plural} {} now", state.name())?;
    }
    out.finish()
}

/// Holds the bars of several sources against one another.
pub(super) fn compare(context: &Context, arguments: &Compare) -> Result<()> {
    let (context, setup, _) = &setup(context, &arguments.how, false)?;
    let store = context.open_to_write()?;
    let key = |instrument: &String| SeriesKey::new(instrument, &arguments.frame);
    let keys: Vec<SeriesKey> =
        arguments.instruments.iter().map(key).collect::<std::result::Result<_, _>>()?;
    for (at, key) in keys.iter().enumerate() {
        if keys[..at].contains(key) {
            let text = format!("{} is named twice; a source is compared with others", key.instrument());
            return Err(Fail::Usage(text));
        }
    }
    let found = compare_and_note(&store, &keys, &range(&arguments.span)?, setup)?;
    store.close()?;
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("time", Side::Left),
        ("instrument", Side::Left),
        ("close", Side::Right),
        ("against", Side::Left),
        ("verdict", Side::Left),
    ]);
    for one in found.iter().take(if context.json { usize::MAX } else { arguments.limit }) {
        let others: Vec<String> =
            one.others.iter().map(|(key, close)| format!("{} {close}", key.instrument())).collect();
        let verdict = if one.is_culprit { "to blame" } else { "disagrees" };
        if context.json {
            let object = Object::new()
                .int("time", one.time_ns)
                .text("instrument", one.key.instrument())
                .float("close", one.close)
                .text("against", &others.join(", "))
                .flag("to_blame", one.is_culprit);
            out.write_all(&object.line())?;
        } else {
            table.row([
                brief(one.time_ns),
                one.key.instrument().to_owned(),
                one.close.to_string(),
                others.join(", "),
                verdict.to_owned(),
            ]);
        }
    }
    if !context.json {
        if !table.is_empty() {
            table.write(&mut out)?;
        }
        writeln!(out, "{} bars disagree; they are findings of the rule source", grouped(found.len() as u64))?;
    }
    out.finish()
}
