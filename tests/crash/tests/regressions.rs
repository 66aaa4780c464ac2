//! What the sweeps found, smallest form first, each with the story of what broke.

use std::sync::Arc;

use crash_tests::case::Case;
use crash_tests::image::Keep;
use crash_tests::reads::{ReadFault, ReadKind, ReadSite};
use crash_tests::run::{Op, Run, options};
use crash_tests::search::{calls, nth_call, replay};
use crash_tests::sim::{CallKind, Fault, SimStorage, Site};
use tapestore::io::Storage;
use tapestore::{AsOf, ErrorClass, Store, salvage_storage, verify_storage};

/// Does a case again: it is there, its fault happens, something is looked at, and nothing is broken.
fn holds(case: &str) {
    let done = replay(&case.parse::<Case>().unwrap()).unwrap_or_else(|why| panic!("{case}: {why}"));
    assert!(done.images > 0, "{case}: nothing was looked at");
}

/// Commits, and the log is written, and not synced.
fn fail_a_commit(run: &mut Run) {
    let call = nth_call(&calls(1, false, &[Op::Commit]).store, (CallKind::Sync, "wal"), 1);
    run.storage.fail_at(call, Fault::SyncKept);
    assert!(run.apply(Op::Commit).is_err() && run.storage.fault_hit());
}

/// The power fails at every call of a workload.
fn holds_cut_anywhere(ops: &str, keeps: &[&str]) {
    let case: Case = format!("seed=1;ops={ops};cut=0/nothing").parse().unwrap();
    let last = calls(1, false, &case.ops).store.len();
    assert!(last > 0);
    for call in 0..=last {
        keeps.iter().for_each(|keep| holds(&format!("seed=1;ops={ops};cut={call}/{keep}")));
    }
}

/// Everything that is written to the other disk by the last backup of a workload is cut off.
fn holds_backup_cut_anywhere(seed: u64, ops: &str, keeps: &[&str]) {
    let case: Case = format!("seed={seed};ops={ops};cut=0/nothing").parse().unwrap();
    let calls = calls(seed, false, &case.ops);
    let last = calls.target.len() as u64;
    assert!(calls.before_last_backup < last);
    for call in calls.before_last_backup..=last {
        keeps.iter().for_each(|keep| holds(&format!("seed={seed};ops={ops};backup={call}/{keep}")));
    }
}

/// The floor was durable before the commits above which it stood.
#[test]
fn pruning_with_commits_that_are_not_durable_keeps_something_to_read() {
    let keeps = ["nothing", "everything", "only:0", "only:1", "only:2", "only:3"];
    holds_cut_anywhere("volatile,appended,prune", &keeps);
}

/// A bug planted there was found by none of the hunts: a snapshot makes durable what it names.
#[test]
fn a_snapshot_of_commits_that_are_not_durable_makes_them_durable() {
    for weak in ["volatile", "appended"] {
        let keeps = ["nothing", "everything", "only:0", "only:1", "only:2", "only:3"];
        holds_cut_anywhere(&format!("{weak},snapshot,commit"), &keeps);
    }
}

/// So with this one: it takes four operations until pruning could give up what only a snapshot keeps.
#[test]
fn pruning_keeps_the_versions_that_snapshots_name() {
    holds_cut_anywhere("snapshot,upsert,upsert,prune,commit", &["nothing", "everything"]);
}

/// Recovery read from the page cache what a failed sync had marked clean, and relied on it.
#[test]
fn recovery_after_a_failed_sync_does_not_trust_the_page_cache() {
    let call = nth_call(&calls(1, false, &[Op::Commit]).store, (CallKind::Sync, "wal"), 1);
    for fault in [Fault::SyncKept, Fault::SyncReverted, Fault::SyncNoSpace] {
        holds(&format!("seed=1;ops=commit;fault={call}/{fault:?}"));
    }
}

/// The id of a manifest that was written anew was reserved only by its own step: after a power cut before that, another
/// file got it, and with it the seed of its checksums.
#[test]
fn a_manifest_written_anew_has_an_id_that_was_reserved_before() {
    let once = [Op::Snapshot, Op::Commit, Op::Snapshot, Op::Snapshot, Op::Seal, Op::Snapshot];
    let ops = "snapshot,commit,snapshot,snapshot,seal,snapshot";
    let sites = calls(1, true, &[once, once].concat()).store;
    let created = nth_call(&sites, (CallKind::Create, "manifest"), 1);
    // From the step before it to the one that makes it count.
    for call in created - 7..=created + 8 {
        for keep in
            ["nothing", "everything", "only:0", "only:1", "without:0", "without:1", "random:270705453822412"]
        {
            holds(&format!("seed=1;anew=1;ops={ops},{ops};cut={call}/{keep}"));
        }
    }
}

/// The copied logs of the newer backup had ids that the older manifest gave out again.
#[test]
fn an_interrupted_backup_opens_although_it_holds_newer_files() {
    holds_backup_cut_anywhere(728, "backup,reopen,backup", &["everything"]);
}

/// The directory was neither a store nor empty: it could not be opened, and nothing could be created in it.
#[test]
fn a_store_can_be_created_where_a_creation_was_cut_off() {
    let storage = SimStorage::new();
    storage.record();
    drop(Run::create(storage.clone(), 1).unwrap());
    for disk in storage.take_record() {
        let storage = SimStorage::from_disk(disk.image(Keep::Everything));
        if storage.length("CURRENT").is_err() {
            drop(Run::create(storage, 1).unwrap());
        }
    }
}

/// Clearing up after a creation never touches a log that took a transaction.
#[test]
fn a_store_that_lost_its_current_is_not_cleared() {
    let storage = SimStorage::new();
    let mut run = Run::create(storage.clone(), 1).unwrap();
    run.apply(Op::DropCreate).unwrap();
    run.let_go();
    storage.remove("CURRENT").unwrap();
    storage.remove("visible").unwrap();
    let before = storage.disk().digest();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    assert!(Store::create_on(shared, options()).unwrap_err().to_string().contains("is not empty"));
    assert_eq!(storage.disk().digest(), before);
}

/// Snapshots that came and went counted as if they were still there, so the manifest grew for ever.
#[test]
fn a_manifest_does_not_grow_with_snapshots_that_are_gone() {
    let mut run = Run::start(1);
    run.lengthen_manifest().unwrap();
    for op in [Op::Snapshot, Op::DropSnapshot, Op::Snapshot, Op::Snapshot, Op::Seal, Op::Snapshot] {
        run.apply(op).unwrap();
    }
    run.lengthen_manifest().unwrap();
    let longest = run.storage.disk().files().map(|(_, content)| content.len()).max().unwrap();
    assert!(longest < 2 << 20, "{longest} bytes");
}

/// A newer log survived without the longer copy of the log before it.
#[test]
fn an_interrupted_backup_has_no_log_without_the_one_before_it() {
    let keeps =
        ["nothing", "everything", "only:0", "only:1", "only:2", "without:0", "without:1", "without:2"];
    holds_backup_cut_anywhere(13008, "backup,commit,reopen,backup", &keeps);
}

/// A backup of a handle whose sync had failed copied the commit that it never acknowledged.
#[test]
fn a_backup_of_a_failed_handle_holds_what_was_acknowledged() {
    let mut run = Run::start(1);
    run.apply(Op::Commit).unwrap();
    let acknowledged = run.store().unwrap().view().version();
    fail_a_commit(&mut run);
    let target = SimStorage::new();
    let report = run.store().unwrap().backup_to(&target).unwrap();
    assert_eq!(report.version, acknowledged);
    let copy = Store::open_read_only_on(Arc::new(target), options()).unwrap();
    assert_eq!(copy.view().version(), acknowledged);
}

/// A handle that had failed still dropped snapshots, and reserved ids: steps that it must not acknowledge.
#[test]
fn a_failed_handle_publishes_no_step() {
    let mut run = Run::start(1);
    run.apply(Op::Commit).unwrap();
    run.store().unwrap().create_snapshot("kept", None).unwrap();
    fail_a_commit(&mut run);
    let store = run.store().unwrap();
    let before = run.storage.calls();
    for outcome in [
        store.drop_snapshot("kept"),
        store.create_snapshot("another", None).map(drop),
        store.seal().map(drop),
        store.compact().map(drop),
        store.prune(&AsOf::Version(store.view().version())).map(drop),
    ] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorClass::Poisoned);
    }
    assert_eq!(run.storage.calls(), before, "nothing is written any more");
    assert_eq!(store.snapshots().len(), 1);
}

/// The number of the first reading call of a kind on a kind of file.
fn first_read(sites: &[ReadSite], site: ReadSite) -> u64 {
    1 + sites.iter().position(|known| *known == site).expect("it reads that") as u64
}

/// A reader that could not ask for the lock took it for free, and showed a commit that a living writer had not acknowledged (I12).
#[test]
fn a_reader_that_cannot_ask_for_the_lock_shows_nothing_unacknowledged() {
    let mut run = Run::start(1);
    let acknowledged = run.store().unwrap().view().version();
    fail_a_commit(&mut run);
    let open = |fault: Option<(u64, ReadFault)>| {
        run.storage.watch_reads(fault);
        let opened = Store::open_read_only_on(Arc::new(run.storage.clone()), options());
        run.storage.heal_reads();
        opened.map(|store| store.view().version())
    };
    assert_eq!(open(None).unwrap(), acknowledged);
    let call = first_read(&run.storage.read_sites(), (ReadKind::Lock, "LOCK"));
    match open(Some((call, ReadFault::Once))) {
        Ok(version) => assert_eq!(version, acknowledged, "a commit that failed is shown"),
        Err(error) => assert!(error.to_string().contains("LOCK"), "{error}"),
    }
    assert_eq!(run.storage.read_fault_hit().as_deref(), Some("sim:LOCK"));
}

/// A newest log on a bad sector was taken for an empty one: its commits were gone, and the report said that nothing was lost.
#[test]
fn a_salvage_names_the_log_that_it_cannot_read() {
    let run = Run::start(1);
    let newest = run.store().unwrap().view().version();
    let from = SimStorage::from_disk(run.storage.disk());
    let salvage = |fault: Option<(u64, ReadFault)>| {
        from.watch_reads(fault);
        salvage_storage(&(Arc::new(from.clone()) as _), &(Arc::new(SimStorage::new()) as _)).unwrap()
    };
    let sound = salvage(None);
    assert!(sound.is_complete() && sound.version == newest);
    let call = first_read(&from.read_sites(), (ReadKind::Read, "wal"));
    let saved = salvage(Some((call, ReadFault::Stays)));
    let file = from.read_fault_hit().unwrap();
    assert!(saved.version < newest, "the commit in the log cannot be saved");
    let told = format!("{:?} {:?}", saved.losses, saved.unknown);
    assert!(
        !saved.is_complete() && told.contains(&file),
        "nothing says that commits of {file} are lost: {told}"
    );
}

/// Reading once failed while a backup looked at how the first log begins: the log was copied as it was, and named one that the
/// target did not hold. Cut off before it counted, this backup left the one before it unreadable.
#[test]
fn a_backup_that_cannot_read_how_a_log_begins_does_not_spoil_the_one_before_it() {
    let backup = |fault: Option<(u64, ReadFault)>| {
        let mut run = Run::start(1);
        for op in [Op::Backup, Op::Commit, Op::Seal, Op::Commit] {
            run.apply(op).unwrap();
        }
        let before = run.backups.last().unwrap().version as u64;
        run.storage.watch_reads(fault);
        run.target.record();
        let _ = run.store().unwrap().backup_to(&run.target);
        (run.storage.read_sites(), run.target.take_record(), before)
    };
    for call in 1..=backup(None).0.len() as u64 {
        let (_, disks, before) = backup(Some((call, ReadFault::Once)));
        for disk in disks {
            let copy = Arc::new(SimStorage::from_disk(disk.image(Keep::Everything)));
            let copy = Store::open_read_only_on(copy, options()).unwrap();
            assert!(copy.view().version() >= before);
        }
    }
}

/// The number of the sync of the directory behind the first new log.
fn sync_of_a_logs_name(sites: &[Site]) -> u64 {
    let created = nth_call(sites, (CallKind::Create, "wal"), 1);
    created + nth_call(&sites[created as usize..], (CallKind::SyncDir, "root"), 1)
}

/// The name of a new log was lost when the directory was synced, which failed, and could still be seen. Opened again, the store
/// went on behind that log; the next power cut took it away, and the store did not open any more.
#[test]
fn a_log_whose_name_was_not_synced_is_not_gone_on_from() {
    let call = sync_of_a_logs_name(&calls(1, false, &[Op::Seal]).store);
    for fault in [Fault::SyncKept, Fault::SyncNoSpace] {
        let mut run = Run::start(1);
        run.storage.fail_at(call, fault);
        assert!(run.apply(Op::Seal).is_err() && run.storage.fault_hit());
        run.reopen().unwrap();
        run.let_go();
        let (known, cut) = (run.moment().clone(), run.storage.disk().image(Keep::Nothing));
        let opened = run.check_image(&SimStorage::from_disk(cut), &known, known.acknowledged.version);
        opened.unwrap_or_else(|why| panic!("{fault:?}: {why}"));
    }
}

/// Opening found no space when it synced the directory with the new log, gave up the reserve, and tried again behind that log.
#[test]
fn opening_does_not_try_again_behind_a_sync_that_failed() {
    let mut run = Run::start(1);
    run.let_go();
    let disk = run.storage.disk();
    let open = |storage: &SimStorage| Store::open_on(Arc::new(storage.clone()), options()).map(drop);
    let sound = SimStorage::from_disk(disk.clone());
    open(&sound).unwrap();
    let storage = SimStorage::from_disk(disk);
    storage.fail_at(sync_of_a_logs_name(&sound.sites()), Fault::SyncNoSpace);
    let opened = open(&storage);
    assert!(storage.fault_hit());
    let (known, cut) = (run.moment().clone(), storage.disk().image(Keep::Nothing));
    let checked = run.check_image(&SimStorage::from_disk(cut), &known, known.acknowledged.version);
    checked.unwrap_or_else(|why| panic!("opened: {opened:?}; after a power cut: {why}"));
}

/// A first backup failed when its directory was synced. The next one found the segment there and kept it, although its name was
/// not durable and no later sync made it so: a backup that said that it was done lost it at the next power cut.
#[test]
fn a_backup_does_not_keep_a_file_whose_name_was_not_synced() {
    let mut run = Run::start(1);
    let sites = calls(1, false, &[Op::Backup]).target;
    let target = SimStorage::new();
    target.fail_at(nth_call(&sites, (CallKind::SyncDir, "root"), 1), Fault::SyncKept);
    assert!(run.store().unwrap().backup_to(&target).is_err() && target.fault_hit());
    let report = run.store().unwrap().backup_to(&target).unwrap();
    run.let_go();
    let copy = SimStorage::from_disk(target.disk().image(Keep::Nothing));
    run.check_image(&copy, run.moment(), report.version as usize).unwrap();
}

/// Reading once failed while a backup looked at which segments the one before it counts: it took none for counted, and gave all of
/// them their names anew, by way of another name. A power cut in between took them from the one before it.
#[test]
fn a_backup_that_cannot_read_what_the_one_before_it_counts_leaves_it_alone() {
    let backup = |fault: Option<(u64, ReadFault)>| {
        let mut run = Run::start(1);
        run.apply(Op::Backup).unwrap();
        run.target.watch_reads(fault);
        run.target.record();
        let _ = run.store().unwrap().backup_to(&run.target);
        (run.target.read_sites(), run.target.take_record())
    };
    let sites = backup(None).0;
    assert!(!sites.is_empty());
    for (call, site) in (1..).zip(&sites) {
        for (number, disk) in backup(Some((call, ReadFault::Once))).1.iter().enumerate() {
            let copy: Arc<dyn Storage> = Arc::new(SimStorage::from_disk(disk.image(Keep::Everything)));
            let findings = verify_storage(&copy, true).unwrap();
            assert!(
                findings.is_empty(),
                "{site:?} failed, power cut after call {number}: the backup before is damaged: {findings:?}"
            );
        }
    }
}

/// The sync of the directory failed when opening had put a copy in the place of a log that took no transaction. Opened again, the
/// store goes on behind that log, and it has to be there after a power cut.
#[test]
fn an_empty_log_is_replaced_until_its_name_is_durable() {
    let sites = calls(1, false, &[Op::Reopen, Op::Reopen]).store;
    let renamed = nth_call(&sites, (CallKind::Rename, "wal"), 1);
    assert_eq!(sites[renamed as usize], (CallKind::SyncDir, "root"));
    for fault in [Fault::SyncKept, Fault::SyncNoSpace] {
        holds(&format!("seed=1;ops=reopen,reopen;fault={}/{fault:?}", renamed + 1));
    }
}

/// What recovery reads of a process that was killed may stand in the page cache only: it must be durable before a new log
/// says how far the one before it goes, wherever the power fails while the store is opened.
#[test]
fn a_power_cut_while_opening_after_a_killed_process_leaves_a_store_that_opens() {
    let mut run = Run::start(1);
    run.apply(Op::Commit).unwrap();
    run.apply(Op::Appended).unwrap();
    let killed = SimStorage::from_disk(run.storage.disk().after_crash());
    killed.record();
    drop(Store::open_on(Arc::new(killed.clone()), options()).unwrap());
    for (call, disk) in killed.take_record().into_iter().enumerate() {
        for keep in [Keep::Nothing, Keep::Everything, Keep::Only(0), Keep::Only(1), Keep::Without(0)] {
            let cut = SimStorage::from_disk(disk.image(keep));
            let opened = Store::open_on(Arc::new(cut), options());
            assert!(opened.is_ok(), "cut after call {call}, kept {keep:?}: {:?}", opened.err());
        }
    }
}
