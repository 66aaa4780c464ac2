#!/usr/bin/env bash
# Fuzzing with a fixed seed and counted executions, on the stable toolchain. TAPE_FUZZ_SEED chooses another seed.
set -euo pipefail
cd "$(dirname "$0")/.."
# Buffers of a quarter of a megabyte are taken and given back at every execution: not to the kernel each time.
export MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=2000000000 MALLOC_TOP_PAD_=67108864
exec cargo run --locked --quiet -p tape-fuzz -- smoke "${TAPE_FUZZ_SEED:-1}"
