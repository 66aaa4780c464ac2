//! Integer blocks written by hand, as `format-spec/codecs.md` says, also in forms that no encoder would choose. Nothing of the crate is
//! used here, so that the tests beside it and those within it share the cases.
#![allow(dead_code, unreachable_pub, reason = "every test file uses some of it")]

/// `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

pub const CONSTANT: u8 = 0;
pub const PACKED: u8 = 1;
pub const PATCHED: u8 = 2;
pub const RUNS: u8 = 3;
pub const DICTIONARY: u8 = 4;
pub const SPARSE: u8 = 5;
pub const RAW: u8 = 6;
pub const CLASSES: u8 = 7;

pub const PLAIN: u8 = 0;
pub const DELTA: u8 = 1;
pub const ALTERNATE: u8 = 3;
pub const TRANSFORMS: u8 = 4;

pub const COUNTS: [usize; 13] = [1, 2, 3, 8, 9, 17, 33, 64, 100, 200, 400, 1023, 1024];
pub const BASES: [i64; 5] = [0, 1, -77, i64::MIN, i64::MAX];
const FIRSTS: [i64; 5] = [0, -5, i64::MAX, i64::MIN, 77];
const MULTIPLIERS: [i64; 6] = [1, 25, -3, 0, i64::MIN, 1_000_003];

/// Whether a packing has offsets, and so a form of them.
pub fn has_offsets(packing: u8) -> bool {
    matches!(packing, PACKED | PATCHED | CLASSES)
}

/// Whether blocks of a packing have one inside.
pub fn has_inner(packing: u8) -> bool {
    matches!(packing, RUNS | DICTIONARY | SPARSE)
}

pub fn bits(number: u64) -> u32 {
    64 - number.leading_zeros()
}

/// The largest number of a width.
pub fn most(width: u32) -> u64 {
    if width == 0 { 0 } else { u64::MAX >> (64 - width) }
}

pub fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 127 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

pub fn put_signed(number: i64, out: &mut Vec<u8>) {
    put_varint((number << 1 ^ number >> 63) as u64, out);
}

pub fn pack(numbers: impl IntoIterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut held, mut bits) = (0u128, 0);
    for number in numbers {
        assert!(number <= most(width));
        held |= u128::from(number) << bits;
        bits += width;
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(held as u8);
    }
}

/// Offsets for all rows: zeros; the largest; the largest in the first or in the last row alone; any.
pub const EDGES: u8 = 5;

pub fn offsets(edge: u8, width: u32, count: usize, random: &mut Random) -> Vec<u64> {
    let most = most(width);
    let offset = |row: usize| match edge {
        0 => 0,
        1 => most,
        2 => most * u64::from(row == 0),
        3 => most * u64::from(row + 1 == count),
        _ => random.next() & most,
    };
    (0..count).map(offset).collect()
}

/// How offsets become numbers, and numbers values.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub transform: u8,
    pub firsts: [i64; 2],
    pub zigzag: bool,
    /// Stands in the head unless there is none.
    pub multiplier: Option<i64>,
    pub base: i64,
}

impl Form {
    pub const PLAIN: Self =
        Self { transform: PLAIN, firsts: [0; 2], zigzag: false, multiplier: None, base: 0 };

    /// Any that can be undone; plain, or of differences.
    pub fn any(random: &mut Random) -> Self {
        Self {
            transform: random.pick(&[PLAIN, DELTA]),
            firsts: [random.pick(&FIRSTS), 0],
            zigzag: random.chance(2),
            multiplier: random.pick(&[None, Some(1), Some(25), Some(-3)]),
            base: random.pick(&BASES),
        }
    }

    /// What of it counts in a packing.
    fn within(self, packing: u8) -> Self {
        if has_offsets(packing) { self } else { Self { zigzag: false, multiplier: None, base: 0, ..self } }
    }

    fn number(&self, offset: u64) -> i64 {
        let unfolded =
            if self.zigzag { (offset >> 1) as i64 ^ -((offset & 1) as i64) } else { offset as i64 };
        unfolded.wrapping_mul(self.multiplier.unwrap_or(1)).wrapping_add(self.base)
    }

    /// The values that numbers add up to; residuals of a group stay as they are.
    pub fn values(&self, numbers: &[i64]) -> Vec<i64> {
        let mut out: Vec<i64> = Vec::with_capacity(numbers.len());
        for (row, number) in numbers.iter().enumerate() {
            let before = match self.transform {
                DELTA if row == 0 => self.firsts[0],
                DELTA => out[row - 1],
                ALTERNATE if row < 2 => self.firsts[row],
                ALTERNATE => out[row - 2],
                _ => 0,
            };
            out.push(number.wrapping_add(before));
        }
        out
    }

    /// The offsets of values: plain ones, or differences.
    fn offsets(&self, values: &[i64]) -> Vec<u64> {
        let multiplier = self.multiplier.unwrap_or(1);
        assert!(multiplier & 1 == 1 && self.transform <= DELTA);
        // What a number times the multiplier is 1, modulo 2^64: every step doubles the bits that are right.
        let inverse = (0..6).fold(multiplier, |inverse, _| {
            inverse.wrapping_mul(2i64.wrapping_sub(multiplier.wrapping_mul(inverse)))
        });
        let mut before = self.firsts[0];
        let offset = |value: &i64| {
            let number = if self.transform == DELTA { value.wrapping_sub(before) } else { *value };
            before = *value;
            let offset = number.wrapping_sub(self.base).wrapping_mul(inverse);
            if self.zigzag { (offset << 1 ^ offset >> 63) as u64 } else { offset as u64 }
        };
        values.iter().map(offset).collect()
    }

    pub fn put_head(&self, packing: u8, out: &mut Vec<u8>) {
        let flags = u8::from(self.zigzag) << 5 | u8::from(self.multiplier.is_some()) << 6;
        out.push(packing | self.transform << 3 | flags);
        let firsts = match self.transform {
            DELTA => 1,
            ALTERNATE => 2,
            _ => 0,
        };
        self.firsts[..firsts].iter().for_each(|first| put_signed(*first, out));
        self.multiplier.into_iter().for_each(|multiplier| put_varint(multiplier as u64, out));
    }
}

/// Low bits of all offsets, and high bits of some rows, any of which may come more than once.
#[derive(Debug)]
struct Patches {
    low: u32,
    high: u32,
    tops: Vec<(usize, u64)>,
}

impl Patches {
    /// All high bits that there are.
    fn whole(low: u32, width: u32, offsets: &[u64]) -> Self {
        let tops = offsets.iter().enumerate().map(|(row, offset)| (row, offset >> low));
        let mut tops: Vec<_> = tops.filter(|(_, top)| *top != 0).collect();
        if tops.is_empty() {
            tops.push((0, 0));
        }
        Self { low, high: width - low, tops }
    }

    /// Those of some rows.
    fn some(low: u32, width: u32, offsets: &[u64], random: &mut Random) -> Self {
        let count = offsets.len();
        let top = |row: usize| (row, offsets[row] >> low);
        let tops = match random.below(5) {
            0 => (0..count).step_by(3).map(top).collect(),
            1 => (0..count).rev().map(top).collect(),
            2 => vec![top(count - 1)],
            3 => vec![top(0)],
            _ => {
                let mut any = || (random.below(count as u64) as usize, random.next() & most(width - low));
                let first = any();
                (1..count.min(50)).map(|_| any()).chain([first]).collect()
            }
        };
        Self { low, high: width - low, tops }
    }

    fn put(&self, form: &Form, offsets: &[u64], out: &mut Vec<u8>) -> Vec<u64> {
        let mut whole: Vec<u64> = offsets.iter().map(|offset| offset & most(self.low)).collect();
        put_signed(form.base, out);
        out.extend([self.low as u8, self.high as u8]);
        put_varint(self.tops.len() as u64, out);
        pack(self.tops.iter().map(|(row, _)| *row as u64), bits(offsets.len() as u64 - 1), out);
        pack(self.tops.iter().map(|(_, top)| *top), self.high, out);
        pack(whole.iter().copied(), self.low, out);
        self.tops.iter().filter(|_| self.high > 0).for_each(|(row, top)| whole[*row] |= top << self.low);
        whole
    }
}

/// Appends a block that may stand inside of another. Its values.
fn put_simple(
    packing: u8,
    form: Form,
    width: u32,
    offsets: &[u64],
    patches: impl FnOnce() -> Patches,
    out: &mut Vec<u8>,
) -> Vec<i64> {
    let form = form.within(packing);
    form.put_head(packing, out);
    let whole = match packing {
        CONSTANT => {
            put_signed(offsets[0] as i64, out);
            vec![offsets[0]; offsets.len()]
        }
        PACKED => {
            put_signed(form.base, out);
            out.push(width as u8);
            pack(offsets.iter().copied(), width, out);
            offsets.to_vec()
        }
        PATCHED => patches().put(&form, offsets, out),
        RAW => {
            offsets.iter().for_each(|offset| out.extend(offset.to_le_bytes()));
            offsets.to_vec()
        }
        _ => unreachable!("no packing for a block inside of another"),
    };
    form.values(&whole.into_iter().map(|offset| form.number(offset)).collect::<Vec<_>>())
}

/// Appends a block of these values in a form and a packing, constant ones of equal values alone; the width, some one at which they fit.
pub fn put_values(
    packing: u8,
    mut form: Form,
    values: &[i64],
    random: &mut Random,
    out: &mut Vec<u8>,
) -> u32 {
    if packing == CONSTANT {
        // Equal values differ by nothing.
        form.firsts[0] = values[0];
    }
    let form = form.within(packing);
    let offsets = form.offsets(values);
    let least = offsets.iter().map(|offset| bits(*offset)).max().unwrap_or(0);
    let more = random.below(2) * random.below(u64::from(65 - least));
    let width = least + more as u32;
    let low = random.below(u64::from(width.min(63)) + 1) as u32;
    let found = put_simple(packing, form, width, &offsets, || Patches::whole(low, width, &offsets), out);
    assert_eq!(found, values, "{packing} {form:?}");
    width
}

/// A block to be written.
#[derive(Clone, Debug)]
pub struct Case {
    pub packing: u8,
    /// That of the block; that of its offsets too, if it has any.
    pub form: Form,
    /// Packing and form of the block inside, if there is one.
    pub inner: Option<(u8, Form)>,
    pub width: u32,
    pub count: usize,
    pub edge: u8,
    /// Chooses where offsets are cut, and which class has the width.
    pub way: usize,
    /// Magnitudes stay below 2^31, as far as the parameters tell.
    pub near: bool,
}

/// What a case made, and what it went through to be counted.
#[derive(Debug, Default)]
pub struct Written {
    pub bytes: Vec<u8>,
    pub values: Vec<i64>,
    /// Low and high bits of patched offsets.
    pub cut: Option<(u32, u32)>,
    /// The width of each class that has rows.
    pub classes: Vec<(usize, u32)>,
    /// The width of the codes of a dictionary.
    pub codes: Option<u32>,
    /// Packing and form of the lengths of runs.
    pub lengths: Option<(u8, Form)>,
}

impl Case {
    pub fn write(&self, random: &mut Random) -> Written {
        let Self { packing, form, width, count, .. } = *self;
        let mut out = Vec::new();
        let mut told = Written::default();
        let form = form.within(packing);
        if has_inner(packing) {
            form.put_head(packing, &mut out);
            let numbers = match packing {
                RUNS => self.put_runs(random, &mut out, &mut told),
                DICTIONARY => self.put_dictionary(random, &mut out, &mut told),
                _ => self.put_sparse(random, &mut out),
            };
            told.values = form.values(&numbers);
        } else if packing == CLASSES {
            form.put_head(packing, &mut out);
            let numbers = self.put_classes(random, &mut out, &mut told);
            told.values = form.values(&numbers);
        } else {
            let offsets = offsets(self.edge, width, count, random);
            let low = (self.way % (width.min(63) as usize + 1)) as u32;
            told.cut = (packing == PATCHED).then_some((low, width - low));
            let patches = || Patches::some(low, width, &offsets, random);
            told.values = put_simple(packing, form, width, &offsets, patches, &mut out);
        }
        told.bytes = out;
        told
    }

    /// The block inside, of so many values.
    fn put_inner(&self, count: usize, random: &mut Random, out: &mut Vec<u8>) -> Vec<i64> {
        let (packing, form) = self.inner.expect("such a packing has a block inside");
        let width = self.width;
        let offsets = offsets(self.edge, width, count, random);
        let low = random.below(u64::from(width.min(63)) + 1) as u32;
        let patches = || Patches::some(low, width, &offsets, random);
        put_simple(packing, form, width, &offsets, patches, out)
    }

    fn put_runs(&self, random: &mut Random, out: &mut Vec<u8>, told: &mut Written) -> Vec<i64> {
        // Lengths, less one: of one, two, three, one, two … rows; one run; as many as rows; any.
        let (mut lengths, mut left) = (Vec::new(), self.count);
        let kind = random.below(4);
        while left > 0 {
            let length = match kind {
                0 => lengths.len() % 3,
                1 => left - 1,
                2 => 0,
                _ => random.below(left as u64) as usize,
            };
            lengths.push(length.min(left - 1) as i64);
            left -= 1 + length.min(left - 1);
        }
        let equal = lengths.iter().all(|length| *length == lengths[0]);
        let packing = random.pick(&[PACKED, PATCHED, RAW, if equal { CONSTANT } else { PACKED }]);
        let form = Form::any(random);
        told.lengths = Some((packing, form));
        put_varint(lengths.len() as u64, out);
        let values = self.put_inner(lengths.len(), random, out);
        put_values(packing, form, &lengths, random, out);
        let runs = values.iter().zip(&lengths);
        runs.flat_map(|(value, length)| vec![*value; *length as usize + 1]).collect()
    }

    fn put_dictionary(&self, random: &mut Random, out: &mut Vec<u8>, told: &mut Written) -> Vec<i64> {
        let sizes = (0..=10).flat_map(|bits| [1 << bits, (1 << bits) + 1]).chain([self.count]);
        let sizes: Vec<usize> = sizes.filter(|size| *size <= self.count).collect();
        let distinct = random.pick(&sizes);
        let code = |row: usize| {
            let last = row + 1 == self.count;
            if last { distinct as u64 - 1 } else { random.below(distinct as u64) }
        };
        let codes: Vec<u64> = (0..self.count).map(code).collect();
        let width = bits(distinct as u64 - 1);
        told.codes = Some(width);
        put_varint(distinct as u64, out);
        let values = self.put_inner(distinct, random, out);
        pack(codes.iter().copied(), width, out);
        codes.iter().map(|code| values[*code as usize]).collect()
    }

    fn put_sparse(&self, random: &mut Random, out: &mut Vec<u8>) -> Vec<i64> {
        let kind = random.below(5);
        let taken = |row: usize| match kind {
            0 => true,
            1 => row == 0,
            2 => row + 1 == self.count,
            3 => row.is_multiple_of(4) || row % 7 == 3,
            _ => row == 0 || random.chance(3),
        };
        let taken: Vec<bool> = (0..self.count).map(taken).collect();
        let others = taken.iter().filter(|taken| **taken).count();
        let default = random.pick(if self.near { &[0, -3, 5] } else { &BASES });
        put_signed(default, out);
        put_varint(others as u64, out);
        pack(taken.iter().map(|taken| u64::from(*taken)), 1, out);
        let mut values = self.put_inner(others, random, out).into_iter();
        let value = |taken: bool| if taken { values.next() } else { Some(default) };
        taken.into_iter().map(value).map(|value| value.expect("one for each bit")).collect()
    }

    fn put_classes(&self, random: &mut Random, out: &mut Vec<u8>, told: &mut Written) -> Vec<i64> {
        let Self { form, width, count, .. } = *self;
        let chosen = self.way % 4;
        let class_width =
            |class| if class == chosen { width } else { random.below(u64::from(width) + 1) as u32 };
        let widths: [u32; 4] = std::array::from_fn(class_width);
        let kind = random.below(4);
        let class = |row: usize| match kind {
            0 => (chosen + row) % 4,
            1 => chosen,
            2 if row + 1 == count => chosen,
            2 => (chosen + 1) % 4,
            _ => random.below(4) as usize,
        };
        let classes: Vec<usize> = (0..count).map(class).collect();
        let cut = |(row, offset): (usize, u64)| offset & most(widths[classes[row]]);
        let offsets: Vec<u64> =
            offsets(self.edge, width, count, random).into_iter().enumerate().map(cut).collect();
        put_signed(form.base, out);
        out.extend(widths.map(|width| width as u8));
        pack(classes.iter().map(|class| *class as u64), 2, out);
        for (class, width) in widths.into_iter().enumerate() {
            let of_class = || classes.iter().zip(&offsets).filter(|(own, _)| **own == class);
            pack(of_class().map(|(_, offset)| *offset), width, out);
            told.classes.extend(of_class().next().map(|_| (class, width)));
        }
        offsets.iter().map(|offset| form.number(*offset)).collect()
    }

    /// What a magnitude must not exceed, so that 32 bits hold all on the way to the values: their bound, without bases.
    fn room(&self) -> Option<i64> {
        let forms = [Some(self.form), self.inner.map(|(_, form)| form)];
        let mut room = i64::from(i32::MAX);
        for form in forms.into_iter().flatten().filter(|form| form.transform % 2 == 1) {
            let first = form.firsts.into_iter().map(i64::abs).max().unwrap_or(0);
            room = (room - first) / self.count as i64;
        }
        let offsets = self.inner.map_or(self.form, |(_, form)| form);
        Some(room - (offsets.multiplier.unwrap_or(1) << self.width)).filter(|room| *room >= 0)
    }

    /// Takes a base in the place of its number that is as small as has to be, and a first number as great as can be.
    fn bring_near(&mut self, base: usize, random: &mut Random) {
        let room = self.room().expect("a count was chosen that leaves some");
        let base = [0, 1, -77, room, -room][base].clamp(-room, room);
        let offsets = self.inner.as_mut().map_or(&mut self.form, |(_, form)| form);
        offsets.base = base;
        if self.inner.is_none() && self.form.transform % 2 == 1 {
            let most = base.abs() + (self.form.multiplier.unwrap_or(1) << self.width);
            let rest = i64::from(i32::MAX) - most * self.count as i64;
            self.form.firsts = [(); 2].map(|()| random.pick(&[0, -5, 77, rest, -rest]).clamp(-rest, rest));
        }
    }
}

/// What is crossed, for a packing and a width.
#[derive(Clone, Copy, Debug)]
struct Kind {
    transform: u8,
    zigzag: bool,
    multiplied: bool,
    base: usize,
    inner: Option<(u8, u8)>,
}

impl Kind {
    /// A case of it, of one row so far.
    fn case(self, packing: u8, width: u32, near: bool, random: &mut Random) -> Case {
        let fits = |multiplier: &i64| !near || *multiplier > 0 && multiplier << width <= 1 << 30;
        let multipliers: Vec<i64> = MULTIPLIERS.into_iter().filter(fits).collect();
        let mut form = |transform: u8| Form {
            transform,
            firsts: [(); 2].map(|()| random.pick(if near { &[0, -5, 77] } else { &FIRSTS })),
            zigzag: self.zigzag,
            multiplier: self.multiplied.then(|| random.pick(&multipliers)),
            base: BASES[self.base],
        };
        let inner = self.inner.map(|(packing, transform)| (packing, form(transform).within(packing)));
        let form = form(self.transform).within(packing);
        Case { packing, form, inner, width, count: 1, edge: 0, way: 0, near }
    }
}

fn kinds(packing: u8) -> Vec<Kind> {
    let mut out = Vec::new();
    for transform in 0..TRANSFORMS {
        let mut offsets = |inner: Option<(u8, u8)>| {
            for index in 0..20 {
                let (zigzag, multiplied, base) = (index % 2 == 1, index / 2 % 2 == 1, index / 4);
                out.push(Kind { transform, zigzag, multiplied, base, inner });
            }
        };
        if has_offsets(packing) {
            offsets(None);
        } else if has_inner(packing) {
            for of_inner in [PLAIN, DELTA] {
                offsets(Some((PACKED, of_inner)));
                offsets(Some((PATCHED, of_inner)));
            }
        }
        let kind = Kind { transform, zigzag: false, multiplied: false, base: 0, inner: None };
        if has_inner(packing) {
            let simple = [(CONSTANT, PLAIN), (CONSTANT, DELTA), (RAW, PLAIN), (RAW, DELTA)];
            out.extend(simple.map(|inner| Kind { inner: Some(inner), ..kind }));
        } else if !has_offsets(packing) {
            // As often as there are counts and edges.
            out.extend([kind; COUNTS.len() * EDGES as usize / TRANSFORMS as usize + 1]);
        }
    }
    out
}

/// Every packing, transform, width, form and base with one another; with each packing and width every count and edge, drawn anew
/// which form each goes with. Once with bases and first numbers of any magnitude, once such that 32 bits hold all.
pub fn cases(mut each: impl FnMut(&Case, Written)) {
    let mut random = Random(3);
    for (near, widest) in [(false, 64), (true, 30)] {
        for packing in CONSTANT..=CLASSES {
            for width in 0..=widest {
                let shape = |index: usize| (COUNTS[index % COUNTS.len()], (index / COUNTS.len()) as u8);
                let mut shapes: Vec<_> = (0..COUNTS.len() * EDGES as usize).map(shape).collect();
                random.shuffle(&mut shapes);
                let mut kinds = kinds(packing);
                random.shuffle(&mut kinds);
                for (way, kind) in kinds.into_iter().enumerate() {
                    let mut case = kind.case(packing, width, near, &mut random);
                    (case.way, (case.count, case.edge)) = (way, shapes[way % shapes.len()]);
                    if near {
                        if [Some(packing), kind.inner.map(|inner| inner.0)].contains(&Some(RAW)) {
                            // Nothing tells the bounds of raw numbers.
                            continue;
                        }
                        // Wide numbers take more than 32 bits if many are added up.
                        while case.room().is_none() {
                            case.count /= 2;
                        }
                        case.bring_near(kind.base, &mut random);
                    }
                    let written = case.write(&mut random);
                    assert_eq!(written.values.len(), case.count);
                    each(&case, written);
                }
            }
        }
    }
}
