//! What people see of a run while it lasts: a line for each source and one for all; or JSON, an event a line.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tapestore_fetch::{Event, Observer, Plan};

use super::Context;
use crate::number::grouped;
use crate::output::json::Object;
use crate::output::{note, plain};
use crate::progress::span;

/// Time between two drawings.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// Letters of a bar.
const BAR: u64 = 24;

/// Follows a run.
pub(super) struct Watch {
    json: bool,
    quiet: bool,
    drawing: bool,
    state: Mutex<State>,
}

struct State {
    lines: Vec<Line>,
    begun: Instant,
    drawn: Option<Instant>,
}

/// How far a source is.
#[derive(Debug, Default)]
struct Line {
    source: String,
    series: u64,
    series_ended: u64,
    planned: u64,
    requests: u64,
    rows: u64,
    /// Spent since the beginning, and what may be spent in a minute.
    budget: (u64, u32),
    waiting: String,
}

impl Watch {
    pub(super) fn begin(context: &Context, plan: &Plan) -> Self {
        let line = |name: &str| {
            let items = || plan.items.iter().filter(|item| item.job.source.name() == name);
            Line {
                source: name.to_owned(),
                series: items().filter(|item| !item.pieces.is_empty()).count() as u64,
                planned: items().map(|item| item.requests).sum(),
                ..Line::default()
            }
        };
        let lines = plan.sources().into_iter().map(line).collect();
        Self {
            json: context.json,
            quiet: context.quiet,
            drawing: !context.json && !context.quiet && std::io::stderr().is_terminal(),
            state: Mutex::new(State { lines, begun: Instant::now(), drawn: None }),
        }
    }

    /// Removes what was drawn.
    pub(super) fn end(&self) {
        let state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\x1b[{}A\x1b[J", state.lines.len() + 1);
        }
    }
}

impl State {
    fn take(&mut self, event: &Event) {
        let mut of = |source: &str, change: &mut dyn FnMut(&mut Line)| {
            if let Some(line) = self.lines.iter_mut().find(|line| line.source == source) {
                change(line);
            }
        };
        match event {
            Event::Page { source, written, requests, budget, .. } => of(source, &mut |line| {
                line.requests += requests;
                line.rows += written.rows;
                line.budget = *budget;
                line.waiting.clear();
            }),
            Event::Waiting { source, reason, time, .. } => of(source, &mut |line| {
                line.waiting = format!("waits {} s: {reason}", time.as_secs_f64().ceil());
            }),
            Event::Ended { outcome } => of(&outcome.source, &mut |line| line.series_ended += 1),
            _ => {}
        }
    }

    fn draw(&mut self) {
        let now = Instant::now();
        if self.drawn.is_some_and(|drawn| now.duration_since(drawn) < DRAW_EVERY) {
            return;
        }
        let mut text = String::new();
        if self.drawn.is_some() {
            text.push_str(&format!("\x1b[{}A\x1b[J", self.lines.len() + 1));
        }
        let elapsed = now.duration_since(self.begun);
        for line in &self.lines {
            text.push_str(&plain(&line.show(elapsed)));
            text.push('\n');
        }
        text.push_str(&total(&self.lines, elapsed));
        text.push('\n');
        self.drawn = Some(now);
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// `[=====>   ]` of a share.
fn bar(done: u64, all: u64) -> String {
    let full = done.min(all) * BAR / all.max(1);
    let dashes = "=".repeat(full as usize);
    format!("[{dashes:<width$}]", width = BAR as usize)
}

fn speed(rows: u64, elapsed: Duration) -> String {
    grouped((rows as f64 / elapsed.as_secs_f64().max(1e-9)) as u64)
}

impl Line {
    fn show(&self, elapsed: Duration) -> String {
        let minutes = (elapsed.as_secs_f64() / 60.0).max(1.0);
        let (spent, per_minute) = self.budget;
        let share = 100.0 * spent as f64 / (f64::from(per_minute.max(1)) * minutes);
        let mut text = format!(
            "{:<12} {} {}/{} series  {} requests  {} rows  budget {share:.0} %",
            self.source,
            bar(self.requests, self.planned),
            self.series_ended,
            self.series,
            grouped(self.requests),
            grouped(self.rows)
        );
        if !self.waiting.is_empty() {
            text.push_str("  ");
            text.extend(self.waiting.chars().take(60));
        }
        text
    }
}

fn total(lines: &[Line], elapsed: Duration) -> String {
    let sum = |of: fn(&Line) -> u64| lines.iter().map(of).sum::<u64>();
    let (requests, planned, rows) =
        (sum(|line| line.requests), sum(|line| line.planned), sum(|line| line.rows));
    let left = match requests {
        0 => String::new(),
        // What is planned is the most that it can take.
        done => {
            let each = elapsed.as_secs_f64() / done as f64;
            format!("  at most {} left", span(each * planned.saturating_sub(done) as f64))
        }
    };
    format!("{:<12} {} {} rows/s{left}", "total", bar(requests, planned), speed(rows, elapsed))
}

impl Observer for Watch {
    fn event(&self, event: &Event) {
        if self.json {
            if let Some(object) = object(event) {
                // Whole lines, whatever the threads do; whoever stopped reading does not stop the run.
                let _ = std::io::stdout().lock().write_all(&object.line());
            }
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.take(event);
        if self.drawing {
            state.draw();
        } else if let Event::Waiting { source, reason, time, .. } = event {
            let seconds = time.as_secs_f64();
            note(self.quiet, &format!("tape: {source} waits {seconds:.1} s: {reason}"));
        }
    }
}

fn object(event: &Event) -> Option<Object> {
    let of = |name: &str, key: &tapestore::SeriesKey| {
        Object::new()
            .text("event", name)
            .text("instrument", key.instrument())
            .text("frame", &key.frame().to_string())
    };
    Some(match event {
        Event::Begun { key } => of("begin", key),
        Event::Page { key, source, answered, written, requests, budget } => of("page", key)
            .text("source", source)
            .int("from", answered.start)
            .int("to", answered.end)
            .count("requests", *requests)
            .count("rows", written.rows)
            .count("added", written.commit.added)
            .count("updated", written.commit.updated)
            .count("absent", written.absent)
            .count("findings", written.findings)
            .count("version", written.commit.version)
            .count("weight", budget.0),
        Event::Waiting { key, source, reason, time } => {
            of("wait", key).text("source", source).text("reason", reason).float("seconds", time.as_secs_f64())
        }
        Event::Ended { outcome } => {
            let error = outcome.error.as_ref().map(ToString::to_string).unwrap_or_default();
            of("end", &outcome.key)
                .text("source", &outcome.source)
                .count("requests", outcome.requests)
                .count("added", outcome.written.commit.added)
                .count("updated", outcome.written.commit.updated)
                .count("absent", outcome.written.absent)
                .count("findings", outcome.written.findings)
                .text("error", &error)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_how_far_a_source_is() {
        let line = Line {
            source: "binance".into(),
            series: 4,
            series_ended: 1,
            planned: 40,
            requests: 10,
            rows: 10_000,
            budget: (600, 6000),
            waiting: String::new(),
        };
        assert_eq!(
            line.show(Duration::from_secs(30)),
            "binance      [======                  ] 1/4 series  10 requests  10,000 rows  budget 10 %"
        );
        assert_eq!(
            total(&[line], Duration::from_secs(10)),
            "total        [======                  ] 1,000 rows/s  at most 30 s left"
        );
    }
}
