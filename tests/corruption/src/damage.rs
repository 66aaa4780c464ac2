//! Ways to damage the files of a store.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::subject::Files;

/// Bytes that a device reads and writes in one piece.
pub const SECTOR_BYTES: usize = 512;

/// What is done to the files. Files are numbered in the order of their names.
#[expect(
    missing_docs,
    reason = "fields are numbers of files, sectors and moments, offsets and lengths in bytes"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A byte is xored.
    Flip { file: usize, offset: usize, mask: u8 },
    /// A file is cut.
    Truncate { file: usize, length: usize },
    /// A file is longer, by that many bytes of one value.
    Extend { file: usize, bytes: usize, value: u8 },
    /// A sector holds one value.
    Fill { file: usize, sector: usize, value: u8 },
    /// Two sectors of a file stand in each other's place.
    SwapSectors { file: usize, first: usize, second: usize },
    /// A sector was written to the same place of another file.
    Misdirected { from: usize, to: usize, sector: usize },
    /// A sector was written to another place of the same file.
    Moved { file: usize, from: usize, to: usize },
    /// A sector is as it was at an earlier moment.
    StaleSector { file: usize, moment: usize, sector: usize },
    /// A file is as it was at an earlier moment.
    StaleFile { file: usize, moment: usize },
    /// Some bytes are random.
    Noise { file: usize, offset: usize, bytes: usize, seed: u64 },
    /// A file is gone.
    Delete { file: usize },
    /// Two files have each other's name.
    Exchange { first: usize, second: usize },
    /// A file is a copy of another.
    Duplicate { from: usize, to: usize },
    /// Two stretches of a file, each with its own checksum, stand in each other's place.
    SwapUnits { file: usize, first: usize, second: usize, bytes: usize },
    /// A stretch of a file was written to the place of another one as long.
    MovedUnit { file: usize, from: usize, to: usize, bytes: usize },
    /// A file is the one of the same name of another store.
    Foreign { file: usize, store: usize },
}

impl Damage {
    /// Its name and its numbers.
    fn parts(self) -> (&'static str, Vec<u64>) {
        let list = |numbers: &[usize]| numbers.iter().map(|number| *number as u64).collect::<Vec<_>>();
        match self {
            Self::Flip { file, offset, mask } => ("flip", list(&[file, offset, mask as usize])),
            Self::Truncate { file, length } => ("truncate", list(&[file, length])),
            Self::Extend { file, bytes, value } => ("extend", list(&[file, bytes, value as usize])),
            Self::Fill { file, sector, value } => ("fill", list(&[file, sector, value as usize])),
            Self::SwapSectors { file, first, second } => ("swap", list(&[file, first, second])),
            Self::Misdirected { from, to, sector } => ("misdirected", list(&[from, to, sector])),
            Self::Moved { file, from, to } => ("moved", list(&[file, from, to])),
            Self::StaleSector { file, moment, sector } => ("stale-sector", list(&[file, moment, sector])),
            Self::StaleFile { file, moment } => ("stale-file", list(&[file, moment])),
            Self::Noise { file, offset, bytes, seed } => {
                ("noise", vec![file as u64, offset as u64, bytes as u64, seed])
            }
            Self::Delete { file } => ("delete", list(&[file])),
            Self::Exchange { first, second } => ("exchange", list(&[first, second])),
            Self::Duplicate { from, to } => ("duplicate", list(&[from, to])),
            Self::SwapUnits { file, first, second, bytes } => {
                ("swap-units", list(&[file, first, second, bytes]))
            }
            Self::MovedUnit { file, from, to, bytes } => ("moved-unit", list(&[file, from, to, bytes])),
            Self::Foreign { file, store } => ("foreign", list(&[file, store])),
        }
    }

    /// The kind, for counting.
    pub fn kind(self) -> &'static str {
        self.parts().0
    }

    /// The files with this damage; `earlier` are those of earlier moments, `others` those of other stores.
    pub fn apply(self, files: &Files, earlier: &[Files], others: &[Files]) -> Files {
        let names: Vec<&String> = files.keys().collect();
        let content = |file: usize| files[names[file]].clone();
        let mut out = files.clone();
        let mut edit = |file: usize, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = (*content(file)).clone();
            change(&mut bytes);
            out.insert(names[file].clone(), Arc::new(bytes));
        };
        match self {
            Self::Flip { file, offset, mask } => edit(file, &|bytes| bytes[offset] ^= mask),
            Self::Truncate { file, length } => edit(file, &|bytes| bytes.truncate(length)),
            Self::Extend { file, bytes: more, value } => {
                edit(file, &|bytes| bytes.resize(bytes.len() + more, value));
            }
            Self::Fill { file, sector, value } => edit(file, &|bytes| slot(bytes, sector).fill(value)),
            Self::SwapSectors { file, first, second } => edit(file, &|bytes| {
                let (one, two) = (slot(bytes, first).to_vec(), slot(bytes, second).to_vec());
                put(bytes, first, &two);
                put(bytes, second, &one);
            }),
            Self::Misdirected { from, to, sector } => {
                let piece = slot(&mut (*content(from)).clone(), sector).to_vec();
                edit(to, &|bytes| put(bytes, sector, &piece));
            }
            Self::Moved { file, from, to } => edit(file, &|bytes| {
                let piece = slot(bytes, from).to_vec();
                put(bytes, to, &piece);
            }),
            Self::StaleSector { file, moment, sector } => edit(file, &|bytes| {
                // What the file did not have yet were zeros.
                slot(bytes, sector).fill(0);
                if let Some(old) = earlier[moment].get(names[file]) {
                    put(bytes, sector, slot(&mut (**old).clone(), sector));
                }
            }),
            Self::StaleFile { file, moment } => {
                if let Some(old) = earlier[moment].get(names[file]) {
                    out.insert(names[file].clone(), old.clone());
                }
            }
            Self::Noise { file, offset, bytes: count, seed } => edit(file, &|bytes| {
                let mut random = golden::values::Random(seed);
                let end = (offset + count).min(bytes.len());
                bytes[offset..end].iter_mut().for_each(|byte| *byte = random.word() as u8);
            }),
            Self::Delete { file } => drop(out.remove(names[file])),
            Self::Exchange { first, second } => {
                out.insert(names[first].clone(), content(second));
                out.insert(names[second].clone(), content(first));
            }
            Self::Duplicate { from, to } => drop(out.insert(names[to].clone(), content(from))),
            Self::SwapUnits { file, first, second, bytes: count } => edit(file, &|bytes| {
                let (one, two) = bytes.split_at_mut(first.max(second));
                one[first.min(second)..][..count].swap_with_slice(&mut two[..count]);
            }),
            Self::MovedUnit { file, from, to, bytes: count } => {
                edit(file, &|bytes| bytes.copy_within(from..from + count, to));
            }
            Self::Foreign { file, store } => {
                if let Some(other) = others[store].get(names[file]) {
                    out.insert(names[file].clone(), other.clone());
                }
            }
        }
        out
    }
}

/// A sector as far as the file reaches.
fn slot(bytes: &mut [u8], sector: usize) -> &mut [u8] {
    let start = (sector * SECTOR_BYTES).min(bytes.len());
    let end = (start + SECTOR_BYTES).min(bytes.len());
    &mut bytes[start..end]
}

/// Writes a sector as far as both reach.
fn put(bytes: &mut [u8], sector: usize, piece: &[u8]) {
    let place = slot(bytes, sector);
    let count = place.len().min(piece.len());
    place[..count].copy_from_slice(&piece[..count]);
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, numbers) = self.parts();
        f.write_str(name)?;
        numbers.iter().try_for_each(|number| write!(f, ":{number}"))
    }
}

impl FromStr for Damage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no damage");
        let (name, rest) = text.split_once(':').ok_or_else(bad)?;
        let numbers: Vec<u64> =
            rest.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
        let at = |index: usize| numbers.get(index).map(|number| *number as usize).ok_or_else(bad);
        Ok(match name {
            "flip" => Self::Flip { file: at(0)?, offset: at(1)?, mask: at(2)? as u8 },
            "truncate" => Self::Truncate { file: at(0)?, length: at(1)? },
            "extend" => Self::Extend { file: at(0)?, bytes: at(1)?, value: at(2)? as u8 },
            "fill" => Self::Fill { file: at(0)?, sector: at(1)?, value: at(2)? as u8 },
            "swap" => Self::SwapSectors { file: at(0)?, first: at(1)?, second: at(2)? },
            "misdirected" => Self::Misdirected { from: at(0)?, to: at(1)?, sector: at(2)? },
            "moved" => Self::Moved { file: at(0)?, from: at(1)?, to: at(2)? },
            "stale-sector" => Self::StaleSector { file: at(0)?, moment: at(1)?, sector: at(2)? },
            "stale-file" => Self::StaleFile { file: at(0)?, moment: at(1)? },
            "noise" => Self::Noise { file: at(0)?, offset: at(1)?, bytes: at(2)?, seed: at(3)? as u64 },
            "delete" => Self::Delete { file: at(0)? },
            "exchange" => Self::Exchange { first: at(0)?, second: at(1)? },
            "duplicate" => Self::Duplicate { from: at(0)?, to: at(1)? },
            "swap-units" => Self::SwapUnits { file: at(0)?, first: at(1)?, second: at(2)?, bytes: at(3)? },
            "moved-unit" => Self::MovedUnit { file: at(0)?, from: at(1)?, to: at(2)?, bytes: at(3)? },
            "foreign" => Self::Foreign { file: at(0)?, store: at(1)? },
            _ => return Err(bad()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damage_is_told_and_read_again() {
        for text in [
            "flip:1:20:128",
            "noise:0:3:9:77",
            "stale-sector:2:1:4",
            "exchange:0:5",
            "delete:3",
            "foreign:4:2",
            "moved-unit:1:64:96:32",
        ] {
            assert_eq!(text.parse::<Damage>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_damage_changes_what_it_says() {
        let file = |bytes: Vec<u8>| Arc::new(bytes);
        let files: Files = [
            ("a".into(), file((0..200).chain(0..200).chain(0..250).collect())),
            ("b".into(), file(vec![7; 600])),
        ]
        .into();
        let earlier = [Files::from([("a".into(), file(vec![1; 10]))])];
        let others = [Files::from([("b".into(), file(vec![9; 3]))])];
        let after = |text: &str| text.parse::<Damage>().unwrap().apply(&files, &earlier, &others);
        assert_eq!(after("flip:0:5:1")["a"][..7], [0, 1, 2, 3, 4, 4, 6]);
        assert_eq!(after("truncate:1:3")["b"].len(), 3);
        assert_eq!(after("extend:1:3:9")["b"][599..], [7, 9, 9, 9]);
        assert_eq!(after("fill:1:1:0")["b"][511..514], [7, 0, 0]);
        assert_eq!(after("swap:0:0:1")["a"][0], files["a"][512]);
        assert_eq!(after("misdirected:1:0:1")["a"][511..514], [files["a"][511], 7, 7]);
        assert_eq!(after("moved:0:1:0")["a"][0], files["a"][512]);
        assert_eq!(after("stale-sector:0:0:0")["a"][8..12], [1, 1, 0, 0]);
        assert_eq!(after("stale-file:0:0")["a"].len(), 10);
        assert_ne!(after("noise:1:2:3:1")["b"], files["b"]);
        assert!(!after("delete:0").contains_key("a"));
        assert_eq!(after("exchange:0:1")["a"], files["b"]);
        assert_eq!(after("duplicate:0:1")["b"], files["a"]);
        assert_eq!(after("swap-units:0:7:3:2")["a"][..9], [0, 1, 2, 7, 8, 5, 6, 3, 4]);
        assert_eq!(after("moved-unit:0:7:3:2")["a"][..9], [0, 1, 2, 7, 8, 5, 6, 7, 8]);
        assert_eq!(*after("foreign:1:0")["b"], [9; 3]);
        assert_eq!(after("foreign:0:0"), files);
    }
}
