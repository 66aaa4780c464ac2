//! What a page shows beyond the overview, read from the store within bounds.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use tapestore::time::{DAY_NS, date_text};
use tapestore::{AsOf, Rows, SeriesKey, Store, Timeframe, View};
use tapestore_quality::{Checked, Expected, Finding, Score, Tally, Tier};

use crate::draw::{Candle, HeatRow};
use crate::error::Result;
use crate::overview::{Knowledge, Line, Overview};

/// How much a page shows at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Series of the map of days.
    pub heat_rows: usize,
    /// Columns of the map of days; more days are put together.
    pub heat_columns: usize,
    /// Rows of the table of series.
    pub series: usize,
    /// Findings with pictures.
    pub findings: usize,
    /// Rows of the list of findings.
    pub listed: usize,
    /// Versions of the trend.
    pub versions: usize,
    /// Alerts that are seen at once, and all that are on the page.
    pub alerts: (usize, usize),
    /// Series whose reading is measured, and rows of each.
    pub sample: (usize, usize),
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            heat_rows: 60,
            heat_columns: 98,
            series: 100,
            findings: 12,
            listed: 60,
            versions: 32,
            alerts: (10, 60),
            sample: (6, 300_000),
        }
    }
}

/// Bars before and after what a picture is about.
const AROUND: usize = 16;
/// Bars in the middle of a picture.
const WITHIN: usize = 16;

/// A map of days.
#[derive(Clone, Debug, Default)]
pub struct Heat {
    /// The worst series first.
    pub rows: Vec<HeatRow>,
    /// The day with which each column begins.
    pub dates: Vec<String>,
    /// Days of a column.
    pub days: i64,
    /// Series that are not on it.
    pub left_out: usize,
    /// Some were not checked: then a day is good if its bars are there.
    pub unchecked: usize,
}

/// A finding with the bars around it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The finding.
    pub finding: Finding,
    /// Bars around it, in order.
    pub candles: Vec<Candle>,
}

/// The score at a version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The version.
    pub version: u64,
    /// When it was committed, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// Its score.
    pub score: Score,
}

/// Reading, measured while the report was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Speed {
    /// Series that were read.
    pub series: usize,
    /// Rows that were read, each with time, open, high, low, close and volume.
    pub rows: u64,
    /// Seconds for all of them, the first time: from files and with decoding, unless the system had them in memory.
    pub first_s: f64,
    /// Rows a second, the first time.
    pub rows_per_s: f64,
    /// Milliseconds for 1,000 bars at a random place: the median.
    pub median_ms: f64,
    /// Of 100 such, 99 are not slower.
    pub p99_ms: f64,
}

/// All that a page shows.
#[derive(Clone, Debug)]
pub struct Report {
    /// At a glance.
    pub overview: Overview,
    /// The range that was asked for, nanoseconds since the Unix epoch, UTC.
    pub range: Range<i64>,
    /// Instruments that were asked for; empty: all.
    pub instruments: Vec<String>,
    /// Days.
    pub heat: Heat,
    /// The worst findings.
    pub cases: Vec<Case>,
    /// The trend, the oldest first.
    pub trend: Vec<Moment>,
    /// Reading.
    pub speed: Option<Speed>,
    /// What was shown at most.
    pub bounds: Bounds,
}

impl Report {
    /// Reads what a report shows. `range` bounds days and findings; `instruments`, if not empty, all of it.
    ///
    /// # Errors
    /// Damage.
    pub fn gather(
        store: &Store,
        view: &View,
        knowledge: &Knowledge,
        (range, instruments): (Range<i64>, Vec<String>),
        bounds: Bounds,
        now_ns: i64,
    ) -> Result<Self> {
        let mut knowledge = knowledge.clone();
        let wanted =
            |key: &SeriesKey| instruments.is_empty() || instruments.iter().any(|it| it == key.instrument());
        knowledge.watched.retain(|it| wanted(&it.key));
        let mut overview = Overview::of(store, view, &knowledge, now_ns)?;
        overview.findings.retain(|finding| wanted(&finding.key) && range.contains(&finding.at_ns));
        let checked = tapestore_quality::checked(view)?;
        let heat = heat(view, &overview.lines, &checked, &range, &bounds)?;
        let mut cases = Vec::new();
        // One of each rule first: twelve of a kind tell no more than two.
        let mut seen: BTreeMap<(String, SeriesKey), usize> = BTreeMap::new();
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (place, finding) in overview.findings.iter().enumerate() {
            let again = seen.entry((finding.rule.name().to_owned(), finding.key.clone())).or_default();
            order.push((*again, place));
            *again += 1;
        }
        order.sort_unstable();
        for (_, place) in order.into_iter().take(bounds.findings) {
            let finding = overview.findings[place].clone();
            let watched = knowledge.watched.iter().find(|it| it.key == finding.key);
            let expected = watched.and_then(|it| it.expected.as_deref().ok());
            let candles = around(view, &finding, expected)?;
            cases.push(Case { finding, candles });
        }
        let trend = trend(store, view, &knowledge, &wanted, bounds.versions)?;
        let speed = speed(view, &overview.lines, bounds.sample)?;
        Ok(Self { overview, range, instruments, heat, cases, trend, speed, bounds })
    }
}

/// The series of an instrument that has the most bars stands for it; the worst come first.
fn heat(
    view: &View,
    lines: &[Line],
    checked: &[Checked],
    range: &Range<i64>,
    bounds: &Bounds,
) -> Result<Heat> {
    let mut finest: BTreeMap<&str, &Line> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.rows > 0) {
        let known = finest.entry(line.key.instrument()).or_insert(line);
        if line.key.frame().timeframe() < known.key.frame().timeframe() {
            *known = line;
        }
    }
    let mut chosen: Vec<&Line> = finest.into_values().collect();
    chosen.sort_by(|a, b| {
        let ratio = |line: &Line| line.score.as_ref().map_or(2.0, |score| score.ratio);
        ratio(a).total_cmp(&ratio(b)).then(a.key.cmp(&b.key))
    });
    let left_out = chosen.len().saturating_sub(bounds.heat_rows);
    chosen.truncate(bounds.heat_rows);
    let clip = |first: Option<i64>, last: Option<i64>| {
        Some(first?.max(range.start)..last?.saturating_add(1).min(range.end))
    };
    let spans: Vec<Range<i64>> = chosen
        .iter()
        .filter_map(|line| clip(line.first_ns, line.last_ns))
        .filter(|span| !span.is_empty())
        .collect();
    let (Some(start), Some(end)) =
        (spans.iter().map(|span| span.start).min(), spans.iter().map(|span| span.end).max())
    else {
        return Ok(Heat { left_out, ..Heat::default() });
    };
    let first = start.div_euclid(DAY_NS);
    let count = (end - 1).div_euclid(DAY_NS) - first + 1;
    let days = (count as u64).div_ceil(bounds.heat_columns.max(1) as u64).max(1) as i64;
    let columns = (count as u64).div_ceil(days as u64) as usize;
    let column = |day_ns: i64| ((day_ns.div_euclid(DAY_NS) - first) / days) as usize;
    let mut heat = Heat {
        dates: (0..columns).map(|at| date_text((first + at as i64 * days) * DAY_NS)).collect(),
        days,
        left_out,
        ..Heat::default()
    };
    for line in chosen {
        let mut cells: Vec<(u64, u64)> = vec![(0, 0); columns];
        match checked.iter().find(|one| one.key == line.key) {
            Some(one) => {
                for day in tapestore_quality::days(view, one, first * DAY_NS..end)? {
                    let cell = &mut cells[column(day.day_ns).min(columns - 1)];
                    *cell = (cell.0 + day.tally.usable, cell.1 + day.tally.expected);
                }
            }
            None => {
                heat.unchecked += 1;
                covered(view, line, (first, days), &mut cells)?;
            }
        }
        let (good, all) = cells.iter().fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
        heat.rows.push(HeatRow {
            name: line.key.to_string(),
            cells: cells.iter().map(|(good, all)| (*all > 0).then(|| Tier::of(*good, *all))).collect(),
            share: percent(good, all),
        });
    }
    Ok(heat)
}

/// Bars that are there, of those that would be without gaps, column by column, from the gap index.
fn covered(view: &View, line: &Line, (first, days): (i64, i64), cells: &mut [(u64, u64)]) -> Result<()> {
    let (Some(timeframe), Some(from), Some(to)) = (line.key.frame().timeframe(), line.first_ns, line.last_ns)
    else {
        return Ok(());
    };
    let end = timeframe.slot(to) + 1;
    let runs = view.coverage(&line.key, None)?;
    let mut runs = runs.iter().peekable();
    for (at, cell) in cells.iter_mut().enumerate() {
        let begin = (first + at as i64 * days) * DAY_NS;
        let slots = timeframe.slot(begin.max(from))
            ..timeframe.slot(begin + days * DAY_NS - 1).saturating_add(1).min(end);
        if slots.is_empty() {
            continue;
        }
        let mut present = 0;
        while let Some(run) = runs.peek() {
            present += (run.end.min(slots.end) - run.start.max(slots.start)).max(0);
            if run.end > slots.end {
                break;
            }
            runs.next();
        }
        *cell = (present as u64, (slots.end - slots.start) as u64);
    }
    Ok(())
}

/// A share in percent that is never rounded up to 100.
pub fn percent(part: u64, of: u64) -> String {
    match of {
        0 => "-".to_owned(),
        _ if part >= of => "100 %".to_owned(),
        _ => format!("{:.2} %", (part as f64 / of as f64 * 10_000.0).floor() / 100.0),
    }
}

/// The bars around a finding: some before, at most some of those it is about, some after; and what is missing between.
fn around(view: &View, finding: &Finding, expected: Option<&Expected>) -> Result<Vec<Candle>> {
    let Some(timeframe) = finding.key.frame().timeframe() else { return Ok(Vec::new()) };
    let read = |range: Range<i64>| {
        view.read(&finding.key).range(range).columns(&["open", "high", "low", "close", "volume"])
    };
    // Of a long finding the bars about the worst.
    let middle = timeframe.slot(finding.worst_ns);
    let start = timeframe.slot_start(middle - WITHIN as i64 / 2).max(finding.at_ns).min(finding.worst_ns);
    let end = timeframe.slot_start(middle + WITHIN as i64 / 2).min(finding.end_ns).max(start);
    let parts = [
        read(i64::MIN..start).last(AROUND),
        read(start..end).first(WITHIN),
        read(end.max(start)..i64::MAX).first(AROUND),
    ];
    let mut items = Vec::new();
    let mut before: Option<i64> = None;
    let about = finding.at_ns..finding.end_ns;
    for part in parts {
        let rows = match part {
            // The series is gone, or has other columns by now.
            Err(tapestore::Error::NotFound(_) | tapestore::Error::Usage(_)) => return Ok(Vec::new()),
            rows => rows?,
        };
        push(&mut items, &mut before, &rows, timeframe, expected, &about);
    }
    Ok(items)
}

fn push(
    items: &mut Vec<Candle>,
    before: &mut Option<i64>,
    rows: &Rows,
    timeframe: Timeframe,
    expected: Option<&Expected>,
    about: &Range<i64>,
) {
    let columns: Vec<&[f64]> =
        ["open", "high", "low", "close", "volume"].iter().filter_map(|name| rows.f64(name)).collect();
    let [open, high, low, close, volume] = columns.as_slice() else { return };
    for (row, time) in rows.time().iter().enumerate() {
        let slot = timeframe.slot(*time);
        if let Some(last) = before.filter(|last| slot - last > 1) {
            let hole = timeframe.slot_start(last + 1)..timeframe.slot_start(slot);
            // Bars off the grid end within the slot after theirs: what is missing has to be what it is about.
            let common = hole.end.min(about.end).saturating_sub(hole.start.max(about.start)).max(0);
            let concerned = common > 0 && common >= (hole.end - hole.start) / 10 * 9;
            // A night or a weekend is no hole.
            let missing = expected.map_or((slot - last - 1).unsigned_abs(), |expected| expected.count(&hole));
            if missing > 0 {
                items.push(Candle::Hole(missing, concerned));
            }
        }
        *before = Some(slot);
        let bar = [open[row], high[row], low[row], close[row], volume[row]];
        items.push(Candle::Bar(bar, about.contains(time)));
    }
}

/// The score at versions between the first that was checked and now, evenly chosen; equal neighbours are one.
fn trend(
    store: &Store,
    view: &View,
    knowledge: &Knowledge,
    wanted: &dyn Fn(&SeriesKey) -> bool,
    versions: usize,
) -> Result<Vec<Moment>> {
    let commits = store.log(usize::MAX)?;
    let mut moments: Vec<Moment> = Vec::new();
    let step = commits.len().div_ceil(versions.max(1) * 8).max(1);
    for commit in commits.iter().rev().step_by(step).chain(commits.first()) {
        if commit.version > view.version() {
            continue;
        }
        // A version that was pruned cannot be read any more.
        let Ok(old) = store.as_of(&AsOf::Version(commit.version)) else { continue };
        let checked = tapestore_quality::checked(&old)?;
        let tally: Tally = checked.iter().filter(|one| wanted(&one.key)).map(|one| one.tally).sum();
        if tally.expected == 0 {
            continue;
        }
        let score = Score::of(tally, None, &knowledge.rules);
        if moments.last().is_none_or(|last| last.score.tally != tally) {
            moments.push(Moment { version: commit.version, time_ns: commit.time_ns, score });
        }
    }
    let step = moments.len().div_ceil(versions.max(1)).max(1);
    let last = moments.len().saturating_sub(1);
    let mut place = 0;
    moments.retain(|_| {
        place += 1;
        (last + 1 - place).is_multiple_of(step)
    });
    Ok(moments)
}

/// Reads some of the largest series and measures it.
fn speed(view: &View, lines: &[Line], (series, rows): (usize, usize)) -> Result<Option<Speed>> {
    let columns = ["open", "high", "low", "close", "volume"];
    let mut largest: Vec<&Line> = lines.iter().filter(|line| line.rows > 0).collect();
    largest.sort_by_key(|line| (std::cmp::Reverse(line.rows), line.key.clone()));
    largest.truncate(series);
    let mut found = Speed::default();
    for line in &largest {
        let begun = Instant::now();
        match view.read(&line.key).columns(&columns).last(rows) {
            // Bars without a volume, or of another kind.
            Err(tapestore::Error::NotFound(_) | tapestore::Error::Usage(_)) => continue,
            read => found.rows += read?.len() as u64,
        }
        found.first_s += begun.elapsed().as_secs_f64();
        found.series += 1;
    }
    if found.rows == 0 {
        return Ok(None);
    }
    found.rows_per_s = found.rows as f64 / found.first_s.max(1e-9);
    let mut times = Vec::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for at in 0..100 {
        let line = largest[at % largest.len()];
        let (Some(first), Some(last), Some(timeframe)) =
            (line.first_ns, line.last_ns, line.key.frame().timeframe())
        else {
            continue;
        };
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let from = first + (i128::from(last - first) * i128::from(state >> 33) / (1 << 31)) as i64;
        let to = timeframe.slot_start(timeframe.slot(from) + 1000);
        let begun = Instant::now();
        if view.read(&line.key).range(from..to).columns(&columns).rows().is_ok() {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    let at =
        |share: f64| times.get(((times.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied();
    (found.median_ms, found.p99_ms) = (at(0.5).unwrap_or(0.0), at(0.99).unwrap_or(0.0));
    Ok(Some(found))
}
