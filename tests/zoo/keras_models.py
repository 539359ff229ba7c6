"""Keras on TensorFlow, as `model.export(format="onnx")` writes it: the batch is dynamic, and Flatten is computed from the shape."""

import pathlib
import re
import tempfile

import keras
import numpy
import onnx
from case import Case, add
from google.protobuf import text_format
from keras import layers
from pytorch import DIGITS

# Keras' images have their channels last.
IMAGE = numpy.ascontiguousarray(DIGITS[:1].transpose(0, 2, 3, 1))
ROW = numpy.array([[0.5, -1.25, 0.75, 2.0]], numpy.float32)
SERIES = numpy.linspace(-1, 1, 12, dtype=numpy.float32).reshape(1, 6, 2)


def renumbered(model):
    """tf2onnx numbers names in an order that differs from run to run; here they count from 1 as they stand in the graph."""
    numbers = {}

    def count(match):
        return f"__{numbers.setdefault(match[0], len(numbers) + 1)}"

    def line(match):
        return re.sub(r"__\d+", count, match[0])

    text = re.sub(r'^ *(name|input|output|dim_param): ".*"$', line, str(model), flags=re.MULTILINE)
    counted = text_format.Parse(text, onnx.ModelProto())
    counted.graph.initializer.sort(key=lambda entry: entry.name)
    return counted


def keras_model(name, stack, sample):
    def make():
        keras.utils.set_random_seed(0)
        keras.backend.clear_session()
        model = keras.Sequential([keras.Input(sample.shape[1:]), *stack()])
        model(sample)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "network.onnx"
            model.export(str(path), format="onnx", verbose=False)
            return Case(renumbered(onnx.load(path)), [sample])

    add(name, make)


keras_model("keras_dense", lambda: [layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(1, "sigmoid")], ROW)
keras_model(
    "keras_cnn",
    lambda: [layers.Conv2D(3, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(4, "softmax")],
    IMAGE,
)
keras_model(
    "keras_depthwise",
    lambda: [layers.SeparableConv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(6), layers.GlobalAveragePooling2D()],
    IMAGE,
)
keras_model("keras_lstm", lambda: [layers.LSTM(4), layers.Dense(1)], SERIES)
keras_model("keras_gru", lambda: [layers.GRU(4), layers.Dense(1)], SERIES)
