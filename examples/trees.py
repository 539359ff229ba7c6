"""Tree models as tensor operations: ezkl has no operator for tree ensembles."""

from pathlib import Path

import hummingbird.ml
import numpy
import torch

from common import export


class Probabilities(torch.nn.Module):
    """Keeps the class probabilities of a converted classifier and leaves its label out: a client
    takes the largest one itself, and a near tie stays visible."""

    def __init__(self, converted: torch.nn.Module):
        super().__init__()
        self.converted = converted

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.converted(x)[1]


def export_trees(model, rows: numpy.ndarray, path: Path) -> None:
    """Converts, checks the conversion on `rows` and writes the ONNX file."""
    rows = rows.round(4).astype(numpy.float32)
    # Walking down the tree is a gather for each level. Hummingbird's other form, "gemm", compares
    # sums of booleans, which ezkl 23.0.5 rescales wrongly: its circuits answer nearly 0 throughout.
    converted = hummingbird.ml.convert(
        model, "torch", rows[:1], extra_config={"tree_implementation": "tree_trav"}
    )
    module = Probabilities(converted.model)
    with torch.no_grad():
        found = module(torch.from_numpy(rows)).numpy()
    numpy.testing.assert_allclose(found, model.predict_proba(rows), atol=1e-5)
    export(module, rows.shape[1], path)
