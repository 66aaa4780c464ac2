#!/usr/bin/env bash
# Mutation testing: the source is changed, one small thing at a time, and a test has to notice.
#
# mutants.sh [GROUP...]   groups: codec, recovery (opening, logs, manifest, replay), commit (staging, committing, sealing),
#                         format (log, WAL, manifest, headers, checksums, coverage), segment, upkeep
# MUTANTS_ONLY=A,B        only those with such a part in their names: files, functions
# MUTANTS_MOST=N          only so many of a group, evenly spread
# MUTANTS_MINUTES=N       stops then; a second run goes on, and tries again what was missed
# MUTANTS_QUICK=1         the quick tests alone; a run without it goes on with what survives them
# MUTANTS_OUT=DIRECTORY   where copy and results are, target/mutants unless said
#
# cargo-mutants lists the mutants; tests/torture/mutants puts all of them into one copy of the sources, each behind a switch, so
# that the copy is built once and a mutant costs a run of tests: a tenth of a second where the first test notices. Those of
# constants cannot be switched; they are listed as fixed, and cargo mutants --re NAME tries one.
# Needs cargo-mutants (cargo install cargo-mutants --locked). Survivors are explained in mutants.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
tool=tests/torture/mutants/Cargo.toml
cargo mutants --version >/dev/null 2>&1 || {
    printf 'cargo-mutants is missing: cargo install cargo-mutants --locked\n' >&2
    exit 2
}
CARGO_TARGET_DIR=tests/torture/mutants/target cargo build --locked --quiet --manifest-path "$tool"
exec tests/torture/mutants/target/debug/tape-mutants "$@"
