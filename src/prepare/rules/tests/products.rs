//! Convolutions as products of matrices.

use super::*;

fn weights(shape: &[usize]) -> TensorProto {
    let values: Vec<f32> = floats(shape).data.iter().map(|it| *it as f32).collect();
    TensorProto::floats(shape, &values)
}

fn conv(input: &[usize], kernel: &[usize]) -> Case {
    Case::new("Conv", vec![floats(input)], "").weight(weights(kernel))
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto::int(name, value)
}

fn list(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto::ints(name, values)
}

async fn left(case: &Case, convolutions: Convolutions) -> String {
    case.prepared_with(convolutions).await.expect("prepared").model.operators().join(" ")
}

#[tokio::test]
async fn every_form_of_a_convolution_is_the_same_as_a_product() {
    let product = "Gather MatMul Reshape Transpose";
    for (case, expected) in [
        (conv(&[1, 3, 8, 8], &[16, 3, 3, 3]), product),
        (
            conv(&[1, 3, 8, 9], &[16, 3, 3, 2])
                .weight(weights(&[16]))
                .with(list("pads", &[1, 0, 2, 1]))
                .with(list("strides", &[2, 1])),
            "Add Gather MatMul Pad Reshape Transpose",
        ),
        (
            conv(&[1, 8, 6, 6], &[32, 4, 3, 3]).weight(weights(&[32])).with(int("group", 2)),
            "Add Concat Gather MatMul Reshape Transpose",
        ),
        (conv(&[2, 4, 20], &[12, 4, 5]), product),
        (conv(&[1, 3, 9, 9], &[16, 3, 3, 3]).with(list("dilations", &[2, 2])), product),
        (conv(&[1, 2, 5, 5, 5], &[16, 2, 2, 3, 2]), product),
        // Nothing is saved: a channel has a kernel of its own.
        (conv(&[1, 8, 6, 6], &[8, 1, 3, 3]).with(int("group", 8)), "Conv"),
        // A kernel that is no constant.
        (Case::new("Conv", vec![floats(&[1, 3, 8, 8]), floats(&[16, 3, 3, 3])], ""), "Conv"),
    ] {
        assert_eq!(left(&case, Convolutions::Products).await, expected, "{:?}", case.node);
    }
}

#[tokio::test]
async fn small_networks_keep_their_convolutions_unless_told_otherwise() {
    let small = conv(&[1, 3, 16, 16], &[16, 3, 3, 3]);
    assert_eq!(left(&small, Convolutions::Auto).await, "Conv");
    let large = conv(&[1, 8, 24, 24], &[16, 8, 3, 3]);
    assert_eq!(left(&large, Convolutions::Auto).await, "Gather MatMul Reshape Transpose");
    assert_eq!(left(&large, Convolutions::Plain).await, "Conv");
}
