//! The commands. Each takes its arguments and a [`Context`], writes data to standard output, and ends well or with a
//! [`Fail`].

pub(crate) mod aggregate;
pub(crate) mod alerts;
pub(crate) mod backtest;
pub(crate) mod calendar;
pub(crate) mod config;
pub(crate) mod coverage;
mod expected;
pub(crate) mod explore;
pub(crate) mod factor;
pub(crate) mod fetch;
pub(crate) mod hazard;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod market;
pub(crate) mod operations;
pub(crate) mod quality;
pub(crate) mod read;
pub(crate) mod repair;
pub(crate) mod report;
pub(crate) mod retain;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod tail;
pub(crate) mod upkeep;
pub(crate) mod versions;
mod watch;
mod watched;

use std::ops::Range;
use std::path::{Path, PathBuf};

use tapestore::{AsOf, Error, ErrorClass, Options, SeriesInfo, SeriesKey, Store, View};
use tapestore_format::coverage::Run;
use tapestore_format::time::Timeframe;

use crate::args::{Series, Span, State};
use crate::fail::{Fail, Result};
use crate::when::{Point, now_ns, parse_point, parse_time};

/// What every command gets.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Directory of the store, if given.
    pub(crate) store: Option<PathBuf>,
    /// Write JSON.
    pub(crate) json: bool,
    /// No progress and no notes.
    pub(crate) quiet: bool,
}

impl Context {
    /// Directory of the store.
    pub(crate) fn directory(&self) -> Result<&Path> {
        self.store.as_deref().ok_or_else(|| {
            Fail::Usage("which store? name its directory with --store DIR, or set TAPE_STORE".to_owned())
        })
    }

    /// Opens the store for reading, beside whoever writes.
    pub(crate) fn open_to_read(&self) -> Result<Store> {
        let directory = self.existing()?;
        let options = Options { background: false, ..Options::default() };
        Ok(Store::open_read_only(directory, options)?)
    }

    /// Opens the store for writing.
    pub(crate) fn open_to_write(&self) -> Result<Store> {
        self.open_to_compact(None)
    }

    /// The same, where rows become cold that are so much older than the newest of their series.
    pub(crate) fn open_to_compact(&self, cold_after_ns: Option<i64>) -> Result<Store> {
        let directory = self.existing()?;
        Ok(Store::open(directory, Options { cold_after_ns, ..write_options() })?)
    }

    fn existing(&self) -> Result<&Path> {
        let directory = self.directory()?;
        if directory.is_dir() {
            return Ok(directory);
        }
        Err(Fail::Usage(format!(
            "there is no store at {}; create one with tape init, or check --store",
            directory.display()
        )))
    }

    /// Opens the store for reading at the state asked for.
    pub(crate) fn view(&self, state: &State) -> Result<(Store, View)> {
        let store = self.open_to_read()?;
        let view = match &state.as_of {
            Some(text) => store.as_of(&as_of(&store, text)?)?,
            None => store.view(),
        };
        Ok((store, view))
    }
}

/// Commands finish their work before they end; nothing is left to a thread that dies with the process.
pub(crate) fn write_options() -> Options {
    Options { background: false, ..Options::default() }
}

/// A state of the store as people name it.
pub(crate) fn as_of(store: &Store, text: &str) -> Result<AsOf> {
    let snapshots: Vec<String> = store.snapshots().into_iter().map(|snapshot| snapshot.name).collect();
    Ok(match parse_point(text, &snapshots, now_ns())? {
        Point::Version(version) => AsOf::Version(version),
        Point::Snapshot(name) => AsOf::Snapshot(name),
        Point::Time(time) => AsOf::Time(time),
    })
}

/// The series, which must exist.
pub(crate) fn series(view: &View, series: &Series) -> Result<(SeriesKey, SeriesInfo)> {
    let key = SeriesKey::new(&series.instrument, &series.frame)?;
    match view.info(&key) {
        Ok(info) => Ok((key, info)),
        Err(Error::NotFound(_)) => {
            let keys = view.keys();
            let near = keys.iter().find(|known| known.instrument().eq_ignore_ascii_case(key.instrument()));
            let hint = match near {
                Some(near) => format!("did you mean {near}?"),
                None if keys.is_empty() => "the store is empty".to_owned(),
                None => "tape ls lists what is there".to_owned(),
            };
            Err(Fail::Usage(format!("there is no series {key} at version {}; {hint}", view.version())))
        }
        Err(error) => Err(error.into()),
    }
}

/// The times asked for; open ends where nothing is said.
pub(crate) fn range(span: &Span) -> Result<Range<i64>> {
    let now = now_ns();
    let time = |text: &Option<String>| text.as_deref().map(|text| parse_time(text, now)).transpose();
    let (from, to) = (time(&span.from)?.unwrap_or(i64::MIN), time(&span.to)?.unwrap_or(i64::MAX));
    if from > to {
        return Err(Fail::Usage("--from lies after --to; ranges are half-open, from ≤ time < to".to_owned()));
    }
    Ok(from..to)
}

/// Whether a range is asked for at all.
pub(crate) fn is_whole(span: &Span) -> bool {
    span.from.is_none() && span.to.is_none()
}

/// The timeframe of bars.
pub(crate) fn timeframe(key: &SeriesKey) -> Result<Timeframe> {
    key.frame().timeframe().ok_or_else(|| {
        Fail::Usage(format!("{key} holds no bars, so there is no grid on which something could be missing"))
    })
}

/// Bars that are there, and bars that would be there without gaps, from first to last.
pub(crate) fn covered(runs: &[Run]) -> (u64, u64) {
    let bars = runs.iter().map(Run::slots).sum();
    let expected = match (runs.first(), runs.last()) {
        (Some(first), Some(last)) => last.end.abs_diff(first.start),
        _ => 0,
    };
    (bars, expected)
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            ErrorClass::Corrupt | ErrorClass::Foreign => Self::Corrupt(text),
            ErrorClass::Io | ErrorClass::Locked | ErrorClass::Newer | ErrorClass::Poisoned => Self::Io(text),
            _ => Self::Usage(text),
        }
    }
}
