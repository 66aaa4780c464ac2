//! Which bars are expected of a series: the one seam to calendars.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{Run, SeriesKey, View};
use tapestore_calendar::{Exchange, Listing, Listings, Market, Question, in_sessions, market, of_instrument};
use tapestore_query::Sessions;

use crate::error::{Error, Result};

/// Days around a range whose sessions are asked for: weeks and months of bars begin and end there.
const AROUND_NS: i64 = 31 * DAY_NS;

/// The span of time in which a bar that is due is looked for first; if it lies there, the calendar need not reach further.
const SOON_NS: i64 = 63 * DAY_NS;

/// Calendars of instruments: those named, else that of the venue in the instrument's name (`0700.HK`), else always open.
#[derive(Clone, Debug, Default)]
pub struct Calendars {
    /// Names of calendars by instrument.
    pub by_instrument: HashMap<String, String>,
    /// For all other instruments, in place of that of their venue.
    pub everywhere: Option<String>,
    /// Calendars of these names, in place of those of the store and those that are compiled in.
    pub declared: HashMap<String, Arc<Market>>,
}

impl Calendars {
    /// The name of the calendar of an instrument; `None`: it is always open.
    pub fn name(&self, instrument: &str) -> Option<&str> {
        let named = self.by_instrument.get(instrument).or(self.everywhere.as_ref()).map(String::as_str);
        named.or_else(|| of_instrument(instrument).map(Exchange::name)).filter(|name| *name != "24x7")
    }
}

/// The markets and listings of a store, looked up once for many series.
#[derive(Debug)]
pub struct Markets {
    listings: Listings,
    markets: HashMap<String, Arc<Market>>,
}

impl Markets {
    /// Of what the store has in a version.
    ///
    /// # Errors
    /// Damage.
    pub fn read(view: &View) -> Result<Self> {
        Ok(Self { listings: Listings::read(view, None)?, markets: HashMap::new() })
    }

    /// As [`Expected::of`].
    ///
    /// # Errors
    /// As [`Expected::of`].
    pub fn expected(
        &mut self,
        view: &View,
        calendars: &Calendars,
        key: &SeriesKey,
        range: &Range<i64>,
    ) -> Result<Expected> {
        let (market, listing) = self.of(view, calendars, key.instrument())?;
        Expected::vague(view, key, market, listing)?.within(key, range)
    }

    /// The market of an instrument, and when it was listed.
    pub(crate) fn of(
        &mut self,
        view: &View,
        calendars: &Calendars,
        instrument: &str,
    ) -> Result<(Option<Arc<Market>>, Listing)> {
        let found = match calendars.name(instrument) {
            None => None,
            Some(name) => Some(match self.markets.get(name) {
                Some(known) => known.clone(),
                None => {
                    let declared = calendars.declared.get(name).cloned();
                    let found = declared.map_or_else(|| market(view, name).map(Arc::new), Ok)?;
                    self.markets.insert(name.to_owned(), found.clone());
                    found
                }
            }),
        };
        let listing = self.listings.of(instrument, found.as_ref().map(|market| market.name()));
        Ok((found, listing))
    }
}

/// A bar that is not there, though it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When it opens, nanoseconds since the Unix epoch, UTC.
    pub open_ns: i64,
    /// For how long it has been over.
    pub late_ns: i64,
}

/// Where bars of a series have to be, and where else they may be, in a range of time.
#[derive(Clone, Debug)]
pub struct Expected {
    timeframe: Timeframe,
    market: Option<Arc<Market>>,
    listing: Listing,
    /// Where the source confirmed that there is nothing.
    absences: Vec<Range<i64>>,
    /// `None`: in every slot of the range.
    slots: Option<Vec<Run>>,
    allowed: Vec<Run>,
}

impl Expected {
    /// What is expected of a series in a range, as calendars and the store's tables say.
    ///
    /// # Errors
    /// [`Error::Usage`] if a calendar does not speak of all of the range; damage.
    pub fn of(view: &View, key: &SeriesKey, calendars: &Calendars, range: &Range<i64>) -> Result<Self> {
        Markets::read(view)?.expected(view, calendars, key, range)
    }

    /// What is expected, before it is said when.
    pub(crate) fn vague(
        view: &View,
        key: &SeriesKey,
        market: Option<Arc<Market>>,
        listing: Listing,
    ) -> Result<Self> {
        let timeframe = key
            .frame()
            .timeframe()
            .ok_or_else(|| Error::Usage(format!("{key} holds no bars, so none is expected")))?;
        let absences = match view.absences(key) {
            // Of what was never there nothing is known to be absent.
            Err(tapestore::Error::NotFound(_)) => Vec::new(),
            absences => absences?,
        };
        Ok(Self { timeframe, market, listing, absences, slots: None, allowed: Vec::new() })
    }

    /// What is expected of finer bars of the same instrument, before it is said when.
    pub(crate) fn of_finer(&self, view: &View, key: &SeriesKey) -> Result<Self> {
        Self::vague(view, key, self.market.clone(), self.listing.clone())
    }

    /// The same, in a range.
    pub(crate) fn within(&self, key: &SeriesKey, range: &Range<i64>) -> Result<Self> {
        let mut out = self.clone();
        if out.market.is_none() && out.absences.is_empty() && out.listing == Listing::ALWAYS {
            return Ok(out);
        }
        let (slots, allowed) =
            out.slots_in(range).map_err(|error| Error::Usage(format!("{key}: {error}")))?;
        (out.slots, out.allowed) = (Some(slots), allowed);
        Ok(out)
    }

    fn slots_in(&self, range: &Range<i64>) -> Result<(Vec<Run>, Vec<Run>)> {
        let (sessions, late_ns) = self.sessions_in(range)?;
        let question = Question::new(self.timeframe, range.clone());
        let found = in_sessions(&question, &sessions, late_ns, &self.listing).without(&self.absences);
        Ok((found.slots().to_vec(), found.allowed().to_vec()))
    }

    /// The sessions of a range and of the months that it touches, and for how long after them bars are allowed.
    fn sessions_in(&self, range: &Range<i64>) -> Result<(Sessions, i64)> {
        let around = range.start.saturating_sub(AROUND_NS)..range.end.saturating_add(AROUND_NS);
        Ok(match &self.market {
            // The margin may reach beyond what a calendar speaks of; the range itself must not.
            Some(market) => {
                let all = market.sessions(around).or_else(|_| market.sessions(range.clone()));
                (all?, market.late_ns())
            }
            None => (Sessions::of_ranges(days(&around))?, 0),
        })
    }

    /// Whether the market closes at all.
    pub fn has_market(&self) -> bool {
        self.market.is_some()
    }

    /// How far local clocks are ahead of UTC, for what depends on the time of day.
    pub(crate) fn offset_ns(&self, time: i64) -> i64 {
        self.market.as_ref().and_then(|market| market.offset_ns(time)).unwrap_or(0)
    }

    /// Whether a bar may open at a time, whatever is expected.
    pub(crate) fn may_open(&self, time: i64) -> bool {
        // Bars in sessions begin with these, which is not on the clock's grid of long bars.
        self.timeframe.on_grid(time)
            || self.market.is_some() && self.timeframe.min(Timeframe::M1).on_grid(time)
    }

    /// Whether a bar in a slot is neither expected nor wrong.
    pub(crate) fn is_allowed(&self, slot: i64) -> bool {
        let after = self.allowed.partition_point(|run| run.end <= slot);
        self.allowed.get(after).is_some_and(|run| run.start <= slot)
    }

    /// The number of the first slot that begins at a time or after it.
    pub(crate) fn number(&self, time: i64) -> i64 {
        let slot = self.timeframe.slot(time);
        slot + i64::from(self.timeframe.slot_start(slot) < time)
    }

    /// The slots, of those that begin in `range`, in which a bar is expected, in order.
    pub(crate) fn slots(&self, range: &Range<i64>) -> impl Iterator<Item = Run> + '_ {
        self.among(self.number(range.start), self.number(range.end))
    }

    /// The slots from `start` to before `end` in which a bar is expected.
    fn among(&self, start: i64, end: i64) -> impl Iterator<Item = Run> + '_ {
        let all = self.slots.is_none().then_some(Run { start, end }).filter(|run| start < run.end);
        let some = self.slots.as_deref().unwrap_or_default();
        let first = some.partition_point(|run| run.end <= start);
        let some = some[first..].iter().take_while(move |run| run.start < end);
        all.into_iter().chain(some.map(move |run| Run { start: run.start.max(start), end: run.end.min(end) }))
    }

    /// The stretches of time, of the slots from `start` to before `end`, in which bars are expected.
    pub(crate) fn stretches(&self, start: i64, end: i64) -> impl Iterator<Item = Range<i64>> + '_ {
        let begin = |slot: i64| self.timeframe.slot_start(slot);
        self.among(start, end).map(move |run| begin(run.start)..begin(run.end))
    }

    /// How many bars are expected in the slots from `start` to before `end`.
    pub(crate) fn count_slots(&self, start: i64, end: i64) -> u64 {
        if self.slots.is_none() {
            return (end - start).max(0) as u64;
        }
        self.among(start, end).map(|run| run.slots()).sum()
    }

    /// How many bars are expected that open in a range.
    pub fn count(&self, range: &Range<i64>) -> u64 {
        self.count_slots(self.number(range.start), self.number(range.end))
    }

    /// Whether the source confirmed that there is no bar at a time.
    pub(crate) fn is_absent(&self, time: i64) -> bool {
        let after = self.absences.partition_point(|absence| absence.end <= time);
        self.absences.get(after).is_some_and(|absence| absence.start <= time)
    }

    /// Names what is expected: equal only if that is.
    pub(crate) fn describe(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut take = |number: i64| {
            hash = (hash ^ number as u64).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
        };
        let ranges =
            self.absences.iter().chain(&self.listing.halted).chain(self.listing.listed.iter().flatten());
        ranges.flat_map(|range| [range.start, range.end]).for_each(&mut take);
        if let Some(Market::Table { calendar, .. }) = self.market.as_deref() {
            calendar
                .sessions
                .all()
                .iter()
                .flat_map(|s| [s.open.start, s.open.end, s.day_ns])
                .for_each(&mut take);
        }
        let name = self.market.as_ref().map_or("always", |market| market.name());
        format!("{name} {hash:016x}")
    }

    /// The slots in which bars are expected, as ranges of time; `None`: all of them, always.
    pub fn ranges(&self) -> Option<Vec<Range<i64>>> {
        let time = |slot: i64| self.timeframe.slot_start(slot);
        Some(self.slots.as_ref()?.iter().map(|run| time(run.start)..time(run.end)).collect())
    }

    /// The oldest bar after `last_ns` that is over at `now_ns`; `None`: none is due.
    ///
    /// # Errors
    /// [`Error::Usage`] if the calendar does not speak of the time in which to look.
    pub fn due(&self, last_ns: i64, now_ns: i64) -> Result<Option<Due>> {
        let next = self.timeframe.slot(last_ns) + 1;
        let from = self.timeframe.slot_start(next);
        if self.slots.is_none() {
            let closed = self.timeframe.slot_start(next + 1);
            return Ok((closed <= now_ns).then(|| Due { open_ns: from, late_ns: now_ns - closed }));
        }
        for end in [now_ns.min(from.saturating_add(SOON_NS)), now_ns] {
            if from >= end {
                return Ok(None);
            }
            let (slots, _) = self.slots_in(&(from..end))?;
            if let Some(first) = slots.first() {
                let bar = self.bar_in(first.start)?;
                return Ok((bar.end <= now_ns).then(|| Due { open_ns: bar.start, late_ns: now_ns - bar.end }));
            }
        }
        Ok(None)
    }

    /// The bar that lies in a slot, from its opening to its end: in sessions it begins with these, and ends with them.
    fn bar_in(&self, slot: i64) -> Result<Range<i64>> {
        let timeframe = self.timeframe;
        let whole = timeframe.slot_start(slot)..timeframe.slot_start(slot + 1);
        let Some(step) = timeframe.step_ns().filter(|_| self.market.is_some() && timeframe < Timeframe::D1)
        else {
            return Ok(whole);
        };
        let (sessions, _) = self.sessions_in(&whole)?;
        let bars = sessions.all().iter().filter_map(|session| {
            let bar = (whole.start - session.open.start + step - 1).div_euclid(step).max(0);
            let start = session.open.start + bar * step;
            let inside = start < session.open.end && whole.contains(&start);
            inside.then(|| start..(start + step).min(session.open.end))
        });
        // Of two in one slot the later: both are over then.
        Ok(bars.max_by_key(|bar| bar.end).unwrap_or(whole))
    }

    /// How long the oldest bar after `last_ns` that is due has been due at `now_ns`, in nanoseconds; 0 if none is. `None`
    /// if the calendar says nothing of what follows.
    pub fn lag(&self, last_ns: i64, now_ns: i64) -> Option<i64> {
        self.due(last_ns, now_ns).ok().map(|due| due.map_or(0, |due| due.late_ns))
    }
}

fn days(range: &Range<i64>) -> Vec<Range<i64>> {
    let first = range.start.div_euclid(DAY_NS);
    let count = (range.end - range.start) / DAY_NS + 2;
    (first..first + count).map(|day| day * DAY_NS..(day + 1) * DAY_NS).collect()
}
