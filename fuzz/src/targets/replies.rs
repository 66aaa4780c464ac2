//! Replies of sources of market data.

use std::collections::HashMap;
use std::sync::Arc;

use tapestore::time::DAY_NS;
use tapestore::{Frame, Timeframe};
use tapestore_fetch::page::check;
use tapestore_fetch::source::{Manners, Naming};
use tapestore_fetch::sources::declared::{Declared, Place, Shape, Unit, share};
use tapestore_fetch::sources::{Settings, source};
use tapestore_fetch::wire::Reply;
use tapestore_fetch::{Ask, Refusal, Source, Step};

use crate::corpus::own;
use crate::{Outcome, Target};

/// Sources and frames that are asked.
const ASKED: [(&str, &str); 8] = [
    ("binance", "1m"),
    ("binance-cm", "1m"),
    ("binance", "trades"),
    ("okx", "1m"),
    ("yahoo", "1d"),
    ("yahoo", "1m"),
    ("program", "1d"),
    ("binance-dumps", "1h"),
];

/// A byte that says who answers, then what.
pub(super) const REPLY: Target = Target {
    name: "reply",
    smoke: 60_000,
    longest: 2000,
    fixed: false,
    // A tree of JSON takes some words for each of its brackets.
    bound: |length| 4 * (1 << 20) + 400 * length,
    seeds: || {
        let files = own("reply");
        assert!(!files.is_empty(), "fuzz/corpus/reply holds seeds");
        let asked = 0..ASKED.len() as u8;
        files.iter().flat_map(|file| asked.clone().map(move |who| [&[who][..], file].concat())).collect()
    },
    mend: |_| Vec::new(),
    check: reply,
};

fn program() -> Arc<dyn Source> {
    let columns = ["open", "high", "low", "close", "volume", "trades"];
    share(Declared {
        name: "program".to_owned(),
        place: Place::Process(vec!["none".to_owned()]),
        shape: Shape::Either,
        time: "time".to_owned(),
        unit: Unit::BySize,
        utc_offset_ns: 0,
        columns: columns.into_iter().map(|name| (name, name.to_owned())).collect(),
        intervals: vec![(Timeframe::D1, "1d".to_owned())],
        page_bars: 1000,
        complete: true,
        naming: Naming::new("{symbol}").expect("a name"),
        secrets: Vec::new(),
        manners: Manners { weight_per_minute: 60, used_header: None, concurrency: 1 },
    })
}

/// Refused, or rows inside the question: in order, each time once, on the grid, and closed.
fn reply(input: &[u8]) -> Outcome {
    let Some((who, body)) = input.split_first() else { return Outcome::Refused("", 0) };
    let (name, frame) = ASKED[usize::from(*who) % ASKED.len()];
    let source =
        if name == "program" { program() } else { source(name, &Settings::default()).expect("a source") };
    let start = 20_454 * DAY_NS;
    let ask = Ask {
        symbol: "X".to_owned(),
        frame: Frame::parse(frame).expect("a frame"),
        range: start..start + 10 * DAY_NS,
        after_id: None,
        before_id: None,
        known_files: HashMap::new(),
        recheck: false,
        now_ns: start + 5 * DAY_NS,
    };
    let reply = Reply { status: 200, headers: Vec::new(), body: body.to_vec(), received_ns: ask.now_ns };
    let _ = source.verdict(&reply);
    let page = match source.step(&ask, std::slice::from_ref(&reply)) {
        Ok(Step::Done(mut page)) => check(&ask, &mut page).map(|()| page),
        Ok(Step::Send(_)) => return Outcome::Accepted(0),
        Err(refusal) => Err(refusal),
    };
    match page {
        Ok(page) => {
            let times = &page.rows.time;
            assert!(times.iter().all(|time| ask.range.contains(time)), "{times:?}");
            if let Some(timeframe) = ask.timeframe() {
                assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
                let closed = |time: &i64| timeframe.slot_start(timeframe.slot(*time) + 1) <= page.now_ns;
                assert!(times.iter().all(|time| timeframe.on_grid(*time) && closed(time)), "{times:?}");
            }
            assert!(page.rows.columns.iter().all(|column| column.1.len() == times.len()));
            Outcome::Accepted(
                (times.len().min(9) * 100 + page.findings.len().min(9) * 10) as u64 + u64::from(*who % 8),
            )
        }
        Err(Refusal::Broken(text) | Refusal::Other(text)) => {
            let words = text.bytes().filter(u8::is_ascii_lowercase).take(200);
            Outcome::Refused(name, words.fold(7, |sum, byte| sum * 31 % 8191 + u64::from(byte)))
        }
    }
}
