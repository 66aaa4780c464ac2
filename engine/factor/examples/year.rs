//! A year of one-minute bars of Hong Kong, made up, and what it takes to compute 72 factors of it in 11 timeframes; for
//! `benches/factors.py`, which sets it beside TA-Lib.
//!
//! - `year make DIR COUNT`: a store with so many instruments: 246 weekdays of 330 minutes, random walks in ticks.
//! - `year run DIR COUNT THREADS`: opens the store and computes everything of so many instruments.
//! - `year update DIR`: one bar after another of the last ten days into all timeframes, from the state of all before.
//! - `year frames DIR OUT`: the frames of the first instrument, for others: rows, then columns, little-endian.
//!
//! Every mode prints one line of JSON.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore::{Batch, Options, SeriesKey, Store, Values, schema};
use tapestore_factor::{
    Bar, Factor, GapPolicy, Selection, Setup, Stream, TIMEFRAMES, Table, compute_many, frames,
};
use tapestore_query::Sessions;

type Outcome<T> = Result<T, Box<dyn Error>>;

const DAYS: i64 = 246;
/// 2024-01-01, a Monday.
const START_NS: i64 = 19_723 * DAY_NS;

fn sessions() -> tapestore::Result<Arc<Sessions>> {
    let hours = [9 * HOUR_NS + 30 * MINUTE_NS..12 * HOUR_NS, 13 * HOUR_NS..16 * HOUR_NS];
    // 49 weeks of five days, and one day.
    let days = START_NS..START_NS + (DAYS / 5 * 7 + DAYS % 5) * DAY_NS;
    Ok(Arc::new(Sessions::on_weekdays(days, 8 * HOUR_NS, &hours, &[])?))
}

fn key(number: usize) -> tapestore::Result<SeriesKey> {
    SeriesKey::new(&format!("{:04}.HK", number + 1), "1m")
}

fn setup() -> tapestore::Result<Setup> {
    Ok(Setup {
        timeframes: TIMEFRAMES.to_vec(),
        selection: Selection::ALL,
        gaps: GapPolicy::Bridge,
        sessions: Some(sessions()?),
    })
}

/// A random walk: prices in ticks of 0.05, volumes in lots of 100.
fn walk(rows: usize, seed: u64) -> [Vec<f64>; 5] {
    let mut state = seed * 2_654_435_761 + 1;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below) as i64
    };
    let mut out: [Vec<f64>; 5] = Default::default();
    let mut price = 6000 + next(2000);
    for _ in 0..rows {
        let open = price + next(3) - 1;
        let close = (open + next(9) - 4).max(200);
        let (high, low) = (open.max(close) + next(4), open.min(close) - next(4));
        for (column, ticks) in out.iter_mut().zip([open, high, low, close]) {
            column.push(ticks as f64 / 20.0);
        }
        out[4].push((next(900) * 100) as f64);
        price = close;
    }
    out
}

fn make(directory: &Path, count: usize) -> Outcome<String> {
    let store = Store::create(directory, Options { background: false, ..Options::default() })?;
    let all = sessions()?;
    let times: Vec<i64> =
        all.all().iter().flat_map(|session| session.open.clone().step_by(MINUTE_NS as usize)).collect();
    for number in 0..count {
        let [open, high, low, close, volume] = walk(times.len(), number as u64 + 1);
        let mut transaction = store.begin();
        transaction.source("a random walk").create_series(&key(number)?, schema::bars())?;
        let batch = Batch::new(times.clone())
            .with("open", Values::F64(open))
            .with("high", Values::F64(high))
            .with("low", Values::F64(low))
            .with("close", Values::F64(close))
            .with("volume", Values::F64(volume));
        transaction.append(&key(number)?, batch)?;
        transaction.commit()?;
    }
    store.seal()?;
    store.close()?;
    Ok(format!("{{\"instruments\": {count}, \"bars\": {}}}", times.len()))
}

/// Greatest memory of the process so far, in kilobytes, where the system tells.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn run(directory: &Path, count: usize, threads: usize) -> Outcome<String> {
    let start = Instant::now();
    let store = Store::open_read_only(directory, Options { background: false, ..Options::default() })?;
    let view = store.view();
    let sources: Vec<SeriesKey> = (0..count).map(key).collect::<Result<_, _>>()?;
    let (values, failures) = (AtomicU64::new(0), AtomicU64::new(0));
    let setup = setup()?;
    compute_many(&view, &sources, &(i64::MIN..i64::MAX), &setup, threads, |_, made| match made {
        Ok((frame, _)) => {
            values.fetch_add((frame.time.len() * Factor::ALL.len()) as u64, Ordering::Relaxed);
        }
        Err(_) => {
            failures.fetch_add(1, Ordering::Relaxed);
        }
    });
    let total = start.elapsed().as_secs_f64();
    let peak = peak_kb();
    // Once more, to tell reading from computing; the files are in memory now.
    let start = Instant::now();
    let made = frames(&view, &sources[0], i64::MIN..i64::MAX, &setup, 1)?;
    let load = start.elapsed().as_secs_f64();
    let mut table = Table::default();
    let start = Instant::now();
    for frame in &made {
        frame.compute(setup.selection, &mut table);
    }
    let compute = start.elapsed().as_secs_f64();
    if failures.load(Ordering::Relaxed) > 0 {
        return Err("an instrument could not be computed".into());
    }
    let values = values.load(Ordering::Relaxed);
    Ok(format!(
        "{{\"total_s\": {total}, \"load_s\": {load}, \"compute_s\": {compute}, \"values\": {values}, \"peak_kb\": {peak}}}"
    ))
}

fn update(directory: &Path) -> Outcome<String> {
    let store = Store::open_read_only(directory, Options { background: false, ..Options::default() })?;
    let view = store.view();
    let rows = view.read(&key(0)?).rows()?;
    let column = |name: &str| rows.f64(name).ok_or("a column is missing");
    let [open, high, low, close, volume] =
        [column("open")?, column("high")?, column("low")?, column("close")?, column("volume")?];
    let mut stream = Stream::new(&key(0)?, &setup()?, Vec::new())?;
    let (mut times, mut most) = (Vec::new(), (0, 0.0));
    for row in 0..rows.len() {
        let bar =
            Bar { open: open[row], high: high[row], low: low[row], close: close[row], volume: volume[row] };
        let mut finished = 0;
        let start = Instant::now();
        stream.push(rows.time()[row], &bar, |_| finished += 1)?;
        let took = start.elapsed().as_secs_f64();
        if row + 3300 >= rows.len() {
            times.push(took);
            if finished > most.0 {
                most = (finished, f64::INFINITY);
            }
            if finished == most.0 {
                most.1 = took.min(most.1);
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Ok(format!(
        "{{\"median_s\": {}, \"p99_s\": {}, \"max_s\": {}, \"most_frames\": {}, \"most_frames_s\": {}}}",
        at(0.5),
        at(0.99),
        at(1.0),
        most.0,
        most.1
    ))
}

fn export(directory: &Path, target: &str) -> Outcome<String> {
    let store = Store::open_read_only(directory, Options { background: false, ..Options::default() })?;
    let made = frames(&store.view(), &key(0)?, i64::MIN..i64::MAX, &setup()?, 1)?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(target)?);
    for frame in &made {
        out.write_all(&(frame.time.len() as u64).to_le_bytes())?;
        let bars = frame.bars();
        let fields: [fn(Bar) -> f64; 5] =
            [|bar| bar.open, |bar| bar.high, |bar| bar.low, |bar| bar.close, |bar| bar.volume];
        for field in fields {
            for row in 0..frame.time.len() {
                out.write_all(&field(bars.bar(row)).to_le_bytes())?;
            }
        }
    }
    out.flush()?;
    let rows: Vec<String> = made.iter().map(|frame| frame.time.len().to_string()).collect();
    Ok(format!("{{\"rows\": [{}]}}", rows.join(", ")))
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let line = match arguments[..] {
        ["make", directory, count] => make(Path::new(directory), count.parse()?)?,
        ["run", directory, count, threads] => run(Path::new(directory), count.parse()?, threads.parse()?)?,
        ["update", directory] => update(Path::new(directory))?,
        ["frames", directory, target] => export(Path::new(directory), target)?,
        _ => return Err("year make|run|update|frames, see the source".into()),
    };
    println!("{line}");
    Ok(())
}
