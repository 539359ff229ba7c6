"""PyTorch's modules, by both of its exporters: dynamo (the default since 2.9) and TorchScript."""

import pathlib
import tempfile

import numpy
import onnx
import onnxruntime.quantization as quantization
import torch
from case import Case, add, maker
from sklearn import datasets
from torch import nn
from torch.nn import functional

DIGITS = (datasets.load_digits().images[:8, None] / 16).astype(numpy.float32)


def seeded(build):
    torch.manual_seed(0)
    return build().eval()


def values(*shape, seed=1):
    return torch.from_numpy(numpy.random.default_rng(seed).normal(0, 1, shape).astype(numpy.float32))


def export(module, inputs, sample=None, **options):
    """`dynamo=False` for TorchScript; the rest as torch.onnx.export takes it. `sample` is the observation where it isn't the example."""
    options = {"dynamo": True, "external_data": False, "verbose": False, **options}
    if not options["dynamo"]:
        del options["external_data"]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "network.onnx"
        torch.onnx.export(module, tuple(inputs), str(path), **options)
        beside = path.with_name("network.onnx.data")
        weights = beside.read_bytes() if beside.exists() else None
        return Case(onnx.load(path, load_external_data=False), [entry.numpy() for entry in sample or inputs], weights=weights)


def torch_model(name, build, inputs, sample=None, **options):
    add(name, lambda: export(seeded(build), inputs, sample, **options))


def mlp():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(dim=1))


def wide():
    """Large enough for weights in a file of their own: what is small stays inside."""
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))


class Cnn(nn.Module):
    """Convolution, batch norm, both kinds of pooling, flatten."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)
        )
        self.head = nn.Linear(16, 5)
        # As if it had been trained: fresh batch norms would be the identity.
        self.features[1].running_mean.copy_(torch.tensor([0.1, -0.2, 0.05]))
        self.features[1].running_var.copy_(torch.tensor([0.5, 0.8, 1.2]))

    def forward(self, x):
        return self.head(torch.flatten(self.features(x), 1))


class Residual(nn.Module):
    """A depthwise block with a way around it, and a global average."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.point = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = functional.relu(self.first(x))
        x = x + self.point(functional.relu6(self.deep(x)))
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def autoencoder():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.ELU(), nn.ConvTranspose2d(2, 2, 2, stride=2), nn.Sigmoid(), nn.Upsample(scale_factor=2)
    )


class Recurrent(nn.Module):
    """A recurrent layer and a dense one over its last step."""

    def __init__(self, kind, **options):
        super().__init__()
        self.layer = kind(3, 4, batch_first=True, **options)
        self.head = nn.Linear(8 if options.get("bidirectional") else 4, 2)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.layer(x, x, x, need_weights=False)[0]


class Scaled(nn.Module):
    """Causal attention by the function, as language models write it."""

    def __init__(self):
        super().__init__()
        self.all = nn.Linear(8, 24)

    def forward(self, x):
        query, key, value = self.all(x).unsqueeze(1).chunk(3, dim=-1)
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True).squeeze(1)


def transformer():
    return nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, activation="gelu")


def norms():
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2))


def group_norms():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.LeakyReLU(0.1), nn.InstanceNorm2d(4), nn.Conv2d(4, 1, 1))


class Embedded(nn.Module):
    """The mean of a sentence's word vectors, and its class."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, tokens):
        return self.head(self.words(tokens).mean(dim=1))


class Mixed(nn.Module):
    """Numbers, a code and a flag, each an input of its own type."""

    def __init__(self):
        super().__init__()
        self.codes = nn.Embedding(5, 3)
        self.head = nn.Linear(7, 2)

    def forward(self, numbers, code, member):
        joined = torch.cat([numbers, self.codes(code)], dim=1)
        return torch.where(member.unsqueeze(1), self.head(joined), torch.zeros(1, 2))


class Decides(nn.Module):
    """`what` is asked of a layer's answer: whether it is above zero, its class, or both numbers and class."""

    def __init__(self, what):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.what = what

    def forward(self, x):
        score = self.layer(x)
        if self.what == "bool":
            return score > 0
        return (score.argmax(dim=1),) if self.what == "label" else (score, score.argmax(dim=1))


def activations():
    return nn.Sequential(
        nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 6), nn.SiLU(), nn.Linear(6, 6), nn.Hardswish(), nn.Linear(6, 4), nn.Softplus()
    )


class Arithmetic(nn.Module):
    """A formula rather than a network: clip, powers, a comparison, a reduction."""

    def forward(self, x, y):
        z = torch.clamp(x * y, -2.0, 2.0) ** 2 + torch.sqrt(torch.abs(x) + 1.0) / (y.exp() + 1.0)
        return torch.maximum(z, x).sum(dim=1, keepdim=True), z.amax(dim=1)


ROW = [values(1, 4)]
ROWS = [values(2, 4)]
IMAGE = [torch.from_numpy(DIGITS[:1])]
SERIES = [values(1, 5, 3)]
SENTENCE = [values(1, 4, 8)]
TOKENS = [torch.tensor([[3, 17, 0, 8, 8]])]
MIXED = [values(1, 4), torch.tensor([2]), torch.tensor([True])]
BATCH = torch.export.Dim("batch", min=1, max=64)
SCRIPT = {"dynamo": False}

# What `torch.onnx.export(model, args, path)` does, weights in a file beside the model.
torch_model("torch_mlp_external", wide, ROW, external_data=True)
torch_model("torch_mlp_dynamo", mlp, ROW)
torch_model("torch_mlp_script", mlp, ROW, **SCRIPT)
torch_model("torch_mlp_batch_of_two", mlp, ROWS)
# The exporter takes an axis of one as fixed, so that its example has two rows; what it calls a dynamic axis is its own affair.
torch_model("torch_mlp_dynamic_dynamo", mlp, ROWS, ROW, dynamic_shapes=({0: torch.export.Dim.AUTO},))
torch_model("torch_mlp_dynamic_script", mlp, ROW, input_names=["x"], dynamic_axes={"x": {0: "n"}}, **SCRIPT)
torch_model("torch_cnn_dynamo", Cnn, IMAGE)
torch_model("torch_cnn_dynamic_dynamo", Cnn, [torch.from_numpy(DIGITS[:2])], IMAGE, dynamic_shapes=({0: BATCH},))
torch_model("torch_cnn_script_opset9", Cnn, IMAGE, opset_version=9, **SCRIPT)
torch_model("torch_cnn_dynamic_script", Cnn, IMAGE, input_names=["image"], dynamic_axes={"image": [0]}, opset_version=13, **SCRIPT)
torch_model("torch_cnn_opset21", Cnn, IMAGE, opset_version=21)
torch_model("torch_residual_script_opset10", Residual, IMAGE, opset_version=10, **SCRIPT)
torch_model("torch_residual_opset18", Residual, IMAGE, opset_version=18)
torch_model("torch_autoencoder_script_opset11", autoencoder, IMAGE, opset_version=11, **SCRIPT)
torch_model("torch_lstm_script_opset12", lambda: Recurrent(nn.LSTM), SERIES, opset_version=12, **SCRIPT)
torch_model("torch_lstm_dynamo", lambda: Recurrent(nn.LSTM), SERIES)
torch_model("torch_lstm_both_ways", lambda: Recurrent(nn.LSTM, bidirectional=True), SERIES)
torch_model("torch_gru_script_opset14", lambda: Recurrent(nn.GRU), SERIES, opset_version=14, **SCRIPT)
torch_model("torch_gru_both_ways", lambda: Recurrent(nn.GRU, bidirectional=True), SERIES)
torch_model("torch_rnn_relu", lambda: Recurrent(nn.RNN, nonlinearity="relu"), SERIES)
torch_model("torch_rnn_script_two_layers", lambda: Recurrent(nn.RNN, num_layers=2), SERIES, opset_version=15, **SCRIPT)
torch_model("torch_attention_script_opset16", Attention, SENTENCE, opset_version=16, **SCRIPT)
torch_model("torch_attention_causal", Scaled, SENTENCE)
torch_model("torch_transformer", transformer, SENTENCE)
torch_model("torch_norms_script_opset17", norms, [values(1, 6)], opset_version=17, **SCRIPT)
torch_model("torch_norms_opset19", norms, [values(1, 6)], opset_version=19)
torch_model("torch_group_norms", group_norms, IMAGE)
torch_model("torch_embedding", Embedded, TOKENS)
torch_model("torch_embedding_script", Embedded, TOKENS, input_names=["tokens"], dynamic_axes={"tokens": {0: "batch", 1: "words"}}, **SCRIPT)
torch_model("torch_mixed_inputs", Mixed, MIXED)
torch_model("torch_bool_output", lambda: Decides("bool"), ROW)
torch_model("torch_label_output", lambda: Decides("label"), ROW)
torch_model("torch_scores_and_label", lambda: Decides("both"), ROW, **SCRIPT)
torch_model("torch_activations_opset20", activations, ROW, opset_version=20)
torch_model("torch_arithmetic", Arithmetic, [values(1, 4), values(1, 4, seed=2)])
torch_model("torch_double", lambda: mlp().double(), [entry.double() for entry in ROW])
torch_model("torch_half", lambda: mlp().half(), [entry.half() for entry in ROW])


@maker
def torch_unnamed_axis():
    case = export(seeded(mlp), ROW, input_names=["x"], dynamic_axes={"x": [0]}, dynamo=False)
    for value in [*case.model.graph.input, *case.model.graph.output]:
        value.type.tensor_type.shape.dim[0].Clear()
    return case


class Samples(quantization.CalibrationDataReader):
    def __init__(self, name, rows):
        self.rows = iter([{name: row} for row in rows])

    def get_next(self):
        return next(self.rows, None)


def quantised(build, sample, rows):
    """A float model, and what ONNX Runtime's tool for static quantisation makes of it."""
    case = export(seeded(build), sample, input_names=["x"], dynamo=False)
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "float.onnx", pathlib.Path(folder) / "quantised.onnx"
        onnx.save(case.model, source)
        quantization.quantize_static(source, target, Samples("x", rows), quant_format=quantization.QuantFormat.QDQ)
        return Case(onnx.load(target), case.inputs)


@maker
def torch_qdq_mlp():
    rows = [row[None].numpy() for row in values(16, 4, seed=3)]
    return quantised(mlp, ROW, rows)


@maker
def torch_qdq_cnn():
    return quantised(Cnn, IMAGE, [image[None] for image in DIGITS])


@maker
def torch_dynamic_quantised():
    case = export(seeded(mlp), ROW, input_names=["x"], dynamo=False)
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "float.onnx", pathlib.Path(folder) / "quantised.onnx"
        onnx.save(case.model, source)
        quantization.quantize_dynamic(source, target)
        return Case(onnx.load(target), case.inputs)
