//! Subscriptions: what is told, in which order, and what a subscriber that falls behind learns.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{MINUTE, bars, key, options, write};
use tapestore::live::{Bounds, Commit, Event, Filter, RecvTimeoutError, TryRecvError};
use tapestore::time::{Frame, Timeframe};
use tapestore::{AsOf, Durability, SeriesKey, Store, View, schema};

const NAMES: [&str; 4] = ["A.X", "B.X", "C.X", "D.X"];

fn commit(event: Event) -> Commit {
    match event {
        Event::Commit(commit) => commit,
        Event::Lagged { .. } => panic!("{event:?}"),
    }
}

#[test]
fn a_commit_tells_its_rows_deletions_and_definitions() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(directory.path().join("store"), options()).unwrap();
    write(&store, "A.X", &[0, 1], 10.0);
    let live = store.subscribe(Filter::all(), Bounds::default()).unwrap();
    assert_eq!((live.since(), live.try_recv()), (1, Err(TryRecvError::Empty)), "the past is not told");

    let mut transaction = store.begin();
    transaction.message("why").source("here");
    transaction.delete_range(&key("A.X"), 0..MINUTE).unwrap();
    transaction.upsert(&key("A.X"), bars(&[5, 1], 20.0)).unwrap();
    transaction.create_series(&key("B.X"), schema::bars()).unwrap();
    transaction.commit().unwrap();
    write(&store, "A.X", &[5], 25.0);
    write(&store, "A.X", &[5], 25.0);
    let mut transaction = store.begin();
    transaction.drop_series(&key("B.X")).unwrap();
    transaction.commit().unwrap();
    store.rollback(&AsOf::Version(1)).unwrap();

    let first = commit(live.recv().unwrap());
    assert_eq!((first.version, first.message.as_str(), first.changes.len()), (2, "why", 2));
    let (a, b) = (&first.changes[0], &first.changes[1]);
    assert_eq!((&a.key, a.defined, a.deleted.as_slice()), (&key("A.X"), false, &[0..MINUTE][..]));
    assert_eq!(a.rows.time(), [MINUTE, 5 * MINUTE]);
    assert_eq!(a.rows.f64("close"), Some(&[21.25, 25.25][..]));
    assert_eq!(store.source_name(a.rows.set.source.get(0)).as_deref(), Some("here"));
    assert!(b.defined && b.schema.is_some() && b.rows.is_empty() && b.key == key("B.X"));
    let second = commit(live.recv().unwrap());
    assert_eq!((second.version, second.changes[0].rows.len()), (3, 1), "what changed nothing is no commit");
    let third = commit(live.recv().unwrap());
    assert_eq!((third.version, third.changes[0].schema.clone(), third.changes[0].defined), (4, None, true));
    let last = commit(live.recv().unwrap());
    assert_eq!((last.version, last.kind), (5, tapestore::CommitKind::Rollback));
    assert_eq!(last.changes[0].rows.time(), [0, MINUTE]);
    assert_eq!(live.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    drop(store);
    assert!(live.recv().is_err(), "a closed store is the end");
}

#[test]
fn filters_pick_series_and_frames() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(directory.path().join("store"), options()).unwrap();
    let of = |filter| store.subscribe(filter, Bounds::default()).unwrap();
    let only_b = of(Filter::all().series([key("B.X")]));
    let hours = of(Filter::all().frames([Frame::Bars(Timeframe::H1)]));
    let none = of(Filter::all().series([key("B.X")]).frames([Frame::Bars(Timeframe::H1)]));
    for name in ["A.X", "B.X"] {
        write(&store, name, &[0], 1.0);
    }
    let hour = SeriesKey::new("A.X", "1h").unwrap();
    let mut transaction = store.begin();
    for key in [&key("A.X"), &hour] {
        transaction.create_series(key, schema::bars()).unwrap();
        transaction.upsert(key, bars(&[60], 2.0)).unwrap();
    }
    transaction.commit().unwrap();
    let seen = |live: tapestore::live::Subscription| -> Vec<(u64, Vec<String>)> {
        let events = std::iter::from_fn(|| live.try_recv().ok()).map(commit);
        let keys = |commit: &Commit| commit.changes.iter().map(|change| change.key.to_string()).collect();
        events.map(|commit| (commit.version, keys(&commit))).collect()
    };
    assert_eq!(seen(only_b), [(2, vec!["B.X 1m".to_owned()])]);
    assert_eq!(seen(hours), [(3, vec!["A.X 1h".to_owned()])]);
    assert_eq!(seen(none), []);
}

#[test]
fn what_does_not_fit_is_reported_once_and_exactly() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(directory.path().join("store"), options()).unwrap();
    let live = store.subscribe(Filter::all(), Bounds { commits: 2, ..Bounds::default() }).unwrap();
    (0..6).for_each(|minute| _ = write(&store, "A.X", &[minute], 1.0));
    assert_eq!(commit(live.recv().unwrap()).version, 1);
    write(&store, "A.X", &[6], 1.0);
    assert_eq!(commit(live.recv().unwrap()).version, 2, "room alone ends no lag: the order would be lost");
    assert_eq!(live.recv(), Ok(Event::Lagged { after: 2, through: 7 }));
    write(&store, "A.X", &[7], 1.0);
    assert_eq!(commit(live.recv().unwrap()).version, 8);

    // A commit whose rows are more than may ever wait.
    let small = store.subscribe(Filter::all(), Bounds { bytes: 1000, ..Bounds::default() }).unwrap();
    write(&store, "B.X", &(0..100).collect::<Vec<_>>(), 1.0);
    assert_eq!(small.try_recv(), Ok(Event::Lagged { after: 8, through: 9 }));
    let changes = store.view().changes_since(&key("B.X"), 8, MINUTE).unwrap().unwrap();
    assert!(changes[0].start <= 0 && changes[0].end >= 99 * MINUTE);
    write(&store, "B.X", &[0], 2.0);
    assert_eq!(commit(small.recv().unwrap()).version, 10);
    for zero in [Bounds { commits: 0, ..Bounds::default() }, Bounds { bytes: 0, ..Bounds::default() }] {
        assert!(store.subscribe(Filter::all(), zero).unwrap_err().to_string().contains("above 0"));
    }
}

#[test]
fn a_follower_tells_what_its_refresh_sees_and_reports_what_it_skips() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::create(&path, options()).unwrap();
    write(&store, "A.X", &[0], 1.0);
    let follower = Store::open_read_only(&path, options()).unwrap();
    let live = follower.subscribe(Filter::all(), Bounds::default()).unwrap();
    (1..4).for_each(|minute| _ = write(&store, "A.X", &[minute], 1.0));
    assert_eq!(live.try_recv(), Err(TryRecvError::Empty), "nothing is seen before a refresh");
    follower.refresh().unwrap();
    let versions: Vec<u64> = std::iter::from_fn(|| live.try_recv().ok()).map(|e| commit(e).version).collect();
    assert_eq!(versions, [2, 3, 4]);
    write(&store, "A.X", &[4], 1.0);
    store.seal().unwrap();
    follower.refresh().unwrap();
    assert_eq!(live.try_recv(), Ok(Event::Lagged { after: 4, through: 5 }));
    let ranges = follower.view().changes_since(&key("A.X"), 4, 0).unwrap().unwrap();
    assert_eq!(ranges, [4 * MINUTE..4 * MINUTE + 1]);
    write(&store, "A.X", &[5], 1.0);
    follower.refresh().unwrap();
    assert_eq!(commit(live.recv().unwrap()).version, 6);
}

/// A small generator (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

type Content = BTreeMap<SeriesKey, BTreeMap<i64, (u64, u64)>>;

/// What a subscriber knows of the store, from events alone where it keeps up.
struct Copy<'a> {
    store: &'a Store,
    content: Content,
    /// Everything up to here is in it.
    seen: u64,
    told: u64,
    lags: u64,
}

impl Copy<'_> {
    fn take(&mut self, event: Event) {
        assert!(self.store.view().version() >= version(&event), "L1: told before it was visible");
        match event {
            // After a lag the view may be ahead of what still waits in the channel.
            Event::Commit(commit) if commit.version <= self.seen => assert!(self.lags > 0, "L1: told twice"),
            Event::Commit(commit) => {
                assert_eq!(commit.version, self.seen + 1, "L1: in order, none left out");
                (self.seen, self.told) = (commit.version, self.told + 1);
                commit.changes.iter().for_each(|change| self.change(change));
            }
            Event::Lagged { after, through } => {
                assert!(after < through && (after == self.seen || self.lags > 0), "L2");
                if through > self.seen {
                    self.catch_up(after.max(self.seen));
                }
                self.lags += 1;
            }
        }
    }

    fn change(&mut self, change: &tapestore::live::Change) {
        let rows = self.content.entry(change.key.clone()).or_default();
        for range in &change.deleted {
            rows.retain(|time, _| !range.contains(time));
        }
        for row in 0..change.rows.len() {
            rows.insert(change.rows.time()[row], at(&change.rows, row));
        }
    }

    fn catch_up(&mut self, after: u64) {
        let view = self.store.view();
        for key in view.keys() {
            let whole = vec![i64::MIN..i64::MAX];
            for range in view.changes_since(&key, after, 0).unwrap().unwrap_or(whole) {
                let rows = self.content.entry(key.clone()).or_default();
                rows.retain(|time, _| !range.contains(time));
                let now = view.read(&key).range(range).provenance().rows().unwrap();
                rows.extend((0..now.len()).map(|row| (now.time()[row], at(&now, row))));
            }
        }
        let known = view.keys();
        self.content.retain(|key, _| known.contains(key));
        self.seen = view.version();
    }
}

fn version(event: &Event) -> u64 {
    match event {
        Event::Commit(commit) => commit.version,
        Event::Lagged { through, .. } => *through,
    }
}

fn at(rows: &tapestore::Rows, row: usize) -> (u64, u64) {
    (rows.f64("close").unwrap()[row].to_bits(), rows.set.version.get(row))
}

fn content(view: &View) -> Content {
    let read = |key: &SeriesKey| {
        let rows = view.read(key).provenance().rows().unwrap();
        (0..rows.len()).map(|row| (rows.time()[row], at(&rows, row))).collect()
    };
    view.keys().iter().map(|key| (key.clone(), read(key))).collect()
}

/// One change of the store, of any kind.
fn step(store: &Store, random: &mut Random) {
    let name = NAMES[random.below(4) as usize];
    let first = random.below(300) as i64;
    let minutes: Vec<i64> = (first..first + 1 + random.below(40) as i64).collect();
    let mut transaction = store.begin();
    let range = first * MINUTE..(first + 20) * MINUTE;
    match random.below(20) {
        0 if store.view().schema(&key(name)).is_ok() => {
            let _ = transaction.drop_series(&key(name));
        }
        1..4 if store.view().schema(&key(name)).is_ok() => {
            let _ = transaction.delete_range(&key(name), range);
        }
        4 => {
            let back = 1 + random.below(store.view().version().max(1));
            let _ = store.rollback(&AsOf::Version(back));
        }
        5 => _ = store.seal().unwrap(),
        6 => _ = store.compact().unwrap(),
        7 if random.below(4) == 0 => {
            // The other writer may have pruned further meanwhile.
            let _ = store.prune(&AsOf::Version(store.view().version()));
        }
        _ => {
            transaction.create_series(&key(name), schema::bars()).unwrap();
            transaction.upsert(&key(name), bars(&minutes, random.below(1000) as f64)).unwrap();
        }
    }
    let durability =
        [Durability::Volatile, Durability::Appended, Durability::Durable][random.below(3) as usize];
    match transaction.commit_with(durability) {
        // Another writer may have dropped the series meanwhile.
        Ok(_) | Err(tapestore::Error::NotFound(_) | tapestore::Error::Rejected { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn whoever_follows_fast_or_slow_ends_with_the_content_of_the_store() {
    let seeds = std::env::var("TAPE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let (told, lags) = (AtomicU64::new(0), AtomicU64::new(0));
    for seed in 0..seeds {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(directory.path().join("store"), options()).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for (reader, (commits, pause)) in
                [(4096, 0), (2, 50), (1, 400), (16, 2000)].into_iter().enumerate()
            {
                let bounds = Bounds { commits, bytes: if reader == 3 { 4000 } else { 1 << 30 } };
                let live = store.subscribe(Filter::all(), bounds).unwrap();
                let (store, done, told, lags) = (&store, &done, &told, &lags);
                scope.spawn(move || {
                    let mut copy =
                        Copy { store, content: Content::new(), seen: live.since(), told: 0, lags: 0 };
                    loop {
                        match live.recv_timeout(Duration::from_millis(20)) {
                            Ok(event) => copy.take(event),
                            Err(_) if done.load(Ordering::Acquire) => match live.try_recv() {
                                Ok(event) => copy.take(event),
                                Err(_) => break,
                            },
                            Err(_) => {}
                        }
                        thread::sleep(Duration::from_micros(pause));
                    }
                    let known: Content = content(&store.view());
                    copy.content.retain(|key, _| known.contains_key(key));
                    assert_eq!(copy.seen, store.view().version(), "seed {seed}, reader {reader}");
                    assert!(copy.content == known, "seed {seed}, reader {reader}: another content");
                    told.fetch_add(copy.told, Ordering::Relaxed);
                    lags.fetch_add(copy.lags, Ordering::Relaxed);
                });
            }
            let writers: Vec<_> = (0..2)
                .map(|writer| {
                    let store = &store;
                    scope.spawn(move || {
                        let mut random = Random(seed * 1000 + writer);
                        (0..150).for_each(|_| step(store, &mut random));
                    })
                })
                .collect();
            let ended: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            done.store(true, Ordering::Release);
            ended.into_iter().for_each(|writer| writer.unwrap());
        });
    }
    let (told, lags) = (told.into_inner(), lags.into_inner());
    println!(
        "torture: subscribers beside two writers | {told} commits told, {lags} lags caught up | seeds 0..{seeds} | failures 0"
    );
    assert!(told > 100 && lags > 10, "{told} told, {lags} lags");
}
