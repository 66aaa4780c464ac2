#!/usr/bin/env bash
# Every hunt in its short form, with the counts that each has to reach; ends with a table.
set -euo pipefail
exec bash "$(dirname "$0")/run.sh" --short
