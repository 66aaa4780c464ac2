//! `tape backtest ls`, `show` and `check`: results that are kept in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use clap::Parser;
use tapestore::{AsOf, Store, View};
use tapestore_backtest::results::{self, CODE, Record};

use super::{Context, Done, object, print};
use crate::args::{Cli, Command};
use crate::calendar::brief;
use crate::commands::explore;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::table::{Side, Table};
use crate::output::{Out, note};

/// Runs `tape backtest ls`: a line a run, newest first.
pub(crate) fn ls(context: &Context) -> Result<()> {
    let store = context.open_to_read()?;
    let mut runs: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
    for record in results::load(&store.view())? {
        runs.entry(record.run).or_default().push(record);
    }
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("run", Side::Right),
        ("time", Side::Left),
        ("series", Side::Left),
        ("results", Side::Right),
        ("best by Sharpe", Side::Left),
        ("Sharpe", Side::Right),
        ("read version", Side::Right),
    ]);
    for (run, records) in runs.iter().rev() {
        let rank = |record: &&Record| Some(record.value("sharpe")).filter(|value| !value.is_nan());
        let best =
            records.iter().max_by(|a, b| rank(a).partial_cmp(&rank(b)).unwrap_or(std::cmp::Ordering::Equal));
        let Some(best) = best else { continue };
        let instruments: BTreeSet<&str> = records.iter().map(|record| record.instrument.as_str()).collect();
        let frames: BTreeSet<&str> = records.iter().map(|record| record.frame.as_str()).collect();
        let what = match (instruments.len(), frames.len()) {
            (1, 1) => format!("{} {}", best.instrument, best.frame),
            (1, frames) => format!("{} in {frames} timeframes", best.instrument),
            (instruments, 1) => format!("{instruments} instruments {}", best.frame),
            (instruments, frames) => format!("{instruments} instruments in {frames} timeframes"),
        };
        if context.json {
            let line = object(best, 0).count("results", records.len() as u64).line();
            out.write_all(&line)?;
            continue;
        }
        table.row([
            run.to_string(),
            brief(best.time_ns / 1_000_000_000 * 1_000_000_000),
            what,
            grouped(records.len() as u64),
            best.signal.clone(),
            super::number("sharpe", best.value("sharpe")),
            best.store_version.to_string(),
        ]);
    }
    if !context.json && table.is_empty() {
        note(context.quiet, "tape: no backtests are kept; tape backtest … --save keeps one");
    } else if !context.json {
        table.write(&mut out)?;
    }
    out.finish()
}

fn of_run(view: &View, run: u64) -> Result<Vec<Record>> {
    let all = results::load(view)?;
    let last = all.iter().map(|record| record.run).max();
    let found: Vec<Record> = all.into_iter().filter(|record| record.run == run).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    Err(Fail::Usage(match last {
        Some(last) => {
            format!("there is no run {run}; the last one is {last}, and tape backtest ls lists all")
        }
        None => format!("there is no run {run}: no backtests are kept; tape backtest … --save keeps one"),
    }))
}

/// Runs `tape backtest show`.
pub(crate) fn show(context: &Context, run: u64) -> Result<()> {
    let store = context.open_to_read()?;
    let records = of_run(&store.view(), run)?;
    let mut out = Out::stdout();
    if context.json {
        for record in &records {
            out.write_all(&object(record, 0).line())?;
        }
        return out.finish();
    }
    print(&mut out, &records)?;
    out.finish()
}

/// Runs `tape backtest check`: every result again, on the version that it read.
pub(crate) fn check(context: &Context, run: u64) -> Result<()> {
    let store = context.open_to_read()?;
    let records = of_run(&store.view(), run)?;
    let mut out = Out::stdout();
    let mut different = 0_u64;
    for (record, now) in records.iter().zip(again(&store, &records)?) {
        let differs = match &now {
            Some(now) => differences(record, now),
            None => vec!["it does not come out at all".to_owned()],
        };
        if differs.is_empty() {
            continue;
        }
        different += 1;
        writeln!(out, "{} {} {}: {}", record.instrument, record.frame, record.signal, differs.join("; "))?;
    }
    out.finish()?;
    if different == 0 {
        note(
            context.quiet,
            &format!("tape: {} results of run {run} come out the same, to the bit", records.len()),
        );
        return Ok(());
    }
    let total = records.len();
    let code = records.iter().find(|record| record.code != CODE);
    let code = code
        .map_or(String::new(), |record| format!("; they were made by code {}, this is {CODE}", record.code));
    Err(Fail::Findings(format!("{different} of {total} results of run {run} come out otherwise{code}")))
}

/// What of a result came out otherwise.
fn differences(kept: &Record, now: &Record) -> Vec<String> {
    let mut out = Vec::new();
    if kept.basis != now.basis {
        out.push(format!("the calendar was {}, is {}", kept.basis, now.basis));
    }
    if kept.settings != now.settings {
        out.push(format!("settings were {}, are {}", kept.settings, now.settings));
    }
    for (name, value) in &kept.values {
        let again = now.value(name);
        if value.to_bits() != again.to_bits() && !(value.is_nan() && again.is_nan()) {
            out.push(format!("{name} was {value}, is {again}"));
        }
    }
    out
}

/// The results of a run, each made again, in their order.
fn again(store: &Store, records: &[Record]) -> Result<Vec<Option<Record>>> {
    let mut explored = Vec::new();
    let mut out = Vec::new();
    for record in records {
        let bad =
            || Fail::Usage(format!("the call of run {} is not understood: {}", record.run, record.call));
        let words = words(&record.call);
        // A call names its command; those of backtest are without it.
        let command =
            if words.iter().any(|word| word.starts_with("--factor-gaps")) { "explore" } else { "backtest" };
        let call = ["tape", command].into_iter().map(str::to_owned).chain(words);
        match Cli::try_parse_from(call).map_err(|_| bad())?.command {
            Command::Backtest(arguments) => {
                let view = store.as_of(&AsOf::Version(record.store_version))?;
                let done = Done::of(&view, &arguments.run.ok_or_else(bad)?)?;
                out.push(done.records.into_iter().next());
            }
            Command::Explore(arguments) => explored.push(*arguments),
            _ => return Err(bad()),
        }
    }
    if explored.is_empty() {
        return Ok(out);
    }
    let name = |record: &Record| (record.instrument.clone(), record.frame.clone(), record.signal.clone());
    let mut found: BTreeMap<_, Record> =
        explore::again(store, &explored)?.into_iter().map(|record| (name(&record), record)).collect();
    Ok(records.iter().map(|record| found.remove(&name(record))).collect())
}

/// Words as a shell takes them: quoted where they have to be.
pub(crate) fn quoted(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=.,:/+@".contains(c);
    let quote = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// The words of what [`quoted`] wrote.
fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut inside, mut begun) = (Vec::new(), String::new(), false, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => (inside, begun) = (!inside, true),
            '\\' if !inside => word.extend(letters.next()),
            ' ' if !inside => {
                if begun || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => word.push(letter),
        }
    }
    if begun || !word.is_empty() {
        out.push(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_read_back() {
        let all =
            ["A.X", "--signal=B.Y f:rsi", "it's", "", "a\\b", "--to=5", "腾讯 'x' \\'"].map(str::to_owned);
        assert_eq!(words(&quoted(&all)), all);
        assert_eq!(quoted(&all[..2]), "A.X '--signal=B.Y f:rsi'");
    }
}
