#!/usr/bin/env bash
# Tests that reach unsafe code, under tools that see what it does to memory. Nothing here is part of the short form of
# the suite: it needs valgrind, and for the rest a nightly toolchain.
#
#   run.sh            valgrind: the storage on real files, and stores opened, damaged and read through maps; the kernels
#                     of joins and of quality checks, beside their plain twins
#   run.sh address    AddressSanitizer: all tests of the format and of the engine; those kernels too
set -euo pipefail
cd "$(dirname "$0")/../.."

# binaries PACKAGE ARGUMENTS...: the paths of test programs, built.
binaries() {
    cargo test --locked --no-run --message-format=json --package "$@" 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
}

# under_valgrind NAME PROGRAM FILTER...: runs the tests that the filters name, or all.
under_valgrind() {
    local name=$1 program=$2 output count
    shift 2
    output=$(valgrind --quiet --error-exitcode=9 --leak-check=no --trace-children=no \
        "$program" --test-threads=1 "$@") || {
        printf '%s\n' "$output"
        printf 'torture: valgrind %s | 0 tests | seed - | failures 1\n' "$name"
        return 1
    }
    count=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' <<<"$output")
    # A filter that names nothing would pass.
    [ "${count:-0}" -gt 0 ] || { printf 'no test of %s ran\n' "$name"; return 1; }
    printf 'torture: valgrind %s | %s tests | seed - | failures 0\n' "$name" "$count"
}

# under_address NAME ARGUMENTS...: tests that `cargo test` is told of, with AddressSanitizer.
under_address() {
    local name=$1 output count
    shift
    output=$(cargo +nightly test --locked --target "$host" "$@" 2>&1) || {
        printf '%s\n' "$output"
        printf 'torture: address sanitizer %s | 0 tests | seed - | failures 1\n' "$name"
        return 1
    }
    count=$(awk '/^test result: /{ p += $4 } END { print p + 0 }' <<<"$output")
    [ "$count" -gt 0 ] || { printf 'no test of %s ran\n' "$name"; return 1; }
    printf 'torture: address sanitizer %s | %s tests | seed - | failures 0\n' "$name" "$count"
}

# Modules whose functions are compiled a second time for AVX2 (`engine/quality/src/wide.rs`).
quality=(wide:: bars:: certain:: activity:: returns::)

case ${1:-valgrind} in
valgrind)
    under_valgrind storage "$(binaries tapestore --lib)" io::
    under_valgrind opening "$(binaries tapestore --test opening)"
    under_valgrind 'join kernel' "$(binaries tapestore-query --lib)" asof::walk
    # Of the joins, those whose rows are few enough for a machine a hundred times slower.
    under_valgrind joins "$(binaries tapestore-query --test query)" \
        asof::joins_agree asof::a_long_right asof::long_joins asof::times_that_do_not_ascend
    under_valgrind 'quality kernels' "$(binaries tapestore-quality --lib)" "${quality[@]}"
    ;;
address)
    host=$(rustc +nightly -vV | sed -n 's/^host: //p')
    # Leaks are not looked for: statics stay for good. A target apart, so that build scripts are not instrumented.
    export RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0 CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/address
    under_address engine --package tapestore-format --package tapestore --lib --tests
    under_address joins --package tapestore-query --lib --test query -- asof::
    under_address 'quality kernels' --package tapestore-quality --lib -- "${quality[@]}"
    ;;
*)
    sed -n '2,7p' "$0"
    exit 2
    ;;
esac
