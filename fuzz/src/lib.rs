//! Fuzzing of everything in Tapestore that reads bytes or text of others.
//!
//! One [`Target`] for each decoder: seeds, a mutator that knows the structure and mends checksums, an *oracle* that says
//! what must hold of any input, and a bound on memory. Oracles are in [`targets`]; they panic when something is wrong.
//!
//! - [`driver`]: the stable toolchain; seeded, counted runs, split over threads, with minimised findings (`smoke.sh`).
//! - `libfuzzer/`: the same targets under cargo-fuzz with coverage and `AddressSanitizer` (`hunt.sh`).
//! - [`mend`] and [`mutate`]: changed bytes whose checksums are right. [`meter`]: memory. [`corpus`]: where seeds are from.

pub mod corpus;
pub mod driver;
pub mod mend;
pub mod meter;
pub mod mutate;
pub mod random;
pub mod targets;

use std::ops::Range;

use random::Random;

/// What became of an input that broke nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Read through; the number tells kinds of content apart, so that a new one is kept as a seed.
    Accepted(u64),
    /// Refused, under this rule or message; the number tells places apart.
    Refused(&'static str, u64),
}

/// One decoder.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name on the command line.
    pub name: &'static str,
    /// Executions of a smoke run.
    pub smoke: u64,
    /// Longest input that is made.
    pub longest: usize,
    /// Whether lengths stay as they are, because positions within the file would no longer fit.
    pub fixed: bool,
    /// Most bytes that an input of this length may make the decoders hold at once.
    pub bound: fn(usize) -> usize,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Makes the checksums right, and tells the places where structure stands; none: everywhere.
    pub mend: fn(&mut Vec<u8>) -> Vec<Range<usize>>,
    /// The oracle; panics if something is wrong.
    pub check: fn(&[u8]) -> Outcome,
}

impl Target {
    /// The target of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        targets::ALL.iter().find(|target| target.name == name)
    }

    /// Changes an input, and mends its checksums but for one time in sixteen.
    pub fn mutate(&self, random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
        let places = (self.mend)(bytes);
        for _ in 0..=random.pick(&[0, 0, 1, 1, 2, 5]) {
            if places.is_empty() || random.chance(8) {
                if self.fixed && !random.chance(64) {
                    let whole = 0..bytes.len();
                    mutate::in_place(random, bytes, whole);
                } else {
                    mutate::freely(random, bytes, other, self.longest);
                }
            } else {
                let place = places[random.below(places.len())].clone();
                mutate::in_place(random, bytes, place);
            }
        }
        if !random.chance(16) {
            (self.mend)(bytes);
        }
    }

    /// Runs the oracle on an input and holds it to the bound on memory; panics if something is wrong.
    pub fn run(&self, bytes: &[u8]) -> Outcome {
        let (outcome, peak) = meter::measured(|| (self.check)(bytes));
        let bound = (self.bound)(bytes.len());
        assert!(
            peak <= bound,
            "{peak} bytes held for an input of {}, at most {bound} are allowed",
            bytes.len()
        );
        outcome
    }
}
