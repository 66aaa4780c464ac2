//! What was tried beside the forms that the format has: XOR for floats, text end to end, places of nulls, offsets of whole
//! bytes. `format-spec/decisions` says what follows. Sizes depend on nothing but the files.
//!
//! `cargo run --release -p tapestore-format --example tried -- WHAT FILE.csv…`, where WHAT is one of
//! - `xor`: doubles as Gorilla and Chimp store them, beside the bits as integers, decimals, and bits in two halves;
//! - `text`: every column as text, end to end and by a dictionary of the chunk;
//! - `nulls`: columns whose zeros are taken for nulls: a bitmap, positions, or runs;
//! - `grid`: the same of bars with one row for each minute, nulls where the file has none;
//! - `bytes`: offsets of whole bytes, as a lightly packed hot tier would have them.
//!
//! Files are CSV with a header; columns of the same name are counted together, each file for itself.

use std::collections::{BTreeMap, HashMap};

use tapestore_format::codec::decimal::{Mantissas, choose, sample};
use tapestore_format::codec::int_encode::{Forms, encode_with};
use tapestore_format::limits::{BLOCK_ROWS, CHUNK_ROWS};

/// Largest heap of a dictionary (K10).
const HEAP_BYTES: usize = 1 << 16;
/// Bytes of a block's place in the head: its length and its checksum.
const PLACE_BYTES: usize = 6;

/// Bytes by what they are for.
type Sizes = BTreeMap<&'static str, f64>;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let measure: fn(&Table, usize) -> Sizes = match what.as_str() {
        "xor" => xor,
        "text" => text,
        "nulls" | "grid" => nulls,
        "bytes" => whole_bytes,
        other => return eprintln!("{other:?} is none of xor, text, nulls, grid, bytes"),
    };
    let mut found: BTreeMap<String, (usize, Sizes)> = BTreeMap::new();
    let mut order = Vec::new();
    for path in arguments {
        let Ok(content) = std::fs::read_to_string(&path) else {
            eprintln!("{path} cannot be read: left out");
            continue;
        };
        let mut table = Table::parse(&content);
        if what == "grid" {
            table.fill_grid();
        }
        for column in 0..table.names.len() {
            let name = &table.names[column];
            if !found.contains_key(name) {
                order.push(name.clone());
            }
            let entry = found.entry(name.clone()).or_default();
            let sizes = measure(&table, column);
            entry.0 += if sizes.is_empty() { 0 } else { table.cells[column].len() };
            sizes.into_iter().for_each(|(kind, bytes)| *entry.1.entry(kind).or_default() += bytes);
        }
    }
    for name in order {
        let (rows, sizes) = &found[&name];
        print!("{name}, {rows} rows:");
        sizes.iter().for_each(|(kind, bytes)| print!(" {kind} {:.3},", bytes / *rows as f64));
        println!();
    }
}

/// Cells of a file, by column; empty ones are nulls.
struct Table {
    names: Vec<String>,
    cells: Vec<Vec<String>>,
}

impl Table {
    fn parse(content: &str) -> Self {
        let mut lines = content.lines();
        let names: Vec<String> = lines.next().unwrap_or_default().split(',').map(str::to_owned).collect();
        let mut cells = vec![Vec::new(); names.len()];
        for line in lines {
            let found: Vec<&str> = line.split(',').collect();
            if found.len() == names.len() && line.starts_with(|first: char| first.is_ascii_digit()) {
                cells
                    .iter_mut()
                    .zip(found)
                    .for_each(|(column, cell): (&mut Vec<String>, _)| column.push(cell.to_owned()));
            }
        }
        Self { names, cells }
    }

    /// One row for each minute between the first and the last, by the times (milliseconds) of the first column.
    fn fill_grid(&mut self) {
        let times: Vec<usize> =
            self.cells[0].iter().map(|cell| cell.parse().expect("milliseconds")).collect();
        let row = |time: usize| (time - times[0]) / 60_000;
        let rows = times.last().map_or(0, |last| row(*last) + 1);
        for column in &mut self.cells {
            let mut out = vec![String::new(); rows];
            for (cell, time) in column.drain(..).zip(&times) {
                out[row(*time)] = cell;
            }
            *column = out;
        }
    }

    fn doubles(&self, column: usize) -> Option<Vec<f64>> {
        self.cells[column].iter().map(|cell| cell.parse().ok()).collect()
    }
}

fn packed(numbers: &[i64]) -> usize {
    let mut out = Vec::new();
    numbers.chunks(BLOCK_ROWS).for_each(|block| encode_with(Forms::ALL, block, None, &mut out));
    out.len()
}

/// The mantissas of a chunk of doubles, and what its exceptions take at most: ten bits of place, and six bytes each.
struct Decimals {
    numbers: Vec<i64>,
    strays: usize,
}

/// Every chunk as decimals; `None` if those of one would be exceptions mostly.
fn decimals(values: &[f64]) -> Option<Vec<Decimals>> {
    let chunk = |chunk: &[f64]| {
        let exponent = choose(&sample(chunk, |_| true, 512))?;
        let found = Mantissas::of(chunk, exponent, |_| false);
        Some(Decimals { numbers: found.numbers, strays: found.strays.len() * 58 / 8 })
    };
    values.chunks(CHUNK_ROWS).map(chunk).collect()
}

fn decimal_bytes(values: &[f64]) -> Option<f64> {
    let chunks = decimals(values)?;
    Some(chunks.iter().map(|chunk| packed(&chunk.numbers) + chunk.strays).sum::<usize>() as f64)
}

// Floats.

fn xor(table: &Table, column: usize) -> Sizes {
    let Some(values) = table.doubles(column) else { return Sizes::new() };
    let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
    let by_block = |coder: fn(&[u64]) -> usize| {
        bits.chunks(BLOCK_ROWS).map(|block| coder(block).div_ceil(8)).sum::<usize>()
    };
    let integers: Vec<i64> = bits.iter().map(|bits| *bits as i64).collect();
    let halves = (36..=54).step_by(2).map(|cut| {
        let high: Vec<i64> = bits.iter().map(|bits| (bits >> cut) as i64).collect();
        packed(&high) + bits.len() * cut / 8
    });
    let mut out = Sizes::from([
        ("gorilla, whole", (gorilla(&bits) / 8) as f64),
        ("gorilla", by_block(gorilla) as f64),
        ("chimp", by_block(chimp) as f64),
        ("chimp of 128", by_block(chimp_128) as f64),
        ("integers", packed(&integers) as f64),
        ("halves", halves.min().unwrap_or(0) as f64),
    ]);
    out.insert("decimals", decimal_bytes(&values).unwrap_or(values.len() as f64 * 8.0));
    out
}

/// Bits of Gorilla: the XOR with the number before, in the window of the one before or in its own.
fn gorilla(bits: &[u64]) -> usize {
    let (mut total, mut window) = (64, None);
    for pair in bits.windows(2) {
        let xor = pair[0] ^ pair[1];
        if xor == 0 {
            total += 1;
            continue;
        }
        let (lead, trail) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        total += match window {
            Some((first, last)) if lead >= first && trail >= last => 2 + (64 - first - last) as usize,
            _ => {
                window = Some((lead, trail));
                2 + 5 + 6 + (64 - lead - trail) as usize
            }
        };
    }
    total
}

/// Leading zeros as Chimp tells them, in three bits.
fn leading(xor: u64) -> u32 {
    [0, 8, 12, 16, 18, 20, 22, 24].into_iter().rev().find(|known| *known <= xor.leading_zeros()).unwrap_or(0)
}

/// Bits of Chimp: as Gorilla, but zeros at the end only where there are more than six.
fn chimp(bits: &[u64]) -> usize {
    let (mut total, mut before) = (64, u32::MAX);
    for pair in bits.windows(2) {
        total += chimp_step(pair[0] ^ pair[1], 6, &mut before);
    }
    total
}

fn chimp_step(xor: u64, threshold: u32, before: &mut u32) -> usize {
    let (lead, trail) = (leading(xor), xor.trailing_zeros());
    let known = std::mem::replace(before, u32::MAX);
    if xor == 0 {
        return 2;
    } else if trail > threshold {
        return 2 + 3 + 6 + (64 - lead - trail) as usize;
    }
    *before = lead;
    (if known == lead { 2 } else { 2 + 3 }) + (64 - lead) as usize
}

/// Bits of Chimp with one of the 128 numbers before: the last that ends in the same 14 bits, if that helps.
fn chimp_128(bits: &[u64]) -> usize {
    let (mut total, mut before, mut last) = (64, u32::MAX, HashMap::new());
    for (row, number) in bits.iter().enumerate() {
        let near = last.insert(number & 0x3fff, row).filter(|other| row - other < 128);
        let Some(previous) = row.checked_sub(1) else { continue };
        let xor = near.map(|other: usize| bits[other] ^ number).filter(|xor| xor.trailing_zeros() > 13);
        total += match xor {
            Some(xor) => 7 + chimp_step(xor, 13, &mut before),
            None => chimp_step(bits[previous] ^ number, 13, &mut before),
        };
    }
    total
}

// Text.

fn text(table: &Table, column: usize) -> Sizes {
    let (mut whole, mut dictionary, mut refused) = (0, 0, 0);
    for chunk in table.cells[column].chunks(CHUNK_ROWS) {
        let lengths: Vec<i64> = chunk.iter().map(|cell| cell.len() as i64).collect();
        whole += packed(&lengths) + chunk.iter().map(String::len).sum::<usize>();
        let mut known: HashMap<&str, i64> = HashMap::new();
        let mut heap = 0;
        let codes: Vec<i64> = chunk
            .iter()
            .map(|cell| {
                let next = known.len() as i64;
                *known.entry(cell).or_insert_with(|| {
                    heap += 1 + cell.len();
                    next
                })
            })
            .collect();
        dictionary += heap + packed(&codes);
        refused += usize::from(heap > HEAP_BYTES || known.len() * 2 > chunk.len()) * chunk.len();
    }
    Sizes::from([
        ("end to end", whole as f64),
        ("dictionary", dictionary as f64),
        ("share of rows for which the encoder would not take one", refused as f64),
    ])
}

// Nulls.

fn nulls(table: &Table, column: usize) -> Sizes {
    let cells = &table.cells[column];
    let values: Vec<Option<f64>> =
        cells.iter().map(|cell| cell.parse().ok().filter(|value| *value != 0.0)).collect();
    let nulls: Vec<i64> = values.iter().map(|value| i64::from(value.is_none())).collect();
    let some = nulls.iter().sum::<i64>();
    if column == 0 || some == 0 || some == nulls.len() as i64 {
        return Sizes::new();
    }
    let mut out = Sizes::from([("nulls", some as f64)]);
    let mut add = |kind, bytes: usize| *out.entry(kind).or_default() += bytes as f64;
    for block in nulls.chunks(BLOCK_ROWS) {
        let rows: Vec<i64> = (0..).zip(block).filter(|(_, null)| **null == 1).map(|(row, _)| row).collect();
        let (none, all) = (rows.is_empty(), rows.len() == block.len());
        let (bitmap, places) = (1 + block.len().div_ceil(8), 3 + (rows.len() * 10).div_ceil(8));
        add("blocks without", usize::from(none) * block.len());
        add("blocks of nothing else", usize::from(all) * block.len());
        add("as it is", if none || all { 1 } else { bitmap });
        add("a bitmap for every block", bitmap);
        add("positions", if none || all { 1 } else { places });
        add("the smaller of both", if none || all { 1 } else { places.min(bitmap) });
        add("integer block", packed(block));
        add("integer block of places", packed(&rows) + 2);
    }
    let Some(first) = values.iter().flatten().next().copied() else { return out };
    let mut last = first;
    let filled: Vec<f64> = values
        .iter()
        .map(|value| {
            last = value.unwrap_or(last);
            last
        })
        .collect();
    let there: Vec<f64> = values.into_iter().flatten().collect();
    for (kind, values) in [("values, the one before for nulls", filled), ("values, nulls left out", there)] {
        if let Some(bytes) = decimal_bytes(&values) {
            out.insert(kind, bytes);
        }
    }
    out
}

// Whole bytes.

/// Offsets from the least mantissa of a block, or of a chunk, in one, two, four or eight bytes.
fn whole_bytes(table: &Table, column: usize) -> Sizes {
    let Some(chunks) = table.doubles(column).and_then(|values| decimals(&values)) else {
        return Sizes::new();
    };
    let offsets = |numbers: &[i64]| {
        let (least, most) = (numbers.iter().min().copied(), numbers.iter().max().copied());
        let spread = most.zip(least).map_or(0, |(most, least)| most.abs_diff(least));
        numbers.len() * [1, 2, 4].into_iter().find(|bytes| spread >> (bytes * 8) == 0).unwrap_or(8) + 9
    };
    let blocks = || chunks.iter().flat_map(|chunk| chunk.numbers.chunks(BLOCK_ROWS));
    let places = blocks().count() * PLACE_BYTES + chunks.iter().map(|chunk| chunk.strays).sum::<usize>();
    let sum = |bytes: usize| (bytes + places) as f64;
    Sizes::from([
        ("raw", chunks.iter().map(|chunk| chunk.numbers.len() * 8).sum::<usize>() as f64),
        ("one width for the chunk", sum(chunks.iter().map(|chunk| offsets(&chunk.numbers)).sum())),
        ("a width for each block", sum(blocks().map(offsets).sum())),
        ("packed", sum(blocks().map(packed).sum())),
    ])
}
