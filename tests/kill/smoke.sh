#!/usr/bin/env bash
# Kills real processes. TAPE_KILLS says how often (1,500 by default), TAPE_KILL_SEED chooses other moments, TMPDIR says
# on which file system the stores lie.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec cargo run --locked --quiet -p tape-kill -- run "${TAPE_KILLS:-1500}" "${TAPE_KILL_SEED:-1}"
