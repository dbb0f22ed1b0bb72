#!/usr/bin/env bash
# Runs the central suite, the migrations and the demo on the CockroachDB that
# COCKROACH_BINARY names, as a single node.
#
# Exit statuses: 0 done, 1 a check failed, 3 there is no such binary.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {
	echo "test-cockroach: $1" >&2
	echo "Get a cockroach binary (v25.4 or v26) and run: make test-cockroach COCKROACH_BINARY=/path/to/cockroach" >&2
	exit 3
}

[[ -n "${COCKROACH_BINARY:-}" ]] || missing "COCKROACH_BINARY is not set."
[[ -f "$COCKROACH_BINARY" && -x "$COCKROACH_BINARY" ]] || missing "COCKROACH_BINARY=$COCKROACH_BINARY is not an executable file: correct the path."
COCKROACH_BINARY="$(realpath "$COCKROACH_BINARY")"
export COCKROACH_BINARY
version="$("$COCKROACH_BINARY" version 2>/dev/null)" || missing "COCKROACH_BINARY=$COCKROACH_BINARY does not answer 'version': is it a cockroach for this machine?"
echo "test-cockroach: $(head -n 1 <<<"$version")"

GO="${GO:-go}"
ops/setup.sh
"$GO" test -count=1 -timeout 30m ./central/...
"$GO" test -count=1 -timeout 10m -run 'SQL' ./internal/sim
mkdir -p bin
"$GO" build -o bin/meridian ./cmd/meridian
bin/meridian demo --once
