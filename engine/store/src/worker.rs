//! The background threads of a writer: one seals, one compacts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::compact::{self, Scope};
use crate::store::{Shared, seal_role};

/// Requests to the threads. Requests melt together: a channel holds at most one.
#[derive(Debug)]
pub(crate) struct Worker {
    seal: Option<Sender<()>>,
    compact: Option<Sender<()>>,
    receivers: Mutex<Option<(Receiver<()>, Receiver<()>)>>,
    /// Requests not finished yet.
    busy: AtomicUsize,
    pub(crate) paused: AtomicBool,
    stopping: AtomicBool,
}

impl Worker {
    pub(crate) fn new(background: bool) -> Self {
        let off = Self {
            seal: None,
            compact: None,
            receivers: Mutex::new(None),
            busy: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        };
        if !background {
            return off;
        }
        let ((seal, seals), (compact, compacts)) = (bounded(1), bounded(1));
        Self {
            seal: Some(seal),
            compact: Some(compact),
            receivers: Mutex::new(Some((seals, compacts))),
            ..off
        }
    }

    /// Asks for sealing; `false` if there is no thread for it.
    pub(crate) fn wake_sealer(&self) -> bool {
        self.wake(self.seal.as_ref())
    }

    /// Asks for compaction, if there is a thread for it.
    pub(crate) fn wake_compactor(&self) -> bool {
        self.wake(self.compact.as_ref())
    }

    fn wake(&self, channel: Option<&Sender<()>>) -> bool {
        let Some(channel) = channel.filter(|_| !self.stopping.load(Ordering::Acquire)) else { return false };
        self.busy.fetch_add(1, Ordering::AcqRel);
        if channel.try_send(()).is_err() {
            self.busy.fetch_sub(1, Ordering::AcqRel);
        }
        true
    }

    /// Called by compaction between pieces of work: waits while it is paused.
    pub(crate) fn breathe(&self) {
        while self.paused.load(Ordering::Acquire) && !self.stopping.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until no request is open.
    pub(crate) fn wait_idle(&self) {
        while self.busy.load(Ordering::Acquire) > 0 && !self.paused.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts the threads, if there are to be any.
    pub(crate) fn start(shared: &Arc<Shared>, worker: &Self) -> Vec<JoinHandle<()>> {
        let Some((seals, compacts)) = worker.receivers.lock().take() else { return Vec::new() };
        let spawn = |name: &str, requests: Receiver<()>, work: fn(&Shared)| {
            let shared = shared.clone();
            let body = move || run(&shared, &requests, work);
            std::thread::Builder::new().name(name.to_owned()).spawn(body).expect("the system gives threads")
        };
        // Failures poison the pipeline and are told by the next commit.
        vec![
            spawn("tape-seal", seals, |shared| {
                let _ = shared.seal();
            }),
            spawn("tape-compact", compacts, |shared| {
                if let Some(role) = seal_role(shared) {
                    let _ = compact::compact(shared, role, Scope::Due);
                }
            }),
        ]
    }

    /// Lets the threads end after what they are doing.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

fn run(shared: &Shared, requests: &Receiver<()>, work: fn(&Shared)) {
    let Some(role) = seal_role(shared) else { return };
    loop {
        match requests.recv_timeout(Duration::from_millis(20)) {
            Ok(()) => {
                work(shared);
                role.worker.busy.fetch_sub(1, Ordering::AcqRel);
            }
            Err(_) if role.worker.stopping.load(Ordering::Acquire) => return,
            Err(_) => {}
        }
    }
}
