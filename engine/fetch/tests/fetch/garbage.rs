//! Replies that are spoilt at random: none of them brings the process down, and none of them is taken outside its question.

use std::collections::HashMap;

use tapestore::Frame;
use tapestore::time::{DAY_NS, MINUTE_NS};
use tapestore_fetch::page::check;
use tapestore_fetch::sources::{Settings, source};
use tapestore_fetch::wire::Reply;
use tapestore_fetch::{Ask, Step};

use crate::exchange::START;

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

const BINANCE: &str = r#"[[1767225600000,"1.5","2","1","1.75","10",1767225659999,"15",3,"5","7","0"],
    [1767225660000,"1.5","2","1","1.75","10",1767225719999,"15",3,"5","7","0"]]"#;
const TRADES: &str = r#"[{"a":7,"p":"1.5","q":"2","f":1,"l":2,"T":1767225600001,"m":true,"M":true},
    {"a":8,"p":"1.5","q":"2","f":1,"l":2,"T":1767225600002,"m":false,"M":true}]"#;
const OKX: &str = r#"{"code":"0","msg":"","data":[["1767225660000","1","2","0.5","1","7","8","9","1"],
    ["1767225600000","1","2","0.5","1","7","8","9","1"]]}"#;
const YAHOO: &str = r#"{"chart":{"result":[{"meta":{"symbol":"X","gmtoffset":28800,"exchangeTimezoneName":"A/B",
    "dataGranularity":"1d"},"timestamp":[1767231000,1767317400],"events":{"dividends":{"1":{"amount":1,"date":1767231000}},
    "splits":{"1":{"date":1767231000,"numerator":2,"denominator":1}}},"indicators":{"quote":[{"open":[1,2],"high":[1,2],
    "low":[1,2],"close":[1,null],"volume":[1,2]}],"adjclose":[{"adjclose":[1,2]}]}}],"error":null}}"#;

/// What is put in the place of something: what breaks numbers, dates and brackets.
const PIECES: [&str; 14] = [
    "",
    "null",
    "-",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "NaN",
    "\"",
    "[",
    "]",
    "{}",
    "€",
    "\u{0}",
    "0",
];

fn spoilt(text: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(3) {
        let from = random.below(bytes.len() + 1);
        let to = (from + random.below(14)).min(bytes.len());
        match random.below(8) {
            // Another digit: it stays JSON, and says something else.
            4.. => {
                let digit = bytes[from..].iter().position(u8::is_ascii_digit);
                if let Some(at) = digit {
                    bytes[from + at] = b'0' + random.below(10) as u8;
                }
            }
            0 => bytes.truncate(from),
            1 if from < bytes.len() => bytes[from] = random.below(256) as u8,
            2 => {
                // A whole number or text, from one mark to the next.
                let mark = |byte: &u8| b",[]{}:\"".contains(byte);
                let end = bytes[from..].iter().position(mark).map_or(bytes.len(), |at| from + at);
                bytes.splice(from..end, PIECES[random.below(PIECES.len())].bytes());
            }
            _ => {
                bytes.splice(from..to, PIECES[random.below(PIECES.len())].bytes());
            }
        }
    }
    bytes
}

#[test]
fn spoilt_replies_are_refused_or_harmless() {
    let mut random = Random(7);
    let (mut taken, mut refused) = (0, 0);
    for (name, frame, span, text) in [
        ("binance", "1m", 10 * MINUTE_NS, BINANCE),
        ("binance-cm", "1m", 10 * MINUTE_NS, BINANCE),
        ("binance", "trades", 10 * MINUTE_NS, TRADES),
        ("okx", "1m", 10 * MINUTE_NS, OKX),
        ("yahoo", "1d", 10 * DAY_NS, YAHOO),
    ] {
        let source = source(name, &Settings::default()).unwrap();
        let ask = Ask {
            symbol: "X".into(),
            frame: Frame::parse(frame).unwrap(),
            range: START..START + span,
            after_id: None,
            before_id: None,
            known_files: HashMap::new(),
            recheck: false,
            now_ns: START + 100 * DAY_NS,
        };
        for turn in 0..4000 {
            let body = if turn == 0 { text.as_bytes().to_vec() } else { spoilt(text, &mut random) };
            let reply = Reply { status: 200, body, received_ns: ask.now_ns, ..Reply::default() };
            let _ = source.verdict(&reply);
            let page = match source.step(&ask, std::slice::from_ref(&reply)) {
                Ok(Step::Done(mut page)) => check(&ask, &mut page).map(|()| page),
                Ok(Step::Send(request)) => panic!("{request:?}"),
                Err(refusal) => Err(refusal),
            };
            match page {
                Ok(page) => {
                    taken += 1;
                    assert!(page.rows.time.iter().all(|time| ask.range.contains(time)), "{page:?}");
                    assert!(page.rows.time.is_sorted() || ask.timeframe().is_none());
                }
                Err(refusal) => {
                    refused += 1;
                    assert!(turn > 0, "{name}: the good reply: {refusal:?}");
                }
            }
        }
    }
    assert!(taken > 1000 && refused > 5000, "{taken} taken, {refused} refused: the damage is of use");
}
