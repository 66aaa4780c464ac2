//! Live commits: a handle tells its subscribers what each commit did, as it becomes visible.
//!
//! [`crate::Store::subscribe`] gives a [`Subscription`]: a bounded channel of events. On a handle that writes, commits
//! arrive when they are made; on a handle that only reads, when [`crate::Store::refresh`] sees them.
//!
//! # Invariants
//! - L1. A commit that passes the filter is told exactly once, in order of versions, after it became visible to this
//!   handle (and so, unless it was volatile, after it became as durable as its maker asked).
//! - L2. Telling never waits. What does not fit the bounds of a subscription is left out, and the subscriber learns,
//!   in its place in the order, from which version to which: [`Event::Lagged`].
//! - L3. A subscription never holds more than its bounds: so many commits, so many bytes of rows.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
pub use crossbeam::channel::{RecvError, RecvTimeoutError, TryRecvError};
use tapestore_format::rows::MarkKind;
use tapestore_format::schema::Schema;
use tapestore_format::time::Frame;
use tapestore_format::wal::{CommitKind, Effect, TransactionRecord};

use crate::batch::Rows;
use crate::error::{Error, Result};
use crate::key::SeriesKey;
use crate::state::State;
use crate::store::{Role, Shared, Store};
use crate::sync::Mutex;
use crate::view::project;

/// Which commits a subscriber wants: those that touch a series that passes. By default all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    series: Option<HashSet<SeriesKey>>,
    frames: Option<HashSet<Frame>>,
}

impl Filter {
    /// Every series.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only these series.
    #[must_use]
    pub fn series(mut self, keys: impl IntoIterator<Item = SeriesKey>) -> Self {
        self.series.get_or_insert_default().extend(keys);
        self
    }

    /// Only series of these frames, such as timeframes.
    #[must_use]
    pub fn frames(mut self, frames: impl IntoIterator<Item = Frame>) -> Self {
        self.frames.get_or_insert_default().extend(frames);
        self
    }

    /// Whether a series passes: it has to be among the series and of one of the frames, as far as they are named.
    pub fn passes(&self, key: &SeriesKey) -> bool {
        self.series.as_ref().is_none_or(|series| series.contains(key))
            && self.frames.as_ref().is_none_or(|frames| frames.contains(key.frame()))
    }
}

/// How much may wait for a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Commits. Default: 1,024.
    pub commits: usize,
    /// Bytes of their rows. Default: 64 MiB. A single commit with more is never held: it is reported as missed.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { commits: 1024, bytes: 64 << 20 }
    }
}

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A commit became visible.
    Commit(Commit),
    /// Commits were missed, because the subscriber or a follower's refresh fell behind: all from `after + 1` to
    /// `through` that pass the filter. Every commit up to `after` was told; those behind `through` follow. A view of
    /// at least version `through` knows what changed: [`crate::View::changes_since`] `after`.
    Lagged {
        /// The last version up to which nothing was missed.
        after: u64,
        /// The last version that was missed.
        through: u64,
    },
}

/// One commit, as far as it passes a filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Its number.
    pub version: u64,
    /// Wall clock, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// Why it was made.
    pub kind: CommitKind,
    /// What its maker said.
    pub message: String,
    /// What it did, one entry for each series, in the order in which the series were created.
    pub changes: Vec<Arc<Change>>,
}

/// What a commit did to one series: first the deletions, then the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The series.
    pub key: SeriesKey,
    /// Its schema after the commit; `None` if it was dropped.
    pub schema: Option<Arc<Schema>>,
    /// Whether the commit created, altered or dropped the series.
    pub defined: bool,
    /// Ranges of time whose rows were deleted.
    pub deleted: Vec<Range<i64>>,
    /// Rows that were added or that replace others, with version, source and flags, in order of time.
    pub rows: Rows,
}

/// A commit that is on its way to become visible.
#[derive(Debug)]
pub(crate) struct Draft {
    commit: Commit,
    bytes: Vec<usize>,
}

/// What waits for one subscriber.
#[derive(Debug, Default)]
struct Waiting {
    commits: usize,
    bytes: usize,
    /// Versions left out since the last event that fitted: `after` and `through`. While it is set nothing more is told.
    lag: Option<(u64, u64)>,
}

/// An event as it travels; [`Notice::event`] opens it.
#[derive(Debug)]
pub struct Notice {
    waiting: Arc<Mutex<Waiting>>,
    /// The commit and its bytes; without, the word that others were missed.
    commit: Option<(Commit, usize)>,
}

impl Notice {
    /// The event.
    pub fn event(mut self) -> Event {
        match self.open() {
            Ok(commit) => Event::Commit(commit),
            Err((after, through)) => Event::Lagged { after, through },
        }
    }

    fn open(&mut self) -> std::result::Result<Commit, (u64, u64)> {
        let mut waiting = self.waiting.lock();
        match self.commit.take() {
            Some((commit, bytes)) => {
                waiting.commits -= 1;
                waiting.bytes -= bytes;
                Ok(commit)
            }
            // Only now, so that everything missed until now is in it.
            None => Err(waiting.lag.take().unwrap_or_default()),
        }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        if self.commit.is_some() {
            let _ = self.open();
        }
    }
}

/// One subscriber, as seen from the store.
#[derive(Debug)]
struct Listener {
    filter: Filter,
    bounds: Bounds,
    sender: Sender<Notice>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Listener {
    /// Hands over a commit, or notes that it is missed (L2). False if nobody listens any more.
    fn tell(&self, draft: &Draft) -> bool {
        let passing =
            || draft.commit.changes.iter().zip(&draft.bytes).filter(|(c, _)| self.filter.passes(&c.key));
        if passing().next().is_none() {
            return true;
        }
        let bytes = passing().map(|(_, bytes)| bytes).sum();
        let version = draft.commit.version;
        {
            let mut waiting = self.waiting.lock();
            if waiting.lag.is_some() || !self.fits(&waiting, bytes) {
                drop(waiting);
                return self.miss(version - 1, version);
            }
            waiting.commits += 1;
            waiting.bytes += bytes;
        }
        let changes = passing().map(|(change, _)| change.clone()).collect();
        let commit = Commit { changes, message: draft.commit.message.clone(), ..draft.commit };
        self.send(Some((commit, bytes)))
    }

    fn fits(&self, waiting: &Waiting, bytes: usize) -> bool {
        waiting.commits < self.bounds.commits && waiting.bytes.saturating_add(bytes) <= self.bounds.bytes
    }

    fn miss(&self, after: u64, through: u64) -> bool {
        {
            let mut waiting = self.waiting.lock();
            if let Some(lag) = &mut waiting.lag {
                lag.1 = through;
                return true;
            }
            waiting.lag = Some((after, through));
        }
        self.send(None)
    }

    /// Never waits: the channel has room for all commits that may wait, and one word that others were missed (L3).
    fn send(&self, commit: Option<(Commit, usize)>) -> bool {
        let notice = Notice { waiting: self.waiting.clone(), commit };
        !matches!(self.sender.try_send(notice), Err(TrySendError::Disconnected(_)))
    }
}

/// All subscribers of an opening of a store.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    all: Mutex<Vec<Listener>>,
    /// Whether there ever was one: without, a commit costs no lock, and the models of `sync` have no step more.
    any: AtomicBool,
}

impl Listeners {
    /// What is to be told of a record that follows `state`; `None` if nobody wants to know. Told once it is visible.
    pub(crate) fn draft(&self, state: &State, record: &TransactionRecord) -> Option<Draft> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let listeners = self.all.lock();
        let wanted = |key: &SeriesKey| listeners.iter().any(|listener| listener.filter.passes(key));
        let mut drafting = Drafting { state, changes: Vec::new() };
        for effect in &record.effects {
            drafting.add(effect, &wanted);
        }
        let changes: Vec<Arc<Change>> =
            drafting.changes.into_iter().filter_map(|(_, change)| change).map(Arc::new).collect();
        if changes.is_empty() {
            return None;
        }
        let bytes = changes.iter().map(|change| change.rows.set.bytes()).collect();
        let (version, time_ns, kind) = (record.version, record.time, record.kind);
        let commit = Commit { version, time_ns, kind, message: record.message.clone(), changes };
        Some(Draft { commit, bytes })
    }

    /// Tells of the commits up to `version`, which is visible now (L1).
    pub(crate) fn tell(&self, drafts: &mut VecDeque<Draft>, version: u64) {
        if drafts.is_empty() {
            return;
        }
        let mut listeners = self.all.lock();
        while let Some(draft) = drafts.pop_front_if(|draft| draft.commit.version <= version) {
            listeners.retain(|listener| listener.tell(&draft));
        }
    }

    /// Tells that everything from `after + 1` to `through` was missed.
    pub(crate) fn miss(&self, after: u64, through: u64) {
        if after < through && self.any.load(Ordering::Acquire) {
            self.all.lock().retain(|listener| listener.miss(after, through));
        }
    }

    fn add(&self, listener: Listener) {
        self.any.store(true, Ordering::Release);
        self.all.lock().push(listener);
    }

    /// Nothing more is told; what waits can still be received.
    pub(crate) fn end(&self) {
        if self.any.load(Ordering::Acquire) {
            self.all.lock().clear();
        }
    }
}

/// The changes of a record, one for each series; `None` for those that nobody wants.
struct Drafting<'a> {
    state: &'a State,
    changes: Vec<(u32, Option<Change>)>,
}

impl Drafting<'_> {
    fn add(&mut self, effect: &Effect, wanted: &dyn Fn(&SeriesKey) -> bool) {
        match effect {
            Effect::Source { .. } => {}
            Effect::Define { series, instrument, frame, schema } => {
                let key = SeriesKey::recorded(instrument, frame);
                if let Some(change) = self.change(*series, key, wanted) {
                    change.rows = Rows::empty(schema.columns.clone());
                    change.schema = Some(Arc::new(schema.clone()));
                    change.defined = true;
                }
            }
            Effect::Drop { series } => {
                if let Some(change) = self.change(*series, None, wanted) {
                    (change.schema, change.defined) = (None, true);
                }
            }
            Effect::Rows { series, rows } => {
                if let Some(change) = self.change(*series, None, wanted)
                    && let Some(schema) = &change.schema
                {
                    change.rows = project(rows, schema);
                }
            }
            Effect::Mark { series, mark } => {
                let change = self.change(*series, None, wanted);
                if let Some(change) = change.filter(|_| mark.kind == MarkKind::Delete) {
                    change.deleted.push(mark.start..mark.end);
                }
            }
        }
    }

    fn change(
        &mut self,
        id: u32,
        key: Option<SeriesKey>,
        wanted: &dyn Fn(&SeriesKey) -> bool,
    ) -> Option<&mut Change> {
        let at = self.changes.iter().rposition(|(known, _)| *known == id).unwrap_or_else(|| {
            let series = self.state.series(id);
            let key = key.or_else(|| series.map(|series| (*series.key).clone()));
            let schema = series.and_then(|series| series.schema_at(self.state.version).cloned());
            let change = key.filter(wanted).map(|key| Change {
                key,
                rows: Rows::empty(schema.as_ref().map_or_else(Vec::new, |schema| schema.columns.clone())),
                schema,
                defined: false,
                deleted: Vec::new(),
            });
            self.changes.push((id, change));
            self.changes.len() - 1
        });
        self.changes[at].1.as_mut()
    }
}

/// The receiving end. Dropping it ends the subscription; when the last handle of the store goes, what waits can still
/// be received, then the end is reported.
#[derive(Debug)]
pub struct Subscription {
    since: u64,
    receiver: Receiver<Notice>,
}

impl Subscription {
    /// The version that was visible when it began: the first event is behind it.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// [`RecvError`] once the store was closed and everything was received.
    pub fn recv(&self) -> std::result::Result<Event, RecvError> {
        self.receiver.recv().map(Notice::event)
    }

    /// The next event, if there is one.
    ///
    /// # Errors
    /// Whether there is none yet, or none any more.
    pub fn try_recv(&self) -> std::result::Result<Event, TryRecvError> {
        self.receiver.try_recv().map(Notice::event)
    }

    /// Waits for the next event, but not longer than this.
    ///
    /// # Errors
    /// Whether there is none yet, or none any more.
    pub fn recv_timeout(&self, timeout: Duration) -> std::result::Result<Event, RecvTimeoutError> {
        self.receiver.recv_timeout(timeout).map(Notice::event)
    }

    /// The channel itself, to wait for several with `crossbeam`'s `select!`. Each notice is opened by
    /// [`Notice::event`]; one that is dropped unopened is lost.
    pub fn receiver(&self) -> &Receiver<Notice> {
        &self.receiver
    }
}

impl Iterator for Subscription {
    type Item = Event;

    /// Waits; `None` once the store was closed and everything was received.
    fn next(&mut self) -> Option<Event> {
        self.recv().ok()
    }
}

impl Store {
    /// Subscribes to the commits that follow, as far as they touch series that pass the filter. See [`crate::live`].
    ///
    /// On a handle that writes, waits until what others are committing this moment is durable, so that
    /// [`Subscription::since`] is exact. A handle that only reads tells of commits when [`Store::refresh`] sees them;
    /// where it has to begin again from the manifest (the writer sealed, or was started anew), it reports them as
    /// missed.
    ///
    /// # Errors
    /// [`Error::Usage`] for bounds of zero; [`Error::Poisoned`] after a failed write.
    pub fn subscribe(&self, filter: Filter, bounds: Bounds) -> Result<Subscription> {
        if bounds.commits == 0 || bounds.bytes == 0 {
            return Err(Error::Usage(
                "a subscription that may hold nothing gets nothing; give it a bound above 0".into(),
            ));
        }
        let (sender, receiver) = bounded(bounds.commits.saturating_add(1));
        let listener = Listener { filter, bounds, sender, waiting: Arc::default() };
        let shared: &Shared = &self.shared;
        // Nothing becomes visible while either lock is held.
        let since = match &shared.role {
            Role::Writer(role) => {
                let _quiet = role.pipeline.quiesce(shared)?;
                shared.listeners.add(listener);
                shared.published.read().version
            }
            Role::Reader(role) => {
                let _still = role.lock();
                shared.listeners.add(listener);
                shared.published.read().version
            }
        };
        Ok(Subscription { since, receiver })
    }
}
