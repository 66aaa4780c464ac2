//! Integer blocks: choosing the smallest form and writing it. The layout is [`super::int`]'s.

use super::bitpack::{bits, pack, packed_bytes};
use super::decimal::gcd;
use super::exact::Exact;
use super::int::{MULTIPLIER, Packing, Transform, ZIGZAG, zigzag};
use super::kernel::{Histogram, Kernels};
use crate::bytes::ByteWriter;

/// Most distinct values that a dictionary is tried for.
const DICTIONARY: usize = 256;

/// Chooses among transforms and packings by exact size and appends the smallest.
///
/// `residuals`, if given, are the values minus their prediction ([`Transform::Group`]).
pub fn encode(values: &[i64], residuals: Option<&[i64]>, out: &mut Vec<u8>) {
    encode_with(Forms::EVERYWHERE, values, residuals, out);
}

/// The forms that may be chosen: those that every file may hold, those that its header has to announce, or, to measure
/// what one is worth, all without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms {
    packings: u8,
    transforms: u8,
}

impl Forms {
    /// Every packing and every transform, for files with the feature bit of [`Transform::Alternate`].
    pub const ALL: Self = Self { packings: u8::MAX, transforms: u8::MAX };
    /// What every file may hold.
    pub const EVERYWHERE: Self = Self { transforms: !(1 << Transform::Alternate as u8), ..Self::ALL };

    /// All of these but a packing. Constant, packed and raw blocks stay: something has to.
    #[must_use]
    pub fn without(self, packing: Packing) -> Self {
        Self { packings: self.packings & !(1 << packing as u8), ..self }
    }

    /// All of these but a transform. Plain numbers stay.
    #[must_use]
    pub fn without_transform(self, transform: Transform) -> Self {
        Self { transforms: self.transforms & !(1 << transform as u8), ..self }
    }

    fn allow(self, packing: Packing) -> bool {
        self.packings >> packing as u8 & 1 == 1
    }

    pub(super) fn allow_transform(self, transform: Transform) -> bool {
        self.transforms >> transform as u8 & 1 == 1
    }
}

/// [`encode`], choosing among some forms.
pub fn encode_with(forms: Forms, values: &[i64], residuals: Option<&[i64]>, out: &mut Vec<u8>) {
    let residuals = residuals.filter(|_| forms.allow_transform(Transform::Group));
    if values.is_empty() {
        return;
    }
    let (first, differences) = differences(values);
    let mut firsts = [first, 0];
    let middle = sampled_median(values);
    // Widths are tried only for transforms that a quick estimate does not rule out.
    let estimates = [
        estimate(values, middle),
        estimate(&differences, 0),
        residuals.map_or(u64::MAX, |residuals| estimate(residuals, 0)),
    ];
    let least = estimates.iter().copied().min().unwrap_or(0);
    let likely = |transform: Transform| estimates[transform as usize] <= least + least / 4 + 64;
    let mut best = (Plan::new(forms, values, Transform::Plain, true, likely(Transform::Plain)), values);
    if best.0.packing != Packing::Constant {
        if likely(Transform::Delta) && forms.allow_transform(Transform::Delta) {
            let delta = Plan::new(forms, &differences, Transform::Delta, true, true);
            let bytes = delta.bytes + firsts_bytes(Transform::Delta, firsts);
            if bytes < best.0.bytes {
                best = (Plan { bytes, ..delta }, &differences);
            }
        }
        if let Some(residuals) = residuals {
            let group = Plan::new(forms, residuals, Transform::Group, true, likely(Transform::Group));
            if group.bytes < best.0.bytes {
                best = (group, residuals);
            }
        }
    }
    let (mut plan, mut numbers) = best;
    plan.try_classes(numbers, firsts_bytes(plan.transform, firsts));
    let alternations;
    let may_alternate = forms.allow_transform(Transform::Alternate) && plan.packing != Packing::Constant;
    if may_alternate && alternating_bytes(values) < plan.bytes {
        let found = alternating(values);
        let more = firsts_bytes(Transform::Alternate, found.0);
        let mut other = Plan::new(forms, &found.1, Transform::Alternate, true, true);
        other.bytes += more;
        other.try_classes(&found.1, more);
        if other.bytes < plan.bytes {
            (firsts, alternations) = found;
            (plan, numbers) = (other, &alternations);
        }
    }
    plan.write(numbers, firsts, out);
}

/// Whether packing a block may take fewer than so many bytes. That is seen by a few numbers: mostly right, and quick.
pub fn may_take_less(values: &[i64], residuals: Option<&[i64]>, bytes: usize) -> bool {
    let Shape { min, max, runs, .. } = Shape::of(values);
    let least = estimate(values, sampled_median(values))
        .min(estimate(&differences(values).1, 0))
        .min(residuals.map_or(u64::MAX, |residuals| estimate(residuals, 0)));
    // Whatever the packing, a number takes a bit more than it has: of a width that fits others, too, or of a selector.
    let packed = (least as usize * step(values.len()) + values.len()) / 8;
    min == max || least == 0 || runs * 16 <= values.len() || packed < bytes
}

/// Bytes of what the first differences are added to.
fn firsts_bytes(transform: Transform, firsts: [i64; 2]) -> usize {
    match transform {
        Transform::Delta => svarint_bytes(firsts[0]),
        Transform::Alternate => firsts.map(svarint_bytes).into_iter().sum(),
        _ => 0,
    }
}

/// Bytes that differences from two values before may take, from a few of them.
fn alternating_bytes(values: &[i64]) -> usize {
    let step = step(values.len());
    let few = values.windows(3).step_by(step);
    let bits: usize = few.map(|three| bits(zigzag(three[2].wrapping_sub(three[0]))) as usize).sum();
    bits * step / 8
}

/// From one number to the next, where some hundreds of so many tell of all. It is odd: rows often tell of two sides in turn.
fn step(numbers: usize) -> usize {
    (numbers / 350) | 1
}

/// Bits that a few of the numbers take, as zigzag offsets from a middle.
fn estimate(numbers: &[i64], middle: i64) -> u64 {
    let few = numbers.iter().step_by(step(numbers.len()));
    few.map(|number| u64::from(bits(zigzag(number.wrapping_sub(middle))))).sum()
}

/// What one look at numbers tells of them.
struct Shape {
    min: i64,
    max: i64,
    zeros: usize,
    runs: usize,
}

impl Shape {
    fn of(numbers: &[i64]) -> Self {
        let mut shape = Self { min: i64::MAX, max: i64::MIN, zeros: 0, runs: 0 };
        let mut before = numbers.first().map_or(0, |first| !first);
        for number in numbers {
            shape.min = shape.min.min(*number);
            shape.max = shape.max.max(*number);
            shape.zeros += usize::from(*number == 0);
            shape.runs += usize::from(*number != before);
            before = *number;
        }
        shape
    }
}

/// A chosen form of a block and its size.
#[derive(Clone, Debug)]
struct Plan {
    allowed: Forms,
    transform: Transform,
    packing: Packing,
    bytes: usize,
    offsets: Offsets,
    /// The forms of offsets that were tried, with how many offsets have how many bits.
    forms: [Option<(Offsets, Histogram)>; 2],
    classes: [u32; 4],
    distinct: Vec<i64>,
}

/// How numbers become unsigned offsets, and their width.
#[derive(Clone, Copy, Debug)]
struct Offsets {
    base: i64,
    multiplier: i64,
    /// By the multiplier.
    divisor: Exact,
    zigzag: bool,
    low: u32,
    high: u32,
    patches: usize,
}

impl Offsets {
    fn of(&self, value: i64) -> u64 {
        let offset = value.wrapping_sub(self.base);
        match (self.zigzag, self.multiplier) {
            (false, 1) => offset as u64,
            (true, 1) => zigzag(offset),
            // Numbers with a common divisor are less than `i64::MAX` apart.
            (false, _) => self.divisor.quotient(offset) as u64,
            (true, _) => zigzag(self.divisor.quotient(offset)),
        }
    }

    /// How many numbers have an offset of how many bits.
    fn histogram(&self, numbers: &[i64]) -> Histogram {
        if self.multiplier == 1 {
            return (Kernels::best().lengths)(numbers, self.base, self.zigzag);
        }
        let quotient = |number: &i64| self.divisor.quotient(number.wrapping_sub(self.base));
        let quotients: Vec<i64> = numbers.iter().map(quotient).collect();
        (Kernels::best().lengths)(&quotients, 0, self.zigzag)
    }

    fn parameter_bytes(&self) -> usize {
        svarint_bytes(self.base) + if self.multiplier == 1 { 0 } else { varint_bytes(self.multiplier as u64) }
    }
}

fn varint_bytes(value: u64) -> usize {
    bits(value | 1).div_ceil(7) as usize
}

fn svarint_bytes(value: i64) -> usize {
    varint_bytes(zigzag(value))
}

/// Largest number that divides every difference from the first value; 1 if differences overflow.
fn common_divisor(values: &[i64], min: i64, max: i64) -> i64 {
    if max.checked_sub(min).is_none() {
        return 1;
    }
    let mut divisor = Exact::by(max - min);
    for value in values {
        let difference = value.abs_diff(values[0]);
        if !divisor.divides(difference) {
            divisor = Exact::by(gcd(difference, divisor.divisor() as u64) as i64);
            if divisor.divisor() == 1 {
                return 1;
            }
        }
    }
    divisor.divisor()
}

impl Plan {
    /// The smallest form of `numbers`; with `nested`, also forms that hold blocks themselves; with `widths`, also
    /// offsets of one width.
    fn new(forms: Forms, numbers: &[i64], transform: Transform, nested: bool, widths: bool) -> Self {
        let Shape { min, max, zeros, runs } = Shape::of(numbers);
        let base = Offsets {
            base: min,
            multiplier: 1,
            divisor: Exact::by(1),
            zigzag: false,
            low: 64,
            high: 0,
            patches: 0,
        };
        let mut plan = Self {
            allowed: forms,
            transform,
            packing: Packing::Raw,
            bytes: 1 + numbers.len() * 8,
            offsets: base,
            forms: [None; 2],
            classes: [0; 4],
            distinct: Vec::new(),
        };
        if min == max {
            plan.packing = Packing::Constant;
            plan.bytes = 1 + svarint_bytes(min);
            return plan;
        }
        if widths {
            plan.try_widths(numbers, min, max);
        }
        if nested {
            plan.try_sparse(numbers, zeros);
            plan.try_runs(numbers, runs);
            if transform == Transform::Plain {
                plan.try_dictionary(numbers);
            }
        }
        plan
    }

    /// Offsets from the least number and, as zigzag, from a middle.
    fn try_widths(&mut self, numbers: &[i64], min: i64, max: i64) {
        let whole = self.offsets;
        let multiplier = common_divisor(numbers, min, max);
        let base = Offsets { divisor: Exact::by(multiplier), multiplier, ..whole };
        self.try_offsets(numbers, base);
        if self.transform == Transform::Group && min < 0 {
            // Highs and lows lie on one side of their prediction; the few that do not become patches.
            self.try_offsets(numbers, Offsets { base: 0, ..whole });
        }
        // Numbers around a middle with outliers on both sides: zigzag from there.
        let middle = if self.transform == Transform::Plain { sampled_median(numbers) } else { 0 };
        let middle = if multiplier == 1 {
            middle
        } else {
            numbers[0].wrapping_add(middle.wrapping_sub(numbers[0]) / multiplier * multiplier)
        };
        if numbers[0].checked_sub(middle).is_some_and(|difference| difference % multiplier == 0) {
            self.try_offsets(numbers, Offsets { base: middle, zigzag: true, ..base });
        }
    }

    /// One width for all, with or without patches: the exact size for every width, from a histogram of lengths.
    fn try_offsets(&mut self, numbers: &[i64], form: Offsets) {
        let histogram = form.histogram(numbers);
        self.forms[usize::from(form.zigzag)] = Some((form, histogram));
        let count = numbers.len();
        let widest = (0..=64).rev().find(|w| histogram[*w as usize] > 0).unwrap_or(0);
        let position = bits(count as u64 - 1);
        let mut patches = 0;
        for low in (0..=widest).rev() {
            let fixed = 2 + form.parameter_bytes() + packed_bytes(count, low);
            let size = if patches == 0 {
                fixed
            } else {
                fixed
                    + 1
                    + varint_bytes(patches as u64)
                    + packed_bytes(patches, position)
                    + packed_bytes(patches, widest - low)
            };
            let allowed = patches == 0 || self.allowed.allow(Packing::Patched);
            if size < self.bytes && allowed {
                self.bytes = size;
                self.packing = if patches == 0 { Packing::Packed } else { Packing::Patched };
                self.offsets = Offsets { low, high: widest - low, patches, ..form };
            }
            patches += histogram[low as usize] as usize;
        }
    }

    /// Four widths with a selector, if smaller; `more` are the bytes of this plan that stand before the packing.
    fn try_classes(&mut self, numbers: &[i64], more: usize) {
        if numbers.len() < 64 || self.packing == Packing::Constant || !self.allowed.allow(Packing::Classes) {
            return;
        }
        for (form, histogram) in self.forms.into_iter().flatten() {
            let Some((widths, packed)) = best_classes(&histogram) else { continue };
            let size = 1 + more + form.parameter_bytes() + 4 + packed_bytes(numbers.len(), 2) + packed;
            if size < self.bytes {
                self.bytes = size;
                self.packing = Packing::Classes;
                self.offsets = form;
                self.classes = widths;
            }
        }
    }

    /// Mostly one value: zero, or the smallest.
    fn try_sparse(&mut self, numbers: &[i64], zeros: usize) {
        if zeros * 4 < numbers.len() || !self.allowed.allow(Packing::Sparse) {
            return;
        }
        let others: Vec<i64> = numbers.iter().copied().filter(|number| *number != 0).collect();
        let inner = Self::new(self.allowed, &others, Transform::Plain, false, true);
        let size = 2 + varint_bytes(others.len() as u64) + numbers.len().div_ceil(8) + inner.bytes;
        if size < self.bytes {
            self.bytes = size;
            self.packing = Packing::Sparse;
        }
    }

    fn try_runs(&mut self, numbers: &[i64], runs: usize) {
        if runs * 3 > numbers.len() || !self.allowed.allow(Packing::Runs) {
            return;
        }
        let (values, lengths) = runs_of(numbers);
        let size = 1 + varint_bytes(runs as u64) + self.simple(&values).bytes + self.simple(&lengths).bytes;
        if size < self.bytes {
            self.bytes = size;
            self.packing = Packing::Runs;
        }
    }

    fn try_dictionary(&mut self, numbers: &[i64]) {
        if !self.allowed.allow(Packing::Dictionary) {
            return;
        }
        let Some(distinct) = distinct(numbers) else { return };
        let width = bits(distinct.len() as u64 - 1);
        let size = 1
            + varint_bytes(distinct.len() as u64)
            + self.simple(&distinct).bytes
            + packed_bytes(numbers.len(), width);
        if size < self.bytes {
            self.bytes = size;
            self.packing = Packing::Dictionary;
            self.distinct = distinct;
        }
    }

    /// The smaller of plain and differences, without blocks inside.
    fn simple(&self, numbers: &[i64]) -> Self {
        let forms = self.allowed;
        let plain = Self::new(forms, numbers, Transform::Plain, false, true);
        if !forms.allow_transform(Transform::Delta) {
            return plain;
        }
        let (first, differences) = differences(numbers);
        let delta = Self::new(forms, &differences, Transform::Delta, false, true);
        let bytes = delta.bytes + svarint_bytes(first);
        if bytes < plain.bytes { Self { bytes, ..delta } } else { plain }
    }

    /// Appends the block; `firsts` are what the first differences are added to.
    fn write(&self, numbers: &[i64], firsts: [i64; 2], out: &mut Vec<u8>) {
        let start = out.len();
        let offsets = matches!(self.packing, Packing::Packed | Packing::Patched | Packing::Classes);
        let mut header = self.packing as u8 | (self.transform as u8) << 3;
        if offsets && self.offsets.zigzag {
            header |= ZIGZAG;
        }
        if offsets && self.offsets.multiplier != 1 {
            header |= MULTIPLIER;
        }
        out.put_u8(header);
        put_firsts(self.transform, firsts, out);
        if header & MULTIPLIER != 0 {
            out.put_varint(self.offsets.multiplier as u64);
        }
        match self.packing {
            Packing::Constant => out.put_signed_varint(numbers[0]),
            Packing::Raw => pack(numbers.iter().map(|number| *number as u64), 64, out),
            Packing::Packed | Packing::Patched => self.write_offsets(numbers, out),
            Packing::Classes => self.write_classes(numbers, out),
            Packing::Runs => {
                let (values, lengths) = runs_of(numbers);
                out.put_varint(values.len() as u64);
                self.simple(&values).write_simple(&values, out);
                self.simple(&lengths).write_simple(&lengths, out);
            }
            Packing::Dictionary => {
                out.put_varint(self.distinct.len() as u64);
                self.simple(&self.distinct).write_simple(&self.distinct, out);
                let code =
                    |number: &i64| self.distinct.binary_search(number).expect("every value is listed") as u64;
                pack(numbers.iter().map(code), bits(self.distinct.len() as u64 - 1), out);
            }
            Packing::Sparse => {
                let others: Vec<i64> = numbers.iter().copied().filter(|number| *number != 0).collect();
                out.put_signed_varint(0);
                out.put_varint(others.len() as u64);
                pack(numbers.iter().map(|number| u64::from(*number != 0)), 1, out);
                Self::new(self.allowed, &others, Transform::Plain, false, true).write_simple(&others, out);
            }
        }
        debug_assert_eq!(out.len() - start, self.bytes, "{:?}", (self.packing, self.transform));
    }

    fn write_simple(&self, numbers: &[i64], out: &mut Vec<u8>) {
        if self.transform == Transform::Delta {
            let (first, differences) = differences(numbers);
            self.write(&differences, [first, 0], out);
        } else {
            self.write(numbers, [0; 2], out);
        }
    }

    fn write_offsets(&self, numbers: &[i64], out: &mut Vec<u8>) {
        let form = &self.offsets;
        out.put_signed_varint(form.base);
        out.put_u8(form.low as u8);
        let mask = if form.low == 64 { u64::MAX } else { (1 << form.low) - 1 };
        if self.packing == Packing::Patched {
            out.put_u8(form.high as u8);
            out.put_varint(form.patches as u64);
            let patches =
                || numbers.iter().map(|number| form.of(*number)).zip(0u64..).filter(|(o, _)| *o > mask);
            pack(patches().map(|(_, position)| position), bits(numbers.len() as u64 - 1), out);
            pack(patches().map(|(offset, _)| offset >> form.low), form.high, out);
        }
        pack(numbers.iter().map(|number| form.of(*number) & mask), form.low, out);
    }

    fn write_classes(&self, numbers: &[i64], out: &mut Vec<u8>) {
        out.put_signed_varint(self.offsets.base);
        for width in self.classes {
            out.put_u8(width as u8);
        }
        // The class of every length: the first that is wide enough.
        let class_of: [u8; 65] = std::array::from_fn(|length| {
            self.classes.iter().filter(|width| **width < length as u32).count() as u8
        });
        // The offsets of each class one after another, in one pass without a branch.
        let mut members = [0; 4];
        let histogram = self.offsets.histogram(numbers);
        for (count, class) in histogram.into_iter().zip(class_of).filter(|(count, _)| *count > 0) {
            members[usize::from(class)] += count as usize;
        }
        let starts = [0, 1, 2, 3].map(|class| members[..class].iter().sum::<usize>());
        let (mut next, mut by_class) = (starts, vec![0; numbers.len()]);
        let mut selectors = Vec::with_capacity(numbers.len());
        for number in numbers {
            let offset = self.offsets.of(*number);
            let class = class_of[bits(offset) as usize];
            selectors.push(u64::from(class));
            by_class[next[usize::from(class)]] = offset;
            next[usize::from(class)] += 1;
        }
        pack(selectors, 2, out);
        for (class, width) in self.classes.iter().enumerate() {
            pack(by_class[starts[class]..next[class]].iter().copied(), *width, out);
        }
    }
}

/// The four widths, the largest first needed last, that take the fewest bits in all, and the bytes they take;
/// `None` if there are fewer than four lengths to tell apart.
fn best_classes(histogram: &Histogram) -> Option<([u32; 4], usize)> {
    let lengths: Vec<usize> = (0..=64).filter(|length| histogram[*length] > 0).collect();
    if lengths.len() < 4 {
        return None;
    }
    let mut below = vec![0u64; lengths.len() + 1];
    for (index, length) in lengths.iter().enumerate() {
        below[index + 1] = below[index] + u64::from(histogram[*length]);
    }
    // cost[k][i]: fewest bits for all numbers up to the i-th length in k + 1 classes, the last of that width.
    let mut cost = [[u64::MAX; 65]; 4];
    let mut from = [[0u8; 65]; 4];
    for (index, length) in lengths.iter().enumerate() {
        cost[0][index] = below[index + 1] * *length as u64;
    }
    for class in 1..4 {
        for upper in class..lengths.len() {
            for lower in class - 1..upper {
                let members = below[upper + 1] - below[lower + 1];
                let bits = cost[class - 1][lower] + members * lengths[upper] as u64;
                if bits < cost[class][upper] {
                    cost[class][upper] = bits;
                    from[class][upper] = lower as u8;
                }
            }
        }
    }
    let mut at = lengths.len() - 1;
    let (mut widths, mut bytes) = ([0; 4], 0);
    for class in (0..4).rev() {
        let lower = if class == 0 { 0 } else { from[class][at] as usize };
        let members = below[at + 1] - if class == 0 { 0 } else { below[lower + 1] };
        widths[class] = lengths[at] as u32;
        bytes += packed_bytes(members as usize, widths[class]);
        at = lower;
    }
    Some((widths, bytes))
}

/// Differences, and the number that the first is added to: chosen so that the first difference repeats the second.
pub(super) fn differences(numbers: &[i64]) -> (i64, Vec<i64>) {
    let step = numbers.get(1).map_or(0, |second| second.wrapping_sub(numbers[0]));
    let mut steps = Vec::with_capacity(numbers.len());
    steps.push(step);
    steps.extend(numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])));
    (numbers[0].wrapping_sub(step), steps)
}

/// Differences from two values before, and the numbers that the first two are added to: chosen so that these repeat the two
/// behind them.
pub(super) fn alternating(numbers: &[i64]) -> ([i64; 2], Vec<i64>) {
    let at = |row: usize| numbers.get(row).copied();
    let step = |row: usize| at(row + 2).zip(at(row)).map_or(0, |(later, number)| later.wrapping_sub(number));
    let steps = [step(0), step(1)];
    let firsts = [0, 1].map(|row| at(row).map_or(0, |number| number.wrapping_sub(steps[row])));
    let mut out = Vec::with_capacity(numbers.len());
    out.extend_from_slice(&steps[..numbers.len().min(2)]);
    out.extend(numbers.windows(3).map(|three| three[2].wrapping_sub(three[0])));
    (firsts, out)
}

/// Appends what the first differences are added to.
pub(super) fn put_firsts(transform: Transform, firsts: [i64; 2], out: &mut Vec<u8>) {
    match transform {
        Transform::Delta => out.put_signed_varint(firsts[0]),
        Transform::Alternate => firsts.into_iter().for_each(|first| out.put_signed_varint(first)),
        _ => {}
    }
}

/// Values of the runs, and their lengths minus one.
fn runs_of(numbers: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let runs = numbers.chunk_by(|a, b| a == b);
    runs.map(|run| (run[0], run.len() as i64 - 1)).unzip()
}

/// The middle of a few samples.
pub(super) fn sampled_median(numbers: &[i64]) -> i64 {
    let mut samples = [0; 15];
    for (index, sample) in samples.iter_mut().enumerate() {
        *sample = numbers[index * numbers.len() / 15];
    }
    samples.sort_unstable();
    samples[7]
}

/// The distinct values, sorted, unless there are too many to be worth it.
fn distinct(numbers: &[i64]) -> Option<Vec<i64>> {
    const SLOTS: usize = 1024;
    let limit = DICTIONARY.min(numbers.len() / 3);
    let mut table = [0i64; SLOTS];
    let mut used = [false; SLOTS];
    let mut found = Vec::new();
    for number in numbers {
        let mut slot = ((*number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize;
        while used[slot] && table[slot] != *number {
            slot = (slot + 1) % SLOTS;
        }
        if !used[slot] {
            if found.len() == limit {
                return None;
            }
            used[slot] = true;
            table[slot] = *number;
            found.push(*number);
        }
    }
    found.sort_unstable();
    Some(found)
}
