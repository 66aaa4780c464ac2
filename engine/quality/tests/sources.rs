//! Two and three sources of one market.

use tapestore::time::MINUTE_NS;
use tapestore_quality::{FindingState, Rule, compare_and_note, findings};

use crate::market::{found, key, minutes, put, setup, store};

#[test]
fn two_sources_disagree_and_of_three_the_majority_names_the_culprit() {
    let (_directory, store) = store();
    let [a, b, c] = ["P.A", "P.B", "P.C"].map(|name| key(name, "1m"));
    let table = minutes(1, 20);
    // A source that is dearer all the time has a basis, and is not wrong.
    let scaled = |times: f64| {
        let mut table = table.clone();
        table.values[..4].iter_mut().for_each(|column| column.iter_mut().for_each(|price| *price *= times));
        table
    };
    let mut wrong = scaled(1.003);
    wrong.values[..4].iter_mut().for_each(|column| column[900] *= 1.02);
    put(&store, &a, &table);
    put(&store, &b, &wrong);
    put(&store, &c, &scaled(0.999));
    let all = i64::MIN..i64::MAX;
    let blame = |keys: &[_]| {
        let found = compare_and_note(&store, keys, &all, &setup()).unwrap();
        found.iter().map(|one| (one.key.clone(), one.time_ns / MINUTE_NS, one.is_culprit)).collect::<Vec<_>>()
    };
    assert_eq!(blame(&[a.clone(), b.clone()]), [(a.clone(), 900, false), (b.clone(), 900, false)]);
    assert_eq!(blame(&[a.clone(), b.clone(), c.clone()]), [(b.clone(), 900, true)]);
    assert_eq!(blame(&[a.clone(), c.clone()]), []);
    // Kept as findings, of which those that are explained are gone; checks leave them alone.
    assert_eq!(blame(&[a.clone(), b.clone(), c]), [(b.clone(), 900, true)]);
    assert_eq!(found(&store, &b, Rule::Source), [(900 * MINUTE_NS, 1)]);
    let states: Vec<_> =
        findings(&store.view(), all).unwrap().into_iter().filter(|one| one.key == a).collect();
    assert!(states.iter().filter(|one| one.rule == Rule::Source).all(|one| one.state == FindingState::Gone));
    assert!(compare_and_note(&store, &[b], &(0..1), &setup()).is_err());
}
