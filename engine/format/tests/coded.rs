//! Coded blocks written by hand, as `format-spec/codecs.md` says: of one lane, which no encoder makes any more and files of before
//! have, and in lanes where an encoder would leave nothing over. And models that encoders make at the edge of what may be.

mod support;

use std::collections::BTreeSet;

use support::Random;
use support::blocks::{Form, most};
use tapestore_format::bytes::{ByteReader, ByteWriter};
use tapestore_format::codec::bins::Model;
use tapestore_format::codec::bins_encode::Coding;
use tapestore_format::codec::bitpack::pack;
use tapestore_format::codec::int::{IntScratch, Transform, decode};
use tapestore_format::codec::int_encode::{Forms, encode};
use tapestore_format::codec::kernel::Kernels;
use tapestore_format::error::FormatError;

/// The head of a coded block whose numbers are its values.
const CODED: u8 = 0x80;
/// The state of a coder is never less between two numbers.
const LOW: u32 = 1 << 16;

/// Numbers `(lower + offset) * 10^places`, with offsets of `width` bits; of `2^log` numbers about `frequency` are of this bin.
#[derive(Clone, Copy, Debug)]
struct Bin {
    places: u8,
    width: u8,
    lower: i64,
    frequency: u32,
}

/// A model of one lane (K15).
fn model_of(log: u32, bins: &[Bin]) -> Model {
    let mut bytes = vec![log as u8];
    bytes.put_varint(bins.len() as u64);
    let mut last = 0i64;
    for bin in bins {
        bytes.extend([bin.places, bin.width]);
        bytes.put_signed_varint(bin.lower.wrapping_sub(last));
        bytes.put_varint(u64::from(bin.frequency) - 1);
        last = bin.lower;
    }
    let mut model = Model::default();
    model.read(&bytes, &mut IntScratch::default()).expect("within all bounds");
    model
}

/// The words of a block of one lane, and the state before them: decoding undone, from the last number on.
fn words_of(log: u32, bins: &[Bin], numbers: &[(usize, u64)]) -> (u32, Vec<u16>) {
    let (mut state, mut words) = (LOW, Vec::new());
    for (bin, _) in numbers.iter().rev() {
        let frequency = bins[*bin].frequency;
        let start: u32 = bins[..*bin].iter().map(|bin| bin.frequency).sum();
        if u64::from(state) >= u64::from(frequency) << (32 - log) {
            words.push(state as u16);
            state >>= 16;
        }
        state = ((state / frequency) << log) + state % frequency + start;
    }
    words.reverse();
    (state, words)
}

/// A block of one lane (K16): numbers by bin and offset.
fn block_of(log: u32, bins: &[Bin], numbers: &[(usize, u64)]) -> Vec<u8> {
    let (state, words) = words_of(log, bins, numbers);
    let mut out = vec![CODED];
    out.put_varint(words.len() as u64);
    out.put_u32(state);
    words.iter().for_each(|word| out.put_u16(*word));
    let bit = |(bin, offset): &(usize, u64)| {
        let offset = *offset;
        (0..bins[*bin].width).map(move |bit| offset >> bit & 1)
    };
    pack(numbers.iter().flat_map(bit).collect::<Vec<_>>(), 1, &mut out);
    out
}

/// What the numbers of a block are, or what is wrong with it: the same by every table of loops.
fn read(model: &Model, bytes: &[u8], count: usize) -> Result<Vec<i64>, FormatError> {
    read_as(Transform::Plain, model, bytes, count)
}

/// The same of a block with a transform.
fn read_as(expected: Transform, model: &Model, bytes: &[u8], count: usize) -> Result<Vec<i64>, FormatError> {
    let by = |kernels: &'static Kernels| {
        let (mut out, mut reader) = (vec![0x5555; count], ByteReader::new(bytes, "K1"));
        let transform = decode(&mut reader, &mut out, &mut IntScratch::with(kernels), Some(model))?;
        assert_eq!(transform, expected);
        reader.finish().map(|()| out)
    };
    let mut tables = Kernels::all();
    let scalar = by(tables.next().expect("there is always the scalar one"));
    for kernels in tables {
        match (&scalar, by(kernels)) {
            (Ok(expected), Ok(found)) => assert!(*expected == found, "other numbers with {}", kernels.name),
            (Err(expected), Err(found)) => {
                assert_eq!(expected.to_string(), found.to_string(), "{}", kernels.name);
            }
            (expected, found) => panic!("{expected:?}, with {} {found:?}", kernels.name),
        }
    }
    scalar
}

/// A block with some of its bytes changed, or cut off, or all of them others.
fn damaged(random: &mut Random, block: &[u8]) -> Vec<u8> {
    let mut out = block.to_vec();
    match random.below(4) {
        0 => out.truncate(1 + random.below(block.len() as u64) as usize),
        1 => out.iter_mut().skip(6).for_each(|byte| *byte = random.next() as u8),
        _ => {
            for _ in 0..=random.below(3) {
                let at = 1 + random.below(block.len() as u64 - 1) as usize;
                out[at] = random.next() as u8;
            }
        }
    }
    out
}

/// Some bins of a model whose offsets have at most so many bits.
fn some_bins(random: &mut Random, log: u32, widest: u64) -> Vec<Bin> {
    let count = 1 + random.below(20) as u32;
    let even = (1 << log) / count;
    (0..count)
        .map(|bin| Bin {
            places: random.below(19) as u8,
            width: random.below(widest + 1) as u8,
            lower: random.next() as i64 >> random.below(64),
            frequency: if bin == 0 { (1 << log) - even * (count - 1) } else { even },
        })
        .collect()
}

#[test]
fn blocks_of_one_lane_are_read_as_they_are_specified() {
    let mut random = Random(5);
    for log in 5..=14 {
        for widest in [0, 3, 20, 56, 57, 64] {
            let bins = some_bins(&mut random, log, widest);
            let model = model_of(log, &bins);
            for count in [1, 2, 3, 100, 1023, 1024] {
                let number = |_| {
                    let bin = random.below(bins.len() as u64) as usize;
                    let width = u32::from(bins[bin].width);
                    (bin, if width == 0 { 0 } else { random.next() >> (64 - width) })
                };
                let numbers: Vec<(usize, u64)> = (0..count).map(number).collect();
                let value = |(bin, offset): &(usize, u64)| {
                    let Bin { places, lower, .. } = bins[*bin];
                    lower.wrapping_add(*offset as i64).wrapping_mul(10i64.pow(u32::from(places)))
                };
                let bytes = block_of(log, &bins, &numbers);
                let found = read(&model, &bytes, count).unwrap_or_else(|error| panic!("2^{log}: {error}"));
                assert!(found == numbers.iter().map(value).collect::<Vec<_>>(), "2^{log}, {count} numbers");
                // Whatever is there, all tables make the same of it.
                for _ in 0..3 {
                    let _ = read(&model, &damaged(&mut random, &bytes), count);
                }
            }
        }
    }
}

/// A model in lanes (K18): what coders know of the numbers before, and frequencies for each state of that.
#[derive(Debug)]
struct InLanes {
    log: u32,
    bins: Vec<Bin>,
    memory: u8,
    classes: usize,
    class_of: Vec<usize>,
    table_of: Vec<usize>,
    tables: Vec<Table>,
}

/// How often bins occur, and which states of a coder stand for each.
#[derive(Debug)]
struct Table {
    frequencies: Vec<usize>,
    states: Vec<Vec<usize>>,
}

impl Table {
    /// Any frequencies; of some bins none, of the first at least one, now and then of one bin nearly all.
    fn random(random: &mut Random, log: u32, bins: usize) -> Self {
        let size = 1usize << log;
        let (mut frequencies, mut left) = (vec![0; bins], size - 1);
        frequencies[0] = 1;
        while left > 0 {
            let more = if random.chance(8) { left } else { 1 + random.below(left as u64) as usize };
            frequencies[random.below(bins as u64) as usize] += more;
            left -= more;
        }
        let (mut bin_of, mut at) = (vec![0; size], 0);
        for (bin, frequency) in frequencies.iter().enumerate() {
            for _ in 0..*frequency {
                bin_of[at] = bin;
                at = (at + size / 2 + size / 8 + 3) % size;
            }
        }
        let mut states = vec![Vec::new(); bins];
        bin_of.into_iter().enumerate().for_each(|(state, bin): (usize, usize)| states[bin].push(state));
        Self { frequencies, states }
    }

    /// The state that stands for a bin and leads to another state, and the bits that it does so by.
    fn before(&self, log: u32, bin: usize, after: usize) -> (usize, u64, u32) {
        let (after, frequency) = (after + (1 << log), self.frequencies[bin]);
        let bits = (after / frequency).ilog2();
        (self.states[bin][(after >> bits) - frequency], after as u64 & most(bits), bits)
    }
}

impl InLanes {
    /// One with the memory of an id, and a first bin of these places and this width.
    fn random(random: &mut Random, log: u32, memory: u8, places: u8, width: u8) -> Self {
        let mut bins = some_bins(random, log, 64);
        bins[0] = Bin { places, width, ..bins[0] };
        let (classes, count) = (2 + random.below(15) as usize, 1 + random.below(6) as usize);
        let (classes, states, count) = match memory {
            0 => (1, 1, 1),
            1 => (classes, classes * classes, count),
            _ => (classes, classes << (memory - 1), count),
        };
        let tables = (0..count).map(|_| Table::random(random, log, bins.len())).collect();
        let class_of = bins.iter().map(|_| random.below(classes as u64) as usize).collect();
        let table_of = (0..states).map(|_| random.below(count as u64) as usize).collect();
        Self { log, bins, memory, classes, class_of, table_of, tables }
    }

    fn model(&self) -> Model {
        let mut out = vec![0x80 + self.log as u8];
        out.put_varint(self.bins.len() as u64);
        let mut last = 0i64;
        for bin in &self.bins {
            out.extend([bin.places, bin.width]);
            out.put_signed_varint(bin.lower.wrapping_sub(last));
            last = bin.lower;
        }
        out.push(self.memory);
        let put = |numbers: &[usize], out: &mut Vec<u8>| {
            let numbers: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
            encode(&numbers, None, out);
        };
        if self.memory != 0 {
            out.extend([self.classes as u8, self.tables.len() as u8]);
            put(&self.class_of, &mut out);
            put(&self.table_of, &mut out);
        }
        self.tables.iter().for_each(|table| put(&table.frequencies, &mut out));
        let mut model = Model::default();
        model.read(&out, &mut IntScratch::default()).expect("within all bounds");
        model
    }

    /// What is known after a number of a bin.
    fn next(&self, state: usize, bin: usize) -> usize {
        let class = self.class_of[bin];
        match self.memory {
            0 => 0,
            1 => state % self.classes * self.classes + class,
            id => state + class - ((state + (1 << (id - 2))) >> (id - 1)),
        }
    }

    /// Numbers by bin and offset, and for each the table that it is coded by: the first bin, then any that the tables have.
    fn numbers(&self, random: &mut Random, count: usize, edge: u8) -> (Vec<(usize, u64)>, Vec<usize>) {
        let (mut numbers, mut tables, mut state) = (Vec::new(), Vec::new(), 0);
        for row in 0..count {
            if row % count.div_ceil(4) == 0 {
                state = 0;
            }
            let table = self.table_of[state];
            let frequent = |bin: &usize| self.tables[table].frequencies[*bin] > 0;
            let bins: Vec<usize> = (0..self.bins.len()).filter(frequent).collect();
            let bin = if row == 0 || random.chance(3) { 0 } else { random.pick(&bins) };
            let most = most(u32::from(self.bins[bin].width));
            let offset = match edge {
                0 => 0,
                1 => most,
                2 => most * u64::from(row == 0),
                3 => most * u64::from(row + 1 == count),
                _ => random.next() & most,
            };
            numbers.push((bin, offset));
            tables.push(table);
            state = self.next(state, bin);
        }
        (numbers, tables)
    }

    /// A block in lanes (K19), behind its head: decoding undone, from the last number of each lane on.
    fn put_block(&self, numbers: &[(usize, u64)], tables: &[usize], out: &mut Vec<u8>) {
        let bits_of = |(number, width): (u64, u32)| (0..width).map(move |bit| number >> bit & 1);
        let widths = numbers.iter().map(|(bin, offset)| (*offset, u32::from(self.bins[*bin].width)));
        let mut offsets = Vec::new();
        pack(widths.flat_map(bits_of).collect::<Vec<_>>(), 1, &mut offsets);
        // The first four bytes are what the lanes end in.
        let rows = numbers.len().div_ceil(4);
        let mut codes = vec![(0, 0); 4 * rows];
        let mut states: [usize; 4] =
            std::array::from_fn(|lane| offsets.get(lane).map_or(0, |byte| usize::from(*byte)));
        for row in (0..numbers.len()).rev() {
            let (lane, at) = (row / rows, row % rows);
            let (state, code, bits) = self.tables[tables[row]].before(self.log, numbers[row].0, states[lane]);
            states[lane] = state;
            codes[at * 4 + lane] = (code, bits);
        }
        let states = states.map(|state| (state as u64, self.log));
        pack(states.into_iter().chain(codes).flat_map(bits_of).collect::<Vec<_>>(), 1, out);
        out.extend(offsets.iter().skip(4));
    }
}

#[test]
fn lanes_of_every_width_and_memory_are_read_as_they_are_specified() {
    let mut random = Random(10);
    let (mut met, mut bins, mut shapes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for width in 0..=64 {
        for model in 0..25 {
            let (log, memory) = (8 + model % 5, (model / 5) as u8);
            let lanes = InLanes::random(&mut random, log, memory, (model % 19) as u8, width);
            let model = lanes.model();
            for transform in [Transform::Plain, Transform::Delta, Transform::Group, Transform::Alternate] {
                let count = random.pick(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 1021, 1022, 1023, 1024]);
                let edge = random.below(5) as u8;
                let (numbers, tables) = lanes.numbers(&mut random, count, edge);
                let firsts = [random.next() as i64 >> random.below(64), i64::MIN];
                let form = Form { transform: transform as u8, firsts, ..Form::PLAIN };
                let mut bytes = Vec::new();
                form.put_head(0, &mut bytes);
                bytes[0] |= CODED;
                lanes.put_block(&numbers, &tables, &mut bytes);
                let value = |(bin, offset): &(usize, u64)| {
                    let Bin { places, lower, .. } = lanes.bins[*bin];
                    lower.wrapping_add(*offset as i64).wrapping_mul(10i64.pow(u32::from(places)))
                };
                let expected = form.values(&numbers.iter().map(value).collect::<Vec<_>>());
                let case =
                    || format!("width {width}, {transform:?}, {count} numbers, edge {edge}, {lanes:?}");
                let found = read_as(transform, &model, &bytes, count);
                assert!(
                    found.unwrap_or_else(|error| panic!("{error}: {}", case())) == expected,
                    "{}",
                    case()
                );
                for (bin, _) in &numbers {
                    let Bin { places, width, .. } = lanes.bins[*bin];
                    met.insert((width, transform as u8, memory, lanes.log));
                    bins.insert((width, places));
                }
                shapes.insert((count, edge, memory));
            }
        }
    }
    // Every width with every transform, memory and size of tables, and with all places; every count and edge with every memory.
    assert_eq!((met.len(), bins.len()), (65 * 4 * 5 * 5, 65 * 19));
    assert_eq!(shapes.len(), 14 * 5 * 5);
}

/// Nothing to remember, the number before, how large numbers were, and long offsets: whatever stands there, all tables of loops make the
/// same of it.
#[test]
fn damaged_lanes_are_the_same_to_every_table() {
    let mut random = Random(9);
    let mut refused = 0;
    for round in 0..60 {
        let mut before = 0;
        let mut number = |random: &mut Random| {
            before = match round % 4 {
                0 => random.below(9),
                1 if random.below(8) > 0 => before,
                1 => random.below(50),
                2 => random.below(2 + (before + 1) * 2 % 3000),
                _ => random.next() >> random.below(64),
            };
            before as i64
        };
        let numbers: Vec<i64> = (0..5 * 1024).map(|_| number(&mut random)).collect();
        let forms = Forms::EVERYWHERE.without_transform(Transform::Delta);
        let coding = Coding::new(forms, &numbers, None).expect("few bins");
        let mut model = Model::default();
        model.read(&coding.model(), &mut IntScratch::default()).expect("own model");
        let mut bytes = Vec::new();
        assert!(coding.encode(round % 5, usize::MAX, &mut bytes));
        assert!(read(&model, &bytes, 1024).unwrap() == numbers[round % 5 * 1024..][..1024]);
        for _ in 0..20 {
            refused += u32::from(read(&model, &damaged(&mut random, &bytes), 1024).is_err());
        }
    }
    assert!(refused > 700, "{refused} of 1,200 refused");
}

/// Eight numbers, each of which takes a bit of a word and three of the offsets.
#[test]
fn a_block_of_one_lane_ends_where_its_words_and_offsets_do() {
    let bin = Bin { places: 0, width: 3, lower: 0, frequency: 16 };
    let bins = [bin, Bin { lower: 8, ..bin }];
    let model = model_of(5, &bins);
    let says = |bytes: &[u8], count: usize, what: &str| {
        let error = read(&model, bytes, count).expect_err(what);
        assert!(error.rule == "K16" && error.detail.contains(what), "{what}: {error}");
    };
    let block = |state: u32, words: &[u16], offsets: &[u8]| {
        let mut out = vec![CODED, words.len() as u8];
        out.put_u32(state);
        words.iter().for_each(|word| out.put_u16(*word));
        out.extend(offsets);
        out
    };
    // From a state of 2^24 eight steps of a bit each lead to the lowest state, without a word.
    let eight = block(LOW << 8, &[], &[0; 3]);
    assert_eq!(read(&model, &eight, 8).unwrap(), [0; 8]);
    says(&block(LOW << 8, &[], &[0; 3]), 7, "the coder does not end");
    says(&block(LOW << 8, &[], &[0; 4]), 9, "the coder does not end");
    says(&block(LOW << 8, &[0], &[0; 3]), 8, "the coder does not end");
    says(&block(LOW - 1, &[0], &[0; 1]), 1, "is too small");
    // A word for each number is refused by where the coder ends, one more before that.
    says(&block(LOW, &[0; 2], &[0; 1]), 2, "the coder does not end");
    says(&block(LOW, &[0; 3], &[0; 1]), 2, "3 words for 2 numbers");
    // Of the second byte one bit is the third number's.
    let three = |left_over: u8| block(LOW << 3, &[], &[0, left_over]);
    assert_eq!(read(&model, &three(1), 3).unwrap(), [0, 0, 4]);
    for bit in 1..8 {
        says(&three(1 << bit), 3, "left-over bits");
    }
}

/// One bin that every state stands for: no step reads a bit, so a lane ends in its first state, which tells a byte of the offsets.
#[test]
fn nothing_is_left_over_in_lanes() {
    let model_of = |width: u8| {
        let mut bytes = vec![0x80 + 9, 1, 0, width, 0, 0];
        encode(&[512], None, &mut bytes);
        let mut model = Model::default();
        model.read(&bytes, &mut IntScratch::default()).expect("within all bounds");
        model
    };
    let block = |states: [u64; 4], left_over: u8, offsets: &[u8]| {
        let mut out = vec![CODED];
        pack(states, 9, &mut out);
        *out.last_mut().expect("four states") |= left_over << 4;
        out.extend(offsets);
        out
    };
    let says = |width: u8, bytes: &[u8], what: &str| {
        let error = read(&model_of(width), bytes, 2).expect_err(what);
        assert!(error.rule == "K19" && error.detail.contains(what), "{what}: {error}");
    };
    // Two numbers of 11 bits: 22 of the 32 that the states tell.
    let told = block([0xff, 0x0f, 0x3f, 0], 0, &[]);
    assert_eq!(read(&model_of(11), &told, 2).unwrap(), [0x7ff, 0x3f << 5 | 1]);
    for lane in 0..4 {
        let mut states = [0; 4];
        states[lane] = 0x100;
        says(11, &block(states, 0, &[]), "state of more than a byte");
    }
    for bit in 0..4 {
        says(11, &block([0; 4], 1 << bit, &[]), "left-over bits");
    }
    for (lane, state) in [(2, 0x40), (2, 0x80), (3, 1), (3, 0x80)] {
        let mut states = [0; 4];
        states[lane] = state;
        says(11, &block(states, 0, &[]), "left-over bits");
    }
    // Two of 17: two bits stand behind the states.
    assert_eq!(read(&model_of(17), &block([0, 0, 0, 0x80], 0, &[3]), 2).unwrap(), [0, 7 << 14]);
    for bit in 2..8 {
        says(17, &block([0; 4], 0, &[1 << bit]), "left-over bits");
    }
}

/// Each number takes twelve bits of the codes and 64 of the offsets: no block has more bytes.
#[test]
fn the_longest_block_in_lanes_is_read_to_its_end() {
    let mut bytes = vec![0x80 + 12, 2, 0, 64, 0, 0, 0, 0, 0];
    // One state stands for the first bin, the lowest; from there twelve bits of zeros lead to it again.
    encode(&[1, 4095], None, &mut bytes);
    let mut model = Model::default();
    model.read(&bytes, &mut IntScratch::default()).expect("within all bounds");
    let mut random = Random(6);
    let mut numbers: Vec<i64> = (0..1024).map(|_| random.next() as i64).collect();
    // The last states, of zero as well, tell the first four bytes.
    numbers[0] &= !0xffff_ffff;
    let mut block = vec![CODED];
    block.resize(1 + (4 + 1024) * 12 / 8, 0);
    let offsets: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    block.extend(&offsets[4..]);
    assert!(read(&model, &block, 1024).unwrap() == numbers);
}

/// What a model in lanes says of itself.
#[derive(Debug)]
struct Made {
    log: u8,
    bins: u64,
    tables: u8,
}

fn made(model: &[u8]) -> Made {
    let mut reader = ByteReader::new(model, "K18");
    let log = reader.u8().unwrap() & 0x7f;
    let bins = reader.varint().unwrap();
    for _ in 0..bins {
        reader.take(2).unwrap();
        reader.signed_varint().unwrap();
    }
    let remembers = reader.u8().unwrap() != 0;
    Made { log, bins, tables: if remembers { reader.take(2).unwrap()[1] } else { 1 } }
}

/// Numbers of 540 names; rows take turns between two halves of them. So many bins leave room for few tables.
#[test]
fn a_column_of_many_bins_remembers() {
    let mut random = Random(7);
    let number = |row: u64| (row % 2 * 270 + random.below(270)) as i64 * 1_000_003;
    let numbers: Vec<i64> = (0..65_536).map(number).collect();
    let coding = Coding::new(Forms::EVERYWHERE, &numbers, None).expect("few enough bins");
    let bytes = coding.model();
    let mut model = Model::default();
    model.read(&bytes, &mut IntScratch::default()).expect("own model");
    let Made { bins, tables, .. } = made(&bytes);
    assert!(bins > 512 && (2..=8).contains(&tables), "{bins} bins, {tables} tables");
    let mut total = 0;
    for (index, block) in numbers.chunks(1024).enumerate() {
        let mut bytes = Vec::new();
        assert!(coding.encode(index, usize::MAX, &mut bytes));
        assert!(read(&model, &bytes, block.len()).unwrap() == block);
        total += bytes.len();
    }
    // Of 270 names one takes 8.08 bits, of 540 it would take one more.
    assert!(total * 8 < numbers.len() * 17 / 2, "{total} bytes");
}

/// One number nearly always, or else one of twenty; in every second stretch of rows they are others. Fine frequencies make rare numbers
/// cheap in proportion to how many there are, and the states that a block begins with longer, however many there are.
#[test]
fn frequencies_are_as_fine_as_numbers_are_many() {
    let mut random = Random(8);
    let number = |row: u64| {
        let rare = if random.chance(20) { random.below(20) } else { 20 };
        (row / 64 % 2 * 50 + rare) as i64
    };
    let numbers: Vec<i64> = (0..65_536).map(number).collect();
    let of = |rows: usize| {
        made(&Coding::new(Forms::EVERYWHERE, &numbers[..rows], None).expect("few bins").model())
    };
    let (few, many) = (of(1000), of(65_536));
    assert!(few.log == 8 && many.log > 8, "{few:?} and {many:?}");
    assert!(many.tables > 1, "{many:?}: no table is without some of the numbers");
}
