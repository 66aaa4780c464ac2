//! Open, high, low and close to bytes: decimals of one scale that predict one another, some with further digits.

use std::cell::Cell;
use std::ops::Range;

use super::chunk::{DIGITS, Encoding, FACTORS, Key};
use super::column_encode;
use super::column_encode::{
    Encoded, MANY, SAMPLE, Ways, behind, coded_if_smaller, has_strays, is_constant, limit, nulls_of,
};
use super::zones::Bounds;
use crate::bytes::ByteWriter;
use crate::codec::decimal::{Mantissas, Scale, choose, gcd, sample};
use crate::codec::digits::{self, Places};
use crate::codec::factor_find::Prices;
use crate::codec::group::{self, Role};
use crate::codec::int_encode;
use crate::codec::single_find::Bars;
use crate::limits::BLOCK_ROWS;
use crate::rows::{ColumnValues, Values};
use crate::schema::ColumnType;
use crate::spare;

/// A group is tried with fewer and more places where more than one value of so many is an exception.
const SOME: usize = 200;
/// It has further digits where more than one value of so many has such: they take a byte in each block.
const FEW: usize = 2000;
/// Which blocks tell whether that may be smaller: one of so many.
const ONE_OF: usize = 8;
/// More places have to save more than one byte of so many.
const WORTH: usize = 50;
/// Most places that it is tried with: what exchanges state at most.
const FINE: u8 = 8;

/// Encodes open, high, low and close together, if all four are decimals of one scale.
pub(super) fn encode_group(columns: [(Key, &ColumnValues); 4], ways: Ways<'_>) -> Option<[Encoded; 4]> {
    let mut prices: Vec<&[f64]> = Vec::with_capacity(4);
    for (_, column) in columns {
        match &column.values {
            Values::F64(values) if nulls_of(column).is_none() && !is_constant(column) => prices.push(values),
            _ => return None,
        }
    }
    let bytes = |group: &[Encoded; 4]| group.iter().map(Encoded::payload_bytes).sum::<usize>();
    let plain = plain_group(&prices).and_then(|plain| {
        let found = smallest(&prices, plain, ways);
        let many = found.places.is_none() && has_strays(&found.mantissas, MANY);
        Some((put_group(columns, found, ways)?, many))
    });
    let many = plain.as_ref().is_none_or(|plain| plain.1);
    let plain = plain.map(|plain| plain.0);
    if !many {
        return plain;
    }
    let limit = limit(prices[0].len() * 4 * size_of::<f64>(), plain.as_ref().map(bytes));
    let put = |exponent, singles, mantissas: Vec<Mantissas>| {
        // Where the same exceptions come again and again, each column alone may take much less.
        let alone = plain.is_none() && has_strays(&mantissas, SOME);
        let found = put_group(columns, Prepared { exponent, places: None, singles, mantissas }, ways)?;
        let small = bytes(&found) < limit && !(alone && bytes(&found) >= bytes_alone(columns, ways));
        small.then_some(found)
    };
    let found = Prices { columns: &prices, skip: |_| false }.factors().and_then(|(exponent, runs)| {
        let split = |values: &&[f64]| Mantissas::factored(values, exponent, &runs, |_| false);
        put(exponent, false, prices.iter().map(split).collect())
    });
    let singles = || {
        let (exponent, mantissas) = Bars::new(prices.as_slice().try_into().ok()?).mantissas()?;
        put(exponent, true, mantissas.into())
    };
    match found.or_else(singles) {
        Some(found) if ways.may_use_factors() => Some(found),
        _ => plain,
    }
}

/// What the columns take if each is encoded alone, without factors.
fn bytes_alone(columns: [(Key, &ColumnValues); 4], ways: Ways<'_>) -> usize {
    let ways = Ways { factors: false, gain: &Cell::new(false), ..ways };
    let alone = columns.map(|(key, column)| column_encode::encode(key, ColumnType::F64, column, ways));
    alone.iter().map(Encoded::payload_bytes).sum()
}

/// Mantissas of four columns, open, high, low and close.
struct Prepared {
    exponent: u8,
    /// Places of further digits, if there are such.
    places: Option<u8>,
    /// Whether these are adjusted singles.
    singles: bool,
    mantissas: Vec<Mantissas>,
}

impl Prepared {
    /// At so many decimal places, with further digits where exceptions have such, unless too many values are no decimals.
    fn at(prices: &[&[f64]], exponent: u8) -> Option<Self> {
        let mantissas: Vec<Mantissas> =
            prices.iter().map(|values| Mantissas::of(values, exponent, |_| false)).collect();
        let places = if has_strays(&mantissas, FEW) { digits::find(&mantissas, exponent) } else { None };
        let most = if places.is_some() { 2 } else { 4 };
        let fit = mantissas.iter().all(|column| column.strays.len() * most <= column.numbers.len());
        fit.then_some(Self { exponent, places, singles: false, mantissas })
    }
}

/// Mantissas of four columns, unless too many values are no decimals, at the most places either.
fn plain_group(prices: &[&[f64]]) -> Option<Prepared> {
    let samples: Vec<f64> = prices.iter().flat_map(|values| sample(values, |_| true, SAMPLE / 4)).collect();
    let exponent = choose(&samples)?;
    [exponent, FINE].into_iter().find_map(|places| Prepared::at(prices, places))
}

/// The decimal places, with mantissas, at which a group may take least: those of most values, or fewer, or more. Exceptions
/// are often decimals of more places, prices of eight among those of two, and the more places the fewer of them there are.
/// Every eighth block tells: from one place to the next, as long as it is smaller.
fn smallest(prices: &[&[f64]], plain: Prepared, ways: Ways<'_>) -> Prepared {
    if !has_strays(&plain.mantissas, SOME) {
        return plain;
    }
    let blocks = |values: &[f64]| values.chunks(BLOCK_ROWS).step_by(ONE_OF).flatten().copied().collect();
    let sampled: Vec<Vec<f64>> = prices.iter().map(|values| blocks(values)).collect();
    let sampled: Vec<&[f64]> = sampled.iter().map(Vec::as_slice).collect();
    let bytes = |exponent| Some((Group::of(Prepared::at(&sampled, exponent)?)?.packed_bytes(ways), exponent));
    let mut best = bytes(plain.exponent);
    for step in [-1, 1] {
        let next =
            |(_, exponent): (usize, u8)| exponent.checked_add_signed(step).filter(|next| *next <= FINE);
        // A multiplier takes unused places out of most blocks: more of them have to be worth more than chance.
        let worth = if step > 0 { WORTH } else { usize::MAX };
        let better = |found: &(usize, u8), best: (usize, u8)| found.0 < best.0 - best.0 / worth;
        while let Some(now) = best
            && let Some(found) = next(now).and_then(bytes).filter(|found| better(found, now))
        {
            best = Some(found);
        }
    }
    let other = best.filter(|(_, exponent)| *exponent != plain.exponent);
    other.and_then(|(_, exponent)| Prepared::at(prices, exponent)).unwrap_or(plain)
}

/// Open, high, low and close as mantissas of one scale, in this order.
struct Group {
    scale: Scale,
    singles: bool,
    mantissas: [Mantissas; 4],
    /// Further digits, and their places.
    digits: Option<(Places, [Vec<i64>; 4])>,
}

impl Group {
    /// What the columns are.
    const ROLES: [Role; 4] = [Role::Open, Role::High, Role::Low, Role::Close];

    fn of(prepared: Prepared) -> Option<Self> {
        let Prepared { exponent, places, singles, mantissas } = prepared;
        let mut mantissas: [Mantissas; 4] = mantissas.try_into().ok()?;
        let divisor = mantissas.iter().fold(0, |divisor, column| gcd(divisor, column.divisor)).max(1) as i64;
        mantissas.iter_mut().for_each(|column| column.divide(divisor));
        let scale = Scale { exponent, divisor };
        let reach =
            || mantissas.iter().flat_map(|column| &column.numbers).map(|number| number.unsigned_abs()).max();
        let places = places
            .and_then(|count| Places::beyond(scale, count))
            .filter(|places| places.are_exact(reach().unwrap_or(0)));
        let digits = places.map(|places| (places, mantissas.each_mut().map(|column| places.take(column))));
        Some(Self { scale, singles, mantissas, digits })
    }

    /// Appends the residuals of a column in a block.
    fn residuals(&self, index: usize, rows: &Range<usize>, out: &mut Vec<i64>) {
        let [open, _, _, close] = self.mantissas.each_ref().map(|column| &column.numbers[rows.clone()]);
        group::residuals(Self::ROLES[index], close, open, &self.mantissas[index].numbers[rows.clone()], out);
    }

    /// Appends what stands behind the mantissas of a column in a block.
    fn put_behind(&self, index: usize, rows: &Range<usize>, out: &mut Vec<u8>) {
        let column = &self.mantissas[index];
        if let Some((_, digits)) = &self.digits {
            let of =
                |index: usize| (&self.mantissas[index].numbers[rows.clone()], &digits[index][rows.clone()]);
            digits::put(Self::ROLES[index], of(index), of(3), of(0), out);
        }
        column.put_behind::<f64>(self.scale, rows.start, rows.len(), out);
    }

    /// What the blocks take when they are packed.
    fn packed_bytes(&self, ways: Ways<'_>) -> usize {
        let (mut residuals, mut bytes) = (Vec::new(), Vec::new());
        let count = self.mantissas[0].numbers.len();
        for start in (0..count).step_by(BLOCK_ROWS) {
            let rows = start..count.min(start + BLOCK_ROWS);
            for (index, role) in Self::ROLES.into_iter().enumerate() {
                residuals.clear();
                self.residuals(index, &rows, &mut residuals);
                let residuals = (role != Role::Close).then_some(&residuals[..]);
                let numbers = &self.mantissas[index].numbers[rows.clone()];
                int_encode::encode_with(ways.forms, numbers, residuals, &mut bytes);
                self.put_behind(index, &rows, &mut bytes);
            }
        }
        bytes.len()
    }
}

/// Encodes open, high, low and close with their mantissas.
fn put_group(columns: [(Key, &ColumnValues); 4], prepared: Prepared, ways: Ways<'_>) -> Option<[Encoded; 4]> {
    let group = Group::of(prepared)?;
    let encode = |index: usize, role: Role| {
        let (key, column) = columns[index];
        let numbers = &group.mantissas[index];
        let rows_of = || (0..column.len()).step_by(BLOCK_ROWS).map(|s| s..column.len().min(s + BLOCK_ROWS));
        let residuals: Option<Vec<i64>> = (role != Role::Close).then(|| {
            let mut all = spare::take();
            rows_of().for_each(|rows| group.residuals(index, &rows, &mut all));
            all
        });
        let flags = behind(numbers)
            | if group.digits.is_some() { DIGITS } else { 0 }
            | if group.singles { FACTORS | DIGITS } else { 0 };
        let encoded = coded_if_smaller(ways, &numbers.numbers, residuals.as_deref(), |blocks| {
            let mut out = Encoded::new(key, ColumnType::F64, Encoding::Group, flags);
            out.entry.put_u8(role as u8);
            group.scale.encode(&mut out.entry);
            if let Some((places, _)) = &group.digits {
                out.entry.put_u8(places.count);
            }
            out.put_model(blocks.coding);
            out.put_zones(column, Bounds::Floats(Some(group.scale)), false);
            for (block, rows) in rows_of().enumerate() {
                let residuals = residuals.as_ref().map(|residuals| &residuals[rows.clone()]);
                out.block(|payload| {
                    blocks.put(block, &numbers.numbers[rows.clone()], residuals, payload);
                    group.put_behind(index, &rows, payload);
                });
            }
            out.finish()
        });
        residuals.into_iter().for_each(spare::give);
        encoded
    };
    let encoded = [0, 1, 2, 3].map(|index| encode(index, Group::ROLES[index]));
    group.mantissas.into_iter().for_each(|column| spare::give(column.numbers));
    Some(encoded)
}
