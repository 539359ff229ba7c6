"""Tree ensembles as zkvouch writes them against hummingbird's matrices, the same model both ways.

    pip install -r tests/zoo/requirements.txt hummingbird-ml dill psutil onnxconverter-common   (the last two with --no-deps:
                                                              they ask for an older onnx)
    python benches/trees.py target/release/zkvouch folder [PROOFS]

Each ensemble is exported by skl2onnx or onnxmltools, and by hummingbird; both are built with the defaults (`--srs unsafe-dev`),
once with all outputs, the class and its scores, and once with the class alone, and then proved in turn. CPU seconds are of `prove`'s own proof, medians; gas is of a transaction to the verifier (`verify --evm`).
"""

import json
import pathlib
import statistics
import subprocess
import sys
import warnings

import numpy
import onnx
import torch
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

warnings.filterwarnings("ignore")
# hummingbird asks for what only the older exporter does.
EXPORT = torch.onnx.export
torch.onnx.export = lambda *given, **named: EXPORT(*given, **{**named, "dynamo": False})

from hummingbird.ml import convert  # noqa: E402

ENSEMBLES = {
    "random forest, 10 trees, depth 5": RandomForestClassifier(10, max_depth=5, random_state=0),
    "gradient boosting, 20 trees, depth 3": GradientBoostingClassifier(n_estimators=20, max_depth=3, random_state=0),
    "XGBoost, 20 trees, depth 3": xgboost.XGBClassifier(n_estimators=20, max_depth=3, random_state=0),
}
OBSERVATIONS = 16


def data():
    features, labels = load_breast_cancer(return_X_y=True)
    return ((features - features.mean(0)) / features.std(0)).astype(numpy.float32), labels


def exports(model, features):
    """The two ONNX models, by who made them."""
    if isinstance(model, xgboost.XGBModel):
        own = convert_xgboost(model, initial_types=[("X", FloatTensorType([1, features.shape[1]]))])
    else:
        own = to_onnx(model, features[:1], options={id(model): {"zipmap": False}})
    return {"zkvouch": own, "hummingbird": convert(model, "onnx", features[:1]).model}


def project(zkvouch, folder, model, features, outputs):
    """Makes a project of a model and returns how to run commands in it."""

    def run(*arguments):
        done = subprocess.run([zkvouch, "--json", *arguments], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{folder}: {arguments[0]}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)["data"]

    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "network.onnx")
    lines = [json.dumps({"input_data": [row.tolist()]}) for row in features[:OBSERVATIONS]]
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "input.json").write_text(lines[0])
    if not (folder / "zkvouch.toml").exists():
        kept = [word for name in outputs for word in ("--output-name", name)]
        run("init", "network.onnx", "--data", "data.jsonl", "--srs", "unsafe-dev", *kept)
    return run


def main(zkvouch, folder, proofs="3"):
    zkvouch, folder = pathlib.Path(zkvouch).resolve(), pathlib.Path(folder).resolve()
    features, labels = data()
    print("| ensemble | outputs | form | rows | k | prove, CPU s | gas | bytes of code |\n|---|---|---|--:|--:|--:|--:|--:|")
    for name, model in ENSEMBLES.items():
        model.fit(features, labels)
        for shown in ("all", "class"):
            compare(zkvouch, folder, (name, shown, int(proofs)), exports(model, features), features)


def compare(zkvouch, folder, what, both, features):
    name, shown, proofs = what
    place = folder / name.split(",")[0].replace(" ", "-").lower() / shown
    runs = {}
    for form, model in both.items():
        outputs = [model.graph.output[0].name] if shown == "class" else []
        runs[form] = project(zkvouch, place / form, model, features, outputs)
    verifiers = {form: run("build")["verifier"] for form, run in runs.items()}
    seconds = {form: [] for form in runs}
    for _ in range(proofs):
        for form, run in runs.items():
            seconds[form].append(run("prove", "input.json")["took"]["cpu_seconds"])
    medians = {form: statistics.median(times) for form, times in seconds.items()}
    gas = {form: run("verify", "--evm")["gas"] for form, run in runs.items()}
    for form in runs:
        settings = json.loads((place / form / "build" / "settings.json").read_text())
        rows, k, code = settings["num_rows"], settings["run_args"]["logrows"], verifiers[form]["runtime_size"]
        print(f"| {name} | {shown} | {form} | {rows:,} | {k} | {medians[form]:.2f} | {gas[form]:,} | {code:,} |", flush=True)
    faster, less = medians["hummingbird"] / medians["zkvouch"], 1 - gas["zkvouch"] / gas["hummingbird"]
    print(f"| | | | | | {faster:.1f} × | {less:.0%} less | |", flush=True)


main(*sys.argv[1:])
