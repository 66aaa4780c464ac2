//! The budget of a source: what all its requests together may weigh.
//!
//! A limiter of the kind of [`governor`] lets a burst through and then a steady rate. In any minute it passes at most
//! burst + rate; so both are taken out of the allowance of a minute, and the sum never exceeds it (F4).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

use crate::clock::{Clock, Stop};
use crate::error::{Error, Result};

/// The part of a minute's allowance that may go at once.
const BURST_PART: u32 = 10;
/// From which share of its allowance a source's own count makes us wait for the next minute: others use it, too.
const USED_PERCENT: u64 = 90;

#[derive(Clone, Debug)]
struct Ticks(Arc<dyn Clock>);

impl GovernorClock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A budget, shared by all threads that send to a source.
#[derive(Debug)]
pub struct Budget {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>,
    burst: u32,
    per_minute: u32,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing is sent before.
    held_until: Duration,
    spent: u64,
    /// The source asked to stay away for longer than anybody waits: seconds, and what it says.
    closed: Option<(String, u64, String)>,
}

impl Budget {
    /// A budget of `per_minute`, with requests that weigh at most `heaviest`.
    pub fn new(per_minute: u32, heaviest: u32, clock: Arc<dyn Clock>) -> Self {
        let per_minute = per_minute.max(2);
        let burst = (per_minute / BURST_PART).max(heaviest).clamp(1, per_minute - 1);
        let rate = NonZeroU32::new(per_minute - burst).expect("the burst is less than all");
        let quota = Quota::per_minute(rate).allow_burst(NonZeroU32::new(burst).expect("at least 1"));
        let limiter = RateLimiter::direct_with_clock(quota, Ticks(Arc::clone(&clock)));
        Self { limiter, burst, per_minute, clock, state: Mutex::default() }
    }

    /// Waits until a request of this weight may be sent.
    ///
    /// # Errors
    /// [`Error::Stopped`]; [`Error::Banned`] once it is closed.
    pub fn acquire(&self, weight: u32, stop: &Stop) -> Result<()> {
        let weight = NonZeroU32::new(weight.clamp(1, self.burst)).expect("at least 1");
        loop {
            if stop.is_stopped() {
                return Err(Error::Stopped);
            }
            let now = self.clock.elapsed();
            let held = {
                let state = self.state.lock();
                if let Some((source, seconds, reason)) = state.closed.clone() {
                    return Err(Error::Banned { source, seconds, reason });
                }
                state.held_until.saturating_sub(now)
            };
            if !held.is_zero() {
                self.clock.sleep(held, stop);
                continue;
            }
            match self.limiter.check_n(weight).expect("no request weighs more than the burst") {
                Ok(()) => {
                    self.state.lock().spent += u64::from(weight.get());
                    return Ok(());
                }
                Err(not_until) => self.clock.sleep(not_until.wait_time_from(now), stop),
            }
        }
    }

    /// Lets nothing through for this long.
    pub fn hold(&self, time: Duration) {
        let until = self.clock.elapsed() + time;
        let mut state = self.state.lock();
        state.held_until = state.held_until.max(until);
    }

    /// Lets nothing through any more, for whoever asks: the source wants to be left alone for so many seconds.
    pub fn close(&self, source: &str, seconds: u64, reason: &str) {
        self.state.lock().closed = Some((source.to_owned(), seconds, reason.to_owned()));
    }

    /// What the source says was used in this minute, by whomever. Near its limit, waits for the next one.
    pub fn told(&self, used: u64) {
        if used * 100 >= u64::from(self.per_minute) * USED_PERCENT {
            let into_minute = self.clock.now_ns().rem_euclid(tapestore::time::MINUTE_NS);
            let left = tapestore::time::MINUTE_NS - into_minute;
            self.hold(Duration::from_nanos(left.unsigned_abs()));
        }
    }

    /// What was spent since the beginning.
    pub fn spent(&self) -> u64 {
        self.state.lock().spent
    }

    /// What may be spent in a minute.
    pub fn per_minute(&self) -> u32 {
        self.per_minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;

    /// When each unit of weight went through.
    fn times(budget: &Budget, clock: &VirtualClock, weights: &[u32]) -> Vec<(Duration, u32)> {
        let stop = Stop::default();
        let send = |weight: &u32| {
            budget.acquire(*weight, &stop).unwrap();
            (clock.elapsed(), *weight)
        };
        weights.iter().map(send).collect()
    }

    #[test]
    fn no_minute_weighs_more_than_the_allowance() {
        let clock = Arc::new(VirtualClock::new(0));
        let budget = Budget::new(100, 10, clock.clone());
        let weights: Vec<u32> = (0..400).map(|turn| [2, 10, 1, 5][turn % 4]).collect();
        let sent = times(&budget, &clock, &weights);
        for (from, _) in &sent {
            let minute = sent.iter().filter(|(at, _)| at >= from && *at < *from + Duration::from_mins(1));
            let weight: u32 = minute.map(|sent| sent.1).sum();
            assert!(weight <= 100, "{weight} in the minute from {from:?}");
        }
        // And it is used: 1,800 at 90 a minute.
        assert!(clock.elapsed() < Duration::from_mins(21), "{:?}", clock.elapsed());
        assert_eq!(budget.spent(), 1800);
    }

    #[test]
    fn a_hold_and_the_count_of_the_source_are_waited_for() {
        let clock = Arc::new(VirtualClock::new(20 * tapestore::time::SECOND_NS));
        let budget = Budget::new(6000, 2, clock.clone());
        budget.hold(Duration::from_secs(7));
        budget.acquire(2, &Stop::default()).unwrap();
        assert_eq!(clock.elapsed(), Duration::from_secs(7));
        budget.told(5399);
        budget.acquire(2, &Stop::default()).unwrap();
        assert_eq!(clock.elapsed(), Duration::from_secs(7));
        budget.told(5400);
        budget.acquire(2, &Stop::default()).unwrap();
        assert_eq!(clock.elapsed(), Duration::from_secs(40), "27 s into the minute, 33 s are left");
    }

    #[test]
    fn a_stopped_run_waits_for_nothing() {
        let budget = Budget::new(10, 1, Arc::new(VirtualClock::new(0)));
        let stop = Stop::default();
        stop.stop();
        assert!(matches!(budget.acquire(1, &stop), Err(Error::Stopped)));
    }
}
