//! Layers: windows, sequences, attention.

use super::*;

fn list(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto::ints(name, values)
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto::int(name, value)
}

#[tokio::test]
async fn pools() {
    let pool = |operator, left| {
        Case::new(operator, vec![floats(&[1, 2, 5, 6])], left).with(list("kernel_shape", &[3, 3]))
    };
    all(vec![
        pool("MaxPool", "MaxPool").with(list("strides", &[2, 2])),
        // Zeros beside negative numbers would be the largest.
        pool("MaxPool", "Gather ReduceMax Reshape").with(list("pads", &[1, 1, 1, 1])),
        pool("MaxPool", "Gather ReduceMax Reshape").with(list("dilations", &[2, 2])),
        pool("MaxPool", "Gather ReduceMax Reshape")
            .with(list("strides", &[2, 2]))
            .with(int("ceil_mode", 1)),
        pool("AveragePool", "AveragePool"),
        pool("AveragePool", "AveragePool Mul Pad").with(list("pads", &[1, 0, 1, 2])),
        pool("AveragePool", "AveragePool Mul Pad")
            .with(list("pads", &[1, 0, 1, 2]))
            .with(int("count_include_pad", 1)),
        pool("AveragePool", "AveragePool Mul Pad")
            .with(AttributeProto::string("auto_pad", "SAME_UPPER"))
            .with(list("strides", &[2, 2])),
        pool("AveragePool", "Gather Mul ReduceSum Reshape")
            .opset(19)
            .with(list("dilations", &[2, 2])),
        pool("LpPool", "AveragePool Mul Sqrt").with(int("p", 2)),
        pool("LpPool", "Abs AveragePool Mul Pow").with(int("p", 3)),
    ])
    .await;
}

#[tokio::test]
async fn places_of_maxima() {
    all(vec![
        Case::new(
            "MaxPool",
            vec![floats(&[1, 2, 5, 6])],
            "Add ArgMax Cast Equal Gather Mul ReduceMax ReduceSum Reshape",
        )
        .outputs(2)
        .with(list("kernel_shape", &[2, 3]))
        .with(list("strides", &[2, 2]))
        .with(int("storage_order", 1)),
    ])
    .await;
}

#[tokio::test]
async fn convolutions() {
    let conv = |operator, kernel: &[usize], left| {
        Case::new(operator, vec![floats(&[1, 2, 5, 6]), floats(kernel)], left)
    };
    all(vec![
        conv("Conv", &[3, 2, 3, 3], "Conv"),
        conv("Conv", &[3, 2, 2, 3], "Conv")
            .with(AttributeProto::string("auto_pad", "SAME_LOWER"))
            .with(list("strides", &[2, 2])),
        conv("Conv", &[3, 2, 2, 2], "Conv Pad Reshape Slice").with(list("dilations", &[2, 3])),
        conv("ConvTranspose", &[2, 3, 3, 3], "Conv Gather Pad Reshape Slice Transpose")
            .with(list("strides", &[2, 3]))
            .with(list("pads", &[1, 0, 2, 1]))
            .with(list("output_padding", &[1, 2])),
        conv("ConvTranspose", &[2, 2, 2, 3], "Conv Gather Pad Reshape Slice")
            .with(int("group", 2))
            .with(list("strides", &[2, 2]))
            .with(AttributeProto::string("auto_pad", "SAME_UPPER")),
    ])
    .await;
}

/// Weights of a layer after its input: W, R, B.
fn layer(operator: &str, gates: usize, directions: usize, left: &'static str) -> Case {
    let (length, batch, width, hidden) = (4, 2, 3, 2);
    Case::new(
        operator,
        vec![
            floats(&[length, batch, width]),
            floats(&[directions, gates * hidden, width]),
            floats(&[directions, gates * hidden, hidden]),
            floats(&[directions, 2 * gates * hidden]),
        ],
        left,
    )
    .outputs(2)
    .with(int("hidden_size", hidden as i64))
}

#[tokio::test]
async fn recurrent_layers() {
    let both = || AttributeProto::string("direction", "bidirectional");
    let lstm = "Add Concat Gather MatMul Mul Reshape Sigmoid Slice Tanh Transpose";
    let state =
        |directions: usize| TensorProto::floats(&[directions, 2, 2], &vec![0.5; 4 * directions]);
    let strings = |names: &[&str]| {
        let names = names.iter().map(|it| prost::bytes::Bytes::copy_from_slice(it.as_bytes()));
        AttributeProto {
            name: "activations".to_owned(),
            r#type: 8,
            strings: names.collect(),
            ..AttributeProto::default()
        }
    };
    all(vec![
        layer("LSTM", 4, 1, lstm),
        Case::new("RNN", vec![floats(&[300, 1, 2]), floats(&[1, 2, 2]), floats(&[1, 2, 2])], "RNN")
            .outputs(2)
            .with(int("hidden_size", 2)),
        layer("LSTM", 4, 1, lstm).with(AttributeProto::string("direction", "reverse")),
        layer("LSTM", 4, 2, lstm).with(both()),
        layer("LSTM", 4, 1, lstm).none().weight(state(1)).weight(state(1)),
        layer("LSTM", 4, 1, lstm)
            .none()
            .none()
            .none()
            .weight(TensorProto::floats(&[1, 6], &[0.5, -0.5, 0.25, 1.0, -1.0, 0.75])),
        layer(
            "LSTM",
            4,
            1,
            "Add Clip Concat Gather MatMul Mul Reshape Sigmoid Slice Sub Tanh Transpose",
        )
        .with(AttributeProto::float("clip", 0.3))
        .with(int("input_forget", 1)),
        layer(
            "LSTM",
            4,
            1,
            "Add Clip Concat Gather MatMul Mul Relu Reshape Slice Softsign Transpose",
        )
        .with(strings(&["HardSigmoid", "Relu", "Softsign"])),
        layer("GRU", 3, 2, "Add Concat Gather MatMul Mul Reshape Sigmoid Slice Sub Tanh Transpose")
            .with(both()),
        layer("GRU", 3, 1, "Add Concat Gather MatMul Mul Reshape Sigmoid Slice Sub Tanh Transpose")
            .with(int("linear_before_reset", 1)),
        layer("RNN", 1, 2, "Add Concat Gather MatMul Reshape Slice Tanh Transpose").with(both()),
        layer("RNN", 1, 2, "Add Concat Gather MatMul Mul Reshape Slice Sub Tanh Transpose")
            .with(both())
            .weight(TensorProto::raw(element::INT32, &[2], vec![4, 0, 0, 0, 2, 0, 0, 0])),
    ])
    .await;
}

#[tokio::test]
async fn attention() {
    let heads = |places| floats(&[2, 4, places, 8]);
    let few = |places| floats(&[2, 2, places, 8]);
    let masked = "Add Cast Div Exp MatMul Mul ReduceMax ReduceMin ReduceSum Sub Transpose";
    all(vec![
        Case::new("Attention", vec![heads(3), heads(5), heads(5)], "MatMul Mul Softmax Transpose")
            .opset(23),
        Case::new(
            "Attention",
            vec![heads(3), few(5), few(5)],
            "Gather MatMul Mul Softmax Tanh Transpose",
        )
        .opset(23)
        .with(AttributeProto::float("softcap", 2.0)),
        Case::new(
            "Attention",
            vec![heads(3), heads(3), heads(3)],
            "Div Exp MatMul Mul ReduceMax ReduceMin ReduceSum Sub Transpose",
        )
        .opset(23)
        .with(int("is_causal", 1)),
        Case::new(
            "Attention",
            vec![
                heads(2),
                heads(3),
                heads(3),
                integers(element::BOOL, &[2, 3], &[1, 0, 1, 0, 1, 1]),
            ],
            masked,
        )
        .opset(23),
    ])
    .await;
}

#[tokio::test]
async fn sequences_and_states() {
    let packed = |width| floats(&[2, 3, width]);
    all(vec![
        Case::new("RotaryEmbedding", vec![floats(&[2, 4, 3, 8])], "Add Concat Gather Mul Sub")
            .opset(23)
            .with(int("interleaved", 1))
            .weight(TensorProto::floats(&[2, 3, 4], &[0.5; 24]))
            .weight(TensorProto::floats(&[2, 3, 4], &[0.25; 24])),
        Case::new(
            "TfIdfVectorizer",
            vec![integers(element::INT32, &[2, 6], &[1, 2, 3, 2, 3, 4, 5, 6, 1, 2, 3, 3])],
            "Cast Concat Equal Gather Mul ReduceSum Reshape",
        )
        .with(AttributeProto::string("mode", "TF"))
        .with(int("min_gram_length", 1))
        .with(int("max_gram_length", 2))
        .with(int("max_skip_count", 1))
        .with(list("ngram_counts", &[0, 2]))
        .with(list("ngram_indexes", &[3, 0, 1, 2]))
        .with(list("pool_int64s", &[2, 5, 2, 3, 3, 4])),
        Case::new(
            "CausalConvWithState",
            vec![floats(&[2, 3, 5]), floats(&[3, 1, 4]), floats(&[3]), floats(&[2, 3, 3])],
            "Add Concat Conv Mul Reshape Sigmoid Slice",
        )
        .opset(27)
        .outputs(2)
        .with(AttributeProto::string("activation", "silu")),
        Case::new(
            "LinearAttention",
            vec![packed(8), packed(8), packed(8)],
            "Add Concat MatMul Mul Reshape Slice",
        )
        .opset(27)
        .outputs(2)
        .with(AttributeProto::string("update_rule", "linear"))
        .with(int("q_num_heads", 2))
        .with(int("kv_num_heads", 2)),
    ])
    .await;
}
