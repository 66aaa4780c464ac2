#!/usr/bin/env bash
# The vectors are what their generator makes, and both readers, the engine's and the one written from the chapters alone,
# give for every golden store what was frozen. Takes about two minutes; needs the command line in target/release.
set -euo pipefail
cd "$(dirname "$0")/../.."
python3 format-spec/vectors/generate.py --check
python3 format-spec/conformance/run.py --tape target/release/tape
python3 format-spec/conformance/run.py python3 format-spec/reader/tapestore_reader.py
