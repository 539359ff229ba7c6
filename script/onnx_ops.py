"""Takes the operator tests that onnx_cases.py wrote through `zkvouch init` and `zkvouch build --until witness`.

Usage: onnx_ops.py FOLDER ZKVOUCH [--jobs N] [--only PREFIX] [--every N] [--limit SECONDS] [--manual] [--results JSON]
                   [--again OUTCOME] [--table MARKDOWN]

Each case ends in one of four ways:

- right: the circuit's answer is ONNX's own, within the bound of the build's judge and the test's own tolerance;
- refused: zkvouch ended with an exit code of its own and said why;
- wrong: the build went through with another answer;
- died: a crash, a signal, a hang, or an error without words.

Without --manual the tuner looks for the cheapest circuit, as it does for users. With it a circuit of fixed scales with room for nearly
all values is tried first, which takes about a second, and the tuner only where that is refused: as a rule at once, for an operator.

What --results holds already is kept and not done again, unless it ended as --again says (several times, if need be).

Exits with 1 where any case was wrong or died.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

# The judge's default bound: a share of the range of an output.
SHARE = 0.02

# What a circuit of --manual is: nothing is proved, so it may be large.
MANUAL = """[circuit]
input_scale = 10
param_scale = 10
decomp_base = 16384
decomp_legs = 4
logrows = 17
lookup_range = [-131072, 131072]
"""


def run(command, folder, limit):
    """Exit code, stdout, stderr; the code is None where it took too long. Its children go with it."""
    process = subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=limit)
        return process.returncode, out, err
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, "", ""


def words(err):
    """What the command said went wrong."""
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    return lines[-1][len("error: "):] if lines else ""


def judge(code, err, command, limit):
    if code is None:
        return "died", f"{command} did not end within {limit} s"
    reason = words(err)
    if code < 0 or code not in (0, 2, 3, 4, 6) or (code != 0 and not reason):
        return "died", f"{command} ended with {code}: {reason or err[-300:]}"
    if "crashed" in reason or "panicked" in err:
        return "died", reason or err[-300:]
    if code != 0:
        return "refused", reason
    return None


def compare(answers, expected):
    if len(answers) != len(expected["output_data"]):
        return f"{len(answers)} outputs for {len(expected['output_data'])}"
    for number, (found, wanted) in enumerate(zip(answers, expected["output_data"])):
        if len(found) != len(wanted):
            return f"output {number} has {len(found)} elements for {len(wanted)}"
        finite = [value for value in wanted if value is not None]
        span = max(finite, default=0.0) - min(finite, default=0.0)
        size = max((abs(value) for value in finite), default=0.0)
        bound = SHARE * max(span, size) + expected["atol"]
        for index, (one, other) in enumerate(zip(found, wanted)):
            if other is None or not abs(float(one) - float(other)) <= bound + expected["rtol"] * abs(other):
                return f"output {number}[{index}] is {one} for {other}"
    return None


def attempt(case, options, manual):
    with tempfile.TemporaryDirectory(prefix="zkvouch-ops-") as folder:
        for name in [path.name for path in case.iterdir() if path.name != "expected.json"]:
            (pathlib.Path(folder) / name).write_bytes((case / name).read_bytes())
        project = pathlib.Path(folder) / "zkvouch.toml"
        for command in (["init", "network.onnx", "--data", "input.json"], ["build", "--until", "witness"]):
            code, _, err = run([options.binary, *command], folder, options.limit)
            verdict = judge(code, err, command[0], options.limit)
            if verdict:
                return verdict
            if command[0] == "init":
                # Nothing is proved, so that any SRS will do.
                text = project.read_text().replace('source = "ceremony"', 'source = "unsafe-dev"', 1)
                if manual:
                    text = text.replace('target = "tune"', 'target = "manual"', 1).replace("[circuit]\n", MANUAL, 1)
                project.write_text(text)
        witness = json.loads((pathlib.Path(folder) / "build/sample.witness.json").read_text())
        answers = witness["pretty_elements"]["rescaled_outputs"]
        difference = compare(answers, json.loads((case / "expected.json").read_text()))
        return ("wrong", difference) if difference else ("right", "")


def outcome_of(case, options):
    started = time.monotonic()
    outcome, why = attempt(case, options, options.manual)
    if options.manual and outcome == "refused":
        outcome, why = attempt(case, options, False)
    operator = json.loads((case / "expected.json").read_text())["operator"]
    return {"operator": operator, "outcome": outcome, "why": why, "seconds": round(time.monotonic() - started, 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("binary")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--limit", type=float, default=60, help="seconds for a command")
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("--again", action="append", default=[])
    parser.add_argument("--table", type=pathlib.Path)
    parser.add_argument("--manual", action="store_true")
    options = parser.parse_args()
    options.binary = str(pathlib.Path(options.binary).resolve())
    cases = sorted(path for path in options.folder.iterdir() if path.is_dir() and path.name.startswith(options.only))[:: options.every]
    results = json.loads(options.results.read_text()) if options.results and options.results.exists() else {}
    cases = [case for case in cases if case.name not in results or results[case.name]["outcome"] in options.again]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(outcome_of, case, options): case for case in cases}
        for future in concurrent.futures.as_completed(futures):
            case, result = futures[future], future.result()
            results[case.name] = result
            if options.results:
                options.results.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
            if result["outcome"] in ("wrong", "died"):
                print(f"{result['outcome']}: {case.name}: {result['why']}", file=sys.stderr, flush=True)
    counts = collections.Counter(result["outcome"] for result in results.values())
    if options.table:
        options.table.write_text(table(results))
    print(json.dumps({name: counts[name] for name in ("right", "refused", "wrong", "died")}))
    sys.exit(1 if counts["wrong"] or counts["died"] else 0)


def table(results):
    operators = collections.defaultdict(collections.Counter)
    for result in results.values():
        operators[result["operator"]][result["outcome"]] += 1
    lines = ["| operator | right | refused | wrong | died |", "|---|---|---|---|---|"]
    for operator, counts in sorted(operators.items()):
        cells = " | ".join(str(counts[name] or "") for name in ("right", "refused", "wrong", "died"))
        lines.append(f"| {operator} | {cells} |")
    return "\n".join(lines) + "\n"


main()
