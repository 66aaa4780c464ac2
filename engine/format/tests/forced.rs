//! Integer blocks written by hand, as `format-spec/codecs.md` says: every packing, transform and form at every width and edge, also
//! where an encoder would choose another.

mod support;

use support::Random;
use tapestore_format::bytes::{ByteReader, ByteWriter};
use tapestore_format::codec::bitpack::{bits, pack};
use tapestore_format::codec::int::{IntScratch, Packing, Transform, decode, packing_of};

const COUNTS: [usize; 9] = [1, 2, 3, 8, 17, 64, 100, 1023, 1024];
const BASES: [i64; 5] = [0, 1, -77, i64::MIN, i64::MAX];

/// How offsets become values.
#[derive(Clone, Copy, Debug)]
struct Form {
    base: i64,
    zigzag: bool,
    multiplier: i64,
}

impl Form {
    const PLAIN: Self = Self { base: 0, zigzag: false, multiplier: 1 };

    /// Takes another one for each number.
    fn of(number: usize) -> Self {
        Self {
            base: BASES[number % BASES.len()],
            zigzag: number % 2 == 1,
            multiplier: [1, 1, 25][number % 3],
        }
    }

    fn value(self, offset: u64) -> i64 {
        let unfolded =
            if self.zigzag { (offset >> 1) as i64 ^ -((offset & 1) as i64) } else { offset as i64 };
        unfolded.wrapping_mul(self.multiplier).wrapping_add(self.base)
    }
}

/// The head of a block: what the first values are added to stands behind the byte.
fn put_head(packing: Packing, transform: Transform, form: Form, out: &mut Vec<u8>) {
    let flags = u8::from(form.zigzag) << 5 | u8::from(form.multiplier != 1) << 6;
    out.put_u8(packing as u8 | (transform as u8) << 3 | flags);
    let firsts = match transform {
        Transform::Delta => 1,
        Transform::Alternate => 2,
        _ => 0,
    };
    FIRSTS[..firsts].iter().for_each(|first| out.put_signed_varint(*first));
    if form.multiplier != 1 {
        out.put_varint(form.multiplier as u64);
    }
}

const FIRSTS: [i64; 2] = [-5, i64::MAX];

/// What stands behind the head of packed offsets.
fn put_packed(offsets: &[u64], width: u32, form: Form, out: &mut Vec<u8>) {
    out.put_signed_varint(form.base);
    out.put_u8(width as u8);
    pack(offsets.iter().copied(), width, out);
}

/// A block inside of a block.
fn put_inner(offsets: &[u64], width: u32, form: Form, out: &mut Vec<u8>) {
    put_head(Packing::Packed, Transform::Plain, form, out);
    put_packed(offsets, width, form, out);
}

/// The block, and its values before sums.
fn block(
    packing: Packing,
    transform: Transform,
    offsets: &[u64],
    width: u32,
    form: Form,
) -> (Vec<u8>, Vec<i64>) {
    let count = offsets.len();
    let mut out = Vec::new();
    let offset_forms = matches!(packing, Packing::Packed | Packing::Patched | Packing::Classes);
    put_head(packing, transform, if offset_forms { form } else { Form::PLAIN }, &mut out);
    let all: Vec<i64> = offsets.iter().map(|offset| form.value(*offset)).collect();
    let values = match packing {
        Packing::Constant => {
            out.put_signed_varint(all[0]);
            vec![all[0]; count]
        }
        Packing::Packed => {
            put_packed(offsets, width, form, &mut out);
            all
        }
        Packing::Patched => {
            // Every third number has its high bits apart; the others have none.
            let (low, high) = (width / 2, width - width / 2);
            let mask = (1u64 << low) - 1;
            let patched: Vec<usize> = (0..count).step_by(3).collect();
            out.put_signed_varint(form.base);
            out.put_u8(low as u8);
            out.put_u8(high as u8);
            out.put_varint(patched.len() as u64);
            pack(patched.iter().map(|row| *row as u64), bits(count as u64 - 1), &mut out);
            pack(patched.iter().map(|row| offsets[*row] >> low), high, &mut out);
            pack(offsets.iter().map(|offset| offset & mask), low, &mut out);
            let whole =
                |(row, offset): (usize, &u64)| form.value(if row % 3 == 0 { *offset } else { offset & mask });
            offsets.iter().enumerate().map(whole).collect()
        }
        Packing::Runs => {
            // Runs of one, two, three, one, two … rows.
            let mut lengths: Vec<u64> = Vec::new();
            while lengths.iter().map(|length| length + 1).sum::<u64>() < count as u64 {
                let left = count as u64 - lengths.iter().map(|length| length + 1).sum::<u64>();
                lengths.push((lengths.len() as u64 % 3).min(left - 1));
            }
            out.put_varint(lengths.len() as u64);
            put_inner(&offsets[..lengths.len()], width, form, &mut out);
            put_inner(&lengths, 2, Form::PLAIN, &mut out);
            let runs = all.iter().zip(&lengths);
            runs.flat_map(|(value, length)| vec![*value; *length as usize + 1]).collect()
        }
        Packing::Dictionary => {
            let distinct = count.min(7);
            let codes: Vec<u64> = (0..count).map(|row| (row * 5 % distinct) as u64).collect();
            out.put_varint(distinct as u64);
            put_inner(&offsets[..distinct], width, form, &mut out);
            pack(codes.iter().copied(), bits(distinct as u64 - 1), &mut out);
            codes.iter().map(|code| all[*code as usize]).collect()
        }
        Packing::Sparse => {
            let taken = |row: usize| row.is_multiple_of(4) || row % 7 == 3;
            let rows: Vec<usize> = (0..count).filter(|row| taken(*row)).collect();
            out.put_signed_varint(-3);
            out.put_varint(rows.len() as u64);
            pack((0..count).map(|row| u64::from(taken(row))), 1, &mut out);
            put_inner(&offsets[..rows.len()], width, form, &mut out);
            let mut next = all.into_iter();
            (0..count).map(|row| if taken(row) { next.next().unwrap() } else { -3 }).collect()
        }
        Packing::Raw => {
            offsets.iter().for_each(|offset| out.put_u64(*offset));
            offsets.iter().map(|offset| *offset as i64).collect()
        }
        Packing::Classes => {
            let widths = [0, width / 3, width * 2 / 3, width];
            let cut = |row: usize| {
                let width = widths[row % 4];
                if width == 64 { offsets[row] } else { offsets[row] & ((1 << width) - 1) }
            };
            out.put_signed_varint(form.base);
            widths.iter().for_each(|width| out.put_u8(*width as u8));
            pack((0..count).map(|row| row as u64 % 4), 2, &mut out);
            for (class, width) in widths.into_iter().enumerate() {
                pack((class..count).step_by(4).map(cut), width, &mut out);
            }
            (0..count).map(|row| form.value(cut(row))).collect()
        }
    };
    (out, values)
}

/// The values that a reader gives back.
fn summed(transform: Transform, numbers: &[i64]) -> Vec<i64> {
    let mut out: Vec<i64> = Vec::new();
    for (row, number) in numbers.iter().enumerate() {
        let before = match transform {
            Transform::Delta if row == 0 => FIRSTS[0],
            Transform::Delta => out[row - 1],
            Transform::Alternate if row < 2 => FIRSTS[row],
            Transform::Alternate => out[row - 2],
            _ => 0,
        };
        out.push(number.wrapping_add(before));
    }
    out
}

#[test]
fn every_packing_at_every_width_and_edge_is_read_as_it_is_specified() {
    let mut random = Random(3);
    let mut scratch = IntScratch::default();
    let mut blocks = 0;
    for packing in [
        Packing::Constant,
        Packing::Packed,
        Packing::Patched,
        Packing::Runs,
        Packing::Dictionary,
        Packing::Sparse,
        Packing::Raw,
        Packing::Classes,
    ] {
        for width in 0..=64u32 {
            let most = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            for count in COUNTS {
                // All zero; all the largest; the largest in the first or in the last row alone; anything.
                for edge in 0..5 {
                    let offsets: Vec<u64> = (0..count)
                        .map(|row| match edge {
                            0 => 0,
                            1 => most,
                            2 => most * u64::from(row == 0),
                            3 => most * u64::from(row + 1 == count),
                            _ => random.next() & most,
                        })
                        .collect();
                    for transform in
                        [Transform::Plain, Transform::Delta, Transform::Group, Transform::Alternate]
                    {
                        let form = Form::of(blocks);
                        let (bytes, numbers) = block(packing, transform, &offsets, width, form);
                        let mut found = vec![0x5555; count];
                        let mut reader = ByteReader::new(&bytes, "K1");
                        let told = decode(&mut reader, &mut found, &mut scratch, None);
                        let case = format!(
                            "{packing:?} {transform:?} width {width} count {count} edge {edge} {form:?}"
                        );
                        assert_eq!(told.unwrap_or_else(|error| panic!("{case}: {error}")), transform);
                        reader.finish().unwrap_or_else(|error| panic!("{case}: {error}"));
                        assert_eq!(packing_of(bytes[0]), packing);
                        assert!(found == summed(transform, &numbers), "{case}");
                        blocks += 1;
                    }
                }
            }
        }
    }
    assert_eq!(blocks, 8 * 65 * 9 * 5 * 4);
}
