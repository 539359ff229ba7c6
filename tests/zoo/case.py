"""A model of the zoo on its way to a folder: what was exported, one observation, and ONNX Runtime's answer to it."""

import dataclasses
import json
import math

import numpy
import onnx
import onnxruntime

MAKERS = {}


@dataclasses.dataclass
class Case:
    """What a maker hands back: a model, its inputs in the order of the graph, and what stands for a string label."""

    model: onnx.ModelProto
    inputs: list
    classes: list | None = None
    # The file beside the model that holds its weights, if its exporter writes one.
    weights: bytes | None = None


def maker(function):
    """Puts a function without arguments into the zoo; its name is the folder's."""
    add(function.__name__, function)
    return function


def add(name, function):
    if name in MAKERS:
        raise ValueError(f"two models are called {name}")
    MAKERS[name] = function


def tidy(model, name):
    """Takes away what differs from run to run and what tells of the machine: stack traces, dates, names drawn by chance."""
    model.graph.name = name
    model.doc_string = ""
    del model.metadata_props[:]
    for owner in [model.graph, *model.functions]:
        owner.doc_string = ""
        del owner.metadata_props[:]
        for part in [*owner.node, *owner.value_info, *getattr(owner, "input", [])]:
            if not isinstance(part, str):
                part.doc_string = ""
                del part.metadata_props[:]
    for value in [*model.graph.output, *model.graph.initializer]:
        value.doc_string = ""
        del value.metadata_props[:]


def number(value):
    """The shortest JSON number that is the same value again; null for what is not finite."""
    if isinstance(value, (str, numpy.str_)):
        return str(value)
    if isinstance(value, (bool, numpy.bool_, int, numpy.integer)):
        return int(value)
    return float(str(value)) if math.isfinite(value) else None


def flat(value):
    """An output in row-major order; of a ZipMap's map the values, in the order of its keys."""
    if isinstance(value, list):
        return [number(numpy.float32(entry)) for row in value for entry in row.values()]
    return [number(entry) for entry in numpy.asarray(value).reshape(-1)]


def dump(path, value):
    path.write_text(json.dumps(value, allow_nan=False) + "\n", encoding="utf-8")


def write(folder, name, case):
    """network.onnx, input.json and expected.json; returns what the folder weighs."""
    tidy(case.model, name)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    path = folder / "network.onnx"
    path.write_bytes(case.model.SerializeToString(deterministic=True))
    if case.weights is not None:
        (folder / "network.onnx.data").write_bytes(case.weights)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    if len(names) != len(case.inputs):
        raise ValueError(f"{name} takes {names}, and has {len(case.inputs)} inputs here")
    answers = session.run(None, dict(zip(names, case.inputs)))
    outputs = session.get_outputs()
    dump(folder / "input.json", {"input_data": [[number(entry) for entry in value.reshape(-1)] for value in case.inputs]})
    expected = {
        "onnxruntime": [flat(answer) for answer in answers],
        "outputs": [{"name": output.name, "type": output.type} for output in outputs],
    }
    if case.classes is not None:
        expected["classes"] = list(case.classes)
    dump(folder / "expected.json", expected)
    return sum(entry.stat().st_size for entry in folder.iterdir())
