//! Histories: what is done to a store, from a seed, in a form from which single steps can be left out.
//!
//! A step is a kind, a seed of its own and a size. What it does exactly (to which rows, at which version) is drawn
//! when it runs, from its seed and what the model holds by then. So any sublist of a history is a history, and
//! shrinking is leaving out and making smaller.

use tapestore::{Options, Retention, Tier};

use crate::random::Random;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rows after the last one of a series.
    Append,
    /// Rows anywhere in a series.
    Upsert,
    /// An import that overlaps what is there.
    Merge,
    /// A range of a series goes.
    Delete,
    /// Several of the above in one transaction, over several series.
    Transaction,
    AddColumn,
    /// A series ends; later writes create it anew.
    Drop,
    ConfirmAbsent,
    WithdrawAbsence,
    CreateSnapshot,
    DropSnapshot,
    /// Reads an older version by number, name or time.
    ReadOld,
    Rollback,
    Prune,
    Seal,
    Compact,
    /// Closes the store and opens it again.
    Reopen,
    /// A second handle that only reads: opens it, or moves it on, or closes it.
    Reader,
    /// Keeps a view of the current version for later.
    Hold,
    /// Compares a view kept earlier and lets it go.
    Release,
    /// Something that must be refused and change nothing.
    Refuse,
    /// Compares the commit log, the snapshots and the statistics.
    Books,
    Verify,
    CompareAll,
}

/// How often each kind is drawn, out of the sum.
const WEIGHTS: [(Kind, u64); 24] = [
    (Kind::Append, 150),
    (Kind::Upsert, 190),
    (Kind::Merge, 120),
    (Kind::Delete, 70),
    (Kind::Transaction, 120),
    (Kind::AddColumn, 12),
    (Kind::Drop, 8),
    (Kind::ConfirmAbsent, 30),
    (Kind::WithdrawAbsence, 20),
    (Kind::CreateSnapshot, 20),
    (Kind::DropSnapshot, 10),
    (Kind::ReadOld, 90),
    (Kind::Rollback, 15),
    (Kind::Prune, 6),
    (Kind::Seal, 30),
    (Kind::Compact, 15),
    (Kind::Reopen, 8),
    (Kind::Reader, 30),
    (Kind::Hold, 20),
    (Kind::Release, 20),
    (Kind::Refuse, 40),
    (Kind::Books, 10),
    (Kind::Verify, 2),
    (Kind::CompareAll, 5),
];

/// One step of a history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    /// Most rows that one write of it has.
    pub(crate) size: u64,
    /// Most writes of a transaction.
    pub(crate) writes: u64,
    /// Series that it leaves alone, one bit for each.
    pub(crate) spared: u32,
}

/// The circumstances of a history; drawn from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) seed: u64,
    pub(crate) options: Options,
    /// On the real file system, not in memory.
    pub(crate) files: bool,
    /// The clock jumps, also backwards (in memory only).
    pub(crate) clock_jumps: bool,
    /// A series with more rows than this is cut down.
    pub(crate) most_rows: usize,
    pub(crate) steps: usize,
    /// Most rows of one write.
    pub(crate) size: u64,
}

impl Setting {
    /// Budgets so small that seals and compactions happen all the time.
    pub(crate) fn small(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let options = Options {
            memtable_bytes: *random.pick(&[1, 1_000, 6_000, 30_000, 200_000]),
            cache_bytes: *random.pick(&[0, 4_096, 1 << 20]),
            own_segment_bytes: *random.pick(&[1, 2_000, 20_000, 1 << 20]),
            young_segments: *random.pick(&[1, 2, 4, 8]),
            tier: *random.pick(&[Tier::Dense, Tier::Hot, Tier::Cold]),
            retention: Retention::All,
            background: false,
            reserve_bytes: 4096,
            ..Options::default()
        };
        let size = *random.pick(&[3, 12, 40]);
        let clock_jumps = random.chance(30);
        Self { seed, options, files: random.chance(3), clock_jumps, most_rows: 400, steps: 400, size }
    }

    /// The same with seals and compactions in a thread beside the writer.
    pub(crate) fn background(seed: u64) -> Self {
        let mut setting = Self::small(seed);
        setting.options.background = true;
        setting.files = seed.is_multiple_of(2);
        setting
    }

    /// Few steps with many rows: columns of many blocks, and more than one chunk.
    pub(crate) fn large(seed: u64) -> Self {
        let mut setting = Self::small(seed);
        setting.options.memtable_bytes = *Random::new(seed).pick(&[100_000, 1 << 20]);
        setting.options.own_segment_bytes = 100_000;
        setting.most_rows = 150_000;
        setting.steps = 40;
        setting.size = 50_000;
        setting
    }

    /// The steps of the history.
    pub(crate) fn draw(&self) -> Vec<Step> {
        let mut random = Random::new(self.seed ^ 0x5eed);
        let total: u64 = WEIGHTS.iter().map(|weight| weight.1).sum();
        let mut draw = || {
            let mut ticket = random.below(total);
            let passes = |(_, weight): &&(Kind, u64)| {
                let here = ticket < *weight;
                ticket = ticket.saturating_sub(*weight);
                here
            };
            let kind = WEIGHTS.iter().find(passes).expect("the ticket is below the sum").0;
            Step { kind, seed: random.next(), size: self.size, writes: u64::MAX, spared: 0 }
        };
        (0..self.steps).map(|_| draw()).collect()
    }
}
