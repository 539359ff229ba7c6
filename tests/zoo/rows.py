"""How many rows ezkl needs for the zoo's models as they are, and as zkvouch prepares them.

Usage: rows.py ZKVOUCH [--before ZKVOUCH] [--only PREFIX] [--table MARKDOWN]

It needs the Python package ezkl in the version that zkvouch drives. Both forms are laid out with the same arguments (ezkl's own
defaults), and nothing is tuned. What ezkl can't take as it is has no figure before; with --before, another zkvouch's preparation stands
beside it.
"""

import argparse
import importlib.metadata
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import tomllib

MODELS = pathlib.Path(__file__).parent / "models"
LIMIT = 120
# A process of its own: ezkl may panic, or not return.
LAY_OUT = """
import json, sys, ezkl
args = ezkl.PyRunArgs()
args.variables = [(name, int(size)) for name, size in json.loads(sys.argv[3])]
ezkl.gen_settings(sys.argv[1], sys.argv[2], args)
"""


def run(command, folder):
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, timeout=LIMIT, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def rows(model, folder, variables=()):
    """The rows of a model's circuit; None where ezkl lays none out."""
    settings = folder / "settings.json"
    settings.unlink(missing_ok=True)
    command = [sys.executable, "-c", LAY_OUT, str(model), str(settings), json.dumps(list(variables))]
    if not run(command, folder) or not settings.exists():
        return None
    return json.loads(settings.read_text())["num_rows"]


def prepared(binary, folder, name):
    """The rows of what this zkvouch makes of a model; None where it refuses."""
    project = folder / name
    command = [binary, "init", "network.onnx", "--data", "input.json", "--no-inspect", "--dir", name]
    if not run(command, folder):
        return None
    if not run([binary, "--project", str(project), "prepare", "--output", str(project / "prepared.onnx")], folder):
        return None
    return rows(project / "prepared.onnx", folder)


def axes(folder):
    """The lengths that `init` gave the model's open axes."""
    project = folder / "now/zkvouch.toml"
    if not project.exists():
        return []
    variables = tomllib.loads(project.read_text()).get("circuit", {}).get("variables", {})
    return list(variables.items()) if isinstance(variables, dict) else [text.split("=") for text in variables]


def measured(case, options):
    with tempfile.TemporaryDirectory(prefix="zkvouch-rows-") as name:
        folder = pathlib.Path(name)
        for path in case.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        now = prepared(options.binary, folder, "now")
        earlier = prepared(options.before, folder, "before") if options.before else None
        return rows(folder / "network.onnx", folder, axes(folder)), earlier, now


def mean(pairs):
    """The geometric mean of before / after."""
    ratios = [math.log(before / after) for before, after in pairs if before and after]
    return (math.exp(sum(ratios) / len(ratios)), len(ratios)) if ratios else (1.0, 0)


def times(before, after):
    return f"{before / after:.2f} ×" if before and after else ""


HEAD = """# Rows of the zoo's models

What ezkl {version} lays out, with its own default arguments and without tuning, for each of the models in tests/zoo as it is and as
zkvouch prepares it. PyTorch's and Keras' exporters fold norms into layers themselves, so that it is the scalers and norms of
scikit-learn's pipelines and the recurrent layers where preparing saves rows; what ezkl does not take at all has no figure before.
Made by `tests/zoo/rows.py ZKVOUCH --table docs/rows.md`.

"""


def table(results, options):
    head = ["model", "as it is", *(["earlier"] if options.before else []), "prepared", "fewer"]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    for name, (plain, earlier, now) in sorted(results.items()):
        cells = [name, plain or "not taken", *([earlier or ""] if options.before else []), now or "refused", times(plain or earlier, now)]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    ratio, count = mean((plain, now) for plain, _, now in results.values())
    lines += ["", f"Of {len(results)} models ezkl takes {count} as they are; of these the prepared form has {ratio:.2f} × fewer rows in the"]
    lines += [f"geometric mean. {sum(1 for plain, _, now in results.values() if now and not plain)} others get in by being prepared."]
    if options.before:
        ratio, count = mean((earlier, now) for _, earlier, now in results.values())
        lines += [f"Against the earlier zkvouch: {ratio:.2f} × over {count} models."]
    return HEAD.format(version=importlib.metadata.version("ezkl")) + "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--before", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--only", default="")
    parser.add_argument("--table", type=pathlib.Path)
    options = parser.parse_args()
    results = {}
    for case in sorted(path for path in MODELS.iterdir() if path.name.startswith(options.only)):
        results[case.name] = measured(case, options)
        print(case.name, *results[case.name], file=sys.stderr, flush=True)
    text = table(results, options)
    if options.table:
        options.table.write_text(text)
    else:
        print(text, end="")


main()
