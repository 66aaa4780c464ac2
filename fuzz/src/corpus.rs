//! Where inputs to begin with come from: the vectors and golden stores of the specification, and `fuzz/corpus`.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of a path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A vector of `format-spec/vectors`: what it is, where its bytes stand, and they.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The structure.
    pub structure: String,
    /// The count, kind or sequence that its decoder is told; 0 if there is none.
    pub context: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// All vectors of a structure, valid ones and invalid ones, shortest first.
pub fn vectors(structure: &str) -> Vec<Vector> {
    let mut out = Vec::new();
    for folder in ["valid", "invalid"] {
        for path in files(&repository("format-spec/vectors").join(folder)) {
            let text = fs::read_to_string(&path).expect("a vector can be read");
            // Vectors of whole stores have files instead of bytes.
            if text.contains(&format!("\"structure\": \"{structure}\"")) {
                out.push(parse(&text).unwrap_or_else(|| panic!("{} is no vector", path.display())));
            }
        }
    }
    assert!(!out.is_empty(), "there are vectors of {structure}");
    out.sort_by_key(|vector| vector.bytes.len());
    out
}

/// The fields of a vector, which stand on lines of their own.
fn parse(text: &str) -> Option<Vector> {
    let field = |name: &str| {
        let start = format!(" \"{name}\": ");
        text.lines().find_map(|line| Some(line.strip_prefix(&start)?.trim_end_matches(',').trim_matches('"')))
    };
    let number = |name: &str| field(name).and_then(|text| text.parse().ok());
    let hex = field("hex")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes = hex.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?));
    Some(Vector {
        structure: field("structure")?.to_owned(),
        context: number("count").or_else(|| number("kind")).or_else(|| number("sequence")).unwrap_or(0),
        bytes: bytes.collect::<Option<_>>()?,
    })
}

/// The golden stores of at most `most` bytes: the files of each by name.
pub fn stores(most: usize) -> Vec<Vec<(String, Vec<u8>)>> {
    let mut out = Vec::new();
    for store in files(&repository("format-spec/golden/v1")) {
        let named = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.to_owned();
            Some((name, fs::read(&path).ok()?))
        };
        let held: Vec<(String, Vec<u8>)> =
            files(&store.join("store")).into_iter().filter_map(named).collect();
        if !held.is_empty() && held.iter().map(|file| file.1.len()).sum::<usize>() <= most {
            out.push(held);
        }
    }
    assert!(!out.is_empty(), "there are golden stores");
    out
}

/// Files of `fuzz/corpus/TARGET`.
pub fn own(target: &str) -> Vec<Vec<u8>> {
    let folder = repository("fuzz/corpus").join(target);
    files(&folder).iter().map(|path| fs::read(path).expect("a seed can be read")).collect()
}

/// What a directory holds, in order of names; nothing if there is none.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
