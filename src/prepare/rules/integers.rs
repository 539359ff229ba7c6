//! Integers, which in a circuit are numbers without a fraction.
//!
//! A quotient in fixed point may lie a hair below the whole number that it is. Half a unit is added to what is
//! divided before the fraction is cut off: the quotient of whole numbers is never that close to the next one.

use super::arithmetic::is_done;
use crate::{
    onnx::{
        proto::{AttributeProto, NodeProto},
        tensor::element,
    },
    prepare::{
        facts::Fact,
        rewriter::{Outcome, Rewriter, axis},
    },
};

/// More bits than this don't fit in a float's fraction, in which the rules work.
const MOST_BITS: u32 = 16;
/// Below this a logarithm of zero is taken.
const TINY: f32 = 1.0 / 4096.0;

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let left = node.input_name(0)?;
    let kind = rewriter.element(left)?;
    let float = element::is_float(kind);
    let result = match node.op_type.as_str() {
        "Cast" => return cast(rewriter, node),
        "CastLike" => {
            let to = rewriter.element(node.input_name(1)?)?;
            rewriter.cast(left, to)
        }
        "Div" if !float => {
            let (one, other) = (rewriter.as_float(left), rewriter.as_float(node.input_name(1)?));
            let whole = quotient(rewriter, &one, &other, is_unsigned(kind));
            rewriter.as_whole(&whole, kind)
        }
        "Mod" => remainder(rewriter, node, kind)?,
        "Pow" => power(rewriter, node, kind)?,
        "BitCast" => reinterpreted(rewriter, node, kind)?,
        "BitShift" => match unshiftable(rewriter, node, kind)? {
            Some(refused) => return Some(refused),
            None => shift(rewriter, node, kind)?,
        },
        "BitwiseNot" => {
            // In the type itself, of which no bit is lost.
            let most = match bits(kind)? {
                _ if !is_unsigned(kind) => -1,
                64 => return Some(too_wide(node)),
                bits => (1_i64 << bits) - 1,
            };
            let most = rewriter.integer_tensor(&[], &[most]);
            let whole = rewriter.cast(left, element::INT64);
            let other = rewriter.join("Sub", &most, &whole);
            rewriter.as_whole(&other, kind)
        }
        "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" => {
            if bits(kind)? > MOST_BITS {
                return Some(too_wide(node));
            }
            bitwise(rewriter, node, kind)?
        }
        _ => return None,
    };
    Some(Outcome::one(result))
}

fn too_wide(node: &NodeProto) -> Outcome {
    Outcome::Refuse(format!(
        "{} of integers of more than {MOST_BITS} bits has no circuit; use a narrower type",
        node.op_type
    ))
}

fn is_unsigned(kind: i32) -> bool {
    matches!(kind, 2 | 4 | 12 | 13)
}

fn bits(kind: i32) -> Option<u32> {
    match kind {
        2 | 3 => Some(8),
        4 | 5 => Some(16),
        6 | 12 => Some(32),
        7 | 13 => Some(64),
        _ => None,
    }
}

/// Whole numbers divided, the fraction cut off.
fn quotient(rewriter: &mut Rewriter<'_>, one: &str, other: &str, unsigned: bool) -> String {
    if unsigned {
        let more = rewriter.plus(one, 0.5);
        let quotient = rewriter.join("Div", &more, other);
        return rewriter.apply("Floor", &quotient);
    }
    let (size, by) = (rewriter.apply("Abs", one), rewriter.apply("Abs", other));
    let more = rewriter.plus(&size, 0.5);
    let quotient = rewriter.join("Div", &more, &by);
    let whole = rewriter.apply("Floor", &quotient);
    let sign = rewriter.join("Mul", one, other);
    let sign = rewriter.apply("Sign", &sign);
    rewriter.join("Mul", &whole, &sign)
}

/// The same bits with or without a sign.
fn reinterpreted(rewriter: &mut Rewriter<'_>, node: &NodeProto, kind: i32) -> Option<String> {
    let to = i32::try_from(node.int("to")?).ok()?;
    let count = bits(kind).filter(|count| Some(*count) == bits(to) && *count <= MOST_BITS)?;
    let value = rewriter.cast(node.input_name(0)?, element::INT64);
    if is_unsigned(kind) == is_unsigned(to) {
        return Some(rewriter.as_whole(&value, to));
    }
    let (operator, least, change) = match is_unsigned(to) {
        true => ("Less", 0, 1_i64 << count),
        false => ("GreaterOrEqual", 1_i64 << (count - 1), -(1_i64 << count)),
    };
    let least = rewriter.integer_tensor(&[], &[least]);
    let other = rewriter.join(operator, &value, &least);
    let other = rewriter.cast(&other, element::INT64);
    let change = rewriter.integer_tensor(&[], &[change]);
    let change = rewriter.join("Mul", &other, &change);
    let changed = rewriter.join("Add", &value, &change);
    Some(rewriter.as_whole(&changed, to))
}

fn remainder(rewriter: &mut Rewriter<'_>, node: &NodeProto, kind: i32) -> Option<String> {
    let (one, other) = (node.input_name(0)?, node.input_name(1)?);
    let (one, other) = (rewriter.as_float(one), rewriter.as_float(other));
    let cut = node.int("fmod").unwrap_or(0) == 1;
    let whole = if element::is_float(kind) && !cut {
        let quotient = rewriter.join("Div", &one, &other);
        rewriter.apply("Floor", &quotient)
    } else if element::is_float(kind) {
        // With the sign of what is divided; a float's quotient is cut off where it is.
        let quotient = rewriter.join("Div", &one, &other);
        let size = rewriter.apply("Abs", &quotient);
        let size = rewriter.apply("Floor", &size);
        let sign = rewriter.apply("Sign", &quotient);
        rewriter.join("Mul", &size, &sign)
    } else if cut || is_unsigned(kind) {
        quotient(rewriter, &one, &other, is_unsigned(kind))
    } else {
        // With the sign of the divisor: half a unit in its direction keeps the quotient's floor.
        let sign = rewriter.apply("Sign", &other);
        let half = rewriter.times(&sign, 0.5);
        let more = rewriter.join("Add", &one, &half);
        let quotient = rewriter.join("Div", &more, &other);
        rewriter.apply("Floor", &quotient)
    };
    let part = rewriter.join("Mul", &whole, &other);
    let rest = rewriter.join("Sub", &one, &part);
    Some(rewriter.as_whole(&rest, kind))
}

fn power(rewriter: &mut Rewriter<'_>, node: &NodeProto, kind: i32) -> Option<String> {
    let (base, exponent) = (node.input_name(0)?, node.input_name(1)?);
    let whole_exponent = !element::is_float(rewriter.element(exponent)?);
    if let Some(exponents) = rewriter.numbers(exponent) {
        let first = *exponents.first()?;
        if exponents.iter().all(|it| *it == first) {
            if first >= 0.0 && !whole_exponent && element::is_float(kind) {
                return None;
            }
            let base = rewriter.as_float(base);
            let size = rewriter.float(first.abs() as f32);
            let raised = rewriter.join("Pow", &base, &size);
            if first >= 0.0 {
                return Some(rewriter.as_whole(&raised, kind));
            }
            // ezkl has no negative exponents.
            return element::is_float(kind).then(|| rewriter.apply("Reciprocal", &raised));
        }
    }
    if !element::is_float(kind) && !whole_exponent {
        return None;
    }
    let (base, exponent) = (rewriter.as_float(base), rewriter.as_float(exponent));
    let size = rewriter.apply("Abs", &base);
    let tiny = rewriter.float(TINY);
    let size = rewriter.join("Max", &size, &tiny);
    let logarithm = rewriter.apply("Log", &size);
    let scaled = rewriter.join("Mul", &logarithm, &exponent);
    let raised = rewriter.apply("Exp", &scaled);
    // A negative number to an odd power is negative.
    let half = rewriter.times(&exponent, 0.5);
    let floor = match whole_exponent {
        true => rewriter.floor(&half, 1),
        false => rewriter.apply("Floor", &half),
    };
    let odd = rewriter.join("Sub", &half, &floor);
    let negative = rewriter.apply("Sign", &base);
    let negative = rewriter.apply("Neg", &negative);
    let negative = rewriter.apply("Relu", &negative);
    let both = rewriter.join("Mul", &odd, &negative);
    let both = rewriter.times(&both, 4.0);
    let sign = rewriter.from(1.0, &both);
    let mut result = rewriter.join("Mul", &raised, &sign);
    if !element::is_float(kind) {
        result = rewriter.apply("Round", &result);
    }
    Some(rewriter.as_whole(&result, kind))
}

/// Why numbers such as the sample's can't be shifted, if so.
fn unshiftable(rewriter: &Rewriter<'_>, node: &NodeProto, kind: i32) -> Option<Option<Outcome>> {
    let (value, places) =
        (rewriter.fact(node.input_name(0)?)?, rewriter.fact(node.input_name(1)?)?);
    let whole = |fact: &Fact| fact.constant.as_ref().and_then(|it| it.numbers());
    let most = |fact: &Fact| match whole(fact) {
        Some(numbers) => numbers.iter().fold(0.0f64, |most, it| most.max(it.abs())),
        None => fact.largest,
    };
    let negative = match whole(places) {
        Some(numbers) => numbers.iter().any(|it| *it < 0.0),
        None => places.below_zero,
    };
    if negative {
        let reason = "it shifts by a negative number of places, of which runtimes make different things; give places \
                      from 0 to below the type's bits";
        return Some(Some(Outcome::Refuse(reason.to_owned())));
    }
    let bits = bits(kind)?;
    let bound = 2f64.powi(bits as i32 - i32::from(!is_unsigned(kind)));
    let beyond = most(value) * 2f64.powf(most(places)) >= bound;
    Some((node.string("direction")? == "LEFT" && bits > MOST_BITS && beyond).then(|| {
        Outcome::Refuse(format!(
            "it shifts bits out of a number of {bits} bits, and no circuit tells which are lost of more than \
             {MOST_BITS}; use a wider or a narrower type"
        ))
    }))
}

/// By a power of two, which a table has for each number of places.
fn shift(rewriter: &mut Rewriter<'_>, node: &NodeProto, kind: i32) -> Option<String> {
    let (value, places) = (node.input_name(0)?, node.input_name(1)?);
    let left = node.string("direction")? == "LEFT";
    let bits = bits(kind)?;
    let most = bits.min(MOST_BITS);
    let power = |places: f64| 2f64.powf(if left { places } else { -places }) as f32;
    let mut digits = MOST_BITS;
    let factor = if let Some(numbers) = rewriter.numbers(places) {
        let shape = rewriter.shape(places)?;
        let factors: Vec<f32> = numbers.iter().map(|it| power(*it)).collect();
        digits = numbers.iter().fold(0.0f64, |most, it| most.max(*it)) as u32;
        rewriter.floats(shape, &factors)
    } else {
        let shape = rewriter.shape(places)?;
        let mut table = vec![1; shape.len() + 1];
        table[shape.len()] = most as usize;
        let range: Vec<i64> = (0..i64::from(most)).collect();
        let range = rewriter.integer_tensor(&table, &range);
        let powers: Vec<f32> = (0..most).map(|it| power(f64::from(it))).collect();
        let powers = rewriter.floats(&table, &powers);
        let mut spread = rewriter.cast(places, element::INT64);
        if !left {
            // Beyond the number's width nothing changes any more.
            let last = rewriter.integer_tensor(&[], &[i64::from(most) - 1]);
            spread = rewriter.join("Min", &spread, &last);
        }
        let spread = rewriter.unsqueeze(&spread, &[-1]);
        let same = rewriter.same(places, &spread, &range);
        let chosen = rewriter.join("Mul", &same, &powers);
        rewriter.reduce("ReduceSum", &chosen, &[shape.len()], false)
    };
    let value = rewriter.as_float(value);
    let moved = rewriter.join("Mul", &value, &factor);
    let result = if !left {
        rewriter.floor(&moved, digits)
    } else if bits <= MOST_BITS {
        // What does not fit any more is lost, a sign's place being the highest.
        let whole = 2f32.powi(bits as i32);
        let above = if is_unsigned(kind) { 0.0 } else { whole / 2.0 };
        let over = rewriter.plus(&moved, above);
        let over = rewriter.times(&over, 1.0 / whole);
        let over = rewriter.apply("Floor", &over);
        let over = rewriter.times(&over, whole);
        rewriter.join("Sub", &moved, &over)
    } else {
        moved
    };
    Some(rewriter.as_whole(&result, kind))
}

/// Bit by bit.
fn bitwise(rewriter: &mut Rewriter<'_>, node: &NodeProto, kind: i32) -> Option<String> {
    let (one, other) = (node.input_name(0)?, node.input_name(1)?);
    let count = bits(kind)?;
    let sides = [rewriter.as_float(one), rewriter.as_float(other)];
    let mut sum: Option<String> = None;
    let mut rest = sides;
    for bit in 0..count {
        let mut digits = Vec::new();
        for side in &mut rest {
            let half = rewriter.times(side, 0.5);
            let half = rewriter.floor(&half, 1);
            let twice = rewriter.times(&half, 2.0);
            digits.push(rewriter.join("Sub", side, &twice));
            *side = half;
        }
        let both = rewriter.join("Mul", &digits[0], &digits[1]);
        let digit = match node.op_type.as_str() {
            "BitwiseAnd" => both,
            operator => {
                let either = rewriter.join("Add", &digits[0], &digits[1]);
                let twice = if operator == "BitwiseXor" { 2.0 } else { 1.0 };
                let both = rewriter.times(&both, twice);
                rewriter.join("Sub", &either, &both)
            }
        };
        // The highest bit of a signed number counts as negative.
        let weight = 2f32.powi(bit as i32);
        let signed = bit + 1 == count && !is_unsigned(kind);
        let digit = rewriter.times(&digit, if signed { -weight } else { weight });
        sum = Some(match sum {
            Some(sum) => rewriter.join("Add", &sum, &digit),
            None => digit,
        });
    }
    let sum = sum?;
    Some(rewriter.as_whole(&sum, kind))
}

/// ezkl changes the type of a float and keeps its fraction.
fn cast(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let from = rewriter.element(value)?;
    let to = i32::try_from(node.int("to")?).ok()?;
    if from == to {
        return Some(Outcome::one(value.to_owned()));
    }
    if is_done(node) || (to != element::BOOL && is_whole(rewriter, value)) {
        return None;
    }
    let result = match to {
        element::BOOL if from != element::BOOL => {
            let float = rewriter.as_float(value);
            let zero = rewriter.float(0.0);
            let less = rewriter.join("Less", &float, &zero);
            let more = rewriter.join("Greater", &float, &zero);
            rewriter.join("Or", &less, &more)
        }
        to if element::is_float(from) && !element::is_float(to) && to != element::STRING => {
            let size = rewriter.apply("Abs", value);
            let size = rewriter.apply("Floor", &size);
            let sign = rewriter.apply("Sign", value);
            let whole = rewriter.join("Mul", &size, &sign);
            rewriter.as_whole(&whole, to)
        }
        _ => return None,
    };
    Some(Outcome::one(result))
}

/// Whether a float has no fraction, by the operator that makes it.
fn is_whole(rewriter: &Rewriter<'_>, value: &str) -> bool {
    let Some(maker) = rewriter.maker(value) else { return false };
    let from = || maker.input_name(0).and_then(|input| rewriter.element(input));
    match maker.op_type.as_str() {
        "Floor" | "Ceil" | "Round" | "Sign" => true,
        "Cast" => from().is_some_and(|from| !element::is_float(from)),
        _ => false,
    }
}

/// The last of the largest or smallest, as the first from behind.
pub(super) fn select(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    if node.int("select_last_index") != Some(1) {
        return None;
    }
    let place = axis(node.int("axis").unwrap_or(0), shape.len())?;
    let back: Vec<i64> = (0..shape[place] as i64).rev().collect();
    let turned = rewriter.gather(value, &back, place);
    let attributes = [
        AttributeProto::int("axis", place as i64),
        AttributeProto::int("keepdims", node.int("keepdims").unwrap_or(1)),
    ];
    let first = rewriter.node(&node.op_type, &[&turned], attributes);
    let last = rewriter.integer_tensor(&[], &[shape[place] as i64 - 1]);
    Some(Outcome::one(rewriter.join("Sub", &last, &first)))
}
