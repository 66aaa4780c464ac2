//! What can be put in place of what.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use tapestore::time::DAY_NS;
use tapestore::{Rows, RunVec, SeriesKey, Store, Timeframe, Values, View, flags};

use super::{Cell, Fix, Method, Plan};
use crate::bars::{Bars, mark_bars};
use crate::coarser::end_of;
use crate::error::Result;
use crate::expected::Expected;
use crate::ledger::{Checked, checked};
use crate::rule::Rule;
use crate::run::{Setup, bad_bars, check};

/// Bars around a bar that another source is held against.
const AROUND: usize = 30;

/// The source of a series, asked again. What it gives is judged like everything else.
pub trait Refetch {
    /// The name of the source of a series, as rows of it will carry it; `None`: it cannot be asked.
    fn origin(&self, key: &SeriesKey) -> Option<String>;

    /// Its bars in a range, with any columns.
    ///
    /// # Errors
    /// What the source says; then nothing is planned.
    fn bars(&mut self, key: &SeriesKey, range: &Range<i64>) -> Result<Rows>;
}

/// What may be used.
#[derive(Default)]
pub struct Repairs<'a> {
    /// Asks sources again.
    pub refetch: Option<&'a mut dyn Refetch>,
    /// Other instruments of the same market, in the order in which they are asked, by instrument.
    pub others: HashMap<String, Vec<String>>,
    /// Only what opens in this range.
    pub range: Option<Range<i64>>,
    /// Whether bars may be made up where there is nothing else.
    pub forward_fill: bool,
}

impl std::fmt::Debug for Repairs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repairs")
            .field("refetch", &self.refetch.is_some())
            .field("others", &self.others)
            .field("range", &self.range)
            .field("forward_fill", &self.forward_fill)
            .finish()
    }
}

/// Rules whose breach is repaired: by bars that break none of them.
fn is_repairable(rule: Rule) -> bool {
    rule == Rule::Missing || rule == Rule::Synthetic || rule.severity() == crate::Severity::High
}

/// Checks the wanted series, and plans bars in place of those that are missing or not usable. Writes nothing but findings.
///
/// # Errors
/// Damage; what a source says.
pub fn plan_repairs(
    store: &Store,
    wanted: impl Fn(&SeriesKey) -> bool,
    repairs: &mut Repairs<'_>,
    setup: &Setup,
) -> Result<Plan> {
    check(store, &wanted, setup)?;
    let view = store.view();
    let mut plan = Plan { version: view.version(), ..Plan::default() };
    let mut all = checked(&view)?;
    // Finer bars first: coarser ones are rebuilt of what is right already.
    all.sort_by_key(|one| (one.key.instrument().to_owned(), one.key.frame().timeframe()));
    let mut bad: BTreeMap<SeriesKey, Vec<(i64, Vec<Rule>)>> = BTreeMap::new();
    let mut broken_before = String::new();
    for one in &all {
        if one.key.instrument() != broken_before {
            bad.clear();
            one.key.instrument().clone_into(&mut broken_before);
        }
        let mut found = bad_bars(&view, one, setup)?;
        found.retain(|(_, rules)| rules.iter().any(|rule| is_repairable(*rule)));
        if wanted(&one.key) {
            let range = repairs.range.clone().unwrap_or(i64::MIN..i64::MAX);
            let here: Vec<_> = found.iter().filter(|(time, _)| range.contains(time)).cloned().collect();
            plan_series(&view, one, &here, &all, &bad, repairs, setup, &mut plan)?;
        }
        bad.insert(one.key.clone(), found);
    }
    plan.fixes.sort_by(|a, b| (&a.key, a.time_ns).cmp(&(&b.key, b.time_ns)));
    plan.left.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    Ok(plan)
}

#[expect(clippy::too_many_arguments, reason = "one place calls it")]
fn plan_series(
    view: &View,
    series: &Checked,
    bad: &[(i64, Vec<Rule>)],
    all: &[Checked],
    known_bad: &BTreeMap<SeriesKey, Vec<(i64, Vec<Rule>)>>,
    repairs: &mut Repairs<'_>,
    setup: &Setup,
    plan: &mut Plan,
) -> Result<()> {
    let key = &series.key;
    let Some(timeframe) = key.frame().timeframe() else { return Ok(()) };
    let finer: Vec<&Checked> = all
        .iter()
        .filter(|one| {
            one.key.instrument() == key.instrument() && one.key.frame().timeframe() < Some(timeframe)
        })
        .collect();
    for days in bad.chunk_by(|a, b| b.0 - a.0 < DAY_NS) {
        let range = days[0].0..end_of(timeframe, days[days.len() - 1].0);
        let own = view.read(key).range(range.clone()).rows()?;
        let again = match &mut repairs.refetch {
            Some(refetch) => match refetch.origin(key) {
                Some(origin) => Some((origin, refetch.bars(key, &range)?)),
                None => None,
            },
            None => None,
        };
        for (time, rules) in days {
            let at = own.time().binary_search(time).ok();
            let context = Context { view, key, time: *time, own: &own, at, setup, known_bad };
            let mut fix = again.as_ref().and_then(|(origin, rows)| context.refetched(origin, rows));
            if fix.is_none() {
                fix = context.other_source(repairs.others.get(key.instrument()), bad)?;
            }
            if fix.is_none() {
                fix = context.rebuilt(&finer)?;
            }
            if fix.is_none() && repairs.forward_fill {
                fix = context.filled(bad)?;
            }
            match fix {
                Some((method, origin, cells)) => plan.fixes.push(Fix {
                    key: key.clone(),
                    time_ns: *time,
                    rules: rules.clone(),
                    method,
                    origin,
                    cells,
                    before: at.map(|row| {
                        let value = |name: &str| own.f64(name).map_or(f64::NAN, |values| values[row]);
                        (value("close"), value("volume"))
                    }),
                }),
                None => plan.left.push((key.clone(), *time, rules.clone())),
            }
        }
    }
    Ok(())
}

type Found = Option<(Method, String, Vec<(String, Cell)>)>;

/// One bar that is missing or wrong.
struct Context<'a> {
    view: &'a View,
    key: &'a SeriesKey,
    time: i64,
    own: &'a Rows,
    at: Option<usize>,
    setup: &'a Setup,
    known_bad: &'a BTreeMap<SeriesKey, Vec<(i64, Vec<Rule>)>>,
}

impl Context<'_> {
    /// Whether a row of another place breaks no rule by itself.
    fn is_sound(&self, rows: &Rows, row: usize) -> bool {
        let Some(timeframe) = self.key.frame().timeframe() else { return false };
        let mut rows = rows.clone();
        rows.set.flags = RunVec::constant(0, rows.len());
        let Some(bars) = Bars::of(&rows) else { return false };
        let mut marks = vec![0; rows.len()];
        mark_bars(&bars, row..row + 1, timeframe, &self.setup.rules, &mut marks);
        marks[row] == 0
    }

    /// Whether a row says what is there already.
    fn is_same(&self, cells: &[(String, Cell)]) -> bool {
        let Some(at) = self.at else { return false };
        ["open", "high", "low", "close", "volume"].iter().all(|name| {
            let new = cells.iter().find(|(column, _)| column == name).map(|(_, cell)| *cell);
            self.own.f64(name).map(|values| Cell::F64(values[at])) == new
        })
    }

    fn refetched(&self, origin: &str, rows: &Rows) -> Found {
        let row = rows.time().binary_search(&self.time).ok()?;
        if !self.is_sound(rows, row) {
            return None;
        }
        let cells = cells_of(rows, row);
        (!self.is_same(&cells)).then(|| (Method::Refetched, origin.to_owned(), cells))
    }

    /// Of the others, the first whose bar is sound and which moves as this one does around it.
    fn other_source(&self, others: Option<&Vec<String>>, bad: &[(i64, Vec<Rule>)]) -> Result<Found> {
        for other in others.into_iter().flatten() {
            let key = SeriesKey::with_frame(other, self.key.frame().clone())?;
            let Ok(theirs) = self.around(&key) else { continue };
            let Ok(row) = theirs.time().binary_search(&self.time) else { continue };
            if !self.is_sound(&theirs, row) || !self.agrees(&theirs, bad)? {
                continue;
            }
            let mut cells: Vec<(String, Cell)> = cells_of(&theirs, row);
            cells.retain(|(name, _)| ["open", "high", "low", "close"].contains(&name.as_str()));
            // P3: the volume that is there, or none.
            let volume = self.at.and_then(|at| self.own.f64("volume").map(|volume| volume[at]));
            let volume = volume.filter(|volume| *volume >= 0.0 && *volume <= f64::MAX).unwrap_or(0.0);
            cells.push(("volume".to_owned(), Cell::F64(volume)));
            return Ok(Some((Method::OtherSource, key.to_string(), cells)));
        }
        Ok(None)
    }

    fn around(&self, key: &SeriesKey) -> Result<Rows> {
        let before = self.view.read(key).range(i64::MIN..self.time).last(AROUND)?;
        let after = self.view.read(key).range(self.time..i64::MAX).first(AROUND + 1)?;
        let first = before.time().first().or(after.time().first()).copied().unwrap_or(self.time);
        let last = after.time().last().or(before.time().last()).copied().unwrap_or(self.time);
        Ok(self.view.read(key).range(first..last + 1).rows()?)
    }

    /// Whether both sources agree in the sound bars around: the median of their distance, at least five bars.
    fn agrees(&self, theirs: &Rows, bad: &[(i64, Vec<Rule>)]) -> Result<bool> {
        let ours = self.around(self.key)?;
        let (Some(a), Some(b)) = (ours.f64("close"), theirs.f64("close")) else { return Ok(false) };
        let mut basis = Vec::new();
        for (row, time) in ours.time().iter().enumerate() {
            let is_bad = bad.binary_search_by_key(time, |bar| bar.0).is_ok();
            if let (false, Ok(at)) = (is_bad, theirs.time().binary_search(time)) {
                basis.push((a[row] / b[at]).ln());
            }
        }
        basis.retain(|distance| distance.is_finite());
        let enough = basis.len() >= 5;
        let middle = crate::returns::median(&mut basis);
        // Prices are taken as they are: only where both sources say the same to begin with.
        Ok(enough && middle.abs() <= self.setup.rules.source_share)
    }

    /// The aggregate of the finest bars that are all there and sound.
    fn rebuilt(&self, finer: &[&Checked]) -> Result<Found> {
        let Some(timeframe) = self.key.frame().timeframe() else { return Ok(None) };
        let range = self.time..end_of(timeframe, self.time);
        for fine in finer {
            let divides =
                match (fine.key.frame().timeframe().and_then(Timeframe::step_ns), timeframe.step_ns()) {
                    (Some(fine), Some(coarse)) => coarse % fine == 0,
                    (fine, None) => fine.is_some_and(|fine| fine <= DAY_NS),
                    (None, _) => false,
                };
            let bad = self.known_bad.get(&fine.key);
            let sound = bad.is_none_or(|bad| !bad.iter().any(|(time, _)| range.contains(time)));
            if !divides || !sound {
                continue;
            }
            let rows = self.view.read(&fine.key).range(range.clone()).provenance().rows()?;
            let expected = Expected::of(self.view, &fine.key, &self.setup.calendars, &range)?;
            let made_up = rows.set.flags.iter().any(|bits| bits & flags::SYNTHETIC != 0);
            if made_up || rows.len() as u64 != expected.count(&range) {
                continue;
            }
            let Some(bars) = Bars::of(&rows) else { continue };
            let Some(made) = bars.columns().aggregate(0..rows.len()) else { continue };
            let mut cells: Vec<(String, Cell)> = ["open", "high", "low", "close"]
                .iter()
                .zip(made.prices)
                .map(|(name, price)| ((*name).to_owned(), Cell::F64(price)))
                .collect();
            cells.push(("volume".to_owned(), Cell::F64(made.volume.unwrap_or(0.0))));
            sums(&rows, &mut cells);
            if !self.is_same(&cells) {
                return Ok(Some((Method::Rebuilt, fine.key.to_string(), cells)));
            }
        }
        Ok(None)
    }

    /// The close before, if that is sound.
    fn filled(&self, bad: &[(i64, Vec<Rule>)]) -> Result<Found> {
        let before = self.view.read(self.key).range(i64::MIN..self.time).last(AROUND)?;
        let Some(close) = before.f64("close") else { return Ok(None) };
        let sound = (0..before.len())
            .rev()
            .find(|row| bad.binary_search_by_key(&before.time()[*row], |bar| bar.0).is_err());
        let Some(price) = sound.map(|row| close[row]).filter(|price| *price > 0.0) else { return Ok(None) };
        let mut cells: Vec<(String, Cell)> = ["open", "high", "low", "close"]
            .iter()
            .map(|name| ((*name).to_owned(), Cell::F64(price)))
            .collect();
        cells.push(("volume".to_owned(), Cell::F64(0.0)));
        Ok((!self.is_same(&cells)).then(|| (Method::Filled, "forward-fill".to_owned(), cells)))
    }
}

/// The values of a row, but for those that are null.
pub(super) fn cells_of(rows: &Rows, row: usize) -> Vec<(String, Cell)> {
    let columns = rows.columns.iter().zip(&rows.set.columns);
    let cell = |(column, (_, values)): (&tapestore::Column, &(u16, tapestore::ColumnValues))| {
        let cell = match &values.values {
            _ if values.is_null(row) => None,
            Values::F64(numbers) => Some(Cell::F64(numbers[row])),
            Values::I64(numbers) => Some(Cell::I64(numbers[row])),
            _ => None,
        };
        Some((column.name.clone(), cell?))
    };
    columns.filter_map(cell).collect()
}

/// Amounts and counts of finer bars, where every one of them has one.
fn sums(rows: &Rows, cells: &mut Vec<(String, Cell)>) {
    for name in ["quote_volume", "trades", "taker_buy_base", "taker_buy_quote"] {
        let Some(column) = rows.column(name).filter(|column| !(0..rows.len()).any(|row| column.is_null(row)))
        else {
            continue;
        };
        let cell = match &column.values {
            Values::F64(values) => Cell::F64(values.iter().sum()),
            Values::I64(values) => Cell::I64(values.iter().sum()),
            _ => continue,
        };
        cells.push((name.to_owned(), cell));
    }
}
