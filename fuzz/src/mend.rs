//! Mends checksums, so that changed bytes reach the decoders behind them. Written from `format-spec/`, beside the
//! reader and not with it: what the reader finds, this must find by itself.
//!
//! Each function also tells the *places* of a file: where its structure stands, as against its data.

use std::ops::Range;

use tapestore_format::bytes::ByteReader;
use tapestore_format::checksum::Identity;
use tapestore_format::header::HEADER_BYTES;
use tapestore_format::limits::CHECKED_BYTES;
use tapestore_format::log::{FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES};

/// Content bytes of a full page of sealed bytes (S6).
const PAGE: usize = CHECKED_BYTES - 4;
/// Checksums mended in one file at most: damage can make structures overlap without end.
const MOST_UNITS: usize = 3000;

/// The identity that the header of a file states.
pub fn identity(file: &[u8]) -> Identity {
    let mut out = Identity { store: [0; 16], file: 0 };
    if let Some(bytes) = file.get(16..40) {
        out.store.copy_from_slice(&bytes[..16]);
        out.file = ByteReader::new(&bytes[16..], "H7").u64().unwrap_or(0);
    }
    out
}

/// Mends the header of a file, or `CURRENT`: both end in a plain CRC-32 of their first 60 bytes.
pub fn head(file: &mut [u8]) {
    if file.len() >= 64 {
        let crc = crc32fast::hash(&file[..60]);
        file[60..64].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Mends a log or a manifest, header included; gives the places of its frames.
pub fn log(file: &mut [u8]) -> Vec<Range<usize>> {
    head(file);
    let identity = identity(file);
    if file.len() < HEADER_BYTES {
        return Vec::new();
    }
    frames(&mut file[HEADER_BYTES..], HEADER_BYTES as u64, &identity)
}

/// Mends frames that stand at `base` of the file `identity`.
pub fn frames(bytes: &mut [u8], base: u64, identity: &Identity) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = 0;
    while bytes.len() - at >= FRAME_HEADER_BYTES {
        let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        let framed = (FRAME_HEADER_BYTES + length).next_multiple_of(8);
        if length == 0 || length > FRAME_PAYLOAD_BYTES || framed > bytes.len() - at {
            break;
        }
        let crc = identity.crc(base + at as u64, &bytes[at + 4..at + framed]);
        bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        places.push(at..at + FRAME_HEADER_BYTES + length);
        at += framed;
    }
    places
}

/// A structure of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    /// The header of the file.
    Header,
    /// The footer, or an entry of the table of parts.
    Footer,
    /// The index of a part.
    Index,
    /// A block of runs.
    Runs,
    /// The head of a chunk.
    Head,
    /// A dictionary, or a model.
    Heap,
    /// Where a block of a column begins, and its parameters stand.
    Block,
    /// A block of strings, all of it.
    Text,
    /// What tells the nulls of a block.
    Nulls,
    /// The end of a block of decimals: further digits, factors and exceptions stand behind the mantissas.
    Behind,
}

impl Structure {
    /// What every segment is made of; the rest are parts of these.
    const ALL: [Self; 7] =
        [Self::Header, Self::Footer, Self::Index, Self::Runs, Self::Head, Self::Heap, Self::Block];
}

/// Mends a whole segment; gives the places of its structures.
pub fn segment(file: &mut [u8]) -> Vec<Range<usize>> {
    structures(file, &Structure::ALL)
}

/// Mends a whole segment; gives the places of some structures.
pub fn structures(file: &mut [u8], wanted: &[Structure]) -> Vec<Range<usize>> {
    structures_and_members(file, wanted).0
}

/// The same, and what heads of chunks say of bars.
pub fn structures_and_members(file: &mut [u8], wanted: &[Structure]) -> (Vec<Range<usize>>, Vec<Member>) {
    let Found { places, members, .. } = walk(file);
    let places = places.into_iter().filter(|place| wanted.contains(&place.0)).map(|place| place.1);
    (places.collect(), members)
}

/// What the head of a chunk says of a column: its encoding, and the bytes of its heap and blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Number of the encoding.
    pub encoding: u8,
    /// Whether its decimals have further digits.
    pub digits: bool,
    /// Whether they are those of adjusted singles.
    pub singles: bool,
    /// Heap, model and blocks, with the checksums of the first two.
    pub bytes: usize,
}

/// The place of a chunk, and its columns.
pub type ChunkColumns = (usize, Vec<Column>);

/// What the head of a chunk says of a column of bars: the parameters of its group, and where its blocks stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The place of its chunk.
    pub chunk: usize,
    /// The column.
    pub id: u64,
    /// Which of the four it is.
    pub role: u8,
    /// Decimal places of the mantissas, and what these are multiples of.
    pub scale: (u8, i64),
    /// Further places.
    pub places: Option<u8>,
    /// Flags of the entry.
    pub flags: u8,
    /// Rows of the chunk.
    pub rows: usize,
    /// What its model is read from.
    pub model: Option<Vec<u8>>,
    /// Places of the blocks.
    pub blocks: Vec<Range<usize>>,
}

impl Member {
    /// Whether it is one of a group of adjusted singles.
    pub fn is_singles(&self) -> bool {
        is_singles(self.flags)
    }
}

/// What the index of a part says of a block of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunsBlock {
    /// Where it stands.
    pub place: Range<usize>,
    /// How many runs it holds.
    pub runs: usize,
    /// How many slots they cover.
    pub slots: u64,
}

/// What stands in a segment, read as the specification has it.
#[derive(Debug, Default)]
pub struct Found {
    places: Vec<(Structure, Range<usize>)>,
    /// The columns of every chunk.
    pub chunks: Vec<ChunkColumns>,
    /// Those of them that are bars.
    pub members: Vec<Member>,
    /// The blocks of runs of every part.
    pub runs: Vec<RunsBlock>,
}

/// What stands in a segment; nothing if a checksum is wrong, or stands on another.
pub fn found(file: &[u8]) -> Option<Found> {
    let mut mended = file.to_vec();
    let found = walk(&mut mended);
    (mended == file).then_some(found)
}

/// Mends a segment; gives what was found in it.
fn walk(file: &mut [u8]) -> Found {
    head(file);
    let mut mender = Mender { identity: identity(file), file, units: 0, found: Found::default() };
    mender.place(Structure::Header, 8..HEADER_BYTES.min(mender.file.len()));
    let _ = mender.segment();
    if mender.found.members.iter().any(Member::is_singles) {
        mender.require(SINGLES_FEATURES);
    }
    mender.found
}

struct Mender<'a> {
    identity: Identity,
    file: &'a mut [u8],
    units: usize,
    found: Found,
}

/// A column of a chunk: how many bytes its heap and its model have, the lengths of its blocks, and where their checksums go.
struct Entry {
    id: u64,
    kind: u8,
    encoding: u8,
    flags: u8,
    /// Role, scale and further places of a column of bars.
    member: Option<(u8, (u8, i64), Option<u8>)>,
    heap: usize,
    model: usize,
    rows: usize,
    blocks: Vec<usize>,
    crcs: usize,
}

/// Encoding: as in memory.
const RAW: u8 = 2;
/// Type of a column: string.
const STRING: u8 = 6;
/// Flags: there are nulls; exceptions, factors or further digits stand behind the mantissas; these are further digits.
const NULLS: u8 = 1;
const BEHIND: u8 = 2 | SINGLES;
const DIGITS: u8 = 128;
/// Flags: both together are those of a group of adjusted singles, in files with the required feature bits of factors and of these.
const SINGLES: u8 = 64 | DIGITS;
const SINGLES_FEATURES: u32 = 8 | 64;
/// Flag: there is a model.
const MODEL: u8 = 32;
/// How many bytes of what stands behind mantissas are taken for it.
const TAIL: usize = 48;
/// Rows of a block.
const BLOCK: usize = 1024;

/// Whether flags of an entry are those of adjusted singles.
fn is_singles(flags: u8) -> bool {
    flags & SINGLES == SINGLES
}

fn sealed_bytes(content: usize) -> usize {
    content + content.div_ceil(PAGE) * 4
}

impl Mender<'_> {
    fn place(&mut self, what: Structure, place: Range<usize>) {
        self.found.places.push((what, place));
    }

    /// Puts required feature bits into the header.
    fn require(&mut self, bits: u32) {
        if let Some(field) = self.file.get_mut(12..16).and_then(|field| <&mut [u8; 4]>::try_from(field).ok())
        {
            *field = (u32::from_le_bytes(*field) | bits).to_le_bytes();
            head(self.file);
        }
    }

    fn segment(&mut self) -> Option<()> {
        let footer = self.file.len().checked_sub(64)?;
        let length = self.file.len() as u64;
        self.file[footer + 16..footer + 24].copy_from_slice(&length.to_le_bytes());
        self.put_crc(footer, 60, footer + 60)?;
        self.place(Structure::Footer, footer..footer + 28);
        let mut reader = ByteReader::new(&self.file[footer + 8..], "S3");
        let (table, _, parts) = (reader.u64().ok()? as usize, reader.u64().ok()?, reader.u32().ok()?);
        for number in 0..parts as usize {
            let entry = table.checked_add(number * 32)?;
            let mut reader = ByteReader::new(self.file.get(entry..entry.checked_add(32)?)?, "S8");
            let _ = reader.u64().ok()?;
            let (start, index) = (reader.u64().ok()? as usize, reader.u64().ok()? as usize);
            self.put_crc(entry, 28, entry + 28)?;
            self.place(Structure::Footer, entry..entry + 28);
            let _ = self.part(start, index);
        }
        Some(())
    }

    /// The checksum of `length` bytes at `from`, put at `to`.
    fn put_crc(&mut self, from: usize, length: usize, to: usize) -> Option<()> {
        self.units += 1;
        if self.units > MOST_UNITS {
            return None;
        }
        let crc = self.identity.crc(from as u64, self.file.get(from..from.checked_add(length)?)?);
        self.file.get_mut(to..to.checked_add(4)?)?.copy_from_slice(&crc.to_le_bytes());
        Some(())
    }

    /// The content of sealed bytes with a magic, without its checksums.
    fn content(&self, offset: usize) -> Option<Vec<u8>> {
        let length = ByteReader::new(self.file.get(offset.checked_add(4)?..)?, "S7").u32().ok()? as usize;
        self.unsealed(offset, length)
    }

    /// So many sealed bytes, without their checksums.
    fn unsealed(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        if length > self.file.len() {
            return None;
        }
        let pages = self.file.get(offset..offset.checked_add(sealed_bytes(length))?)?;
        let mut out = Vec::with_capacity(length);
        for page in pages.chunks(CHECKED_BYTES) {
            out.extend_from_slice(&page[..page.len().checked_sub(4)?]);
        }
        Some(out)
    }

    /// Mends the pages of sealed bytes.
    fn seal(&mut self, what: Structure, offset: usize, content: usize) -> Option<()> {
        if content > self.file.len() {
            return None;
        }
        let end = offset.checked_add(sealed_bytes(content))?;
        for page in (offset..end).step_by(CHECKED_BYTES) {
            let last = (page + CHECKED_BYTES).min(end).checked_sub(4)?;
            self.put_crc(page, last - page, last)?;
        }
        self.place(what, offset..end);
        Some(())
    }

    fn part(&mut self, start: usize, index: usize) -> Option<()> {
        let content = self.content(index)?;
        let (chunks, anchors) = read_index(&content)?;
        let mut run = index.checked_add(sealed_bytes(content.len()))?;
        for Anchor { bytes, crc, runs, slots } in anchors {
            self.put_crc(run, bytes, paged(index, crc))?;
            self.found.runs.push(RunsBlock { place: run..run + bytes, runs, slots });
            self.place(Structure::Runs, run..run + bytes);
            run += bytes;
        }
        self.seal(Structure::Index, index, content.len())?;
        for place in chunks {
            let _ = self.chunk(start.checked_add(place.checked_mul(64)?)?);
        }
        Some(())
    }

    fn chunk(&mut self, offset: usize) -> Option<()> {
        self.units += 1;
        if self.units > MOST_UNITS {
            return None;
        }
        let content = self.content(offset)?;
        let mut position = offset + sealed_bytes(content.len());
        let mut columns = Vec::new();
        for entry in read_head(&content)? {
            if entry.encoding == RAW {
                position = position.next_multiple_of(64);
            }
            let start = position;
            let mut model = None;
            // A dictionary, and behind it a model.
            for sealed in [entry.heap, entry.model] {
                if sealed > 0 {
                    self.seal(Structure::Heap, position, sealed)?;
                    model = self.unsealed(position, sealed).filter(|_| entry.flags & MODEL != 0);
                    position += sealed_bytes(sealed);
                }
            }
            let mut crc = entry.crcs;
            let mut blocks = Vec::new();
            for (number, length) in entry.blocks.iter().copied().enumerate() {
                for done in (0..length).step_by(CHECKED_BYTES) {
                    let unit = (length - done).min(CHECKED_BYTES);
                    self.put_crc(position + done, unit, paged(offset, crc))?;
                    crc += 4;
                }
                // The parameters of a block stand at its beginning.
                self.place(Structure::Block, position..position + length.min(24));
                if entry.kind == STRING {
                    self.place(Structure::Text, position..position + length);
                }
                if entry.flags & BEHIND != 0 {
                    self.place(Structure::Behind, position + length.saturating_sub(TAIL)..position + length);
                }
                if entry.flags & NULLS != 0 {
                    // The form, and a bitmap.
                    let bytes = 1 + (entry.rows - number * BLOCK).min(BLOCK).div_ceil(8);
                    self.place(Structure::Nulls, position..position + length.min(bytes));
                }
                let block = position;
                position = position.checked_add(length)?;
                blocks.push(block..position);
            }
            let singles = is_singles(entry.flags);
            let digits = entry.flags & DIGITS != 0 && !singles;
            columns.push(Column { encoding: entry.encoding, digits, singles, bytes: position - start });
            if let Some((role, scale, places)) = entry.member {
                let Entry { id, flags, rows, .. } = entry;
                let member = Member { chunk: offset, id, role, scale, places, flags, rows, model, blocks };
                self.found.members.push(member);
            }
        }
        self.found.chunks.push((offset, columns));
        self.seal(Structure::Head, offset, content.len())
    }
}

/// Where a byte of sealed content stands in the file; a checksum never lies across two pages in files that are mended.
fn paged(base: usize, content: usize) -> usize {
    base + content + content / PAGE * 4
}

/// A block of runs: its length, where its checksum goes, and what is in it.
struct Anchor {
    bytes: usize,
    crc: usize,
    runs: usize,
    slots: u64,
}

/// Places of the chunks, and the blocks of runs.
type Index = (Vec<usize>, Vec<Anchor>);

fn read_index(content: &[u8]) -> Option<Index> {
    let mut reader = ByteReader::new(content, "S9");
    reader.take(8).ok()?;
    reader.varint().ok()?;
    let bits = reader.u8().ok()?;
    if bits & 2 != 0 {
        reader.u8().ok()?;
    }
    for _ in 0..reader.varint().ok()? {
        reader.varint().ok()?;
        reader.u8().ok()?;
    }
    let skipped = if bits & 4 != 0 { 4 + 3 } else { 3 };
    for _ in 0..skipped {
        reader.varint().ok()?;
    }
    let mut chunks = Vec::new();
    for _stream in 0..2 {
        for _ in 0..reader.varint().ok()? {
            chunks.push(reader.varint().ok()? as usize);
            for _ in 0..3 {
                reader.varint().ok()?;
            }
        }
    }
    for _ in 0..reader.varint().ok()? {
        reader.u8().ok()?;
        for _ in 0..3 {
            reader.varint().ok()?;
        }
    }
    let mut anchors = Vec::new();
    for _ in 0..reader.varint().ok()? {
        reader.varint().ok()?;
        let (runs, slots) = (reader.varint().ok()? as usize, reader.varint().ok()?);
        let bytes = (reader.varint().ok()? as usize).min(CHECKED_BYTES);
        anchors.push(Anchor { bytes, crc: reader.position(), runs, slots });
        reader.u32().ok()?;
    }
    Some((chunks, anchors))
}

fn read_head(content: &[u8]) -> Option<Vec<Entry>> {
    let mut reader = ByteReader::new(content, "S16");
    reader.take(8).ok()?;
    reader.varint().ok()?;
    reader.u8().ok()?;
    reader.varint().ok()?;
    reader.varint().ok()?;
    let rows = reader.varint().ok()? as usize;
    if rows > 1 << 16 {
        return None;
    }
    reader.varint().ok()?;
    reader.varint().ok()?;
    (0..reader.varint().ok()?).map(|_| read_entry(&mut reader, rows)).collect()
}

fn read_entry(reader: &mut ByteReader<'_>, rows: usize) -> Option<Entry> {
    let id = reader.varint().ok()?;
    let (kind, encoding, flags) = (reader.u8().ok()?, reader.u8().ok()?, reader.u8().ok()?);
    let (mut heap, mut model, mut member) = (0, 0, None);
    match (encoding, kind) {
        (1, 2) => drop(reader.take(8).ok()?),
        (1, 3) => drop(reader.take(4).ok()?),
        (1, 4 | 5) | (6, _) => drop(reader.u8().ok()?),
        (1, 6) => drop(reader.string(usize::from(u16::MAX)).ok()?),
        (1, _) => drop(reader.varint().ok()?),
        (4, _) => drop((reader.u8().ok()?, reader.varint().ok()?)),
        (5, _) => {
            let (role, exponent, divisor) = (reader.u8().ok()?, reader.u8().ok()?, reader.varint().ok()?);
            let places = if flags & SINGLES == DIGITS { Some(reader.u8().ok()?) } else { None };
            member = Some((role, (exponent, divisor as i64), places));
        }
        (7, _) => {
            reader.varint().ok()?;
            heap = reader.varint().ok()? as usize;
        }
        _ => {}
    }
    if flags & MODEL != 0 {
        model = reader.varint().ok()? as usize;
    }
    if flags & 4 != 0 {
        let zones = reader.varint().ok()? as usize;
        reader.take(zones).ok()?;
    }
    let mut blocks = Vec::new();
    if encoding > 1 {
        for start in (0..rows).step_by(BLOCK) {
            let width = match kind {
                1 | 2 | 7 => 8,
                3 => 4,
                _ => 1,
            };
            blocks.push(match encoding {
                RAW => (rows - start).min(BLOCK) * width,
                _ if flags & 8 != 0 => reader.u32().ok()? as usize,
                _ => usize::from(reader.u16().ok()?),
            });
        }
    }
    let crcs = reader.position();
    let units: usize = blocks.iter().map(|length| length.div_ceil(CHECKED_BYTES)).sum();
    reader.take(units.checked_mul(4)?).ok()?;
    Some(Entry { id, kind, encoding, flags, member, heap, model, rows, blocks, crcs })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by running: a table of parts at the end of the address space.
    #[test]
    fn positions_of_any_size_end_the_mending_and_nothing_else() {
        let mut file = vec![0u8; 256];
        file[192 + 24..192 + 28].copy_from_slice(&3u32.to_le_bytes());
        for table in [u64::MAX, u64::MAX - 31, u64::MAX / 2, 255, 64] {
            file[192 + 8..192 + 16].copy_from_slice(&table.to_le_bytes());
            for word in [u64::MAX, u64::MAX - 64, 1 << 40, 100, 64] {
                file[64 + 8..64 + 16].copy_from_slice(&word.to_le_bytes());
                file[64 + 16..64 + 24].copy_from_slice(&word.to_le_bytes());
                segment(&mut file);
            }
        }
    }
}
