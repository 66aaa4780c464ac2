//! How far an exploration is: a line that is kept up to date on a terminal, or a line for each timeframe that is done.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::number::grouped;
use crate::output::plain;

/// Counts backtests; shared by threads.
#[derive(Debug)]
pub(super) struct Progress {
    drawn: bool,
    lines: bool,
    started: Instant,
    /// Instruments in all, begun; backtests expected of those begun, done; failures.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    instruments: usize,
    begun: usize,
    expected: usize,
    done: usize,
    failed: usize,
}

impl Progress {
    /// Of so many instruments.
    pub(super) fn new(quiet: bool, lines: bool, instruments: usize) -> Self {
        let state = State { instruments, begun: 0, expected: 0, done: 0, failed: 0 };
        Self {
            drawn: !quiet && !lines && std::io::stderr().is_terminal(),
            lines: lines && !quiet,
            started: Instant::now(),
            state: Mutex::new(state),
        }
    }

    /// An instrument begins, with so many backtests.
    pub(super) fn expect(&self, count: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.begun += 1;
        state.expected += count;
    }

    /// So many are done.
    pub(super) fn done(&self, count: usize, what: &str, failed: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += count;
        state.failed += failed;
        let line = state.line(what, self.started.elapsed().as_secs_f64());
        if self.drawn {
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", plain(&line));
        } else if self.lines {
            let _ = writeln!(std::io::stderr(), "tape: {}", plain(&line));
        }
    }

    /// Removes the line.
    pub(super) fn clear(&self) {
        if self.drawn {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl State {
    /// Instruments that have not begun are taken to be as large as those that have.
    fn line(&self, what: &str, seconds: f64) -> String {
        let expected = self.expected as f64 / self.begun.max(1) as f64 * self.instruments as f64;
        let part = (self.done as f64 / expected.max(1.0)).min(1.0);
        let left = if part > 0.0 { seconds / part - seconds } else { 0.0 };
        let failed =
            if self.failed > 0 { format!(", {} failed", grouped(self.failed as u64)) } else { String::new() };
        format!(
            "{what}: {} of {} backtests ({:.0} %){failed}, {seconds:.1} s so far, {left:.1} s left",
            grouped(self.done as u64),
            grouped(expected as u64),
            part * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_is_done_and_what_is_left() {
        let state = State { instruments: 3, begun: 1, expected: 792, done: 594, failed: 2 };
        let line = state.line("0700.HK 5m", 1.5);
        assert_eq!(line, "0700.HK 5m: 594 of 2,376 backtests (25 %), 2 failed, 1.5 s so far, 4.5 s left");
    }
}
