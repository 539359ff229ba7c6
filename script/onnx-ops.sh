#!/usr/bin/env bash
# ONNX's own operator tests through zkvouch: each right, or refused in words. A sample: script/onnx-ops.sh --manual --every 50;
# without --every all of them. Arguments go to onnx_ops.py, which says what there are.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${ZKVOUCH_OPS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/zkvouch-ops}"
if [ ! -e "$cache/cases/.done" ] || [ script/onnx_cases.py -nt "$cache/cases/.done" ]; then
    rm -rf "$cache/cases"
    mkdir -p "$cache"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 numpy==2.4.6
    "$cache/venv/bin/python" script/onnx_cases.py "$cache/cases"
    touch "$cache/cases/.done"
fi
cargo build --locked --bin zkvouch
target="${CARGO_TARGET_DIR:-target}"
exec python3 script/onnx_ops.py "$cache/cases" "$target/debug/zkvouch" "$@"
