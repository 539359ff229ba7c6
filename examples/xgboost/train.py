"""Trains an XGBoost classifier on the breast cancer data and exports it through hummingbird.

    pip install -r ../requirements.txt && python train.py
"""

import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import SEED, seed, write_inputs  # noqa: E402
from trees import export_trees  # noqa: E402


def main() -> None:
    seed()
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)[:, :10].round(4)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.4, random_state=SEED)
    model = XGBClassifier(n_estimators=5, max_depth=3, random_state=SEED, n_jobs=1)
    model.fit(train_x, train_y)
    print(f"accuracy on held-out tumours: {model.score(test_x, test_y):.3f}")
    export_trees(model, test_x, HERE / "model.onnx")
    write_inputs(HERE, test_x, 24)


if __name__ == "__main__":
    main()
