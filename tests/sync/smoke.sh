#!/usr/bin/env bash
# The engine under model checkers: loom runs small cases under every schedule, shuttle larger ones under random ones,
# and each of a list of mistakes made on purpose must be found. Prints what was explored, one line a case.
#
# SYNC_PREEMPTIONS  preemptions per schedule that loom explores; default 3, soak 4
# SYNC_SECONDS      how long shuttle searches; default 15
# SYNC_SEED         where its seeds begin; default 1, soak: the time of day
# SYNC_SOAK=1       four preemptions and an hour of random schedules
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}/models
if [ -n "${SYNC_SOAK:-}" ]; then
    export SYNC_PREEMPTIONS=${SYNC_PREEMPTIONS:-4} SYNC_SECONDS=${SYNC_SECONDS:-3600}
    export SYNC_SEED=${SYNC_SEED:-$(date +%s)}
fi
export SYNC_SECONDS=${SYNC_SECONDS:-15} SYNC_SEED=${SYNC_SEED:-1} RUST_BACKTRACE=${RUST_BACKTRACE:-0}

# What does not come from `sync.rs` is invisible to the models, or stops them for good.
others=$(grep -rnE 'parking_lot|std::sync::(Mutex|RwLock|Condvar|Barrier|mpsc)|std::thread::(spawn|sleep|Builder)' \
    engine/store/src --include='*.rs' | grep -v -e '^engine/store/src/sync' -e '^engine/store/src/io/' || true)
[ -z "$others" ] || { printf 'not from engine/store/src/sync.rs:\n%s\n' "$others" >&2; exit 1; }

# models CHECKER: builds the models for a checker beside the ordinary build.
models() {
    RUSTFLAGS="${RUSTFLAGS:-} --cfg $1" CARGO_TARGET_DIR="$target/$1" \
        cargo build --locked --quiet --package sync-models
}

# Each uses one processor for most of its time: both at once.
{ models shuttle && "$target/shuttle/debug/sync-models"; } &
random=$!
models loom
"$target/loom/debug/sync-models" mistakes
"$target/loom/debug/sync-models"
wait $random
