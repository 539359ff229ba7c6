"""How far zkvouch's estimates of memory and time are off: circuits of k = 7 to 18, made and proved one after the other.

    cargo build --release
    python benches/estimates.py target/release/zkvouch folder

What was measured is a line a circuit in folder/estimates.jsonl; what is there is not measured again. CPU time is compared
after a factor for the machine, the same for all (`zkvouch bench machine` finds it), memory as it is.
"""

import json
import math
import pathlib
import statistics
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES, FIXTURES = REPOSITORY / "examples", REPOSITORY / "tests" / "fixtures"
MODELS = {
    "credit": (EXAMPLES / "credit" / "model.onnx", EXAMPLES / "credit" / "input.json"),
    "tree": (EXAMPLES / "decision_tree" / "model.onnx", EXAMPLES / "decision_tree" / "input.json"),
    "forest": (EXAMPLES / "random_forest" / "model.onnx", EXAMPLES / "random_forest" / "input.json"),
    "xgboost": (EXAMPLES / "xgboost" / "model.onnx", EXAMPLES / "xgboost" / "input.json"),
    "sigmoid": (FIXTURES / "tiny" / "sigmoid.onnx", FIXTURES / "tiny" / "input.json"),
}
# Model, k, inner columns, visibility of the inputs.
CIRCUITS = [
    ("credit", 7, 3, "public"),
    ("credit", 8, 1, "public"),
    ("credit", 9, 2, "public"),
    ("tree", 9, 1, "public"),
    ("tree", 10, 2, "public"),
    ("credit", 10, 1, "private"),
    ("tree", 11, 3, "public"),
    ("sigmoid", 11, 1, "public"),
    ("credit", 12, 1, "hashed"),
    ("xgboost", 12, 1, "public"),
    ("sigmoid", 12, 2, "public"),
    ("forest", 13, 1, "public"),
    ("xgboost", 13, 2, "public"),
    ("credit", 13, 2, "hashed"),
    ("xgboost", 14, 1, "public"),
    ("tree", 14, 2, "public"),
    ("sigmoid", 14, 1, "hashed"),
    ("credit", 15, 2, "public"),
    ("xgboost", 15, 1, "hashed"),
    ("sigmoid", 16, 1, "public"),
    ("tree", 16, 1, "public"),
    ("credit", 17, 1, "public"),
    ("sigmoid", 17, 1, "public"),
    ("credit", 18, 1, "public"),
]
BITS = 30


def main(zkvouch, folder):
    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    zkvouch, results = pathlib.Path(zkvouch).resolve(), folder / "estimates.jsonl"
    lines = results.read_text().splitlines() if results.exists() else []
    found = {tuple(line["circuit"]): line for line in map(json.loads, lines)}
    for circuit in CIRCUITS:
        if circuit not in found:
            found[circuit] = measure(zkvouch, folder, circuit)
            with results.open("a") as file:
                print(json.dumps(found[circuit]), file=file)
        print(row(found[circuit]), flush=True)
    summary([found[circuit] for circuit in CIRCUITS])


def measure(zkvouch, folder, circuit):
    model, k, columns, inputs = circuit
    onnx, data = MODELS[model]
    base = min(2**k - 8, 1 << 16)

    def run(*arguments):
        done = subprocess.run([zkvouch, "--json", *map(str, arguments)], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{circuit}: {arguments[0]}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)["data"]

    for old in folder.glob("*.key"):
        old.unlink()
    legs = math.ceil(BITS / math.log2(base))
    shape = ["--logrows", k, "--num-inner-cols", columns, "--decomp-base", base, "--decomp-legs", legs]
    # One column of the table, whatever its height.
    half = min(2 ** (k - 1) - 8, 20000)
    visible = ["--input-visibility", inputs, f"--lookup-range=-{half}..{half}"]
    settings = f"{model}-k{k}-c{columns}-{inputs}.settings.json"
    run("gen-settings", "-M", onnx, "-O", settings, *shape, *visible)
    run("compile", "-M", onnx, "-S", settings, "--compiled-circuit", "model.compiled")
    run("get-srs", "--logrows", k, "--srs-path", "kzg.srs", "--srs", "unsafe-dev")
    setup = run("setup", "-M", "model.compiled", "-S", settings, "--srs-path", "kzg.srs")
    keys = ["-S", settings, "--vk-path", "vk.key", "--srs-path", "kzg.srs"]
    proof = run("prove", data, "-M", "model.compiled", "--pk-path", "pk.key", "-o", "proof.json", *keys)
    measured = {"circuit": circuit, "proof_bytes": proof["proof_bytes"]}
    for name, result in [("setup", setup), ("prove", proof)]:
        measured[name] = {"expected": result["expected"], "took": result["took"]}
    return measured


def ratio(line, work, what):
    return line[work]["expected"][what] / line[work]["took"][what]


def row(line):
    model, k, columns, inputs = line["circuit"]
    cells = [f"{model:<8} k = {k:<2} {columns} col {inputs:<7}"]
    for work in ["setup", "prove"]:
        took, expected = line[work]["took"], line[work]["expected"]
        megabytes = [it["peak_bytes"] / 1e6 for it in (expected, took)]
        seconds = [it["cpu_seconds"] for it in (expected, took)]
        cells.append(f"{work} {megabytes[0]:6.0f} / {megabytes[1]:6.0f} MB {seconds[0]:7.2f} / {seconds[1]:7.2f} s")
    return "  ".join(cells)


def summary(lines):
    print(f"\n{len(lines)} circuits, expected over measured:")
    for work in ["setup", "prove"]:
        for what in ["peak_bytes", "cpu_seconds"]:
            logs = [math.log(ratio(line, work, what)) for line in lines]
            machine = statistics.median(logs) if what == "cpu_seconds" else 0.0
            logs = [log - machine for log in logs]
            median = math.exp(statistics.median(map(abs, logs))) - 1
            low, high = math.exp(min(logs)) - 1, math.exp(max(logs)) - 1
            factor = f", the machine takes {math.exp(-machine):.2f} times as long" if machine else ""
            print(f"  {work} {what}: median {median:.1%}, from {low:+.1%} to {high:+.1%}{factor}")


main(*sys.argv[1:])
