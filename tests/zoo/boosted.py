"""Boosted trees: XGBoost and LightGBM through onnxmltools, CatBoost by its own exporter."""

import pathlib
import tempfile

import catboost
import lightgbm
import numpy
import onnx
import onnxmltools
import xgboost
from case import Case, add
from onnxmltools.convert.common.data_types import FloatTensorType
from tabular import DIABETES, FLOWER, IRIS, PAIR, PATIENT, PROGRESS, SPECIES

THREE = IRIS, SPECIES
PROGNOSIS = DIABETES, PROGRESS


def gaps(features):
    """Some values missing, by a fixed pattern."""
    holes = (numpy.arange(features.size).reshape(features.shape) % 7) == 3
    return numpy.where(holes, numpy.float32("nan"), features)


def xgb(name, model, data, sample, **options):
    def make():
        model.set_params(n_estimators=6, max_depth=3, random_state=0, n_jobs=1, **options).fit(*data)
        types = [("features", FloatTensorType([None, sample.shape[1]]))]
        return Case(onnxmltools.convert_xgboost(model, initial_types=types), [sample])

    add(name, make)


def lgb(name, model, data, sample, zipmap=True):
    def make():
        model.set_params(
            n_estimators=6, max_depth=3, num_leaves=6, random_state=0, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1
        ).fit(*data)
        types = [("features", FloatTensorType([None, sample.shape[1]]))]
        return Case(onnxmltools.convert_lightgbm(model, initial_types=types, zipmap=zipmap), [sample])

    add(name, make)


def cat(name, model, data, sample):
    def make():
        model.set_params(
            iterations=6, depth=3, random_seed=0, thread_count=1, verbose=False, allow_writing_files=False
        ).fit(*data)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.onnx"
            model.save_model(str(path), format="onnx")
            return Case(onnx.load(path), [sample])

    add(name, make)


xgb("xgb_binary", xgboost.XGBClassifier(), PAIR, FLOWER)
xgb("xgb_multiclass", xgboost.XGBClassifier(), THREE, FLOWER)
xgb("xgb_regressor", xgboost.XGBRegressor(), PROGNOSIS, PATIENT)
xgb("xgb_missing", xgboost.XGBClassifier(), (gaps(IRIS), SPECIES), FLOWER)
# The observation itself lacks a value, which no circuit can be told.
xgb("xgb_missing_value", xgboost.XGBRegressor(), (gaps(DIABETES), PROGRESS), gaps(DIABETES)[7:8])
lgb("lgb_binary", lightgbm.LGBMClassifier(), PAIR, FLOWER)
lgb("lgb_multiclass", lightgbm.LGBMClassifier(), THREE, FLOWER, zipmap=False)
lgb("lgb_regressor", lightgbm.LGBMRegressor(), PROGNOSIS, PATIENT)
lgb("lgb_missing", lightgbm.LGBMClassifier(), (gaps(PAIR[0]), PAIR[1]), FLOWER)
cat("cat_binary", catboost.CatBoostClassifier(), PAIR, FLOWER)
cat("cat_multiclass", catboost.CatBoostClassifier(loss_function="MultiClass"), THREE, FLOWER)
cat("cat_regressor", catboost.CatBoostRegressor(), PROGNOSIS, PATIENT)
