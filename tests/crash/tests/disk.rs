//! The simulated disk does what real ones do: each thing that the hunts rely on, shown by itself.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use crash_tests::image::Keep;
use crash_tests::reads::ReadFault;
use crash_tests::run::{Moment, Op, Run};
use crash_tests::sim::{Disk, Fault, SimStorage};
use tapestore::io::{LockKind, Storage, StorageFile};

/// A disk with a durable file of some bytes.
fn disk_with(bytes: &[u8]) -> (SimStorage, Arc<dyn StorageFile>) {
    let storage = SimStorage::new();
    let file = storage.create_new("a").unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync_all().unwrap();
    storage.sync_dir("").unwrap();
    (storage, file)
}

fn content(disk: &Disk, name: &str) -> Option<Vec<u8>> {
    disk.files().find(|file| file.0 == name).map(|file| file.1.to_vec())
}

/// What many power cuts leave of the file, by some property.
fn left<T: Ord>(storage: &SimStorage, property: impl Fn(&[u8]) -> T) -> BTreeSet<T> {
    let disk = storage.disk();
    (0..400)
        .filter_map(|seed| content(&disk.image(Keep::Random(seed)), "a"))
        .map(|bytes| property(&bytes))
        .collect()
}

#[test]
fn any_subset_of_unsynced_sectors_and_of_pages_survives() {
    let (storage, file) = disk_with(&[1; 16_384]);
    file.write_at(0, &[2; 16_384]).unwrap();
    let new = |bytes: &[u8], unit: usize| -> Vec<bool> {
        bytes.chunks(unit).map(|unit| unit.iter().all(|b| *b == 2)).collect()
    };
    let pages = left(&storage, |bytes| new(bytes, 4096));
    assert_eq!(pages.len(), 16, "every subset of four pages");
    let sectors = left(&storage, |bytes| new(&bytes[..4096], 512).iter().filter(|new| **new).count());
    assert!(sectors.len() > 4, "sectors of a page survive apart: {sectors:?}");
}

#[test]
fn a_unit_may_be_torn_anywhere_and_may_show_an_older_write() {
    let (storage, file) = disk_with(&[1; 512]);
    file.write_at(0, &[2; 512]).unwrap();
    file.write_at(0, &[3; 512]).unwrap();
    let shapes = left(&storage, |bytes| {
        (bytes[0], bytes[511], bytes.iter().map(|byte| u32::from(*byte == 1)).sum::<u32>())
    });
    let whole = |byte: u8| shapes.contains(&(byte, byte, if byte == 1 { 512 } else { 0 }));
    assert!(whole(1) && whole(2) && whole(3), "old, older write, new");
    assert!(shapes.iter().filter(|shape| shape.0 != 1 && shape.1 == 1).count() > 20, "torn at many places");
}

#[test]
fn the_length_survives_apart_from_the_bytes_which_are_zeros_or_garbage() {
    let (storage, file) = disk_with(&[1; 100]);
    file.write_at(100, &[2; 900]).unwrap();
    let extension = |bytes: &[u8]| {
        let rest = bytes.get(100..).unwrap_or_default();
        match rest.first() {
            None => "none",
            Some(2) => "written",
            Some(0) => "zeros",
            Some(_) => "garbage",
        }
    };
    assert_eq!(left(&storage, extension), ["none", "written", "zeros", "garbage"].into());
    file.set_length(50).unwrap();
    assert!(left(&storage, <[u8]>::len).is_superset(&[50, 100].into()), "cutting is not durable either");
}

#[test]
fn entries_of_a_directory_are_lost_one_by_one_until_it_is_synced() {
    let (storage, _file) = disk_with(&[1]);
    for name in ["b", "c"] {
        storage.create_new(name).unwrap().sync_all().unwrap();
    }
    storage.remove("a").unwrap();
    let names = |disk: &Disk| disk.files().map(|file| file.0.to_owned()).collect::<Vec<_>>().concat();
    let seen: BTreeSet<String> =
        (0..400).map(|seed| names(&storage.disk().image(Keep::Random(seed)))).collect();
    assert_eq!(seen.len(), 8, "{seen:?}");
    storage.sync_dir("").unwrap();
    assert_eq!(names(&storage.disk().image(Keep::Nothing)), "bc");
}

/// As pages: what a failed sync of a directory left out no later one makes durable.
#[test]
fn entries_of_a_directory_whose_sync_failed_count_as_clean() {
    let names = |disk: &Disk| disk.files().map(|file| file.0.to_owned()).collect::<Vec<_>>().concat();
    for (fault, seen) in [(Fault::SyncKept, "bc"), (Fault::SyncNoSpace, "bc"), (Fault::SyncReverted, "ac")] {
        let (storage, _file) = disk_with(&[1]);
        storage.create_dir("leases").unwrap();
        storage.rename("a", "b").unwrap();
        storage.fail_at(1, fault);
        assert!(storage.sync_dir("").is_err() && storage.fault_hit());
        assert_eq!(storage.list("leases").is_ok(), fault != Fault::SyncReverted);
        storage.create_new("c").unwrap();
        assert_eq!(names(&storage.disk()), seen);
        storage.sync_dir("").unwrap();
        assert_eq!(names(&storage.disk().image(Keep::Everything)), "ac", "{fault:?}");
    }
}

#[test]
fn a_rename_leaves_the_old_the_new_or_both_names() {
    let (storage, _file) = disk_with(&[1]);
    storage.rename("a", "b").unwrap();
    let names = |disk: &Disk| disk.files().map(|file| file.0.to_owned()).collect::<Vec<_>>().concat();
    let seen: BTreeSet<String> =
        (0..100).map(|seed| names(&storage.disk().image(Keep::Random(seed)))).collect();
    assert_eq!(seen, ["a".to_owned(), "ab".to_owned(), "b".to_owned()].into());
}

#[test]
fn calls_fail_as_asked_once_or_until_there_is_space() {
    let write = |fault: Fault| {
        let (storage, file) = disk_with(&[1; 10]);
        storage.fail_at(1, fault);
        let result = file.write_once_at(10, &[2; 10]).map_err(|error| error.kind());
        assert!(storage.fault_hit());
        let later = file.write_once_at(20, &[3]).map_err(|error| error.kind());
        (result, file.length().unwrap(), later)
    };
    let other = Err(ErrorKind::Other);
    assert_eq!(write(Fault::Eio), (other, 21, Ok(1)));
    assert_eq!(write(Fault::EioDone), (other, 21, Ok(1)));
    assert_eq!(write(Fault::EioHalf), (other, 21, Ok(1)));
    assert_eq!(write(Fault::Interrupted), (Err(ErrorKind::Interrupted), 21, Ok(1)));
    assert_eq!(write(Fault::NoSpace), (Err(ErrorKind::StorageFull), 21, Ok(1)));
    assert_eq!(write(Fault::Full), (Err(ErrorKind::StorageFull), 10, Err(ErrorKind::StorageFull)));
    assert_eq!(write(Fault::Short), (Ok(5), 21, Ok(1)));
    let (storage, file) = disk_with(&[1; 10]);
    storage.fail_at(1, Fault::EioStays);
    assert!(file.sync_data().is_err() && storage.remove("a").is_err() && storage.create_new("b").is_err());
    storage.mend();
    assert!(file.sync_data().is_ok() && storage.list("").unwrap() == [("a".to_owned(), 10)]);
    let (storage, file) = disk_with(&[1; 10]);
    storage.fill();
    assert!(file.write_once_at(0, &[2]).is_ok(), "what is there can be written over");
    assert!(storage.create_new("b").is_err());
    storage.remove("a").unwrap();
    storage.mend();
    assert!(storage.create_new("b").is_ok());
}

/// Reads fail by numbers of their own: those of mutating calls stay what they are.
#[test]
fn reads_fail_as_asked_once_or_until_healed() {
    let read = |fault: ReadFault| {
        let (storage, file) = disk_with(b"abcdef");
        let calls = storage.calls();
        storage.watch_reads(Some((1, fault)));
        let once = |file: &Arc<dyn StorageFile>| {
            let mut buffer = [0; 4];
            file.read_at(1, &mut buffer).map(|count| buffer[..count].to_vec()).map_err(|error| error.kind())
        };
        let seen = (once(&file), once(&file));
        let elsewhere = storage.list("").is_ok();
        assert_eq!(storage.read_fault_hit().as_deref(), Some("sim:a"));
        storage.heal_reads();
        assert!(elsewhere && once(&file) == Ok(b"bcde".to_vec()) && storage.calls() == calls);
        seen
    };
    let whole = || Ok(b"bcde".to_vec());
    assert_eq!(read(ReadFault::Once), (Err(ErrorKind::Other), whole()));
    assert_eq!(read(ReadFault::Stays), (Err(ErrorKind::Other), Err(ErrorKind::Other)));
    assert_eq!(read(ReadFault::Interrupted), (Err(ErrorKind::Interrupted), whole()));
    assert_eq!(read(ReadFault::Short), (Ok(b"bc".to_vec()), whole()));
    let (storage, _file) = disk_with(b"abcdef");
    let calls: [&dyn Fn() -> std::io::Result<()>; 5] = [
        &|| storage.open("a").map(drop),
        &|| storage.map("a", 6).map(drop),
        &|| storage.list("").map(drop),
        &|| storage.length("a").map(drop),
        &|| storage.lock("a", LockKind::Shared).map(drop),
    ];
    for call in calls {
        storage.watch_reads(Some((1, ReadFault::Once)));
        assert_eq!(call().unwrap_err().kind(), ErrorKind::Other);
        call().unwrap();
    }
}

#[test]
fn a_lying_disk_loses_misplaces_and_spoils_writes() {
    let after = |fault: Fault| {
        let (storage, file) = disk_with(&[1; 2048]);
        storage.fail_at(1, fault);
        assert_eq!(file.write_once_at(512, &[2; 512]).unwrap(), 512, "it says that it wrote");
        content(&storage.disk(), "a").unwrap()
    };
    assert_eq!(after(Fault::Stale), [1; 2048]);
    let astray = after(Fault::Misdirected);
    assert_eq!((astray[512], astray[1024], astray[1536]), (1, 2, 1));
    let rotten = after(Fault::Rot);
    assert_eq!(rotten.iter().position(|byte| *byte == 2 ^ 0x10), Some(512 + 256));
    assert_eq!((rotten[767], rotten[769]), (2, 2));
}

/// Damage of what is there already, on the medium: no cut brings the old bytes back.
#[test]
fn bytes_rot_on_the_medium_and_a_store_with_rot_reads_nothing_wrong() {
    let (storage, _file) = disk_with(&[1; 10]);
    let mut disk = storage.disk();
    disk.damage("a", |bytes| bytes[3] ^= 4);
    assert_eq!(content(&disk.image(Keep::Nothing), "a").unwrap()[2..5], [1, 5, 1]);
    let mut run = Run::start(1);
    for op in [Op::Upsert, Op::Seal, Op::Commit, Op::Snapshot, Op::Commit] {
        run.apply(op).unwrap();
    }
    let known: Moment = run.moment().clone();
    let disk = run.storage.disk();
    for (name, length) in disk.files().map(|(name, bytes)| (name.to_owned(), bytes.len())) {
        for at in (0..length).step_by(7) {
            let mut rotten = disk.clone();
            rotten.damage(&name, |bytes| bytes[at] ^= 1 << (at % 8));
            run.check_damaged(&rotten, &known).unwrap_or_else(|why| panic!("{name} at {at}: {why}"));
        }
    }
}

#[test]
fn the_clock_moves_with_every_look_and_jumps_both_ways() {
    let storage = SimStorage::new();
    let first = storage.now_ns();
    assert!(storage.now_ns() > first);
    storage.jump(-1_000_000_000);
    assert!(storage.now_ns() < first);
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let (storage, file) = disk_with(&[1; 5000]);
    file.write_at(100, &[2; 6000]).unwrap();
    let disk = storage.disk();
    let digests: BTreeSet<u128> = (0..50).map(|seed| disk.image(Keep::Random(seed)).digest()).collect();
    assert!(digests.len() > 25);
    assert!((0..50).all(|seed| digests.contains(&disk.image(Keep::Random(seed)).digest())));
}
