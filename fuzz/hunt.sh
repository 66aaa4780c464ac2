#!/usr/bin/env bash
# The long hunt: libFuzzer with coverage and AddressSanitizer.
#   fuzz/hunt.sh [TARGET|all] [SECONDS]
# Needs a nightly toolchain (rustup toolchain install nightly --profile minimal) and a C++ compiler, nothing else. What it learns
# stays in fuzz/libfuzzer/corpus, what it finds in fuzz/libfuzzer/artifacts; replay a finding with:
# cargo run -p tape-fuzz -- replay TARGET FILE
set -euo pipefail
cd "$(dirname "$0")"
target=${1:-all}
seconds=${2:-300}
toolchain=${TAPE_FUZZ_TOOLCHAIN:-nightly}
cargo "+$toolchain" --version >/dev/null 2>&1 || {
    printf 'no toolchain %s: rustup toolchain install %s --profile minimal\n' "$toolchain" "$toolchain" >&2
    exit 2
}
command -v c++ >/dev/null || { printf 'no C++ compiler for libFuzzer: on Debian, apt-get install g++\n' >&2; exit 2; }
host=$(rustc "+$toolchain" -vV | sed -n 's/^host: //p')
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-../target}")
built=$target_dir/hunt

# The lock file of libfuzzer follows the workspace. What rustc needs to be told: counters at every edge, and the operands of comparisons.
flags='-Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
flags+=' -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table'
flags+=' -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing'
which=(--bins)
[ "$target" = all ] || which=(--bin "$target")
(cd libfuzzer && RUSTFLAGS=$flags CARGO_TARGET_DIR=$built cargo "+$toolchain" build --release --target "$host" "${which[@]}")

targets=$target
if [ "$target" = all ]; then
    targets=$(CARGO_TARGET_DIR=$target_dir cargo run --locked --quiet -p tape-fuzz -- list)
fi
failures=0
for name in $targets; do
    seeds=libfuzzer/corpus/$name
    artifacts=libfuzzer/artifacts/$name
    mkdir -p "$seeds" "$artifacts"
    CARGO_TARGET_DIR=$target_dir cargo run --locked --quiet -p tape-fuzz -- seeds "$name" "$seeds"
    log=$(mktemp)
    status=0
    # Statics stay for good, so leaks are not looked for.
    ASAN_OPTIONS=detect_leaks=0 "$built/$host/release/$name" -artifact_prefix="$artifacts/" -max_total_time="$seconds" \
        -timeout=30 -rss_limit_mb=4096 -max_len=24000 -print_final_stats=1 "$seeds" >"$log" 2>&1 || status=$?
    executions=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
    # A run of nothing found nothing.
    if [ "$status" -ne 0 ] || [ "${executions:-0}" -eq 0 ]; then
        status=1
        failures=$((failures + 1))
        tail -n 60 "$log"
    fi
    printf 'torture: fuzz hunt %s | %s executions, %s s | seed random | failures %s\n' \
        "$name" "${executions:-0}" "$seconds" "$((status != 0))"
    rm -f "$log"
done
[ "$failures" -eq 0 ]
