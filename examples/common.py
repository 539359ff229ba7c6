"""What the training scripts share: fixed seeds, the ONNX export and the JSON files beside it."""

import json
from pathlib import Path

import numpy
import torch

SEED = 20240229


def seed() -> numpy.random.Generator:
    """Fixes every source of randomness that the scripts use."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    return numpy.random.default_rng(SEED)


def export(model: torch.nn.Module, features: int, path: Path) -> None:
    """Writes the model with a dynamic first axis, `batch_size`, as ezkl's `variables` expect it."""
    model.eval()
    torch.onnx.export(
        model,
        torch.zeros(1, features),
        path,
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch_size"}, "output": {0: "batch_size"}},
        opset_version=13,
        do_constant_folding=True,
    )


def write_inputs(folder: Path, rows: numpy.ndarray, observations: int) -> None:
    """Writes `input.json`, the first row, and `data.json`, the next `observations` rows one after
    the other in a single list, which is how ezkl takes calibration data."""

    def write(name: str, values: numpy.ndarray) -> None:
        flat = [round(float(value), 4) for value in values.reshape(-1)]
        (folder / name).write_text(json.dumps({"input_data": [flat]}) + "\n")

    write("input.json", rows[:1])
    write("data.json", rows[1 : 1 + observations])
