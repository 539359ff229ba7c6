//! Shapes, places and pictures.

use super::*;

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto::int(name, value)
}

fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto::string(name, value)
}

#[tokio::test]
async fn places() {
    let x = || vec![floats(&[3, 4])];
    let places = || vec![floats(&[3, 4]), integers(element::INT64, &[2], &[-1, 1])];
    all(vec![
        Case::new("Gather", x(), "Gather").list(&[-1, 1]),
        Case::new("Gather", places(), "Add Cast Gather Less Mul"),
        Case::new("GatherElements", x(), "GatherElements")
            .weight(TensorProto::integers(&[1, 4], &[-1, 0, 1, -2])),
        Case::new("Compress", x(), "Gather")
            .with(int("axis", 1))
            .weight(TensorProto::booleans(&[4], &[false, true, true, false])),
        Case::new("ReverseSequence", x(), "Gather Reshape")
            .with(int("batch_axis", 0))
            .with(int("time_axis", 1))
            .list(&[2, 4, 1]),
        Case::new(
            "ScatterElements",
            vec![
                floats(&[3, 4]),
                integers(element::INT64, &[2, 4], &[0, 2, 1, 0, 0, 2, 2, 1]),
                floats(&[2, 4]),
            ],
            "Add Cast Equal Mul ReduceSum Reshape",
        )
        .opset(18)
        .with(string("reduction", "add")),
        Case::new(
            "ScatterND",
            vec![floats(&[3, 4]), integers(element::INT64, &[2, 1], &[2, 0]), floats(&[2, 4])],
            "Add Cast Equal Max Mul ReduceMax ReduceSum Reshape Sub",
        )
        .opset(18)
        .with(string("reduction", "max")),
        Case::new("ArgMax", x(), "ArgMax Gather Sub").with(int("select_last_index", 1)),
        Case::new(
            "OneHot",
            vec![integers(element::INT64, &[2], &[1, -2])],
            "Add Cast Equal Mul Unsqueeze",
        )
        .scalar(3)
        .weight(TensorProto::floats(&[2], &[-1.0, 2.0])),
    ])
    .await;
}

#[tokio::test]
async fn shapes() {
    let x = || vec![floats(&[3, 4])];
    let pads = [1, 2, 0, 1];
    let mut numbers_alone = Case::new("TopK", vec![floats(&[2, 5])], "TopK").outputs(2).list(&[3]);
    numbers_alone.alone = true;
    all(vec![
        Case::new("MatMul", vec![floats(&[5]), floats(&[5])], "MatMul Reshape"),
        Case::new("MatMul", vec![floats(&[3, 1, 2, 4]), floats(&[1, 2, 4, 3])], "Expand MatMul"),
        Case::new("MatMul", vec![floats(&[2, 3, 4]), floats(&[4, 2])], "MatMul"),
        Case::new("Pad", x(), "Gather").with(string("mode", "reflect")).list(&pads),
        Case::new("Pad", x(), "Gather").with(string("mode", "edge")).list(&pads),
        Case::new("Pad", x(), "Pad").list(&pads),
        Case::new("Pad", x(), "Add Pad").list(&pads).weight(TensorProto::floats(&[], &[1.5])),
        Case::new("Pad", x(), "Pad Slice").list(&[-1, 2, 0, -1]),
        Case::new("CumSum", x(), "MatMul Transpose")
            .with(int("exclusive", 1))
            .with(int("reverse", 1))
            .scalar(0),
        Case::new("CenterCropPad", x(), "Pad Slice").opset(18).list(&[5, 2]),
        Case::new("Tile", x(), "Gather").list(&[2, 3]),
        Case::new("Trilu", vec![floats(&[2, 3, 4])], "Mul").with(int("upper", 0)).scalar(-1),
        Case::new("Trilu", vec![integers(element::INT64, &[2, 3], &[1, 2, 3, 4, 5, 6])], "Mul"),
        Case::new("Expand", vec![floats(&[3, 1])], "Expand Reshape").list(&[2, 1, 4]),
        Case::new("Expand", vec![floats(&[3, 1])], "Expand").list(&[3, 4]),
        Case::new("ReduceProd", vec![floats(&[3, 5])], "Concat Mul Slice"),
        Case::new("ReduceProd", vec![floats(&[3, 2])], "ReduceProd")
            .with(AttributeProto::ints("axes", [1])),
        Case::new(
            "TopK",
            vec![floats(&[2, 5])],
            "Add ArgMax Cast Concat Equal Mul ReduceMax ReduceMin Sub",
        )
        .outputs(2)
        .list(&[3]),
        numbers_alone,
        Case::new("Col2Im", vec![floats(&[1, 8, 6])], "Add Concat Gather Reshape")
            .opset(18)
            .list(&[3, 4])
            .list(&[2, 2]),
        Case::new("Einsum", vec![floats(&[2, 3, 3])], "Gather Reshape")
            .with(string("equation", "...ii->...i")),
        Case::new("Dropout", x(), "Identity")
            .weight(TensorProto::floats(&[], &[0.5]))
            .weight(TensorProto::booleans(&[], &[false])),
        Case::new("Split", vec![floats(&[7])], "Split")
            .opset(18)
            .outputs(2)
            .with(int("num_outputs", 2)),
    ])
    .await;
}

#[tokio::test]
async fn pictures() {
    let x = || vec![floats(&[1, 2, 4, 5])];
    let resize = |left| Case::new("Resize", x(), left).none();
    let scales = || TensorProto::floats(&[4], &[1.0, 1.0, 0.6, 1.7]);
    all(vec![
        resize("Gather").weight(scales()),
        resize("MatMul Transpose").weight(scales()).with(string("mode", "linear")),
        resize("MatMul Transpose").weight(scales()).with(string("mode", "cubic")),
        resize("MatMul Transpose")
            .opset(18)
            .weight(scales())
            .with(string("mode", "linear"))
            .with(int("antialias", 1)),
        resize("MatMul Transpose")
            .none()
            .list(&[1, 2, 3, 8])
            .with(string("mode", "linear"))
            .with(string("coordinate_transformation_mode", "align_corners")),
        Case::new(
            "GridSample",
            vec![floats(&[1, 2, 4, 5]), floats(&[1, 2, 3, 2])],
            "Abs Add Gather MatMul Mul Relu Reshape Sub Transpose",
        )
        .opset(20),
        Case::new("AffineGrid", vec![floats(&[2, 2, 3])], "MatMul Reshape Transpose")
            .opset(20)
            .list(&[2, 1, 3, 4]),
    ])
    .await;
}

#[tokio::test]
async fn spectra_and_determinants() {
    let signal = || vec![floats(&[2, 6, 1])];
    all(vec![
        Case::new("DFT", signal(), "MatMul Reshape").opset(20),
        Case::new("DFT", vec![floats(&[2, 6, 2])], "MatMul Reshape").with(int("inverse", 1)),
        Case::new("STFT", signal(), "Gather MatMul Reshape").scalar(2).none().scalar(4),
        Case::new("Det", vec![floats(&[2, 3, 3])], "Add Gather Mul Sub"),
    ])
    .await;
}

#[tokio::test]
async fn booleans_are_reduced_as_numbers() {
    let x = integers(element::BOOL, &[2, 2], &[1, 0, 0, 0]);
    all(vec![
        Case::new("ReduceMax", vec![x], "Cast Greater Less Or ReduceMax").opset(20).list(&[1]),
    ])
    .await;
}
