//! Attention: products of queries and keys, a softmax over what may be seen, and what goes with them.

use super::masks::{self, Mask};
use crate::{
    onnx::{
        proto::{AttributeProto, NodeProto},
        tensor::element,
    },
    prepare::rewriter::{Outcome, Rewriter, axis},
};

/// A value of four axes: batch, heads, places, numbers.
struct Heads {
    name: String,
    shape: [usize; 4],
}

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let count = |name| node.int(name).and_then(|count| usize::try_from(count).ok());
    let flat = rewriter.shape(node.input_name(0)?)?.len() == 3;
    let query = heads(rewriter, node.input_name(0)?, count("q_num_heads"))?;
    let mut key = heads(rewriter, node.input_name(1)?, count("kv_num_heads"))?;
    let mut value = heads(rewriter, node.input_name(2)?, count("kv_num_heads"))?;
    let mut past = 0;
    for (place, to) in [(4, &mut key), (5, &mut value)] {
        if let Some(before) = node.input_name(place) {
            past = *rewriter.shape(before)?.get(2)?;
            to.name = rewriter.concat(&[before, &to.name], 2);
            to.shape[2] += past;
        }
    }
    let present = [key.name.clone(), value.name.clone()];
    for shared in [&mut key, &mut value] {
        if shared.shape[1] != query.shape[1] {
            let times = query.shape[1] / shared.shape[1].max(1);
            let places: Vec<_> = (0..query.shape[1]).map(|it| (it / times.max(1)) as i64).collect();
            shared.name = rewriter.gather(&shared.name, &places, 1);
        }
    }
    let scale = node.float("scale").unwrap_or(1.0 / (query.shape[3] as f32).sqrt());
    let scaled = rewriter.times(&query.name, scale);
    let turned = rewriter.transpose(&key.name, &[0, 1, 3, 2]);
    let products = rewriter.join("MatMul", &scaled, &turned);
    let mut scores = products.clone();
    let cap = node.float("softcap").unwrap_or(0.0);
    if cap != 0.0 {
        let small = rewriter.times(&scores, 1.0 / cap);
        let bent = rewriter.apply("Tanh", &small);
        scores = rewriter.times(&bent, cap);
    }
    let capped = scores.clone();
    let places = (query.shape[2], key.shape[2]);
    let mut mask = Mask::default();
    if let Some(given) = node.input_name(3) {
        let given = widened(rewriter, given, places.1)?;
        if given.1 == element::BOOL {
            mask.and(rewriter, &given.0, None);
        } else {
            scores = mask.add(rewriter, &scores, &given.0)?;
        }
    }
    window(rewriter, node, &mut mask, places, past)?;
    let biased = scores.clone();
    let shares = mask.softmax(rewriter, &scores, 3, places.1);
    let mixed = rewriter.join("MatMul", &shares, &value.name);
    let result = if flat {
        let [batch, count, places, _] = query.shape;
        let turned = rewriter.transpose(&mixed, &[0, 2, 1, 3]);
        rewriter.reshape(&turned, &[batch, places, count * value.shape[3]])
    } else {
        mixed
    };
    let mode = node.int("qk_matmul_output_mode").unwrap_or(0);
    if mode == 2 && mask.name().is_some() && rewriter.is_read(node, 3) {
        return Some(Outcome::Refuse(
            "its masked scores are infinite, and a circuit has no infinity; leave the output qk_matmul_output out".into(),
        ));
    }
    let shown = match mode {
        0 => products,
        1 => capped,
        2 => biased,
        _ => shares,
    };
    let [present_key, present_value] = present;
    Some(Outcome::Replace(vec![result, present_key, present_value, shown]))
}

fn heads(rewriter: &mut Rewriter<'_>, value: &str, count: Option<usize>) -> Option<Heads> {
    match *rewriter.shape(value)? {
        [batch, heads, places, size] => {
            Some(Heads { name: value.to_owned(), shape: [batch, heads, places, size] })
        }
        [batch, places, width] => {
            let count = count.filter(|count| *count > 0)?;
            let size = width / count;
            let split = rewriter.reshape(value, &[batch, places, count, size]);
            let name = rewriter.transpose(&split, &[0, 2, 1, 3]);
            Some(Heads { name, shape: [batch, count, places, size] })
        }
        _ => None,
    }
}

/// A mask for as many keys as there are; those that it leaves out can't be seen. With its type.
fn widened(rewriter: &mut Rewriter<'_>, mask: &str, keys: usize) -> Option<(String, i32)> {
    let shape = rewriter.shape(mask)?;
    let kind = rewriter.element(mask)?;
    let length = *shape.last()?;
    if length >= keys || length == 1 {
        return Some((mask.to_owned(), kind));
    }
    let mut rest = shape.to_vec();
    *rest.last_mut()? = keys - length;
    let count: usize = rest.iter().product();
    let rest = match kind {
        element::BOOL => {
            let none = crate::onnx::proto::TensorProto::booleans(&rest, &vec![false; count]);
            rewriter.weight(none)
        }
        _ => rewriter.floats(&rest, &vec![f32::NEG_INFINITY; count]),
    };
    Some((rewriter.concat(&[mask, &rest], shape.len() - 1), kind))
}

/// What each place may see of those before and after it.
fn window(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    mask: &mut Mask,
    (queries, keys): (usize, usize),
    past: usize,
) -> Option<()> {
    let bound = |name| node.int(name).filter(|bound| *bound >= 0);
    let left = bound("left_window_size");
    let mut right = bound("right_window_size");
    if node.int("is_causal") == Some(1) {
        right = Some(0);
    }
    // How far a key's place lies after the query's, apart from the keys that come before all queries.
    let distance: Vec<i64> =
        (0..queries * keys).map(|it| (it % keys) as i64 - (it / keys) as i64).collect();
    if let Some(filled) = node.input_name(6) {
        let filled = rewriter.cast(filled, element::INT64);
        let batch = *rewriter.shape(node.input_name(6)?)?.first()?;
        let filled = rewriter.reshape(&filled, &[batch, 1, 1, 1]);
        let range: Vec<_> = (0..keys as i64).collect();
        let range = rewriter.integer_tensor(&[1, 1, 1, keys], &range);
        let there = rewriter.join("Less", &range, &filled);
        mask.and(rewriter, &there, None);
        for (bound, operator) in [(right, "LessOrEqual"), (left.map(|it| -it), "GreaterOrEqual")] {
            let Some(bound) = bound else { continue };
            let least: Vec<_> = distance.iter().map(|it| it - bound + queries as i64).collect();
            let least = rewriter.integer_tensor(&[1, 1, queries, keys], &least);
            let seen = rewriter.join(operator, &least, &filled);
            mask.and(rewriter, &seen, None);
        }
        return Some(());
    }
    if left.is_none() && right.is_none() {
        return Some(());
    }
    let seen = |distance: &i64| {
        let distance = distance - past as i64;
        right.is_none_or(|right| distance <= right) && left.is_none_or(|left| distance >= -left)
    };
    let seen: Vec<bool> = distance.iter().map(seen).collect();
    let weight = masks::constant(rewriter, &[queries, keys], &seen);
    mask.and(rewriter, &weight, Some((vec![queries, keys], seen)));
    Some(())
}

/// Numbers turned in pairs by angles that depend on the place.
pub(super) fn rotary(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let count = node.int("num_heads").and_then(|count| usize::try_from(count).ok());
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let given = heads(rewriter, value, count)?;
    let [batch, count, places, size] = given.shape;
    let turned = match node.int("rotary_embedding_dim").unwrap_or(0) {
        0 => size,
        part => usize::try_from(part).ok()?,
    };
    let half = turned / 2;
    let (first, second): (Vec<i64>, Vec<i64>) = if node.int("interleaved") == Some(1) {
        (0..half as i64).map(|it| (2 * it, 2 * it + 1)).unzip()
    } else {
        (0..half as i64).map(|it| (it, it + half as i64)).unzip()
    };
    let mut angles = Vec::new();
    for place in [1, 2] {
        let cache = node.input_name(place)?;
        let cache = match node.input_name(3) {
            Some(ids) => rewriter.node("Gather", &[cache, ids], [AttributeProto::int("axis", 0)]),
            None => cache.to_owned(),
        };
        angles.push(rewriter.reshape(&cache, &[batch, 1, places, half]));
    }
    let [cosine, sine] = <[String; 2]>::try_from(angles).ok()?;
    let one = rewriter.gather(&given.name, &first, 3);
    let other = rewriter.gather(&given.name, &second, 3);
    let mut product = |value: &str, angle: &str| rewriter.join("Mul", value, angle);
    let parts = [
        product(&one, &cosine),
        product(&other, &sine),
        product(&one, &sine),
        product(&other, &cosine),
    ];
    let real = rewriter.join("Sub", &parts[0], &parts[1]);
    let imaginary = rewriter.join("Add", &parts[2], &parts[3]);
    let mut joined = rewriter.concat(&[&real, &imaginary], 3);
    let order: Vec<i64> = first.iter().chain(&second).copied().collect();
    if !order.is_sorted() {
        let mut back = vec![0; order.len()];
        for (from, to) in order.iter().enumerate() {
            back[usize::try_from(*to).ok()?] = from as i64;
        }
        joined = rewriter.gather(&joined, &back, 3);
    }
    if turned < size {
        let rest = rewriter.slice(&given.name, 3, turned, size);
        joined = rewriter.concat(&[&joined, &rest], 3);
    }
    if shape.len() == 3 {
        let back = rewriter.transpose(&joined, &[0, 2, 1, 3]);
        joined = rewriter.reshape(&back, &[batch, places, count * size]);
    }
    Some(Outcome::one(joined))
}

/// A softmax over scores of which some are put out of sight by a very low number.
pub(super) fn softmax(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let (rank, length) = (shape.len(), *shape.last()?);
    let place = axis(node.int("axis").unwrap_or(-1), rank).filter(|place| place + 1 == rank)?;
    let maker = rewriter.maker(value)?;
    let mut mask = Mask::default();
    let scores = match maker.op_type.as_str() {
        "Add" => {
            let (left, right) = (maker.input_name(0)?, maker.input_name(1)?);
            let (scores, term) = match masks::hides(rewriter, right) {
                true => (left, right),
                false if masks::hides(rewriter, left) => (right, left),
                false => return None,
            };
            mask.add(rewriter, scores, term)?
        }
        "Where" => {
            let condition = maker.input_name(0)?;
            let (seen, hidden) = (maker.input_name(1)?, maker.input_name(2)?);
            if masks::is_low(rewriter, hidden) {
                mask.and(rewriter, condition, None);
                seen.to_owned()
            } else if masks::is_low(rewriter, seen) {
                let condition = rewriter.apply("Not", condition);
                mask.and(rewriter, &condition, None);
                hidden.to_owned()
            } else {
                return None;
            }
        }
        _ => return None,
    };
    Some(Outcome::one(mask.softmax(rewriter, &scores, place, length)))
}
