//! How often short runs of tokens come.

use crate::{
    onnx::{proto::NodeProto, tensor::element},
    prepare::rewriter::{Outcome, Rewriter},
};

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let tokens = *shape.last()?;
    let batch = if shape.len() == 2 { shape[0] } else { 1 };
    let pool = node.ints("pool_int64s");
    if pool.is_empty() {
        return Some(Outcome::Refuse("a circuit has no text; give it the words' numbers".into()));
    }
    let count = |name: &str| usize::try_from(node.int(name)?).ok();
    let (least, most) = (count("min_gram_length")?, count("max_gram_length")?);
    let skips = count("max_skip_count").unwrap_or(0);
    let (starts, places) = (node.ints("ngram_counts"), node.ints("ngram_indexes"));
    let width = usize::try_from(places.iter().max()? + 1).ok()?;
    let whole = rewriter.cast(value, element::INT64);
    let whole = rewriter.reshape(&whole, &[batch, tokens]);
    // For each column of the result the place among the runs that are counted; the first of these counts nothing.
    let mut order = vec![0_i64; width];
    let mut counted = vec![rewriter.floats(&[batch, 1], &vec![0.0; batch])];
    let (mut number, mut next) = (0, 1);
    for (at, start) in starts.iter().enumerate() {
        let length = at + 1;
        let end = starts.get(at + 1).copied().unwrap_or(pool.len() as i64);
        let runs = pool.get(usize::try_from(*start).ok()?..usize::try_from(end).ok()?)?;
        let windows = windows(tokens, length, if length == 1 { 0 } else { skips });
        let known = (least..=most).contains(&length) && !windows.is_empty();
        for _ in 0..runs.len() / length {
            if known {
                *order.get_mut(usize::try_from(*places.get(number)?).ok()?)? = next;
                next += 1;
            }
            number += 1;
        }
        if !known || runs.is_empty() {
            continue;
        }
        let taken = windows.concat();
        let taken = rewriter.gather(&whole, &taken, 1);
        let taken = rewriter.reshape(&taken, &[batch, windows.len(), 1, length]);
        let runs = rewriter.integer_tensor(&[1, 1, runs.len() / length, length], runs);
        let same = rewriter.same(value, &taken, &runs);
        let mut all = rewriter.pick(&same, 0, 3);
        for token in 1..length {
            let one = rewriter.pick(&same, token as i64, 3);
            all = rewriter.join("Mul", &all, &one);
        }
        counted.push(rewriter.reduce("ReduceSum", &all, &[1], false));
    }
    let counted: Vec<&str> = counted.iter().map(String::as_str).collect();
    let counted = rewriter.concat(&counted, 1);
    let mut result = rewriter.gather(&counted, &order, 1);
    let mode = node.string("mode")?;
    if mode == "IDF" {
        result = rewriter.clip(&result, 0.0, 1.0);
    }
    if mode != "TF" && !node.floats("weights").is_empty() {
        let mut weights = vec![0f32; width];
        for (place, weight) in places.iter().zip(node.floats("weights")) {
            *weights.get_mut(usize::try_from(*place).ok()?)? = *weight;
        }
        let weights = rewriter.floats(&[1, width], &weights);
        result = rewriter.join("Mul", &result, &weights);
    }
    let lead = &shape[..shape.len() - 1];
    let result_shape: Vec<usize> = lead.iter().copied().chain([width]).collect();
    Some(Outcome::one(rewriter.reshape(&result, &result_shape)))
}

/// The places of every run of so many tokens, also with others skipped in between.
fn windows(tokens: usize, length: usize, skips: usize) -> Vec<Vec<i64>> {
    let mut found = Vec::new();
    for step in 1..=skips + 1 {
        let reach = (length - 1) * step;
        for first in 0..tokens.saturating_sub(reach) {
            found.push((0..length).map(|it| (first + it * step) as i64).collect());
        }
    }
    found
}
