#!/usr/bin/env bash
# The long hunt: libFuzzer with coverage and AddressSanitizer.
#   fuzz/hunt.sh [TARGET|all] [SECONDS]
# Needs a nightly toolchain and cargo-fuzz (cargo install cargo-fuzz). What it learns stays in fuzz/libfuzzer/corpus,
# what it finds in fuzz/libfuzzer/artifacts; replay a finding with: cargo run -p tape-fuzz -- replay TARGET FILE
set -euo pipefail
cd "$(dirname "$0")"
target=${1:-all}
seconds=${2:-300}
toolchain=${TAPE_FUZZ_TOOLCHAIN:-nightly}
targets=$target
if [ "$target" = all ]; then
    targets=$(cargo run --quiet -p tape-fuzz -- list)
fi
cd libfuzzer
failures=0
for name in $targets; do
    seeds=corpus/$name
    mkdir -p "$seeds"
    (cd .. && cargo run --quiet -p tape-fuzz -- seeds "$name" "libfuzzer/$seeds")
    log=$(mktemp)
    status=0
    cargo "+$toolchain" fuzz run --fuzz-dir . "$name" "$seeds" -- -max_total_time="$seconds" -timeout=30 \
        -rss_limit_mb=4096 -max_len=24000 -print_final_stats=1 >"$log" 2>&1 || status=$?
    executions=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
    if [ "$status" -ne 0 ]; then
        failures=$((failures + 1))
        tail -n 60 "$log"
    fi
    printf 'torture: fuzz hunt %s | %s executions, %s s | seed random | failures %s\n' \
        "$name" "${executions:-0}" "$seconds" "$((status != 0))"
    rm -f "$log"
done
[ "$failures" -eq 0 ]
