//! Locks, condition variables, atomics and threads, as the engine uses them.
//!
//! Normally those of `parking_lot` and of the standard library, under their own names. Built with `--cfg loom` or
//! `--cfg shuttle` they are those of the model checkers, which then decide who runs when: `tests/sync` runs the engine
//! itself, not a copy of its algorithms, under every schedule (loom) or many random ones (shuttle).
//!
//! A model has no clock: [`Condvar::wait_for`] never times out there, so whatever needs its time-out to get on is
//! reported as a deadlock, and [`thread::sleep`] lets others go first.
//!
//! Not here: `Arc`, `Weak` and `OnceLock`, which are the standard library's everywhere. Nobody waits for them, and a
//! state that they hand over never changes (T1).

#[cfg(any(loom, shuttle))]
mod model;
#[cfg(any(loom, shuttle))]
pub(crate) use model::{Condvar, Mutex, MutexGuard, RwLock, atomic, thread};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::atomic;

/// Threads of the engine.
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod thread {
    pub(crate) use std::thread::{JoinHandle, sleep};

    /// Starts a named thread.
    ///
    /// # Panics
    /// The system has no thread left.
    pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        std::thread::Builder::new().name(name.to_owned()).spawn(body).expect("the system gives threads")
    }
}

/// Runs `work`; a panic ends it, not the thread. Models see every panic themselves.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    // Whoever calls this says what a panic leaves behind.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
}

/// Runs `work`.
#[cfg(any(loom, shuttle))]
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    Ok(work())
}

/// A mistake of the kind that the models are there to find. They put one in at a time, to show that they would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(any(loom, shuttle)), expect(unreachable_pub, reason = "public where there are models"))]
pub enum Mistake {
    /// A flush counts as synced before the sync.
    AcknowledgeBeforeSync,
    /// Readers see a commit while its frames are on their way to the disk.
    PublishBeforeSync,
    /// The end of a flush wakes nobody.
    LoseWakeUp,
    /// A failed flush does not poison the pipeline.
    GoOnAfterFailure,
    /// The files that a step makes obsolete are removed before the step counts.
    RemoveBeforeStep,
    /// A file that could not be mapped is missing, even if another thread has mapped it meanwhile.
    MapOnlyOnce,
    /// A follower takes its lease after it has read what counts.
    LeaseTooLate,
    /// A follower that moves on lets go of files that its older views still need.
    LeaseMovesTooSoon,
    /// Sealed layers are replaced in the published state by what they were when sealing began.
    SwapForgetsCommits,
}

/// Whether this mistake is to be made. Never, but in a model that asks for it.
#[cfg(not(any(loom, shuttle)))]
pub(crate) const fn mistaken(_: Mistake) -> bool {
    false
}

#[cfg(any(loom, shuttle))]
pub use model::make;
#[cfg(any(loom, shuttle))]
pub(crate) use model::mistaken;
