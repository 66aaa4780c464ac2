//! Interleaved repeats: every contender once, then every contender once more, so that whatever else the machine does
//! falls on all of them.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use crate::contender::Result;

/// Something to be timed, any number of times.
pub(crate) struct Runner<'a> {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnMut() -> Result<()> + 'a>,
    /// What is to be done before each run and is not timed.
    pub(crate) before: Option<Box<dyn FnMut() -> Result<()> + 'a>>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() -> Result<()> + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run), before: None }
    }

    #[must_use]
    pub(crate) fn before(mut self, before: impl FnMut() -> Result<()> + 'a) -> Self {
        self.before = Some(Box::new(before));
        self
    }

    fn timed(&mut self, runs: u32) -> Result<Sample> {
        if let Some(before) = &mut self.before {
            before()?;
        }
        let (start, cpu) = (Instant::now(), cpu_seconds());
        for _ in 0..runs {
            (self.run)()?;
        }
        let runs = f64::from(runs);
        Ok(Sample { wall: start.elapsed().as_secs_f64() / runs, cpu: (cpu_seconds() - cpu) / runs })
    }
}

/// Seconds of one run.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// By the clock: what other processes take is in it.
    wall: f64,
    /// Of processor time of this process, all threads and the kernel's work for them: without waiting for a device or
    /// for a processor.
    cpu: f64,
}

/// Processor time of the process so far.
pub(crate) fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// A run shorter than this is repeated within a sample.
const LEAST_SECONDS: f64 = 0.003;
/// What a contender may take of a workload: slow ones get fewer rounds, and the count is told.
const MOST_SECONDS: f64 = 4.0;

/// Seconds of each run, by contender. The first round warms up and is dropped, unless one run takes very long.
pub(crate) fn rounds(rounds: u32, runners: Vec<Runner<'_>>) -> Result<Map<String, Value>> {
    rounds_within(rounds, MOST_SECONDS, runners)
}

/// The same with what a contender may take.
pub(crate) fn rounds_within(
    rounds: u32,
    most_seconds: f64,
    mut runners: Vec<Runner<'_>>,
) -> Result<Map<String, Value>> {
    let mut plans = Vec::new();
    for runner in &mut runners {
        let first = runner.timed(1)?;
        // The second is warm, and tells how many make a sample; first touches stay out of that.
        let warm = if first.cpu > 0.1 { first } else { runner.timed(1)? };
        let enough = (LEAST_SECONDS / warm.cpu.max(1e-9)).ceil().clamp(1.0, 5000.0);
        let runs = if runner.before.is_some() { 1 } else { enough as u32 };
        let affordable = (most_seconds / (warm.cpu * f64::from(runs)).max(1e-9)) as u32;
        let kept = if affordable < 2 { vec![first] } else { Vec::new() };
        let planned = if affordable < 2 { 0 } else { affordable.min(rounds) };
        plans.push((runs, planned, kept));
    }
    for round in 0..rounds {
        for (runner, (runs, planned, samples)) in runners.iter_mut().zip(&mut plans) {
            if round < *planned {
                samples.push(runner.timed(*runs)?);
            }
        }
    }
    let mut out = Map::new();
    for (runner, (runs, _, samples)) in runners.into_iter().zip(plans) {
        let (wall, cpu): (Vec<f64>, Vec<f64>) =
            samples.iter().map(|sample| (sample.wall, sample.cpu)).unzip();
        let (shown, by_clock) = (seconds(median(&cpu)), seconds(median(&wall)));
        eprintln!("    {:44} {shown:>12} cpu {by_clock:>12} wall  ({} × {runs})", runner.name, cpu.len());
        out.insert(runner.name, json!({ "cpu": cpu, "wall": wall }));
    }
    Ok(out)
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// A quantile, between neighbours in proportion.
pub(crate) fn quantile(samples: &[f64], at: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = at * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

/// Seconds in a unit that suits them.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        v if v.is_nan() => "–".to_owned(),
        v if v >= 1.0 => format!("{v:.2} s"),
        v if v >= 1e-3 => format!("{:.2} ms", v * 1e3),
        v if v >= 1e-6 => format!("{:.2} µs", v * 1e6),
        v => format!("{:.0} ns", v * 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_is_a_sample_of_every_runner_even_a_single_one() {
        for count in [1, 3] {
            let runners = ["a", "b"].map(|name| Runner::new(name, || Ok(())));
            let found = rounds(count, runners.into()).unwrap();
            for name in ["a", "b"] {
                assert_eq!(found[name]["cpu"].as_array().unwrap().len(), count as usize);
            }
        }
    }

    #[test]
    fn quantiles_lie_between_samples() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), 2.0);
        assert!(median(&[]).is_nan());
    }
}
