//! The explicit list of damage that may pass unnoticed, with the reasons. Nothing else may.

use crate::layout::{Layout, Log};
use crate::subject::{Files, Subject};

/// A kind of bytes whose damage may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The file `visible`.
    Hint,
    /// The file `LOCK`.
    Lock,
    /// A file that nothing counts.
    Uncounted,
    /// Bytes of the manifest behind the length in `CURRENT`.
    BehindManifest,
    /// Bytes of a log behind the end of its records.
    BehindLog,
    /// A log that took no transaction.
    EmptyLog,
    /// The end of the newest log.
    NewestEnd,
    /// `CURRENT` as it was at an earlier moment.
    EarlierCurrent,
}

/// Why each kind may pass.
pub const REASONS: [(Kind, &str); 8] = [
    (Kind::Hint, "a hint for readers beside a living writer; rewritten when a writer opens (recovery.md)"),
    (Kind::Lock, "only its lock matters, never its content"),
    (Kind::Uncounted, "left over, or not the store's: no step counts it (store.md)"),
    (Kind::BehindManifest, "an unfinished step: it does not exist (M1)"),
    (Kind::BehindLog, "a torn end that a later log or nothing follows: it does not exist (W5)"),
    (Kind::EmptyLog, "without a transaction in it, a log that is damaged is one that was never born (W6)"),
    (
        Kind::NewestEnd,
        "from the damage to the end of the newest log no frame is whole that calls the damaged one durable: that is what \
         a power cut leaves (W5); the threat model of recovery.md says so. What is given is exact, up to a commit before",
    ),
    (
        Kind::EarlierCurrent,
        "every byte of it was right at that moment, and the files of the store say nothing of later ones: a crash \
         before the rename looks the same. What is given is exact; snapshots and the floor may be those of that moment",
    ),
];

/// What may come of a damage beside an error that names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Why it may pass unnoticed, if it may.
    pub kind: Option<Kind>,
    /// The least version that may be shown as the newest.
    pub least: Option<u64>,
    /// Whether snapshots and the floor may differ.
    pub retention: bool,
    /// Whether an error may name a file that was not touched.
    pub elsewhere: bool,
}

/// What may come of the change from `subject.files` to `after`.
pub fn allowed(subject: &Subject, after: &Files) -> Allowed {
    let mut out = Allowed::default();
    let changed = subject.files.iter().filter(|(name, bytes)| after.get(*name) != Some(*bytes));
    for (name, before) in changed {
        let one = one_file(subject, name, before, after);
        let Some(kind) = one.kind else { return Allowed { elsewhere: one.elsewhere, ..Allowed::default() } };
        out.kind = Some(out.kind.map_or(kind, |known| known.max(kind)));
        out.least = out.least.into_iter().chain(one.least).min();
        out.retention |= one.retention;
        out.elsewhere |= one.elsewhere;
    }
    out
}

fn one_file(subject: &Subject, name: &str, before: &[u8], after: &Files) -> Allowed {
    let layout = &subject.layout;
    let after = after.get(name).map(|bytes| bytes.as_slice());
    let passes = |kind| Allowed { kind: Some(kind), ..Allowed::default() };
    match name {
        "visible" => return passes(Kind::Hint),
        "LOCK" => return passes(Kind::Lock),
        "CURRENT" => {
            let earlier = |files: &Files| files.get(name).is_some_and(|old| after == Some(old.as_slice()));
            if subject.earlier.iter().any(earlier) {
                let kind = Some(Kind::EarlierCurrent);
                return Allowed { kind, retention: true, elsewhere: true, ..Allowed::default() };
            }
            // That of another store is whole in itself: what does not fit is the manifest that it counts.
            return Allowed { elsewhere: subject.others.iter().any(earlier), ..Allowed::default() };
        }
        _ => {}
    }
    if let Some(at) = layout.logs.iter().position(|log| log.name == name) {
        return one_log(layout, at, before, after);
    }
    if name == layout.manifest {
        let counted = layout.manifest_bytes;
        let same = after.and_then(|bytes| bytes.get(..counted)) == Some(&before[..counted]);
        return if same { passes(Kind::BehindManifest) } else { Allowed::default() };
    }
    if layout.counts(name) { Allowed::default() } else { passes(Kind::Uncounted) }
}

/// Most bytes that the creation of a log leaves when it is cut short: header and first record.
const EMPTY_LOG_BYTES: usize = 112;

fn one_log(layout: &Layout, at: usize, before: &[u8], after: Option<&[u8]>) -> Allowed {
    let log: &Log = &layout.logs[at];
    let intact =
        |range: std::ops::Range<usize>| after.and_then(|a| a.get(range.clone())) == Some(&before[range]);
    let passes = |kind| Allowed { kind: Some(kind), ..Allowed::default() };
    let shorter = |least| Allowed { least: Some(least), ..passes(Kind::NewestEnd) };
    if intact(0..log.end) {
        return passes(Kind::BehindLog);
    }
    if at + 1 < layout.logs.len() {
        return Allowed::default();
    }
    // The newest log. Its beginning is whole, or nothing is left of it but what a creation may leave.
    let header = intact(0..64) && intact(log.frames[0].bytes.clone());
    if !header {
        let short = after.is_none_or(|bytes| bytes.len() <= EMPTY_LOG_BYTES);
        return match (at > 0, short, log.frames.len() > 1) {
            (true, _, false) => passes(Kind::EmptyLog),
            (true, true, true) => shorter(log.version),
            _ => Allowed::default(),
        };
    }
    let Some(broken) = log.frames.iter().find(|frame| !intact(frame.bytes.clone())) else {
        return passes(Kind::BehindLog);
    };
    let proves = |frame: &&crate::layout::LogFrame| {
        frame.bytes.start > broken.bytes.start
            && intact(frame.bytes.clone())
            && frame.durable >= broken.sequence
    };
    if log.frames.iter().find(proves).is_some() { Allowed::default() } else { shorter(broken.before) }
}
