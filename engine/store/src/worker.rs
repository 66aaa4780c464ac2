//! The background threads of a writer: one seals, one compacts.
//!
//! # Invariants
//! - B1. A request made while its thread works is answered by another round: nothing asked for is forgotten. Requests
//!   that nobody has begun melt together.
//! - B2. A thread ends only with no request open: nobody waits for ever, also not after a panic.

use std::sync::Arc;

use crate::compact;
use crate::store::{Shared, seal_role};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex, caught};

/// Requests to the threads.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Whether there are threads.
    background: bool,
    requests: Mutex<Requests>,
    /// Signalled whenever `requests` changes.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Requests {
    seal: Request,
    compact: Request,
    paused: bool,
    stopping: bool,
}

#[derive(Debug, Default)]
struct Request {
    asked: bool,
    working: bool,
}

impl Request {
    fn is_open(&self) -> bool {
        self.asked || self.working
    }
}

/// Which of the two threads.
type Which = fn(&mut Requests) -> &mut Request;

const SEAL: Which = |requests| &mut requests.seal;
const COMPACT: Which = |requests| &mut requests.compact;

impl Worker {
    pub(crate) fn new(background: bool) -> Self {
        Self { background, requests: Mutex::new(Requests::default()), changed: Condvar::new() }
    }

    /// Asks for sealing; `false` if there is no thread for it.
    pub(crate) fn wake_sealer(&self) -> bool {
        self.wake(SEAL)
    }

    /// Asks for compaction, if there is a thread for it.
    pub(crate) fn wake_compactor(&self) -> bool {
        self.wake(COMPACT)
    }

    fn wake(&self, which: Which) -> bool {
        if !self.background {
            return false;
        }
        let mut requests = self.requests.lock();
        if requests.stopping {
            return false;
        }
        which(&mut requests).asked = true;
        self.changed.notify_all();
        true
    }

    /// Called by compaction between pieces of work: waits while it is paused.
    pub(crate) fn breathe(&self) {
        let mut requests = self.requests.lock();
        while requests.paused && !requests.stopping {
            self.changed.wait(&mut requests);
        }
    }

    /// Whether the threads are to end as soon as they can.
    pub(crate) fn is_stopping(&self) -> bool {
        self.requests.lock().stopping
    }

    /// Holds compaction at its next step, or lets it go on.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.requests.lock().paused = paused;
        self.changed.notify_all();
    }

    /// Waits until no request is open.
    pub(crate) fn wait_idle(&self) {
        let mut requests = self.requests.lock();
        while (requests.seal.is_open() || requests.compact.is_open()) && !requests.paused {
            self.changed.wait(&mut requests);
        }
    }

    /// Starts the threads, if there are to be any.
    pub(crate) fn start(shared: &Arc<Shared>, worker: &Self) -> Vec<JoinHandle<()>> {
        if !worker.background {
            return Vec::new();
        }
        let spawn = |name: &str, which: Which, work: fn(&Shared)| {
            let shared = shared.clone();
            thread::spawn(name, move || {
                if let Some(role) = seal_role(&shared) {
                    // A panic is told by the next commit, as a failure is, and by whoever waits.
                    let guarded = || role.pipeline.guard(|| work(&shared));
                    role.worker.serve(which, || drop(caught(guarded)));
                }
            })
        };
        // A failed write poisons the pipeline and is told by the next commit. A compaction that found no space is tried
        // again after the next seal, and so is one that found damage, which whoever reads the rows is told as well.
        vec![
            spawn("tape-seal", SEAL, |shared| {
                let _ = shared.seal();
            }),
            spawn("tape-compact", COMPACT, |shared| {
                if let Some(role) = seal_role(shared) {
                    let _ = compact::in_background(shared, role);
                }
            }),
        ]
    }

    /// The life of a thread: does what is asked for until it is told to stop (B1, B2).
    fn serve(&self, which: Which, work: impl Fn()) {
        let mut requests = self.requests.lock();
        loop {
            let request = which(&mut requests);
            if request.asked {
                *request = Request { asked: false, working: true };
                drop(requests);
                work();
                requests = self.requests.lock();
                which(&mut requests).working = false;
                self.changed.notify_all();
            } else if requests.stopping {
                return;
            } else {
                self.changed.wait(&mut requests);
            }
        }
    }

    /// Lets the threads end after what they are doing.
    pub(crate) fn stop(&self) {
        self.requests.lock().stopping = true;
        self.changed.notify_all();
    }
}
