"""Makes the artefacts in this folder, for tests/artifacts.rs: one small model with two inputs and two
outputs, proved under several visibilities. Needs `pip install ezkl==23.0.5 onnx==1.23.2`."""

import json
import os
import sys
import tempfile

import ezkl
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# input | parameters | output
CASES = [
    "public|fixed|public",
    "private|fixed|public",
    "hashed|hashed|hashed",
    "public|hashed|hashed",
    "hashed|private|public",
    "polycommit|fixed|hashed",
    "private|fixed|hashed/private/1",
]
LOGROWS = 10


def model(path):
    """y = a·W + b and its argmax: floats and an integer."""
    weights = np.array([[0.5, 1.0], [-1.0, 0.25], [2.0, -0.5]], dtype=np.float32)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["a", "W"], ["m"]),
            helper.make_node("Add", ["m", "b"], ["y"]),
            helper.make_node("ArgMax", ["y"], ["class"], axis=1, keepdims=0),
        ],
        "two",
        [value("a", TensorProto.FLOAT, [1, 3]), value("b", TensorProto.FLOAT, [1, 2])],
        [value("y", TensorProto.FLOAT, [1, 2]), value("class", TensorProto.INT64, [1])],
        [numpy_helper.from_array(weights, "W")],
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def main(here):
    os.chdir(here)
    model("network.onnx")
    with open("input.json", "w") as file:
        json.dump({"input_data": [[1.5, -2.0, 0.25], [0.75, -1.25]]}, file)
    with tempfile.TemporaryDirectory() as scratch:
        srs, circuit, pk = (f"{scratch}/{name}" for name in ("srs", "circuit", "pk"))
        ezkl.gen_srs(srs, LOGROWS)
        for case in CASES:
            folder = case.replace("/", "-").replace("|", "_")
            os.makedirs(folder, exist_ok=True)
            file = lambda name: f"{folder}/{name}"
            args = ezkl.PyRunArgs()
            args.logrows = LOGROWS
            args.num_inner_cols = 1
            args.decomp_base, args.decomp_legs = 1016, 3
            args.lookup_range = (0, 0)
            args.input_scale, args.param_scale = 6, 7
            args.input_visibility, args.param_visibility, args.output_visibility = case.split("|")
            ezkl.gen_settings("network.onnx", file("settings.json"), py_run_args=args)
            ezkl.compile_circuit("network.onnx", circuit, file("settings.json"))
            ezkl.setup(circuit, file("vk.key"), pk, srs_path=srs)
            key = {"vk_path": file("vk.key"), "srs_path": srs} if "polycommit" in case else {}
            ezkl.gen_witness("input.json", circuit, file("witness.json"), **key)
            ezkl.prove(file("witness.json"), circuit, pk, file("proof.json"), srs_path=srs)
            assert ezkl.verify(file("proof.json"), file("settings.json"), file("vk.key"), srs)


main(os.path.dirname(os.path.abspath(sys.argv[0])))
