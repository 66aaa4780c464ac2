//! Every byte of every structure, damaged.
//!
//! `TORTURE` says how much: unset, a sample; `short`, as the torture run has it; `long`, everything. `TORTURE_SEED` sets
//! the seed; `CORRUPTION_REPLAY='store/damage'` does one case again.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tape_corruption::damage::Damage;
use tape_corruption::harmless::{Kind, REASONS};
use tape_corruption::subject::{Files, Subject, all, disk, mixed, options, singles};
use tape_corruption::sweep::{Case, Effort, Outcome, Report, replay, sweep};
use tapestore::{ColumnType, SeriesKey, Store, Values};
use tapestore_format::header::{FileHeader, FileKind};
use tapestore_format::rows::RowSet;
use tapestore_format::segment::{ColumnInfo, Encoding, Scratch, Segment, Stream, System, Verified};

/// Stores of at most this many bytes have every byte damaged already in the short form.
const SMALL_BYTES: usize = 15_000;

fn seed() -> u64 {
    std::env::var("TORTURE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// One in so many of the damages of small and of large stores.
fn effort(small: bool) -> Effort {
    match (std::env::var("TORTURE").as_deref(), small) {
        (Ok("long"), _) => Effort {
            flips: 1,
            truncations: 1,
            sectors: 1,
            units: 1,
            noise: 20_000,
            thorough: 10,
            salvage: 10,
        },
        (Ok("short"), true) => {
            Effort { flips: 1, truncations: 1, sectors: 1, units: 1, noise: 300, thorough: 30, salvage: 97 }
        }
        (Ok("short"), false) => Effort {
            flips: 180,
            truncations: 180,
            sectors: 180,
            units: 9,
            noise: 150,
            thorough: 30,
            salvage: 97,
        },
        (_, true) => Effort {
            flips: 150,
            truncations: 150,
            sectors: 10,
            units: 10,
            noise: 50,
            thorough: 10,
            salvage: 6,
        },
        (_, false) => Effort {
            flips: 1500,
            truncations: 1500,
            sectors: 500,
            units: 50,
            noise: 50,
            thorough: 10,
            salvage: 9,
        },
    }
}

fn is_small(subject: &Subject) -> bool {
    subject.files.values().map(|bytes| bytes.len()).sum::<usize>() <= SMALL_BYTES
}

/// Every way to store a column is in a store of which every byte is damaged already in the short form. A model for the high
/// halves of floats is not: it saves something only among thousands of rows.
#[test]
fn small_stores_hold_every_encoding() {
    let small: Vec<Subject> = all().unwrap().into_iter().filter(is_small).collect();
    let contents = small.iter().flat_map(|subject| subject.layout.segments.values());
    let found: BTreeSet<&str> = contents.flat_map(|contents| &contents.forms).map(String::as_str).collect();
    let coded = ["coded integers", "coded decimal", "coded group"];
    let factors = ["decimal with factors", "group with factors"];
    let digits = ["group with digits", "coded group with digits"];
    let wanted = Encoding::ALL.map(Encoding::name).into_iter().chain(coded).chain(factors).chain(digits);
    let wanted = wanted.chain(["group of singles", "coded group of singles"]);
    assert_eq!(wanted.filter(|form| !found.contains(form)).collect::<Vec<_>>(), [""; 0]);
    // And one of them has a past.
    assert!(small.iter().any(|subject| !subject.earlier.is_empty()));
}

/// What is whole and wrong is no damage: the truth of the sweep is what the engine reads. So here it is what was put in, for
/// structures whose columns are told by others; read alone, beside one another, and from the middle of a block on.
fn reads_what_was_put_in(name: &str, timeframe: &str, few: usize, expected: &[Vec<f64>; 4], told: Told) {
    let subject = all().unwrap().into_iter().find(|subject| subject.name == name).unwrap();
    let store = Store::open_read_only_on(Arc::new(disk(&subject.files)), options()).unwrap();
    let (view, names) = (store.view(), ["open", "high", "low", "close"]);
    let mut prices = 0;
    let mut same = |column: usize, rows: Range<usize>, found: &Values, set: u8| {
        let Values::F64(found) = found else { panic!("prices are doubles") };
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let expected = &expected[column][rows.clone()];
        assert_eq!(bits(found), bits(expected), "{} of {set:04b}, rows {rows:?}", names[column]);
        prices += found.len();
    };
    for set in 1..16u8 {
        let wanted: Vec<usize> = (0..4).filter(|column| set >> column & 1 == 1).collect();
        let columns: Vec<&str> = wanted.iter().map(|column| names[*column]).collect();
        for (key, count) in [("DENSE", few), ("COLD", expected[0].len())] {
            let rows = view.read(&SeriesKey::new(key, timeframe).unwrap()).columns(&columns).rows().unwrap();
            for (column, (_, values)) in wanted.iter().zip(&rows.set.columns) {
                same(*column, 0..count, &values.values, set);
            }
        }
        for (_, bytes) in subject.files.iter().filter(|file| file.0.starts_with("segment-")) {
            in_parts(bytes, &wanted, told, &mut |column, rows, values| same(column, rows, values, set));
        }
    }
    println!("torture: {name} | {prices} prices | seed 1 | failures 0");
}

#[test]
fn prices_with_further_digits_are_those_that_were_put_in() {
    reads_what_was_put_in("mixed", "1m", 90, &mixed(1100), |info| info.digits);
}

#[test]
fn adjusted_singles_are_those_that_were_put_in() {
    reads_what_was_put_in("single", "1d", 150, &singles(1100), |info| info.singles);
}

/// Whether a column is one of the structure that is looked at.
type Told = fn(&ColumnInfo) -> bool;

/// Reads some prices of every chunk that has the structure, all rows and some.
fn in_parts(bytes: &[u8], wanted: &[usize], told: Told, found: &mut dyn FnMut(usize, Range<usize>, &Values)) {
    let identity = FileHeader::decode(bytes, FileKind::Segment).unwrap().identity;
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(bytes, identity, &verified).unwrap();
    let parts = (0..segment.part_count()).map(|ordinal| segment.part(ordinal).unwrap());
    // Others are of series of the store's own.
    for part in parts.filter(|part| part.columns.len() == 5) {
        let chunk = segment.chunk(&part, Stream::Live, 0).unwrap();
        let told = chunk.columns().filter(told).filter_map(|info| info.id);
        let told: Vec<_> = told.map(|id| (id, ColumnType::F64)).collect();
        let columns: Vec<_> = wanted.iter().map(|column| told[*column]).collect();
        let (count, mut scratch) = (chunk.rows(), Scratch::pooled());
        for rows in [0..count, 1..2, count / 2..count, count / 3..count - 1, count - 1..count] {
            let mut out = RowSet::with_columns(&columns);
            chunk.read(&part, rows.clone(), System::NONE, &mut out, &mut scratch).unwrap();
            for (column, (_, values)) in wanted.iter().zip(&out.columns) {
                found(*column, rows.clone(), &values.values);
            }
        }
    }
}

#[test]
fn damage_is_named_and_never_returned_as_data() {
    let since = Instant::now();
    let (small, large): (Vec<_>, Vec<_>) = all().unwrap().into_iter().partition(is_small);
    let mut report = Report::default();
    for (subjects, small) in [(small, true), (large, false)] {
        let names: Vec<&str> = subjects.iter().map(|subject| subject.name).collect();
        let since = Instant::now();
        let found = sweep(&subjects, &effort(small), seed());
        println!(
            "{}: {} corruptions, {:.1} s",
            names.join(", "),
            found.count(),
            since.elapsed().as_secs_f64()
        );
        report.add(found);
    }
    report.print("corruption sweep", seed(), since);
    report.assert_clean();
}

/// A kind of harmless damage that never occurs is no kind: the list is as short as it can be.
#[test]
fn every_entry_of_the_list_of_harmless_damage_is_needed() {
    let subjects = all().unwrap();
    let cases = [
        (Kind::Hint, "grown", "visible", "flip"),
        (Kind::Lock, "grown", "LOCK", "extend"),
        (Kind::Uncounted, "torn", "segment-000000008888", "flip"),
        (Kind::BehindManifest, "torn", "manifest-000000000002", "flip"),
        (Kind::BehindLog, "torn", "wal-000000000001", "flip"),
        (Kind::EmptyLog, "torn", "newest", "flip"),
        (Kind::NewestEnd, "logs", "newest", "flip"),
        (Kind::EarlierCurrent, "grown", "CURRENT", "stale"),
    ];
    assert_eq!(cases.map(|case| case.0), REASONS.map(|reason| reason.0));
    for (kind, name, file, damage) in cases {
        let subject = subjects.iter().find(|subject| subject.name == name).unwrap();
        let file = if file == "newest" { subject.layout.logs.last().unwrap().name.as_str() } else { file };
        let number = subject.files.keys().position(|name| name.starts_with(file)).unwrap();
        let length = subject.files[subject.file(number)].len();
        let damage = match damage {
            "flip" => Damage::Flip { file: number, offset: length - 1, mask: 1 },
            "extend" => Damage::Extend { file: number, bytes: 1, value: 7 },
            _ => {
                let differs = |files: &Files| files[file] != subject.files[file];
                Damage::StaleFile { file: number, moment: subject.earlier.iter().rposition(differs).unwrap() }
            }
        };
        let case = Case { subject: name.to_owned(), damage };
        assert_eq!(replay(&subjects, &case), Ok(Some(Outcome::Harmless(kind))), "{case}");
    }
}

#[test]
fn replay_of_one_case() {
    let Ok(text) = std::env::var("CORRUPTION_REPLAY") else { return };
    let case: Case = text.parse().unwrap();
    assert_eq!(case.to_string(), text);
    println!("{:?}", replay(&all().unwrap(), &case).unwrap());
}

/// What salvage once did wrong: each of these damages made it give up, or lose rows without a word.
#[test]
fn salvage_accounts_for_every_row() {
    let subjects = all().unwrap();
    for (case, story) in [
        ("versions/flip:2:2269:32", "a series was defined by a commit that the lost manifest had sealed"),
        ("logs/duplicate:3:2", "the same, from the records that were left"),
        (
            "sequences/flip:3:248:255",
            "a value lost in the log of commits made that no log of commits any more",
        ),
        ("torn/delete:3", "without a manifest, a file that was never a log was taken for the first one"),
        ("pruned/flip:2:3499:81", "a series that was dropped and created again was taken for dropped"),
        ("pruned/truncate:2:2331", "columns whose names were lost were neither shown nor named"),
        ("pruned/truncate:2:2902", "columns of an older definition hid those of one that was lost"),
        (
            "pruned/exchange:2:3",
            "a file that is no segment, under a segment's name, was passed over without a word",
        ),
        (
            "types-hot/truncate:4:5933",
            "of a chunk that the end of the file cut, whole blocks were given up as well",
        ),
        (
            "grown/stale-file:0:2",
            "a stale CURRENT counts a segment that compaction replaced: what took its place was not looked at",
        ),
        (
            "compacted/foreign:0:0",
            "with the CURRENT of another store all files were taken for those of a stranger",
        ),
    ] {
        let case: Case = case.parse().unwrap();
        replay(&subjects, &case).unwrap_or_else(|why| panic!("{story}: {case}: {why}"));
    }
}
