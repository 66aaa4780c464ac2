//! Questions of market data: wrong calls, and what scripts get. What people see is in `engine/query/README.md`.

use super::Place;

#[test]
fn resampling_asks_for_one_kind_of_bars_and_names_what_is_wrong() {
    let place = Place::with_bars();
    assert!(place.tape("resample A.X 1m").failed(2).contains("--into"));
    place.tape("resample A.X 1m --into 5m --ticks 3").failed(2);
    assert!(place.tape("resample A.X 1m --into 7q").failed(2).contains("the timeframes are 1s 1m"));
    assert!(place.tape("resample A.X 1m --into 1m").failed(2).contains("cannot be made of bars of 1m"));
    assert!(place.tape("resample A.X 1m --volume 0").failed(2).contains("positive"));
    assert!(place.tape("resample A.X 1m --into 2m --columns nope").failed(2).contains("\"nope\""));
    assert!(place.tape("resample A.X 1m --into 2m --provenance").failed(2).contains("provenance"));
    place.tape("resample A.X 1m --into 2m --save --unfinished").failed(2);
}

#[test]
fn an_unfinished_bar_is_named_and_shown_on_request() {
    let place = Place::with_bars();
    // Minutes 0, 1, 4 and 5: the bar of ten minutes has four to go.
    let ended = place.tape("resample A.X 1m --into 10m --csv --columns volume,partial");
    assert!(ended.err.contains("is not finished; --unfinished shows it"), "{}", ended.err);
    assert_eq!(ended.clean(), "time,volume,partial\n");
    let shown =
        place.tape("resample A.X 1m --into 10m --csv --columns partial --unfinished --time s").clean();
    assert_eq!(shown, "time,partial\n1704067200,true\n");
    let finished = place.tape("resample A.X 1m --into 2m --csv --columns partial --time s").clean();
    assert_eq!(finished, "time,partial\n1704067200,false\n1704067440,false\n");
}

#[test]
fn a_saved_series_follows_its_source_and_says_what_it_did() {
    let place = Place::with_bars();
    let first = place.tape("resample A.X 1m --into 2m --save --json").clean();
    assert!(first.contains("\"written\": 2, \"deleted\": 0, \"whole\": true"), "{first}");
    let again = place.tape("resample A.X 1m --into 2m --save --json").clean();
    assert!(again.contains("\"written\": 0") && again.contains("\"whole\": false"), "{again}");
    assert_eq!(place.tape("show A.X 2m --csv").clean().lines().count(), 3);
    let ticks = place.tape("resample A.X 1m --ticks 2 --save --json").clean();
    assert!(ticks.contains("\"frame\": \"ticks-2\"") && ticks.contains("\"written\": 2"), "{ticks}");
    assert_eq!(place.tape("show A.X ticks-2 --csv --columns end --time s").clean().lines().count(), 3);
    assert!(place.tape("verify --deep").clean().contains("clean"));
}

#[test]
fn other_questions_name_what_is_missing() {
    let place = Place::with_bars();
    assert!(place.tape("join A.X 1m quotes").failed(2).contains("there is no series A.X quotes"));
    assert!(place.tape("join A.X 1m 1m --tolerance soon").failed(2).contains("\"soon\" is no span of time"));
    assert!(place.tape("panel 1h close").failed(2).contains("no instrument has 1h"));
    assert!(place.tape("panel 1m nope").failed(2).contains("nope"));
    assert!(place.tape("adjust A.X 1m").failed(2).contains("there is no series A.X actions"));
    assert!(place.tape("book A.X").failed(2).contains("there is no series A.X book"));
    assert!(place.tape("book A.X --frame 1m").failed(2).contains("A.X 1m"));
    let average = place.tape("average A.X 1m --json").clean();
    assert!(average.contains("\"vwap\": ") && average.contains("\"time_ns\": 240000000000"), "{average}");
}

#[test]
fn rows_that_name_their_instrument_are_joined_by_it() {
    let place = Place::with_bars();
    let fills =
        place.write("fills.csv", "time,symbol,size\n1704067290,A.X,1\n1704067290,B.X,2\n1704067445,A.X,3\n");
    place
        .tape(&format!(
            "import {fills} --instrument fund --frame myfills --type symbol=string --type size=f64"
        ))
        .clean();
    let joined =
        place.tape("join fund myfills 1m --by symbol --right-columns close --csv --columns size").clean();
    let expected = "time,size,close,time_right\n2024-01-01T00:01:30Z,1,1.8,2024-01-01T00:01:00Z\n\
        2024-01-01T00:01:30Z,2,,\n2024-01-01T00:04:05Z,3,1.8,2024-01-01T00:04:00Z\n";
    assert_eq!(joined, expected);
    assert!(place.tape("join fund myfills 1m --by nope").failed(2).contains("nope"));
}
