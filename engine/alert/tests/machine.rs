//! The state machine beside a plain twin that knows the whole past and looks through all of it at each step.

use tapestore_alert::machine::{Event, Hush, Phase, Spans, State, Verdict, step};

/// Something that was seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: i64,
    verdict: Verdict,
    hush: Hush,
}

/// What the twin says of each step: the phase after it, and the event. It keeps what it said, and decides from the list of
/// everything that was seen since the incident before was over.
fn twin(seen: &[Seen], spans: Spans) -> Vec<(Option<Phase>, Option<Event>)> {
    let mut said: Vec<(Option<Phase>, Option<Event>)> = Vec::new();
    for now in 0..seen.len() {
        let over =
            |phase: &Option<Phase>| phase.is_none() || matches!(phase, Some(Phase::Resolved | Phase::Passed));
        let first = said.iter().rposition(|(phase, _)| over(phase)).map_or(0, |at| at + 1);
        let fired = (first..now).find(|at| said[*at].1 == Some(Event::Fired));
        let run = |wanted: &dyn Fn(Verdict) -> bool, from: usize| {
            let broken = (from..=now).rev().find(|at| !wanted(seen[*at].verdict));
            let begin = broken.map_or(from, |at| at + 1);
            (begin <= now).then(|| seen[now].at - seen[begin].at)
        };
        said.push(match fired {
            None if first == now && seen[now].verdict != Verdict::Bad => (None, None),
            None => match run(&|verdict| verdict == Verdict::Bad, first) {
                // The run of bad ones is the whole incident, or it would have passed.
                Some(length) if length >= spans.hold_ns => (Some(Phase::Firing), Some(Event::Fired)),
                Some(_) => (Some(Phase::Pending), None),
                None => (Some(Phase::Passed), None),
            },
            Some(fired) => match run(&|verdict| verdict == Verdict::Good, fired + 1) {
                Some(length) if length >= spans.clear_ns => (Some(Phase::Resolved), Some(Event::Resolved)),
                Some(_) => (Some(Phase::Firing), None),
                None => {
                    let told = (fired..now).rev().find(|at| {
                        matches!(said[*at].1, Some(Event::Fired | Event::Repeated))
                            && !seen[*at].hush.silenced
                    });
                    let due = told.is_none_or(|told| {
                        spans.repeat_ns > 0
                            && seen[now].at - seen[told].at >= spans.repeat_ns
                            && !seen[now].hush.acknowledged
                    });
                    let event = (due && !seen[now].hush.silenced).then_some(Event::Repeated);
                    (Some(Phase::Firing), event)
                }
            },
        });
    }
    said
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

#[test]
fn the_machine_does_what_its_plain_twin_does() {
    let mut events = [0_u64; 4];
    for seed in 0..4000 {
        let mut random = Random(seed);
        let spans = Spans {
            hold_ns: random.below(4) as i64,
            clear_ns: random.below(4) as i64,
            repeat_ns: random.below(6) as i64,
        };
        // Verdicts come in runs, as values do.
        let stay = 1 + random.below(5);
        let mut verdict = Verdict::Good;
        let mut at = 0;
        let seen: Vec<Seen> = (0..60)
            .map(|_| {
                if random.below(stay + 1) == 0 {
                    verdict = [Verdict::Bad, Verdict::Between, Verdict::Good][random.below(3) as usize];
                }
                at += random.below(3) as i64;
                let hush = Hush { silenced: random.below(6) == 0, acknowledged: random.below(6) == 0 };
                Seen { at, verdict, hush }
            })
            .collect();
        let expected = twin(&seen, spans);
        let mut state: Option<State> = None;
        for (place, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
            let (next, event) = step(state, seen.verdict, seen.at, spans, seen.hush);
            let phase = next.map(|state| state.phase);
            assert_eq!((phase, event), *expected, "seed {seed}, step {place}, {spans:?}");
            match event {
                Some(Event::Fired) => events[0] += 1,
                Some(Event::Repeated) => events[1] += 1,
                Some(Event::Resolved) => events[2] += 1,
                None => events[3] += u64::from(phase == Some(Phase::Passed)),
            }
            state = next.filter(State::is_open);
        }
    }
    assert!(events.iter().all(|count| *count > 1000), "every way is walked often: {events:?}");
}

#[test]
fn a_value_that_trembles_about_the_threshold_fires_once() {
    let spans = Spans { hold_ns: 0, clear_ns: 10, repeat_ns: 0 };
    let mut state = None;
    let mut events = Vec::new();
    for at in 0..100 {
        let verdict = if at % 2 == 0 { Verdict::Bad } else { Verdict::Good };
        let (next, event) = step(state, verdict, at, spans, Hush::default());
        state = next;
        events.extend(event);
    }
    assert_eq!(events, [Event::Fired]);
}

#[test]
fn a_clock_that_goes_back_neither_fires_nor_resolves() {
    let spans = Spans { hold_ns: 10, clear_ns: 10, repeat_ns: 5 };
    let (state, _) = step(None, Verdict::Bad, 1000, spans, Hush::default());
    let (state, event) = step(state, Verdict::Bad, 10, spans, Hush::default());
    assert_eq!((state.map(|state| state.phase), event), (Some(Phase::Pending), None));
    let (state, event) = step(state, Verdict::Bad, 1010, spans, Hush::default());
    assert_eq!(event, Some(Event::Fired));
    let (_, event) = step(state, Verdict::Bad, 0, spans, Hush::default());
    assert_eq!(event, None);
}
