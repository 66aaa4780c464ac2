//! Prices of more places among those of few: stored beside one another, given back to the bit, and refused where the file
//! does not say that it holds such.

mod support;

use std::collections::BTreeSet;

use support::{Content, Random, SOME, put_odd, read_stream, refusal, required, write_with};
use tapestore_format::header::features;
use tapestore_format::segment::{Segment, SegmentWriter, Stream, Tier, Verified};
use tapestore_format::time::Timeframe;

/// Bars of prices in units of 10^-8, most of them whole cents. Highs, lows and opens are often the same as another price.
fn bars(random: &mut Random, count: usize, one_in: u64) -> [Vec<i64>; 4] {
    bars_of(random, count, 2, &[(8, one_in)])
}

/// The same with prices of so many places, and some of more: one in so many.
fn bars_of(random: &mut Random, count: usize, places: u32, more: &[(u32, u64)]) -> [Vec<i64>; 4] {
    let mut columns: [Vec<i64>; 4] = Default::default();
    let step = 10i64.pow(8 - places);
    let price = |random: &mut Random, near: i64, by: i64| {
        let mut price = (near / step + random.below(2 * by as u64 + 1) as i64 - by).max(100) * step;
        for (places, one_in) in more {
            let finer = 10i64.pow(8 - places);
            if random.chance(*one_in) {
                price += random.below((step / finer) as u64) as i64 * finer;
                break;
            }
        }
        price
    };
    let mut before = 250_000_000_000;
    for _ in 0..count {
        let close = price(random, before, 40);
        let open = match random.below(4) {
            0 | 1 => before,
            2 => close,
            _ => price(random, before, 20),
        };
        let above = if random.chance(2) { 0 } else { random.below(30) as i64 };
        let high = if above == 0 { open.max(close) } else { price(random, open.max(close), 2) };
        let low = if random.chance(2) { open.min(close) } else { price(random, open.min(close), 9) };
        before = close;
        columns.iter_mut().zip([open, high, low, close]).for_each(|(column, value)| column.push(value));
    }
    columns
}

fn content(columns: &[Vec<f64>; 4]) -> Content {
    support::bars(Timeframe::M1, columns)
}

fn decimals(columns: &[Vec<i64>; 4]) -> [Vec<f64>; 4] {
    columns.each_ref().map(|column| column.iter().map(|price| *price as f64 / 1e8).collect())
}

fn written(content: &Content, tier: Tier) -> Vec<u8> {
    let ((bytes, _), _) = write_with(std::slice::from_ref(content), SegmentWriter::new(SOME, tier));
    bytes
}

/// Whether the group has further digits.
fn stored(content: &Content, bytes: &[u8], random: &mut Random) -> bool {
    support::stored_group(content, bytes, random, |column| column.digits)
}

#[test]
fn prices_of_eight_places_among_cents_come_back() {
    let mut random = Random(1);
    for count in [130, 1023, 1024, 1025, 2500, 9000] {
        for one_in in [6, 10, 60] {
            let content = content(&decimals(&bars(&mut random, count, one_in)));
            for tier in [Tier::Dense, Tier::Cold] {
                let bytes = written(&content, tier);
                assert!(stored(&content, &bytes, &mut random), "{count} rows, one in {one_in}, {tier:?}");
            }
            assert!(!stored(&content, &written(&content, Tier::Hot), &mut random));
        }
    }
}

#[test]
fn what_has_no_digits_is_an_exception_among_what_has() {
    let mut random = Random(2);
    let mut columns = decimals(&bars(&mut random, 5000, 8));
    put_odd(&mut random, &mut columns);
    let content = content(&columns);
    for tier in [Tier::Dense, Tier::Cold] {
        assert!(stored(&content, &written(&content, tier), &mut random));
    }
}

#[test]
fn digits_take_less_than_places_for_all_and_than_exceptions() {
    let mut random = Random(3);
    let fine = bars(&mut random, 20_000, 12);
    let coarse =
        fine.each_ref().map(|column| column.iter().map(|price| price / 1_000_000 * 1_000_000).collect());
    let size = |columns: &[Vec<i64>; 4]| written(&content(&decimals(columns)), Tier::Dense).len();
    let (fine_bytes, coarse_bytes) = (size(&fine), size(&coarse));
    // What cannot be known: twenty bits for each price that is not another one's, and which they are. Of four prices of a bar
    // about two are their own.
    let own = 2 * 20_000 / 12;
    assert!(fine_bytes < coarse_bytes + own * 5, "{fine_bytes} and {coarse_bytes} bytes");
}

/// Mantissas so great that with further digits they would no longer be exact stay without.
#[test]
fn prices_beyond_what_doubles_hold_have_no_digits() {
    let mut random = Random(4);
    let columns = bars(&mut random, 3000, 10).map(|column| {
        column.into_iter().map(|price| price as f64 / 1e8 + 4_000_000_000_000.0).collect::<Vec<f64>>()
    });
    let content = content(&columns);
    for tier in [Tier::Dense, Tier::Cold] {
        stored(&content, &written(&content, tier), &mut random);
    }
}

#[test]
fn a_file_without_the_bit_has_no_digits() {
    let content = content(&decimals(&bars(&mut Random(5), 2000, 10)));
    let bytes = written(&content, Tier::Dense);
    assert_eq!(required(&bytes), features::DIGITS);
    let error = refusal(bytes, 0);
    assert_eq!(error.rule, "S16");
    assert!(error.to_string().contains("further digits"), "{error}");
    assert_eq!(required(&written(&content, Tier::Hot)), 0);
}

/// Prices of so many places, and of more, one in so many; of one in so many nothing is left that a decimal gives back.
type Kind = (u32, &'static [(u32, u64)], u64);

/// Sizes of both tiers, as `sizes.rs` has them: whoever makes one smaller states it here.
const GROUPS: &[(Kind, [usize; 2])] = &[
    ((2, &[(8, 12)], NEVER), [17_792, 16_512]),
    ((2, &[(8, 2500)], NEVER), [13_760, 12_352]),
    ((2, &[(7, 40)], NEVER), [15_040, 13_696]),
    ((1, &[(8, 30), (4, 4)], NEVER), [27_712, 26_432]),
    ((0, &[(6, 20), (2, 4)], NEVER), [26_240, 24_960]),
    ((1, &[(8, 10), (4, 6), (3, 6), (2, 6)], NEVER), [34_176, 32_128]),
    ((3, &[(8, 10), (7, 20), (6, 150)], NEVER), [19_840, 18_560]),
    ((2, &[(6, 10), (4, 3), (3, 10)], NEVER), [27_776, 26_816]),
    ((1, &[(6, 150), (5, 10)], NEVER), [18_560, 17_280]),
    ((2, &[(8, 12)], 3), [107_520, 90_240]),
    ((2, &[], 3), [99_456, 86_720]),
    ((2, &[], 5), [54_720, 49_536]),
];
const NEVER: u64 = 1 << 40;

#[test]
fn groups_are_as_small_as_they_were() {
    let mut found = Vec::new();
    for (kind, _) in GROUPS {
        let (places, more, one_in) = kind;
        let mut random = Random(6);
        let mut columns = decimals(&bars_of(&mut random, 6000, *places, more));
        let none: Vec<usize> = (0..6000).filter(|_| random.chance(*one_in)).collect();
        columns.iter_mut().for_each(|column| none.iter().for_each(|row| column[*row] = column[*row].sqrt()));
        let content = content(&columns);
        found.push((*kind, [Tier::Dense, Tier::Cold].map(|tier| written(&content, tier).len())));
    }
    let table: String = found.iter().map(|group| format!("    {group:?},\n")).collect();
    for ((kind, found), (_, stated)) in found.iter().zip(GROUPS) {
        assert!(found[0] <= stated[0] && found[1] <= stated[1], "{kind:?}; all now:\n{table}");
    }
}

/// Damage behind mantissas: the error names a byte of the column that has it.
#[test]
fn errors_tell_where_in_a_block_they_are() {
    let mut columns = decimals(&bars(&mut Random(7), 600, 8));
    columns.iter_mut().for_each(|column| (0..600).step_by(400).for_each(|row| column[row] = f64::NAN));
    let bytes = written(&content(&columns), Tier::Dense);
    let columns: Vec<(u64, u64)> = {
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, SOME, &verified).unwrap();
        let chunk = segment.chunk(&segment.part(0).unwrap(), Stream::Live, 0).unwrap();
        let of_group = chunk.columns().filter(|column| column.id.is_some());
        of_group.map(|column| (column.offset, column.offset + column.bytes)).collect()
    };
    let mut rules = BTreeSet::new();
    for (start, end) in columns {
        for position in start..end {
            let mut bad = bytes.clone();
            bad[position as usize] ^= 0x55;
            let verified = Verified::trusting();
            let segment = Segment::open(&bad, SOME, &verified).unwrap();
            let Err(error) = read_stream(&segment, 0, Stream::Live) else { continue };
            assert!((start..=end).contains(&error.offset), "{error} for byte {position} of {start} to {end}");
            rules.insert(error.rule);
        }
    }
    assert!(["K11", "K20"].iter().all(|rule| rules.contains(rule)), "{rules:?}");
}
