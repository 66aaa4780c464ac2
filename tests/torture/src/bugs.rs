//! The bugs that are planted, and the tests that have to catch them.

/// A change of one place: the file, what stands there exactly once, what stands there with the bug.
pub(crate) type Change = (&'static str, &'static str, &'static str);

/// A bug.
pub(crate) struct Bug {
    /// Its name; for those of the simulated disk, what the disk does.
    pub(crate) name: &'static str,
    /// What is wrong.
    pub(crate) what: &'static str,
    /// Changes of the sources; none for a bug that the simulated disk plays by leaving out or delaying syncs.
    pub(crate) changes: &'static [Change],
    /// The tests to try, the likeliest first.
    pub(crate) tests: &'static [Test],
}

/// An executable of tests, and a test in it.
pub(crate) type Test = (&'static str, &'static str);

pub(crate) const SINGLE: Test = ("power_cut", "a_cut_in_any_single_operation_loses_nothing_acknowledged");
pub(crate) const TRIPLE: Test =
    ("power_cut", "a_cut_in_any_sequence_of_three_operations_loses_nothing_acknowledged");
const LONG: Test = ("power_cut", "a_cut_in_long_workloads_loses_nothing_acknowledged");
const ANEW: Test = ("power_cut", "a_cut_while_the_manifest_is_written_anew_loses_nothing_acknowledged");
const CREATION: Test = ("power_cut", "a_cut_in_creation_leaves_a_store_or_a_place_for_one");
const BACKUPS: Test = ("power_cut", "a_cut_in_a_repeated_backup_leaves_the_one_before_it_or_the_new_one");
const FAULTS: Test = ("faults", "a_fault_in_any_sequence_of_two_operations_loses_nothing_acknowledged");
const LONG_FAULTS: Test = ("faults", "a_fault_in_long_workloads_loses_nothing_acknowledged");
const SWEEP: Test = ("sweep", "damage_is_named_and_never_returned_as_data");
const DIGITS: Test = ("sweep", "prices_with_further_digits_are_those_that_were_put_in");
const SINGLES: Test = ("sweep", "adjusted_singles_are_those_that_were_put_in");

const CUTS: &[Test] = &[SINGLE, TRIPLE, LONG];
const CUTS_ANEW: &[Test] = &[ANEW, CREATION];
const CUTS_CREATED: &[Test] = &[CREATION, SINGLE];
const CUTS_BACKUP: &[Test] = &[SINGLE, BACKUPS];

const fn disk(name: &'static str, what: &'static str, tests: &'static [Test]) -> Bug {
    Bug { name, what, changes: &[], tests }
}

/// All of them.
pub(crate) const BUGS: &[Bug] = &[
    // Syncs left out, each kind in turn.
    disk("drop:Sync wal", "a commit is acknowledged without a sync of its log", CUTS),
    disk("drop:Sync wal first", "a new log is not synced", CUTS),
    disk("drop:SyncDir after Sync wal", "the directory entry of a new log is not synced", CUTS),
    disk("drop:Sync manifest", "a step of the manifest is not synced", CUTS),
    disk("drop:Sync manifest first", "a manifest written anew is not synced", CUTS_ANEW),
    disk(
        "drop:SyncDir after Sync manifest",
        "the directory entry of a new manifest is not synced",
        CUTS_ANEW,
    ),
    disk("drop:Sync current.new first", "CURRENT is renamed without having been synced", CUTS),
    disk("drop:SyncDir after Rename CURRENT", "the renaming of CURRENT is not synced", CUTS),
    disk("drop:Sync segment first", "a segment is not synced", CUTS),
    disk("drop:SyncDir after Sync segment", "the directory entry of a segment is not synced", CUTS),
    disk("drop:Sync copy first", "files of a backup are not synced", CUTS_BACKUP),
    disk(
        "drop:SyncDir after Rename wal",
        "logs of a backup get their names in any order",
        &[BACKUPS, REGRESSION_BACKUP],
    ),
    disk(
        "drop:SyncDir after Rename manifest",
        "CURRENT of a backup comes before the name of its manifest",
        CUTS_BACKUP,
    ),
    // Ordered pairs, swapped.
    disk("late:Sync wal:Write visible", "a commit is shown to readers before its log is synced", CUTS),
    disk(
        "late:Sync manifest:Rename CURRENT",
        "CURRENT is renamed before the step of the manifest is synced",
        CUTS,
    ),
    disk(
        "late:Sync manifest first:Rename CURRENT",
        "CURRENT is renamed before the new manifest is synced",
        CUTS_ANEW,
    ),
    disk(
        "late:SyncDir after Sync manifest:Rename CURRENT",
        "CURRENT is renamed before the entry of the new manifest is synced",
        CUTS_ANEW,
    ),
    disk("late:Sync current.new first:Rename CURRENT", "CURRENT is renamed, then synced", CUTS),
    disk(
        "late:Sync segment first:Rename CURRENT",
        "the manifest names a segment that is not synced yet",
        CUTS,
    ),
    disk(
        "late:SyncDir after Sync segment:Rename CURRENT",
        "the manifest names a segment without a durable entry",
        CUTS,
    ),
    disk(
        "late:SyncDir after Rename CURRENT:Remove wal",
        "a log goes before the step that gives it up is durable",
        CUTS,
    ),
    disk(
        "late:SyncDir after Rename CURRENT:Remove segment",
        "a segment goes before the step that gives it up is durable",
        CUTS,
    ),
    disk("late:Sync copy first:Rename CURRENT", "a backup counts before its files are synced", CUTS_BACKUP),
    disk("late:Sync wal:Create wal", "a log is synced only once the next one is there", CUTS),
    disk("late:Sync wal first:Write wal", "a log takes transactions before its beginning is synced", CUTS),
    disk(
        "late:SyncDir after Sync wal:Write wal",
        "a log takes transactions before its directory entry is synced",
        CUTS,
    ),
    disk(
        "late:Sync wal first:Rename CURRENT",
        "CURRENT of a new store comes before its log is synced",
        CUTS_CREATED,
    ),
    disk(
        "late:SyncDir after Sync wal:Rename CURRENT",
        "CURRENT is renamed before the entry of the log that it needs is synced",
        CUTS,
    ),
    // Not behind `Rename wal`: what the first backup owed would be paid with the first name that the second one gives.
    disk(
        "late:SyncDir after Rename wal:Rename manifest",
        "a backup gives logs their names, then syncs the directory once for all",
        &[REGRESSION_BACKUP, BACKUPS],
    ),
    disk(
        "late:SyncDir after Rename manifest:Rename CURRENT",
        "CURRENT of a backup is renamed, then the directory of its files is synced",
        CUTS_BACKUP,
    ),
    // The code of the engine, wrong.
    Bug {
        name: "log-removed-before-step",
        what: "sealing removes the old logs, then publishes the step",
        changes: &[(
            "engine/store/src/seal.rs",
            "    maintenance.publish(records, state)?;\n    swap(",
            "    if planted(\"log-removed-before-step\") {\n        for log in crate::wal::list_logs(&*shared.storage, old_logs.start)? {\n            if old_logs.contains(&log) {\n                let _ = shared.storage.remove(&crate::wal::log_name(log));\n            }\n        }\n    }\n    maintenance.publish(records, state)?;\n    swap(",
        )],
        tests: CUTS,
    },
    Bug {
        name: "segments-removed-before-step",
        what: "compaction removes the old segments, then publishes the step",
        changes: &[(
            "engine/store/src/compact.rs",
            "    maintenance.publish(records, state)?;",
            "    if planted(\"segments-removed-before-step\") {\n        for id in replaced.keys() {\n            let _ = shared.storage.remove(&segment_name(*id));\n        }\n    }\n    maintenance.publish(records, state)?;",
        )],
        tests: CUTS,
    },
    Bug {
        name: "current-in-place",
        what: "CURRENT is rewritten where it stands",
        changes: &[(
            "engine/store/src/manifest.rs",
            "    match storage.remove(CURRENT_NEW) {",
            "    if planted(\"current-in-place\") && storage.length(CURRENT).is_ok() {\n        let file = storage.open(CURRENT).map_err(|error| failed(\"opening\", error))?;\n        file.write_at(0, &current.encode()).map_err(|error| failed(\"writing\", error))?;\n        return file.sync_all().map_err(|error| failed(\"syncing\", error));\n    }\n    match storage.remove(CURRENT_NEW) {",
        )],
        tests: CUTS,
    },
    Bug {
        name: "shown-before-written",
        what: "readers are told of a commit before it is written and synced",
        changes: &[(
            "engine/store/src/commit.rs",
            "        let end = at + frames.len() as u64;\n",
            "        let end = at + frames.len() as u64;\n        if planted(\"shown-before-written\") {\n            let inner = self.inner.lock();\n            let _ = file.write_at(at, &frames);\n            let _ = inner.visible.write_at(0, &Visible { log, end }.encode(shared.store));\n        }\n",
        )],
        tests: CUTS,
    },
    Bug {
        name: "reader-ignores-visible",
        what: "a reader beside a writer shows all that stands in the log",
        changes: &[(
            "engine/store/src/follow.rs",
            "    let visible = live_writer(&**storage, current.store)?;",
            "    let visible = live_writer(&**storage, current.store)?.filter(|_| !planted(\"reader-ignores-visible\"));",
        )],
        tests: CUTS,
    },
    Bug {
        name: "acknowledge-failed-write",
        what: "a commit is acknowledged although writing or syncing it failed",
        changes: &[(
            "engine/store/src/commit.rs",
            "        if let Err((action, error)) = result.unwrap_or_else(|panic| resume_unwind(panic)) {",
            "        if let Err((action, error)) = result.unwrap_or_else(|panic| resume_unwind(panic))\n            && !planted(\"acknowledge-failed-write\")\n        {",
        )],
        tests: &[FAULTS],
    },
    Bug {
        name: "retry-fsync",
        what: "a failed sync of a log is tried again",
        changes: &[(
            "engine/store/src/commit.rs",
            "if sync { file.sync_data().map_err(",
            "if sync { file.sync_data().or_else(|error| if planted(\"retry-fsync\") { file.sync_data() } else { Err(error) }).map_err(",
        )],
        tests: &[FAULTS],
    },
    Bug {
        name: "no-poison",
        what: "a handle goes on after a failed commit",
        changes: &[(
            "engine/store/src/commit.rs",
            "            if !mistaken(Mistake::GoOnAfterFailure) {",
            "            if !mistaken(Mistake::GoOnAfterFailure) && !planted(\"no-poison\") {",
        )],
        tests: &[FAULTS],
    },
    Bug {
        name: "seal-does-not-poison",
        what: "a handle goes on after a failed seal",
        changes: &[(
            "engine/store/src/seal.rs",
            "        && !matches!(error, Error::Poisoned { .. })\n",
            "        && !matches!(error, Error::Poisoned { .. })\n        && !planted(\"seal-does-not-poison\")\n",
        )],
        tests: &[FAULTS],
    },
    Bug {
        name: "compaction-does-not-poison",
        what: "a handle goes on after a compaction that failed while publishing",
        changes: &[(
            "engine/store/src/compact.rs",
            "publish(shared, role, jobs, finished).inspect_err(|error| role.pipeline.poison(error))?;",
            "publish(shared, role, jobs, finished).inspect_err(|error| {\n        if !planted(\"compaction-does-not-poison\") {\n            role.pipeline.poison(error);\n        }\n    })?;",
        )],
        tests: &[FAULTS, LONG_FAULTS],
    },
    Bug {
        name: "steps-after-a-failed-one",
        what: "after a step that failed where file ids ran out the next one is written behind where it would have ended",
        changes: &[
            (
                "engine/store/src/manifest.rs",
                "        if let Some(cause) = &self.failed {",
                "        if let Some(cause) = self.failed.as_ref().filter(|_| !planted(\"steps-after-a-failed-one\")) {",
            ),
            (
                "engine/store/src/compact.rs",
                "allocate().inspect_err(|error| role.pipeline.poison(error))?;",
                "allocate().inspect_err(|error| {\n                if !planted(\"steps-after-a-failed-one\") {\n                    role.pipeline.poison(error);\n                }\n            })?;",
            ),
        ],
        tests: &[("tapestore", "manifest::tests::behind_a_failed_step_there_is_no_other")],
    },
    Bug {
        name: "short-write-is-all",
        what: "a short write is taken for a whole one",
        changes: &[(
            "engine/store/src/io/mod.rs",
            "                Ok(count) => {\n                    written += count;",
            "                Ok(count) => {\n                    written += if planted(\"short-write-is-all\") { bytes.len() } else { count };",
        )],
        tests: &[FAULTS],
    },
    Bug {
        name: "recover-without-rewriting",
        what: "recovery counts what it reads in the page cache as durable",
        changes: &[(
            "engine/store/src/open.rs",
            "        make_durable(&*storage, &log_name(position.log), position.offset)?;",
            "        if !planted(\"recover-without-rewriting\") {\n            make_durable(&*storage, &log_name(position.log), position.offset)?;\n        }",
        )],
        tests: &[FAULTS],
    },
    Bug {
        name: "previous-log-late",
        what: "opening begins a new log, then makes the one before it durable",
        changes: &[
            (
                "engine/store/src/open.rs",
                "    file.sync_data().map_err(|error| Error::io(\"syncing\", storage.describe(name), error))",
                "    if planted(\"previous-log-late\") {\n        return Ok(());\n    }\n    file.sync_data().map_err(|error| Error::io(\"syncing\", storage.describe(name), error))",
            ),
            (
                "engine/store/src/open.rs",
                "        let log = LogWriter::create(&*storage, current.store, id, start, position.next_sequence)?;",
                "        let log = LogWriter::create(&*storage, current.store, id, start, position.next_sequence)?;\n        if planted(\"previous-log-late\") {\n            let name = log_name(position.log);\n            let synced = storage.open(&name).and_then(|file| file.sync_data());\n            synced.map_err(|error| Error::io(\"syncing\", storage.describe(&name), error))?;\n        }",
            ),
        ],
        tests: &[
            ("regressions", "a_power_cut_while_opening_after_a_killed_process_leaves_a_store_that_opens"),
            LONG,
        ],
    },
    Bug {
        name: "torn-end-counts",
        what: "recovery goes on behind a torn end without leaving it out",
        changes: &[(
            "engine/store/src/open.rs",
            "previous_end: position.offset, version: state.version };",
            "previous_end: if planted(\"torn-end-counts\") { storage.length(&log_name(position.log)).unwrap_or(0) } else { position.offset }, version: state.version };",
        )],
        tests: CUTS,
    },
    Bug {
        name: "log-given-up-at-open",
        what: "opening gives up logs that hold commits no segment has",
        changes: &[(
            "engine/store/src/open.rs",
            "        if state.version == sealed {",
            "        if state.version == sealed || planted(\"log-given-up-at-open\") {",
        )],
        tests: CUTS,
    },
    Bug {
        name: "first-log-is-an-orphan",
        what: "opening takes the first log that counts for one left over",
        changes: &[(
            "engine/store/src/open.rs",
            "return id >= first_log;",
            "return id >= first_log + u64::from(planted(\"first-log-is-an-orphan\"));",
        )],
        tests: CUTS,
    },
    Bug {
        name: "manifest-to-its-end",
        what: "the length of the manifest is taken from the file, not from CURRENT",
        changes: &[(
            "engine/store/src/manifest.rs",
            "    let mut frames = FrameStream::new(file, identity, HEADER_BYTES as u64, current.length, Some(0));",
            "    let end = if planted(\"manifest-to-its-end\") { length } else { current.length };\n    let mut frames = FrameStream::new(file, identity, HEADER_BYTES as u64, end, Some(0));",
        )],
        tests: CUTS,
    },
    Bug {
        name: "ids-not-reserved",
        what: "file ids are given out without having been reserved, so again after a crash",
        changes: &[(
            "engine/store/src/maintenance.rs",
            "        if reserve {\n            state.next_file",
            "        if reserve && !planted(\"ids-not-reserved\") {\n            state.next_file",
        )],
        tests: CUTS,
    },
    Bug {
        name: "manifest-with-an-id-not-reserved",
        what: "a manifest written anew has an id that is reserved only by its own step",
        changes: &[(
            "engine/store/src/manifest.rs",
            "            match self.rewrite(id) {",
            "            let id = if planted(\"manifest-with-an-id-not-reserved\") { self.state.state.next_file } else { id };\n            self.state.state.next_file += u64::from(planted(\"manifest-with-an-id-not-reserved\"));\n            match self.rewrite(id) {",
        )],
        tests: CUTS_ANEW,
    },
    Bug {
        name: "ids-of-files-that-are-there",
        what: "opening gives out ids that files which do not count have",
        changes: &[(
            "engine/store/src/open.rs",
            "Maintenance::new(storage.clone(), manifest, highest_id(&*storage)?);",
            "Maintenance::new(storage.clone(), manifest, if planted(\"ids-of-files-that-are-there\") { 0 } else { highest_id(&*storage)? });",
        )],
        tests: &[REGRESSION_IDS, BACKUPS],
    },
    Bug {
        name: "snapshot-not-durable",
        what: "a snapshot names a version that a power cut undoes",
        changes: &[(
            "engine/store/src/store.rs",
            "        drop(role.pipeline.quiesce(&self.shared)?);\n        let view = self.view();",
            "        if !planted(\"snapshot-not-durable\") {\n            drop(role.pipeline.quiesce(&self.shared)?);\n        }\n        let view = self.view();",
        )],
        tests: &[("regressions", "a_snapshot_of_commits_that_are_not_durable_makes_them_durable"), LONG],
    },
    Bug {
        name: "floor-before-commits",
        what: "the floor is raised above what is durable",
        changes: &[(
            "engine/store/src/store.rs",
            "        drop(role.pipeline.quiesce(self)?);\n",
            "        if !planted(\"floor-before-commits\") {\n            drop(role.pipeline.quiesce(self)?);\n        }\n",
        )],
        tests: &[("regressions", "pruning_with_commits_that_are_not_durable_keeps_something_to_read"), LONG],
    },
    Bug {
        name: "prune-snapshots",
        what: "pruning gives up versions that snapshots name",
        changes: &[(
            "engine/store/src/store.rs",
            "    versions.sort_unstable();\n    versions.dedup();",
            "    if planted(\"prune-snapshots\") {\n        versions.clear();\n    }\n    versions.sort_unstable();\n    versions.dedup();",
        )],
        tests: &[("regressions", "pruning_keeps_the_versions_that_snapshots_name"), LONG],
    },
    Bug {
        name: "skip-lease-check",
        what: "files go although readers of other processes hold leases on them",
        changes: &[(
            "engine/store/src/lease.rs",
            "    let leases = match storage.list(LEASES) {",
            "    if planted(\"skip-lease-check\") {\n        return u64::MAX;\n    }\n    let leases = match storage.list(LEASES) {",
        )],
        tests: &[("tapestore", "lease::tests::live_leases_count_and_dead_ones_are_swept")],
    },
    Bug {
        name: "writers-share-the-lock",
        what: "two processes write at the same time",
        changes: &[(
            "engine/store/src/open.rs",
            "        let lock = storage.lock(LOCK, LockKind::Exclusive);",
            "        let kind = if planted(\"writers-share-the-lock\") { LockKind::Shared } else { LockKind::Exclusive };\n        let lock = storage.lock(LOCK, kind);",
        )],
        tests: &[("opening", "a_second_writer_is_locked_out_and_a_reader_is_not")],
    },
    Bug {
        name: "backup-counts-first",
        what: "a backup writes CURRENT before the files that it counts",
        changes: &[(
            "engine/store/src/backup.rs",
            "        self.prepare_target()?;\n",
            "        self.prepare_target()?;\n        if planted(\"backup-counts-first\") {\n            write_current(self.target, &self.current)?;\n        }\n",
        )],
        tests: CUTS_BACKUP,
    },
    Bug {
        name: "crc-without-seed",
        what: "checksums do not cover whose bytes they are",
        changes: &[(
            "engine/format/src/checksum.rs",
            "        let mut prefix = self.store;",
            "        if planted(\"crc-without-seed\") {\n            return [0; 16];\n        }\n        let mut prefix = self.store;",
        )],
        tests: &[SWEEP, ("tapestore_format", "checksum::tests::checksum_depends_on_store_file_and_position")],
    },
    Bug {
        name: "crc-without-position",
        what: "checksums do not cover where the bytes belong",
        changes: &[(
            "engine/format/src/checksum.rs",
            "        hasher.update(&position.to_le_bytes());",
            "        if !planted(\"crc-without-position\") {\n            hasher.update(&position.to_le_bytes());\n        }",
        )],
        tests: &[SWEEP, ("tapestore_format", "checksum::tests::checksum_depends_on_store_file_and_position")],
    },
    Bug {
        name: "crc-without-length",
        what: "the checksum of a frame leaves out its length",
        changes: &[
            (
                "engine/format/src/log.rs",
                "            let crc = self.identity.crc(self.offset, &out[start + 4..]);",
                "            let from = if planted(\"crc-without-length\") { 6 } else { 4 };\n            let crc = self.identity.crc(self.offset, &out[start + from..]);",
            ),
            (
                "engine/format/src/log.rs",
                "        if self.identity.crc(offset, &bytes[4..framed]) != crc {",
                "        let from = if planted(\"crc-without-length\") { 6 } else { 4 };\n        if self.identity.crc(offset, &bytes[from..framed]) != crc {",
            ),
        ],
        tests: &[
            SWEEP,
            ("tapestore_format", "log::tests::every_flipped_bit_and_every_truncation_is_noticed"),
        ],
    },
    Bug {
        name: "skip-verify-on-first-touch",
        what: "checksums in segments are not compared",
        changes: &[(
            "engine/format/src/segment/sealed.rs",
            "        if self.verified.trusting || ",
            "        if planted(\"skip-verify-on-first-touch\") || self.verified.trusting || ",
        )],
        tests: &[SWEEP],
    },
    Bug {
        name: "verify-skips-padding",
        what: "a deep verification looks neither at padding nor at the hash of the whole file",
        changes: &[
            (
                "engine/format/src/segment/verify.rs",
                "        if !self.deep {\n            return;\n        }\n        let length",
                "        if !self.deep || planted(\"verify-skips-padding\") {\n            return;\n        }\n        let length",
            ),
            (
                "engine/store/src/verify.rs",
                "        if deep && self.findings.len() == before {",
                "        if deep && self.findings.len() == before && !planted(\"verify-skips-padding\") {",
            ),
        ],
        tests: &[SWEEP],
    },
    Bug {
        name: "torn-frame-in-the-middle",
        what: "a damaged frame that later ones call durable is taken for a torn end",
        changes: &[(
            "engine/store/src/wal.rs",
            "        let bad = frames.next_sequence().unwrap_or(0);\n        let later",
            "        if planted(\"torn-frame-in-the-middle\") {\n            return Ok(());\n        }\n        let bad = frames.next_sequence().unwrap_or(0);\n        let later",
        )],
        tests: &[SWEEP],
    },
    Bug {
        name: "stillborn-of-any-length",
        what: "a log without a readable beginning was never born, however long it is",
        changes: &[(
            "engine/store/src/wal.rs",
            "        if length > EMPTY_LOG_BYTES {",
            "        if length > EMPTY_LOG_BYTES && !planted(\"stillborn-of-any-length\") {",
        )],
        tests: &[SWEEP],
    },
    Bug {
        name: "missing-log-passed-over",
        what: "a log missing in the middle of the chain is not noticed",
        changes: &[(
            "engine/store/src/wal.rs",
            "                Some((last, _)) if previous != *last => {",
            "                Some((last, _)) if previous != *last && !planted(\"missing-log-passed-over\") => {",
        )],
        tests: &[SWEEP],
    },
    Bug {
        name: "frame-calls-itself-durable",
        what: "a frame says that it was durable before it is",
        changes: &[(
            "engine/store/src/commit.rs",
            "        log.frames.push(KIND_TRANSACTION, &bytes, *durable_sequence, pending);",
            "        let early = if planted(\"frame-calls-itself-durable\") { log.frames.next_sequence() } else { *durable_sequence };\n        log.frames.push(KIND_TRANSACTION, &bytes, early, pending);",
        )],
        tests: &[LONG, TRIPLE],
    },
    Bug {
        name: "digits-of-the-block-before",
        what: "rows without further digits have those of the block before",
        changes: &[(
            "engine/format/src/codec/digits.rs",
            "        } else if self.some {\n",
            "        } else if self.some && !planted(\"digits-of-the-block-before\") {\n",
        )],
        tests: &[DIGITS],
    },
    Bug {
        name: "zero-digits-carry-over",
        what: "a row that is told to have no further digits has those of what it equals",
        changes: &[(
            "engine/format/src/codec/digits.rs",
            "            column.digits[*row as usize] = *digits;",
            "            if *digits != 0 || !planted(\"zero-digits-carry-over\") {\n                column.digits[*row as usize] = *digits;\n            }",
        )],
        tests: &[DIGITS],
    },
    Bug {
        name: "low-has-greater-digits",
        what: "of an open and a close at one cent, lows have the further digits of the greater",
        changes: &[(
            "engine/format/src/codec/digits.rs",
            "            (N::loops(kernels).carry)(role, ",
            "            let as_high = role == Role::Low && planted(\"low-has-greater-digits\");\n            (N::loops(kernels).carry)(if as_high { Role::High } else { role }, ",
        )],
        tests: &[DIGITS],
    },
    Bug {
        name: "digits-from-the-first-row",
        what: "a read from the middle of a block on gets the further digits of its first rows",
        changes: &[(
            "engine/format/src/segment/read_group.rs",
            "let rows = (numbers, &members.digits.of(*role)[rows.clone()]);",
            "let from = if planted(\"digits-from-the-first-row\") { 0 } else { rows.start };\n                    let rows = (numbers, &members.digits.of(*role)[from..from + rows.len()]);",
        )],
        tests: &[DIGITS],
    },
    Bug {
        name: "ratios-from-the-first-row",
        what: "a read from the middle of a block on adjusts singles as its first rows are",
        changes: &[(
            "engine/format/src/codec/single.rs",
            "        for (value, ratio) in decimals.iter_mut().zip(&self.ratios[start..]) {",
            "        let start = if planted(\"ratios-from-the-first-row\") { 0 } else { start };\n        for (value, ratio) in decimals.iter_mut().zip(&self.ratios[start..]) {",
        )],
        tests: &[SINGLES],
    },
    Bug {
        name: "closes-without-residues",
        what: "adjusted closes are the products with their factor",
        changes: &[(
            "engine/format/src/codec/single.rs",
            "            *close = adjusted(*close, *residue);",
            "            *close = adjusted(*close, if planted(\"closes-without-residues\") { 0 } else { *residue });",
        )],
        tests: &[SINGLES],
    },
    Bug {
        name: "closes-of-the-block-before",
        what: "singles of all blocks are adjusted as those of the first one that was read",
        changes: &[(
            "engine/format/src/segment/read_group.rs",
            "        members.closes.forget();",
            "        if !planted(\"closes-of-the-block-before\") {\n            members.closes.forget();\n        }",
        )],
        tests: &[SINGLES],
    },
    Bug {
        name: "coverage-off-by-one",
        what: "coverage counts a slot too many",
        changes: &[(
            "engine/format/src/coverage.rs",
            "        self.push_run(Run { start: slot, end: slot + 1 });",
            "        self.push_run(Run { start: slot, end: slot + 1 + i64::from(planted(\"coverage-off-by-one\")) });",
        )],
        tests: CUTS,
    },
];

const REGRESSION_BACKUP: Test = ("regressions", "an_interrupted_backup_has_no_log_without_the_one_before_it");
const REGRESSION_IDS: Test = ("regressions", "an_interrupted_backup_opens_although_it_holds_newer_files");
