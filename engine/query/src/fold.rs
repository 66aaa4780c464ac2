//! What becomes of the values of the rows of a bar: the first, the highest, the lowest, the last, the sum.
//!
//! # Invariants
//! - F1. A bar folded in pieces has the same bits as one folded at once.
//! - F2. Sums are compensated, and rounded to the decimal that the rows say: see [`Sum::value`].

use tapestore::{ColumnType, ColumnValues, Values};

use crate::bucket::Piece;

/// How values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// The first that is not null.
    First,
    /// The highest; NaN counts only if there is nothing else.
    Max,
    /// The lowest, likewise.
    Min,
    /// The last that is not null.
    Last,
    /// The sum; null if one of them is: a total of which a part is unknown is unknown.
    Sum,
}

/// Most decimal places to which a sum is rounded.
const PLACES: usize = 9;

/// A sum with the error that rounding made so far (Knuth's `TwoSum`; Ogita, Rump, Oishi: "Accurate sum and dot product").
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    total: f64,
    error: f64,
    /// Sum of the magnitudes: bounds what the rounding of decimals to doubles can have done.
    weight: f64,
}

impl Sum {
    /// Adds a number.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let total = self.total + value;
        let part = total - self.total;
        self.error += (self.total - (total - part)) + (value - part);
        self.total = total;
        self.weight += value.abs();
    }

    /// The sum of the doubles, rounded once.
    #[inline]
    pub fn raw(&self) -> f64 {
        // Of an infinity the error is no number.
        if self.total.is_finite() { self.total + self.error } else { self.total }
    }

    /// How far the sum of the decimals that the doubles stand for can be from [`Sum::raw`]: half a unit in the last
    /// place of each, and of the sum.
    #[inline]
    pub fn doubt(&self) -> f64 {
        self.weight * f64::EPSILON
    }

    /// The sum of the decimals that the doubles stand for: the shortest decimal of at most nine places within doubt, so
    /// that 0.1 + 0.2 is 0.3; where there is none, the sum of the doubles.
    pub fn value(&self) -> f64 {
        const POWERS: [f64; PLACES + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
        let (raw, doubt) = (self.raw(), self.doubt());
        for power in POWERS {
            // Where decimals stand as dense as the doubt, each number is near to one.
            if doubt * power >= 0.25 || doubt.is_nan() {
                break;
            }
            let scaled = raw * power;
            let whole = scaled.round_ties_even();
            if (scaled - whole).abs() <= doubt * power {
                return whole / power;
            }
        }
        raw
    }

    /// Whether [`Sum::value`] has reached `size`.
    #[inline]
    pub fn reaches(&self, size: f64) -> bool {
        let raw = self.raw();
        raw >= size + self.doubt() || (raw + self.doubt() >= size && self.value() >= size)
    }
}

/// Values to be folded.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Doubles, and which of them are null.
    F64(&'a [f64], Option<&'a [bool]>),
    /// Integers, and which of them are null.
    I64(&'a [i64], Option<&'a [bool]>),
    /// A one for every row: their sum counts them.
    Ones,
}

impl<'a> Input<'a> {
    /// The values of a column of doubles, integers or times; `None` for others.
    pub fn of(column: &'a ColumnValues) -> Option<Self> {
        let nulls = column.nulls.as_deref();
        match &column.values {
            Values::F64(values) => Some(Self::F64(values, nulls)),
            Values::I64(values) => Some(Self::I64(values, nulls)),
            _ => None,
        }
    }
}

/// The state of one value of the open bar.
#[derive(Clone, Copy, Debug)]
struct State<T> {
    value: T,
    sum: Sum,
    seen: bool,
    unknown: bool,
}

impl<T: Default> State<T> {
    fn empty() -> Self {
        Self { value: T::default(), sum: Sum::default(), seen: false, unknown: false }
    }
}

/// One column of the bars, being folded.
#[derive(Clone, Debug)]
pub struct Folder {
    fold: Fold,
    floats: State<f64>,
    integers: State<i64>,
    begun: bool,
    out: ColumnValues,
}

impl Folder {
    /// A column of doubles or, if `integers`, of integers.
    pub fn new(fold: Fold, integers: bool) -> Self {
        let kind = if integers { ColumnType::I64 } else { ColumnType::F64 };
        Self {
            fold,
            floats: State::empty(),
            integers: State::empty(),
            begun: false,
            out: ColumnValues::empty(kind),
        }
    }

    /// Folds further rows. Input of another type than the column's counts as nothing.
    pub fn push(&mut self, pieces: &[Piece], input: Input<'_>) {
        let begun = self.begun;
        self.begun |= !pieces.is_empty();
        let out = &mut self.out;
        match (input, &mut out.values) {
            (Input::F64(values, nulls), Values::F64(to)) => {
                let state = &mut self.floats;
                let mut sink = Sink { to, nulls: &mut out.nulls, begun };
                match self.fold {
                    Fold::First => run(pieces, values, nulls, state, &mut sink, first),
                    Fold::Last => run(pieces, values, nulls, state, &mut sink, last),
                    Fold::Max => run(pieces, values, nulls, state, &mut sink, highest),
                    Fold::Min => run(pieces, values, nulls, state, &mut sink, lowest),
                    Fold::Sum => run_sum(pieces, values, nulls, state, &mut sink, sum),
                }
            }
            (Input::I64(values, nulls), Values::I64(to)) => {
                let state = &mut self.integers;
                let mut sink = Sink { to, nulls: &mut out.nulls, begun };
                match self.fold {
                    Fold::First => run(pieces, values, nulls, state, &mut sink, first),
                    Fold::Last => run(pieces, values, nulls, state, &mut sink, last),
                    Fold::Max => run(pieces, values, nulls, state, &mut sink, greatest),
                    Fold::Min => run(pieces, values, nulls, state, &mut sink, least),
                    Fold::Sum => run_sum(pieces, values, nulls, state, &mut sink, total),
                }
            }
            (Input::Ones, Values::I64(to)) => {
                let mut sink = Sink { to, nulls: &mut out.nulls, begun };
                for piece in pieces {
                    sink.turn(piece, &mut self.integers);
                    self.integers.value += piece.rows.len() as i64;
                    self.integers.seen = true;
                }
            }
            _ => {}
        }
    }

    /// The bars that are closed and, if `open`, the one that is not; nothing is open afterwards then.
    pub fn take(&mut self, open: bool) -> ColumnValues {
        if open && std::mem::take(&mut self.begun) {
            let nulls = &mut self.out.nulls;
            match &mut self.out.values {
                Values::F64(to) => Sink { to, nulls, begun: true }.emit(&mut self.floats),
                Values::I64(to) => Sink { to, nulls, begun: true }.emit(&mut self.integers),
                _ => {}
            }
        }
        let empty = match &self.out.values {
            Values::I64(_) => ColumnType::I64,
            _ => ColumnType::F64,
        };
        std::mem::replace(&mut self.out, ColumnValues::empty(empty))
    }

    /// Forgets the open bar.
    pub fn forget(&mut self) {
        self.begun = false;
        self.floats = State::empty();
        self.integers = State::empty();
    }
}

struct Sink<'a, T> {
    to: &'a mut Vec<T>,
    nulls: &'a mut Option<Vec<bool>>,
    begun: bool,
}

impl<T: Copy + Default> Sink<'_, T> {
    /// Writes the bar before, if the piece begins one.
    #[inline]
    fn turn(&mut self, piece: &Piece, state: &mut State<T>) {
        if piece.fresh && self.begun {
            self.emit(state);
        }
        self.begun = true;
    }

    #[inline]
    fn emit(&mut self, state: &mut State<T>) {
        let null = !state.seen || state.unknown;
        if null || self.nulls.is_some() {
            let known = self.to.len();
            self.nulls.get_or_insert_with(|| vec![false; known]).push(null);
        }
        self.to.push(if null { T::default() } else { state.value });
        *state = State::empty();
    }
}

#[inline]
fn run<T: Copy + Default>(
    pieces: &[Piece],
    values: &[T],
    nulls: Option<&[bool]>,
    state: &mut State<T>,
    sink: &mut Sink<'_, T>,
    step: impl Fn(&mut State<T>, &[T]),
) {
    for piece in pieces {
        sink.turn(piece, state);
        let Some(nulls) = nulls else {
            step(state, &values[piece.rows.clone()]);
            continue;
        };
        for row in piece.rows.clone().filter(|row| !nulls[*row]) {
            step(state, &values[row..=row]);
        }
    }
}

#[inline]
fn run_sum<T: Copy + Default>(
    pieces: &[Piece],
    values: &[T],
    nulls: Option<&[bool]>,
    state: &mut State<T>,
    sink: &mut Sink<'_, T>,
    step: impl Fn(&mut State<T>, &[T]),
) {
    for piece in pieces {
        sink.turn(piece, state);
        state.unknown |= nulls.is_some_and(|nulls| nulls[piece.rows.clone()].contains(&true));
        step(state, &values[piece.rows.clone()]);
    }
}

#[inline]
fn first<T: Copy>(state: &mut State<T>, values: &[T]) {
    if let (false, Some(value)) = (state.seen, values.first()) {
        (state.value, state.seen) = (*value, true);
    }
}

#[inline]
fn last<T: Copy>(state: &mut State<T>, values: &[T]) {
    if let Some(value) = values.last() {
        (state.value, state.seen) = (*value, true);
    }
}

/// Of equal values (0.0 and −0.0) the first stays, and NaN never wins over a number.
#[inline]
fn extreme(state: &mut State<f64>, values: &[f64], worst: f64, better: impl Fn(f64, f64) -> bool) {
    let Some(head) = values.first() else { return };
    let nan = if state.seen { state.value } else { *head };
    let known = state.seen && !state.value.is_nan();
    // Each comparison waits for the one before it, so four rows of them stand side by side.
    let mut lanes = [worst; 4];
    let (groups, rest) = values.as_chunks::<4>();
    for group in groups.iter().map(|group| &group[..]).chain([rest]) {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane = if better(*value, *lane) { *value } else { *lane };
        }
    }
    let before = if known { state.value } else { worst };
    let mut best = lanes.into_iter().fold(before, |best, lane| if better(lane, best) { lane } else { best });
    if best == 0.0 && best != before {
        // Which of the zeros came first, no lane knows.
        best = values.iter().copied().find(|value| *value == 0.0).unwrap_or(best);
    }
    // Nothing was better than the worst: there are infinities, or nothing but NaN.
    if best == worst && !known {
        best = values.iter().copied().find(|value| !value.is_nan()).unwrap_or(nan);
    }
    (state.value, state.seen) = (best, true);
}

#[inline]
fn highest(state: &mut State<f64>, values: &[f64]) {
    extreme(state, values, f64::NEG_INFINITY, |a, b| a > b);
}

#[inline]
fn lowest(state: &mut State<f64>, values: &[f64]) {
    extreme(state, values, f64::INFINITY, |a, b| a < b);
}

#[inline]
fn sum(state: &mut State<f64>, values: &[f64]) {
    let mut sum = state.sum;
    for value in values {
        sum.add(*value);
    }
    (state.sum, state.value, state.seen) = (sum, sum.value(), true);
}

#[inline]
fn greatest(state: &mut State<i64>, values: &[i64]) {
    let all = values.iter().copied().chain(state.seen.then_some(state.value));
    if let Some(best) = all.max() {
        (state.value, state.seen) = (best, true);
    }
}

#[inline]
fn least(state: &mut State<i64>, values: &[i64]) {
    let all = values.iter().copied().chain(state.seen.then_some(state.value));
    if let Some(best) = all.min() {
        (state.value, state.seen) = (best, true);
    }
}

/// Saturates: a count beyond 2^63 is none.
#[inline]
fn total(state: &mut State<i64>, values: &[i64]) {
    let added = values.iter().fold(state.value, |sum, value| sum.saturating_add(*value));
    (state.value, state.seen) = (added, true);
}
