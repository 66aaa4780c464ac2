//! What is mutated, and which tests have to notice.

use std::fs;
use std::path::Path;

/// An executable of tests: its package, the name of its target, and which of its tests (all if empty).
pub(crate) type Executable = (&'static str, &'static str, &'static [&'static str]);

/// Files that are mutated together.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    directory: &'static str,
    /// Names without `.rs`; all of the directory if empty.
    stems: &'static [&'static str],
    /// Tests for every mutant: the first that fails ends the run.
    pub(crate) quick: &'static [Executable],
    /// Tests for what those did not notice.
    pub(crate) slow: &'static [Executable],
}

impl Group {
    /// The files, without those that are not compiled on this machine: what is changed there nothing could notice.
    pub(crate) fn files(&self, root: &Path) -> Result<Vec<String>, String> {
        let mut files = self.all_files(root)?;
        let of_others = FILES_OF.iter().filter(|(processor, _)| *processor != std::env::consts::ARCH);
        let of_others: Vec<&str> = of_others.flat_map(|(_, stems)| *stems).copied().collect();
        files.retain(|file| !of_others.iter().any(|stem| file.ends_with(&format!("/{stem}.rs"))));
        Ok(files)
    }

    fn all_files(&self, root: &Path) -> Result<Vec<String>, String> {
        let directory = root.join(self.directory);
        if !self.stems.is_empty() {
            return Ok(self.stems.iter().map(|stem| format!("{}/{stem}.rs", self.directory)).collect());
        }
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            files.push(format!("{}/{name}", self.directory));
        }
        files.sort();
        Ok(files)
    }
}

/// Files that are compiled for one kind of processor alone.
const FILES_OF: [(&str, &[&str]); 2] =
    [("x86_64", &["kernel_avx2", "kernel_avx512"]), ("aarch64", &["kernel_neon"])];

const FORMAT: &str = "tapestore-format";
const STORE: &str = "tapestore";
const BASICS: Executable = (STORE, "basics", &[]);
const LIVING: Executable = (STORE, "living", &[]);
const OPENING: Executable = (STORE, "opening", &[]);
const CUTS: Executable =
    ("crash-tests", "power_cut", &["a_cut_in_any_single_operation_loses_nothing_acknowledged"]);
const FAULTS: Executable = ("crash-tests", "faults", &[]);
const FULL_DISK: Executable = ("crash-tests", "full_disk", &[]);
const REGRESSIONS: Executable = ("crash-tests", "regressions", &[]);
const SWEEP: Executable = ("tape-corruption", "sweep", &[]);

/// Tests of the engine.
const ENGINE: &[Executable] = &[
    (STORE, "tapestore", &[]),
    BASICS,
    OPENING,
    LIVING,
    (STORE, "staging", &[]),
    (STORE, "changes", &[]),
    (STORE, "operations", &[]),
    (STORE, "latest", &[]),
    (STORE, "tiers", &[]),
    (STORE, "held_up", &[]),
];
const ENGINE_SLOW: &[Executable] = &[
    (STORE, "limits", &[]),
    (STORE, "full_disk", &[]),
    (STORE, "subscribe", &[]),
    (STORE, "salvage", &[]),
    REGRESSIONS,
    ("tape-model", "model", &[]),
    SWEEP,
    FULL_DISK,
    FAULTS,
    CUTS,
];

/// Tests of the codecs.
const CODECS: &[Executable] = &[
    (FORMAT, "tapestore_format", &["codec::"]),
    (FORMAT, "coded", &[]),
    (FORMAT, "codecs", &[]),
    (FORMAT, "pinned", &[]),
    (FORMAT, "factors", &[]),
    (FORMAT, "singles", &[]),
    (FORMAT, "digits", &[]),
    (FORMAT, "behind", &[]),
];
/// Those that most of what is left is noticed by come first.
const CODECS_SLOW: &[Executable] = &[
    ("golden", "vectors", &[]),
    (FORMAT, "forced", &[]),
    (FORMAT, "sizes", &[]),
    (FORMAT, "columns", &[]),
    (FORMAT, "segment", &[]),
    (FORMAT, "hostile", &[]),
    BASICS,
];
/// Tests of the format.
const FORMATS: &[Executable] =
    &[(FORMAT, "tapestore_format", &[]), (FORMAT, "columns", &[]), (FORMAT, "digits", &[])];
/// Tests of what stands on it.
const FORMAT_SLOW: &[Executable] = &[
    (FORMAT, "sizes", &[]),
    ("golden", "vectors", &[]),
    (FORMAT, "segment", &[]),
    (FORMAT, "factors", &[]),
    (FORMAT, "codecs", &[]),
    (FORMAT, "hostile", &[]),
    BASICS,
];

const CODEC: &str = "engine/format/src/codec";
const ENGINE_SOURCES: &str = "engine/store/src";

/// All of them.
pub(crate) const GROUPS: &[Group] = &[
    Group { name: "codec", package: FORMAT, directory: CODEC, stems: &[], quick: CODECS, slow: CODECS_SLOW },
    Group {
        name: "recovery",
        package: STORE,
        directory: ENGINE_SOURCES,
        stems: &["open", "wal", "manifest", "apply", "frames"],
        quick: ENGINE,
        slow: ENGINE_SLOW,
    },
    Group {
        name: "commit",
        package: STORE,
        directory: ENGINE_SOURCES,
        stems: &["commit", "stage", "seal"],
        quick: ENGINE,
        slow: ENGINE_SLOW,
    },
    Group {
        name: "format",
        package: FORMAT,
        directory: "engine/format/src",
        stems: &["log", "wal", "checksum", "header", "coverage", "manifest"],
        quick: FORMATS,
        slow: FORMAT_SLOW,
    },
    Group {
        name: "segment",
        package: FORMAT,
        directory: "engine/format/src/segment",
        stems: &[],
        quick: FORMATS,
        slow: FORMAT_SLOW,
    },
    Group {
        name: "upkeep",
        package: STORE,
        directory: ENGINE_SOURCES,
        stems: &["maintenance", "lease", "reserve"],
        quick: ENGINE,
        slow: ENGINE_SLOW,
    },
];
