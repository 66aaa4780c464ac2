#!/usr/bin/env bash
# Every hunt: run.sh [--short | --soak HOURS | planted [BUG] | readme].
set -euo pipefail
cd "$(dirname "$0")/../.."
exec cargo run --locked --quiet -p tape-torture -- "$@"
