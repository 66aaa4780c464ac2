//! Further digits: decimals of more places among those of a group. Rule K20 of `format-spec/codecs.md`.
//!
//! Most prices of a book have two places, and some, of orders that a program made, have eight. Mantissas stay those of most
//! prices; what the others have beyond is told beside them. A high that equals the open or close, or an open that equals a
//! close, has the digits of that one: they carry over and are told once.

use super::decimal::{Mantissas, SEARCHED, Scale, sample};
use super::group::Role;
use super::int::{self, IntScratch};
use super::int_encode;
use super::kernel::Kernels;
use super::lane::Lane;
use crate::bytes::{ByteReader, ByteWriter};
use crate::error::Result;
use crate::limits::BLOCK_ROWS;
use crate::number::POWERS;

/// Most places that may follow those of the scale: powers of ten up to this one are numbers of 64 bits.
const MOST: u8 = 18;
/// Exceptions of a group that the places are chosen from.
const SAMPLE: usize = 256;
/// Places suffice that leave at most one exception of so many.
const BEYOND: usize = 16;

/// Decimal places of further digits, beyond those of a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// How many.
    pub count: u8,
    /// The places of both.
    exponent: u8,
    /// Units of the last place in one of a mantissa.
    unit: i64,
    /// The same, unless it wraps.
    exact_unit: Option<u64>,
}

impl Places {
    /// So many beyond those of a scale, if there can be: 1 to 18, and not more than 22 together.
    pub fn beyond(scale: Scale, count: u8) -> Option<Self> {
        let exponent = scale.exponent.checked_add(count)?;
        let fits = (1..=MOST).contains(&count) && usize::from(exponent) < POWERS.len();
        let more = 10i64.checked_pow(u32::from(count)).filter(|_| fits)?;
        let exact_unit = scale.divisor.checked_mul(more).map(i64::unsigned_abs);
        Some(Self { count, exponent, unit: scale.divisor.wrapping_mul(more), exact_unit })
    }

    /// Whether mantissas of at most this magnitude have the same values with further digits of zero as without any: both are
    /// quotients of the same, exact numbers.
    pub fn are_exact(self, reach: u64) -> bool {
        let unit = self.exact_unit;
        unit.and_then(|unit| reach.checked_mul(unit)).is_some_and(|product| product < 1 << 53)
    }

    /// Appends the values of mantissas with further digits. `finer` is scratch of as many numbers.
    pub fn extend<N: Lane>(
        self,
        kernels: &Kernels,
        (numbers, digits): Rows<'_, N>,
        finer: &mut [i64],
        out: &mut Vec<f64>,
    ) {
        (N::loops(kernels).finer)(numbers, digits, self.unit, finer);
        Scale { exponent: self.exponent, divisor: 1 }.extend(kernels, finer, out);
    }

    /// Takes the exceptions that have further digits from the others: the digits of every row.
    pub fn take(self, column: &mut Mantissas) -> Vec<i64> {
        let mut digits = vec![0; column.numbers.len()];
        column.strays.retain(|(row, bits)| {
            let Some(number) = Mantissas::exact(f64::from_bits(*bits as u64), self.exponent) else {
                return true;
            };
            digits[*row] = number.wrapping_sub(column.numbers[*row].wrapping_mul(self.unit));
            false
        });
        digits
    }
}

/// How many places the exceptions of a group have beyond `exponent`, if nearly all are decimals: the fewest that suffice. The
/// others stay exceptions, which do not carry over.
pub fn find(columns: &[Mantissas], exponent: u8) -> Option<u8> {
    let strays = columns.iter().flat_map(|column| &column.strays);
    let strays: Vec<f64> = strays.map(|(_, bits)| f64::from_bits(*bits as u64)).collect();
    let sample = sample(&strays, |_| true, SAMPLE);
    let fit = |places: &u8| {
        let beyond = sample.iter().filter(|value| Mantissas::exact(**value, *places).is_none()).count();
        beyond * BEYOND <= sample.len()
    };
    (exponent + 1..=SEARCHED as u8).find(fit).map(|places| places - exponent)
}

/// Mantissas and digits of a column's rows in a block.
pub type Rows<'a, N> = (&'a [N], &'a [i64]);

/// The digits of rows if none are told: those of what they equal, which for opens is the close of the row before, or else
/// that of their own row. As many as fit in `out`. (For opens the second pair is not looked at.)
pub fn carry<N: Lane>(role: Role, numbers: &[N], close: Rows<'_, N>, open: Rows<'_, N>, out: &mut [i64]) {
    carry_inline(role, numbers, close, open, out);
}

/// [`carry`], to be inlined into shims that allow more instructions.
#[expect(clippy::inline_always, reason = "inlined into the shims of kernels")]
#[inline(always)]
pub(super) fn carry_inline<N: Lane>(
    role: Role,
    numbers: &[N],
    close: Rows<'_, N>,
    open: Rows<'_, N>,
    out: &mut [i64],
) {
    let count = out.len();
    let (numbers, close, open) = (&numbers[..count], of_rows(close, count), of_rows(open, count));
    match role {
        Role::Close => out.fill(0),
        Role::Open => {
            let same = |row: usize| if numbers[row] == close.0[row] { close.1[row] } else { 0 };
            if let Some((first, out)) = out.split_first_mut() {
                *first = same(0);
                let (before, (own, digits)) = (of_rows(close, out.len()), (&close.0[1..], &close.1[1..]));
                for (row, number) in numbers[1..].iter().enumerate() {
                    let otherwise = if *number == own[row] { digits[row] } else { 0 };
                    out[row] = if *number == before.0[row] { before.1[row] } else { otherwise };
                }
            }
        }
        Role::High => {
            for row in 0..count {
                let equal = close.1[row].max(open.1[row]);
                let unequal = if close.0[row] > open.0[row] { close.1[row] } else { open.1[row] };
                let digits = if close.0[row] == open.0[row] { equal } else { unequal };
                out[row] = if numbers[row] == close.0[row].max(open.0[row]) { digits } else { 0 };
            }
        }
        Role::Low => {
            for row in 0..count {
                let equal = close.1[row].min(open.1[row]);
                let unequal = if close.0[row] < open.0[row] { close.1[row] } else { open.1[row] };
                let digits = if close.0[row] == open.0[row] { equal } else { unequal };
                out[row] = if numbers[row] == close.0[row].min(open.0[row]) { digits } else { 0 };
            }
        }
    }
}

#[inline]
fn of_rows<N>(rows: Rows<'_, N>, count: usize) -> Rows<'_, N> {
    (&rows.0[..count], &rows.1[..count])
}

/// Mantissas with their further digits, of which `unit` make one: numbers of the last place.
pub fn finer<N: Lane>(numbers: &[N], digits: &[i64], unit: i64, out: &mut [i64]) {
    finer_inline(numbers, digits, unit, out);
}

/// [`finer`], to be inlined into shims that allow more instructions.
#[expect(clippy::inline_always, reason = "inlined into the shims of kernels")]
#[inline(always)]
pub(super) fn finer_inline<N: Lane>(numbers: &[N], digits: &[i64], unit: i64, out: &mut [i64]) {
    for ((out, number), digits) in out.iter_mut().zip(numbers).zip(digits) {
        *out = number.wide().wrapping_mul(unit).wrapping_add(*digits);
    }
}

/// Appends the digits of a block that do not carry over.
pub fn put(role: Role, rows: Rows<'_, i64>, close: Rows<'_, i64>, open: Rows<'_, i64>, out: &mut Vec<u8>) {
    let mut carried = [0; BLOCK_ROWS];
    let carried = &mut carried[..rows.0.len()];
    carry(role, rows.0, close, open, carried);
    let differs = rows.1.iter().zip(&*carried).enumerate().filter(|(_, (digits, carried))| digits != carried);
    let (at, digits): (Vec<i64>, Vec<i64>) = differs.map(|(row, (digits, _))| (row as i64, *digits)).unzip();
    out.put_varint(at.len() as u64);
    int_encode::encode(&at, None, out);
    int_encode::encode(&digits, None, out);
}

/// The digits of a group's columns in one block, by role.
#[derive(Debug, Default)]
pub struct Digits([Column; 4]);

/// The digits of one column.
#[derive(Debug)]
struct Column {
    digits: Box<[i64; BLOCK_ROWS]>,
    /// Whether some may not be zero: else all are.
    some: bool,
    known: bool,
}

impl Default for Column {
    fn default() -> Self {
        Self { digits: Box::new([0; BLOCK_ROWS]), some: false, known: false }
    }
}

impl Column {
    /// Takes the digits that carry over from close, or from close and open; mantissas by role.
    fn carry<N: Lane>(&mut self, role: Role, from: &[Self], numbers: [&[N]; 4], kernels: &Kernels) {
        let some = from.iter().any(|column| column.some);
        if some {
            let rows = |at: usize| (numbers[at], &from[at].digits[..]);
            let out = &mut self.digits[..numbers[0].len()];
            (N::loops(kernels).carry)(role, numbers[role as usize], rows(0), rows(from.len() - 1), out);
        } else if self.some {
            self.digits.fill(0);
        }
        self.some = some;
    }
}

impl Digits {
    /// Has to be called before those of another block are read.
    pub fn forget(&mut self) {
        self.0.iter_mut().for_each(|column| column.known = false);
    }

    /// Whether those of a column were read.
    pub fn has(&self, role: Role) -> bool {
        self.0[role as usize].known
    }

    /// Whether some of a column's may not be zero.
    pub fn has_some(&self, role: Role) -> bool {
        self.0[role as usize].some
    }

    /// The digits of a column.
    pub fn of(&self, role: Role) -> &[i64; BLOCK_ROWS] {
        &self.0[role as usize].digits
    }

    /// Reads those of a column of a block of `count` rows, after those of close, and for high and low those of open. The
    /// mantissas are by role. `scratch` has room for the rows of two blocks.
    ///
    /// # Errors
    /// More rows with digits than rows, rows that do not ascend, blocks of integers that cannot be decoded.
    pub fn read<N: Lane>(
        &mut self,
        role: Role,
        reader: &mut ByteReader<'_>,
        count: usize,
        numbers: [&[N]; 4],
        int: &mut IntScratch,
        scratch: [&mut [i64]; 2],
    ) -> Result<()> {
        let (known, rest) = self.0.split_at_mut(role as usize);
        let column = &mut rest[0];
        column.carry(role, &known[..known.len().min(2)], numbers, int.kernels);
        let told = reader.varint()?;
        if told > count as u64 {
            return Err(reader.error(format!("further digits of {told} rows in {count}")));
        }
        column.known = true;
        if told == 0 {
            return Ok(());
        }
        let [rows, digits] = scratch.map(|numbers| &mut numbers[..told as usize]);
        int::decode_plain(reader, rows, int)?;
        let ascend = rows.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascend || rows[0] < 0 || rows[rows.len() - 1] >= count as i64 {
            return Err(reader.error("further digits out of order or outside of the block"));
        }
        int::decode_plain(reader, digits, int)?;
        column.some = true;
        for (row, digits) in rows.iter().zip(digits) {
            column.digits[*row as usize] = *digits;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> i64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) % limit) as i64
        }
    }

    /// Mantissas and digits of close, open, high and low.
    type Columns = [(Vec<i64>, Vec<i64>); 4];

    /// Mantissas of a few values, so that they are often equal, and digits in some rows.
    fn columns(random: &mut Random, count: usize, one_in: u64) -> Columns {
        std::array::from_fn(|_| {
            let numbers = (0..count).map(|_| random.below(4) - 2).collect();
            let digits = (0..count).map(|_| if random.below(one_in) == 0 { random.below(7) - 3 } else { 0 });
            (numbers, digits.collect())
        })
    }

    /// What the specification says of a row that is not told.
    fn expected(columns: &Columns, role: Role, row: usize) -> i64 {
        let [close, open, ..] = columns;
        let at = |column: &(Vec<i64>, Vec<i64>), row: usize| (column.0[row], column.1[row]);
        let own = columns[role as usize].0[row];
        let pairs = [at(close, row), at(open, row)];
        match role {
            Role::Open if row > 0 && own == close.0[row - 1] => close.1[row - 1],
            Role::Open if own == close.0[row] => close.1[row],
            Role::Close | Role::Open => 0,
            Role::High => pairs.into_iter().max().filter(|pair| pair.0 == own).map_or(0, |pair| pair.1),
            Role::Low => pairs.into_iter().min().filter(|pair| pair.0 == own).map_or(0, |pair| pair.1),
        }
    }

    #[test]
    fn digits_carry_over_from_what_is_equal() {
        let mut random = Random(1);
        for count in [1, 2, 3, 16, 17, 100, BLOCK_ROWS] {
            let all = columns(&mut random, count, 2);
            let [close, open, ..] = &all;
            for role in Role::ALL {
                let mut found = vec![7; count];
                let (close, open) = ((&close.0[..], &close.1[..]), (&open.0[..], &open.1[..]));
                carry(role, &all[role as usize].0, close, open, &mut found);
                let expected: Vec<i64> = (0..count).map(|row| expected(&all, role, row)).collect();
                assert_eq!(found, expected, "{role:?} of {count} rows");
            }
        }
    }

    fn block_of(columns: &Columns, role: Role) -> Vec<u8> {
        let rows = |role: Role| {
            let (numbers, digits) = &columns[role as usize];
            (&numbers[..], &digits[..])
        };
        let mut out = Vec::new();
        put(role, rows(role), rows(Role::Close), rows(Role::Open), &mut out);
        out
    }

    fn read_into(digits: &mut Digits, columns: &Columns, role: Role, bytes: &[u8]) -> Result<usize> {
        let (mut rows, mut told) = (vec![0; BLOCK_ROWS], vec![0; BLOCK_ROWS]);
        let mut reader = ByteReader::new(bytes, "K20");
        let numbers = columns.each_ref().map(|column| &column.0[..]);
        let count = numbers[0].len();
        let scratch = [&mut rows[..], &mut told[..]];
        digits.read(role, &mut reader, count, numbers, &mut IntScratch::default(), scratch)?;
        Ok(reader.position())
    }

    /// Blocks one after another in the same buffers, some without digits, of other lengths, some of whose columns are not
    /// asked for: nothing of one is seen in the next.
    #[test]
    fn digits_of_any_columns_come_back() {
        let mut random = Random(2);
        let mut digits = Digits::default();
        for round in 0..600 {
            let count = [1, 5, 64, 700, BLOCK_ROWS][round % 5];
            let one_in = [1, 3, 200, 1 << 40][random.below(4) as usize];
            let all = columns(&mut random, count, one_in);
            digits.forget();
            let wanted = Role::ALL[random.below(4) as usize];
            let needed: &[Role] = match wanted {
                Role::Close => &[Role::Close],
                Role::Open => &[Role::Close, Role::Open],
                Role::High => &[Role::Close, Role::Open, Role::High],
                Role::Low => &[Role::Close, Role::Open, Role::Low],
            };
            for role in needed {
                assert!(!digits.has(*role));
                let bytes = block_of(&all, *role);
                assert_eq!(read_into(&mut digits, &all, *role, &bytes).unwrap(), bytes.len());
                assert!(digits.has(*role));
                assert_eq!(digits.of(*role)[..count], all[*role as usize].1[..], "{role:?}");
                let some = all[*role as usize].1.iter().any(|digits| *digits != 0);
                assert!(digits.has_some(*role) || !some);
            }
        }
    }

    #[test]
    fn broken_digits_are_refused() {
        let mut random = Random(3);
        let all = columns(&mut random, 10, 1 << 40);
        let refused = |rows: &[i64], count: u64| {
            let mut bytes = Vec::new();
            bytes.put_varint(count);
            int_encode::encode(rows, None, &mut bytes);
            int_encode::encode(&vec![5; rows.len()], None, &mut bytes);
            let error = read_into(&mut Digits::default(), &all, Role::Close, &bytes).unwrap_err();
            assert_eq!(error.rule, "K20");
            error.to_string()
        };
        assert!(refused(&[0; 11], 11).contains("of 11 rows in 10"));
        for rows in [[3, 3], [4, 3], [-1, 3], [3, 10], [i64::MIN, i64::MAX]] {
            assert!(refused(&rows, 2).contains("out of order or outside"), "{rows:?}");
        }
        let good = block_of(&columns(&mut random, 10, 2), Role::Close);
        for end in 0..good.len() {
            assert!(
                read_into(&mut Digits::default(), &all, Role::Close, &good[..end]).is_err(),
                "{end} bytes"
            );
        }
    }

    /// Whole prices, of which some have two places, and a few others: one of sixteen does not count.
    #[test]
    fn the_fewest_places_that_suffice_are_found() {
        let found = |strays: &[f64]| {
            let prices: Vec<f64> = [7.0; 40].iter().chain(strays).copied().collect();
            find(&[Mantissas::of(&prices, 0, |_| false)], 0)
        };
        assert_eq!(found(&[7.25]), Some(2));
        let mut strays = [7.25; 32];
        strays[..2].fill(7.125);
        assert_eq!(found(&strays), Some(2));
        strays[2] = 7.125;
        assert_eq!(found(&strays), Some(3));
        strays[..3].fill(f64::NAN);
        assert_eq!(found(&strays), None);
    }

    #[test]
    fn places_have_bounds() {
        let of = |exponent, divisor, count| Places::beyond(Scale { exponent, divisor }, count);
        assert!(of(2, 1, 0).is_none() && of(2, 1, 19).is_none() && of(19, 1, 4).is_none());
        assert!(of(2, 1, 18).is_some() && of(19, 1, 3).is_some() && of(22, 1, 255).is_none());
        let places = of(2, 25, 6).unwrap();
        assert!(places.are_exact((1 << 53) / 25_000_000) && !places.are_exact((1 << 53) / 25_000_000 + 1));
        let mut out = Vec::new();
        let rows = (&[4i32, -4, 4][..], &[0, 1, -1][..]);
        places.extend(Kernels::best(), rows, &mut [0; 3], &mut out);
        assert_eq!(out, [1.0, -0.999_999_99, 0.999_999_99]);
    }
}
