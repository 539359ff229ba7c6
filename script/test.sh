#!/usr/bin/env bash
# All tests: the Rust ones against a real ezkl, solc and Anvil, then the contracts'. Needs Rust, Python 3, Node and npm;
# everything else is fetched or installed by package name. Arguments go to the Rust test runner.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
fi

# The accuracy report is looked at in a browser.
if ! command -v chromium chromium-browser google-chrome chrome >/dev/null; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi

# The fleet's queue is tried on a server of its own, on loopback.
if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends postgresql >/dev/null
fi

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked "$@"
    # nextest leaves documentation tests to cargo.
    cargo test --locked --doc
else
    cargo test --locked "$@"
fi

npm test --silent
