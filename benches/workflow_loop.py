"""The loop that `zkvouch accuracy` stands beside: observation by observation a witness by ezkl, an onnx checker and
an onnxruntime session. Time both in turn on the same files; the largest absolute error that it prints is also theirs.

    pip install ezkl==23.0.5 onnx onnxruntime numpy
    zkvouch compile -M model.onnx -S settings.json --compiled-circuit model.compiled
    python benches/workflow_loop.py model.onnx settings.json model.compiled observations.jsonl
    zkvouch accuracy -M model.onnx -S settings.json -D observations.jsonl

observations.jsonl has `{"input_data": [[…]]}` a line.
"""

import json
import os
import sys
import tempfile

import ezkl
import numpy
import onnx
import onnxruntime

TYPES = {"tensor(float)": numpy.float32, "tensor(double)": numpy.float64, "tensor(int64)": numpy.int64}


def main(model, settings, compiled, observations):
    with open(settings, encoding="utf-8") as file:
        scales = json.load(file)["model_output_scales"]
    count, largest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder, open(observations, encoding="utf-8") as lines:
        data, result = os.path.join(folder, "input.json"), os.path.join(folder, "witness.json")
        for line in lines:
            with open(data, "w", encoding="utf-8") as file:
                file.write(line)
            witness = ezkl.gen_witness(data, compiled, result)
            onnx.checker.check_model(onnx.load(model))
            session = onnxruntime.InferenceSession(model)
            feeds = {}
            for tensor, values in zip(session.get_inputs(), json.loads(line)["input_data"]):
                shape = [axis if isinstance(axis, int) else 1 for axis in tensor.shape]
                feeds[tensor.name] = numpy.array(values, TYPES[tensor.type]).reshape(shape)
            for expected, found, scale in zip(session.run(None, feeds), witness["outputs"], scales):
                found = numpy.array([ezkl.felt_to_float(felt, scale) for felt in found])
                largest = max(largest, numpy.abs(found - expected.reshape(-1)).max())
            count += 1
    print(f"{count} observations, largest absolute error {largest:.3e}")


main(*sys.argv[1:])
