//! The public files of Binance: a zip with one CSV for each instrument, interval and month or day, a checksum beside it.
//!
//! `https://data.binance.vision/data/{spot|futures/um|futures/cm}/{monthly|daily}/klines/BTCUSDT/1m/BTCUSDT-1m-2025-06.zip`
//! and `….zip.CHECKSUM`, in the form of `sha256sum`. A day's file comes on the next day, a month's on the first Monday of
//! the next month. From binance-public-data of 2025-01-09 and its issues: whether there is a header, and whether times are
//! in milliseconds or microseconds, is told by content; files are replaced later, so checksums are remembered.
//!
//! A month that is wanted for two days or more comes as its own file, anything less by days. A file that does not exist
//! confirms nothing. Trades come by days, so that a file fits into memory.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tapestore::time::DAY_NS;
use tapestore::{Frame, Schema, SeriesKey, Timeframe};
use tapestore_catalog::Kind;

use super::Settings;
use super::binance::{Columns, Field, Market, Trades, escaped, nanoseconds};
use crate::error::{Error, Result};
use crate::ledger::FileRecord;
use crate::source::{
    Ask, Manners, Naming, Page, Reach, Refusal, Source, Step, Table, Verdict, verdict_of_status,
};
use crate::wire::{Reply, Request};

/// Most bytes of an unpacked file.
const UNPACKED_BYTES: u64 = 2 << 30;
/// When the file of a month is there for sure: the first Monday of the next month, and a day.
const MONTH_READY_NS: i64 = 8 * DAY_NS;
/// When the file of a month that does not exist will not come any more.
const MONTH_LOST_NS: i64 = 40 * DAY_NS;

/// The files of a market.
#[derive(Debug)]
pub struct Dumps {
    name: &'static str,
    folder: &'static str,
    market: Market,
    url: String,
    naming: Naming,
    manners: Manners,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    /// Below the root, with `.zip`.
    path: String,
    /// What of time it covers.
    period: Range<i64>,
}

impl File {
    /// Without folders and extension.
    fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".zip").unwrap_or(name)
    }
}

impl Dumps {
    /// Sets up the files of a market.
    ///
    /// # Errors
    /// [`Error::Usage`] if a setting makes no sense.
    pub fn make(market: Market, settings: &Settings) -> Result<Arc<dyn Source>> {
        let (name, folder, naming) = match market {
            Market::Spot => ("binance-dumps", "data/spot", "{symbol}.BINANCE"),
            Market::UsdMargined => ("binance-um-dumps", "data/futures/um", "{symbol}.BINANCE-UM"),
            Market::CoinMargined => ("binance-cm-dumps", "data/futures/cm", "{symbol}.BINANCE-CM"),
        };
        Ok(Arc::new(Self {
            name,
            folder,
            market,
            url: settings.url_or("https://data.binance.vision")?,
            naming: settings.naming_or(naming)?,
            manners: settings.manners_or(Manners {
                weight_per_minute: 1200,
                used_header: None,
                concurrency: 2,
            }),
        }))
    }

    fn file(&self, ask: &Ask, monthly: bool) -> File {
        let months = Timeframe::Mo1;
        let month = months.slot(ask.range.start);
        let day = ask.range.start.div_euclid(DAY_NS) * DAY_NS;
        let (start, end) = if monthly {
            (months.slot_start(month), months.slot_start(month + 1))
        } else {
            (day, day + DAY_NS)
        };
        let (year, of_year) = (1970 + month.div_euclid(12), month.rem_euclid(12) + 1);
        let mut date = format!("{year:04}-{of_year:02}");
        if !monthly {
            date.push_str(&format!("-{:02}", (day - months.slot_start(month)) / DAY_NS + 1));
        }
        let often = if monthly { "monthly" } else { "daily" };
        let symbol = escaped(&ask.symbol);
        let (folder, what) = match ask.timeframe() {
            Some(timeframe) => (format!("klines/{symbol}/{timeframe}"), timeframe.name()),
            None => (format!("aggTrades/{symbol}"), "aggTrades"),
        };
        let path = format!("{}/{often}/{folder}/{symbol}-{what}-{date}.zip", self.folder);
        File { path, period: start..end }
    }

    /// The files that may answer for the beginning of the range, the best first.
    fn candidates(&self, ask: &Ask) -> Vec<File> {
        let month = self.file(ask, true);
        let wanted = ask.range.end.min(month.period.end) - ask.range.start;
        let age = ask.now_ns - month.period.end;
        if ask.timeframe().is_none() || age < MONTH_READY_NS || (wanted < 2 * DAY_NS && age < MONTH_LOST_NS) {
            return vec![self.file(ask, false)];
        }
        if age >= MONTH_LOST_NS && wanted >= 2 * DAY_NS {
            return vec![month];
        }
        if wanted < 2 * DAY_NS { vec![self.file(ask, false)] } else { vec![month, self.file(ask, false)] }
    }

    fn send(&self, path: &str) -> Step {
        Step::Send(Request::get(format!("{}/{path}", self.url), 1))
    }

    fn take(&self, ask: &Ask, file: &File, sum: &str, zip: &Reply) -> std::result::Result<Step, Refusal> {
        if zip.status != 200 {
            return Err(Refusal::Broken(format!("{} has a checksum, but is not there", file.path)));
        }
        let found = hex(&Sha256::digest(&zip.body));
        if found != sum {
            return Err(Refusal::Broken(format!("the checksum of {} is {found}, not {sum}", file.path)));
        }
        let text = unpack(&zip.body, file)?;
        let (mut rows, count) = match ask.timeframe() {
            Some(timeframe) => bars(self.market, timeframe, &text)?,
            None => trades(ask, &text)?,
        };
        if let Some(time) = rows.time.iter().find(|time| !file.period.contains(time)) {
            return Err(Refusal::Other(format!("{} holds a row of time {time}", file.path)));
        }
        let wanted: Vec<usize> =
            (0..rows.time.len()).filter(|row| ask.range.contains(&rows.time[*row])).collect();
        if wanted.len() < rows.time.len() {
            rows.pick(&wanted);
        }
        let bytes = zip.body.len() as u64;
        let record = FileRecord { name: file.path.clone(), sha256: sum.to_owned(), bytes, rows: count };
        Ok(done(ask, file, rows, Some(record), zip))
    }
}

fn done(ask: &Ask, file: &File, rows: Table, record: Option<FileRecord>, reply: &Reply) -> Step {
    Step::Done(Box::new(Page {
        rows,
        answered: ask.range.start..ask.range.end.min(file.period.end),
        complete: record.is_some(),
        now_ns: reply.source_now_ns(),
        file: record,
        ..Page::default()
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The only CSV of a zip, which must be named as the file is.
fn unpack(bytes: &[u8], file: &File) -> std::result::Result<Vec<u8>, Refusal> {
    let broken = |error: &dyn std::fmt::Display| Refusal::Broken(format!("{}: {error}", file.path));
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|error| broken(&error))?;
    let name = format!("{}.csv", file.stem());
    let mut entry = match archive.len() {
        1 => archive.by_index(0).map_err(|error| broken(&error))?,
        count => return Err(Refusal::Other(format!("{} holds {count} files", file.path))),
    };
    let inside = entry.name().map_err(|error| broken(&error))?.into_owned();
    if inside != name {
        return Err(Refusal::Other(format!("{} holds {inside:?}, not {name}", file.path)));
    }
    let mut text = Vec::new();
    let read = entry.by_ref().take(UNPACKED_BYTES + 1).read_to_end(&mut text);
    match read {
        Ok(size) if size as u64 > UNPACKED_BYTES => {
            Err(Refusal::Other(format!("{} unpacks to more than 2 GiB", file.path)))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(broken(&error)),
    }
}

/// The records of a CSV without its header, if it has one: then its first field is no number.
fn each_record(
    text: &[u8],
    take: &mut dyn FnMut(&csv::StringRecord) -> std::result::Result<(), Refusal>,
) -> std::result::Result<(), Refusal> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut record = csv::StringRecord::new();
    let mut first = true;
    while reader.read_record(&mut record).map_err(|error| Refusal::Broken(format!("no CSV: {error}")))? {
        let header = std::mem::take(&mut first)
            && record.get(0).is_some_and(|field| field.trim().parse::<i64>().is_err());
        if !header {
            take(&record)?;
        }
    }
    Ok(())
}

fn bars(market: Market, timeframe: Timeframe, text: &[u8]) -> std::result::Result<(Table, u64), Refusal> {
    let mut columns = Columns::new(market, text.len() / 100);
    each_record(text, &mut |record| {
        columns.push(timeframe, |field| record.get(field).map_or(Field::Missing, Field::Text))
    })?;
    let table = columns.table();
    let count = table.time.len() as u64;
    Ok((table, count))
}

/// `agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker`, and maybe more.
fn trades(ask: &Ask, text: &[u8]) -> std::result::Result<(Table, u64), Refusal> {
    let mut out = Trades::default();
    let mut count = 0;
    each_record(text, &mut |record| {
        let number = |field: usize| record.get(field)?.parse::<f64>().ok().filter(|value| value.is_finite());
        let row = || {
            let time = nanoseconds(record.get(5)?.parse().ok()?)?.0;
            let maker = record.get(6)?.eq_ignore_ascii_case("true");
            Some((time, record.get(0)?.parse::<i64>().ok()?, number(1)?, number(2)?, maker))
        };
        let (time, id, price, quantity, maker) =
            row().ok_or_else(|| Refusal::Broken(format!("row {count} is no trade")))?;
        count += 1;
        if ask.after_id.is_none_or(|after| id > after) && ask.before_id.is_none_or(|before| id < before) {
            out.push(time, id, price, quantity, maker);
        }
        Ok(())
    })?;
    Ok((out.table(), count))
}

impl Source for Dumps {
    fn name(&self) -> &str {
        self.name
    }

    fn manners(&self) -> Manners {
        self.manners
    }

    fn reach(&self, frame: &Frame) -> Result<Reach> {
        let has = |timeframe: &Timeframe| {
            !matches!(timeframe, Timeframe::M2 | Timeframe::M10 | Timeframe::W1 | Timeframe::Mo1)
                && (*timeframe != Timeframe::S1 || self.market == Market::Spot)
        };
        let page_slots = match frame {
            Frame::Bars(timeframe) if has(timeframe) => 31 * DAY_NS / timeframe.step_ns().unwrap_or(DAY_NS),
            Frame::Trades => 1,
            other => {
                let known: Vec<&str> =
                    Timeframe::ALL.into_iter().filter(|frame| has(frame)).map(Timeframe::name).collect();
                let text = format!("{} has no {other}; it has {} and trades", self.name, known.join(" "));
                return Err(Error::Usage(text));
            }
        };
        let page_slots = page_slots.unsigned_abs();
        Ok(Reach { page_slots, page_requests: 2, page_weight: 2, history_ns: None })
    }

    fn key(&self, symbol: &str, frame: &Frame) -> Result<SeriesKey> {
        self.naming.key(symbol, frame)
    }

    fn schema(&self, frame: &Frame) -> Schema {
        if *frame == Frame::Trades { Kind::Trades.schema() } else { self.market.bars_schema() }
    }

    fn step(&self, ask: &Ask, replies: &[Reply]) -> std::result::Result<Step, Refusal> {
        let candidates = self.candidates(ask);
        let missing = replies.iter().take_while(|reply| reply.status == 404).count().min(candidates.len());
        let Some(file) = candidates.get(missing) else {
            let Some((largest, reply)) = candidates.first().zip(replies.last()) else {
                return Err(Refusal::Other("no file answers the question".to_owned()));
            };
            // Where a month may still come, only the day is given up.
            let file = if candidates.len() > 1 { &candidates[candidates.len() - 1] } else { largest };
            return Ok(done(ask, file, Table::default(), None, reply));
        };
        let Some(checksum) = replies.get(missing) else {
            return Ok(self.send(&format!("{}.CHECKSUM", file.path)));
        };
        let sum = checksum_of(checksum, file)?;
        if ask.recheck && ask.known_files.get(&file.path) == Some(&sum) {
            return Ok(done(ask, file, Table::default(), None, checksum));
        }
        match replies.get(missing + 1) {
            None => Ok(self.send(&file.path)),
            Some(zip) => self.take(ask, file, &sum, zip),
        }
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        if reply.status == 404 { Verdict::Fine } else { verdict_of_status(reply) }
    }
}

/// The checksum in a line of `sha256sum`: 64 hexadecimal digits, and the name of the file.
fn checksum_of(reply: &Reply, file: &File) -> std::result::Result<String, Refusal> {
    let text = String::from_utf8_lossy(&reply.body);
    let mut words = text.split_whitespace();
    let sum = words.next().unwrap_or_default().to_ascii_lowercase();
    if sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::Broken(format!("{}.CHECKSUM holds no checksum", file.path)));
    }
    let named = words.next().unwrap_or_default().trim_start_matches('*');
    if named != format!("{}.zip", file.stem()) {
        return Err(Refusal::Other(format!("{}.CHECKSUM is of {named:?}", file.path)));
    }
    Ok(sum)
}
