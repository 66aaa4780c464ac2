#!/usr/bin/env bash
# Compiles tapestore.ksy and runs it over every golden store and the vectors of structures; broken files have to fail.
# Needs node and npm; what it installs, in the versions of package-lock.json, goes below the target directory.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo 'format-spec/kaitai: node and npm, version 18 or newer, are needed to compile tapestore.ksy; it was not checked' >&2
    exit 1
fi

modules="${CARGO_TARGET_DIR:-target}/kaitai"
mkdir -p "$modules"
# Installed once for each set of versions.
if ! cmp -s format-spec/kaitai/package-lock.json "$modules/installed"; then
    rm -f "$modules/installed"
    cp format-spec/kaitai/package.json format-spec/kaitai/package-lock.json "$modules"
    (cd "$modules" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
    cp format-spec/kaitai/package-lock.json "$modules/installed"
fi
node format-spec/kaitai/check.js "$modules"
