//! A run over what changed leaves what a run over everything gives (I1).

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore::{AsOf, SeriesKey, Store};
use tapestore_quality::{Day, Finding, FindingState, Setup, check, checked, days, findings};

use crate::market::{Random, Table, key, put, setup, store};

/// All that is kept, but for when it was found.
pub(crate) fn kept(store: &Store) -> Vec<(SeriesKey, Vec<Day>, Vec<Finding>)> {
    let view = store.view();
    let all = findings(&view, i64::MIN..i64::MAX).unwrap();
    let one = |series: tapestore_quality::Checked| {
        let days = days(&view, &series, i64::MIN..i64::MAX).unwrap();
        let sum: tapestore_quality::Tally = days.iter().map(|day| day.tally).sum();
        assert_eq!(sum, series.tally, "the sum of {} is that of its days", series.key);
        let open = |one: &&Finding| one.key == series.key && one.state == FindingState::Open;
        let plain = |one: &Finding| Finding { version: 0, found_ns: 0, changed_ns: 0, ..one.clone() };
        let mut found: Vec<Finding> = all.iter().filter(open).map(plain).collect();
        found.sort_by_key(|one| (one.at_ns, one.rule));
        (series.key.clone(), days, found)
    };
    checked(&view).unwrap().into_iter().map(one).collect()
}

/// A table with faults of all sorts.
fn faulty(mut table: Table, random: &mut Random) -> Table {
    for _ in 0..random.below(4) {
        let count = table.time.len();
        let at = random.below(count as u64) as usize;
        let end = (at + 1 + random.below(12) as usize).min(count);
        match random.below(6) {
            0 => table.values[..4].iter_mut().for_each(|column| column[at] *= 1.2),
            1 => table.values[..4].iter_mut().for_each(|c| c[at..end].iter_mut().for_each(|v| *v *= 100.0)),
            2 => table.values.iter_mut().for_each(|column| {
                let first = column[at];
                column[at..end].fill(first);
            }),
            3 => table.values[4][at] *= 1e6,
            4 => table.values[1][at] = 1.0,
            _ if end - at < count => table = table.without(at..end),
            _ => {}
        }
    }
    table
}

#[test]
fn a_run_over_what_changed_leaves_what_a_run_over_everything_gives() {
    for seed in 0..12 {
        let mut random = Random(seed);
        let (_directory, store) = store();
        // Bars of a quarter of an hour keep many days small; every second seed has an exchange.
        let instrument = if seed % 2 == 0 { "A.X" } else { "0700.HK" };
        let (fine, coarse, daily) = (key(instrument, "15m"), key(instrument, "1h"), key(instrument, "1d"));
        let start = 19_724 * DAY_NS;
        let table = Table::walk(start, 15 * MINUTE_NS, 96 * 40, seed);
        put(&store, &fine, &faulty(table.clone(), &mut random));
        put(&store, &coarse, &faulty(table.coarser(4), &mut random));
        put(&store, &daily, &faulty(table.coarser(96), &mut random));
        check(&store, |_| true, &setup()).unwrap();
        let mut versions = vec![store.view().version()];
        for step in 0..10 {
            let (key, step_ns) = match random.below(3) {
                0 => (&coarse, HOUR_NS),
                1 => (&daily, DAY_NS),
                _ => (&fine, 15 * MINUTE_NS),
            };
            let info = store.view().info(key).unwrap();
            let (first, last) = (info.first_ns.unwrap(), info.last_ns.unwrap());
            let count = 1 + random.below(40) as usize;
            let inside = first + (random.below(((last - first) / step_ns) as u64) as i64) * step_ns;
            match random.below(6) {
                way @ 0..3 => {
                    let start = if way == 2 { inside } else { last + step_ns };
                    put(&store, key, &faulty(Table::walk(start, step_ns, count, step), &mut random));
                }
                3 => {
                    let mut transaction = store.begin();
                    transaction.delete_range(key, inside..inside + count as i64 * step_ns).unwrap();
                    transaction.commit().unwrap();
                }
                4 => {
                    let mut transaction = store.begin();
                    transaction.delete_range(key, last - step_ns..last + 1).unwrap();
                    transaction.commit().unwrap();
                }
                _ => {
                    let to = versions[random.below(versions.len() as u64) as usize];
                    store.rollback(&AsOf::Version(to)).unwrap();
                }
            }
            versions.push(store.view().version());
            if random.below(4) == 0 {
                store.seal().unwrap();
            }
            check(&store, |_| true, &setup()).unwrap();
            let after_change = kept(&store);
            check(&store, |_| true, &Setup { again: true, ..setup() }).unwrap();
            assert_eq!(after_change, kept(&store), "seed {seed}, step {step}, {key}");
        }
    }
}

#[test]
fn one_more_bar_reads_little() {
    let (_directory, store) = store();
    let fine = key("A.X", "1m");
    let table = crate::market::minutes(60, 1);
    put(&store, &fine, &table);
    check(&store, |_| true, &setup()).unwrap();
    put(&store, &fine, &Table::walk(60 * DAY_NS, MINUTE_NS, 1, 2));
    let report = check(&store, |_| true, &setup()).unwrap();
    assert!(report.days <= 2 && report.bars <= 1441, "{report:?}");
}
