//! Yahoo's charts: bars, dividends and splits. Best effort: it is no public interface and may turn programs away.
//!
//! `GET https://query1.finance.yahoo.com/v8/finance/chart/AAPL?period1&period2&interval&events=div,splits`: parallel
//! arrays of seconds, prices with nulls, and events. Facts from yfinance of 2026-08-13 and its issues.
//!
//! - Rows without a price are left out; a minute without a trade is confirmed absent by that.
//! - Daily, weekly and monthly bars carry their date on the exchange's calendar, as midnight UTC, and have closed when that
//!   date is over there. `adj_close` is the close adjusted for splits and dividends.
//! - The last row may be a bar that still lives: it stands off the grid, after the range, or on a date that is not over.
//! - Prices come adjusted for splits already. So dividends go to the table `actions`, by which `adjust` adjusts, and
//!   splits beside it to the table `splits`, with the same columns.
//! - Bars of an hour begin at the half hour in New York: they are made of finer ones instead.

use std::sync::Arc;

use simd_json::BorrowedValue;
use simd_json::prelude::*;
use tapestore::schema::bars;
use tapestore::time::{DAY_NS, SECOND_NS};
use tapestore::{Column, ColumnType, ColumnValues, Frame, Schema, SeriesKey, Strings, Timeframe, Values};

use super::Settings;
use super::binance::escaped;
use crate::error::{Error, Result};
use crate::source::{
    Ask, Manners, Naming, Page, Reach, Refusal, Source, Step, Table, Verdict, verdict_of_status,
};
use crate::wire::{Reply, Request, Secret};

/// Yahoo.
#[derive(Debug)]
pub struct Yahoo {
    url: String,
    naming: Naming,
    secrets: Vec<Secret>,
    manners: Manners,
}

impl Yahoo {
    /// Sets it up.
    ///
    /// # Errors
    /// [`Error::Usage`] if a setting makes no sense.
    pub fn make(settings: &Settings) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Self {
            url: settings.url_or("https://query1.finance.yahoo.com")?,
            naming: settings.naming_or("{symbol}.YAHOO")?,
            secrets: settings.secrets.clone(),
            manners: settings.manners_or(Manners {
                weight_per_minute: 60,
                used_header: None,
                concurrency: 2,
            }),
        }))
    }
}

/// Name of an interval, days in a request, and days of history.
fn facts(timeframe: Timeframe) -> Option<(&'static str, i64, Option<i64>)> {
    Some(match timeframe {
        Timeframe::M1 => ("1m", 7, Some(29)),
        Timeframe::M2 => ("2m", 59, Some(59)),
        Timeframe::M5 => ("5m", 59, Some(59)),
        Timeframe::M15 => ("15m", 59, Some(59)),
        Timeframe::M30 => ("30m", 59, Some(59)),
        Timeframe::D1 => ("1d", 36_500, None),
        Timeframe::W1 => ("1wk", 36_500, None),
        Timeframe::Mo1 => ("1mo", 36_500, None),
        _ => return None,
    })
}

fn by_date(timeframe: Timeframe) -> bool {
    matches!(timeframe, Timeframe::D1 | Timeframe::W1 | Timeframe::Mo1)
}

fn number(value: &BorrowedValue<'_>) -> Option<f64> {
    value.as_f64().or_else(|| value.as_i64().map(|number| number as f64)).filter(|number| number.is_finite())
}

/// The arrays of a chart.
struct Chart<'v> {
    meta: &'v BorrowedValue<'v>,
    result: &'v BorrowedValue<'v>,
    /// How far the exchange's clock is ahead of UTC, in nanoseconds.
    offset_ns: i64,
}

impl<'v> Chart<'v> {
    fn of(
        ask: &Ask,
        interval: &str,
        value: &'v BorrowedValue<'v>,
    ) -> std::result::Result<Option<Self>, Refusal> {
        let chart = value.get("chart").ok_or_else(|| Refusal::Broken("there is no chart".to_owned()))?;
        let Some(result) = chart.get_array("result").and_then(|list| list.first()) else { return Ok(None) };
        let meta = result.get("meta").ok_or_else(|| Refusal::Broken("the chart tells nothing".to_owned()))?;
        let symbol = meta.get_str("symbol").unwrap_or_default();
        if !symbol.eq_ignore_ascii_case(&ask.symbol) {
            return Err(Refusal::Other(format!("the chart is of {symbol:?}, not of {}", ask.symbol)));
        }
        let told = meta.get_str("dataGranularity").unwrap_or(interval);
        if told != interval {
            return Err(Refusal::Other(format!("the bars are of {told}, not of {interval}")));
        }
        let offset_ns = meta.get_i64("gmtoffset").unwrap_or(0).saturating_mul(SECOND_NS);
        Ok(Some(Self { meta, result, offset_ns }))
    }

    /// Midnight UTC of the date at the exchange.
    fn date(&self, time: i64) -> i64 {
        time.saturating_add(self.offset_ns).div_euclid(DAY_NS).saturating_mul(DAY_NS)
    }

    fn rows(&self, ask: &Ask, timeframe: Timeframe) -> std::result::Result<Table, Refusal> {
        let indicators = self.result.get("indicators");
        let quote = indicators.and_then(|all| all.get_array("quote")).and_then(|list| list.first());
        let adjusted = indicators.and_then(|all| all.get_array("adjclose")).and_then(|list| list.first());
        let adjusted = adjusted.and_then(|all| all.get_array("adjclose"));
        let stamps = self.result.get_array("timestamp").map_or(&[][..], |list| list.as_slice());
        let field = |name: &str| quote.and_then(|quote| quote.get_array(name));
        let prices = ["open", "high", "low", "close"].map(field);
        let volume = field("volume");
        if !stamps.is_empty() && prices.iter().any(|list| list.is_none_or(|list| list.len() != stamps.len()))
        {
            return Err(Refusal::Broken("times and prices differ in number".to_owned()));
        }
        let mut out = Rows::default();
        for (row, stamp) in stamps.iter().enumerate() {
            let seconds = stamp.as_i64().and_then(|seconds| seconds.checked_mul(SECOND_NS));
            let mut time = seconds.ok_or_else(|| Refusal::Broken("a bar has no time".to_owned()))?;
            if by_date(timeframe) {
                time = timeframe.slot_start(timeframe.slot(self.date(time)));
            }
            let lives = row + 1 == stamps.len() && !timeframe.on_grid(time);
            // By date, more is asked for than is wanted: nobody knows the exchange's clock before.
            if lives || time >= ask.range.end || (by_date(timeframe) && time < ask.range.start) {
                continue;
            }
            let at =
                |list: Option<&Vec<BorrowedValue<'_>>>| list.and_then(|list| list.get(row)).and_then(number);
            let [Some(open), Some(high), Some(low), Some(close)] = prices.map(at) else {
                continue;
            };
            out.time.push(time);
            let values = [open, high, low, close, at(volume).unwrap_or(0.0)];
            out.columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
            let adjusted = at(adjusted);
            out.adjusted.push(adjusted.unwrap_or(0.0));
            out.unadjusted.push(adjusted.is_none());
        }
        Ok(out.table(by_date(timeframe)))
    }

    /// Dividends and splits, as [`tapestore_query::adjust::actions_schema`] has them.
    fn actions(&self) -> Vec<(&'static str, Table)> {
        let events = |name: &str| {
            let all = self.result.get("events").and_then(|events| events.get_object(name));
            let mut all: Vec<(i64, &BorrowedValue<'_>)> = all
                .map(|all| {
                    let dated = all.values().filter_map(|event| {
                        let date = event.get_i64("date")?.checked_mul(SECOND_NS)?;
                        Some((self.date(date), event))
                    });
                    dated.collect()
                })
                .unwrap_or_default();
            all.sort_by_key(|event| event.0);
            all
        };
        let dividends = events("dividends").into_iter().filter_map(|(time, event)| {
            Some((time, [None, None, Some(event.get("amount").and_then(number)?)]))
        });
        let splits = events("splits").into_iter().filter_map(|(time, event)| {
            let (old, new) =
                (event.get("denominator").and_then(number)?, event.get("numerator").and_then(number)?);
            (old > 0.0 && new > 0.0).then_some((time, [Some(old), Some(new), None]))
        });
        vec![
            ("actions", actions_table("dividend", dividends.collect())),
            ("splits", actions_table("split", splits.collect())),
        ]
    }
}

#[derive(Default)]
struct Rows {
    time: Vec<i64>,
    columns: [Vec<f64>; 5],
    adjusted: Vec<f64>,
    unadjusted: Vec<bool>,
}

impl Rows {
    fn table(self, with_adjusted: bool) -> Table {
        let names = ["open", "high", "low", "close", "volume"];
        let mut columns: Vec<(&'static str, ColumnValues)> = names
            .into_iter()
            .zip(self.columns)
            .map(|(name, values)| (name, Values::F64(values).into()))
            .collect();
        if with_adjusted {
            let nulls = self.unadjusted.contains(&true).then_some(self.unadjusted);
            columns.push(("adj_close", ColumnValues { values: Values::F64(self.adjusted), nulls }));
        }
        Table { time: self.time, columns }
    }
}

fn actions_table(kind: &str, rows: Vec<(i64, [Option<f64>; 3])>) -> Table {
    let column = |place: usize| {
        let values = rows.iter().map(|row| row.1[place].unwrap_or(0.0)).collect();
        let nulls: Vec<bool> = rows.iter().map(|row| row.1[place].is_none()).collect();
        ColumnValues { values: Values::F64(values), nulls: nulls.contains(&true).then_some(nulls) }
    };
    let kinds: Strings = rows.iter().map(|_| kind).collect();
    Table {
        columns: vec![
            ("kind", Values::Str(kinds).into()),
            ("old", column(0)),
            ("new", column(1)),
            ("amount", column(2)),
        ],
        time: rows.into_iter().map(|row| row.0).collect(),
    }
}

fn page(ask: &Ask, timeframe: Timeframe, reply: &Reply) -> std::result::Result<Step, Refusal> {
    let interval = facts(timeframe).map_or("1d", |facts| facts.0);
    let mut body = reply.body.clone();
    let value = simd_json::to_borrowed_value(&mut body)
        .map_err(|error| Refusal::Broken(format!("no JSON: {error}; {}", reply.excerpt())))?;
    let mut page = Page {
        answered: ask.range.clone(),
        complete: true,
        now_ns: reply.source_now_ns(),
        ..Page::default()
    };
    if let Some(chart) = Chart::of(ask, interval, &value)? {
        page.rows = chart.rows(ask, timeframe)?;
        if by_date(timeframe) {
            page.actions = chart.actions();
            // The exchange's clock, as its dates are.
            page.now_ns = page.now_ns.saturating_add(chart.offset_ns);
        }
        // An empty chart without a time zone tells nothing.
        page.complete = !page.rows.time.is_empty() || chart.meta.get_str("exchangeTimezoneName").is_some();
    } else {
        let told = value.get("chart").and_then(|chart| chart.get("error"));
        let told = told.and_then(|error| error.get_str("description")).unwrap_or_default();
        if !told.starts_with("Data doesn't exist") {
            return Err(Refusal::Other(format!("there is no chart: {told}")));
        }
    }
    Ok(Step::Done(Box::new(page)))
}

impl Source for Yahoo {
    fn name(&self) -> &'static str {
        "yahoo"
    }

    fn manners(&self) -> Manners {
        self.manners
    }

    fn reach(&self, frame: &Frame) -> Result<Reach> {
        let Some((timeframe, (_, days, history))) =
            frame.timeframe().and_then(|timeframe| Some((timeframe, facts(timeframe)?)))
        else {
            let known: Vec<&str> = Timeframe::ALL
                .into_iter()
                .filter(|frame| facts(*frame).is_some())
                .map(Timeframe::name)
                .collect();
            return Err(Error::Usage(format!("yahoo has no {frame}; it has {}", known.join(" "))));
        };
        let step = timeframe.step_ns().unwrap_or(28 * DAY_NS);
        Ok(Reach {
            page_slots: (days * DAY_NS / step).unsigned_abs(),
            page_requests: 1,
            page_weight: 1,
            history_ns: history.map(|days| days * DAY_NS),
        })
    }

    fn key(&self, symbol: &str, frame: &Frame) -> Result<SeriesKey> {
        self.naming.key(symbol, frame)
    }

    fn schema(&self, frame: &Frame) -> Schema {
        let mut schema = bars();
        if frame.timeframe().is_some_and(by_date) {
            schema.columns.push(Column {
                id: schema.columns.len() as u16,
                name: "adj_close".to_owned(),
                kind: ColumnType::F64,
                nullable: true,
                description:
                    "close adjusted for splits and dividends, as the source stated it when it was fetched"
                        .to_owned(),
            });
        }
        schema
    }

    fn step(&self, ask: &Ask, replies: &[Reply]) -> std::result::Result<Step, Refusal> {
        let Some((timeframe, (interval, days, _))) =
            ask.timeframe().and_then(|timeframe| Some((timeframe, facts(timeframe)?)))
        else {
            return Err(Refusal::Other("yahoo has no such bars".to_owned()));
        };
        let end = ask.range.end.min(ask.range.start.saturating_add(days * DAY_NS));
        let mut part = ask.clone();
        part.range.end = timeframe.slot_start(timeframe.slot(end));
        if let Some(reply) = replies.first() {
            return page(&part, timeframe, reply);
        }
        let wider = if by_date(timeframe) { DAY_NS } else { 0 };
        let (from, to) = ((part.range.start - wider) / SECOND_NS, (part.range.end + wider) / SECOND_NS);
        let symbol = escaped(&ask.symbol);
        let url = format!(
            "{}/v8/finance/chart/{symbol}?period1={from}&period2={to}&interval={interval}&includePrePost=false&events=div%2Csplits",
            self.url
        );
        let mut request = Request::get(url, 1);
        request.secrets.clone_from(&self.secrets);
        Ok(Step::Send(request))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let verdict = verdict_of_status(reply);
        match verdict {
            Verdict::Final(_) if reply.excerpt().contains("Data doesn't exist") => Verdict::Fine,
            other => other,
        }
    }
}
