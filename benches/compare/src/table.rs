//! Tables in memory: what every contender writes, and what every answer is checked against.

use std::ops::Range;

use tapestore_format::rows::Values;
use tapestore_format::time::Timeframe;

pub(crate) const MINUTE_NS: i64 = 60_000_000_000;
pub(crate) const DAY_NS: i64 = 1440 * MINUTE_NS;

/// Rows of one instrument, in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// Name of the instrument, or of the file.
    pub(crate) name: String,
    /// Of bars whose times are on a grid; `None` for everything else.
    pub(crate) timeframe: Option<Timeframe>,
    /// Nanoseconds since the Unix epoch.
    pub(crate) time: Vec<i64>,
    /// Names and values, all of one length.
    pub(crate) columns: Vec<(String, Values)>,
}

/// What is written to one file: one table, or many that a column of symbols tells apart.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) tables: Vec<Table>,
}

/// What a group counts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Klines,
    Ticks,
    Books,
    Daily,
    /// A part of a file of bars, of which the data's own list states the sizes.
    Month,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Klines => "klines",
            Self::Ticks => "ticks",
            Self::Books => "books",
            Self::Daily => "daily",
            Self::Month => "month",
        }
    }
}

impl Group {
    pub(crate) fn single(kind: Kind, table: Table) -> Self {
        Self { name: table.name.clone(), kind, tables: vec![table] }
    }

    /// The prices and volumes alone, if it has bars.
    pub(crate) fn of_bars(mut self) -> Self {
        for table in self.tables.iter_mut().filter(|table| table.is_bars()) {
            table.columns.retain(|column| crate::csv::BARS.contains(&column.0.as_str()));
        }
        self
    }

    pub(crate) fn rows(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
    }

    /// Bytes of a row in memory: eight a number, and a text's length.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.tables.iter().map(Table::raw_bytes).sum()
    }

    /// All tables one after another, and beside each row the name of its table.
    pub(crate) fn concatenated(&self) -> (Table, Vec<&str>) {
        let mut all = Table { name: self.name.clone(), ..self.tables[0].clone() };
        let mut symbols = vec![self.tables[0].name.as_str(); all.len()];
        for table in &self.tables[1..] {
            all.append(table);
            symbols.resize(all.len(), &table.name);
        }
        (all, symbols)
    }
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    pub(crate) fn raw_bytes(&self) -> u64 {
        let width = |values: &Values| match values {
            Values::Str(text) => text.iter().map(str::len).sum(),
            numbers => numbers.len() * 8,
        };
        (self.len() * 8 + self.columns.iter().map(|column| width(&column.1)).sum::<usize>()) as u64
    }

    /// Length of a bar; `None` for what is no bar, and for months, which differ.
    pub(crate) fn step_ns(&self) -> Option<i64> {
        self.timeframe?.step_ns()
    }

    /// Whether no column is text.
    pub(crate) fn is_numbers(&self) -> bool {
        self.columns.iter().all(|column| !matches!(column.1, Values::Str(_)))
    }

    /// Whether it begins with open, high, low and close.
    pub(crate) fn is_bars(&self) -> bool {
        self.names().starts_with(&crate::csv::BARS[..4])
    }

    pub(crate) fn values(&self, name: &str) -> Option<&Values> {
        self.columns.iter().find(|column| column.0 == name).map(|column| &column.1)
    }

    pub(crate) fn f64(&self, name: &str) -> &[f64] {
        match self.values(name) {
            Some(Values::F64(values)) => values,
            _ => &[],
        }
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.0.as_str()).collect()
    }

    /// Time and columns of the same names and types, without a row.
    pub(crate) fn emptied(&self) -> Self {
        let empty = |values: &Values| match values {
            Values::I64(_) => Values::I64(Vec::new()),
            Values::F64(_) => Values::F64(Vec::new()),
            _ => Values::Str(std::iter::empty::<&str>().collect()),
        };
        let columns = self.columns.iter().map(|(name, values)| (name.clone(), empty(values))).collect();
        Self { name: self.name.clone(), timeframe: self.timeframe, time: Vec::new(), columns }
    }

    pub(crate) fn clear(&mut self) {
        self.time.clear();
        for (_, values) in &mut self.columns {
            match values {
                Values::I64(values) => values.clear(),
                Values::F64(values) => values.clear(),
                other => other.clear(),
            }
        }
    }

    fn append(&mut self, other: &Self) {
        self.time.extend_from_slice(&other.time);
        for ((_, to), (_, from)) in self.columns.iter_mut().zip(&other.columns) {
            match (to, from) {
                (Values::I64(to), Values::I64(from)) => to.extend_from_slice(from),
                (Values::F64(to), Values::F64(from)) => to.extend_from_slice(from),
                (Values::Str(to), Values::Str(from)) => from.iter().for_each(|text| to.push(text)),
                _ => unreachable!("tables of a group have the same columns"),
            }
        }
    }

    /// The rows in a range of time.
    pub(crate) fn rows_between(&self, range: &Range<i64>) -> Range<usize> {
        let at = |time: i64| self.time.partition_point(|t| *t < time);
        at(range.start)..at(range.end)
    }

    /// A copy of some rows.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        let cut = |values: &Values| match values {
            Values::I64(values) => Values::I64(values[rows.clone()].to_vec()),
            Values::F64(values) => Values::F64(values[rows.clone()].to_vec()),
            Values::Str(text) => Values::Str(rows.clone().map(|row| text.get(row)).collect()),
            _ => unreachable!("tables hold numbers and text"),
        };
        Self {
            name: self.name.clone(),
            timeframe: self.timeframe,
            time: self.time[rows.clone()].to_vec(),
            columns: self.columns.iter().map(|(name, values)| (name.clone(), cut(values))).collect(),
        }
    }

    /// Bars of a longer timeframe out of these bars.
    pub(crate) fn resampled(&self, timeframe: Timeframe) -> Self {
        let mut out = Self { timeframe: Some(timeframe), ..self.emptied() };
        let [open, high, low, close, volume] =
            ["open", "high", "low", "close", "volume"].map(|name| self.f64(name));
        let mut start = 0;
        let mut bars: [Vec<f64>; 5] = Default::default();
        while start < self.len() {
            let slot = timeframe.slot(self.time[start]);
            let same = self.time[start..].partition_point(|time| timeframe.slot(*time) == slot);
            let rows = start..start + same;
            out.time.push(timeframe.slot_start(slot));
            let fold =
                |values: &[f64], f: fn(f64, f64) -> f64| values.iter().copied().reduce(f).unwrap_or(0.0);
            bars[0].push(open[start]);
            bars[1].push(fold(&high[rows.clone()], f64::max));
            bars[2].push(fold(&low[rows.clone()], f64::min));
            bars[3].push(close[rows.end - 1]);
            // Sums of decimals have float residues; a venue states eight places.
            let sum = fold(&volume[rows.clone()], |a, b| a + b);
            bars[4].push((sum * 1e8).round() / 1e8);
            start = rows.end;
        }
        for ((_, values), bar) in out.columns.iter_mut().zip(bars) {
            *values = Values::F64(bar);
        }
        out
    }

    /// Whether all values are the same, bit for bit.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let bits = |a: &Values, b: &Values| match (a, b) {
            (Values::F64(a), Values::F64(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
            }
            (a, b) => a == b,
        };
        self.time == other.time
            && self.columns.len() == other.columns.len()
            && self.columns.iter().zip(&other.columns).all(|(a, b)| a.0 == b.0 && bits(&a.1, &b.1))
    }
}

/// Integers that, divided by `10^exponent`, give back every value bit for bit.
pub(crate) struct Scaled {
    pub(crate) exponent: u8,
    pub(crate) mantissas: Vec<i64>,
}

/// The column as integers with the fewest decimal places that are exact; `None` if there is no such scale.
pub(crate) fn scaled(values: &[f64]) -> Option<Scaled> {
    let mut exponent = 0;
    while exponent <= 12 {
        let power = 10f64.powi(i32::from(exponent));
        let exact = |value: &f64| {
            let mantissa = (value * power).round();
            mantissa.abs() < 9e15 && (mantissa as i64 as f64 / power).to_bits() == value.to_bits()
        };
        if values.iter().all(exact) {
            let mantissas = values.iter().map(|value| (value * power).round() as i64).collect();
            return Some(Scaled { exponent, mantissas });
        }
        exponent += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_exact_or_refused() {
        let values = [0.1, 2.5, -3.0, 1_234_567.89];
        let found = scaled(&values).unwrap();
        assert_eq!((found.exponent, &found.mantissas[..]), (2, &[10, 250, -300, 123_456_789][..]));
        assert!(scaled(&[0.1 + 0.2]).is_none());
        assert!(scaled(&[-0.0]).is_none(), "an integer has no negative zero");
        assert!(scaled(&[f64::NAN]).is_none());
    }

    #[test]
    fn coarser_bars_are_the_aggregate_of_finer_ones() {
        let column = |values: [f64; 3]| Values::F64(values.to_vec());
        let fine = Table {
            name: "X".into(),
            timeframe: Some(Timeframe::M1),
            time: vec![0, 4 * MINUTE_NS, 5 * MINUTE_NS],
            columns: [
                ("open", [1.0, 2.0, 3.0]),
                ("high", [1.5, 4.0, 3.5]),
                ("low", [0.5, 2.0, 3.0]),
                ("close", [1.0, 3.0, 3.25]),
                ("volume", [1.0, 2.0, 4.0]),
            ]
            .map(|(name, values)| (name.to_owned(), column(values)))
            .to_vec(),
        };
        let coarse = fine.resampled(Timeframe::M5);
        assert_eq!(coarse.time, [0, 5 * MINUTE_NS]);
        assert_eq!(coarse.f64("high"), [4.0, 3.5]);
        assert_eq!(coarse.f64("low"), [0.5, 3.0]);
        assert_eq!(coarse.f64("close"), [3.0, 3.25]);
        assert_eq!(coarse.f64("volume"), [3.0, 4.0]);
    }
}
