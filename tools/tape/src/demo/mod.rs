//! `tape demo`: the main job from end to end, told with real numbers.

mod market;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tapestore::{AsOf, Batch, Operation, SeriesKey, Store, flags};
use tapestore_format::coverage::Run;
use tapestore_format::rows::{RunVec, Values};
use tapestore_format::time::{DAY_NS, MINUTE_NS, Timeframe};

use crate::args::Demo;
use crate::calendar::brief;
use crate::commands::import::{Outcome, StoreSink};
use crate::commands::{Context, covered, write_options};
use crate::fail::{Fail, Result};
use crate::import::Settings;
use crate::import::source::Input;
use crate::number::{bytes, grouped};
use crate::output::strip::{percent, strip};
use crate::output::table::{Side, Table};
use crate::output::{Out, shown};
use crate::progress::Progress;
use crate::when::now_ns;
use market::{Market, RECIPES, Recipe};

/// Cells of the coverage strips.
const STRIP_CELLS: usize = 48;
/// Gaps that are shown.
const GAPS_SHOWN: usize = 3;

/// One instrument on its way through the demo.
struct Stage {
    recipe: Recipe,
    market: Market,
    key: SeriesKey,
    path: PathBuf,
}

/// Runs `tape demo`.
pub(crate) fn run(context: &Context, arguments: &Demo) -> Result<()> {
    let started = Instant::now();
    let temporary;
    let directory = if let Some(directory) = &arguments.keep {
        std::fs::create_dir_all(directory).map_err(|error| Fail::file(directory, "create", &error))?;
        directory.as_path()
    } else {
        temporary = tempfile::Builder::new().prefix("tape-demo-").tempdir()?;
        temporary.path()
    };
    let root = directory.join("store");
    if root.exists() {
        return Err(Fail::Usage(format!("{} exists; choose another directory for --keep", root.display())));
    }
    let mut out = Out::stdout();
    let stages = make_files(&mut out, directory)?;
    let store = Store::create(&root, write_options())?;
    import_all(&mut out, &store, &stages, context.quiet)?;
    show_coverage(&mut out, &store, &stages)?;
    let btc = &stages[0];
    read_a_range(&mut out, &store, btc)?;
    correct_and_roll_back(&mut out, &store, btc)?;
    sizes(&mut out, &store, &stages)?;
    verify(&mut out, store, &root)?;
    writeln!(out, "\nAll of it took {:.1} s.", started.elapsed().as_secs_f64())?;
    match &arguments.keep {
        Some(_) => writeln!(
            out,
            "The store and its CSV files are in {}. Try: tape --store {} ls",
            shown(directory),
            shown(&root)
        )?,
        None => {
            writeln!(out, "The store was in a temporary directory and is gone; keep one with --keep DIR.")?;
        }
    }
    out.finish()
}

fn heading(out: &mut Out, number: usize, text: &str) -> Result<()> {
    writeln!(out, "\n{number}. {text}")?;
    Ok(out.flush()?)
}

fn make_files(out: &mut Out, directory: &Path) -> Result<Vec<Stage>> {
    writeln!(out, "Tapestore demo: three instruments, one-minute bars, made from a fixed seed.")?;
    heading(out, 1, "Files as one gets them: minutes missing, spikes, rows twice, rows out of order")?;
    let mut table = Table::new([
        ("file", Side::Left),
        ("rows", Side::Right),
        ("different", Side::Right),
        ("twice", Side::Right),
        ("out of order", Side::Right),
        ("minutes dropped", Side::Right),
        ("spikes", Side::Right),
        ("size", Side::Right),
    ]);
    let mut stages = Vec::new();
    for recipe in RECIPES {
        let market = recipe.make();
        let path = directory.join(format!("{}-1m.csv", recipe.instrument));
        std::fs::write(&path, &market.csv).map_err(|error| Fail::file(&path, "write", &error))?;
        table.row([
            path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            grouped(market.rows),
            grouped(market.bars),
            grouped(market.duplicates),
            grouped(market.out_of_order),
            grouped(market.dropped),
            market.true_bars.len().to_string(),
            bytes(market.csv.len() as u64),
        ]);
        let key = SeriesKey::new(recipe.instrument, "1m")?;
        stages.push(Stage { recipe, market, key, path });
    }
    table.write(out)?;
    writeln!(
        out,
        "One has commas and milliseconds, one semicolons and dates, one tabs, seconds and no header."
    )?;
    Ok(stages)
}

fn import_once(store: &Store, stage: &Stage, quiet: bool) -> Result<Outcome> {
    let settings = Settings { batch_rows: 4_000_000, ..Settings::default() };
    let message = format!("import {}", stage.recipe.instrument);
    let operation = Operation::begin(now_ns(), "import", &stage.key.to_string());
    let sink = StoreSink::new(store, &stage.key, "demo", &message, operation)?;
    let outcome = sink.import(Input::new(&stage.path), &settings, &mut Progress::new(quiet))?;
    if outcome.added + outcome.unchanged != stage.market.bars {
        return Err(Fail::Corrupt(format!("{}: {} bars expected", stage.key, stage.market.bars)));
    }
    Ok(outcome)
}

fn import_all(out: &mut Out, store: &Store, stages: &[Stage], quiet: bool) -> Result<()> {
    heading(out, 2, "Import: one transaction a file; delimiter, header and unit of time are found")?;
    let started = Instant::now();
    let mut rows = 0;
    for stage in stages {
        let outcome = import_once(store, stage, quiet)?;
        rows += outcome.tally.read;
        writeln!(
            out,
            "{}: {} rows read, {} added, {} duplicates; times in {}; version {}",
            stage.key,
            grouped(outcome.tally.read),
            grouped(outcome.added),
            grouped(outcome.duplicates),
            outcome.tally.unit.unwrap_or("unknown"),
            outcome.version
        )?;
    }
    let seconds = started.elapsed().as_secs_f64();
    writeln!(
        out,
        "{} rows in {seconds:.2} s: {} rows/s",
        grouped(rows),
        grouped((rows as f64 / seconds) as u64)
    )?;
    let again = import_once(store, &stages[0], quiet)?;
    writeln!(
        out,
        "{} once more: {} added, {} unchanged. Importing twice changes nothing.",
        stages[0].key,
        grouped(again.added),
        grouped(again.unchanged)
    )?;
    Ok(())
}

fn show_coverage(out: &mut Out, store: &Store, stages: &[Stage]) -> Result<()> {
    heading(out, 3, "What is there and what is missing, from the gap index: no price is read")?;
    let view = store.view();
    let mut table = Table::new([
        ("instrument", Side::Left),
        ("bars", Side::Right),
        ("gaps", Side::Right),
        ("missing", Side::Right),
        ("coverage", Side::Right),
        ("", Side::Left),
    ]);
    let mut largest = Vec::new();
    let mut sessions = None;
    for stage in stages {
        let runs: Vec<Run> = view.coverage(&stage.key, None)?;
        let gaps = view.gaps(&stage.key, None)?;
        let missing: u64 = gaps.iter().map(|gap| gap.missing).sum();
        let (bars, expected) = covered(&runs);
        let (start, end) = (runs.first().map_or(0, |run| run.start), runs.last().map_or(0, |run| run.end));
        table.row([
            stage.key.instrument().to_owned(),
            grouped(bars),
            grouped(gaps.len() as u64),
            grouped(missing),
            percent(bars, expected),
            strip(&runs, start, end, STRIP_CELLS),
        ]);
        if stage.has_sessions() {
            let first = runs.first().map_or(0, |run| Timeframe::M1.slot_start(run.start));
            let last = runs.last().map_or(0, |run| Timeframe::M1.slot_start(run.end));
            let open = market::sessions(first..last);
            let missing = view.completeness_in_sessions(&stage.key, &open)?.missing;
            sessions = Some((&stage.key, open.len(), missing));
        } else {
            largest.extend(gaps.into_iter().map(|gap| (gap.missing, stage.key.clone(), gap.start, gap.end)));
        }
    }
    table.write(out)?;
    largest.sort_by_key(|gap| std::cmp::Reverse(gap.0));
    if let Some((key, count, missing)) = sessions {
        writeln!(
            out,
            "{key} trades by day only: against its {} sessions, {} bars are missing.",
            grouped(count as u64),
            grouped(missing)
        )?;
    }
    writeln!(out, "The largest holes of the others:")?;
    for (missing, key, start, end) in largest.iter().take(GAPS_SHOWN) {
        writeln!(out, "  {key}: {} bars from {} to {}", grouped(*missing), brief(*start), brief(*end))?;
    }
    Ok(())
}

impl Stage {
    /// Its nights are no outages.
    fn has_sessions(&self) -> bool {
        self.recipe.sessions
    }
}

fn read_a_range(out: &mut Out, store: &Store, stage: &Stage) -> Result<()> {
    heading(out, 4, "Read: one week, two columns, only the blocks in question")?;
    let view = store.view();
    let info = view.info(&stage.key)?;
    let start = Timeframe::D1.slot_start(Timeframe::D1.slot(info.first_ns.unwrap_or(0))) + 21 * DAY_NS;
    let range = start..start + 7 * DAY_NS;
    let started = Instant::now();
    let rows = view.read(&stage.key).range(range.clone()).columns(&["close", "volume"]).rows()?;
    let elapsed = started.elapsed();
    let (Some(close), Some(volume)) = (rows.f64("close"), rows.f64("volume")) else {
        return Err(Fail::Corrupt(format!("{}: close and volume are not there", stage.key)));
    };
    let money: f64 = close.iter().zip(volume).map(|(close, volume)| close * volume).sum();
    let total: f64 = volume.iter().sum();
    writeln!(
        out,
        "{} from {} to {}: {} bars in {} µs; volume {:.1}, average price {:.2}",
        stage.key,
        brief(range.start),
        brief(range.end),
        grouped(rows.len() as u64),
        grouped(elapsed.as_micros() as u64),
        total,
        money / total
    )?;
    Ok(())
}

fn correct_and_roll_back(out: &mut Out, store: &Store, stage: &Stage) -> Result<()> {
    heading(out, 5, "Correct a spike, travel in time, roll back")?;
    let key = &stage.key;
    let before = store.view().version();
    store.create_snapshot("as imported", None)?;
    writeln!(out, "snapshot \"as imported\" is version {before}")?;
    let close_at = |time: i64, at: Option<&AsOf>| -> Result<f64> {
        let view = match at {
            Some(at) => store.as_of(at)?,
            None => store.view(),
        };
        let rows = view.read(key).range(time..time + MINUTE_NS).columns(&["close"]).rows()?;
        let close = rows.f64("close").and_then(|values| values.first().copied());
        close.ok_or_else(|| Fail::Corrupt(format!("{key}: no bar at {}", brief(time))))
    };
    let bars = &stage.market.true_bars;
    let first = bars[0].time;
    let spike = close_at(first, None)?;
    let mut columns: [Vec<f64>; 5] = Default::default();
    for bar in bars {
        for (column, value) in columns.iter_mut().zip(stage.recipe.values(bar)) {
            column.push(value);
        }
    }
    let mut batch = Batch::new(bars.iter().map(|bar| bar.time).collect());
    for (name, values) in ["open", "high", "low", "close", "volume"].into_iter().zip(columns) {
        batch = batch.with(name, Values::F64(values));
    }
    let batch = batch.with_flags(RunVec::constant(flags::REPAIRED, bars.len()));
    let mut transaction = store.begin();
    transaction.source("correction").message("spikes corrected").upsert(key, batch)?;
    let report = transaction.commit()?;
    writeln!(
        out,
        "version {}: {} bars corrected; close at {} was {spike}, is {}",
        report.version,
        report.updated,
        brief(first),
        close_at(first, None)?
    )?;
    let snapshot = AsOf::Snapshot("as imported".to_owned());
    writeln!(out, "as of the snapshot it still is {}", close_at(first, Some(&snapshot))?)?;
    let report = store.rollback(&snapshot)?;
    writeln!(out, "rollback makes version {}: close is {} again", report.version, close_at(first, None)?)?;
    let report = store.rollback(&AsOf::Version(report.version - 1))?;
    writeln!(
        out,
        "and version {} takes that back: close is {}; every version stays readable",
        report.version,
        close_at(first, None)?
    )?;
    Ok(())
}

fn sizes(out: &mut Out, store: &Store, stages: &[Stage]) -> Result<()> {
    heading(out, 6, "Sizes")?;
    store.seal()?;
    store.compact()?;
    let stats = store.stats()?;
    let csv: u64 = stages.iter().map(|stage| stage.market.csv.len() as u64).sum();
    let rows: u64 = stages.iter().map(|stage| stage.market.bars).sum();
    writeln!(
        out,
        "CSV {}; store {}, the history of all {} versions included: {:.1} times smaller, {:.2} bytes a bar",
        bytes(csv),
        bytes(stats.bytes_on_disk),
        stats.version,
        csv as f64 / stats.bytes_on_disk as f64,
        stats.bytes_on_disk as f64 / rows as f64
    )?;
    Ok(())
}

fn verify(out: &mut Out, store: Store, root: &Path) -> Result<()> {
    heading(out, 7, "Verify: every byte is read, checked and decoded")?;
    store.close()?;
    let findings = tapestore::verify_directory(root, true)?;
    match findings.first() {
        None => Ok(writeln!(out, "clean")?),
        Some(finding) => Err(Fail::Corrupt(format!("{}: {}", finding.file, finding.detail))),
    }
}
