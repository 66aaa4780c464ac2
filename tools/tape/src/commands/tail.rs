//! `tape tail`: the last rows of a series and, with `-f`, those that are added or changed from then on.
//!
//! Following is reading: a handle that only reads is refreshed again and again, and what changed between its last
//! version and the new one is shown. Whether the writer is the same process as before, sealed, compacted, pruned or
//! rolled back makes no difference.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use tapestore::{Error, KeyPolicy, Rows, SeriesKey, Store, View};
use tapestore_catalog::span;
use tapestore_format::schema::Column;
use tapestore_format::time::SECOND_NS;

use super::read::{self, End, columns, source_name, spread, style};
use super::{Context, range, series};
use crate::args::live::Tail;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::rows::{RowWriter, Style};
use crate::output::{Out, note};

/// How long a store may be unreadable, as while a writer starts, before that is an error.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs `tape tail`.
pub(crate) fn run(context: &Context, arguments: &Tail) -> Result<()> {
    if !arguments.follow {
        return read::ends(context, &arguments.ends, End::Last);
    }
    let interval = span::parse(&arguments.interval).filter(|span| *span > 0).ok_or_else(|| {
        Fail::Usage(format!("--interval {:?} is no span of time; write 20ms or 1s", arguments.interval))
    })?;
    let wait = Wait::begin(Duration::from_nanos(interval.unsigned_abs()))?;
    let store = context.open_to_read()?;
    let view = store.view();
    let (key, info) = series(&view, &arguments.ends.series)?;
    let form = &arguments.ends.selection.form;
    let style = style(context, form);
    let mut tail = Following {
        store: &store,
        key,
        range: range(&arguments.ends.selection.span)?,
        columns: columns(&info, form)?,
        all: form.columns.is_none() && style == Style::Json,
        style,
        writer: RowWriter::new(style, form.time.into(), form.provenance),
        out: Out::stdout(),
        quiet: context.quiet,
        gone: false,
    };
    tail.last(&view, arguments.ends.rows)?;
    tail.follow(view, &wait)
}

/// A series that is being followed.
struct Following<'a> {
    store: &'a Store,
    key: SeriesKey,
    range: Range<i64>,
    columns: Vec<Column>,
    /// Whether columns that are added later are shown, too.
    all: bool,
    style: Style,
    writer: RowWriter,
    out: Out,
    quiet: bool,
    /// Whether the series does not exist any more.
    gone: bool,
}

impl Following<'_> {
    fn last(&mut self, view: &View, rows: usize) -> Result<()> {
        let rows = view.read(&self.key).range(self.range.clone()).provenance().last(rows)?;
        self.write(&rows, 0)?;
        Ok(self.writer.show(&mut self.out)?)
    }

    /// Shows what is new, until whoever looks on has enough.
    fn follow(&mut self, mut view: View, wait: &Wait) -> Result<()> {
        let mut well = Instant::now();
        while wait.more() {
            let next = self.store.refresh().and_then(|_| {
                let next = self.store.view();
                if next.version() > view.version() {
                    self.changes(&view, &next).map(|new| (next, new))
                } else {
                    Ok((next, New::default()))
                }
            });
            match next {
                Ok((next, new)) => {
                    self.show(&view, &next, new)?;
                    (view, well) = (next, Instant::now());
                }
                Err(_) if well.elapsed() < PATIENCE => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Where something changed between two versions.
    fn changes(&self, old: &View, new: &View) -> tapestore::Result<New> {
        let schema = match new.schema(&self.key) {
            Ok(schema) => schema,
            Err(Error::NotFound(_)) => return Ok(New { dropped: true, ..New::default() }),
            Err(error) => return Err(error),
        };
        // Ranges are melted rather than read one by one; which rows are new, their versions say.
        let step = self.key.frame().timeframe().and_then(tapestore::Timeframe::step_ns);
        let changes = new.changes_since(&self.key, old.version(), 64 * step.unwrap_or(SECOND_NS))?;
        let clip = |range: Range<i64>| range.start.max(self.range.start)..range.end.min(self.range.end);
        let whole = || vec![self.range.clone()];
        let ranges = changes.map_or_else(whole, |changes| changes.into_iter().map(clip).collect());
        let mut deleted = 0;
        for range in &ranges {
            deleted += match old.count(&self.key, range.clone()) {
                Ok(0) | Err(Error::NotFound(_)) => 0,
                Ok(before) if schema.key == KeyPolicy::Unique => {
                    let times = |view: &View| view.read(&self.key).range(range.clone()).columns(&[]).rows();
                    let now = times(new)?;
                    let gone = |time: &&i64| now.time().binary_search(time).is_err();
                    if now.is_empty() {
                        before
                    } else {
                        times(old)?.time().iter().filter(gone).count() as u64
                    }
                }
                Ok(before) => before.saturating_sub(new.count(&self.key, range.clone())?),
                Err(error) => return Err(error),
            };
        }
        Ok(New { ranges, deleted, dropped: false })
    }

    fn show(&mut self, old: &View, new: &View, found: New) -> Result<()> {
        let version = new.version();
        if found.dropped != self.gone {
            self.gone = found.dropped;
            let what = if self.gone { "does not exist any more; waiting for it" } else { "exists again" };
            note(self.quiet, &format!("tape: {} {what}: version {version}", self.key));
        }
        if found.deleted > 0 {
            let rows = grouped(found.deleted);
            note(self.quiet, &format!("tape: {rows} rows of {} were deleted: version {version}", self.key));
        }
        let mut failure = None;
        for range in found.ranges {
            let read = new.read(&self.key).range(range).provenance();
            read.visit(|rows| match self.write(rows, old.version()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            })?;
        }
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(self.writer.show(&mut self.out)?),
        }
    }

    /// Writes the rows that were committed after a version.
    fn write(&mut self, rows: &Rows, since: u64) -> std::io::Result<()> {
        let columns = if self.all { rows.columns.clone() } else { self.columns.clone() };
        let set = spread(rows, &columns);
        let sources = source_name(self.store);
        self.writer.begin(&columns, &mut self.out)?;
        for (piece, version) in rows.set.version.pieces(0..rows.len()) {
            if version > since {
                self.writer.write(&columns, &set, piece, &sources, &mut self.out)?;
            }
        }
        if self.style == Style::Table && rows.len() > 1000 {
            self.writer.show(&mut self.out)?;
        }
        Ok(())
    }
}

/// What changed.
#[derive(Debug, Default)]
struct New {
    ranges: Vec<Range<i64>>,
    deleted: u64,
    dropped: bool,
}

/// Waits for the next look; ends early when there will be none.
pub(super) struct Wait {
    interval: Duration,
    #[cfg(unix)]
    stopped: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

#[cfg(unix)]
impl Wait {
    pub(super) fn begin(interval: Duration) -> Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let stopped = std::sync::Arc::default();
        for signal in [SIGINT, SIGTERM] {
            // A second one ends the process on the spot, should the first find it stuck.
            signal_hook::flag::register_conditional_default(signal, std::sync::Arc::clone(&stopped))?;
            signal_hook::flag::register(signal, std::sync::Arc::clone(&stopped))?;
        }
        Ok(Self { interval, stopped })
    }

    /// Whether to look again: not after Ctrl-C, and not when nobody reads the output any more.
    pub(super) fn more(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stopped = || self.stopped.load(std::sync::atomic::Ordering::Relaxed);
        let until = Instant::now() + self.interval;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if stopped() || left.is_zero() {
                return !stopped();
            }
            let out = std::io::stdout();
            // Errors and hang-ups are reported without being asked for.
            let mut watched = [PollFd::new(&out, PollFlags::empty())];
            let found = poll(&mut watched, Timespec::try_from(left).ok().as_ref());
            let closed = watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP);
            if found.is_ok() && closed {
                return false;
            }
        }
    }
}

#[cfg(not(unix))]
impl Wait {
    pub(super) fn begin(interval: Duration) -> Result<Self> {
        Ok(Self { interval })
    }

    pub(super) fn more(&self) -> bool {
        std::thread::sleep(self.interval);
        true
    }
}
