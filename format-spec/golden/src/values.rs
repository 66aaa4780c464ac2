//! Made-up values of every kind, from a fixed random source.

use tapestore::{ColumnType, ColumnValues, Strings, Values};

/// `SplitMix64`.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: i64) -> i64 {
        (self.word() % limit as u64) as i64
    }
}

/// What the values of a column look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Always the same.
    Constant,
    /// A walk in small steps.
    Walk,
    /// Few different ones.
    Few,
    /// Small, now and then huge.
    Outliers,
    /// The same for long.
    Runs,
    /// One value, now and then another.
    Sparse,
    /// All bits random.
    Noise,
    /// The ends of the range and their neighbours.
    Extremes,
    /// Floats: decimals of two places. Others: as `Few`.
    Decimals,
    /// Floats: decimals of many precisions. Others: as `Outliers`.
    Mixed,
    /// Floats: decimals and what is left by sums of them. Others: as `Walk`.
    Residues,
    /// Floats: NaNs with payloads, infinities, signed zeros and subnormals among decimals. Others: as `Extremes`.
    Strange,
    /// Floats: square roots, whose last bits are noise. Others: as `Noise`.
    Roots,
}

impl Manner {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Constant,
        Self::Walk,
        Self::Few,
        Self::Outliers,
        Self::Runs,
        Self::Sparse,
        Self::Noise,
        Self::Extremes,
        Self::Decimals,
        Self::Mixed,
        Self::Residues,
        Self::Strange,
        Self::Roots,
    ];
}

/// Where nulls are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// Nowhere.
    None,
    /// One in nine.
    Some,
    /// The first 1024 rows, then one in three.
    Block,
    /// Everywhere.
    All,
}

fn number(random: &mut Random, manner: Manner, row: usize, last: i64) -> i64 {
    match manner {
        Manner::Constant => -123_456_789,
        Manner::Walk | Manner::Residues => last + random.below(21) - 9,
        Manner::Few | Manner::Decimals => [5, -7_000_000_000, 1 << 40, 12][random.below(4) as usize],
        Manner::Outliers | Manner::Mixed if random.below(40) == 0 => random.word() as i64,
        Manner::Outliers | Manner::Mixed => random.below(50),
        Manner::Runs if row > 0 && random.below(25) > 0 => last,
        Manner::Runs => random.below(1_000_000),
        Manner::Sparse if random.below(30) > 0 => 42,
        Manner::Sparse => random.below(1 << 33),
        Manner::Noise | Manner::Roots => random.word() as i64,
        Manner::Extremes | Manner::Strange => {
            [i64::MIN, i64::MAX, 0, -1, i64::MIN + 1, i64::MAX - 1][random.below(6) as usize]
        }
    }
}

fn double(random: &mut Random, manner: Manner, row: usize) -> f64 {
    let cents = (1_000_000 + (row as i64 % 700) * 3 + random.below(90)) as f64 / 100.0;
    match manner {
        Manner::Constant => 0.1,
        Manner::Few => [0.5, 1e300, -2.5e-7, 1e22, 3.0][random.below(5) as usize],
        Manner::Outliers if random.below(60) == 0 => f64::from_bits(random.word()),
        Manner::Outliers => random.below(1000) as f64 / 8.0,
        Manner::Runs => (row / 50) as f64 * 1.5,
        Manner::Sparse if random.below(20) > 0 => 0.0,
        Manner::Sparse => random.below(1_000_000) as f64 / 1000.0,
        Manner::Noise => f64::from_bits(random.word()),
        Manner::Extremes => {
            [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -5e-324, 9_007_199_254_740_993.0, 1e-12, 1e21]
                [random.below(8) as usize]
        }
        Manner::Mixed => {
            let places = [1.0, 10.0, 1000.0, 1e5, 1e8][random.below(5) as usize];
            (random.below(1 << 30) as f64) / places
        }
        Manner::Residues if random.below(3) == 0 => (row % 90) as f64 / 10.0 + 0.1 + 0.2,
        Manner::Residues => (row % 1000) as f64 / 10.0,
        Manner::Strange if random.below(6) == 0 => [
            f64::NAN,
            -f64::NAN,
            f64::from_bits(0x7ff0_0000_0000_0001),
            f64::from_bits(0xfff8_dead_beef_0123),
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            0.0,
            1e-310,
        ][random.below(9) as usize],
        Manner::Roots => (random.below(1 << 40) as f64).sqrt(),
        Manner::Walk | Manner::Decimals | Manner::Strange => cents,
    }
}

fn single(random: &mut Random, manner: Manner, row: usize) -> f32 {
    match manner {
        Manner::Noise => f32::from_bits(random.word() as u32),
        Manner::Strange if random.below(9) == 0 => f32::from_bits(0x7f80_0001 + random.below(99) as u32),
        Manner::Extremes => [f32::MAX, f32::MIN_POSITIVE, 1e-45, 16_777_216.0, -0.0, f32::NEG_INFINITY]
            [random.below(6) as usize],
        _ => double(random, manner, row) as f32,
    }
}

fn text(random: &mut Random, manner: Manner, row: usize) -> String {
    match manner {
        Manner::Constant => "always".into(),
        Manner::Few | Manner::Decimals | Manner::Runs => {
            ["buy", "sell", "", "käufer"][random.below(4) as usize].into()
        }
        Manner::Sparse if random.below(10) > 0 => String::new(),
        Manner::Noise | Manner::Roots => format!("{:016x}", random.word()),
        Manner::Extremes if row == 3 => "ä→𝄞".repeat(455) + "x",
        Manner::Extremes | Manner::Strange => {
            ["with, comma", "with \"quotes\"", "two\nlines", " spaces ", "\r", "腾讯", "a\tb", "\u{1}"]
                [random.below(8) as usize]
                .into()
        }
        _ => format!("order {}", random.below(100_000)),
    }
}

/// A column of values.
pub fn column(
    random: &mut Random,
    kind: ColumnType,
    manner: Manner,
    nulls: Nulls,
    count: usize,
) -> ColumnValues {
    let mut last = 1_000_000;
    let mut numbers = |random: &mut Random| -> Vec<i64> {
        let mut out = Vec::with_capacity(count);
        for row in 0..count {
            last = number(random, manner, row, last);
            out.push(last);
        }
        out
    };
    let values = match kind {
        ColumnType::I64 | ColumnType::Timestamp => Values::I64(numbers(random)),
        ColumnType::U8 => Values::U8(numbers(random).into_iter().map(|number| number as u8).collect()),
        ColumnType::Bool => {
            Values::U8(numbers(random).into_iter().map(|number| (number & 1) as u8).collect())
        }
        ColumnType::F64 => Values::F64((0..count).map(|row| double(random, manner, row)).collect()),
        ColumnType::F32 => Values::F32((0..count).map(|row| single(random, manner, row)).collect()),
        ColumnType::String => {
            Values::Str((0..count).map(|row| text(random, manner, row)).collect::<Strings>())
        }
    };
    let is_null = |random: &mut Random, row: usize| match nulls {
        Nulls::None => false,
        Nulls::Some => random.below(9) == 0,
        Nulls::Block => row < 1024 || random.below(3) == 0,
        Nulls::All => true,
    };
    let nulls = (nulls != Nulls::None).then(|| (0..count).map(|row| is_null(random, row)).collect());
    ColumnValues { values, nulls }
}
