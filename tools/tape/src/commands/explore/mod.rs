//! `tape explore`: every factor in every timeframe, traded, ranked, and told: on the terminal, as JSON, as a report, in the
//! store.

mod progress;
mod report;
mod work;

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::ValueEnum;
use tapestore::{Operation, Store};
use tapestore_backtest::results::{self, Record};
use tapestore_factor::GapPolicy;

use self::progress::Progress;
use self::work::{Exploration, Failed, Found, Scored, Skipped, Spent};
use super::backtest::{SHOWN, number, object};
use super::operations::watched;
use super::{Context, as_of};
use crate::args::explore::{Explore, RankBy};
use crate::fail::{Fail, Result};
use crate::number::{bytes, grouped};
use crate::output::json::{Object, texts};
use crate::output::table::{Side, Table};
use crate::output::{Out, note, shown};
use crate::when::now_ns;

/// Runs `tape explore`.
pub(crate) fn run(context: &Context, arguments: &Explore) -> Result<()> {
    if arguments.save {
        let target = arguments.instruments.join(" ");
        return watched(context, "explore", &target, |operation| {
            explore(context, arguments, &context.open_to_write()?, Some(operation))
        });
    }
    explore(context, arguments, &context.open_to_read()?, None)
}

/// An exploration that is done.
struct Done {
    found: Found,
    run: Option<u64>,
    store_version: u64,
    gaps: GapPolicy,
    /// Seconds of all threads: load, factors, backtest, write.
    parts: [f64; 4],
    threads: usize,
    seconds: f64,
}

const PARTS: [&str; 4] = ["load", "factors", "backtest", "write"];

fn explore(
    context: &Context,
    arguments: &Explore,
    store: &Store,
    operation: Option<&Operation>,
) -> Result<()> {
    let (started, started_ns) = (Instant::now(), now_ns());
    let view = match &arguments.state.as_of {
        Some(text) => store.as_of(&as_of(store, text)?)?,
        None => store.view(),
    };
    let exploration = Exploration::new(&view, arguments, started_ns)?;
    if let Some(path) = arguments.report.as_ref().filter(|path| path.exists() && !arguments.force) {
        return Err(Fail::Usage(format!("{} exists; replace it with -f", path.display())));
    }
    if !arguments.trading.says_when() {
        let text = "tape: ratios are annualised as of a market that never closes; --calendar, --sessions or --bars-per-year says otherwise";
        note(context.quiet, text);
    }
    let progress = Progress::new(context.quiet, arguments.progress, arguments.instruments.len());
    let mut found = Found::default();
    for instrument in &arguments.instruments {
        found.add(exploration.instrument(instrument, &progress));
    }
    progress.clear();
    rank(&mut found.scored, arguments.rank_by);
    let run = match operation {
        Some(operation) => {
            Some(Spent::on(&exploration.spent.write, || save(store, &mut found.scored, operation))?)
        }
        None => None,
    };
    let mut done = Done {
        found,
        run,
        store_version: view.version(),
        gaps: exploration.gaps(),
        parts: [0.0; 4],
        threads: exploration.threads(),
        seconds: 0.0,
    };
    done.take_time(&exploration.spent, started);
    if let Some(path) = &arguments.report {
        Spent::on(&exploration.spent.write, || -> Result<()> {
            let mut out = Out::create(path, arguments.force)?;
            out.write_all(report::html(&done, arguments).as_bytes())?;
            out.finish()
        })?;
        done.take_time(&exploration.spent, started);
    }
    done.tell(context, arguments)?;
    match done.found.failed.len() {
        0 => Ok(()),
        failed => Err(Fail::Findings(format!(
            "{} of {} could not be explored; the rest was",
            grouped(failed as u64),
            grouped((failed + done.found.scored.len()) as u64)
        ))),
    }
}

/// Results that were kept, made again: those of one run, on the version of the store that it read.
pub(crate) fn again(store: &Store, calls: &[Explore]) -> Result<Vec<Record>> {
    let Some(first) = calls.first() else { return Ok(Vec::new()) };
    let version = first.state.as_of.as_deref().unwrap_or_default();
    let view = store.as_of(&as_of(store, version)?)?;
    // One run has one call: they differ in what each result is of.
    let all = |of: fn(&Explore) -> &Vec<String>| -> Vec<String> {
        calls.iter().flat_map(of).collect::<BTreeSet<_>>().into_iter().cloned().collect()
    };
    let arguments = Explore {
        instruments: all(|call| &call.instruments),
        factors: all(|call| &call.factors).into_iter().filter(|name| name != "all").collect(),
        timeframes: all(|call| &call.timeframes),
        signals: all(|call| &call.signals),
        ..first.clone()
    };
    let exploration = Exploration::new(&view, &arguments, now_ns())?;
    let progress = Progress::new(true, false, arguments.instruments.len());
    let mut records = Vec::new();
    for instrument in &arguments.instruments {
        let found = exploration.instrument(instrument, &progress);
        records.extend(found.scored.into_iter().map(|scored| scored.record));
    }
    Ok(records)
}

/// Best first; what has no value last, and otherwise in order of names.
fn rank(scored: &mut [Scored], by: RankBy) {
    let value = |scored: &Scored| {
        let of = |name: &str| scored.record.value(name);
        let value = match by {
            RankBy::Sharpe => of("sharpe"),
            RankBy::Return => of("total_return"),
            RankBy::Ic => of("ic").abs(),
            RankBy::RankIc => of("rank_ic").abs(),
            RankBy::Icir => of("icir").abs(),
            RankBy::Stability => of("stability"),
        };
        if value.is_nan() { f64::NEG_INFINITY } else { value }
    };
    let name = |scored: &Scored| {
        let Record { instrument, frame, signal, .. } = &scored.record;
        (instrument.clone(), frame.clone(), signal.clone())
    };
    scored.sort_by_cached_key(name);
    scored.sort_by(|a, b| value(b).total_cmp(&value(a)));
}

fn save(store: &Store, scored: &mut [Scored], operation: &Operation) -> Result<u64> {
    let newest = store.view();
    let run = results::next_run(&newest)?;
    let records: Vec<Record> = scored
        .iter_mut()
        .map(|scored| {
            scored.record.run = run;
            scored.record.clone()
        })
        .collect();
    let mut transaction = store.begin();
    transaction.source("backtest").message(&format!("explore, run {run}"));
    transaction.expect_unchanged(&results::table()?, newest.version());
    results::stage(&mut transaction, &records)?;
    transaction.note(&operation.done(now_ns(), &format!("run {run}, {} results", records.len())))?;
    transaction.commit()?;
    Ok(run)
}

impl Done {
    fn take_time(&mut self, spent: &Spent, started: Instant) {
        let seconds = |part: &AtomicU64| part.load(Ordering::Relaxed) as f64 / 1e9;
        self.parts = [&spent.load, &spent.factors, &spent.backtest, &spent.write].map(seconds);
        self.seconds = started.elapsed().as_secs_f64();
    }

    /// Factors that had too few bars.
    fn skipped(&self) -> usize {
        self.found.skipped.iter().map(|skipped| skipped.factors.len()).sum()
    }

    /// Results in a second.
    fn speed(&self) -> f64 {
        self.found.scored.len() as f64 / self.seconds.max(1e-9)
    }

    fn tell(&self, context: &Context, arguments: &Explore) -> Result<()> {
        let mut out = Out::stdout();
        if context.json {
            self.tell_json(&mut out)?;
            return out.finish();
        }
        let heads = SHOWN.map(|(_, head)| (head, Side::Right));
        let first =
            [("#", Side::Right), ("instrument", Side::Left), ("frame", Side::Left), ("factor", Side::Left)];
        let mut table = Table::new(first.into_iter().chain(heads));
        for (place, Scored { record, .. }) in self.found.scored.iter().take(arguments.top).enumerate() {
            let names = [
                (place + 1).to_string(),
                record.instrument.clone(),
                record.frame.clone(),
                record.signal.clone(),
            ];
            let cells = SHOWN.map(|(name, _)| number(name, record.value(name)));
            table.row(names.into_iter().chain(cells));
        }
        if !table.is_empty() {
            table.write(&mut out)?;
        }
        for Skipped { instrument, frame, factors, longest } in &self.found.skipped {
            let text = format!(
                "tape: {instrument} {frame}: {} factors skipped, {longest} bars without a gap are fewer than their warm-up: {}",
                factors.len(),
                factors.join(" ")
            );
            note(context.quiet, &text);
        }
        for Failed { instrument, frame, signal, error } in &self.found.failed {
            note(false, &format!("tape: {instrument} {frame} {signal}: {error}"));
        }
        self.tell_time(&mut out)?;
        if let Some(run) = self.run {
            writeln!(out, "kept as run {run}")?;
        }
        if let Some(path) = &arguments.report {
            writeln!(out, "report: {}", shown(path))?;
        }
        out.finish()
    }

    /// Where the time went, as shares of the work of all threads.
    fn tell_time(&self, out: &mut Out) -> Result<()> {
        let work: f64 = self.parts.iter().sum();
        let parts = PARTS.iter().zip(self.parts).map(|(name, seconds)| {
            format!("{name} {seconds:.3} s ({:.0} %)", seconds / work.max(1e-9) * 100.0)
        });
        writeln!(out, "time: {}; of {} threads", parts.collect::<Vec<_>>().join(", "), self.threads)?;
        writeln!(
            out,
            "all: {:.3} s by the clock, {} results, {} skipped, {} failed, {} bars, {:.0} results/s{}",
            self.seconds,
            grouped(self.found.scored.len() as u64),
            grouped(self.skipped() as u64),
            grouped(self.found.failed.len() as u64),
            grouped(self.found.bars),
            self.speed(),
            peak_bytes().map_or(String::new(), |peak| format!(", at most {} of memory", bytes(peak)))
        )?;
        Ok(())
    }

    /// A line a result, best first; a line a failure; a line about all of it.
    fn tell_json(&self, out: &mut Out) -> Result<()> {
        for Scored { record, .. } in &self.found.scored {
            out.write_all(&object(record, 0).line())?;
        }
        for Failed { instrument, frame, signal, error } in &self.found.failed {
            let object = Object::new()
                .text("instrument", instrument)
                .text("frame", frame)
                .text("signal", signal)
                .text("error", error);
            out.write_all(&object.line())?;
        }
        for Skipped { instrument, frame, factors, longest } in &self.found.skipped {
            let object = Object::new()
                .text("instrument", instrument)
                .text("frame", frame)
                .raw("skipped", &texts(factors))
                .count("bars_without_a_gap", *longest as u64);
            out.write_all(&object.line())?;
        }
        let mut time = Object::new();
        for (name, seconds) in PARTS.iter().zip(self.parts) {
            time = time.float(name, seconds);
        }
        let meta = Object::new()
            .raw("seconds_of_all_threads", &time.closed())
            .float("seconds", self.seconds)
            .count("threads", self.threads as u64)
            .count("results", self.found.scored.len() as u64)
            .count("skipped", self.skipped() as u64)
            .count("failed", self.found.failed.len() as u64)
            .count("bars", self.found.bars)
            .float("results_per_second", self.speed())
            .maybe_int("peak_memory_bytes", peak_bytes().map(|peak| peak as i64))
            .count("store_version", self.store_version)
            .maybe_int("run", self.run.map(|run| run as i64));
        out.write_all(&Object::new().raw("_meta", &meta.closed()).line())?;
        Ok(())
    }
}

/// Most memory that the process had so far; `None` where the system does not tell.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// The words of a call that explores an instrument as these arguments do, but for factors, timeframes and version.
fn call(arguments: &Explore, instrument: &str, gaps: GapPolicy, range: &Range<i64>) -> Vec<String> {
    let trading = &arguments.trading;
    let mut out = vec![instrument.to_owned(), format!("--frame={}", arguments.frame)];
    out.push(format!("--shape={}", arguments.shape));
    out.push(format!("--factor-gaps={}", gaps.name()));
    out.extend(super::backtest::trading_words(trading));
    out.extend(Some(range.start).filter(|start| *start > i64::MIN).map(|start| format!("--from={start}")));
    out.extend(Some(range.end).filter(|end| *end < i64::MAX).map(|end| format!("--to={end}")));
    out
}

impl RankBy {
    /// As it is written in arguments.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
