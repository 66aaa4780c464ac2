//! Chunks: parsing the head, finding the blocks. Rules S16 to S22.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::index::{ChunkRef, PartIndex, read_kind};
use super::scratch::MODELS;
use super::sealed::{Checked, sealed_bytes};
use super::zones::Zones;
use super::{Stream, Tier};
use crate::bytes::ByteReader;
use crate::codec::decimal::Scale;
use crate::codec::digits::Places;
use crate::codec::group::Role;
use crate::codec::{bins, lanes};
use crate::error::{FormatError, Result};
use crate::header::features;
use crate::limits::{ALIGNMENT, BLOCK_ROWS, CHECKED_BYTES, CHUNK_ROWS, PART_COLUMNS, STRING_BYTES};
use crate::schema::{ColumnId, ColumnType};

/// First bytes of a chunk.
pub(super) const CHUNK_MAGIC: [u8; 4] = *b"TCHK";
/// Entry flag: some rows are null.
pub(super) const NULLS: u8 = 1;
/// Entry flag: blocks of decimals end in exceptions.
pub(super) const STRAYS: u8 = 2;
/// Entry flag: zone maps follow the parameters.
pub(super) const ZONES: u8 = 4;
/// Entry flag: lengths of blocks take four bytes instead of two.
pub(super) const LONG: u8 = 8;
/// Entry flag: zone maps count NaNs.
pub(super) const NANS: u8 = 16;

/// Entry flag: integer blocks may be coded with a model, which stands before the blocks.
pub(super) const MODEL: u8 = 32;
/// Entry flag: decimals are multiplied by factors.
pub(super) const FACTORS: u8 = 64;
/// Entry flag: decimals of a group have further digits.
pub(super) const DIGITS: u8 = 128;

/// Longest dictionary of strings, in bytes: the encoder's bound and one string more.
const HEAP_LIMIT: u64 = (super::text_encode::HEAP_BYTES + STRING_BYTES + 2) as u64;

/// How a column of a chunk is stored. Ids are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// No row has a value.
    Null = 0,
    /// All rows have the same value.
    Constant = 1,
    /// As in memory, borrowable.
    Raw = 2,
    /// Integer blocks; floats by their bits.
    Integers = 3,
    /// Integer blocks of decimal mantissas, with exceptions.
    Decimal = 4,
    /// Like `Decimal`, where open, high, low and close predict one another.
    Group = 5,
    /// Floats in two halves: integer blocks of the high bits, packed low bits.
    Split = 6,
    /// Codes into a heap of distinct strings.
    Dictionary = 7,
    /// Strings end to end.
    Text = 8,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 9] = [
        Self::Null,
        Self::Constant,
        Self::Raw,
        Self::Integers,
        Self::Decimal,
        Self::Group,
        Self::Split,
        Self::Dictionary,
        Self::Text,
    ];

    fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| *encoding as u8 == id)
    }

    /// Name in `tape inspect`.
    pub fn name(self) -> &'static str {
        ["null", "constant", "raw", "integers", "decimal", "group", "split", "dictionary", "text"]
            [self as usize]
    }

    /// Whether a column may have a model.
    fn may_be_coded(self) -> bool {
        matches!(self, Self::Integers | Self::Decimal | Self::Group | Self::Split | Self::Dictionary)
    }

    fn has_blocks(self) -> bool {
        !matches!(self, Self::Null | Self::Constant)
    }
}

/// Which column an entry is: one of the row's own, or one of the series'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Time,
    Version,
    Until,
    Source,
    Flags,
    Column(ColumnId),
}

impl Key {
    pub(super) fn code(self) -> u64 {
        match self {
            Self::Time => 0,
            Self::Version => 1,
            Self::Until => 2,
            Self::Source => 3,
            Self::Flags => 4,
            Self::Column(id) => 8 + u64::from(id),
        }
    }

    pub(super) fn is_system(self) -> bool {
        !matches!(self, Self::Column(_))
    }

    fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Time,
            1 => Self::Version,
            2 => Self::Until,
            3 => Self::Source,
            4 => Self::Flags,
            _ => Self::Column(ColumnId::try_from(code.checked_sub(8)?).ok()?),
        })
    }
}

/// The entry of a column in the head of a chunk, with the places of its parts.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) kind: ColumnType,
    pub(super) encoding: Encoding,
    pub(super) flags: u8,
    /// Parameters of the encoding, in the head.
    pub(super) parameters: Range<usize>,
    /// Zone maps, in the head; empty if there are none.
    pub(super) zones: Range<usize>,
    /// The zone maps, once they were asked for.
    pub(super) statistics: OnceLock<Option<Zones>>,
    /// The scale of decimals, and the role in the group.
    pub(super) scale: Option<Scale>,
    pub(super) role: Option<Role>,
    /// Places of further digits in the group.
    pub(super) places: Option<Places>,
    /// Where every block begins, from `offset`, and where the last one ends.
    starts: Box<[u64]>,
    /// Where its model is kept while it is read.
    pub(super) slot: usize,
    /// Units of checksums before every block; empty if each is one unit.
    units: Box<[u32]>,
    /// Checksums of units, in the head.
    crcs: usize,
    /// Content of the heap and of the model behind it, in bytes.
    pub(super) heap: usize,
    pub(super) model: usize,
    /// Place of the column's bytes in the file.
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// What the parameters of an encoding tell.
#[derive(Debug, Default)]
struct Parameters {
    /// Content of the heap, in bytes.
    heap: usize,
    scale: Option<Scale>,
    role: Option<Role>,
    places: Option<Places>,
}

/// The head of a chunk, parsed and verified.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) content: Box<[u8]>,
    pub(super) entries: Vec<Entry>,
    pub(super) stream: Stream,
    pub(super) offset: u64,
    pub(super) end: u64,
    first_row: u64,
    rows: usize,
    /// The entries of the group, by role, if the chunk has one.
    group: Option<[usize; 4]>,
}

/// The heads of a part's chunks that were read, by stream: each is parsed once.
#[derive(Debug, Default)]
pub(super) struct Heads([Box<[OnceLock<Arc<Head>>]>; 2]);

impl Heads {
    /// None read yet, of so many live and history chunks.
    pub(super) fn new(chunks: [usize; 2]) -> Self {
        Self(chunks.map(|count| (0..count).map(|_| OnceLock::new()).collect()))
    }
}

/// What was read of one index is not taken over to another.
impl Clone for Heads {
    fn clone(&self) -> Self {
        Self::new([self.0[0].len(), self.0[1].len()])
    }
}

/// What was read is no part of what an index says.
impl PartialEq for Heads {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Heads {}

/// A chunk of a segment: head parsed and verified; blocks are verified when they are touched.
#[derive(Clone, Debug)]
pub struct Chunk<'a> {
    pub(super) file: Checked<'a>,
    pub(super) head: Arc<Head>,
}

/// What a chunk tells about one of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    /// The column; `None` for the row's own (see `name`).
    pub id: Option<ColumnId>,
    /// `time`, `version`, `until`, `source`, `flags`, or `column`.
    pub name: &'static str,
    /// Type of the values.
    pub kind: ColumnType,
    /// How it is stored.
    pub encoding: Encoding,
    /// Whether its decimals are multiplied by factors.
    pub factors: bool,
    /// Whether some of them have further digits.
    pub digits: bool,
    /// Whether they are those of adjusted singles.
    pub singles: bool,
    /// Place of its blocks in the file.
    pub offset: u64,
    /// Bytes of its blocks.
    pub bytes: u64,
    /// Bytes of its entry in the head: parameters, zone maps and block table.
    pub head_bytes: u64,
}

impl ColumnInfo {
    /// Name in `tape inspect`: of the encoding, and whether there are factors or further digits.
    pub fn form(&self) -> &'static str {
        match (self.factors, self.encoding) {
            (true, Encoding::Group) => "group with factors",
            (true, _) => "decimal with factors",
            (_, Encoding::Group) if self.digits => "group with digits",
            (_, Encoding::Group) if self.singles => "group of singles",
            _ => self.encoding.name(),
        }
    }
}

impl Entry {
    /// Where the model stands in the file, if there is one.
    pub(super) fn model_offset(&self) -> u64 {
        self.offset + sealed_bytes(self.heap) as u64
    }
}

impl<'a> Chunk<'a> {
    pub(super) fn open(
        file: Checked<'a>,
        part: &PartIndex,
        stream: Stream,
        number: usize,
        place: &ChunkRef,
    ) -> Result<Self> {
        let kept = part.heads.0[stream as usize].get(number);
        if let Some(head) = kept.and_then(OnceLock::get) {
            return Ok(Self { file, head: head.clone() });
        }
        let content = file.sealed_with_magic(place.offset, CHUNK_MAGIC, "chunk")?;
        let mut head = Head {
            content: Box::from(&*content),
            entries: Vec::new(),
            stream,
            offset: place.offset,
            end: 0,
            first_row: place.first_row,
            rows: place.rows as usize,
            group: None,
        };
        let mut reader = ByteReader::new(&content, "S16");
        let parsed = head.parse(&mut reader, &file, part, number, place);
        parsed.and_then(|()| reader.finish()).map_err(|error| error.shifted(place.offset))?;
        if head.end > part.offset {
            return Err(FormatError::corrupt(
                "S17",
                place.offset,
                "the chunk reaches past the index of its part",
            ));
        }
        head.check_group()?;
        let head = Arc::new(head);
        if let Some(kept) = kept {
            let _ = kept.set(head.clone());
        }
        Ok(Self { file, head })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.head.rows
    }

    /// Number of the first row within its stream.
    pub fn first_row(&self) -> u64 {
        self.head.first_row
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.head.rows.div_ceil(BLOCK_ROWS)
    }

    /// The rows of a block.
    pub(super) fn block_rows(&self, block: usize) -> Range<usize> {
        self.head.block_rows(block)
    }

    pub(super) fn entry(&self, key: Key) -> Option<&Entry> {
        self.head.entry(key)
    }

    /// The bytes of a block, verified, and their place in the file.
    pub(super) fn block(&self, entry: &Entry, block: usize) -> Result<(&'a [u8], u64)> {
        let (start, end) = (entry.starts[block], entry.starts[block + 1]);
        let (offset, length) = (entry.offset + start, (end - start) as usize);
        let mut unit = entry.units.get(block).map_or(block, |units| *units as usize);
        let mut done = 0;
        while done < length {
            let part = (length - done).min(CHECKED_BYTES);
            let crc = u32::from_le_bytes(self.head.number(entry.crcs + unit * 4));
            self.file.unit(offset + done as u64, part, crc)?;
            done += part;
            unit += 1;
        }
        Ok((self.file.slice(offset, length as u64)?, offset))
    }

    /// The bytes that align raw columns are zero.
    pub(super) fn check_padding(&self) -> Result<()> {
        let mut end = self.head.offset + sealed_bytes(self.head.content.len()) as u64;
        for entry in &self.head.entries {
            let padding = self.file.slice(end, entry.offset - end)?;
            if padding.iter().any(|byte| *byte != 0) {
                return Err(FormatError::corrupt("S2", end, "padding before a raw column is not zero"));
            }
            end = entry.offset + entry.bytes;
        }
        Ok(())
    }

    /// Whether reading a column costs no more than copying it: it is stored as it is in memory, or the same in every row.
    pub fn is_plain(&self, id: ColumnId) -> bool {
        let entry = self.entry(Key::Column(id));
        entry.is_none_or(|e| matches!(e.encoding, Encoding::Raw | Encoding::Constant | Encoding::Null))
    }

    /// The columns of the chunk, in file order.
    pub fn columns(&self) -> impl Iterator<Item = ColumnInfo> + '_ {
        let entries = &self.head.entries;
        entries.iter().enumerate().map(|(index, entry)| {
            let end =
                entries.get(index + 1).map_or(self.head.content.len(), |next| next.parameters.start - 4);
            ColumnInfo {
                id: match entry.key {
                    Key::Column(id) => Some(id),
                    _ => None,
                },
                name: match entry.key {
                    Key::Time => "time",
                    Key::Version => "version",
                    Key::Until => "until",
                    Key::Source => "source",
                    Key::Flags => "flags",
                    Key::Column(_) => "column",
                },
                kind: entry.kind,
                encoding: entry.encoding,
                factors: entry.flags & FACTORS != 0 && !is_singles(entry.flags),
                digits: entry.flags & DIGITS != 0 && !is_singles(entry.flags),
                singles: is_singles(entry.flags),
                offset: entry.offset,
                bytes: entry.bytes,
                head_bytes: (end - (entry.parameters.start - 4)) as u64,
            }
        })
    }

    /// The tier that the chunk was written for, as far as its encodings tell: cold if its times have a model and stand first, or if
    /// they are a grid's and a column has one; hot if all columns of numbers that differ from row to row are raw.
    pub fn tier(&self) -> Tier {
        let coded = |entry: &Entry| entry.flags & MODEL != 0;
        let entries = &self.head.entries;
        let time = entries.iter().position(|entry| entry.key == Key::Time && entry.encoding.may_be_coded());
        if time.map_or_else(|| entries.iter().any(coded), |at| at == 0 && coded(&entries[at])) {
            return Tier::Cold;
        }
        let numbers = |entry: &&Entry| {
            !entry.key.is_system() && entry.kind != ColumnType::String && entry.encoding.has_blocks()
        };
        let mut raw = entries.iter().filter(numbers).map(|entry| entry.encoding == Encoding::Raw);
        match raw.next() {
            Some(true) if raw.all(|raw| raw) => Tier::Hot,
            _ => Tier::Dense,
        }
    }

    /// Whether the cold tier has another form for any of its columns that tells which tier this is: versions, sources and flags are
    /// coded only where that is smaller.
    pub fn may_be_coded(&self) -> bool {
        let tells = |entry: &&Entry| entry.key == Key::Time || !entry.key.is_system();
        self.head.entries.iter().filter(tells).any(|entry| entry.encoding.may_be_coded())
    }

    /// Bytes of the file from the head to the last block.
    pub fn bytes(&self) -> Range<u64> {
        self.head.offset..self.head.end
    }

    /// Bytes of the head, with its checksums.
    pub fn head_bytes(&self) -> u64 {
        sealed_bytes(self.head.content.len()) as u64
    }

    /// The column of the group with this role.
    pub(super) fn member(&self, role: Role) -> Result<&Entry> {
        let group = self.head.group.map(|group| &self.head.entries[group[role as usize]]);
        group.ok_or_else(|| FormatError::corrupt("K13", self.head.offset, "a column of the group is missing"))
    }
}

impl Head {
    fn parse(
        &mut self,
        reader: &mut ByteReader<'_>,
        file: &Checked<'_>,
        part: &PartIndex,
        number: usize,
        place: &ChunkRef,
    ) -> Result<()> {
        reader.take(8)?;
        let found =
            [reader.varint()?, u64::from(reader.u8()?), reader.varint()?, reader.varint()?, reader.varint()?];
        let expected = [
            u64::from(part.summary.series),
            self.stream as u64,
            number as u64,
            place.first_row,
            u64::from(place.rows),
        ];
        let first_time = reader.signed_varint()?;
        let last_time = first_time.checked_add_unsigned(reader.varint()?);
        if found != expected || first_time != place.first_time || last_time != Some(place.last_time) {
            return Err(reader.error("the chunk is another one than the index says"));
        }
        debug_assert!(self.rows <= CHUNK_ROWS);
        let count = reader.varint()?;
        if count > PART_COLUMNS as u64 + 5 {
            return Err(FormatError::limit(
                "S18",
                reader.position() as u64,
                format!("{count} columns in a chunk"),
            ));
        }
        let mut position = self.offset + sealed_bytes(self.content.len()) as u64;
        for _ in 0..count {
            let entry = self.parse_entry(reader, file, part, position)?;
            position = entry.offset + entry.bytes;
            self.entries.push(entry);
        }
        self.end = position;
        let grid = self.stream == Stream::Live && self.first_row + self.rows as u64 <= part.grid_rows;
        if grid == self.entry(Key::Time).is_some() {
            return Err(reader.error("times must be stored exactly where runs do not tell them"));
        }
        Ok(())
    }

    fn parse_entry(
        &self,
        reader: &mut ByteReader<'_>,
        file: &Checked<'_>,
        part: &PartIndex,
        position: u64,
    ) -> Result<Entry> {
        let code = reader.varint()?;
        let Some(key) = Key::from_code(code) else {
            return Err(reader.error(format!("unknown column code {code}")));
        };
        let kind = read_kind(reader)?;
        let known = match key {
            Key::Column(id) => part.columns.contains(&(id, kind)),
            Key::Until => self.stream == Stream::History && kind == ColumnType::I64,
            _ => kind == ColumnType::I64,
        };
        if !known || self.entries.iter().any(|entry| entry.key == key) {
            return Err(reader.error("a column appears twice, or with a type other than in the index"));
        }
        let encoding = reader.u8()?;
        let Some(encoding) = Encoding::from_id(encoding) else {
            return Err(reader.error(format!("unknown encoding {encoding}")));
        };
        let flags = reader.u8()?;
        check_encoding(reader, key, kind, encoding, flags)?;
        if flags & FACTORS != 0 && file.required & features::FACTORS == 0 {
            return Err(reader.error("factors without their feature bit"));
        }
        let needed = if is_singles(flags) { features::SINGLES } else { features::DIGITS };
        if flags & DIGITS != 0 && file.required & needed == 0 {
            return Err(reader.error("further digits or adjusted singles without their feature bit"));
        }
        let start = reader.position();
        let Parameters { heap, scale, role, places } = self.parameters(reader, kind, encoding, flags)?;
        let mut model = 0;
        if flags & MODEL != 0 {
            let length = reader.varint()?;
            let in_lanes = file.required & features::LANES != 0;
            let known =
                file.required & features::CODED != 0 && (in_lanes || encoding != Encoding::Dictionary);
            let most = if in_lanes { lanes::MODEL_BYTES } else { bins::MODEL_BYTES };
            if !known || length == 0 || length > most as u64 {
                return Err(
                    reader.error(format!("a model of {length} bytes, or one without its feature bit"))
                );
            }
            model = length as usize;
        }
        let parameters = start..reader.position();
        let zones = if flags & ZONES != 0 { reader.varint()? as usize } else { 0 };
        let zones_start = reader.position();
        reader.take(zones)?;
        let zones = zones_start..reader.position();
        let mut offset = position;
        if encoding == Encoding::Raw {
            offset = offset.next_multiple_of(ALIGNMENT as u64);
        }
        let blocks = if encoding.has_blocks() { self.rows.div_ceil(BLOCK_ROWS) } else { 0 };
        let mut starts = Vec::with_capacity(blocks + 1);
        starts.push((sealed_bytes(heap) + sealed_bytes(model)) as u64);
        let (mut before, mut units, mut single) = (Vec::with_capacity(blocks), 0, true);
        for block in 0..blocks {
            let length = match encoding {
                Encoding::Raw => self.block_rows(block).len() * width(kind),
                _ if flags & LONG != 0 => reader.u32()? as usize,
                _ => reader.u16()? as usize,
            };
            starts.push(starts[block] + length as u64);
            before.push(units as u32);
            units += length.div_ceil(CHECKED_BYTES);
            single &= (1..=CHECKED_BYTES).contains(&length);
        }
        let crcs = reader.position();
        reader.take(units * 4)?;
        let bytes = starts[blocks];
        let starts = starts.into_boxed_slice();
        let units = if single { Box::default() } else { before.into_boxed_slice() };
        let statistics = OnceLock::new();
        Ok(Entry {
            key,
            kind,
            encoding,
            flags,
            parameters,
            zones,
            statistics,
            scale,
            role,
            places,
            starts,
            slot: self.entries.len() % MODELS,
            units,
            crcs,
            heap,
            model,
            offset,
            bytes,
        })
    }

    /// Reads the parameters of an encoding.
    fn parameters(
        &self,
        reader: &mut ByteReader<'_>,
        kind: ColumnType,
        encoding: Encoding,
        flags: u8,
    ) -> Result<Parameters> {
        let mut out = Parameters::default();
        match encoding {
            Encoding::Constant => match kind {
                ColumnType::I64 | ColumnType::Timestamp => drop(reader.signed_varint()?),
                ColumnType::F64 => drop(reader.u64()?),
                ColumnType::F32 => drop(reader.u32()?),
                ColumnType::U8 | ColumnType::Bool => drop(reader.u8()?),
                ColumnType::String => drop(reader.string(STRING_BYTES)?),
            },
            Encoding::Null | Encoding::Raw | Encoding::Integers | Encoding::Text => {}
            Encoding::Decimal => out.scale = Some(Scale::decode(reader)?),
            Encoding::Group => {
                let role = reader.u8()?;
                out.role = Role::from_id(role);
                if out.role.is_none() {
                    return Err(reader.error(format!("unknown role {role}")));
                }
                let scale = Scale::decode(reader)?;
                out.scale = Some(scale);
                if flags & DIGITS != 0 && !is_singles(flags) {
                    let places = reader.u8()?;
                    out.places = Places::beyond(scale, places);
                    if out.places.is_none() {
                        return Err(reader.error(format!("{places} places of further digits")));
                    }
                }
            }
            Encoding::Split => {
                let cut = usize::from(reader.u8()?);
                if cut == 0 || cut >= width(kind) * 8 {
                    return Err(reader.error(format!("floats cut at bit {cut}")));
                }
            }
            Encoding::Dictionary => {
                let (distinct, heap) = (reader.varint()?, reader.varint()?);
                if distinct == 0 || distinct > self.rows as u64 || heap > HEAP_LIMIT {
                    return Err(reader.error(format!("dictionary of {distinct} strings in {heap} bytes")));
                }
                out.heap = heap as usize;
            }
        }
        Ok(out)
    }

    fn block_rows(&self, block: usize) -> Range<usize> {
        block * BLOCK_ROWS..self.rows.min((block + 1) * BLOCK_ROWS)
    }

    pub(super) fn entry(&self, key: Key) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn number<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.content[offset..offset + N]);
        out
    }

    /// All columns of the group are there, once each, with one scale.
    fn check_group(&mut self) -> Result<()> {
        let mut found = [None; 4];
        for (index, entry) in self.entries.iter().enumerate() {
            let Some(role) = entry.role else { continue };
            if found[role as usize].replace(index).is_some() {
                return Err(FormatError::corrupt("K13", self.offset, "a role occurs twice in the group"));
            }
        }
        if found == [None; 4] {
            return Ok(());
        }
        let [Some(close), Some(open), Some(high), Some(low)] = found else {
            return Err(FormatError::corrupt("K13", self.offset, "a column of the group is missing"));
        };
        let form = |index: usize| {
            let Entry { scale, places, flags, .. } = &self.entries[index];
            (*scale, *places, is_singles(*flags))
        };
        if [open, high, low].iter().any(|index| form(*index) != form(close)) {
            let detail =
                "the group has two scales, or further digits or adjusted singles in some columns only";
            return Err(FormatError::corrupt("K13", self.offset, detail));
        }
        self.group = Some([close, open, high, low]);
        Ok(())
    }
}

/// Whether flags of a column of the group say that it is one of adjusted singles.
pub(super) fn is_singles(flags: u8) -> bool {
    flags & (FACTORS | DIGITS) == FACTORS | DIGITS
}

/// Bytes of a raw value.
pub(super) fn width(kind: ColumnType) -> usize {
    match kind {
        ColumnType::I64 | ColumnType::Timestamp | ColumnType::F64 => 8,
        ColumnType::F32 => 4,
        _ => 1,
    }
}

/// Whether the encoding and its flags fit the column.
fn check_encoding(
    reader: &ByteReader<'_>,
    key: Key,
    kind: ColumnType,
    encoding: Encoding,
    flags: u8,
) -> Result<()> {
    let float = matches!(kind, ColumnType::F64 | ColumnType::F32);
    let fits = match encoding {
        Encoding::Null => !key.is_system(),
        Encoding::Constant => true,
        Encoding::Raw | Encoding::Integers => kind != ColumnType::String,
        Encoding::Decimal | Encoding::Split => float,
        Encoding::Group => kind == ColumnType::F64,
        Encoding::Dictionary | Encoding::Text => kind == ColumnType::String,
    };
    let mut allowed = 0;
    if encoding.has_blocks() && !matches!(encoding, Encoding::Raw | Encoding::Group) && !key.is_system() {
        allowed |= NULLS;
    }
    if matches!(encoding, Encoding::Decimal | Encoding::Group) {
        allowed |= STRAYS;
    }
    if encoding.has_blocks() && kind != ColumnType::String {
        allowed |= ZONES;
    }
    if encoding.has_blocks() && encoding != Encoding::Raw {
        allowed |= LONG;
    }
    if float {
        allowed |= NANS;
    }
    if matches!(encoding, Encoding::Decimal | Encoding::Group) && kind == ColumnType::F64 {
        allowed |= FACTORS;
    }
    if encoding == Encoding::Group {
        allowed |= DIGITS;
    }
    if encoding.may_be_coded() {
        allowed |= MODEL;
    }
    if !fits || flags & !allowed != 0 {
        return Err(
            reader.error(format!("encoding {} with flags {flags} does not fit the column", encoding.name()))
        );
    }
    Ok(())
}
