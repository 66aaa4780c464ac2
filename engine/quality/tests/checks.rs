//! Every rule of series, by bars made for it.

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore::{Batch, RunVec, Values, flags};
use tapestore_quality::{
    Checked, FindingState, Rule, Score, Tier, check, checked, days, findings, reconsider,
};

use crate::market::{Table, found, key, minutes, put, setup, store};

fn only(store: &tapestore::Store) -> Checked {
    checked(&store.view()).unwrap().remove(0)
}

#[test]
fn missing_bars_are_findings_and_lower_the_score() {
    let (_directory, store) = store();
    let one = key("A.X", "1m");
    put(&store, &one, &minutes(2, 1).without(100..107));
    assert_eq!(found(&store, &one, Rule::Missing), [(100 * MINUTE_NS, 7)]);
    let checked = only(&store);
    assert_eq!((checked.tally.expected, checked.tally.usable), (2880, 2873));
    let score = Score::of(checked.tally, None, &setup().rules);
    assert_eq!((score.tier, score.provisional), (Tier::A, false));
    let all = days(&store.view(), &checked, i64::MIN..i64::MAX).unwrap();
    assert_eq!(all.iter().map(|day| day.tally.usable).collect::<Vec<_>>(), [1433, 1440]);
    // What comes late closes the finding.
    put(&store, &one, &minutes(2, 1));
    assert_eq!(found(&store, &one, Rule::Missing), []);
    let states: Vec<_> =
        findings(&store.view(), i64::MIN..i64::MAX).unwrap().iter().map(|f| f.state).collect();
    assert_eq!(states, [FindingState::Gone]);
}

#[test]
fn checking_again_changes_nothing() {
    let (_directory, store) = store();
    put(&store, &key("A.X", "1m"), &minutes(3, 1).without(10..20));
    let first = check(&store, |_| true, &setup()).unwrap();
    assert_eq!((first.read, first.found), (1, 1));
    let version = store.view().version();
    let second = check(&store, |_| true, &setup()).unwrap();
    assert_eq!((second.series, second.read, store.view().version()), (1, 0, version));
    let again = tapestore_quality::Setup { again: true, ..setup() };
    let third = check(&store, |_| true, &again).unwrap();
    assert_eq!((third.read, third.found, third.gone), (1, 0, 0));
}

#[test]
fn a_spike_is_found_and_its_return_is_not() {
    let (_directory, store) = store();
    let one = key("A.X", "1m");
    let mut table = minutes(1, 2);
    for column in &mut table.values[..4] {
        column[700] *= 1.1;
    }
    put(&store, &one, &table);
    assert_eq!(found(&store, &one, Rule::Spike), [(700 * MINUTE_NS, 1)]);
    assert_eq!(found(&store, &one, Rule::Outlier), []);
    assert_eq!(only(&store).tally.inaccurate, 1);
}

#[test]
fn what_is_accepted_costs_nothing_until_it_is_reopened() {
    let (_directory, store) = store();
    let one = key("A.X", "1m");
    let mut table = minutes(1, 2);
    table.values[..4].iter_mut().for_each(|column| column[700] *= 1.1);
    put(&store, &one, &table);
    check(&store, |_| true, &setup()).unwrap();
    let all = i64::MIN..i64::MAX;
    let change = |state| reconsider(&store, &one, Rule::Spike, &all, state, &setup()).unwrap();
    assert_eq!(only(&store).tally.usable, 1439);
    assert_eq!(change(FindingState::Accepted), 1);
    assert_eq!(only(&store).tally.usable, 1440);
    assert_eq!(change(FindingState::Accepted), 0, "it is accepted already");
    // A later check keeps that.
    check(&store, |_| true, &tapestore_quality::Setup { again: true, ..setup() }).unwrap();
    assert_eq!(only(&store).tally.usable, 1440);
    assert_eq!(change(FindingState::Open), 1);
    assert_eq!(only(&store).tally.usable, 1439);
}

#[test]
fn units_stale_runs_and_repeated_days_are_found() {
    let (_directory, store) = store();
    let one = key("A.X", "1m");
    let mut table = minutes(4, 3);
    table.values[..4]
        .iter_mut()
        .for_each(|column| column[500..520].iter_mut().for_each(|price| *price *= 100.0));
    for column in &mut table.values {
        let (from, to) = column.split_at_mut(2000);
        to[..7].fill(from[1999]);
        // The last day repeats the second.
        let day: Vec<f64> = column[1440..2880].to_vec();
        column[4320..].copy_from_slice(&day);
    }
    put(&store, &one, &table);
    assert_eq!(found(&store, &one, Rule::Unit), [(500 * MINUTE_NS, 20)]);
    assert_eq!(found(&store, &one, Rule::Stale), [(2000 * MINUTE_NS, 7), ((2000 + 2880) * MINUTE_NS, 7)]);
    assert_eq!(found(&store, &one, Rule::Repeated), [(3 * DAY_NS, 1440)]);
    assert_eq!(only(&store).tally.usable, 4 * 1440 - 20 - 7 - 1440);
}

#[test]
fn volume_out_of_proportion_is_a_soft_finding() {
    let (_directory, store) = store();
    let one = key("A.X", "1h");
    let mut table = Table::walk(0, HOUR_NS, 24 * 25, 4);
    table.values[4][24 * 22 + 5] = 1e6;
    put(&store, &one, &table);
    assert_eq!(found(&store, &one, Rule::Activity), [((24 * 22 + 5) * HOUR_NS, 1)]);
    assert_eq!((only(&store).tally.usable, only(&store).tally.soft), (600, 1));
}

#[test]
fn coarser_bars_are_held_against_finer_ones() {
    let (_directory, store) = store();
    let (fine, coarse, daily) = (key("A.X", "1m"), key("A.X", "5m"), key("A.X", "1d"));
    let table = minutes(3, 5);
    let mut five = table.coarser(5);
    five.values[1][100] += 1.0;
    put(&store, &fine, &table);
    put(&store, &coarse, &five);
    put(&store, &daily, &table.coarser(1440));
    assert_eq!(found(&store, &coarse, Rule::Coarser), [(500 * MINUTE_NS, 1)]);
    assert_eq!(found(&store, &daily, Rule::Coarser), []);
    // The finer bars change, the coarser ones do not: they differ now, and are looked at again.
    let mut changed = table.clone();
    changed.values[4][3000] += 1.0;
    put(&store, &fine, &changed);
    assert_eq!(found(&store, &daily, Rule::Coarser), [(2 * DAY_NS, 1)]);
    assert_eq!(found(&store, &coarse, Rule::Coarser), [(500 * MINUTE_NS, 1), (3000 * MINUTE_NS, 1)]);
}

#[test]
fn made_up_bars_are_never_complete() {
    let (_directory, store) = store();
    let one = key("A.X", "1m");
    put(&store, &one, &minutes(1, 6).without(50..51));
    let mut transaction = store.begin();
    let mut batch = Batch::new(vec![50 * MINUTE_NS]);
    for name in ["open", "high", "low", "close"] {
        batch = batch.with(name, Values::F64(vec![10_000.0]));
    }
    let batch =
        batch.with("volume", Values::F64(vec![0.0])).with_flags(RunVec::constant(flags::SYNTHETIC, 1));
    transaction.upsert(&one, batch).unwrap();
    transaction.commit().unwrap();
    assert_eq!(found(&store, &one, Rule::Synthetic), [(50 * MINUTE_NS, 1)]);
    assert_eq!(found(&store, &one, Rule::Missing), []);
    let tally = only(&store).tally;
    assert_eq!((tally.expected, tally.present, tally.synthetic, tally.usable), (1440, 1439, 1, 1439));
}

#[test]
fn sessions_of_the_venue_say_what_is_expected() {
    let (_directory, store) = store();
    let one = key("0700.HK", "1m");
    // 2024-01-02, a Tuesday: 09:30 to 12:00 and 13:00 to 16:00 in Hong Kong.
    let day = 19_724 * DAY_NS;
    let morning = Table::walk(day + HOUR_NS + 30 * MINUTE_NS, MINUTE_NS, 150, 7);
    let afternoon = Table::walk(day + 5 * HOUR_NS, MINUTE_NS, 180, 8);
    put(&store, &one, &morning);
    put(&store, &one, &afternoon.without(10..13));
    let missing = found(&store, &one, Rule::Missing);
    assert_eq!(missing, [(day + 5 * HOUR_NS + 10 * MINUTE_NS, 3)]);
    assert_eq!(only(&store).tally.expected, 330);
    // The next day an hour early: as many bars outside as are missing.
    let shifted = Table::walk(day + DAY_NS + 30 * MINUTE_NS, MINUTE_NS, 150, 7);
    put(&store, &one, &shifted);
    put(&store, &one, &Table::walk(day + DAY_NS + 4 * HOUR_NS, MINUTE_NS, 180, 8));
    put(&store, &one, &Table::walk(day + 2 * DAY_NS + HOUR_NS + 30 * MINUTE_NS, MINUTE_NS, 150, 7));
    let shifted = found(&store, &one, Rule::Shifted);
    assert_eq!(shifted.first().map(|first| first.0), Some(day + DAY_NS + 30 * MINUTE_NS));
}

#[test]
fn days_of_sessions_hold_no_less_than_their_minutes() {
    let (_directory, store) = store();
    let (fine, days) = (key("0700.HK", "1m"), key("0700.HK", "1d"));
    // Tuesday to Thursday, with a closing auction after 16:00 that is in the day and in no minute that is expected.
    let first = 19_724 * DAY_NS;
    let mut daily = Table::default();
    for day in 0..3 {
        let midnight = first + day * DAY_NS;
        let mut minutes = Table::walk(midnight + HOUR_NS + 30 * MINUTE_NS, MINUTE_NS, 150, day as u64);
        let afternoon = Table::walk(midnight + 5 * HOUR_NS, MINUTE_NS, 180, day as u64 + 9);
        minutes.time.extend(afternoon.time);
        for (column, more) in minutes.values.iter_mut().zip(afternoon.values) {
            column.extend(more);
        }
        put(&store, &fine, &minutes);
        let all = minutes.coarser(330);
        daily.time.push(midnight);
        for (column, value) in daily.values.iter_mut().zip(&all.values) {
            column.push(value[0]);
        }
    }
    daily.values[3].iter_mut().for_each(|close| *close += 0.05);
    daily.values[4].iter_mut().for_each(|volume| *volume *= 1.1);
    put(&store, &days, &daily);
    assert_eq!(found(&store, &days, Rule::Coarser), []);
    daily.values[1][1] *= 0.99;
    daily.values[4][2] /= 10.0;
    put(&store, &days, &daily);
    let told: Vec<i64> = found(&store, &days, Rule::Coarser).iter().map(|one| one.0).collect();
    // Days that follow one another and break the same rule, each within its day.
    assert_eq!(told, [first + DAY_NS, first + 2 * DAY_NS]);
    // A minute that comes later says it, too.
    daily.values[1][1] = 20_000.0;
    daily.values[4][2] *= 10.0;
    put(&store, &days, &daily);
    assert_eq!(found(&store, &days, Rule::Coarser), []);
    let mut late = Table::walk(first + 7 * HOUR_NS, MINUTE_NS, 1, 5);
    late.values[1][0] = 30_000.0;
    put(&store, &fine, &late);
    assert_eq!(found(&store, &days, Rule::Coarser), [(first, 1)]);
}

#[test]
fn a_stale_run_leaves_the_scale_as_it_was() {
    let (_directory, store) = store();
    let one = key("A.X", "1m");
    let mut table = minutes(1, 2);
    for column in &mut table.values {
        let held = column[700];
        column[700..745].fill(held);
    }
    put(&store, &one, &table);
    assert_eq!(found(&store, &one, Rule::Stale), [(701 * MINUTE_NS, 44)]);
    // The return after the run may be far; those that follow are as they always were.
    let far =
        |rule: Rule| found(&store, &one, rule).into_iter().filter(|one| one.0 > 745 * MINUTE_NS).count();
    assert_eq!((far(Rule::Spike), far(Rule::Outlier)), (0, 0));
}
