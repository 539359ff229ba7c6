"""Takes the operator tests that onnx_cases.py wrote through `zkvouch init` and `zkvouch build --until witness`.

Usage: onnx_ops.py FOLDER ZKVOUCH [--jobs N] [--only PREFIX] [--every N] [--limit SECONDS] [--manual] [--results JSON]
                   [--again OUTCOME] [--table MARKDOWN]

Each case ends in one of four ways:

- right: the circuit's answer is ONNX's own, within the bound of the build's judge and the test's own tolerance;
- refused: zkvouch ended with an exit code of its own and said why;
- wrong: the build went through with another answer;
- died: a crash, a signal, a hang, or an error without words.

Without --manual the tuner looks for the cheapest circuit, as it does for users. With it a circuit of fixed scales with room for nearly
all values is made, which takes about a second.

What --results holds already is kept and not done again, unless it ended as --again says (several times, if need be).

Exits with 1 where any case was wrong or died.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import sys
import tempfile
import time

import attempt

# The judge's default bound: a share of the range of an output.
SHARE = 0.02
# The version that onnx-ops.sh installs.
ONNX = "1.23.2"

# What a circuit of --manual is: nothing is proved, so it may be large.
MANUAL = """[circuit]
input_scale = {scale}
param_scale = {scale}
decomp_base = 16384
decomp_legs = 4
logrows = 20
lookup_range = [-524288, 524288]
"""
SCALE = 13
# Where that is refused.
LARGE_VALUES = 8


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


def tried(case, options, scale=None):
    """How a case ends; where zkvouch says which inputs are to be fixed, with them fixed."""
    fixed = []
    while True:
        outcome, why = once(case, options, scale, fixed)
        offered = re.findall(r"--fix (\S+)", why)
        new = [name.rstrip(",") for name in offered if name.rstrip(",") not in fixed]
        if outcome != "refused" or not new:
            return outcome, why, bool(fixed)
        fixed += new


def once(case, options, scale, fixed):
    with tempfile.TemporaryDirectory(prefix="zkvouch-ops-") as folder:
        for name in [path.name for path in case.iterdir() if path.name != "expected.json"]:
            (pathlib.Path(folder) / name).write_bytes((case / name).read_bytes())
        project = pathlib.Path(folder) / "zkvouch.toml"
        init = ["init", "network.onnx", "--no-inspect", "--data", "input.json", *(f"--fix={name}" for name in fixed)]
        for command in (init, ["build", "--until", "witness"]):
            ended = attempt.run([options.binary, *command], folder, options.limit)
            failed = attempt.verdict(ended, command[0], options.limit)
            if failed:
                outcome, why = failed
                return outcome, why.removeprefix(f"{command[0]}: ")
            if command[0] == "init":
                # Nothing is proved or deployed, so that any SRS and any size will do.
                text = project.read_text().replace('source = "ceremony"', 'source = "unsafe-dev"', 1)
                text = text.replace("# allow_oversize = false", "allow_oversize = true", 1)
                if scale:
                    text = text.replace('target = "tune"', 'target = "manual"', 1)
                    text = text.replace("[circuit]\n", MANUAL.format(scale=scale), 1)
                project.write_text(text)
        witness = json.loads((pathlib.Path(folder) / "build/sample.witness.json").read_text())
        answers = witness["pretty_elements"]["rescaled_outputs"]
        difference = compare(answers, json.loads((case / "expected.json").read_text()))
        return ("wrong", difference) if difference else ("right", "")


def outcome_of(case, options):
    started = time.monotonic()
    outcome, why, fixed = tried(case, options, SCALE if options.manual else None)
    if options.manual and outcome == "refused" and "gen_settings failed" not in why:
        other = tried(case, options, LARGE_VALUES)
        outcome, why, fixed = (outcome, why, fixed) if other[0] == "refused" else other
    operator = json.loads((case / "expected.json").read_text())["operator"]
    seconds = round(time.monotonic() - started, 1)
    return {"operator": operator, "outcome": outcome, "why": why, "fixed": fixed, "seconds": seconds}


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
    attempt.stop_with_us()
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
                fresh = options.results.with_suffix(".new")
                fresh.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
                fresh.replace(options.results)
            if result["outcome"] in ("wrong", "died"):
                print(f"{result['outcome']}: {case.name}: {result['why']}", file=sys.stderr, flush=True)
    counts = collections.Counter(result["outcome"] for result in results.values())
    if options.table:
        options.table.write_text(table(results))
    print(json.dumps({name: counts[name] for name in ("right", "refused", "wrong", "died")}))
    sys.exit(1 if counts["wrong"] or counts["died"] else 0)


HEAD = """# ONNX operators

What becomes of ONNX's own operator tests (onnx {onnx}, those with numeric tensors) in zkvouch: `right` are those whose circuit gives
ONNX's answer, `refused` those that zkvouch does not build, for the reasons given. An operator's tests count with those of its
function written out. Made by `script/onnx-ops.sh --manual --table docs/operators.md`.

{total} tests: {right} right, {refused} refused, {wrong} wrong, {died} died. Of those that are right {fixed} have inputs that decide
shapes, axes and the like, which zkvouch asks to have fixed (`init --fix`), with their value in the circuit.

"""


def short(why):
    """A reason in a few words."""
    for words, reason in (
        ("the circuit says", "ezkl computes something else"),
        ("but its circuit of", "ezkl's result has another length"),
        ("the circuit has no answer", "ezkl can't compute it"),
        ("no circuit of this model can be deployed", "too large for a chain"),
        ("ONNX Runtime can't", "ONNX Runtime lacks this form"),
        ("which no circuit can hold", "not finite"),
        ("has no values", "an input without elements"),
        ("takes a shape wrongly", "no bidirectional form"),
        ("beyond the edge of a tensor", "output_shape or output_padding"),
        ("as for a pool with ceil_mode", "no ceil_mode"),
        ("has become infinite", "an infinite scale"),
        ("outside the lookup table", "values beyond the tables"),
        ("does not tell the shape", "an input that is no tensor"),
        ("beyond 2^53", "an integer beyond 2^53"),
        ("ai.onnx.ml operators", "ezkl lacks ai.onnx.ml"),
        ("which ezkl lacks", "ezkl lacks it"),
        ("no form in ezkl's circuits", "no form in ezkl's circuits"),
        ("an attribute of some operator is none that the reader knows", "an attribute that ezkl's reader does not know"),
        ("written out although", "an attribute left at its default"),
        ("must be constants of the model", "axes, shape or the like as an input, or a form that ezkl's reader lacks"),
        ("must be a constant of the model", "axes, shape or the like as an input"),
        ("can't tell the shape that comes out", "ezkl's reader can't tell its shape"),
        ("ezkl shifts by constants", "shifts by constants only"),
        ("ezkl divides integers", "integers divided by a constant only"),
        ("one constant exponent", "powers of one constant exponent only"),
        ("multiplies matrices with the same axes", "matrices of unlike leading axes"),
        ("a constant of the model is too large", "a constant too large for the circuit"),
        ("it has only the first", "ezkl has its first output only"),
        ("first output of an operator only", "ezkl has its first output only"),
        ("is no tensor or has no stated type", "ezkl can't look into its graph or its types"),
        ("the length of an axis within the model is open", "its shape depends on values"),
    ):
        if words in why:
            return reason
    told = re.search(r"failed: (.*) \(in ezkl's words", why) or re.search(r"\((?=[^()]{20})((?:[^()]|\([^()]*\))*)\)$", why)
    return re.split(r"[;:] ", told[1] if told else why)[0].replace("|", "\\|")


def table(results):
    operators = collections.defaultdict(list)
    for result in results.values():
        operators[result["operator"]].append(result)
    counts = collections.Counter(result["outcome"] for result in results.values())
    total = {name: counts[name] for name in ("right", "refused", "wrong", "died")}
    lines = ["| operator | right | refused | why |", "|---|---|---|---|"]
    for operator, cases in sorted(operators.items()):
        right = sum(case["outcome"] == "right" for case in cases)
        reasons = collections.Counter(short(case["why"]) for case in cases if case["outcome"] != "right")
        why = "; ".join(f"{reason} ({count})" if len(reasons) > 1 else reason for reason, count in sorted(reasons.items()))
        lines.append(f"| {operator} | {right or ''} | {len(cases) - right or ''} | {why} |")
    fixed = sum(result["outcome"] == "right" and result.get("fixed", False) for result in results.values())
    return HEAD.format(onnx=ONNX, total=len(results), fixed=fixed, **total) + "\n".join(lines) + "\n"


main()
