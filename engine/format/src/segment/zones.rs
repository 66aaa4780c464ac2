//! Zone maps: statistics per block, packed into the head of the chunk. Rules S24 and S25.

use super::chunk::{Chunk, Encoding, Entry, Key, NANS, NULLS, ZONES};
use super::{Scratch, Zone};
use crate::bytes::{ByteReader, ByteWriter};
use crate::codec::decimal::{self, Float, Mantissas, Scale};
use crate::codec::int;
use crate::codec::int_encode;
use crate::codec::kernel::Kernels;
use crate::error::Result;
use crate::limits::{BLOCK_ROWS, CHUNK_BLOCKS};
use crate::rows::{ColumnValues, Values};
use crate::schema::{ColumnId, ColumnType};

/// Chunks of fewer rows carry no zone maps: reading them costs less.
pub(super) const ZONED_ROWS: usize = 128;

/// Numbers that are added up side by side where the sum is not stored.
const LANES: usize = 8;

/// How the bounds of zone maps are packed: as the values of the column are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bounds {
    Integers,
    Floats(Option<Scale>),
    Singles(Option<Scale>),
}

impl Zone {
    /// Statistics of some rows of a column of numbers, all of them empty for strings. The sum of doubles is that of
    /// [`Zone::of_numbers`].
    pub fn of(column: &ColumnValues, rows: std::ops::Range<usize>) -> Self {
        match &column.values {
            Values::F64(values) if column.nulls.is_none() => Self::of_numbers(&values[rows]),
            _ => measure(column, rows),
        }
    }

    /// Statistics of numbers of which none is null, the sum in eight parts, of every eighth number each: in order of
    /// rows every addition would wait for the one before it.
    pub fn of_numbers(numbers: &[f64]) -> Self {
        let mut lanes = ([Self::EMPTY.min; LANES], [Self::EMPTY.max; LANES], [0.0; LANES]);
        let (turns, rest) = numbers.as_chunks::<LANES>();
        for turn in turns {
            for (lane, value) in turn.iter().enumerate() {
                lanes.0[lane] = if *value < lanes.0[lane] { *value } else { lanes.0[lane] };
                lanes.1[lane] = if *value > lanes.1[lane] { *value } else { lanes.1[lane] };
                lanes.2[lane] += value;
            }
        }
        let mut all = measure_all(rest);
        for ((min, max), sum) in lanes.0.into_iter().zip(lanes.1).zip(lanes.2) {
            all.merge(&Self { min, max, sum, ..Self::EMPTY });
        }
        if all.sum.is_nan() {
            return measure_all(numbers);
        }
        all.count = numbers.len() as u64;
        all
    }

    /// Takes in one value. Of equal ones the first stays, so that the sign of a zero is the same on every machine.
    #[inline]
    fn add(&mut self, value: f64) {
        self.min = if value < self.min { value } else { self.min };
        self.max = if value > self.max { value } else { self.max };
        self.sum += value;
    }
}

/// The statistics of a column's blocks, and of all of them together.
#[derive(Debug)]
pub(super) struct Zones {
    blocks: Box<[Zone]>,
    all: Zone,
}

/// Statistics of one block of a column of numbers.
pub(super) fn measure(column: &ColumnValues, rows: std::ops::Range<usize>) -> Zone {
    let mut zone = Zone::EMPTY;
    let nulls = column.nulls.as_deref().map(|nulls| &nulls[rows.clone()]);
    let mut add = |index: usize, value: f64| {
        if nulls.is_some_and(|nulls| nulls[index]) {
            zone.nulls += 1;
        } else if !value.is_nan() {
            zone.add(value);
            zone.count += 1;
        }
    };
    match &column.values {
        Values::F64(v) if nulls.is_none() => return measure_all(&v[rows]),
        Values::I64(v) => v[rows].iter().enumerate().for_each(|(index, value)| add(index, *value as f64)),
        Values::F64(v) => v[rows].iter().enumerate().for_each(|(index, value)| add(index, *value)),
        Values::F32(v) => v[rows].iter().enumerate().for_each(|(index, value)| add(index, f64::from(*value))),
        Values::U8(v) => v[rows].iter().enumerate().for_each(|(index, value)| add(index, f64::from(*value))),
        Values::Str(_) => {}
    }
    zone
}

/// Statistics of numbers of which none is null: the sum in order, as everywhere, least and greatest beside it.
fn measure_all(values: &[f64]) -> Zone {
    let mut zone = Zone::EMPTY;
    let nans = values.iter().filter(|value| value.is_nan()).count();
    if nans == 0 {
        values.iter().for_each(|value| zone.add(*value));
    } else {
        values.iter().filter(|value| !value.is_nan()).for_each(|value| zone.add(*value));
    }
    zone.count = (values.len() - nans) as u64;
    zone
}

/// Whether two statistics are the same, as numbers: a sum of infinities is a NaN, whose sign depends on the machine.
pub(super) fn same(a: &Zone, b: &Zone) -> bool {
    let numbers = a.min == b.min && a.max == b.max && a.count == b.count && a.nulls == b.nulls;
    numbers && (a.sum == b.sum || (a.sum.is_nan() && b.sum.is_nan()))
}

/// Exact bounds of integers, which `f64` would round.
fn integer_bounds(column: &ColumnValues, rows: std::ops::Range<usize>) -> (i64, i64) {
    let nulls = column.nulls.as_deref();
    let each = rows.filter(|row| nulls.is_none_or(|nulls| !nulls[*row]));
    let numbers: Vec<i64> = match &column.values {
        Values::I64(values) => each.map(|row| values[row]).collect(),
        Values::U8(values) => each.map(|row| i64::from(values[row])).collect(),
        _ => Vec::new(),
    };
    (numbers.iter().copied().min().unwrap_or(0), numbers.iter().copied().max().unwrap_or(0))
}

/// The flags and bytes of all zone maps of a column; empty if it keeps none.
pub(super) fn encode(column: &ColumnValues, bounds: Bounds, nullable: bool) -> (u8, Vec<u8>) {
    let rows = column.len();
    if rows < ZONED_ROWS || matches!(column.values, Values::Str(_)) {
        return (0, Vec::new());
    }
    let blocks = || (0..rows).step_by(BLOCK_ROWS).map(|start| start..rows.min(start + BLOCK_ROWS));
    let zones: Vec<Zone> = blocks().map(|rows| measure(column, rows)).collect();
    let mut out = Vec::new();
    match bounds {
        Bounds::Integers => {
            let (mins, maxs): (Vec<i64>, Vec<i64>) =
                blocks().map(|rows| integer_bounds(column, rows)).unzip();
            put_bounds(&mins, &maxs, &mut out);
        }
        Bounds::Floats(scale) => put_floats::<f64>(&zones, scale, &mut out),
        Bounds::Singles(scale) => put_floats::<f32>(&zones, scale, &mut out),
    }
    for zone in &zones {
        out.put_u64(zone.sum.to_bits());
    }
    let mut flags = ZONES;
    if nullable {
        int_encode::encode(&zones.iter().map(|zone| zone.nulls as i64).collect::<Vec<_>>(), None, &mut out);
    }
    let nans =
        |(zone, rows): (&Zone, std::ops::Range<usize>)| (rows.len() as u64 - zone.count - zone.nulls) as i64;
    let nans: Vec<i64> = zones.iter().zip(blocks()).map(nans).collect();
    if nans.iter().any(|count| *count > 0) {
        flags |= NANS;
        int_encode::encode(&nans, None, &mut out);
    }
    (flags, out)
}

fn put_bounds(mins: &[i64], maxs: &[i64], out: &mut Vec<u8>) {
    int_encode::encode(mins, None, out);
    let above: Vec<i64> = maxs.iter().zip(mins).map(|(max, min)| max.wrapping_sub(*min)).collect();
    int_encode::encode(&above, None, out);
}

fn put_floats<F: Float>(zones: &[Zone], scale: Option<Scale>, out: &mut Vec<u8>) {
    let bound = |zone: &Zone, value: f64| F::narrow(if zone.count == 0 { 0.0 } else { value });
    let mins: Vec<F> = zones.iter().map(|zone| bound(zone, zone.min)).collect();
    let maxs: Vec<F> = zones.iter().map(|zone| bound(zone, zone.max)).collect();
    let Some(scale) = scale else {
        let bits = |values: &[F]| values.iter().map(|value| value.to_int()).collect::<Vec<_>>();
        put_bounds(&bits(&mins), &bits(&maxs), out);
        return;
    };
    let mantissas = |values: &[F]| {
        let mut numbers = Mantissas::of(values, scale.exponent, |_| false);
        numbers.divide(scale.divisor);
        // A bound that is no multiple of the divisor is the value of an exception, and becomes one.
        for (index, value) in values.iter().enumerate() {
            let exact = scale.value::<F>(numbers.numbers[index]).to_int() == value.to_int();
            if !exact && !numbers.strays.iter().any(|stray| stray.0 == index) {
                numbers.strays.push((index, value.to_int()));
            }
        }
        numbers.strays.sort_unstable();
        numbers
    };
    let (mins, maxs) = (mantissas(&mins), mantissas(&maxs));
    put_bounds(&mins.numbers, &maxs.numbers, out);
    mins.put_strays::<F>(scale, 0, zones.len(), out);
    maxs.put_strays::<F>(scale, 0, zones.len(), out);
}

impl Chunk<'_> {
    /// Statistics of a block; `None` where they are not kept: for text, and in chunks of fewer than 128 rows.
    ///
    /// # Errors
    /// Zone maps that cannot be decoded.
    pub fn zone(&self, id: ColumnId, block: usize) -> Result<Option<Zone>> {
        Ok(self.zones(id)?.and_then(|zones| zones.get(block).copied()))
    }

    /// Statistics of the whole chunk: those of its blocks together.
    ///
    /// # Errors
    /// Zone maps that cannot be decoded.
    pub fn chunk_zone(&self, id: ColumnId) -> Result<Option<Zone>> {
        Ok(self.statistics(id)?.map(|zones| zones.all))
    }

    /// Statistics of every block. Decoded once for the index of a part.
    ///
    /// # Errors
    /// Zone maps that cannot be decoded.
    pub fn zones(&self, id: ColumnId) -> Result<Option<&[Zone]>> {
        Ok(self.statistics(id)?.map(|zones| &*zones.blocks))
    }

    fn statistics(&self, id: ColumnId) -> Result<Option<&Zones>> {
        let Some(entry) = self.entry(Key::Column(id)) else { return Ok(None) };
        if let Some(known) = entry.statistics.get() {
            return Ok(known.as_ref());
        }
        let zones = self.read_zones(entry)?.map(|blocks| {
            let mut all = Zone::EMPTY;
            blocks.iter().for_each(|zone| all.merge(zone));
            Zones { blocks: blocks.into_boxed_slice(), all }
        });
        Ok(entry.statistics.get_or_init(|| zones).as_ref())
    }

    fn read_zones(&self, entry: &Entry) -> Result<Option<Vec<Zone>>> {
        let blocks = (0..self.blocks()).map(|block| self.block_rows(block));
        if entry.kind == ColumnType::String {
            return Ok(None);
        }
        match entry.encoding {
            Encoding::Null => {
                return Ok(Some(
                    blocks.map(|rows| Zone { nulls: rows.len() as u64, ..Zone::EMPTY }).collect(),
                ));
            }
            Encoding::Constant => {
                let mut one = ColumnValues::empty(entry.kind);
                self.read_constant(entry, 1, &mut one.values)?;
                let value = measure(&one, 0..1);
                return Ok(Some(blocks.map(|rows| repeated(&value, rows.len())).collect()));
            }
            _ if entry.zones.is_empty() => return Ok(None),
            _ => {}
        }
        let mut reader = ByteReader::new(&self.head.content[entry.zones.clone()], "S24");
        let zones = self.decode_zones(entry, &mut reader).and_then(|zones| reader.finish().map(|()| zones));
        zones.map(Some).map_err(|error| error.shifted(self.head.offset + entry.zones.start as u64))
    }

    fn decode_zones(&self, entry: &Entry, reader: &mut ByteReader<'_>) -> Result<Vec<Zone>> {
        let blocks = self.blocks();
        let mut scratch = Scratch::pooled();
        let scratch = &mut scratch.int;
        let (mut mins, mut maxs) = ([0; CHUNK_BLOCKS], [0; CHUNK_BLOCKS]);
        let (mins, maxs) = (&mut mins[..blocks], &mut maxs[..blocks]);
        int::decode_plain(reader, mins, scratch)?;
        int::decode_plain(reader, maxs, scratch)?;
        for (max, min) in maxs.iter_mut().zip(mins.iter()) {
            *max = max.wrapping_add(*min);
        }
        let bounds = match (entry.scale, entry.kind) {
            (Some(scale), ColumnType::F32) => floats::<f32>(reader, [mins, maxs], scale, scratch.kernels)?,
            (Some(scale), _) => floats::<f64>(reader, [mins, maxs], scale, scratch.kernels)?,
            (None, kind) => {
                let wide = |number: &i64| match kind {
                    ColumnType::F64 => f64::from_bits(*number as u64),
                    ColumnType::F32 => f64::from(f32::from_bits(*number as u32)),
                    _ => *number as f64,
                };
                [mins.iter().map(wide).collect(), maxs.iter().map(wide).collect()]
            }
        };
        let sums = (0..blocks).map(|_| reader.u64().map(f64::from_bits)).collect::<Result<Vec<f64>>>()?;
        let mut counts = |flag| {
            let mut numbers = vec![0; blocks];
            if entry.flags & flag != 0 {
                int::decode_plain(reader, &mut numbers, scratch)?;
            }
            Ok(numbers)
        };
        let (nulls, nans) = (counts(NULLS)?, counts(NANS)?);
        let mut zones = Vec::with_capacity(blocks);
        for block in 0..blocks {
            let rows = self.block_rows(block).len() as u64;
            let (nulls, nans) = (nulls[block] as u64, nans[block] as u64);
            let Some(count) = rows.checked_sub(nulls).and_then(|rest| rest.checked_sub(nans)) else {
                return Err(reader.error("more nulls and NaNs than rows"));
            };
            let (min, max) = if count == 0 {
                (Zone::EMPTY.min, Zone::EMPTY.max)
            } else {
                (bounds[0][block], bounds[1][block])
            };
            zones.push(Zone { min, max, sum: sums[block], count, nulls });
        }
        Ok(zones)
    }
}

fn floats<F: Float>(
    reader: &mut ByteReader<'_>,
    numbers: [&mut [i64]; 2],
    scale: Scale,
    kernels: &Kernels,
) -> Result<[Vec<f64>; 2]> {
    let mut out = [Vec::new(), Vec::new()];
    for (numbers, out) in numbers.into_iter().zip(&mut out) {
        let mut values: Vec<F> = Vec::with_capacity(numbers.len());
        scale.extend(kernels, numbers, &mut values);
        decimal::patch(reader, numbers.len(), 0, &mut values, &mut [0; CHUNK_BLOCKS])?;
        out.extend(values.iter().map(|value| value.wide()));
    }
    Ok(out)
}

/// Statistics of one value `count` times.
fn repeated(value: &Zone, count: usize) -> Zone {
    let mut all = Zone::EMPTY;
    (0..count).for_each(|_| all.merge(value));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_side_by_side_are_those_in_order() {
        let numbers: Vec<f64> = (0..BLOCK_ROWS).map(|row| (row * 7919 % 1021) as f64 - 500.0).collect();
        for length in (0..40).chain([BLOCK_ROWS - 1, BLOCK_ROWS]) {
            for start in [0, 1, 13] {
                let some = &numbers[start.min(length)..length];
                assert_eq!(Zone::of_numbers(some), measure_all(some), "{start}..{length}");
            }
        }
        let mut odd = numbers[..100].to_vec();
        odd[17] = f64::NAN;
        assert_eq!(Zone::of_numbers(&odd), measure_all(&odd));
        assert_eq!(Zone::of_numbers(&odd).count, 99);
        // Numbers that are rounded: sums differ by that only.
        let thirds: Vec<f64> = numbers.iter().map(|number| number / 3.0).collect();
        let (apart, together) = (Zone::of_numbers(&thirds), measure_all(&thirds));
        assert_eq!((apart.min, apart.max, apart.count), (together.min, together.max, together.count));
        assert!((apart.sum - together.sum).abs() < 1e-9, "{} and {}", apart.sum, together.sum);
    }

    #[test]
    fn statistics_are_compared_as_numbers() {
        let zone = Zone { min: 0.0, max: f64::INFINITY, sum: f64::NAN, count: 3, nulls: 0 };
        assert!(same(&zone, &Zone { sum: -f64::NAN, min: -0.0, ..zone }), "of another machine");
        for other in [
            Zone { min: 1.0, ..zone },
            Zone { max: 1.0, ..zone },
            Zone { sum: 1.0, ..zone },
            Zone { count: 2, ..zone },
            Zone { nulls: 1, ..zone },
        ] {
            assert!(!same(&zone, &other) && !same(&other, &zone), "{other:?}");
        }
    }
}
