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
    /// The files.
    pub(crate) fn files(&self, root: &Path) -> Result<Vec<String>, String> {
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
    (FORMAT, "codecs", &[]),
    (FORMAT, "pinned", &[]),
    (FORMAT, "factors", &[]),
    (FORMAT, "digits", &[]),
];
/// Tests of the format.
const FORMATS: &[Executable] = &[(FORMAT, "tapestore_format", &[]), (FORMAT, "columns", &[])];
/// Tests of what stands on it.
const FORMAT_SLOW: &[Executable] = &[
    (FORMAT, "sizes", &[]),
    (FORMAT, "codecs", &[]),
    (FORMAT, "factors", &[]),
    (FORMAT, "digits", &[]),
    (FORMAT, "hostile", &[]),
    (FORMAT, "columns", &[]),
    (FORMAT, "segment", &[]),
    ("golden", "vectors", &[]),
    BASICS,
];

const CODEC: &str = "engine/format/src/codec";
const ENGINE_SOURCES: &str = "engine/store/src";

/// All of them.
pub(crate) const GROUPS: &[Group] = &[
    Group { name: "codec", package: FORMAT, directory: CODEC, stems: &[], quick: CODECS, slow: FORMAT_SLOW },
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
