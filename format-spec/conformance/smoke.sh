#!/usr/bin/env bash
# The vectors are what their generator makes, and both readers, the engine's and the one written from the chapters alone,
# give for every vector and golden store what was frozen, and for a store made anew the same. Needs Python 3.11, and the command line in target/release.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
python3 format-spec/vectors/generate.py --check
cargo build --locked --quiet -p golden
python3 format-spec/conformance/fresh.py "$target/debug/golden" "$target/release/tape"
python3 format-spec/conformance/run.py --vectors "$target/debug/golden"
python3 format-spec/conformance/run.py --tape "$target/release/tape"
python3 format-spec/conformance/run.py python3 format-spec/reader/tapestore_reader.py
