"""Exports the zoo: small models of many frameworks, as their own exporters write them, each with one observation and its answer.

Usage: make.py [--only PREFIX] [--folder FOLDER]

With the packages of requirements.txt (Python 3.11, some 5 GB for the most part torch's). Each model becomes a folder with

- network.onnx (and network.onnx.data where the exporter writes one);
- input.json, {"input_data": [[...]]}, a flat list for each input; null stands for a missing value;
- expected.json, {"onnxruntime": [[...]], "outputs": [{"name", "type"}]}, ONNX Runtime's answer, a flat list for each output;
  with "classes", where labels are strings: the strings by class.

Seeds are fixed and what an exporter writes of its machine is taken away, so that a second run writes the same files, but for names
inside keras_gru and keras_lstm. They are committed, so that run.py needs neither this script nor its packages.
"""

import argparse
import importlib
import os
import pathlib
import sys
import warnings

# Some exporters walk through sets of names.
if os.environ.get("PYTHONHASHSEED") != "0":
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})

# Threads add up floats in an order of their own, and TensorFlow tells of the machine.
os.environ.update(OMP_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="-1")
warnings.filterwarnings("ignore")

SHELVES = {"sk_": "tabular", "xgb_": "boosted", "lgb_": "boosted", "cat_": "boosted", "torch_": "pytorch", "keras_": "keras_models"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(__file__).parent / "models")
    options = parser.parse_args()
    # A framework is only loaded for a model of its own: torch and TensorFlow take a while.
    for prefix, shelf in SHELVES.items():
        if options.only.startswith(prefix) or prefix.startswith(options.only):
            importlib.import_module(shelf)
    import case

    total, failed = 0, []
    for name, make in sorted(case.MAKERS.items()):
        if not name.startswith(options.only):
            continue
        try:
            size = case.write(options.folder / name, name, make())
        except Exception as error:
            failed.append(name)
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
            continue
        total += size
        print(f"{name}: {size}", flush=True)
    print(f"all: {total}")
    sys.exit(1 if failed else 0)


main()
