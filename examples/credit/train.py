"""Trains a 41-feature credit classifier on synthetic applications and exports it.

    pip install -r ../requirements.txt && python train.py
"""

import sys
from pathlib import Path

import numpy
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import export, seed, write_inputs  # noqa: E402

FEATURES, HIDDEN, CLASSES = 41, 8, 2


def applications(random: numpy.random.Generator, count: int):
    """Standardised features within three standard deviations, driven by six hidden traits; a trait
    that is bad in either direction (debt without income) makes the label more than linear."""
    traits = random.normal(size=(count, 6))
    mixing = numpy.random.default_rng(41).normal(size=(6, FEATURES))
    features = traits @ mixing / 2 + random.normal(size=(count, FEATURES))
    features = numpy.clip(features / features.std(axis=0), -3, 3).round(4)
    score = 1.4 * traits[:, 0] - 1.1 * traits[:, 1] + 1.6 * numpy.abs(traits[:, 2]) - 1.2
    default = random.random(count) < 1 / (1 + numpy.exp(-2 * score))
    return features.astype(numpy.float32), default.astype(numpy.int64)


def main() -> None:
    random = seed()
    features, labels = applications(random, 8_000)
    train_x, train_y = torch.from_numpy(features[:7_000]), torch.from_numpy(labels[:7_000])
    test_x, test_y = torch.from_numpy(features[7_000:]), torch.from_numpy(labels[7_000:])

    model = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-4)
    for _ in range(300):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(train_x), train_y).backward()
        optimizer.step()

    with torch.no_grad():
        accuracy = (model(test_x).argmax(dim=1) == test_y).float().mean().item()
    print(f"accuracy on held-out applications: {accuracy:.3f}")
    export(model, FEATURES, HERE / "model.onnx")
    write_inputs(HERE, features[7_000:], 24)


if __name__ == "__main__":
    main()
