//! Time: of the machine, or of a test, in which waiting takes none.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often a wait looks whether it was stopped.
const LOOK: Duration = Duration::from_millis(50);

/// Tells a run to end. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A stop that follows a flag that others set, such as a handler of signals.
    pub fn following(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Ends the run after the pages that are under way.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was told.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A clock that can be waited on.
pub trait Clock: Send + Sync + Debug {
    /// Wall clock: nanoseconds since the Unix epoch, UTC.
    fn now_ns(&self) -> i64;
    /// Time since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;
    /// Waits; returns early when stopped.
    fn sleep(&self, time: Duration, stop: &Stop);
}

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration, stop: &Stop) {
        let until = Instant::now() + time;
        while !stop.is_stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

/// A clock that stands still but for waits, each of which moves it to its end at once.
#[derive(Debug)]
pub struct VirtualClock {
    start_ns: i64,
    passed: Mutex<Duration>,
}

impl VirtualClock {
    /// A clock that shows `start_ns`, nanoseconds since the Unix epoch, UTC.
    pub fn new(start_ns: i64) -> Self {
        Self { start_ns, passed: Mutex::default() }
    }

    /// Moves it on.
    pub fn advance(&self, time: Duration) {
        *self.passed.lock() += time;
    }
}

impl Clock for VirtualClock {
    fn now_ns(&self) -> i64 {
        let passed = i64::try_from(self.passed.lock().as_nanos()).unwrap_or(i64::MAX);
        self.start_ns.saturating_add(passed)
    }

    fn elapsed(&self) -> Duration {
        *self.passed.lock()
    }

    fn sleep(&self, time: Duration, _: &Stop) {
        let until = self.elapsed() + time;
        let mut passed = self.passed.lock();
        *passed = until.max(*passed);
    }
}
