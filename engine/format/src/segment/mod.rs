//! Segments: immutable files of parts, each the rows of one series. Layout and rules S1 and on: `format-spec/segment.md`.
//!
//! A part has two streams of rows, *live* ones and *history* (rows that were replaced or deleted), each a sequence of
//! chunks of at most 65,536 rows. A chunk holds all columns of its rows in blocks of 1024. The index of the part
//! stands behind its chunks; a table of all parts and a footer end the file.
//!
//! [`SegmentWriter`] writes, [`Segment`] reads from mapped or owned bytes and checks every checksum on first touch.

mod chunk;
mod column_encode;
mod group_encode;
mod index;
mod read;
mod read_group;
mod read_text;
mod runs;
mod salvage;
mod scratch;
mod sealed;
mod text_encode;
mod verify;
mod writer;
mod zones;

pub use chunk::{Chunk, ColumnInfo, Encoding};
pub use index::{ChunkRef, PartIndex};
pub use runs::{RunBlock, RunPlace};
pub use salvage::{RemainingPart, Remains};
pub use scratch::{PooledScratch, Scratch};
pub use sealed::Verified;
pub use writer::{Holds, SegmentWriter};

use crate::checksum::Identity;
use crate::error::{FormatError, Result};
use crate::header::{FileHeader, FileKind, HEADER_BYTES, features};
use crate::schema::{ColumnId, ColumnType};
use crate::time::Timeframe;
use index::{ENTRY_BYTES, FOOTER_BYTES, Footer, PartEntry};
use sealed::{Checked, Ends};

/// What a part will hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSpec {
    /// Number of the series in the store.
    pub series: u32,
    /// The columns, each id once.
    pub columns: Vec<(ColumnId, ColumnType)>,
    /// The grid of bars; `None` for everything else.
    pub timeframe: Option<Timeframe>,
    /// Whether each time has at most one row.
    pub unique: bool,
    /// Open, high, low and close, if the columns are bars: lets them predict one another.
    pub ohlc: Option<[ColumnId; 4]>,
}

/// How columns are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Columns without nulls as they are in memory: borrowable.
    Hot,
    /// The smallest encoding that decodes at memory speed; columns of ticks are coded as in `Cold` where that saves an eighth.
    Dense,
    /// Smaller still, for what is seldom read: integer blocks coded by frequency. Decodes several times slower than
    /// `Dense`; any block of 1024 rows can still be read alone.
    Cold,
}

impl Tier {
    /// All tiers, the largest first.
    pub const ALL: [Self; 3] = [Self::Hot, Self::Dense, Self::Cold];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        ["hot", "dense", "cold"][self as usize]
    }
}

/// Which rows of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The newest row for each key.
    Live,
    /// Rows that were replaced or deleted.
    History,
}

/// What a part holds, for the manifest. Times are `(0, -1)` where there is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSummary {
    /// Number of the series in the store.
    pub series: u32,
    /// Ordinal of the part in its segment.
    pub part: u32,
    /// Live rows.
    pub rows: u64,
    /// History rows.
    pub history_rows: u64,
    /// Time of the first live row, nanoseconds since the Unix epoch.
    pub first_time: i64,
    /// Time of the last live row, inclusive.
    pub last_time: i64,
    /// Time of the first history row.
    pub history_first_time: i64,
    /// Time of the last history row, inclusive.
    pub history_last_time: i64,
    /// Lowest commit of any row (written or replaced) or mark; 0 if there is none.
    pub version_low: u64,
    /// Highest commit of any row (written or replaced) or mark; 0 if there is none.
    pub version_high: u64,
    /// Number of marks.
    pub marks: u32,
    /// Bytes of the file that belong to this part.
    pub bytes: u64,
}

/// What a finished segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Length of the file, in bytes.
    pub length: u64,
    /// XXH3-128 of the whole file.
    pub hash: u128,
    /// All parts, by series.
    pub parts: Vec<PartSummary>,
}

/// Which system columns a read wants. `until` comes with the version, for history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of four columns, named where it is made")]
pub struct System {
    /// Times.
    pub time: bool,
    /// Versions, and `until` for history.
    pub version: bool,
    /// Sources.
    pub source: bool,
    /// Flags.
    pub flags: bool,
}

impl System {
    /// Everything.
    pub const ALL: Self = Self { time: true, version: true, source: true, flags: true };
    /// Times only.
    pub const TIME: Self = Self { time: true, ..Self::NONE };
    /// Nothing.
    pub const NONE: Self = Self { time: false, version: false, source: false, flags: false };
}

/// Statistics of the values of one column in one block, or in a chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zone {
    /// Least value, NaN left out; `+∞` if there is none. Integers are rounded to `f64`.
    pub min: f64,
    /// Greatest value, NaN left out; `−∞` if there is none.
    pub max: f64,
    /// Sum of the values in order of rows, in `f64`, NaN left out.
    pub sum: f64,
    /// Number of values that are neither null nor NaN.
    pub count: u64,
    /// Number of nulls.
    pub nulls: u64,
}

impl Zone {
    /// Of no values.
    pub const EMPTY: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, count: 0, nulls: 0 };

    /// Takes in the statistics of later rows.
    pub fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.count += other.count;
        self.nulls += other.nulls;
    }
}

/// A segment in mapped or owned bytes.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    file: Checked<'a>,
    footer: Footer,
}

impl<'a> Segment<'a> {
    /// Opens a segment: reads header and footer only, and these once for all that share `verified`.
    ///
    /// # Errors
    /// Foreign, newer or damaged header; damaged footer; a length other than the footer's.
    pub fn open(bytes: &'a [u8], identity: Identity, verified: &'a Verified) -> Result<Self> {
        if let Some(ends) = verified.ends(&identity) {
            let file = Checked { bytes, identity, verified, required: ends.required };
            return Ok(Self { file, footer: ends.footer });
        }
        let header = FileHeader::check(bytes, FileKind::Segment, &identity)?;
        if header.extra != [0; 2] {
            return Err(FormatError::corrupt(
                "S1",
                40,
                "the extra numbers of a segment's header are not zero",
            ));
        }
        let file = Checked { bytes, identity, verified, required: header.required };
        let footer = Footer::read(&file)?;
        verified.keep_ends(Ends { identity, required: header.required, footer });
        Ok(Self { file, footer })
    }

    /// Whether the header announces that prices may have [factors](ColumnInfo::factors).
    pub fn may_hold_factors(&self) -> bool {
        self.file.required & features::FACTORS != 0
    }

    /// Number of parts.
    pub fn part_count(&self) -> u32 {
        self.footer.parts
    }

    fn entry(&self, ordinal: u32) -> Result<PartEntry> {
        if ordinal >= self.footer.parts {
            let detail = format!("part {ordinal} of {}", self.footer.parts);
            return Err(FormatError::limit("S3", self.footer.table, detail));
        }
        PartEntry::read(&self.file, self.footer.table + u64::from(ordinal) * ENTRY_BYTES as u64)
    }

    /// The index of a part.
    ///
    /// # Errors
    /// Damage to the table entry or the index.
    pub fn part(&self, ordinal: u32) -> Result<PartIndex> {
        PartIndex::read(&self.file, &self.entry(ordinal)?, ordinal)
    }

    /// What a part holds, read from the file.
    ///
    /// # Errors
    /// Those of [`Segment::part`].
    pub fn summary(&self, ordinal: u32) -> Result<PartSummary> {
        Ok(self.part(ordinal)?.summary)
    }

    /// Parses and checks the head of a chunk.
    ///
    /// # Errors
    /// Damage to the head, or a head that contradicts the index.
    pub fn chunk(&self, part: &PartIndex, stream: Stream, chunk: usize) -> Result<Chunk<'a>> {
        let Some(place) = part.chunks(stream).get(chunk) else {
            let detail = format!("chunk {chunk} of {}", part.chunks(stream).len());
            return Err(FormatError::limit("S10", 0, detail));
        };
        Chunk::open(self.file, part, stream, chunk, place)
    }

    /// Checks the segment and reports every broken rule; goes on after an error.
    ///
    /// Shallow: structure, i.e. table, indexes and chunk heads. Deep: every byte; all blocks are decoded, and zone
    /// maps, order of times, coverage and zero padding are compared with them.
    pub fn verify(&self, deep: bool, report: &mut dyn FnMut(FormatError)) {
        verify::verify(self, deep, report);
    }
}

/// Bytes of header and footer, the smallest possible segment.
const LEAST_BYTES: usize = HEADER_BYTES + FOOTER_BYTES;
