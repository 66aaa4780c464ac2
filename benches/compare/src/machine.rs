//! The machine: files that are mapped, written durably and dropped from the page cache, its memory's speed, its name.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{Advice, fadvise};
use serde_json::{Value, json};

use crate::contender::Result;

/// The bytes of a file that nobody changes.
pub(crate) fn map(file: &File) -> Result<Bytes> {
    // SAFETY: the files of a run are made by it in a temporary directory of its own, and only replaced by name.
    let map = unsafe { memmap2::Mmap::map(file)? };
    Ok(Bytes::from_owner(map))
}

/// Writes a file and waits until it is on the device.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}

/// Asks the system to forget the cached pages of all files in a directory.
pub(crate) fn forget(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else {
            let file = File::open(path)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// Bytes of all files beneath a directory.
pub(crate) fn bytes_of(directory: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        total += if path.is_dir() { bytes_of(&path)? } else { path.metadata()?.len() };
    }
    Ok(total)
}

/// Sums words: reads memory as fast as one core can.
pub(crate) fn read_all(words: &[u64]) -> u64 {
    let mut sums = [0u64; 8];
    let lanes = words.chunks_exact(8);
    for eight in lanes {
        for (sum, word) in sums.iter_mut().zip(eight) {
            *sum = sum.wrapping_add(*word);
        }
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}

fn line_of(path: &str, key: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key));
    line.and_then(|line| line.split(':').nth(1)).map(|value| value.trim().to_owned()).unwrap_or_default()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let run =
        std::process::Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    run.map(|run| String::from_utf8_lossy(&run.stdout).trim().to_owned()).unwrap_or_default()
}

/// Versions of the peers, from the lock file that this was built with.
fn versions() -> Value {
    let lock = include_str!("../Cargo.lock");
    let mut out = serde_json::Map::new();
    for package in lock.split("[[package]]") {
        let field = |key: &str| {
            package
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .map(|value| value.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version)) = (field("name = "), field("version = "))
            && ["parquet", "arrow-ipc", "pco", "zstd-sys", "snap", "lz4_flex"].contains(&name.as_str())
        {
            out.insert(name, Value::String(version));
        }
    }
    Value::Object(out)
}

/// What cargo builds for unless told otherwise.
pub(crate) const BASELINE: &str = "any processor of its kind (cargo's default)";

/// The commit that this was built at; it says so if its sources were changed since.
pub(crate) const COMMIT: &str = env!("TAPE_COMMIT");

/// When and at which commit something is measured.
pub(crate) fn taken() -> Value {
    json!({ "date": output("date", &["-u", "+%Y-%m-%d"]), "commit": COMMIT })
}

/// What a reader of figures has to know of where they come from.
pub(crate) fn describe() -> Value {
    let features: Vec<&str> = [
        ("avx2", cfg!(target_arch = "x86_64") && std::arch::is_x86_feature_detected!("avx2")),
        ("avx512f", cfg!(target_arch = "x86_64") && std::arch::is_x86_feature_detected!("avx512f")),
    ]
    .iter()
    .filter(|feature| feature.1)
    .map(|feature| feature.0)
    .collect();
    json!({
        "date": output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        "cpu": line_of("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "features": features.join(" "),
        "built_for": if cfg!(target_feature = "avx512f") {
            "AVX-512"
        } else if cfg!(target_feature = "avx2") {
            "AVX2"
        } else {
            BASELINE
        },
        "memory": line_of("/proc/meminfo", "MemTotal"),
        "kernel": output("uname", &["-sr"]),
        "rustc": output("rustc", &["--version"]),
        "commit": COMMIT,
        "versions": versions(),
    })
}
