//! What no circuit has is refused by name, with what to do.

use super::*;

#[tokio::test]
async fn what_no_circuit_has_is_named() {
    let whole = |data: &[i64]| integers(element::INT64, &[data.len()], data);
    let cases = [
        (Case::new("NonZero", vec![floats(&[2, 3])], ""), "depends on the numbers"),
        (
            Case::new("Reshape", vec![floats(&[2, 3]), whole(&[3, 2])], ""),
            "`x1` depends on an input of the model and decides a shape",
        ),
        (
            Case::new("BitwiseAnd", vec![whole(&[1, 2]), whole(&[3, 4])], "").opset(18),
            "use a narrower type",
        ),
        (Case::new("Det", vec![floats(&[5, 5])], ""), "a determinant of more than 4 rows"),
    ];
    for (case, reason) in cases {
        let error = case.prepared().await.expect_err("refused").to_string();
        assert!(error.contains(&case.node.op_type) && error.contains(reason), "{error}");
    }
}
