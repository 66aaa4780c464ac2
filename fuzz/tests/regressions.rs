//! What fuzzing found, each with its story; and every input of `fuzz/regressions` once more.

use std::collections::BTreeSet;

use tape_fuzz::corpus::{files, repository};
use tape_fuzz::driver::attempt;
use tape_fuzz::{Target, mend, meter, targets};
use tapestore_format::checksum::Identity;
use tapestore_format::rows::{RowSet, RunVec, Strings, Values};
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{PartSpec, Segment, SegmentWriter, Tier, Verified};

#[test]
fn inputs_that_once_broke_an_oracle_no_longer_do() {
    let mut count = 0;
    for target in &targets::ALL {
        for file in files(&repository("fuzz/regressions").join(target.name)) {
            let input = std::fs::read(&file).expect("an input can be read");
            if let Err(message) = attempt(target, &input) {
                panic!("{}: {message}", file.display());
            }
            count += 1;
        }
    }
    println!("{count} inputs");
}

/// A structure that no seed has is not found by changing seeds. Of a kind of group there are those of one block and of two, with
/// exceptions and without, with models and without, of live rows and of the past.
fn in_every_form(targets: [&str; 3], what: &str, kind: fn(&mend::Member) -> bool) {
    let mut forms = BTreeSet::new();
    for name in targets {
        let target = Target::find(name).expect("a target of that name");
        let seeds = (target.seeds)();
        let found = seeds.iter().filter_map(|seed| mend::found(seed)).flat_map(|found| found.members);
        let members: Vec<mend::Member> = found.filter(kind).collect();
        assert!(!members.is_empty(), "{name}: none of {} seeds has {what}", seeds.len());
        println!("{name}: {} columns of {what} in {} seeds", members.len(), seeds.len());
        forms.extend(members.iter().map(|member| (member.blocks.len(), member.flags & (2 | 32))));
    }
    for blocks in [1, 2] {
        for flags in [0, 2, 32, 2 | 32] {
            assert!(forms.contains(&(blocks, flags)), "{blocks} blocks, flags {flags}: {forms:?}");
        }
    }
}

#[test]
fn seeds_have_further_digits_in_every_form() {
    in_every_form(["segment", "chunk", "digits"], "further digits", |member| member.places.is_some());
}

#[test]
fn seeds_have_adjusted_singles_in_every_form() {
    in_every_form(["segment", "chunk", "singles"], "adjusted singles", mend::Member::is_singles);
}

/// A head whose flags became those of adjusted singles is read as such only in a file that may hold them.
#[test]
fn the_mender_says_that_a_file_may_hold_adjusted_singles() {
    let target = Target::find("singles").expect("a target of that name");
    let sound = (target.seeds)().swap_remove(0);
    let mut file = sound.clone();
    file[12] &= !(8 | 64);
    mend::segment(&mut file);
    assert!(file == sound, "the feature bits are mended, and nothing else");
}

#[test]
fn every_target_runs_its_seeds_and_some_changes_of_them() {
    let plan: Vec<(&'static Target, u64)> =
        targets::ALL.iter().map(|target| (target, if target.fixed { 200 } else { 1000 })).collect();
    for ((target, _), tally) in plan.iter().zip(tape_fuzz::driver::run(&plan, 3, 2, &|_, _| ())) {
        let messages: Vec<_> = tally.findings.iter().map(|finding| &finding.message).collect();
        assert!(messages.is_empty(), "{}: {messages:?}", target.name);
        assert!(tally.accepted > 0 && tally.outcomes > 2, "{}: {tally:?}", target.name);
    }
}

/// Buffers that are kept count for the input that is the first to need them. The long hunt found a target whose bound was that
/// of the second: one process runs one input after another, and whoever replays one begins with it.
#[test]
fn a_seed_keeps_its_bound_where_nothing_ran_before() {
    for target in &targets::ALL {
        for seed in (target.seeds)().into_iter().filter(|seed| seed.len() <= target.longest).take(12) {
            let run = std::thread::spawn(move || target.run(&seed));
            assert!(run.join().is_ok(), "{}", target.name);
        }
    }
}

/// Verification used to hold all columns of a chunk at once: a constant column of a chunk takes a few bytes of file and
/// stood for 65,536 values, so a crafted file of a megabyte could ask for hundreds of gigabytes.
#[test]
fn verifying_a_chunk_holds_a_block_of_it() {
    const ROWS: usize = 1 << 16;
    const COLUMNS: u16 = 16;
    let identity = Identity { store: [1; 16], file: 1 };
    let kinds: Vec<_> = (0..COLUMNS).map(|id| (id, ColumnType::String)).collect();
    let mut rows = RowSet {
        time: (0..ROWS as i64).collect(),
        version: RunVec::constant(1, ROWS),
        source: RunVec::constant(1, ROWS),
        flags: RunVec::constant(0, ROWS),
        ..RowSet::default()
    };
    let text = "x".repeat(40);
    for id in 0..COLUMNS {
        let strings: Strings = std::iter::repeat_n(&text, ROWS).collect();
        rows.columns.push((id, Values::Str(strings).into()));
    }
    let held = rows.bytes();
    let mut writer = SegmentWriter::new(identity, Tier::Dense);
    writer.begin_part(PartSpec { series: 1, columns: kinds, timeframe: None, unique: true, ohlc: None });
    writer.push_live(&rows, 0..ROWS);
    writer.end_part();
    writer.finish();
    let bytes = std::mem::take(writer.output());
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(&bytes, identity, &verified).expect("it was just written");
    let ((), peak) = meter::measured(|| segment.verify(true, &mut |error| panic!("{error}")));
    assert!(
        held > 40 << 20 && peak < 1 << 20,
        "{} bytes of file stand for {held}, {peak} were held",
        bytes.len()
    );
}
