"""Takes the zoo's models through `zkvouch init`, `build`, `prove` and `verify --evm`.

Usage: run.py ZKVOUCH [--only PREFIX | --sample] [--budget SECONDS] [--jobs N] [--until STEP] [--srs SOURCE] [--limit SECONDS]
              [--results JSON] [--again OUTCOME] [--table MARKDOWN]

Each model ends in one of four ways:

- passed: the proof's answer is ONNX Runtime's, labels exactly and numbers within 2 % of an output's range;
- refused: zkvouch ended with an exit code of its own and said why;
- wrong: it went through with another answer;
- died: a crash, a signal, a hang, or an error without words.

With --sample one small model of each kind is taken, and --budget is the tuner's, of a usual machine.

With --until the build stops after a step, and nothing is proved; from `witness` on the answer is the witness's. What --results holds
already is kept and not done again, unless it ended as --again says. With `--srs unsafe-dev` no circuit is refused for want of a large SRS,
where there is no network to fetch it by. The Markdown goes to stdout, or where --table says.

Exits with 1 where any model was wrong or died.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "script"))
import attempt  # noqa: E402

MODELS = pathlib.Path(__file__).parent / "models"
SHARE = 0.02
OUTCOMES = ("passed", "refused", "wrong", "died")
# Small ones that ezkl refuses or gets through, of each exporter and kind.
SAMPLE = (
    "cat_regressor",
    "keras_dense",
    "lgb_binary",
    "sk_linear_svc",
    "sk_logistic",
    "sk_pca",
    "sk_tree_strings",
    "torch_bool_output",
    "torch_mixed_inputs",
    "xgb_binary",
)
# The steps of a build after which there is an answer to look at.
ANSWERED = ("witness", "proof", "verifier")


def is_label(output):
    return "float" not in output["type"] and "double" not in output["type"]


def pick(names, answers, expected):
    """Which of the model's outputs each answer stands for: by name where the build has kept only some, else the first one left of its
    length, since what a map or a renamed output becomes has a name of the build's own."""
    wanted = expected["onnxruntime"]
    left = list(range(len(wanted)))
    known = [output["name"] for output in expected["outputs"]]
    chosen = {}
    for place, name in enumerate(names):
        if name in known and known.index(name) in left:
            chosen[place] = known.index(name)
            left.remove(chosen[place])
    for place, found in enumerate(answers):
        if place in chosen:
            continue
        fitting = [number for number in left if len(wanted[number]) == len(found)]
        if not fitting:
            return None
        chosen[place] = fitting[0]
        left.remove(fitting[0])
    return [chosen[place] for place in range(len(answers))]


def compare(names, answers, expected):
    """What differs, if anything."""
    if not answers:
        return "no outputs"
    chosen = pick(names, answers, expected)
    if chosen is None:
        return f"outputs of {[len(found) for found in answers]} elements, called {names}, fit none of the model's"
    for found, number in zip(answers, chosen):
        output, wanted = expected["outputs"][number], expected["onnxruntime"][number]
        if len(found) != len(wanted):
            return f"{output['name']} has {len(found)} elements for {len(wanted)}"
        if any(isinstance(value, str) for value in wanted):
            wanted = [expected["classes"].index(value) for value in wanted]
        bound = 0.0
        if not is_label(output):
            finite = [value for value in wanted if value is not None] or [0.0]
            bound = SHARE * max(max(finite) - min(finite), max(abs(value) for value in finite))
        for index, (one, other) in enumerate(zip(found, wanted)):
            if other is None or not abs(float(one) - float(other)) <= bound:
                return f"{output['name']}[{index}] is {float(one):g} for {other}"
    return None


def steps(options):
    budget = ["--budget", options.budget] if options.budget else []
    build = ["build", "--json", *(["--until", options.until] if options.until else []), *budget]
    proving = [] if options.until else [["prove", "input.json", "--json"], ["verify", "--evm", "--json"]]
    srs = ["--srs", options.srs] if options.srs else []
    return [["init", "network.onnx", "--data", "input.json", "--json", *srs], build, *proving]


def note(folder, command, data, result):
    """What a step's JSON and the files of the build tell for the table."""
    if command == "build":
        result["k"] = data.get("logrows")
        settings = folder / "build/settings.json"
        if settings.exists():
            settings = json.loads(settings.read_text())
            result["rows"] = settings["num_rows"]
            result["k"] = result["k"] or settings["run_args"]["logrows"]
    if command == "verify":
        result["gas"] = data["gas"]


def attempted(case, options):
    result = {"outcome": "passed", "why": "", "seconds": {}, "megabytes": 0, "k": None, "rows": None, "gas": None}
    expected = json.loads((case / "expected.json").read_text())
    with tempfile.TemporaryDirectory(prefix="zkvouch-zoo-") as name:
        folder = pathlib.Path(name)
        for path in case.iterdir():
            if path.name != "expected.json":
                shutil.copy(path, folder)
        names, answers = [], None
        for step in steps(options):
            ended = attempt.run([options.binary, *step], folder, options.limit)
            result["seconds"][step[0]] = round(ended.seconds, 2)
            result["megabytes"] = max(result["megabytes"], round(ended.megabytes))
            failed = attempt.verdict(ended, step[0], options.limit)
            if failed:
                result["outcome"], result["why"] = failed[0], failed[1].replace(name, ".")
                return result
            data = json.loads(ended.out)["data"]
            note(folder, step[0], data, result)
            if step[0] == "build":
                judged = [output["name"] for output in (data.get("judgement") or {}).get("outputs", [])]
                names = judged or data.get("outputs", [])
            if step[0] == "verify":
                answers = [group["values"] for group in data["decoded"]["groups"] if group["kind"] == "output"]
        if options.until in ANSWERED:
            witness = json.loads((folder / "build/sample.witness.json").read_text())
            answers = witness["pretty_elements"]["rescaled_outputs"]
        if answers is not None:
            difference = compare(names, answers, expected)
            if difference:
                result["outcome"], result["why"] = "wrong", difference
            elif len(answers) < len(expected["outputs"]):
                result["why"] = f"of {len(expected['outputs'])} outputs {', '.join(names)}"
        return result


def cell(value):
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def table(results):
    lines = ["| model | outcome | seconds | k | rows | gas | MB | why |", "|---|---|--:|--:|--:|--:|--:|---|"]
    for name, result in sorted(results.items()):
        seconds = f"{sum(result['seconds'].values()):.1f}"
        numbers = [result["k"], result["rows"], result["gas"], result["megabytes"]]
        row = [name, result["outcome"], seconds, *numbers, result["why"]]
        lines.append("| " + " | ".join(cell(value) for value in row) + " |")
    counts = collections.Counter(result["outcome"] for result in results.values())
    lines += ["", ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES), ""]
    # Models that fail for one reason differ in names and numbers.
    kinds = collections.defaultdict(list)
    for name, result in sorted(results.items()):
        if result["outcome"] != "passed":
            why = re.sub(r"\d+", "N", re.sub(r'"[^"]*"', "…", result["why"]))
            kinds[result["outcome"], why].append(name)
    if kinds:
        lines += ["| outcome | reason | models |", "|---|---|---|"]
        for (outcome, why), names in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
            lines.append(f"| {outcome} | {cell(why)} | {len(names)}: {', '.join(names)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--only", default="")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--budget")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--until")
    parser.add_argument("--srs")
    parser.add_argument("--limit", type=float, default=600, help="seconds for a command")
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("--again", action="append", default=[])
    parser.add_argument("--table", type=pathlib.Path)
    options = parser.parse_args()
    attempt.stop_with_us()
    options.binary = os.path.abspath(options.binary)
    results = json.loads(options.results.read_text()) if options.results and options.results.exists() else {}
    cases = [path for path in sorted(MODELS.iterdir()) if path.name.startswith(options.only)]
    cases = [case for case in cases if not options.sample or case.name in SAMPLE]
    cases = [case for case in cases if case.name not in results or results[case.name]["outcome"] in options.again]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(attempted, case, options): case.name for case in cases}
        for future in concurrent.futures.as_completed(futures):
            name = futures[future]
            results[name] = result = future.result()
            print(f"{name}: {result['outcome']} {result['why']}", file=sys.stderr, flush=True)
            if options.results:
                options.results.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
    if options.table:
        options.table.write_text(table(results))
    else:
        print(table(results), end="")
    sys.exit(1 if any(result["outcome"] in ("wrong", "died") for result in results.values()) else 0)


main()
