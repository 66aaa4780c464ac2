//! Coded blocks with every table of loops: those of one lane, which are only read, and damaged ones of both kinds.

use super::*;
use crate::bytes::ByteWriter;
use crate::codec::bins_encode::Coding;
use crate::codec::bitpack::pack;
use crate::codec::int_encode::Forms;

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A model of one lane: its bins with their frequencies, which add up to `2^log`.
struct OneLane {
    log: u32,
    bins: Vec<(Bin, u32)>,
}

impl OneLane {
    fn random(random: &mut Random, widest: u8) -> Self {
        let log = LOG_MIN + random.below(u64::from(LOG_MAX - LOG_MIN) + 1) as u32;
        let (mut left, mut bins) = (1u32 << log, Vec::new());
        while left > 0 {
            let frequency = 1 + random.below(u64::from(left)) as u32;
            left -= frequency;
            let width = random.below(u64::from(widest) + 1) as u8;
            let places = random.below(u64::from(PLACES_MAX) + 1) as u8;
            bins.push((Bin { places, width, lower: random.next() as i64 >> random.below(64) }, frequency));
        }
        // The widest is always there.
        bins[0].0.width = widest;
        Self { log, bins }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![self.log as u8];
        out.put_varint(self.bins.len() as u64);
        let mut last = 0;
        for (Bin { places, width, lower }, frequency) in &self.bins {
            out.extend([*places, *width]);
            out.put_signed_varint(lower.wrapping_sub(last));
            out.put_varint(u64::from(*frequency) - 1);
            last = *lower;
        }
        out
    }

    /// A block of so many random numbers, and the numbers.
    fn block(&self, random: &mut Random, count: usize) -> (Vec<u8>, Vec<i64>) {
        let (mut starts, mut start) = (Vec::new(), 0);
        for (_, frequency) in &self.bins {
            starts.push(start);
            start += frequency;
        }
        let chosen: Vec<(usize, u64)> = (0..count)
            .map(|_| {
                let bin = random.below(self.bins.len() as u64) as usize;
                let width = u32::from(self.bins[bin].0.width);
                (bin, random.next() & 1u64.checked_shl(width).map_or(u64::MAX, |bit| bit - 1))
            })
            .collect();
        // A coder goes backwards: its words are read in the other order.
        let (mut state, mut words) = (u64::from(STATE_LOW), Vec::new());
        for (bin, _) in chosen.iter().rev() {
            let frequency = u64::from(self.bins[*bin].1);
            if state >= frequency << (32 - self.log) {
                words.push(state as u16);
                state >>= 16;
            }
            state = (state / frequency) << self.log | (u64::from(starts[*bin]) + state % frequency);
        }
        let mut out = Vec::new();
        out.put_varint(words.len() as u64);
        out.put_u32(state as u32);
        words.iter().rev().for_each(|word| out.put_u16(*word));
        let bits = chosen
            .iter()
            .flat_map(|(bin, offset)| (0..self.bins[*bin].0.width).map(move |bit| offset >> bit & 1));
        pack(bits, 1, &mut out);
        let number = |(bin, offset): &(usize, u64)| {
            let Bin { places, lower, .. } = self.bins[*bin].0;
            lower.wrapping_add(*offset as i64).wrapping_mul(10i64.pow(u32::from(places)))
        };
        (out, chosen.iter().map(number).collect())
    }
}

/// What a table of loops makes of a block: the numbers, or what is broken.
fn decoded(model: &Model, bytes: &[u8], count: usize, kernels: &Kernels) -> (Option<String>, Vec<i64>) {
    let (mut reader, mut out) = (ByteReader::new(bytes, "K1"), vec![0; count]);
    let found = model.decode(&mut reader, &mut out, &mut BinScratch::default(), kernels);
    let found = found.and_then(|()| reader.finish());
    (found.err().map(|error| format!("{} {}", error.rule, error.detail)), out)
}

/// Compares every table of loops with the scalar one; what that makes of the block.
fn decoded_alike(model: &Model, bytes: &[u8], count: usize) -> (Option<String>, Vec<i64>) {
    let mut tables = Kernels::all();
    let scalar = tables.next().expect("there is always the scalar one");
    let expected = decoded(model, bytes, count, scalar);
    for kernels in tables {
        assert_eq!(decoded(model, bytes, count, kernels), expected, "{}", kernels.name);
    }
    expected
}

/// Bytes with some changed, cut off, or all of them others.
fn damaged(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    match random.below(4) {
        0 => out.truncate(random.below(out.len() as u64 + 1) as usize),
        1 => out.iter_mut().skip(5).for_each(|byte| *byte = random.next() as u8),
        _ => {
            for _ in 0..=random.below(3) {
                let at = random.below(out.len() as u64) as usize;
                out[at] = random.next() as u8;
            }
        }
    }
    out
}

#[test]
fn every_kernel_decodes_one_lane_as_the_scalar_one() {
    let mut random = Random(7);
    let mut refused = 0;
    for round in 0..300 {
        // Offsets that a window of eight bytes holds, and longer ones.
        let lane = OneLane::random(&mut random, [0, 7, 24, NARROW_BITS, 57, 64][round % 6]);
        let mut model = Model::default();
        model.read(&lane.bytes(), &mut IntScratch::default()).expect("a sound model");
        let count = [1, 2, 63, 500, 1023, BLOCK_ROWS][random.below(6) as usize];
        let (bytes, numbers) = lane.block(&mut random, count);
        assert_eq!(decoded_alike(&model, &bytes, count), (None, numbers));
        for _ in 0..5 {
            let bad = damaged(&mut random, &bytes);
            refused += u32::from(decoded_alike(&model, &bad, count).0.is_some());
        }
    }
    assert!(refused > 1000, "{refused} of 1,500 refused");
}

#[test]
fn every_kernel_decodes_damaged_lanes_as_the_scalar_one() {
    let mut random = Random(8);
    let mut refused = 0;
    for round in 0..60 {
        let mut before = 0;
        let numbers: Vec<i64> = (0..5 * BLOCK_ROWS)
            .map(|_| {
                let next = match round % 4 {
                    // Nothing to remember, the number before, how large numbers were, and long offsets.
                    0 => random.below(9),
                    1 if random.below(8) > 0 => before,
                    1 => random.below(50),
                    2 => random.below(2 + (before + 1) * 2 % 3000),
                    _ => random.next() >> random.below(64),
                };
                before = next;
                next as i64
            })
            .collect();
        let coding = Coding::new(Forms::EVERYWHERE, &numbers, None).expect("few bins");
        let mut model = Model::default();
        model.read(&coding.model(), &mut IntScratch::default()).expect("own model");
        let mut bytes = Vec::new();
        assert!(coding.encode(round % 5, usize::MAX, &mut bytes));
        // Behind the header, with what the first difference is added to: any bytes are a block, mostly a damaged one.
        for _ in 0..20 {
            let bad = damaged(&mut random, &bytes[1..]);
            refused += u32::from(decoded_alike(&model, &bad, BLOCK_ROWS).0.is_some());
        }
    }
    assert!(refused > 800, "{refused} of 1,200 refused");
}
