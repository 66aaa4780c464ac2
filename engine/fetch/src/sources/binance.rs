//! Binance over REST: bars and aggregated trades, spot and futures.
//!
//! `GET /api/v3/klines` (spot), `/fapi/v1/klines` (margined in USD), `/dapi/v1/klines` (margined in coins): arrays of
//! twelve, oldest first from `startTime`, at most `limit`. So one request skips what lies before a listing. Times in
//! milliseconds (microseconds are told apart by their size), decimals as strings. `…/aggTrades`: objects, by `fromId` or
//! by `startTime`.
//! From binance-spot-api-docs of 2026-07-21; weights of futures as ccxt 4.5.90 has them.

use std::sync::Arc;

use simd_json::prelude::*;
use simd_json::{Node, StaticNode};
use tapestore::number::parse_f64;
use tapestore::schema::{SchemaBuilder, bars_with};
use tapestore::{ColumnType, ColumnValues, Frame, Schema, SeriesKey, Strings, Timeframe, Values};
use tapestore_catalog::Kind;

use super::Settings;
use crate::error::{Error, Result};
use crate::json::with_nodes;
use crate::source::{
    Ask, Manners, Naming, Page, Reach, Refusal, Source, Step, Table, Verdict, verdict_of_status,
};
use crate::wire::{Reply, Request, Secret};

const MS: i64 = 1_000_000;
/// From here on a time is in microseconds: milliseconds of this size are beyond the year 5000.
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;
/// Rows of a page. Futures give 1500, at twice the weight of 1000.
const PAGE_ROWS: u64 = 1000;
/// Fields of a bar.
const FIELDS: usize = 12;

/// A part of the exchange, with hosts and limits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    /// Spot.
    Spot,
    /// Futures margined in USD.
    UsdMargined,
    /// Futures margined in coins; their volume is in contracts.
    CoinMargined,
}

impl Market {
    /// The name of the source, host, path, and what symbols become.
    fn facts(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Spot => ("binance", "https://data-api.binance.vision", "/api/v3", "{symbol}.BINANCE"),
            Self::UsdMargined => {
                ("binance-um", "https://fapi.binance.com", "/fapi/v1", "{symbol}.BINANCE-UM")
            }
            Self::CoinMargined => {
                ("binance-cm", "https://dapi.binance.com", "/dapi/v1", "{symbol}.BINANCE-CM")
            }
        }
    }

    /// What a request for so many bars weighs.
    fn bars_weight(self, limit: u64) -> u32 {
        match (self, limit) {
            (Self::Spot, _) | (_, 100..500) => 2,
            (_, 0..100) => 1,
            (_, 500..=1000) => 5,
            _ => 10,
        }
    }

    fn trades_weight(self) -> u32 {
        if self == Self::Spot { 4 } else { 20 }
    }

    /// The columns of a bar after open, high, low, close and volume: name, type, and which field.
    fn more_columns(self) -> [(&'static str, ColumnType, usize); 4] {
        match self {
            Self::Spot | Self::UsdMargined => [
                ("quote_volume", ColumnType::F64, 7),
                ("trades", ColumnType::I64, 8),
                ("taker_buy_base", ColumnType::F64, 9),
                ("taker_buy_quote", ColumnType::F64, 10),
            ],
            // There `volume` counts contracts, and the seventh field is in the coin.
            Self::CoinMargined => [
                ("base_volume", ColumnType::F64, 7),
                ("trades", ColumnType::I64, 8),
                ("taker_buy_volume", ColumnType::F64, 9),
                ("taker_buy_base", ColumnType::F64, 10),
            ],
        }
    }

    /// The columns of a series of bars.
    pub(crate) fn bars_schema(self) -> Schema {
        if self != Self::CoinMargined {
            let names = self.more_columns().map(|column| column.0);
            return bars_with(&names).expect("these are columns of bars");
        }
        let mut schema = bars_with(&[]).expect("no column is asked for");
        let more =
            self.more_columns().into_iter().fold(SchemaBuilder::unique(), |builder, (name, kind, _)| {
                builder.nullable(name, kind).describe(match name {
                    "base_volume" => "traded volume in the coin",
                    "trades" => "number of trades",
                    "taker_buy_volume" => "contracts bought by takers",
                    _ => "volume bought by takers, in the coin",
                })
            });
        let more = more.build().expect("a valid schema");
        let next = schema.columns.len() as u16;
        schema.columns.extend(more.columns.into_iter().map(|mut column| {
            column.id += next;
            column
        }));
        schema
    }
}

/// A market of Binance.
#[derive(Debug)]
pub struct Binance {
    market: Market,
    url: String,
    naming: Naming,
    secrets: Vec<Secret>,
    manners: Manners,
}

impl Binance {
    /// Sets up a market.
    ///
    /// # Errors
    /// [`Error::Usage`] if a setting makes no sense.
    pub fn make(market: Market, settings: &Settings) -> Result<Arc<dyn Source>> {
        let (_, host, _, naming) = market.facts();
        let limit = if market == Market::Spot { 6000 } else { 2400 };
        Ok(Arc::new(Self {
            market,
            url: settings.url_or(host)?,
            naming: settings.naming_or(naming)?,
            secrets: settings.secrets.clone(),
            manners: settings.manners_or(Manners {
                weight_per_minute: limit,
                used_header: Some("x-mbx-used-weight-1m"),
                concurrency: 4,
            }),
        }))
    }

    fn request(&self, rest: &str, weight: u32) -> Step {
        let (_, _, path, _) = self.market.facts();
        let mut request = Request::get(format!("{}{path}/{rest}", self.url), weight);
        request.secrets.clone_from(&self.secrets);
        Step::Send(request)
    }

    fn ask_for_bars(&self, ask: &Ask, timeframe: Timeframe) -> Step {
        let limit = ask.slots().clamp(1, PAGE_ROWS);
        let (symbol, interval) = (escaped(&ask.symbol), interval(timeframe));
        let (start, end) = (ask.range.start / MS, (ask.range.end - 1) / MS);
        let rest = format!(
            "klines?symbol={symbol}&interval={interval}&startTime={start}&endTime={end}&limit={limit}"
        );
        self.request(&rest, self.market.bars_weight(limit))
    }

    fn bars(&self, ask: &Ask, timeframe: Timeframe, reply: &Reply) -> std::result::Result<Step, Refusal> {
        let rows = klines(self.market, timeframe, &reply.body)?;
        let limit = ask.slots().clamp(1, PAGE_ROWS);
        let mut answered = ask.range.clone();
        if rows.time.len() as u64 >= limit
            && let Some(last) = rows.time.iter().max()
        {
            answered.end = timeframe.slot_start(timeframe.slot(*last) + 1).min(ask.range.end);
        }
        let now_ns = reply.source_now_ns();
        Ok(Step::Done(Box::new(Page { rows, answered, complete: true, now_ns, ..Page::default() })))
    }

    fn ask_for_trades(&self, ask: &Ask) -> Step {
        let symbol = escaped(&ask.symbol);
        let from = match ask.after_id {
            Some(id) => format!("fromId={}", id.saturating_add(1)),
            None => format!("startTime={}", ask.range.start.div_euclid(MS)),
        };
        self.request(
            &format!("aggTrades?symbol={symbol}&{from}&limit={PAGE_ROWS}"),
            self.market.trades_weight(),
        )
    }
}

/// Bars of a JSON array of arrays.
fn klines(market: Market, timeframe: Timeframe, body: &[u8]) -> std::result::Result<Table, Refusal> {
    let broken = |what: String| Refusal::Broken(what);
    with_nodes(body, |nodes| {
        let Some(Node::Array { len, .. }) = nodes.first() else {
            return Err(broken("no array of bars".into()));
        };
        let mut columns = Columns::new(market, *len);
        let mut at = 1;
        for row in 0..*len {
            let fields = match nodes.get(at) {
                Some(Node::Array { len, .. }) if *len >= FIELDS - 1 => nodes.get(at + 1..=at + *len),
                _ => None,
            };
            let fields = fields.ok_or_else(|| broken(format!("row {row} is no bar")))?;
            columns.push(timeframe, |field| match fields.get(field) {
                Some(Node::String(text)) => Field::Text(text),
                Some(Node::Static(StaticNode::I64(number))) => Field::Integer(*number),
                Some(Node::Static(StaticNode::U64(number))) => Field::Integer(*number as i64),
                Some(Node::Static(StaticNode::F64(number))) => Field::Number(*number),
                _ => Field::Missing,
            })?;
            at += 1 + fields.len();
        }
        Ok(columns.table())
    })
}

/// A field of a bar, as JSON or CSV has it.
pub(crate) enum Field<'a> {
    Text(&'a str),
    Integer(i64),
    Number(f64),
    Missing,
}

impl Field<'_> {
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => parse_f64(text.as_bytes()).filter(|number| number.is_finite()),
            Self::Integer(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            Self::Missing => None,
        }
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Integer(number) => Some(*number),
            Self::Number(_) | Self::Missing => None,
        }
    }
}

/// Bars, being collected.
pub(crate) struct Columns {
    market: Market,
    time: Vec<i64>,
    prices: [Vec<f64>; 5],
    more: [Vec<f64>; 3],
    trades: Vec<i64>,
}

impl Columns {
    pub(crate) fn new(market: Market, rows: usize) -> Self {
        let column = || Vec::with_capacity(rows);
        Self {
            market,
            time: Vec::with_capacity(rows),
            prices: [column(), column(), column(), column(), column()],
            more: [column(), column(), column()],
            trades: Vec::with_capacity(rows),
        }
    }

    pub(crate) fn push<'f>(
        &mut self,
        timeframe: Timeframe,
        field: impl Fn(usize) -> Field<'f>,
    ) -> std::result::Result<(), Refusal> {
        let row = self.time.len();
        let bad = |what: &str| Refusal::Broken(format!("row {row} has no {what}"));
        let (open, close) = (field(0).integer(), field(6).integer());
        let (open, close) = (open.ok_or_else(|| bad("open time"))?, close.ok_or_else(|| bad("close time"))?);
        let (time, unit) = nanoseconds(open).ok_or_else(|| bad("open time that can be"))?;
        // The last instant of the bar, in the unit of its times: so the interval is told.
        let next = timeframe.slot_start(timeframe.slot(time) + 1);
        let told = close.checked_mul(unit).and_then(|close| close.checked_add(unit));
        if told != Some(next) {
            return Err(Refusal::Other(format!("row {row} is no bar of {timeframe}: it closes at {close}")));
        }
        for (place, column) in self.prices.iter_mut().enumerate() {
            column.push(field(place + 1).number().ok_or_else(|| bad("price or volume"))?);
        }
        for (column, place) in self.more.iter_mut().zip([7, 9, 10]) {
            column.push(field(place).number().ok_or_else(|| bad("volume"))?);
        }
        self.trades.push(field(8).integer().ok_or_else(|| bad("count of trades"))?);
        self.time.push(time);
        Ok(())
    }

    pub(crate) fn table(self) -> Table {
        let names = ["open", "high", "low", "close", "volume"];
        let mut columns: Vec<(&'static str, ColumnValues)> = names
            .into_iter()
            .zip(self.prices)
            .map(|(name, values)| (name, Values::F64(values).into()))
            .collect();
        let mut more = self.more.into_iter();
        let mut trades = Some(self.trades);
        for (name, kind, _) in self.market.more_columns() {
            let values = if kind == ColumnType::I64 {
                Values::I64(trades.take().unwrap_or_default())
            } else {
                Values::F64(more.next().unwrap_or_default())
            };
            columns.push((name, values.into()));
        }
        Table { time: self.time, columns }
    }
}

/// A time in milliseconds or microseconds, told by its size, in nanoseconds; and its unit.
pub(crate) fn nanoseconds(time: i64) -> Option<(i64, i64)> {
    let unit = if time.unsigned_abs() >= MICROSECONDS_FROM { 1000 } else { MS };
    Some((time.checked_mul(unit)?, unit))
}

/// Trades, being collected.
#[derive(Default)]
pub(crate) struct Trades {
    pub(crate) time: Vec<i64>,
    pub(crate) id: Vec<i64>,
    price: Vec<f64>,
    quantity: Vec<f64>,
    side: Strings,
}

impl Trades {
    pub(crate) fn push(&mut self, time: i64, id: i64, price: f64, quantity: f64, buyer_is_maker: bool) {
        self.time.push(time);
        self.id.push(id);
        self.price.push(price);
        self.quantity.push(quantity);
        self.side.push(if buyer_is_maker { "sell" } else { "buy" });
    }

    pub(crate) fn table(self) -> Table {
        let columns: Vec<(&'static str, ColumnValues)> = vec![
            ("id", Values::I64(self.id).into()),
            ("price", Values::F64(self.price).into()),
            ("quantity", Values::F64(self.quantity).into()),
            ("side", Values::Str(self.side).into()),
        ];
        Table { time: self.time, columns }
    }
}

fn trades(ask: &Ask, reply: &Reply) -> std::result::Result<Step, Refusal> {
    let broken = |what: &str| Refusal::Broken(what.to_owned());
    let mut body = reply.body.clone();
    let value = simd_json::to_borrowed_value(&mut body)
        .map_err(|error| Refusal::Broken(format!("no JSON: {error}")))?;
    let list = value.as_array().ok_or_else(|| broken("no array of trades"))?;
    let mut out = Trades::default();
    let mut beyond = false;
    for item in list {
        let number = |name: &str| parse_f64(item.get_str(name)?.as_bytes()).filter(|value| value.is_finite());
        let row = || {
            let time = nanoseconds(item.get_i64("T")?)?.0;
            Some((time, item.get_i64("a")?, number("p")?, number("q")?, item.get_bool("m")?))
        };
        let (time, id, price, quantity, maker) = row().ok_or_else(|| broken("an item is no trade"))?;
        if time >= ask.range.end || ask.before_id.is_some_and(|before| id >= before) {
            beyond = true;
        } else if ask.after_id.is_some_and(|after| id <= after) {
            return Err(Refusal::Other(format!("trade {id} was not asked for")));
        } else {
            out.push(time, id, price, quantity, maker);
        }
    }
    let mut answered = ask.range.clone();
    if !beyond
        && list.len() as u64 >= PAGE_ROWS
        && let Some(last) = out.time.iter().max()
    {
        // The next page goes on by number; its range begins with the time that may have more trades.
        answered.end = (*last).max(ask.range.start + 1);
    }
    let now_ns = reply.source_now_ns();
    let rows = out.table();
    Ok(Step::Done(Box::new(Page { rows, answered, complete: true, now_ns, ..Page::default() })))
}

/// The name of an interval; `None` if there is none.
fn interval_of(timeframe: Timeframe) -> Option<&'static str> {
    match timeframe {
        Timeframe::M2 | Timeframe::M10 => None,
        Timeframe::Mo1 => Some("1M"),
        other => Some(other.name()),
    }
}

fn interval(timeframe: Timeframe) -> &'static str {
    interval_of(timeframe).unwrap_or("1m")
}

/// A text as part of a URL.
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl Source for Binance {
    fn name(&self) -> &str {
        self.market.facts().0
    }

    fn manners(&self) -> Manners {
        self.manners
    }

    fn reach(&self, frame: &Frame) -> Result<Reach> {
        let has = |timeframe: Timeframe| {
            let seconds = timeframe == Timeframe::S1 && self.market != Market::Spot;
            interval_of(timeframe).is_some() && !seconds
        };
        let weight = match frame {
            Frame::Bars(timeframe) if has(*timeframe) => self.market.bars_weight(PAGE_ROWS),
            Frame::Trades => self.market.trades_weight(),
            other => {
                let intervals: Vec<&str> =
                    Timeframe::ALL.into_iter().filter(|frame| has(*frame)).map(Timeframe::name).collect();
                let (name, known) = (self.name(), intervals.join(" "));
                return Err(Error::Usage(format!("{name} has no {other}; it has {known} and trades")));
            }
        };
        Ok(Reach { page_slots: PAGE_ROWS, page_requests: 1, page_weight: weight.into(), history_ns: None })
    }

    fn key(&self, symbol: &str, frame: &Frame) -> Result<SeriesKey> {
        self.naming.key(symbol, frame)
    }

    fn schema(&self, frame: &Frame) -> Schema {
        if *frame == Frame::Trades { Kind::Trades.schema() } else { self.market.bars_schema() }
    }

    fn step(&self, ask: &Ask, replies: &[Reply]) -> std::result::Result<Step, Refusal> {
        match (ask.timeframe(), replies) {
            (Some(timeframe), []) => Ok(self.ask_for_bars(ask, timeframe)),
            (Some(timeframe), [reply, ..]) => self.bars(ask, timeframe, reply),
            (None, []) => Ok(self.ask_for_trades(ask)),
            (None, [reply, ..]) => trades(ask, reply),
        }
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let verdict = verdict_of_status(reply);
        let Verdict::Final(_) = verdict else { return verdict };
        let mut body = reply.body.clone();
        let told = simd_json::to_borrowed_value(&mut body).ok();
        let told = told.as_ref().and_then(|value| Some((value.get_i64("code")?, value.get_str("msg")?)));
        match told {
            // Unknown error, disconnected, too many requests, time-out: these pass.
            Some((code @ (-1000 | -1001 | -1003 | -1007), text)) => Verdict::Passing {
                reason: format!("{code}: {text}"),
                after_s: reply.retry_after(),
                crowded: code == -1003,
            },
            Some((code, text)) => Verdict::Final(format!("{code}: {text}")),
            None if reply.status == 403 => {
                Verdict::Final("status 403: its firewall or your country keeps you out".to_owned())
            }
            None => verdict,
        }
    }
}
