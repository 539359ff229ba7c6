//! Linear models.

use super::{
    super::super::rewriter::{Outcome, Rewriter},
    ensemble::{Fault, Post, post},
    matrix,
    scores::Scores,
};
use crate::onnx::proto::NodeProto;

/// LinearRegressor.
pub(super) fn regressor(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let targets = usize::try_from(node.int("targets").unwrap_or(1)).unwrap_or(1);
    let scores = apply(
        rewriter,
        &value,
        &rows_of(node.floats("coefficients"), targets)?,
        node.floats("intercepts"),
    );
    // For one target ONNX Runtime does nothing more.
    let post = post(node.string("post_transform").unwrap_or("NONE"))?;
    let scores = if targets == 1 { scores } else { scores.post(rewriter, post) };
    Ok(Some(Outcome::one(scores.name)))
}

/// LinearClassifier.
pub(super) fn classifier(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let post = post(node.string("post_transform").unwrap_or("NONE"))?;
    let intercepts = node.floats("intercepts");
    let labels = node.ints("classlabels_ints");
    let coefficients = node.floats("coefficients");
    let classes = coefficients.len() / value.columns.max(1);
    let rows = rows_of(coefficients, classes)?;
    if let [row] = rows.as_slice() {
        let score = apply(rewriter, &value, std::slice::from_ref(row), intercepts);
        let (labels, scores) = match labels {
            [first, second] => {
                let score =
                    if post == Post::Logistic { score.logistic(rewriter) } else { score.clone() };
                ([*first, *second], score.rest(rewriter).beside(rewriter, &score))
            }
            _ => ([0, 1], score.clone()),
        };
        let label = score.above(rewriter, 0.0, labels);
        return Ok(Some(Outcome::Replace(vec![label, scores.name])));
    }
    if let ([first, second], [one, other], [a, b]) = (rows.as_slice(), labels, intercepts)
        && first.iter().zip(second).all(|(first, second)| *first == -*second)
        && *a == -*b
    {
        // The one score is the other's negative, as scikit-learn has it for two classes.
        let score = apply(rewriter, &value, std::slice::from_ref(second), &[*b]);
        let label = score.above(rewriter, 0.0, [*one, *other]);
        let scores = match post {
            Post::Nothing => score.negative(rewriter).beside(rewriter, &score),
            Post::Logistic => {
                let second = score.logistic(rewriter);
                second.rest(rewriter).beside(rewriter, &second)
            }
            Post::Softmax => {
                let twice: Vec<f32> = second.iter().map(|weight| 2.0 * weight).collect();
                let second = apply(rewriter, &value, &[twice], &[2.0 * b]).logistic(rewriter);
                second.rest(rewriter).beside(rewriter, &second)
            }
        };
        return Ok(Some(Outcome::Replace(vec![label, scores.name])));
    }
    let scores = apply(rewriter, &value, &rows, intercepts);
    let label = scores.largest(rewriter, labels);
    Ok(Some(Outcome::Replace(vec![label, scores.post(rewriter, post).name])))
}

/// `value` times each row, and the intercepts.
pub(super) fn apply(
    rewriter: &mut Rewriter<'_>,
    value: &Scores,
    rows: &[Vec<f32>],
    intercepts: &[f32],
) -> Scores {
    let weights: Vec<f32> =
        (0..value.columns).flat_map(|place| rows.iter().map(move |row| row[place])).collect();
    let weights = rewriter.floats(&[value.columns, rows.len()], &weights);
    let name = rewriter.node("MatMul", &[&value.name, &weights], []);
    Scores { name, rows: value.rows, columns: rows.len() }.plus(rewriter, intercepts)
}

fn rows_of(coefficients: &[f32], rows: usize) -> Result<Vec<Vec<f32>>, Fault> {
    match rows {
        0 => Err("it has no coefficients; export the model again".to_owned()),
        rows => {
            Ok(coefficients.chunks_exact(coefficients.len() / rows).map(<[f32]>::to_vec).collect())
        }
    }
}
