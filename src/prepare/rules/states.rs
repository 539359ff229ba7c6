//! Operators of newer language models that carry a state from token to token.

use crate::{
    onnx::{
        proto::{AttributeProto, NodeProto},
        tensor::element,
    },
    prepare::rewriter::{Outcome, Rewriter, axis},
};

/// A matrix for each head that every token adds to and reads from, token by token.
pub(super) fn linear_attention(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let count = |name| usize::try_from(node.int(name)?).ok().filter(|count| *count > 0);
    let (queries, heads) = (count("q_num_heads")?, count("kv_num_heads")?);
    let [batch, tokens, width] = *rewriter.shape(node.input_name(0)?)? else { return None };
    let values = *rewriter.shape(node.input_name(2)?)?.get(2)? / heads;
    let (keys, shared) = (width / queries, queries / heads);
    let rule = node.string("update_rule").unwrap_or("gated_delta");
    let scale = match node.float("scale").unwrap_or(0.0) {
        0.0 => 1.0 / (keys as f32).sqrt(),
        scale => scale,
    };
    let mut state = match node.input_name(3) {
        Some(past) => rewriter.reshape(past, &[batch * heads, keys, values]),
        None => {
            let none = vec![0f32; batch * heads * keys * values];
            rewriter.floats(&[batch * heads, keys, values], &none)
        }
    };
    let decay = match node.input_name(4).filter(|_| rule.starts_with("gated")) {
        Some(decay) => {
            let width = *rewriter.shape(decay)?.get(2)?;
            let factor = rewriter.apply("Exp", decay);
            Some((factor, width / heads))
        }
        None => None,
    };
    let delta = rule.ends_with("delta");
    let mut outputs = Vec::new();
    for token in 0..tokens {
        // One token of a packed input, as matrices of its heads.
        let of = |rewriter: &mut Rewriter<'_>, name: &str, shape: &[usize]| {
            let now = rewriter.slice(name, 1, token, token + 1);
            rewriter.reshape(&now, shape)
        };
        let key = of(rewriter, node.input_name(1)?, &[batch * heads, keys, 1]);
        let mut value = of(rewriter, node.input_name(2)?, &[batch * heads, 1, values]);
        if let Some((factor, width)) = &decay {
            let factor = of(rewriter, factor, &[batch * heads, *width, 1]);
            state = rewriter.join("Mul", &state, &factor);
        }
        if delta {
            let row = rewriter.transpose(&key, &[0, 2, 1]);
            let known = rewriter.join("MatMul", &row, &state);
            value = rewriter.join("Sub", &value, &known);
            let beta = node.input_name(5)?;
            let one_for_all = *rewriter.shape(beta)?.get(2)? == 1 && heads != 1;
            let beta = if one_for_all {
                let beta = of(rewriter, beta, &[batch, 1]);
                let beta = rewriter.expand(&beta, &[batch, heads]);
                rewriter.reshape(&beta, &[batch * heads, 1, 1])
            } else {
                of(rewriter, beta, &[batch * heads, 1, 1])
            };
            value = rewriter.join("Mul", &value, &beta);
        }
        let added = rewriter.join("MatMul", &key, &value);
        state = rewriter.join("Add", &state, &added);
        // The query heads that share a state lie one after the other.
        let query = of(rewriter, node.input_name(0)?, &[batch * heads, shared, keys]);
        let query = rewriter.times(&query, scale);
        let read = rewriter.join("MatMul", &query, &state);
        outputs.push(rewriter.reshape(&read, &[batch, 1, queries * values]));
    }
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let all = rewriter.concat(&outputs, 1);
    let state = rewriter.reshape(&state, &[batch, heads, keys, values]);
    Some(Outcome::Replace(vec![all, state]))
}

/// A cache with new tokens put in, by a table of which token goes where.
pub(super) fn cached(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let (cache, update) = (node.input_name(0)?, node.input_name(1)?);
    let shape = rewriter.shape(cache)?;
    let place = axis(node.int("axis").unwrap_or(-2), shape.len()).filter(|place| *place > 0)?;
    let tokens = *rewriter.shape(update)?.get(place)?;
    let (batch, length) = (shape[0], shape[place]);
    let outer: usize = shape[1..place].iter().product();
    let inner: usize = shape[place + 1..].iter().product();
    let mut table = Vec::new();
    for at in 0..length {
        table.extend((0..tokens).map(|token| at as i64 - token as i64));
    }
    // A place less a token's number is where writing starts; around the end also a whole length before it.
    let given = node.input_name(2);
    let starts = match given {
        Some(starts) => rewriter.cast(starts, element::INT64),
        None => rewriter.integer_tensor(&[batch], &vec![0; batch]),
    };
    let given = given.unwrap_or_default();
    let starts = rewriter.reshape(&starts, &[batch, 1, 1, 1]);
    let table = rewriter.integer_tensor(&[1, 1, length, tokens], &table);
    let mut here = rewriter.same(given, &starts, &table);
    if node.string("mode") == Some("circular") {
        let length = rewriter.integer_tensor(&[], &[length as i64]);
        let around = rewriter.join("Add", &table, &length);
        let around = rewriter.same(given, &starts, &around);
        here = rewriter.join("Add", &here, &around);
    }
    let update = rewriter.reshape(update, &[batch, outer, tokens, inner]);
    let wide = rewriter.expand(&here, &[batch, outer, length, tokens]);
    let written = rewriter.join("MatMul", &wide, &update);
    let taken = rewriter.reduce("ReduceSum", &here, &[3], true);
    let kept = rewriter.from(1.0, &taken);
    let old = rewriter.reshape(cache, &[batch, outer, length, inner]);
    let old = rewriter.join("Mul", &old, &kept);
    let all = rewriter.join("Add", &old, &written);
    Some(Outcome::one(rewriter.reshape(&all, shape)))
}

/// A convolution of each channel by itself over what came before.
pub(super) fn causal_convolution(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let (value, kernel) = (node.input_name(0)?, node.input_name(1)?);
    let [batch, channels, length] = *rewriter.shape(value)? else { return None };
    let width = *rewriter.shape(kernel)?.get(2)?;
    let before = width.checked_sub(1)?;
    let whole = match node.input_name(3) {
        Some(past) if before > 0 => rewriter.concat(&[past, value], 2),
        _ => rewriter.pad(value, &[0, 0, before], &[0, 0, 0]),
    };
    let attributes = [
        AttributeProto::int("group", channels as i64),
        AttributeProto::ints("kernel_shape", [width as i64]),
        AttributeProto::ints("strides", [1]),
        AttributeProto::ints("pads", [0, 0]),
    ];
    let mut inputs = vec![whole.as_str(), kernel];
    inputs.extend(node.input_name(2));
    let sum = rewriter.node("Conv", &inputs, attributes);
    let result = match node.string("activation").unwrap_or("none") {
        "none" => sum,
        _ => {
            let gate = rewriter.apply("Sigmoid", &sum);
            rewriter.join("Mul", &sum, &gate)
        }
    };
    let state = if before == 0 {
        rewriter.floats(&[batch, channels, 0], &[])
    } else {
        rewriter.slice(&whole, 2, length, length + before)
    };
    Some(Outcome::Replace(vec![result, state]))
}
