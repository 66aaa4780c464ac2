//! The oracles, one [`Target`] for each decoder.

mod codecs;
mod digits;
mod grids;
mod groups;
mod logs;
mod pieces;
mod replies;
mod schemas;
mod segments;
mod singles;
mod store;
mod texts;

use crate::Target;

/// Every target, the slow ones first: threads take them in turn.
pub const ALL: [Target; 25] = [
    store::STORE,
    store::SALVAGE,
    segments::SEGMENT,
    segments::ROWS,
    pieces::FOOTER,
    pieces::CHUNK,
    pieces::STRINGS,
    pieces::NULLS,
    pieces::RUNS,
    digits::DIGITS,
    singles::SINGLES,
    texts::CSV,
    texts::JSON,
    texts::ARCHIVE,
    texts::WORDS,
    texts::SESSIONS,
    schemas::SCHEMA,
    replies::REPLY,
    grids::COVERAGE,
    codecs::INTEGERS,
    codecs::FLOATS,
    logs::FRAMES,
    logs::TRANSACTION,
    logs::MANIFEST,
    logs::HEADS,
];
