//! An exchange that has a bar for every minute since a listing, but for holes, and answers as Binance does, unless a trick
//! is up its sleeve. Its bars break no rule of quality by themselves.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tapestore::time::{MINUTE_NS, SECOND_NS};
use tapestore_fetch::clock::Clock;
use tapestore_fetch::wire::{Carrier, Reply, Request, Transport, WireError};

/// 2026-01-01, midnight: the first minute of all.
pub(crate) const START: i64 = 1_767_225_600_000_000_000;

/// What is traded in every bar, half of it, nearly, bought by takers.
const VOLUME: f64 = 12.125;

/// What it does instead of answering as asked, once each.
#[derive(Clone, Debug)]
pub(crate) enum Trick {
    /// This status, headers and body.
    Status(u16, Vec<(&'static str, String)>, &'static str),
    /// Nothing comes.
    TimeOut,
    /// The body ends in the middle.
    Cut,
    /// The newest comes first.
    Reversed,
    /// The second bar comes twice, the second time with another volume.
    Conflict,
    /// Everything comes twice.
    Twice,
    /// Bars of another interval.
    OtherInterval,
    /// The bars of an hour later.
    Later,
    /// Nothing, as if there were nothing.
    Empty,
    /// A volume is null.
    Null,
    /// Every other time is in microseconds.
    Microseconds,
    /// The clock of the exchange is behind by this many seconds.
    Behind(i64),
    /// A page that is no JSON.
    Html,
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) symbol: String,
    pub(crate) interval: String,
    /// Minutes after [`START`] that were asked for.
    pub(crate) minutes: Range<i64>,
    pub(crate) limit: i64,
    pub(crate) weight: u32,
    /// When, by the clock.
    pub(crate) at: Duration,
    pub(crate) status: u16,
}

#[derive(Debug)]
pub(crate) struct Exchange {
    clock: Arc<dyn Clock>,
    /// Tricks, by symbol; `*` for any.
    tricks: Mutex<HashMap<String, VecDeque<Trick>>>,
    /// Minutes without a bar, for any symbol.
    pub(crate) holes: Mutex<HashSet<i64>>,
    /// Minutes whose close was changed later.
    pub(crate) revised: Mutex<HashSet<i64>>,
    /// First minute of a symbol, if it is not the first of all.
    pub(crate) listed: Mutex<HashMap<String, i64>>,
    /// Numbers of trades that there are; one a second.
    pub(crate) trades: Mutex<Vec<i64>>,
    pub(crate) log: Mutex<Vec<Sent>>,
    /// How long an answer takes.
    pub(crate) takes: Duration,
}

impl Exchange {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            tricks: Mutex::default(),
            holes: Mutex::default(),
            revised: Mutex::default(),
            listed: Mutex::default(),
            trades: Mutex::default(),
            log: Mutex::default(),
            takes: Duration::ZERO,
        }
    }

    pub(crate) fn play(&self, symbol: &str, tricks: impl IntoIterator<Item = Trick>) {
        self.tricks.lock().entry(symbol.to_owned()).or_default().extend(tricks);
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.log.lock().clone()
    }

    /// Forgets what was sent.
    pub(crate) fn forget(&self) {
        self.log.lock().clear();
    }

    fn trick(&self, symbol: &str) -> Option<Trick> {
        let mut tricks = self.tricks.lock();
        let own = tricks.get_mut(symbol).and_then(VecDeque::pop_front);
        own.or_else(|| tricks.get_mut("*").and_then(VecDeque::pop_front))
    }

    /// The answer to a path with a query: status, headers, body; `None`: nothing comes.
    pub(crate) fn answer(&self, path: &str, weight: u32) -> Option<Reply> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
        let symbol = (*query.get("symbol").unwrap_or(&"")).to_owned();
        let minute = |ms: i64| (ms - START / 1_000_000).div_euclid(60_000);
        let minutes = minute(number("startTime").unwrap_or(0))..minute(number("endTime").unwrap_or(0)) + 1;
        let limit = number("limit").unwrap_or(500);
        let trick = self.trick(&symbol);
        let date = self.clock.now_ns() - if let Some(Trick::Behind(s)) = trick { s * SECOND_NS } else { 0 };
        let mut reply = Reply { status: 200, received_ns: self.clock.now_ns(), ..Reply::default() };
        reply.headers.push(("date".into(), http_date(date)));
        let interval = (*query.get("interval").unwrap_or(&"")).to_owned();
        let bars = |minutes: Range<i64>| self.bars(&symbol, &interval, minutes, limit);
        let text = match (path.rsplit('/').next().unwrap_or(""), &trick) {
            (_, _) if symbol == "NONE" => {
                reply.status = 400;
                r#"{"code":-1121,"msg":"Invalid symbol."}"#.to_owned()
            }
            (_, Some(Trick::Status(status, headers, body))) => {
                reply.status = *status;
                reply.headers.extend(headers.iter().map(|(name, value)| ((*name).into(), value.clone())));
                (*body).to_owned()
            }
            (_, Some(Trick::Html)) => "<html>Will be right back...</html>".to_owned(),
            (_, Some(Trick::Empty)) => "[]".to_owned(),
            ("aggTrades", _) => self.trades_json(number("fromId"), number("startTime"), limit),
            (_, Some(Trick::Later)) => json(&bars(minutes.start + 60..minutes.end + 60)),
            (_, Some(Trick::OtherInterval)) => json(&bars(minutes.clone())).replace("59999,", "299999,"),
            (_, Some(Trick::Null)) => json(&bars(minutes.clone())).replacen("\"12.125\"", "null", 1),
            (_, Some(trick)) => {
                let mut rows = bars(minutes.clone());
                match trick {
                    Trick::Reversed => rows.reverse(),
                    Trick::Twice => rows = rows.iter().flat_map(|row| [row.clone(), row.clone()]).collect(),
                    Trick::Conflict => rows.insert(2, rows[1].replacen("\"12.125\"", "\"12.25\"", 1)),
                    Trick::Microseconds => {
                        for row in rows.iter_mut().step_by(2) {
                            let close = row.split(',').nth(6).expect("a close time").to_owned();
                            *row = row.replacen("0000,", "0000000,", 1);
                            *row = row.replacen(&close, &format!("{close}999"), 1);
                        }
                    }
                    _ => {}
                }
                json(&rows)
            }
            (_, None) => json(&bars(minutes.clone())),
        };
        reply.body = text.into_bytes();
        if matches!(trick, Some(Trick::Cut)) {
            reply.body.truncate(reply.body.len() / 2);
        }
        let status = if matches!(trick, Some(Trick::TimeOut)) { 0 } else { reply.status };
        let at = self.clock.elapsed();
        self.log.lock().push(Sent { symbol, interval, minutes, limit, weight, at, status });
        (status != 0).then_some(reply)
    }

    fn bars(&self, symbol: &str, interval: &str, minutes: Range<i64>, limit: i64) -> Vec<String> {
        let listed = self.listed.lock().get(symbol).copied().unwrap_or(0);
        let now = (self.clock.now_ns() - START).div_euclid(MINUTE_NS);
        let (holes, revised) = (self.holes.lock(), self.revised.lock());
        let step = tapestore::Timeframe::parse(interval).and_then(tapestore::Timeframe::step_ns);
        let step = step.expect("an interval that the exchange has") / MINUTE_NS;
        let there = (minutes.start.max(listed)..minutes.end.min(now + 1))
            .filter(|at| at % step == 0 && !holes.contains(at));
        let row = |at: i64| {
            let open = START / 1_000_000 + at * 60_000;
            // Prices are the number of the minute, about, and above zero in the first as well.
            let low = if at == 0 { 0.125 } else { at as f64 };
            let close = if revised.contains(&at) { low * 2.0 } else { low };
            let (first, high, quote) = (low + 0.25, low * 2.0 + 0.75, low * VOLUME);
            let last = open + step * 60_000 - 1;
            format!(
                r#"[{open},"{first}","{high}","{low}","{close}","{VOLUME}",{last},"{quote}",{at},"6","{taken}","0"]"#,
                taken = low * 6.0
            )
        };
        there.take(limit as usize).map(row).collect()
    }

    fn trades_json(&self, from: Option<i64>, start_ms: Option<i64>, limit: i64) -> String {
        let time = |id: i64| START / 1_000_000 + id * 1000;
        let now = self.clock.now_ns() / 1_000_000;
        let trades = self.trades.lock();
        let wanted = |id: &&i64| match (from, start_ms) {
            (Some(from), _) => **id >= from,
            (_, Some(start)) => time(**id) >= start,
            _ => true,
        };
        let there = trades.iter().filter(wanted).filter(|id| time(**id) <= now).take(limit as usize);
        let row = |id: &i64| {
            let (at, maker) = (time(*id), id % 2 == 0);
            format!(r#"{{"a":{id},"p":"2.5","q":"{id}","f":{id},"l":{id},"T":{at},"m":{maker},"M":true}}"#)
        };
        json(&there.map(row).collect::<Vec<_>>())
    }
}

fn json(rows: &[String]) -> String {
    format!("[{}]", rows.join(","))
}

/// As the `Date` of HTTP has it. Only days of January 2026 and later in that year.
pub(crate) fn http_date(ns: i64) -> String {
    let seconds = (ns - START).div_euclid(SECOND_NS);
    let (mut day, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let months = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut month = 0;
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("Thu, {:02} {} 2026 {hour:02}:{minute:02}:{second:02} GMT", day + 1, names[month])
}

impl Transport for Exchange {
    fn send(&self, request: &Request) -> Result<Reply, WireError> {
        self.clock.sleep(self.takes, &tapestore_fetch::clock::Stop::default());
        let Carrier::Get(url) = &request.carrier else { panic!("{request:?}") };
        let path = &url[url.find("/api").or(url.find("/fapi")).or(url.find("/dapi")).expect("a path")..];
        self.answer(path, request.weight)
            .ok_or(WireError { reason: "timeout: receive response".into(), passes: true })
    }
}
