//! The commit pipeline: transactions are staged one after another, written and synced together.
//!
//! # Invariants
//! - P1. The state staged last (`head`) is what the next transaction sees; the state published is what readers see.
//!   `head` is ahead of it only while frames are on their way to the disk (I12).
//! - P2. Whoever finds nobody writing writes for all: one write and one sync for every commit that waits.
//! - P3. After a failed write or sync, or a panic in the midst of work on files, nothing is acknowledged any more (I8); what was
//!   published stays readable.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::Arc;

use tapestore_format::limits::RECORD_BYTES;
use tapestore_format::wal::{KIND_TRANSACTION, TransactionRecord};

use crate::apply::apply;
use crate::error::{Error, Result};
use crate::io::StorageFile;
use crate::live::Draft;
use crate::options::Durability;
use crate::stage::Stage;
use crate::state::State;
use crate::store::Shared;
use crate::sync::{Condvar, Mistake, Mutex, MutexGuard, caught, mistaken};
use crate::transaction::{CommitReport, Transaction};
use crate::wal::{LogWriter, Visible, log_name};

/// Frames held back by volatile commits, in bytes, before they are handed to the operating system all the same.
const HELD_BACK_BYTES: usize = 4 << 20;

/// What only the writer of a store has.
#[derive(Debug)]
pub(crate) struct Pipeline {
    inner: Mutex<Inner>,
    /// Signalled when a flush ends, when sealing made room, and when the pipeline is poisoned.
    changed: Condvar,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// Newest staged state (P1).
    pub(crate) head: Arc<State>,
    pub(crate) log: LogWriter,
    /// Frames not yet written; they belong at `pending_at` of the log.
    pending: Vec<u8>,
    pending_at: u64,
    flushing: bool,
    /// Versions up to here are written, synced.
    written: u64,
    durable: u64,
    /// Frames up to this sequence number are synced.
    durable_sequence: u64,
    /// The newest version for which someone waits to be synced.
    sync_wanted: u64,
    pub(crate) poisoned: Option<String>,
    /// Which filling of the memtable new layers belong to.
    pub(crate) generation: u64,
    /// Bytes of the layers of this and of earlier, unsealed generations.
    pub(crate) memtable_bytes: usize,
    visible: Arc<dyn StorageFile>,
    /// What `visible` says, or would if it could be written: the end of what was acknowledged.
    pub(crate) shown: Visible,
    /// Commits of which subscribers are told once they are visible.
    untold: VecDeque<Draft>,
}

impl Pipeline {
    pub(crate) fn new(
        head: Arc<State>,
        log: LogWriter,
        visible: Arc<dyn StorageFile>,
        memtable_bytes: usize,
    ) -> Self {
        let inner = Inner {
            written: head.version,
            durable: head.version,
            durable_sequence: log.frames.next_sequence() - 1,
            sync_wanted: 0,
            pending: Vec::new(),
            pending_at: log.frames.offset(),
            flushing: false,
            poisoned: None,
            generation: 1,
            memtable_bytes,
            head,
            shown: Visible { log: log.id, end: log.frames.offset() },
            log,
            visible,
            untold: VecDeque::new(),
        };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Commits a transaction; returns when it is as durable as asked.
    pub(crate) fn commit(
        &self,
        shared: &Shared,
        transaction: Transaction,
        durability: Durability,
    ) -> Result<CommitReport> {
        let mut inner = self.room(shared)?;
        let stage = Stage {
            head: &inner.head,
            catalog: &shared.catalog,
            cache: &shared.cache,
            now: shared.storage.now_ns(),
        };
        let (record, report) = stage.run(transaction)?;
        if let Some(record) = record {
            Self::push(shared, &mut inner, record)?;
        }
        self.settle(shared, inner, durability)?;
        Ok(report)
    }

    /// Commits a finished record; `make` gives it from the newest staged state.
    pub(crate) fn commit_record(
        &self,
        shared: &Shared,
        durability: Durability,
        make: impl FnOnce(&State) -> Result<Option<TransactionRecord>>,
    ) -> Result<u64> {
        let mut inner = self.room(shared)?;
        if let Some(record) = make(&inner.head)? {
            Self::push(shared, &mut inner, record)?;
        }
        let version = inner.head.version;
        self.settle(shared, inner, durability)?;
        Ok(version)
    }

    /// Waits while sealing is far behind.
    fn room(&self, shared: &Shared) -> Result<MutexGuard<'_, Inner>> {
        let mut inner = self.inner.lock();
        loop {
            inner.check()?;
            let full = inner.memtable_bytes > 2 * shared.options.memtable_bytes && !shared.is_cramped();
            if !full || !shared.wake_sealer() {
                return Ok(inner);
            }
            self.changed.wait_for(&mut inner, std::time::Duration::from_millis(100));
        }
    }

    fn push(shared: &Shared, inner: &mut Inner, record: TransactionRecord) -> Result<()> {
        let bytes = record.encode();
        check_length(bytes.len())?;
        let draft = shared.listeners.draft(&inner.head, &record);
        let (head, added) = apply(&inner.head, &shared.catalog, record, inner.generation)?;
        let Inner { log, pending, durable_sequence, .. } = &mut *inner;
        log.frames.push(KIND_TRANSACTION, &bytes, *durable_sequence, pending);
        inner.head = Arc::new(head);
        inner.memtable_bytes += added;
        inner.untold.extend(draft);
        Ok(())
    }

    /// Waits until everything staged so far is as durable as asked, then lets sealing begin if it is time.
    fn settle<'a>(
        &'a self,
        shared: &Shared,
        mut inner: MutexGuard<'a, Inner>,
        durability: Durability,
    ) -> Result<()> {
        let version = inner.head.version;
        let held_back = inner.pending.len() <= HELD_BACK_BYTES;
        let alone = !inner.flushing && inner.sync_wanted <= inner.durable;
        if durability == Durability::Volatile && held_back && alone {
            let head = inner.head.clone();
            inner.publish(shared, head);
        } else {
            inner = self.flush_to(shared, inner, version, durability == Durability::Durable)?;
        }
        let full = inner.memtable_bytes > shared.options.memtable_bytes && !shared.is_cramped();
        drop(inner);
        if full && !shared.wake_sealer() {
            shared.seal()?;
        }
        Ok(())
    }

    /// Writes, and syncs if asked, everything up to `version` (P2).
    fn flush_to<'a>(
        &'a self,
        shared: &Shared,
        mut inner: MutexGuard<'a, Inner>,
        version: u64,
        sync: bool,
    ) -> Result<MutexGuard<'a, Inner>> {
        if sync {
            inner.sync_wanted = inner.sync_wanted.max(version);
        }
        loop {
            let reached = if sync { inner.durable } else { inner.written };
            if reached >= version {
                return Ok(inner);
            }
            inner.check()?;
            if inner.flushing {
                self.changed.wait(&mut inner);
                continue;
            }
            inner = self.flush(shared, inner)?;
        }
    }

    /// Writes all pending frames; syncs if someone waits for that.
    fn flush<'a>(
        &'a self,
        shared: &Shared,
        mut inner: MutexGuard<'a, Inner>,
    ) -> Result<MutexGuard<'a, Inner>> {
        inner.flushing = true;
        let frames = std::mem::take(&mut inner.pending);
        let at = inner.pending_at;
        inner.pending_at += frames.len() as u64;
        let head = inner.head.clone();
        let last_sequence = inner.log.frames.next_sequence() - 1;
        let sync = inner.sync_wanted > inner.durable;
        let (file, log) = (inner.log.file.clone(), inner.log.id);
        if mistaken(Mistake::AcknowledgeBeforeSync) {
            inner.durable = head.version;
        }
        if mistaken(Mistake::PublishBeforeSync) {
            shared.publish(head.clone());
        }
        drop(inner);
        let end = at + frames.len() as u64;
        let result = caught(|| {
            self.guard(|| {
                file.write_at(at, &frames).map_err(|error| ("writing", error))?;
                if sync { file.sync_data().map_err(|error| ("syncing", error)) } else { Ok(()) }
            })
        });
        let mut inner = self.inner.lock();
        inner.flushing = false;
        if !mistaken(Mistake::LoseWakeUp) {
            self.changed.notify_all();
        }
        // A panic has poisoned this already.
        if let Err((action, error)) = result.unwrap_or_else(|panic| resume_unwind(panic)) {
            let error = Error::io(action, shared.storage.describe(&log_name(log)), error);
            if !mistaken(Mistake::GoOnAfterFailure) {
                inner.poisoned = Some(error.to_string());
            }
            return Err(error);
        }
        inner.written = head.version;
        if sync {
            inner.durable = head.version;
            inner.durable_sequence = last_sequence;
        }
        inner.publish(shared, head);
        // The hint is for followers; without it they see this commit with the next one.
        inner.shown = Visible { log, end };
        let _ = inner.visible.write_at(0, &inner.shown.encode(shared.store));
        Ok(inner)
    }

    /// Everything staged so far is durable and published, and nobody is writing, when this returns the lock.
    pub(crate) fn quiesce<'a>(&'a self, shared: &Shared) -> Result<MutexGuard<'a, Inner>> {
        let mut inner = self.inner.lock();
        loop {
            inner.check()?;
            let version = inner.head.version;
            inner = self.flush_to(shared, inner, version, true)?;
            // Others may have come meanwhile.
            if inner.head.version == inner.durable {
                debug_assert!(!inner.flushing && inner.pending.is_empty(), "all of it is durable");
                let head = inner.head.clone();
                inner.publish(shared, head);
                return Ok(inner);
            }
        }
    }

    /// The lock, at a moment at which nobody is writing.
    pub(crate) fn lock_idle(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock();
        while inner.flushing {
            self.changed.wait(&mut inner);
        }
        inner
    }

    /// Tells waiting commits that something changed.
    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Accepts nothing more (P3).
    pub(crate) fn poison(&self, cause: &impl ToString) {
        let mut inner = self.inner.lock();
        inner.poisoned.get_or_insert_with(|| cause.to_string());
        self.changed.notify_all();
    }

    /// Does work of which nobody knows what a panic leaves behind (I8): it goes on to the caller, and nothing more is accepted.
    pub(crate) fn guard<T>(&self, work: impl FnOnce() -> T) -> T {
        caught(work).unwrap_or_else(|panic| {
            self.poison(&format!("a panic: {}", message(&*panic)));
            resume_unwind(panic)
        })
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("it says nothing")
}

/// Refuses a transaction whose record no reader would put together.
fn check_length(bytes: usize) -> Result<()> {
    if bytes > RECORD_BYTES {
        return Err(Error::Limit(format!("a transaction of {bytes} bytes; commit it in pieces")));
    }
    Ok(())
}

impl Inner {
    pub(crate) fn check(&self) -> Result<()> {
        match &self.poisoned {
            None => Ok(()),
            Some(cause) => Err(Error::Poisoned { cause: cause.clone() }),
        }
    }

    /// Shows a state to readers, then tells subscribers of what is new in it (L1).
    fn publish(&mut self, shared: &Shared, state: Arc<State>) {
        let version = state.version;
        shared.publish(state);
        shared.listeners.tell(&mut self.untold, version);
    }

    /// Goes on in a new log. Only when quiet: see [`Pipeline::quiesce`].
    pub(crate) fn switch_log(&mut self, shared: &Shared, log: LogWriter) {
        self.pending_at = log.frames.offset();
        self.durable_sequence = log.frames.next_sequence() - 1;
        self.shown = Visible { log: log.id, end: log.frames.offset() };
        self.log = log;
        self.generation += 1;
        let _ = self.visible.write_at(0, &self.shown.encode(shared.store));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_may_be_as_long_as_a_record_and_no_longer() {
        check_length(0).unwrap();
        check_length(RECORD_BYTES).unwrap();
        let error = check_length(RECORD_BYTES + 1).unwrap_err().to_string();
        assert!(error.contains("2147483649 bytes; commit it in pieces"), "{error}");
    }
}
