//! Doing what was planned: sources side by side, several instruments of a source at a time, a commit for each page.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tapestore::{ErrorClass, SeriesKey, Store};

use crate::budget::Budget;
use crate::clock::{Clock, Stop};
use crate::error::{Error, Result};
use crate::ledger::known_files;
use crate::page::{self, Target, Written};
use crate::plan::{Item, Piece, Plan};
use crate::retry::Line;
use crate::source::{Ask, Refusal, Source};
use crate::wire::Transport;

/// What a run needs beside its plan.
#[derive(Clone, Debug)]
pub struct Runner {
    /// Carries requests.
    pub transport: Arc<dyn Transport>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ends the run after the pages that are under way.
    pub stop: Stop,
    /// Instruments of a source at the same time; `None`: as the source suggests.
    pub concurrency: Option<usize>,
    /// Longest wait that a source may ask for.
    pub patience: Duration,
}

/// What happens in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A series is begun.
    Begun {
        /// The series.
        key: SeriesKey,
    },
    /// A page is committed.
    Page {
        /// The series.
        key: SeriesKey,
        /// Its source.
        source: String,
        /// What part of time it dealt with, nanoseconds since the Unix epoch, UTC.
        answered: Range<i64>,
        /// What it did.
        written: Written,
        /// Requests that it took.
        requests: u64,
        /// What the source was charged since the run began, and what it may be charged in a minute.
        budget: (u64, u32),
    },
    /// A request has to wait before it is sent again.
    Waiting {
        /// The series.
        key: SeriesKey,
        /// The source.
        source: String,
        /// Why.
        reason: String,
        /// For how long.
        time: Duration,
    },
    /// A series is done with.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// Who is told. Called from several threads, between requests: it should not take long.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

impl<F: Fn(&Event) + Sync> Observer for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

/// How a series ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The series.
    pub key: SeriesKey,
    /// Its source.
    pub source: String,
    /// Pages that were committed.
    pub pages: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// What the pages did together.
    pub written: Written,
    /// Why it did not get to its end; `None`: it did.
    pub error: Option<Arc<Error>>,
}

impl Outcome {
    fn begin(item: &Item) -> Self {
        Self {
            key: item.job.key.clone(),
            source: item.job.source.name().to_owned(),
            pages: 0,
            requests: 0,
            written: Written::default(),
            error: None,
        }
    }

    fn add(&mut self, written: &Written) {
        self.pages += 1;
        add(&mut self.written, written);
    }

    /// Whether it was ended by whoever asked for it.
    pub fn was_stopped(&self) -> bool {
        matches!(self.error.as_deref(), Some(Error::Stopped))
    }
}

fn add(sum: &mut Written, one: &Written) {
    sum.rows += one.rows;
    sum.absent += one.absent;
    sum.findings += one.findings;
    sum.commit.version = sum.commit.version.max(one.commit.version);
    sum.commit.changed |= one.commit.changed;
    sum.commit.added += one.commit.added;
    sum.commit.updated += one.commit.updated;
    sum.commit.unchanged += one.commit.unchanged;
    sum.commit.duplicates += one.commit.duplicates;
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// One for each series of the plan that had something missing, in the order of the plan.
    pub outcomes: Vec<Outcome>,
}

impl Summary {
    /// The sum over all series.
    pub fn written(&self) -> Written {
        let mut sum = Written::default();
        self.outcomes.iter().for_each(|outcome| add(&mut sum, &outcome.written));
        sum
    }

    /// Requests that were sent.
    pub fn requests(&self) -> u64 {
        self.outcomes.iter().map(|outcome| outcome.requests).sum()
    }

    /// Series that did not get to their end.
    pub fn failed(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.error.is_some())
    }
}

/// Does what was planned. One series that fails stops no other.
///
/// # Errors
/// Damage or failure of the store; what a source does is in the summary.
pub fn run(store: &Store, plan: &Plan, runner: &Runner, observer: &dyn Observer) -> Result<Summary> {
    let items: Vec<&Item> = plan.items.iter().filter(|item| !item.pieces.is_empty()).collect();
    let outcomes: Mutex<HashMap<SeriesKey, Outcome>> = Mutex::default();
    let fatal: Mutex<Option<Error>> = Mutex::default();
    std::thread::scope(|scope| -> Result<()> {
        for name in plan.sources() {
            let own: VecDeque<&Item> =
                items.iter().filter(|item| item.job.source.name() == name).copied().collect();
            let Some(first) = own.front() else { continue };
            let source = Arc::clone(&first.job.source);
            let manners = source.manners();
            let threads = runner.concurrency.unwrap_or(manners.concurrency).clamp(1, own.len());
            let clock = Arc::clone(&runner.clock);
            let budget = Arc::new(Budget::new(manners.weight_per_minute, heaviest(&own), clock));
            let files = Arc::new(known_files(&store.view(), name)?);
            let queue = Arc::new(Mutex::new(own));
            for _ in 0..threads {
                let (queue, budget, files) = (Arc::clone(&queue), Arc::clone(&budget), Arc::clone(&files));
                let (outcomes, fatal) = (&outcomes, &fatal);
                scope.spawn(move || {
                    loop {
                        let next = queue.lock().pop_front();
                        let Some(item) = next else { return };
                        let worker = Worker { store, runner, observer, budget: &budget, files: &files };
                        let outcome = worker.series(item);
                        if let Some(Error::Store(error)) = outcome.error.as_deref()
                            && is_fatal(error.kind())
                        {
                            let text = tapestore::Error::Poisoned { cause: error.to_string() };
                            fatal.lock().get_or_insert(Error::Store(text));
                            runner.stop.stop();
                        }
                        observer.event(&Event::Ended { outcome: outcome.clone() });
                        outcomes.lock().insert(outcome.key.clone(), outcome);
                    }
                });
            }
        }
        Ok(())
    })?;
    if let Some(error) = fatal.into_inner() {
        return Err(error);
    }
    let mut outcomes = outcomes.into_inner();
    let outcomes = items.iter().filter_map(|item| outcomes.remove(&item.job.key)).collect();
    Ok(Summary { outcomes })
}

/// Whether the store itself failed, and not what was asked of it.
fn is_fatal(class: ErrorClass) -> bool {
    use ErrorClass as C;
    matches!(class, C::Io | C::Locked | C::Corrupt | C::Newer | C::Foreign | C::ReadOnly | C::Poisoned)
}

/// The heaviest page of these.
fn heaviest(items: &VecDeque<&Item>) -> u32 {
    let reach = |item: &&Item| item.job.source.reach(item.job.key.frame()).ok();
    let weight = items.iter().filter_map(reach).map(|reach| reach.page_weight).max();
    weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1)
}

struct Worker<'a> {
    store: &'a Store,
    runner: &'a Runner,
    observer: &'a dyn Observer,
    budget: &'a Arc<Budget>,
    files: &'a HashMap<String, String>,
}

impl Worker<'_> {
    fn series(&self, item: &Item) -> Outcome {
        let mut outcome = Outcome::begin(item);
        self.observer.event(&Event::Begun { key: item.job.key.clone() });
        for piece in &item.pieces {
            if let Err(error) = self.piece(item, piece, &mut outcome) {
                outcome.error = Some(Arc::new(error));
                break;
            }
        }
        outcome
    }

    /// Asks for a piece, page by page, until nothing of it is left.
    fn piece(&self, item: &Item, piece: &Piece, outcome: &mut Outcome) -> Result<()> {
        let job = &item.job;
        let schema = job.source.schema(job.key.frame());
        let line = Line {
            source: Arc::clone(&job.source),
            transport: Arc::clone(&self.runner.transport),
            budget: Arc::clone(self.budget),
            clock: Arc::clone(&self.runner.clock),
            stop: self.runner.stop.clone(),
            patience: self.runner.patience,
        };
        let mut ask = Ask {
            symbol: job.symbol.clone(),
            frame: job.key.frame().clone(),
            range: piece.range.clone(),
            after_id: piece.after_id,
            before_id: piece.before_id,
            known_files: self.files.clone(),
            recheck: job.recheck,
            now_ns: 0,
        };
        while !ask.range.is_empty() {
            if self.runner.stop.is_stopped() {
                return Err(Error::Stopped);
            }
            ask.now_ns = self.runner.clock.now_ns();
            let on_wait = |reason: &str, time: Duration| {
                let (key, source) = (job.key.clone(), job.source.name().to_owned());
                self.observer.event(&Event::Waiting { key, source, reason: reason.to_owned(), time });
            };
            let (answer, requests) = line.ask(&ask, &on_wait);
            outcome.requests += requests;
            let mut page = answer?;
            refused(job.source.as_ref(), page::check(&ask, &mut page))?;
            let answered = page.answered.clone();
            let target = Target {
                store: self.store,
                key: &job.key,
                schema: &schema,
                source: job.source.name(),
                sessions: job.sessions.as_deref().map(Vec::as_slice),
            };
            let written = page::write(target, &ask, page)?;
            outcome.add(&written);
            let budget = (self.budget.spent(), self.budget.per_minute());
            let (key, source) = (job.key.clone(), job.source.name().to_owned());
            let event = Event::Page { key, source, answered: answered.clone(), written, requests, budget };
            self.observer.event(&event);
            ask.after_id = written.last_id.or(ask.after_id);
            ask.range = rest(&ask.range, &answered);
        }
        Ok(())
    }
}

fn refused(source: &dyn Source, checked: std::result::Result<(), Refusal>) -> Result<()> {
    checked.map_err(|refusal| match refusal {
        Refusal::Other(reason) | Refusal::Broken(reason) => {
            Error::Refused { source: source.name().to_owned(), reason }
        }
    })
}

/// What is left of a range of which the beginning, the end or all is answered.
fn rest(range: &Range<i64>, answered: &Range<i64>) -> Range<i64> {
    if answered.start == range.start { answered.end..range.end } else { range.start..answered.start }
}
