//! Functions of numbers: curves, integers, quantised arithmetic, norms, losses.

use super::*;

fn attribute(name: &str, value: f32) -> AttributeProto {
    AttributeProto::float(name, value)
}

#[tokio::test]
async fn curves() {
    let x = || vec![floats(&[2, 3])];
    all(vec![
        Case::new("Celu", x(), "Elu Mul").with(attribute("alpha", 2.0)),
        Case::new("Gelu", x(), "Add Erf Mul").opset(20),
        Case::new("Gelu", x(), "Add Mul Tanh")
            .opset(20)
            .with(AttributeProto::string("approximate", "tanh")),
        Case::new("Mish", x(), "Mul Softplus Tanh").opset(18),
        Case::new("IsNaN", x(), "Identity"),
        // What ezkl takes stays.
        Case::new("Elu", x(), "Elu").with(attribute("alpha", 2.0)),
        Case::new("Sigmoid", x(), "Sigmoid"),
        Case::new("Max", x(), "Identity"),
    ])
    .await;
}

#[tokio::test]
async fn norms() {
    let (x, channels) = (|| floats(&[2, 4, 3, 5]), || floats(&[4]));
    all(vec![
        Case::new("RMSNormalization", vec![x(), floats(&[5])], "Add Div Mul ReduceMean Sqrt")
            .opset(23),
        Case::new(
            "InstanceNormalization",
            vec![x(), channels(), channels()],
            "Add Div Mul ReduceMean Reshape Sqrt Sub",
        )
        .with(attribute("epsilon", 0.5)),
        Case::new(
            "GroupNormalization",
            vec![x(), channels(), channels()],
            "Add Div Mul ReduceMean Reshape Sqrt Sub",
        )
        .opset(21)
        .with(AttributeProto::int("num_groups", 2)),
        Case::new("LpNormalization", vec![x()], "Abs Add Div ReduceSum")
            .with(AttributeProto::int("p", 1))
            .with(AttributeProto::int("axis", 1)),
        Case::new("MeanVarianceNormalization", vec![x()], "Add Div Mul ReduceMean Sqrt Sub"),
        Case::new("LRN", vec![x()], "Add Div MatMul Mul Pow Reshape")
            .with(AttributeProto::int("size", 3))
            .with(attribute("alpha", 0.5)),
    ])
    .await;
}

#[tokio::test]
async fn whole_numbers() {
    let pair = |kind, one: &[i64], other: &[i64]| {
        vec![integers(kind, &[one.len()], one), integers(kind, &[other.len()], other)]
    };
    let (signed, divisors) = ([7, -7, 8, -9, 12], [2, 2, -3, -3, 4]);
    all(vec![
        Case::new(
            "Div",
            pair(element::INT32, &signed, &divisors),
            "Abs Add Cast Div Floor Mul Sign",
        ),
        Case::new(
            "Mod",
            pair(element::INT32, &signed, &divisors),
            "Add Cast Div Floor Mul Sign Sub",
        ),
        Case::new(
            "Mod",
            pair(element::INT32, &signed, &divisors),
            "Abs Add Cast Div Floor Mul Sign Sub",
        )
        .with(AttributeProto::int("fmod", 1)),
        Case::new(
            "BitShift",
            pair(element::UINT8, &[16, 4, 255], &[1, 3, 7]),
            "Cast Equal Floor Mul ReduceSum Sub Unsqueeze",
        )
        .with(AttributeProto::string("direction", "LEFT")),
        Case::new("BitwiseNot", vec![integers(element::INT32, &[3], &[0, 5, -6])], "Cast Sub")
            .opset(18),
        Case::new(
            "BitwiseXor",
            pair(element::INT8, &[5, -3, 127], &[-1, 6, -128]),
            "Add Cast Floor Mul Sub",
        )
        .opset(18),
        Case::new("Cast", vec![floats(&[5])], "Abs Cast Floor Mul Sign")
            .with(AttributeProto::int("to", i64::from(element::INT32))),
        Case::new("Cast", vec![floats(&[5])], "Greater Less Or")
            .with(AttributeProto::int("to", i64::from(element::BOOL))),
        // Nothing is cut off.
        Case::new("Cast", vec![integers(element::INT32, &[2], &[3, -4])], "Cast")
            .with(AttributeProto::int("to", i64::from(element::FLOAT))),
        Case::new("Pow", vec![floats(&[4])], "Pow Reciprocal")
            .weight(TensorProto::floats(&[], &[-2.0])),
        Case::new("Pow", vec![floats(&[4])], "Pow").weight(TensorProto::floats(&[], &[3.0])),
    ])
    .await;
}

#[tokio::test]
async fn quantised() {
    let scale = |value: f32| TensorProto::floats(&[], &[value]);
    let zero = |kind, value: u8| TensorProto::raw(kind, &[], vec![value]);
    let (eight, small) = (element::UINT8, element::INT8);
    all(vec![
        Case::new("QuantizeLinear", vec![floats(&[2, 5])], "Add Cast Clip Div Round")
            .weight(scale(0.01))
            .weight(zero(eight, 100)),
        Case::new(
            "DequantizeLinear",
            vec![integers(small, &[2, 3], &[-128, 3, 127, 0, 5, 6])],
            "Cast Mul Sub",
        )
        .weight(scale(0.25))
        .weight(zero(small, 7)),
        Case::new(
            "MatMulInteger",
            vec![
                integers(eight, &[2, 2], &[1, 255, 7, 0]),
                integers(eight, &[2, 2], &[9, 3, 200, 1]),
            ],
            "Cast MatMul Sub",
        )
        .weight(zero(eight, 12))
        .weight(zero(eight, 3)),
    ])
    .await;
}

#[tokio::test]
async fn losses() {
    let target = || integers(element::INT64, &[3], &[2, 0, 1]);
    let loss = "SoftmaxCrossEntropyLoss";
    all(vec![
        Case::new(
            loss,
            vec![floats(&[3, 5]), target()],
            "Cast Equal LogSoftmax Mul Neg ReduceMean ReduceSum Unsqueeze",
        ),
        Case::new(
            loss,
            vec![floats(&[3, 5]), target(), floats(&[5])],
            "Cast Div Equal LogSoftmax Mul Neg ReduceMean ReduceSum Reshape Unsqueeze",
        )
        .with(AttributeProto::int("ignore_index", 0)),
        Case::new(
            "NegativeLogLikelihoodLoss",
            vec![floats(&[3, 5, 2]), integers(element::INT64, &[3, 2], &[2, 0, 1, 4, 3, 3])],
            "Cast Equal Mul Neg ReduceSum Unsqueeze",
        )
        .with(AttributeProto::string("reduction", "none")),
    ])
    .await;
}
