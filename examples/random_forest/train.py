"""Trains a scikit-learn random forest on the wine data and exports it through hummingbird.

    pip install -r ../requirements.txt && python train.py
"""

import sys
from pathlib import Path

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import SEED, seed, write_inputs  # noqa: E402
from trees import export_trees  # noqa: E402


def main() -> None:
    seed()
    x, y = load_wine(return_X_y=True)
    # Proline goes up to 1,680 and hue stays near 1: one fixed-point scale suits standardised
    # features, and thresholds between rounded values don't fall on a rounding edge.
    x = StandardScaler().fit_transform(x).round(4)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.4, random_state=SEED)
    model = RandomForestClassifier(n_estimators=4, max_depth=3, random_state=SEED)
    model.fit(train_x, train_y)
    print(f"accuracy on held-out wines: {model.score(test_x, test_y):.3f}")
    export_trees(model, test_x, HERE / "model.onnx")
    write_inputs(HERE, test_x, 24)


if __name__ == "__main__":
    main()
