"""Trains a scikit-learn decision tree on the iris data and exports it through hummingbird.

    pip install -r ../requirements.txt && python train.py
"""

import sys
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import SEED, seed, write_inputs  # noqa: E402
from trees import export_trees  # noqa: E402


def main() -> None:
    seed()
    x, y = load_iris(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.4, random_state=SEED)
    model = DecisionTreeClassifier(max_depth=4, random_state=SEED).fit(train_x, train_y)
    print(f"accuracy on held-out flowers: {model.score(test_x, test_y):.3f}")
    export_trees(model, test_x, HERE / "model.onnx")
    write_inputs(HERE, test_x, 24)


if __name__ == "__main__":
    main()
