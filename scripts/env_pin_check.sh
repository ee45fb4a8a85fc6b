#!/usr/bin/env bash
# Compares every installed tool with its lock and fails on any difference.
# --json FILE writes the inventory (tool, version, SHA-256, lock hash), which
# the gate keeps as EVI/env.json. The work is done by tools/setup.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec go run ./tools/setup -check "$@"
