//! What a reading means for an alert: a state machine without input, output or a clock of its own.
//!
//! An incident begins when a reading is bad. It is *pending* until it was bad for the rule's `for`, without a break; then
//! it *fires*. It is resolved when readings were good for `clear_for`, without a break; good is beyond the clear
//! threshold, so that a value that trembles about the threshold neither fires nor resolves all the time. While it fires it
//! is repeated every so often, unless somebody said that they know.

/// What a value is, beside the thresholds of its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Beyond the threshold.
    Bad,
    /// Between the threshold and the one for resolving.
    Between,
    /// At the threshold for resolving, or better.
    Good,
}

/// How an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Bad, but not yet for long enough.
    Pending,
    /// Bad for long enough.
    Firing,
    /// It fired, and is over.
    Resolved,
    /// It was over before it fired.
    Passed,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Firing, Self::Resolved, Self::Passed];

    /// `pending`, `firing`, `resolved` or `passed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Passed => "passed",
        }
    }

    /// The phase of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

/// Something that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was bad for long enough.
    Fired,
    /// It still is.
    Repeated,
    /// It is over.
    Resolved,
}

impl Event {
    /// `fired`, `repeated` or `resolved`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
        }
    }

    /// The event of a name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Fired, Self::Repeated, Self::Resolved].into_iter().find(|event| event.name() == name)
    }
}

/// How long things take, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// Bad for this long before it fires.
    pub hold_ns: i64,
    /// Good for this long before it is resolved.
    pub clear_ns: i64,
    /// Between two repetitions; 0: never repeated.
    pub repeat_ns: i64,
}

/// Where an incident is in its life. Times are nanoseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// How it stands.
    pub phase: Phase,
    /// When it was bad for the first time.
    pub since_ns: i64,
    /// When it fired.
    pub fired_ns: Option<i64>,
    /// When somebody was told the last time; `None`: nobody was, it is silenced.
    pub told_ns: Option<i64>,
    /// Good since, while it fires.
    pub good_since_ns: Option<i64>,
    /// When it was over.
    pub ended_ns: Option<i64>,
}

impl State {
    /// Whether it is pending or firing.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Firing)
    }
}

/// What hushes an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hush {
    /// Nobody is told of anything.
    pub silenced: bool,
    /// Somebody knows: it is not repeated.
    pub acknowledged: bool,
}

/// The next state and what is told. `state` is that of an open incident, or `None`. The second value is an event that is
/// kept in any case, and sent unless [`Hush::silenced`].
///
/// A clock that went back counts as one that stood still.
pub fn step(
    state: Option<State>,
    verdict: Verdict,
    now_ns: i64,
    spans: Spans,
    hush: Hush,
) -> (Option<State>, Option<Event>) {
    let Some(state) = state.filter(State::is_open) else {
        let begun = State {
            phase: Phase::Pending,
            since_ns: now_ns,
            fired_ns: None,
            told_ns: None,
            good_since_ns: None,
            ended_ns: None,
        };
        return match verdict {
            Verdict::Bad => pending(begun, now_ns, spans, hush),
            _ => (None, None),
        };
    };
    match (state.phase, verdict) {
        (Phase::Pending, Verdict::Bad) => pending(state, now_ns, spans, hush),
        (Phase::Pending, _) => (Some(State { phase: Phase::Passed, ended_ns: Some(now_ns), ..state }), None),
        (_, Verdict::Good) => {
            let good_since = state.good_since_ns.unwrap_or(now_ns);
            if now_ns.saturating_sub(good_since) < spans.clear_ns {
                return (Some(State { good_since_ns: Some(good_since), ..state }), None);
            }
            let told_ns = if hush.silenced { state.told_ns } else { Some(now_ns) };
            let over = State {
                phase: Phase::Resolved,
                ended_ns: Some(now_ns),
                good_since_ns: Some(good_since),
                told_ns,
                ..state
            };
            (Some(over), Some(Event::Resolved))
        }
        _ => {
            let state = State { good_since_ns: None, ..state };
            let due = match state.told_ns {
                // Its silence is over.
                None => true,
                Some(told) => {
                    spans.repeat_ns > 0
                        && !hush.acknowledged
                        && now_ns.saturating_sub(told) >= spans.repeat_ns
                }
            };
            if due && !hush.silenced {
                return (Some(State { told_ns: Some(now_ns), ..state }), Some(Event::Repeated));
            }
            (Some(state), None)
        }
    }
}

fn pending(state: State, now_ns: i64, spans: Spans, hush: Hush) -> (Option<State>, Option<Event>) {
    if now_ns.saturating_sub(state.since_ns) < spans.hold_ns {
        return (Some(state), None);
    }
    let told_ns = (!hush.silenced).then_some(now_ns);
    (Some(State { phase: Phase::Firing, fired_ns: Some(now_ns), told_ns, ..state }), Some(Event::Fired))
}
