"""Writes ONNX's own operator tests as folders of network.onnx, input.json and expected.json.

Usage: onnx_cases.py FOLDER

input.json is ezkl's form, {"input_data": [[...]]}, one flat list a graph input; expected.json is
{"operator": ..., "opset": ..., "rtol": ..., "atol": ..., "output_data": [[...]]} with null for what is not finite. What no list of
numbers can hold (strings, sequences, optionals, maps, complex numbers) is left out and counted.
"""

import collections
import json
import math
import pathlib
import sys
import warnings

import numpy
import onnx
from onnx.backend.test.case.node import collect_testcases


def flat(array):
    """The elements in row-major order, as JSON numbers."""
    kind = array.dtype.kind
    if kind == "b" or kind in "iu":
        return array.reshape(-1).tolist()
    values = array.astype(numpy.float64).reshape(-1).tolist()
    return [value if math.isfinite(value) else None for value in values]


def why_not(case):
    """Why a case can't be written, if so."""
    if len(case.data_sets) != 1:
        return "no data"
    inputs, outputs = case.data_sets[0]
    if len(inputs) == 0:
        return "no inputs"
    for value in [*inputs, *outputs]:
        if not isinstance(value, numpy.ndarray) and not numpy.isscalar(value):
            return "not a tensor"
        array = numpy.asarray(value)
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            return f"type {array.dtype.name}"
    if any(not math.isfinite(v) for x in inputs for v in numpy.asarray(x, numpy.float64).reshape(-1)):
        return "input that is not finite"
    if any(node.domain == "ai.onnx.preview.training" for node in case.model.graph.node):
        return "training"
    if any(node.op_type in ("Bernoulli", "RandomNormalLike", "RandomUniformLike") for node in case.model.graph.node):
        return "random"
    return None


def main():
    folder = pathlib.Path(sys.argv[1])
    left_out = collections.Counter()
    written = 0
    operators = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in sorted(cases, key=lambda case: case.name):
        reason = why_not(case)
        if reason:
            left_out[reason] += 1
            continue
        inputs, outputs = case.data_sets[0]
        place = folder / case.name.removeprefix("test_")
        place.mkdir(parents=True, exist_ok=True)
        onnx.save(case.model, place / "network.onnx")
        data = {"input_data": [flat(numpy.asarray(value)) for value in inputs]}
        # A case may be an ONNX function written out; it counts as the function's operator, as the case before it does.
        name = case.name.split("_expanded")[0]
        operator = operators.get(name, case.model.graph.node[0].op_type)
        operators.setdefault(name, operator)
        opset = max((entry.version for entry in case.model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
        expected = {
            "operator": operator,
            "opset": opset,
            "rtol": case.rtol,
            "atol": case.atol,
            "output_data": [flat(numpy.asarray(value)) for value in outputs],
        }
        (place / "input.json").write_text(json.dumps(data))
        (place / "expected.json").write_text(json.dumps(expected))
        written += 1
    print(json.dumps({"written": written, "left_out": dict(left_out)}))


main()
