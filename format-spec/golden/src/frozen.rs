//! The frozen files: where they are, their hashes, and copies to work with.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

/// The file that lists the hashes of all others.
pub const HASHES: &str = "HASHES";

/// The golden stores of a version of the format, such as `v1`.
pub fn directory(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(version)
}

/// Names of the stores below a directory.
///
/// # Errors
/// Those of the file system.
pub fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The files of a directory, by name; directories are left out.
///
/// # Errors
/// Those of the file system.
pub fn files(directory: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
        }
    }
    Ok(files)
}

/// Copies a frozen store into another directory, with the directory `leases`, which is empty and therefore not kept.
///
/// # Errors
/// Those of the file system.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("leases"))?;
    files(from)?.iter().try_for_each(|(name, bytes)| fs::write(to.join(name), bytes))
}

/// A line for each file below a directory: XXH3-128 in hexadecimal, two spaces, the path; as `xxhsum -H2` writes it.
///
/// # Errors
/// Those of the file system.
pub fn hashes(root: &Path) -> io::Result<String> {
    let mut lines = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            if name != HASHES {
                lines.push((name, xxh3_128(&fs::read(&path)?)));
            }
        }
    }
    lines.sort();
    let mut text = String::new();
    for (name, hash) in lines {
        let _ = writeln!(text, "{hash:032x}  {name}");
    }
    Ok(text)
}
