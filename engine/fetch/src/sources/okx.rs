//! OKX: bars of spot, swaps and futures.
//!
//! `GET /api/v5/market/candles` (the last 1,440 bars, 300 a page) and `/history-candles` (100 a page): newest first, older
//! than `after`. Rows are arrays of strings: time in milliseconds, open, high, low, close, volume (contracts, for
//! derivatives), volume in the coin, volume in the quote currency, and whether the bar is complete. From six hours on
//! the intervals with `utc` are taken; the plain ones begin at midnight in Hong Kong. Facts as ccxt 4.5.90 has them.

use std::sync::Arc;

use simd_json::prelude::*;
use tapestore::schema::bars_with;
use tapestore::{Frame, Schema, SeriesKey, Timeframe, Values};

use super::Settings;
use super::binance::escaped;
use crate::error::{Error, Result};
use crate::source::{
    Ask, Manners, Naming, Page, Reach, Refusal, Source, Step, Table, Verdict, verdict_of_status,
};
use crate::wire::{Reply, Request, Secret};

const MS: i64 = 1_000_000;
/// Bars that the recent endpoint has, less some that pass while it is asked.
const RECENT_BARS: i64 = 1400;
const RECENT_PAGE: u64 = 300;
const HISTORY_PAGE: u64 = 100;

/// OKX.
#[derive(Debug)]
pub struct Okx {
    url: String,
    naming: Naming,
    secrets: Vec<Secret>,
    manners: Manners,
}

impl Okx {
    /// Sets it up.
    ///
    /// # Errors
    /// [`Error::Usage`] if a setting makes no sense.
    pub fn make(settings: &Settings) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Self {
            url: settings.url_or("https://www.okx.com")?,
            naming: settings.naming_or("{symbol}.OKX")?,
            secrets: settings.secrets.clone(),
            manners: settings.manners_or(Manners {
                // 20 in two seconds: a burst of 15, and what comes after it in that time, stay within.
                weight_per_minute: 150,
                used_header: None,
                concurrency: 2,
            }),
        }))
    }
}

fn interval(timeframe: Timeframe) -> Option<&'static str> {
    Some(match timeframe {
        Timeframe::S1 => "1s",
        Timeframe::M1 => "1m",
        Timeframe::M3 => "3m",
        Timeframe::M5 => "5m",
        Timeframe::M15 => "15m",
        Timeframe::M30 => "30m",
        Timeframe::H1 => "1H",
        Timeframe::H2 => "2H",
        Timeframe::H4 => "4H",
        Timeframe::H6 => "6Hutc",
        Timeframe::H12 => "12Hutc",
        Timeframe::D1 => "1Dutc",
        Timeframe::W1 => "1Wutc",
        Timeframe::Mo1 => "1Mutc",
        Timeframe::M2 | Timeframe::M10 | Timeframe::H8 => return None,
    })
}

/// Whether an instrument is a derivative: `BTC-USDT-SWAP`, `BTC-USDT-260327`, options.
fn is_contract(symbol: &str) -> bool {
    symbol.matches('-').count() >= 2
}

/// The code of a reply, without reading all of it: it comes first.
fn code(reply: &Reply) -> Option<String> {
    let head = String::from_utf8_lossy(&reply.body[..reply.body.len().min(300)]).into_owned();
    let rest = head.split_once("\"code\"")?.1.trim_start().strip_prefix(':')?.trim_start();
    let text = rest.strip_prefix('"')?;
    Some(text.split_once('"')?.0.to_owned())
}

fn page(ask: &Ask, timeframe: Timeframe, reply: &Reply) -> std::result::Result<Step, Refusal> {
    let broken = |what: &str| Refusal::Broken(what.to_owned());
    let mut body = reply.body.clone();
    let value = simd_json::to_borrowed_value(&mut body)
        .map_err(|error| Refusal::Broken(format!("no JSON: {error}")))?;
    let list = value.get_array("data").ok_or_else(|| broken("no list of bars"))?;
    let mut time = Vec::with_capacity(list.len());
    let mut columns: [Vec<f64>; 6] = std::array::from_fn(|_| Vec::with_capacity(list.len()));
    let volume = if is_contract(&ask.symbol) { 6 } else { 5 };
    let mut answered = ask.range.clone();
    let mut now_ns = reply.source_now_ns();
    for item in list {
        let field = |place: usize| item.get_idx(place).and_then(|field| field.as_str());
        let number = |place: usize| field(place)?.parse::<f64>().ok().filter(|value| value.is_finite());
        let at = field(0).and_then(|text| text.parse::<i64>().ok()).and_then(|ms| ms.checked_mul(MS));
        let at = at.ok_or_else(|| broken("a bar has no time"))?;
        if at >= ask.range.end {
            return Err(Refusal::Other(format!("a bar of time {at} is not older than what was asked for")));
        }
        if field(8) == Some("0") {
            // Not complete, whatever the clock says: for us it has not closed.
            now_ns = now_ns.min(timeframe.slot_start(timeframe.slot(at) + 1) - 1);
        }
        if at < ask.range.start {
            continue;
        }
        let values = [number(1), number(2), number(3), number(4), number(volume), number(7)];
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(value.ok_or_else(|| broken("a bar lacks a price or a volume"))?);
        }
        time.push(at);
    }
    let oldest = time.iter().min().copied();
    // Pages may be short; only an empty one, or one that reaches back far enough, is the end.
    if let Some(oldest) = oldest
        && time.len() == list.len()
    {
        answered.start = oldest.max(ask.range.start);
    }
    let names = ["open", "high", "low", "close", "volume", "quote_volume"];
    let columns =
        names.into_iter().zip(columns).map(|(name, values)| (name, Values::F64(values).into())).collect();
    let rows = Table { time, columns };
    Ok(Step::Done(Box::new(Page { rows, answered, complete: true, now_ns, ..Page::default() })))
}

impl Source for Okx {
    fn name(&self) -> &'static str {
        "okx"
    }

    fn manners(&self) -> Manners {
        self.manners
    }

    fn reach(&self, frame: &Frame) -> Result<Reach> {
        if frame.timeframe().and_then(interval).is_none() {
            let known: Vec<&str> = Timeframe::ALL
                .into_iter()
                .filter(|frame| interval(*frame).is_some())
                .map(Timeframe::name)
                .collect();
            return Err(Error::Usage(format!("okx has no {frame}; it has {}", known.join(" "))));
        }
        Ok(Reach { page_slots: HISTORY_PAGE, page_requests: 1, page_weight: 1, history_ns: None })
    }

    fn key(&self, symbol: &str, frame: &Frame) -> Result<SeriesKey> {
        self.naming.key(symbol, frame)
    }

    fn schema(&self, _: &Frame) -> Schema {
        bars_with(&["quote_volume"]).expect("a column of bars")
    }

    fn step(&self, ask: &Ask, replies: &[Reply]) -> std::result::Result<Step, Refusal> {
        let Some(timeframe) = ask.timeframe() else {
            return Err(Refusal::Other("only bars are asked for".to_owned()));
        };
        if let Some(reply) = replies.first() {
            return page(ask, timeframe, reply);
        }
        let recent = timeframe.slot_start(timeframe.slot(ask.now_ns) - RECENT_BARS);
        let (path, limit) = if ask.range.start >= recent {
            ("candles", RECENT_PAGE)
        } else {
            ("history-candles", HISTORY_PAGE)
        };
        let (symbol, bar) = (escaped(&ask.symbol), interval(timeframe).unwrap_or("1m"));
        let after = ask.range.end / MS;
        let url = format!(
            "{}/api/v5/market/{path}?instId={symbol}&bar={bar}&after={after}&limit={limit}",
            self.url
        );
        let mut request = Request::get(url, 1);
        request.secrets.clone_from(&self.secrets);
        Ok(Step::Send(request))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let verdict = verdict_of_status(reply);
        let told = match (&verdict, code(reply)) {
            (Verdict::Passing { .. }, _) | (_, None) => return verdict,
            (_, Some(code)) => code,
        };
        let passing =
            |crowded| Verdict::Passing { reason: reply.excerpt(), after_s: reply.retry_after(), crowded };
        match told.as_str() {
            "0" => verdict,
            "50011" | "50061" => passing(true),
            // Unavailable, timed out, busy.
            "50001" | "50004" | "50013" | "50026" => passing(false),
            _ => Verdict::Final(reply.excerpt()),
        }
    }
}
