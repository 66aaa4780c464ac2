//! What is missing, and what it costs to get it: expected, less covered, less confirmed absent.
//!
//! Everything comes from the gap index and the marks of the store; no price is read, nothing is sent. Holes that one
//! page covers together are asked for together: the bars between them come along at no cost, and are compared.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use tapestore::time::DAY_NS;
use tapestore::{ColumnType, Error as StoreError, Frame, SeriesKey, Timeframe, View};
use tapestore_query::Sessions;

use crate::error::Result;
use crate::source::{Reach, Source, slots};

/// Bars before the end of what is there that are read again with what follows, and compared.
pub const OVERLAP_BARS: i64 = 2;
/// How far back a series begins that nobody said anything of: five years of 365 days.
pub const FIRST_SYNC_NS: i64 = 5 * 365 * DAY_NS;

/// A series to be kept current.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where it comes from.
    pub source: Arc<dyn Source>,
    /// Its name there.
    pub symbol: String,
    /// Its name here.
    pub key: SeriesKey,
    /// What is expected, nanoseconds since the Unix epoch, UTC. The end is cut to what can have closed.
    pub range: Range<i64>,
    /// Bars are expected in these stretches only, sorted and disjoint; `None`: always.
    pub sessions: Option<Arc<Vec<Range<i64>>>>,
    /// Ask again for what was confirmed absent, and whether files were replaced.
    pub recheck: bool,
}

/// Where bars are expected, given when a market is open: bars of a day on trading days, shorter ones in sessions. `None`:
/// always, as longer ones are.
pub fn expected(sessions: &Sessions, frame: &Frame) -> Option<Vec<Range<i64>>> {
    match frame.timeframe() {
        Some(Timeframe::W1 | Timeframe::Mo1) => None,
        Some(Timeframe::D1) => {
            let mut days: Vec<i64> = sessions.all().iter().map(|session| session.day_ns).collect();
            days.dedup();
            Some(days.into_iter().map(|day| day..day + DAY_NS).collect())
        }
        _ => Some(sessions.ranges()),
    }
}

/// Why a range is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is there yet.
    First,
    /// Before what is there.
    Head,
    /// After what is there.
    Tail,
    /// Between what is there.
    Hole,
    /// It was asked for again.
    Recheck,
}

impl Reason {
    /// `first`, `head`, `tail`, `hole` or `recheck`.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Head => "head",
            Self::Tail => "tail",
            Self::Hole => "hole",
            Self::Recheck => "recheck",
        }
    }
}

/// A range that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Nanoseconds since the Unix epoch, UTC.
    pub range: Range<i64>,
    /// Of trades: only those with greater numbers.
    pub after_id: Option<i64>,
    /// Of trades: only those with smaller numbers.
    pub before_id: Option<i64>,
    /// Why.
    pub reason: Reason,
    /// Bars of it that are missing; 0 where nobody can know.
    pub missing: u64,
}

/// What is to be done for a series.
#[derive(Clone, Debug)]
pub struct Item {
    /// The series.
    pub job: Job,
    /// In order of time.
    pub pieces: Vec<Piece>,
    /// Requests that it takes, at most; of trades, at least.
    pub requests: u64,
    /// What these weigh.
    pub weight: u64,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// One for each job, in their order.
    pub items: Vec<Item>,
    /// Jobs that cannot be planned, and why.
    pub failed: Vec<(SeriesKey, String)>,
}

impl Plan {
    /// Requests of all items.
    pub fn requests(&self) -> u64 {
        self.items.iter().map(|item| item.requests).sum()
    }

    /// Bars that are missing.
    pub fn missing(&self) -> u64 {
        self.items.iter().flat_map(|item| &item.pieces).map(|piece| piece.missing).sum()
    }

    /// Names of the sources in question, each once.
    pub fn sources(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for item in self.items.iter().filter(|item| !item.pieces.is_empty()) {
            if !names.contains(&item.job.source.name()) {
                names.push(item.job.source.name());
            }
        }
        names
    }

    /// How long it takes, in seconds, if the network is no obstacle: requests that take 100 ms each, as many at a time as
    /// the source allows, or its budget, whichever is slower; sources work side by side.
    pub fn seconds(&self) -> u64 {
        let of = |name: &str| {
            let items = || self.items.iter().filter(|item| item.job.source.name() == name);
            let Some(manners) = items().next().map(|item| item.job.source.manners()) else { return 0 };
            let weight: u64 = items().map(|item| item.weight).sum();
            let requests: u64 = items().map(|item| item.requests).sum();
            let by_budget = weight * 60 / u64::from(manners.weight_per_minute.max(1));
            by_budget.max(requests / 10 / manners.concurrency.max(1) as u64)
        };
        self.sources().into_iter().map(of).max().unwrap_or(0)
    }
}

/// Plans jobs against a version of the store.
///
/// # Errors
/// Damage of the store. What a source does not have is in [`Plan::failed`].
pub fn plan(view: &View, jobs: Vec<Job>, now_ns: i64) -> Result<Plan> {
    let mut plan = Plan::default();
    for job in jobs {
        match item(view, job.clone(), now_ns) {
            Ok(item) => plan.items.push(item),
            Err(crate::Error::Usage(reason)) => plan.failed.push((job.key, reason)),
            Err(error) => return Err(error),
        }
    }
    Ok(plan)
}

fn item(view: &View, job: Job, now_ns: i64) -> Result<Item> {
    let reach = job.source.reach(job.key.frame())?;
    let mut range = job.range.clone();
    range.end = range.end.min(now_ns);
    if let Some(history) = reach.history_ns {
        range.start = range.start.max(now_ns.saturating_sub(history));
    }
    let pieces = match job.key.frame().timeframe() {
        Some(timeframe) => bars(view, &job, timeframe, &whole_bars(timeframe, &range), reach)?,
        None => trades(view, &job, &range)?,
    };
    let pages = |piece: &Piece| match job.key.frame().timeframe() {
        Some(timeframe) => slots(timeframe, &piece.range).div_ceil(reach.page_slots.max(1)),
        None => 1,
    };
    let pages: u64 = pieces.iter().map(pages).sum();
    Ok(Item { job, pieces, requests: pages * reach.page_requests, weight: pages * reach.page_weight })
}

/// The bars that open in the range and have closed by its end.
fn whole_bars(timeframe: Timeframe, range: &Range<i64>) -> Range<i64> {
    let slot = timeframe.slot(range.start);
    let first = if timeframe.slot_start(slot) < range.start { slot + 1 } else { slot };
    timeframe.slot_start(first)..timeframe.slot_start(timeframe.slot(range.end))
}

fn bars(
    view: &View,
    job: &Job,
    timeframe: Timeframe,
    range: &Range<i64>,
    reach: Reach,
) -> Result<Vec<Piece>> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let sessions = job.sessions.as_ref().map(|sessions| clipped(sessions, range));
    let info = match view.info(&job.key) {
        Err(StoreError::NotFound(_)) => None,
        info => Some(info?),
    };
    let span = info.and_then(|info| Some(info.first_ns?..info.last_ns?));
    let missing: Vec<(Range<i64>, u64)> = match (&sessions, view.schema(&job.key).is_ok()) {
        (_, true) if job.recheck => vec![(range.clone(), slots(timeframe, range))],
        (Some(sessions), true) => {
            let gaps = view.gaps_in_sessions(&job.key, sessions)?;
            gaps.into_iter().map(|gap| (gap.start..gap.end, gap.missing)).collect()
        }
        (None, true) => {
            let gaps = view.gaps(&job.key, Some(range.clone()))?;
            gaps.into_iter().map(|gap| (gap.start..gap.end, gap.missing)).collect()
        }
        (Some(sessions), false) => {
            let open = sessions.iter().map(|open| (whole_slots(timeframe, open), slots(timeframe, open)));
            open.filter(|piece| piece.1 > 0).collect()
        }
        (None, false) => vec![(range.clone(), slots(timeframe, range))],
    };
    let mut pieces: Vec<Piece> = Vec::new();
    for (gap, missing) in missing {
        let reason = match &span {
            _ if job.recheck => Reason::Recheck,
            None => Reason::First,
            Some(span) if gap.end <= span.start => Reason::Head,
            Some(span) if gap.start > span.end => Reason::Tail,
            Some(_) => Reason::Hole,
        };
        let mut piece = Piece { range: gap, after_id: None, before_id: None, reason, missing };
        if reason == Reason::Tail
            && pieces.last().is_none_or(|last| last.reason != Reason::Tail)
            && let Some(span) = &span
        {
            // The last bars that are there, be it before a night; not if a page would go by before what is missing.
            let back = timeframe.slot_start(timeframe.slot(span.end) + 1 - OVERLAP_BARS);
            if slots(timeframe, &(back..piece.range.start)) < reach.page_slots {
                piece.range.start = back;
            }
        }
        match pieces.last_mut() {
            Some(last) if slots(timeframe, &(last.range.start..piece.range.end)) <= reach.page_slots => {
                last.range.end = piece.range.end.max(last.range.end);
                last.missing += piece.missing;
                // What reaches the end matters most: it is why the request is sent now.
                last.reason = piece.reason;
            }
            // Stretches of one reason that follow one another, as sessions do, are asked for on end.
            Some(last)
                if last.reason == piece.reason
                    && joins(sessions.as_deref(), last, &piece, timeframe, reach) =>
            {
                last.range.end = piece.range.end;
                last.missing += piece.missing;
            }
            _ => pieces.push(piece),
        }
    }
    Ok(pieces)
}

/// Whether two pieces lie in sessions with less than a page between them: then a page of closed time costs nothing.
fn joins(
    sessions: Option<&[Range<i64>]>,
    last: &Piece,
    next: &Piece,
    timeframe: Timeframe,
    reach: Reach,
) -> bool {
    let between = last.range.end..next.range.start;
    let closed = sessions.is_some_and(|sessions| {
        let first = sessions.partition_point(|open| open.end <= between.start);
        sessions.get(first).is_none_or(|open| open.start >= between.end)
    });
    closed && slots(timeframe, &between) < reach.page_slots
}

fn whole_slots(timeframe: Timeframe, open: &Range<i64>) -> Range<i64> {
    let first = timeframe.slot(open.start);
    let first = if timeframe.slot_start(first) < open.start { first + 1 } else { first };
    let last = timeframe.slot(open.end.saturating_sub(1)) + 1;
    timeframe.slot_start(first)..timeframe.slot_start(last)
}

fn clipped(sessions: &[Range<i64>], range: &Range<i64>) -> Vec<Range<i64>> {
    let cut = |open: &Range<i64>| open.start.max(range.start)..open.end.min(range.end);
    sessions.iter().map(cut).filter(|open| !open.is_empty()).collect()
}

/// Trades have no grid. Their numbers tell what is missing between them; what lies before the first is asked for by
/// time, what lies after the last by number. Stretches that a source confirmed to be empty are left out.
fn trades(view: &View, job: &Job, range: &Range<i64>) -> Result<Vec<Piece>> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let by_time =
        |reason| Piece { range: range.clone(), after_id: None, before_id: None, reason, missing: 0 };
    let info = match view.info(&job.key) {
        Err(StoreError::NotFound(_)) => return Ok(vec![by_time(Reason::First)]),
        info => info?,
    };
    let (Some(first), Some(last)) = (info.first_ns, info.last_ns) else {
        return Ok(vec![by_time(Reason::First)]);
    };
    let ids = view.read(&job.key).columns(&["id"]).aggregate();
    let ids = match ids.ok().and_then(|ids| ids.into_iter().next()) {
        Some(ids) if ids.column.kind == ColumnType::I64 => ids,
        _ => {
            let text = format!("{} has no numbers of trades, so nothing tells what is missing", job.key);
            return Err(crate::Error::Usage(text));
        }
    };
    let absences = view.absences(&job.key)?;
    let absent = |range: &Range<i64>| {
        absences.iter().any(|absence| absence.start <= range.start && range.end <= absence.end)
    };
    let mut pieces = Vec::new();
    let head = range.start..first;
    if !head.is_empty() && (job.recheck || !absent(&head)) {
        pieces.push(Piece { range: head, after_id: None, before_id: None, reason: Reason::Head, missing: 0 });
    }
    let (least, most) = (ids.min.unwrap_or(0.0) as i64, ids.max.unwrap_or(0.0) as i64);
    // As many as their numbers say: then none is missing, and none has to be looked at.
    if ids.rows.saturating_sub(1) != most.abs_diff(least) {
        let holes = holes(view, &job.key)?.into_iter();
        pieces.extend(holes.filter(|piece| job.recheck || !absent(&piece.range)));
    }
    let tail = last..range.end;
    if !tail.is_empty() {
        let after_id = Some(most);
        pieces.push(Piece { range: tail, after_id, before_id: None, reason: Reason::Tail, missing: 0 });
    }
    Ok(pieces)
}

/// Where numbers of trades are left out. Trades are walked over in the order of their times; within some thousands of
/// them the order of their numbers counts.
fn holes(view: &View, key: &SeriesKey) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut before: Option<(i64, i64)> = None;
    view.read(key).columns(&["id"]).visit(|rows| {
        let ids = rows.i64("id").unwrap_or_default();
        let mut order: Vec<(i64, i64)> = ids.iter().copied().zip(rows.time().iter().copied()).collect();
        order.sort_unstable();
        for (id, time) in order {
            if let Some((known, at)) = before
                && id.saturating_sub(known) > 1
            {
                let range = at..time.max(at).saturating_add(1);
                let missing = (id - known - 1).unsigned_abs();
                let (after_id, before_id, reason) = (Some(known), Some(id), Reason::Hole);
                pieces.push(Piece { range, after_id, before_id, reason, missing });
            }
            before = Some((id.max(before.map_or(i64::MIN, |before| before.0)), time));
        }
        ControlFlow::Continue(())
    })?;
    Ok(pieces)
}
