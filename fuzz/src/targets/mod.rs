//! The oracles, one [`Target`] for each decoder.

mod codecs;
mod grids;
mod logs;
mod schemas;
mod segments;
mod store;
mod texts;

use crate::Target;

/// Every target, the slow ones first: threads take them in turn.
pub const ALL: [Target; 17] = [
    store::STORE,
    store::SALVAGE,
    segments::SEGMENT,
    segments::ROWS,
    texts::CSV,
    texts::JSON,
    texts::ARCHIVE,
    texts::WORDS,
    texts::SESSIONS,
    schemas::SCHEMA,
    grids::COVERAGE,
    codecs::INTEGERS,
    codecs::FLOATS,
    logs::FRAMES,
    logs::TRANSACTION,
    logs::MANIFEST,
    logs::HEADS,
];
