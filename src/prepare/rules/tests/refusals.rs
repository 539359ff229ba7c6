//! What no circuit has is refused by name, with what to do.

use super::*;

#[tokio::test]
async fn what_no_circuit_has_is_named() {
    let whole = |data: &[i64]| integers(element::INT64, &[data.len()], data);
    let narrow = |data: &[i64]| integers(12, &[data.len()], data);
    let cases = [
        (Case::new("NonZero", vec![floats(&[2, 3])], ""), "depends on the numbers"),
        (
            Case::new("Reshape", vec![floats(&[2, 3]), whole(&[3, 2])], ""),
            "input `x1` decides a shape or an order, which a circuit has fixed; give `x1` the value of the data for good: init with --fix x1",
        ),
        (
            Case::new("BitwiseAnd", vec![whole(&[1, 2]), whole(&[3, 4])], "").opset(18),
            "use a narrower type",
        ),
        (
            Case::new("BitShift", vec![whole(&[-8, 4]), whole(&[1, -3])], "")
                .with(AttributeProto::string("direction", "RIGHT")),
            "shifts by a negative number of places",
        ),
        (
            Case::new("BitShift", vec![narrow(&[1 << 30, 1]), narrow(&[1, 31])], "")
                .with(AttributeProto::string("direction", "LEFT")),
            "shifts bits out of a number of 32 bits",
        ),
        (Case::new("Det", vec![floats(&[5, 5])], ""), "a determinant of more than 4 rows"),
    ];
    for (case, reason) in cases {
        let error = case.prepared().await.expect_err("refused").to_string();
        assert!(error.contains(&case.node.op_type) && error.contains(reason), "{error}");
    }
}
