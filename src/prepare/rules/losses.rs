//! Losses over classes, by a one-hot form of the target.

use crate::{
    onnx::{proto::NodeProto, tensor::element},
    prepare::rewriter::{Outcome, Rewriter},
};

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let (scores, target) = (node.input_name(0)?, node.input_name(1)?);
    let classes = *rewriter.shape(scores)?.get(1)?;
    let rank = rewriter.shape(scores)?.len();
    let logs = match node.op_type.as_str() {
        "SoftmaxCrossEntropyLoss" => rewriter.softmax("LogSoftmax", scores, 1),
        _ => scores.to_owned(),
    };
    let reduction = node.string("reduction").unwrap_or("mean").to_owned();
    let ignored = node.int("ignore_index");
    let chosen = one_hot(rewriter, target, classes, rank);
    let weights = weights(rewriter, node.input_name(2), classes, rank, ignored);
    let chosen = match &weights {
        Some(weights) => rewriter.join("Mul", &chosen, weights),
        None => chosen,
    };
    let picked = rewriter.join("Mul", &chosen, &logs);
    let picked = rewriter.apply("Neg", &picked);
    let loss = match reduction.as_str() {
        "none" => rewriter.reduce("ReduceSum", &picked, &[1], false),
        "sum" => total(rewriter, &picked, rank),
        _ => {
            let mean = mean(rewriter, &picked, rank);
            // An index outside of the classes is none of them, so that the weights say how many count.
            let outside = ignored.is_some_and(|it| !(0..classes as i64).contains(&it));
            if weights.is_some() || outside {
                let counted = self::mean(rewriter, &chosen, rank);
                rewriter.join("Div", &mean, &counted)
            } else {
                mean
            }
        }
    };
    Some(Outcome::Replace(vec![loss, logs]))
}

fn total(rewriter: &mut Rewriter<'_>, value: &str, rank: usize) -> String {
    let axes: Vec<_> = (0..rank).collect();
    rewriter.reduce("ReduceSum", value, &axes, false)
}

/// The sum over classes, and of these the mean, axis by axis: one over the number of all has few digits in fixed
/// point.
fn mean(rewriter: &mut Rewriter<'_>, value: &str, rank: usize) -> String {
    let mut now = rewriter.reduce("ReduceSum", value, &[1], false);
    for _ in 1..rank {
        now = rewriter.reduce("ReduceMean", &now, &[0], false);
    }
    now
}

/// One where the class is the target's, along axis 1.
fn one_hot(rewriter: &mut Rewriter<'_>, target: &str, classes: usize, rank: usize) -> String {
    let spread = rewriter.cast(target, element::INT64);
    let spread = rewriter.unsqueeze(&spread, &[1]);
    let mut shape = vec![1; rank];
    shape[1] = classes;
    let range: Vec<i64> = (0..classes as i64).collect();
    let range = rewriter.integer_tensor(&shape, &range);
    rewriter.same(target, &spread, &range)
}

/// The weight of each class, along axis 1; none where all count the same.
fn weights(
    rewriter: &mut Rewriter<'_>,
    given: Option<&str>,
    classes: usize,
    rank: usize,
    ignored: Option<i64>,
) -> Option<String> {
    let mut shape = vec![1; rank];
    shape[1] = classes;
    let counted = ignored.and_then(|it| usize::try_from(it).ok()).filter(|it| *it < classes);
    let counted = counted.map(|ignored| {
        let counted: Vec<f32> =
            (0..classes).map(|class| if class == ignored { 0.0 } else { 1.0 }).collect();
        rewriter.floats(&shape, &counted)
    });
    let given = given.map(|given| rewriter.reshape(given, &shape));
    match (given, counted) {
        (Some(given), Some(counted)) => Some(rewriter.join("Mul", &given, &counted)),
        (given, counted) => given.or(counted),
    }
}

/// A table of zeros and ones: `OneHot` with a depth and two values that are known.
pub(super) fn one_hot_rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let places = node.input_name(0)?;
    let rank = rewriter.shape(places)?.len();
    let depth = *rewriter.numbers(node.input_name(1)?)?.first()? as i64;
    let axis = match node.int("axis").unwrap_or(-1) {
        axis if axis < 0 => usize::try_from(axis + rank as i64 + 1).ok()?,
        axis => usize::try_from(axis).ok()?,
    };
    let mut shape = vec![1; rank + 1];
    *shape.get_mut(axis)? = usize::try_from(depth).ok()?;
    let whole = rewriter.cast(places, element::INT64);
    let spread = rewriter.unsqueeze(&whole, &[axis as i64]);
    let mut table: Option<String> = None;
    // A place may count from the end; an ArgMax's does not.
    let from_end = rewriter.maker(places).is_none_or(|it| !it.op_type.starts_with("Arg"));
    for from in [0, depth].iter().take(if from_end { 2 } else { 1 }) {
        let range: Vec<i64> = (0..depth).map(|place| place - from).collect();
        let range = rewriter.integer_tensor(&shape, &range);
        let same = rewriter.same(places, &spread, &range);
        table = Some(match table {
            None => same,
            Some(table) => rewriter.join("Add", &table, &same),
        });
    }
    let (values, table) = (node.input_name(2)?, table?);
    let kind = rewriter.element(values)?;
    let values = rewriter.as_float(values);
    let (off, on) = (rewriter.slice(&values, 0, 0, 1), rewriter.slice(&values, 0, 1, 2));
    let step = rewriter.join("Sub", &on, &off);
    let table = rewriter.join("Mul", &table, &step);
    let table = rewriter.join("Add", &table, &off);
    Some(Outcome::one(rewriter.as_whole(&table, kind)))
}
