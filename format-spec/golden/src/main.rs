//! `golden freeze DIRECTORY` makes every store anew, with what is expected of it, in a directory that does not exist yet.
//! `golden expect DIRECTORY` writes anew what is expected of the stores that are there.
//! `golden fresh SEED DIRECTORY` makes a store in which everything of the format occurs, with values from the seed.
//! `golden decode-vector FILE...` says what vectors decode to, as `format-spec/conformance/README.md` wants it.
//!
//! The stores of a released version are never made anew: a change of their bytes or of what they give is a change of
//! the format, and needs a page in `format-spec/decisions/`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use golden::damage::CHANGED;
use golden::expected::observe;
use golden::fresh;
use golden::frozen;
use golden::storage::write_files;
use golden::stores::STORES;
use golden::vectors::{Vector, answer};
use simd_json::prelude::*;

type Files = Vec<(String, Vec<u8>)>;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Writes what a reader gives for a store.
fn expect(directory: &Path) -> Outcome {
    let copy = tempfile::tempdir()?;
    frozen::copy(&directory.join("store"), copy.path())?;
    let expected = directory.join("expected");
    if expected.exists() {
        fs::remove_dir_all(&expected)?;
    }
    fs::create_dir(&expected)?;
    for (file, text) in observe(copy.path()) {
        fs::write(expected.join(file), text)?;
    }
    Ok(())
}

/// Writes a store and what a reader gives for it.
fn freeze(directory: &Path, name: &str, title: &str, files: &Files) -> Outcome {
    let directory = directory.join(name);
    write_files(&directory.join("store"), files)?;
    fs::write(directory.join("TITLE"), format!("{title}\n"))?;
    expect(&directory)?;
    let bytes: usize = files.iter().map(|file| file.1.len()).sum();
    println!("{name}: {bytes} bytes in {} files", files.len());
    Ok(())
}

/// Makes all stores.
fn make(directory: &Path) -> Outcome {
    fs::create_dir(directory)?;
    let mut made: HashMap<&str, Files> = HashMap::new();
    for (name, title, make) in STORES {
        let files = make().map_err(|error| format!("{name}: {error}"))?;
        freeze(directory, name, title, &files)?;
        made.insert(name, files);
    }
    for (name, base, title, change) in CHANGED {
        let mut files = made[base].clone();
        change(&mut files);
        freeze(directory, name, title, &files)?;
    }
    Ok(())
}

/// A line of JSON for each vector.
fn decode(files: &[String]) -> Outcome {
    for file in files {
        println!("{}", answer(&Vector::parse(file, fs::read(file)?)?).encode());
    }
    Ok(())
}

fn main() -> Outcome {
    let usage = "golden freeze DIRECTORY, golden expect DIRECTORY, golden fresh SEED DIRECTORY, or golden decode-vector FILE...";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [action, files @ ..] = &arguments[..]
        && action == "decode-vector"
    {
        return decode(files);
    }
    if let [action, seed, directory] = &arguments[..]
        && action == "fresh"
    {
        return Ok(write_files(Path::new(directory), &fresh::make(seed.parse()?)?)?);
    }
    let [action, directory] = &arguments[..] else { return Err(usage.into()) };
    let directory = Path::new(directory);
    match action.as_str() {
        "freeze" => make(directory)?,
        "expect" => {
            for name in frozen::names(directory)? {
                expect(&directory.join(name))?;
            }
        }
        _ => return Err(usage.into()),
    }
    fs::write(directory.join(frozen::HASHES), frozen::hashes(directory)?)?;
    Ok(())
}
