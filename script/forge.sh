#!/usr/bin/env bash
# forge, of npm's package, with npm's solc: `bash script/forge.sh test -vv` and so on.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
exec "$(foundry_tool forge)" "$@"
