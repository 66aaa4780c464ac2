//! `tape backtest`: signals of a store, traded on its bars; and the results that are kept.

pub(crate) mod input;
pub(crate) mod kept;

use std::io::Write;
use std::num::NonZeroUsize;
use std::thread;

use clap::ValueEnum;
use tapestore::{Operation, SeriesKey, View};
use tapestore_backtest::results::{self, CODE, Record};
use tapestore_backtest::{Curves, Market, Metrics, Scratch, Shape, Window, combine, run_all};

use tapestore_format::limits::STRING_BYTES;

use self::input::{Input, Plan};
use super::operations::watched;
use super::{Context, range, series};
use crate::args::backtest::{Backtest, Kept, Run, Trading};
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::json::Object;
use crate::output::table::{Side, Table, facts};
use crate::output::{Out, note};
use crate::when::now_ns;

/// Runs `tape backtest`.
pub(crate) fn run(context: &Context, arguments: &Backtest) -> Result<()> {
    match (&arguments.kept, &arguments.run) {
        (Some(Kept::Ls), _) => kept::ls(context),
        (Some(Kept::Show(number)), _) => kept::show(context, number.run),
        (Some(Kept::Check(number)), _) => kept::check(context, number.run),
        (None, Some(run)) if run.save => {
            let target = format!("{} {}", run.series.instrument, run.series.frame);
            watched(context, "backtest", &target, |operation| save(context, run, operation))
        }
        (None, Some(run)) => {
            let (_store, view) = context.view(&run.state)?;
            let done = Done::of(&view, run)?;
            done.warn(context, run);
            done.print(context, 0)
        }
        (None, None) => {
            Err(Fail::Usage("backtest what? tape backtest INSTRUMENT FRAME --signal COLUMN".into()))
        }
    }
}

/// A backtest that was run.
pub(super) struct Done {
    pub(super) records: Vec<Record>,
    signals: Vec<Vec<f64>>,
    market: Market,
    time: Vec<i64>,
    missing: u64,
}

/// How signals are made and run.
pub(super) struct Task<'a> {
    pub(super) key: &'a SeriesKey,
    pub(super) signals: &'a [String],
    pub(super) shape: Shape,
    pub(super) combine: Option<(&'a [f64], Window)>,
    pub(super) threads: NonZeroUsize,
}

impl Done {
    pub(super) fn of(view: &View, run: &Run) -> Result<Self> {
        let started = now_ns();
        let (key, _) = series(view, &run.series)?;
        let range = range(&run.span)?;
        let plan = Plan::of(&run.trading, view, std::slice::from_ref(&key), &range)?;
        let shape = shape(&run.shape)?;
        let input = Input::read(view, &key, range, &plan)?;
        let (settings, basis) = plan.settings(&key)?;
        let market = input.market(&settings, plan.sessions.as_ref())?;
        let window = run.over.map_or(Window::Expanding, Window::Rolling);
        if run.over == Some(0) {
            return Err(Fail::Usage("--over 0 bars is no window".into()));
        }
        let task = Task {
            key: &key,
            signals: &run.signals,
            shape,
            combine: run.combine.as_deref().map(|weights| (weights, window)),
            threads: threads(run.threads),
        };
        let (names, signals) = make(view, &input, &task)?;
        let metrics = evaluate(&market, &names, &signals, task.threads)?;
        let bars_ns = ends(&input.time);
        // A result of several signals needs all of them, any other its own.
        let of = |name: &'_ String| -> Vec<String> {
            if run.combine.is_some() { run.signals.clone() } else { vec![name.clone()] }
        };
        let record = |(name, metrics): (&String, &Metrics)| Record {
            time_ns: started,
            run: 0,
            instrument: key.instrument().to_owned(),
            frame: key.frame().to_string(),
            signal: name.clone(),
            shape: shape.name(),
            settings: settings.to_text(),
            basis: basis.clone(),
            call: call(run, &of(name), bars_ns, view.version()),
            code: CODE.to_owned(),
            curves: String::new(),
            store_version: view.version(),
            bars_ns,
            values: results::values(metrics),
        };
        let records = names.iter().zip(&metrics).map(record).collect();
        Ok(Self { records, signals, market, time: input.time, missing: input.missing })
    }

    /// Says what a result may owe to the input.
    fn warn(&self, context: &Context, run: &Run) {
        if self.missing > 0 {
            let what = match run.trading.gaps {
                crate::args::backtest::GapsArgument::Bridge => "positions are held across the holes",
                crate::args::backtest::GapsArgument::Break => "moves across the holes count for nothing",
            };
            note(context.quiet, &format!("tape: {} bars are missing; {what}", grouped(self.missing)));
        }
        if !run.trading.says_when() {
            let basis = self.records.first().map_or("", |record| record.basis.as_str());
            let text = format!(
                "tape: ratios are annualised by {basis}; --calendar, --sessions or --bars-per-year says otherwise"
            );
            note(context.quiet, &text);
        }
    }

    /// Writes metrics; `version` is that of the commit, 0 if nothing was kept.
    fn print(&self, context: &Context, version: u64) -> Result<()> {
        let mut out = Out::stdout();
        if context.json {
            for record in &self.records {
                out.write_all(&object(record, version).line())?;
            }
            return out.finish();
        }
        print(&mut out, &self.records)?;
        out.finish()
    }
}

/// The signals that a task asks for, shaped, with their names.
pub(super) fn make(view: &View, input: &Input, task: &Task<'_>) -> Result<(Vec<String>, Vec<Vec<f64>>)> {
    let mut signals = Vec::with_capacity(task.signals.len());
    for text in task.signals {
        let mut values = input.signal(view, task.key, text)?;
        task.shape.apply(&mut values);
        signals.push(values);
    }
    let Some((weights, window)) = task.combine else { return Ok((task.signals.to_vec(), signals)) };
    if weights.len() != signals.len() {
        return Err(Fail::Usage(format!(
            "{} weights for {} signals; --combine takes one for each --signal",
            weights.len(),
            signals.len()
        )));
    }
    let parts: Vec<(&[f64], f64)> =
        signals.iter().zip(weights).map(|(values, weight)| (&values[..], *weight)).collect();
    let mut sum = vec![0.0; input.time.len()];
    combine(&parts, window, &mut sum)?;
    let name: Vec<String> =
        task.signals.iter().zip(weights).map(|(name, weight)| format!("{weight} {name}")).collect();
    Ok((vec![name.join(" + ")], vec![sum]))
}

/// Backtests signals; the first that fails is named.
pub(super) fn evaluate(
    market: &Market,
    names: &[String],
    signals: &[Vec<f64>],
    threads: NonZeroUsize,
) -> Result<Vec<Metrics>> {
    let tasks: Vec<(&Market, &[f64])> = signals.iter().map(|signal| (market, &signal[..])).collect();
    let outcomes = run_all(&tasks, threads, |_| {});
    let named = |(name, outcome): (&String, tapestore_backtest::Result<Metrics>)| {
        outcome.map_err(|error| Fail::Usage(format!("{name}: {error}")))
    };
    names.iter().zip(outcomes).map(named).collect()
}

fn save(context: &Context, run: &Run, operation: &Operation) -> Result<()> {
    let store = context.open_to_write()?;
    let view = match &run.state.as_of {
        Some(text) => store.as_of(&super::as_of(&store, text)?)?,
        None => store.view(),
    };
    let mut done = Done::of(&view, run)?;
    done.warn(context, run);
    let newest = store.view();
    let number = results::next_run(&newest)?;
    let mut transaction = store.begin();
    transaction.source("backtest").message(&format!("backtest {number}"));
    transaction.expect_unchanged(&results::table()?, newest.version());
    let several = done.records.len() > 1;
    for (at, record) in done.records.iter_mut().enumerate() {
        record.run = number;
        if run.curves {
            record.curves =
                if several { format!("backtest-{number}-{}", at + 1) } else { format!("backtest-{number}") };
            let mut curves = Curves::default();
            done.market.run_into(&done.signals[at], &mut Scratch::default(), &mut curves)?;
            let key = SeriesKey::new(&record.instrument, &record.curves)?;
            results::stage_curves(&mut transaction, &key, &done.time, &curves)?;
        }
    }
    let too_long = |record: &&Record| record.call.len() > STRING_BYTES || record.signal.len() > STRING_BYTES;
    if let Some(record) = done.records.iter().find(too_long) {
        return Err(Fail::Usage(format!(
            "a portfolio of {} signals is too long to be described in {STRING_BYTES} bytes, so it cannot be kept",
            record.signal.matches(" + ").count() + 1
        )));
    }
    results::stage(&mut transaction, &done.records)?;
    transaction.note(&operation.done(now_ns(), &format!("run {number}")))?;
    let report = transaction.commit()?;
    store.close()?;
    done.print(context, report.version)?;
    if !context.json {
        note(context.quiet, &format!("tape: kept as run {number}, version {}", report.version));
    }
    Ok(())
}

/// The shape of a name.
pub(super) fn shape(text: &str) -> Result<Shape> {
    Shape::parse(text).ok_or_else(|| {
        Fail::Usage(format!(
            "{text:?} is no shape; write raw, sign, maxabs, zscore, or maxabs:250 and zscore:250 over so many bars (2 or more)"
        ))
    })
}

/// As many as asked for, or as the machine has.
pub(super) fn threads(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

pub(super) fn ends(time: &[i64]) -> (i64, i64) {
    (time.first().copied().unwrap_or(0), time.last().copied().unwrap_or(0))
}

/// The call that makes a result again, whatever was committed since: with every setting, the times of the first and the
/// last bar, and the version that was read.
fn call(run: &Run, signals: &[String], bars_ns: (i64, i64), version: u64) -> String {
    let mut out = vec![run.series.instrument.clone(), run.series.frame.clone()];
    out.extend(signals.iter().map(|signal| format!("--signal={signal}")));
    out.push(format!("--shape={}", run.shape));
    out.extend(trading_words(&run.trading));
    if let Some(weights) = &run.combine {
        let weights: Vec<String> = weights.iter().map(f64::to_string).collect();
        out.push(format!("--combine={}", weights.join(",")));
        out.extend(run.over.map(|over| format!("--over={over}")));
    }
    out.push(format!("--from={}", bars_ns.0));
    out.push(format!("--to={}", bars_ns.1.saturating_add(1)));
    out.push(format!("--as-of={version}"));
    kept::quoted(&out)
}

/// Arguments that say how trading is simulated, every one of them.
pub(super) fn trading_words(trading: &Trading) -> Vec<String> {
    fn name(value: &impl ValueEnum) -> String {
        value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
    let mut out = vec![
        format!("--capital={}", trading.capital),
        format!("--allocation={}", trading.allocation),
        format!("--fill={}", name(&trading.fill)),
        format!("--costs={}", trading.costs),
        format!("--commission={}", trading.commission),
        format!("--minimum={}", trading.minimum),
        format!("--cost-mode={}", name(&trading.cost_mode)),
        format!("--rebalance={}", name(&trading.rebalance)),
        format!("--gaps={}", name(&trading.gaps)),
    ];
    if let Some(path) = &trading.sessions {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        out.push(format!("--sessions={}", path.display()));
    }
    out.extend(trading.calendar.iter().map(|exchange| format!("--calendar={exchange}")));
    out.extend(trading.bars_per_year.map(|bars| format!("--bars-per-year={bars}")));
    out
}

/// A result as JSON; `version` 0: that of the record is all there is.
pub(super) fn object(record: &Record, version: u64) -> Object {
    let mut object = Object::new()
        .text("instrument", &record.instrument)
        .text("frame", &record.frame)
        .text("signal", &record.signal)
        .text("shape", &record.shape)
        .int("first", record.bars_ns.0)
        .int("last", record.bars_ns.1);
    for (name, value) in &record.values {
        object = object.float(name, *value);
    }
    object = object
        .text("settings", &record.settings)
        .text("call", &record.call)
        .text("basis", &record.basis)
        .text("code", &record.code)
        .count("store_version", record.store_version);
    if record.run > 0 {
        object = object.count("run", record.run).text("curves", &record.curves);
    }
    if version > 0 { object.count("version", version) } else { object }
}

/// One result as a list of facts, several as a table.
pub(super) fn print(out: &mut Out, records: &[Record]) -> Result<()> {
    let [record] = records else { return print_table(out, records) };
    let mut lines = vec![
        (
            "bars",
            format!(
                "{}, {} to {}",
                grouped(record.value("bars") as u64),
                brief(record.bars_ns.0),
                brief(record.bars_ns.1)
            ),
        ),
        ("signal", format!("{} ({})", record.signal, record.shape)),
    ];
    for (name, value) in record.values.iter().filter(|(name, _)| name != "bars") {
        lines.push((name.as_str(), number(name, *value)));
    }
    lines.push(("bars a year", record.basis.clone()));
    lines.push(("settings", record.settings.clone()));
    lines.push(("again", format!("tape backtest {}", record.call)));
    if !record.curves.is_empty() {
        lines.push(("bar by bar", format!("{} {}", record.instrument, record.curves)));
    }
    lines.push(("code", record.code.clone()));
    facts(out, &lines)?;
    Ok(())
}

/// Metrics that a table of several results shows: name and head.
pub(super) const SHOWN: [(&str, &str); 11] = [
    ("total_return", "return"),
    ("sharpe", "Sharpe"),
    ("max_drawdown", "drawdown"),
    ("stability", "stability"),
    ("trade_win_rate", "wins"),
    ("profit_factor", "factor"),
    ("trades", "trades"),
    ("turnover", "turnover"),
    ("ic", "IC"),
    ("rank_ic", "rank IC"),
    ("icir", "ICIR"),
];

fn print_table(out: &mut Out, records: &[Record]) -> Result<()> {
    let heads = SHOWN.map(|(_, head)| (head, Side::Right));
    let mut table = Table::new([("signal", Side::Left)].into_iter().chain(heads));
    for record in records {
        let cells = SHOWN.map(|(name, _)| number(name, record.value(name)));
        table.row([record.signal.clone()].into_iter().chain(cells));
    }
    table.write(out)?;
    if let Some(record) = records.first() {
        writeln!(
            out,
            "{} bars from {} to {}; a year: {}",
            grouped(record.value("bars") as u64),
            brief(record.bars_ns.0),
            brief(record.bars_ns.1),
            record.basis
        )?;
    }
    Ok(())
}

/// A metric as people read it: shares in percent, counts grouped, ratios with four digits.
pub(super) fn number(name: &str, value: f64) -> String {
    if value.is_nan() {
        return "-".into();
    }
    match name {
        "total_return" | "max_drawdown" | "bar_win_rate" | "trade_win_rate" => {
            format!("{:.2} %", value * 100.0)
        }
        "mean_trade" | "mean_order_bar" => format!("{:.4} %", value * 100.0),
        "trades" | "round_trips" | "ic_days" | "bars" => grouped(value as u64),
        "open_at_end" | "ruined" => if value > 0.0 { "yes" } else { "no" }.into(),
        "costs" => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
