#!/usr/bin/env bash
# Static analysis of contracts/ by slither, in a virtual environment of its own; any finding fails the command.
#
# slither.config.json leaves out these detectors, after each of their findings was looked at; single findings of others
# are silenced where they stand, with the reason.
#   assembly          short, memory-safe blocks: bounded calls, hashing calldata, reading packed bytes
#   calls-loop        a batch calls a verifier for each proof; one that fails fails the batch, or is bounded by a stipend
#   dead-code         functions of the abstract base that only some consumers use
#   naming-convention constants and immutables are in capitals, private ones with an underscore
#   reentrancy-*      (benign and events) the ledger is the only contract called, and it calls verifiers statically
#   timestamp         ages of minutes to days, and "is there a record"
#   unused-return     a component of a tuple that is not needed
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$root"
venv="${ZKVOUCH_SLITHER_VENV:-$root/cache/slither-venv}"
if [ ! -x "$venv/bin/slither" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet slither-analyzer==0.11.6
fi
forge=$(foundry_tool forge)
rm -rf cache/slither
"$forge" build contracts --build-info --out cache/slither --cache-path cache/slither/cache > /dev/null
# It calls forge by its name.
PATH="$(dirname "$forge"):$PATH" "$venv/bin/slither" . --config-file slither.config.json --foundry-ignore-compile \
    --foundry-out-directory cache/slither
