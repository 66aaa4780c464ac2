#!/usr/bin/env bash
# Mutation testing: the source is changed, one small thing at a time, and a test has to notice.
#
# mutants.sh [GROUP...]   groups: codec, recovery (opening, logs, manifest, replay), commit (staging, committing, sealing),
#                         format (log, WAL, manifest, headers, checksums, coverage), segment, upkeep (the rest of both)
# MUTANTS_SHARD=K/N       only the K-th of N parts, counted from 0; without it, all
# MUTANTS_OUT=DIRECTORY   where results go, target/mutants unless said; a second run there tests only what is left
#
# First by the tests beside the source, which take a second. What they miss is tried once more by all tests of its
# crate, and by those that hold the format to its specification and the engine to its model.
# Needs cargo-mutants (cargo install cargo-mutants --locked). Survivors are explained in mutants.md.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=${MUTANTS_OUT:-target/mutants}
# A target of its own comes with the copy of the source that is changed.
unset CARGO_TARGET_DIR

# files GROUP: the package, and what is changed in it.
files() {
    case $1 in
    format) printf 'tapestore-format'; printf ' engine/format/src/%s.rs' log wal checksum header coverage manifest ;;
    codec) printf 'tapestore-format engine/format/src/codec/*.rs' ;;
    segment) printf 'tapestore-format engine/format/src/segment/*.rs' ;;
    recovery) printf 'tapestore'; printf ' engine/store/src/%s.rs' open wal manifest apply frames ;;
    commit) printf 'tapestore'; printf ' engine/store/src/%s.rs' commit stage seal ;;
    upkeep) printf 'tapestore'; printf ' engine/store/src/%s.rs' maintenance lease reserve ;;
    *) printf 'no group %s\n' "$1" >&2; exit 2 ;;
    esac
}

# run GROUP ARGUMENTS...: one pass; finding survivors is no failure of the pass.
run() {
    local group=$1 names status=0
    shift
    mkdir -p "$out/$group"
    read -ra names <<<"$(set -f; files "$group")"
    local selected=(--package "${names[0]}")
    for name in "${names[@]:1}"; do
        selected+=(--file "$name")
    done
    nice -n 19 cargo mutants "${selected[@]}" --output "$out/$group" --iterate --baseline=skip --timeout 300 -j1 \
        ${MUTANTS_SHARD:+--shard "$MUTANTS_SHARD"} "$@" || status=$?
    # 2: some were missed; 3: some took too long.
    [ "$status" -eq 0 ] || [ "$status" -eq 2 ] || [ "$status" -eq 3 ]
}

for group in "${@:-codec recovery commit format segment upkeep}"; do
    for one in $group; do
        case $one in
        codec) run "$one" -- --lib --test codecs ;;
        segment) run "$one" -- --lib --test segment --test columns ;;
        recovery | commit | upkeep) run "$one" -- --lib --test basics --test opening --test living ;;
        *) run "$one" -- --lib ;;
        esac
        case $one in
        recovery | commit | upkeep)
            run "$one" --test-package tapestore --test-package crash-tests --test-package tape-model -- --tests ;;
        *) run "$one" --test-package tapestore-format --test-package tapestore --test-package golden -- --tests ;;
        esac
        caught=$(cat "$out/$one/mutants.out/"{caught,previously_caught}.txt 2>/dev/null | sort -u | wc -l)
        missed=$(wc -l <"$out/$one/mutants.out/missed.txt")
        slow=$(wc -l <"$out/$one/mutants.out/timeout.txt")
        printf 'torture: mutants %s | %d caught, %d too slow | seed - | failures %d\n' "$one" "$caught" "$slow" "$missed"
    done
done
