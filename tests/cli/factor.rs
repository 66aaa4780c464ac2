//! `tape factor`: what it lists, shows and keeps, and what it says of wrong calls.

use super::Place;

impl Place {
    /// A store with bars of A.X that walk up and down, a minute apart, from 2024-01-01 00:00 on.
    fn with_minutes(count: u64) -> Self {
        let place = Self::new();
        place.import_minutes(0, count, 0);
        place
    }

    fn import_minutes(&self, from: u64, to: u64, shift: u64) {
        let row = |minute: u64| {
            let price = 100 + minute * 7 % 23 + minute % 5 + shift;
            let (time, volume) = (1_704_067_200 + minute * 60, 10 + minute % 9);
            format!("{time},{price},{},{},{},{volume}", price + 2, price - 1, price + minute % 2)
        };
        let rows: Vec<String> = (from..to).map(row).collect();
        let file =
            self.write("minutes.csv", format!("time,open,high,low,close,volume\n{}\n", rows.join("\n")));
        self.tape(&format!("import {file} --instrument A.X --frame 1m")).clean();
    }
}

#[test]
fn all_factors_are_listed_with_what_they_depend_on() {
    let place = Place::new();
    let table = place.tape("factor list").clean();
    assert!(table.ends_with("72 factors\n"), "{table}");
    let rsi = place.tape("factor list rsi14 --json").clean();
    let expected = "{\"name\": \"RSI14\", \"warm_up\": 14, \"recursive\": true, \"depends_on\": \"all before, fading\", \
        \"parameters\": \"period 14\", ";
    assert!(rsi.starts_with(expected), "{rsi}");
    assert_eq!(place.tape("factor list --csv").clean().lines().count(), 73);
    assert_eq!(place.tape("factor list").clean().lines().count(), 74);
}

#[test]
fn factors_are_shown_for_a_range_but_computed_from_the_beginning() {
    let place = Place::with_minutes(100);
    let shown = place
        .tape("factor compute A.X --factors sma20,BOP,OBV --csv --time s --from 2024-01-01T00:18")
        .clean();
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some("time,SMA20,BOP,OBV"));
    let before = lines.next().expect("a row");
    assert!(before.starts_with("1704068280,,0,"), "no mean of 20 bars yet, but a running total: {before}");
    let first = lines.next().expect("a row");
    // The mean of 100 + m * 7 % 23 + m % 5 + m % 2 over the first twenty minutes.
    let mean = (0..20).map(|m| 100 + m * 7 % 23 + m % 5 + m % 2).sum::<u64>() as f64 / 20.0;
    assert_eq!(first.split(',').nth(1), Some(mean.to_string().as_str()));
    let coarse = place.tape("factor compute A.X --factors MOM10 --timeframes 5m --csv").clean();
    assert_eq!(coarse.lines().count(), 21);
    let columns = place.tape("factor compute A.X --columns MACD,SAR --csv").clean();
    assert!(columns.starts_with("time,MACD,SAR\n"), "{columns}");
}

#[test]
fn kept_factors_follow_their_bars() {
    let place = Place::with_minutes(300);
    let save = "factor compute A.X --timeframes 1m,5m --save --json";
    let first = place.tape(save).clean();
    assert!(first.contains("\"frame\": \"factors/ta@1m\", \"outcome\": \"made\", \"rows\": 300"), "{first}");
    assert_eq!(place.tape(save).clean().matches("\"outcome\": \"hit\"").count(), 2);
    place.import_minutes(300, 310, 0);
    let more = place.tape(save).clean();
    assert!(
        more.contains("\"outcome\": \"updated\", \"rows\": 310, \"computed\": 10, \"written\": 10"),
        "{more}"
    );
    // The last ten minutes are unfinished in no bar of five.
    assert!(more.contains("\"rows\": 62, \"computed\": 2, \"written\": 2"), "{more}");
    place.import_minutes(200, 201, 50);
    let state = place.tape("factor cache --json").clean();
    assert_eq!(state.matches("\"state\": \"stale\"").count(), 2, "{state}");
    let repaired = place.tape(save).clean();
    assert!(repaired.contains("\"rows\": 310, \"computed\": 110"), "{repaired}");
    let kept = place.tape("show A.X factors/ta@1m --csv --columns RSI14,HT_SINE,OBV").clean();
    let shown = place.tape("factor compute A.X --csv --columns RSI14,HT_SINE,OBV").clean();
    assert_eq!(kept, shown);
    let table = place.tape("factor cache").clean();
    assert!(
        table.contains("2 kept") && table.contains("2 of 8 requests found what they asked for (25.0 %)"),
        "{table}"
    );
    assert!(table.contains("code 1; gaps break; always; all"), "{table}");
    let dropped = place.tape("factor cache --budget 0").clean();
    assert!(dropped.contains("0 kept, 0 B") && dropped.contains("dropped"), "{dropped}");
    place.tape("show A.X factors/ta@1m").failed(2);
    assert!(place.tape("verify --deep").clean().contains("clean"));
}

#[test]
fn factors_as_text_and_alpha158_are_shown_and_kept() {
    let place = Place::with_minutes(80);
    let line = ["factor", "compute", "A.X", "--csv", "--time", "s", "--from", "2024-01-01T01:19"];
    let shown =
        place.tape_with(&[&line[..], &["--expr", "up=Mean($close > Ref($close, 1), 4) * 4"]].concat(), b"");
    let close = |m: u64| 100 + m * 7 % 23 + m % 5 + m % 2;
    let rises = (76..80).filter(|m| close(*m) > close(m - 1)).count();
    assert_eq!(shown.clean(), format!("time,up\n1704071940,{rises}\n"));
    let pack = place.tape("factor compute A.X --pack alpha158 --csv --from 2024-01-01T01:19").clean();
    assert_eq!(pack.lines().next().expect("heads").split(',').count(), 159);
    assert!(!pack.lines().nth(1).expect("a row").contains(",,"), "{pack}");
    let save = ["factor", "compute", "A.X", "--save", "--name", "mine", "--expr", "m=Mean($close, 3)"];
    let saved = place.tape_with(&save, b"").clean();
    assert!(saved.starts_with("A.X factors/mine@1m: made, 80 rows"), "{saved}");
    assert!(place.tape_with(&save, b"").clean().contains(": hit"));
    let kept = place.tape("show A.X factors/mine@1m --csv --from 2024-01-01T01:19").clean();
    let mean = (close(77) + close(78) + close(79)) as f64 / 3.0;
    assert_eq!(kept, format!("time,m\n2024-01-01T01:19:00Z,{mean}\n"));
    let bad = place.tape_with(&[&line[..], &["--expr", "x=Mean($close 5)"]].concat(), b"").failed(2);
    assert!(bad.contains("at character 13 of the expression: Mean($close  «here» 5)"), "{bad}");
    assert!(place.tape("factor functions").clean().contains("Corr(x, y, n)"));
    assert_eq!(place.tape("factor functions --json").clean().lines().count(), 32);
}

#[test]
fn wrong_calls_say_what_would_be_right() {
    let place = Place::with_minutes(50);
    assert!(place.tape("factor compute A.X --factors RSI").failed(2).contains("did you mean RSI14"));
    assert!(place.tape("factor compute B.X").failed(2).contains("there is no series B.X 1m"));
    assert!(place.tape("factor compute A.X --timeframes all").failed(2).contains("--save"));
    assert!(place.tape("factor compute A.X B.X").failed(2).contains("--save"));
    assert!(place.tape("factor compute A.X --timeframes 7q").failed(2).contains("\"7q\" is no timeframe"));
    assert!(
        place.tape("factor compute A.X --timeframes 1s").failed(2).contains("cannot be made of bars of 1m")
    );
    assert!(place.tape("factor compute A.X --gaps bridge").failed(2).contains("--sessions"));
    assert!(place.tape("factor compute A.X --columns nope").failed(2).contains("\"nope\""));
    let ended = place.tape("factor compute A.X B.X --save");
    assert!(ended.err.contains("B.X") && ended.out.contains("A.X factors/ta@1m: made, 50 rows"), "{ended:?}");
    assert_eq!(ended.code, 1);
    assert_eq!(place.tape("factor cache --budget 5XB").code, 2);
}
