//! The progress line: on standard error, only on a terminal, a few times a second.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::number::grouped;

/// Rows between two looks at the clock.
const LOOK_ROWS: u64 = 8192;
/// Time between two drawings.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// Shows how far a long task is: rows, rows per second, and the time left where the size of the input is known.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    drawn: bool,
    name: String,
    done: Arc<AtomicU64>,
    total: Option<u64>,
    started: Instant,
    last: Instant,
}

impl Progress {
    /// Shown only when standard error is a terminal and `quiet` is not set.
    pub(crate) fn new(quiet: bool) -> Self {
        let now = Instant::now();
        Self {
            shown: !quiet && std::io::stderr().is_terminal(),
            drawn: false,
            name: String::new(),
            done: Arc::default(),
            total: None,
            started: now,
            last: now,
        }
    }

    /// Follows a new input: packed bytes done, and in all.
    pub(crate) fn follow(&mut self, name: &str, done: &Arc<AtomicU64>, total: Option<u64>) {
        name.rsplit('/').next().unwrap_or(name).clone_into(&mut self.name);
        self.done = Arc::clone(done);
        self.total = total;
        self.started = Instant::now();
        self.last = self.started;
    }

    /// Reports the number of rows so far; draws when it is time to.
    pub(crate) fn tick(&mut self, doing: &str, rows: u64) {
        if !self.shown || !rows.is_multiple_of(LOOK_ROWS) || self.last.elapsed() < DRAW_EVERY {
            return;
        }
        self.last = Instant::now();
        let line = self.line(doing, rows, self.started.elapsed());
        self.drawn = true;
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    }

    fn line(&self, doing: &str, rows: u64, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let speed = (rows as f64 / seconds) as u64;
        let part = self
            .total
            .map(|total| (self.done.load(Ordering::Relaxed) as f64 / total.max(1) as f64).clamp(0.0, 1.0));
        let left = match part {
            Some(part) if part > 0.0 => {
                let left = seconds / part - seconds;
                format!("  {:3.0} %  {} left", part * 100.0, span(left))
            }
            _ => String::new(),
        };
        format!("{}: {doing}, {} rows, {} rows/s{left}", self.name, grouped(rows), grouped(speed))
    }

    /// Removes the line.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Seconds as people say them: `1 h 5 min`.
pub(crate) fn span(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_speed_and_time_left() {
        let mut progress = Progress::new(true);
        progress.follow("/a/b.csv", &Arc::new(AtomicU64::new(25)), Some(100));
        let line = progress.line("reading", 1_000_000, Duration::from_secs(10));
        assert_eq!(line, "b.csv: reading, 1,000,000 rows, 100,000 rows/s   25 %  30 s left");
        assert_eq!([span(59.0), span(61.0), span(3661.0)], ["59 s", "1 min 1 s", "1 h 1 min"]);
    }
}
