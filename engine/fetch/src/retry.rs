//! Sending with manners: within the budget, again after what passes, not at all after what does not.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::budget::Budget;
use crate::clock::{Clock, Stop};
use crate::error::{Error, Result};
use crate::source::{Ask, Page, Refusal, Source, Step, Verdict};
use crate::wire::{Reply, Transport};

/// How often a request is sent at most.
pub const ATTEMPTS: u32 = 6;
/// First wait; each is twice the one before, and up to as much again by chance.
pub const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait, before chance.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Who is told about waits.
pub type OnWait<'a> = &'a (dyn Fn(&str, Duration) + Sync);

/// Everything that asking a source takes.
#[derive(Debug)]
pub struct Line {
    /// Who is asked.
    pub source: Arc<dyn Source>,
    /// Who carries it.
    pub transport: Arc<dyn Transport>,
    /// What it may weigh.
    pub budget: Arc<Budget>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ends it.
    pub stop: Stop,
    /// Longest wait that the source may ask for.
    pub patience: Duration,
}

impl Line {
    /// Asks until the question is answered. The second value counts the requests that were sent.
    pub fn ask(&self, ask: &Ask, on_wait: OnWait<'_>) -> (Result<Page>, u64) {
        let mut sent = 0;
        (self.answer(ask, on_wait, &mut sent), sent)
    }

    fn answer(&self, ask: &Ask, on_wait: OnWait<'_>, sent: &mut u64) -> Result<Page> {
        let mut replies: Vec<Reply> = Vec::new();
        let mut attempts = Attempts::new();
        loop {
            match self.source.step(ask, &replies) {
                Ok(Step::Done(page)) => return Ok(*page),
                Ok(Step::Send(request)) => {
                    self.budget.acquire(request.weight, &self.stop)?;
                    *sent += 1;
                    let verdict = match self.transport.send(&request) {
                        Ok(reply) => {
                            self.heed(&reply);
                            let verdict = self.source.verdict(&reply);
                            replies.push(reply);
                            verdict
                        }
                        Err(error) if error.passes => {
                            Verdict::Passing { reason: error.reason, after_s: None, crowded: false }
                        }
                        Err(error) => Verdict::Final(error.reason),
                    };
                    match verdict {
                        Verdict::Fine => {}
                        Verdict::Final(reason) => {
                            return Err(Error::Declined { source: self.name(), reason });
                        }
                        Verdict::Passing { reason, after_s, crowded } => {
                            if replies.last().is_some_and(|reply| self.source.verdict(reply) != Verdict::Fine)
                            {
                                replies.pop();
                            }
                            self.wait(&mut attempts, &reason, after_s, crowded, on_wait)?;
                        }
                    }
                }
                Err(Refusal::Broken(reason)) => {
                    replies.pop();
                    self.wait(&mut attempts, &reason, None, false, on_wait)?;
                }
                Err(Refusal::Other(reason)) => return Err(Error::Refused { source: self.name(), reason }),
            }
        }
    }

    fn name(&self) -> String {
        self.source.name().to_owned()
    }

    /// Takes note of what the source counts.
    fn heed(&self, reply: &Reply) {
        let header = self.source.manners().used_header;
        if let Some(used) = header.and_then(|name| reply.header(name)).and_then(|used| used.parse().ok()) {
            self.budget.told(used);
        }
    }

    fn wait(
        &self,
        attempts: &mut Attempts,
        reason: &str,
        after_s: Option<u64>,
        crowded: bool,
        on_wait: OnWait<'_>,
    ) -> Result<()> {
        let Some(backoff) = attempts.next() else {
            let (source, reason) = (self.name(), reason.to_owned());
            return Err(Error::GaveUp { source, attempts: ATTEMPTS, reason });
        };
        let time = match after_s {
            Some(seconds) if Duration::from_secs(seconds) > self.patience => {
                self.budget.close(self.source.name(), seconds, reason);
                return Err(Error::Banned { source: self.name(), seconds, reason: reason.to_owned() });
            }
            Some(seconds) => Duration::from_secs(seconds),
            None => backoff,
        };
        on_wait(reason, time);
        if crowded || after_s.is_some() {
            // All threads of the source wait: the next one takes its place in the budget after that.
            self.budget.hold(time);
        } else {
            self.clock.sleep(time, &self.stop);
        }
        if self.stop.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }
}

/// The waits that are left.
struct Attempts(ExponentialBackoff);

impl Attempts {
    fn new() -> Self {
        let waits = ExponentialBuilder::default()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(ATTEMPTS as usize - 1)
            .with_jitter();
        Self(waits.build())
    }

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}
