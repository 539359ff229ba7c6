# Sourced by the other scripts: where forge and anvil of npm's packages are, and the compiler they are to use.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export FOUNDRY_SOLC="${FOUNDRY_SOLC:-$root/script/solc-shim.cjs}"

# The native program of an npm package of Foundry; the entry in node_modules/.bin is a wrapper that starts it.
foundry_tool() {
    local found
    for found in "$root"/node_modules/@foundry-rs/"$1"-*/bin/"$1"; do
        if [ -x "$found" ]; then
            echo "$found"
            return
        fi
    done
    command -v "$1" || { echo "$1 is missing: run 'npm ci' first" >&2; return 1; }
}
