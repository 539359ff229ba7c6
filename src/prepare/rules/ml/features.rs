//! Steps before a model: features scaled, chosen, told apart.

use super::{
    super::super::rewriter::{Outcome, Rewriter},
    ensemble::Fault,
    matrix,
    scores::Scores,
};
use crate::onnx::{
    proto::{AttributeProto, NodeProto, TensorProto},
    tensor::element,
};

/// Scaler: less the offset, times the scale.
pub(super) fn scaler(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let (offset, scale) = (node.floats("offset"), node.floats("scale"));
    let mut name = value.name;
    if offset.iter().any(|value| *value != 0.0) {
        let offset = rewriter.floats(&[1, offset.len()], offset);
        name = rewriter.node("Sub", &[&name, &offset], []);
    }
    if scale.iter().any(|value| *value != 1.0) {
        let scale = rewriter.floats(&[1, scale.len()], scale);
        name = rewriter.node("Mul", &[&name, &scale], []);
    }
    Ok(Some(Outcome::one(name)))
}

/// Normalizer: each row by its norm.
pub(super) fn normalizer(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let norm = match node.string("norm").unwrap_or("MAX") {
        "L1" => {
            let size = rewriter.node("Abs", &[&value.name], []);
            rewriter.reduce("ReduceSum", &size, &[1], true)
        }
        "L2" => {
            let square = rewriter.node("Mul", &[&value.name, &value.name], []);
            let sum = rewriter.reduce("ReduceSum", &square, &[1], true);
            rewriter.node("Sqrt", &[&sum], [])
        }
        "MAX" => rewriter.reduce("ReduceMax", &value.name, &[1], true),
        other => return Err(format!("its norm {other} is none of MAX, L1 and L2")),
    };
    Ok(Some(Outcome::one(rewriter.node("Div", &[&value.name, &norm], []))))
}

/// Imputer: other numbers in the place of one that stands for a missing value.
pub(super) fn imputer(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let whole = node.ints("imputed_value_int64s");
    let (imputed, replaced) = match whole.is_empty() {
        true => {
            let replaced = node.float("replaced_value_float").unwrap_or(f32::NAN);
            (node.floats("imputed_value_floats").to_vec(), replaced)
        }
        false => {
            let replaced = node.int("replaced_value_int64").unwrap_or_default();
            (whole.iter().map(|value| *value as f32).collect(), replaced as f32)
        }
    };
    if replaced.is_nan() {
        // No circuit is ever given one.
        return Ok(node.input_name(0).map(|name| Outcome::one(name.to_owned())));
    }
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let member = rewriter.floats(&[1, 1], &[replaced]);
    let missing = equal(rewriter, &value.name, &member);
    let missing = rewriter.cast(&missing, element::FLOAT);
    let imputed = rewriter.floats(&[1, imputed.len()], &imputed);
    let gain = rewriter.node("Sub", &[&imputed, &value.name], []);
    let gain = rewriter.node("Mul", &[&missing, &gain], []);
    let filled = rewriter.node("Add", &[&value.name, &gain], []);
    Ok(Some(Outcome::one(as_input(rewriter, node, filled))))
}

/// Binarizer: 1 above the threshold, else 0.
pub(super) fn binarizer(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let Some(input) = node.input_name(0) else { return Ok(None) };
    let threshold = rewriter.float(node.float("threshold").unwrap_or_default());
    let more = rewriter.node("Greater", &[input, &threshold], []);
    Ok(Some(Outcome::one(rewriter.cast(&more, element::FLOAT))))
}

/// FeatureVectorizer: inputs beside each other, each cut or filled up to its length.
pub(super) fn vectorizer(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let lengths = node.ints("inputdimensions").to_vec();
    let mut parts = Vec::new();
    for (place, input) in node.input.iter().enumerate() {
        let one = NodeProto::new("", &[input], &[], []);
        let Some(Scores { mut name, rows, columns }) = matrix(rewriter, &one) else {
            return Ok(None);
        };
        let length = lengths.get(place).and_then(|it| usize::try_from(*it).ok()).unwrap_or(columns);
        if length < columns {
            name = rewriter.slice(&name, 1, 0, length);
        }
        parts.push(name);
        if length > columns {
            let fill = vec![0.0; rows * (length - columns)];
            parts.push(rewriter.floats(&[rows, length - columns], &fill));
        }
    }
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    Ok(Some(Outcome::one(rewriter.concat(&parts, 1))))
}

/// ArrayFeatureExtractor: places of the last axis. With a constant array it is a table: of classes, mostly.
pub(super) fn extractor(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let (Some(array), Some(places)) = (node.input_name(0), node.input_name(1)) else {
        return Ok(None);
    };
    let Some(rank) = rewriter.shape(array).map(<[usize]>::len) else { return Ok(None) };
    let Some(shape) = rewriter.shape(places) else { return Ok(None) };
    let count = shape.iter().product();
    let flat = rewriter.reshape(places, &[count]);
    if let (true, Some(table)) = (rewriter.numbers(places).is_none(), rewriter.whole(array)) {
        return Ok(Some(Outcome::one(super::scores::class(rewriter, &flat, &table))));
    }
    let axis = [AttributeProto::int("axis", rank as i64 - 1)];
    Ok(Some(Outcome::one(rewriter.node("Gather", &[array, &flat], axis))))
}

/// LabelEncoder between numbers: a table with an answer for what it doesn't know.
pub(super) fn encoder(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let (Some(keys), Some(values)) = (side(node, "keys"), side(node, "values")) else {
        return Err("a circuit has numbers only, and this table has text; leave it out of the exported model and give \
                    or take the numbers"
            .to_owned());
    };
    if keys.numbers.len() != values.numbers.len() || keys.numbers.is_empty() {
        return Err("its keys and values differ in number; export the model again".to_owned());
    }
    let Some(input) = node.input_name(0) else { return Ok(None) };
    let Some(shape) = rewriter.shape(input).map(<[usize]>::to_vec) else { return Ok(None) };
    let elements: usize = shape.iter().product();
    let value = rewriter.cast(input, element::FLOAT);
    let value = rewriter.reshape(&value, &[elements, 1]);
    let members: Vec<f32> = keys.numbers.iter().map(|key| *key as f32).collect();
    if members.iter().any(|key| key.is_nan()) {
        return Err("one of its keys is no number; export the model without".to_owned());
    }
    let count = members.len();
    let members = rewriter.floats(&[1, count], &members);
    let known = equal(rewriter, &value, &members);
    let gains: Vec<f64> = values.numbers.iter().map(|value| value - values.rest).collect();
    let answer = match values.whole {
        true => {
            let gains: Vec<i64> = gains.iter().map(|gain| *gain as i64).collect();
            let gains = rewriter.weight(TensorProto::integers(&[1, count], &gains));
            let chosen = rewriter.node("Mul", &[&known, &gains], []);
            let sum = rewriter.reduce("ReduceSum", &chosen, &[1], false);
            let rest = rewriter.integers(&[values.rest as i64]);
            rewriter.node("Add", &[&sum, &rest], [])
        }
        false => {
            let gains: Vec<f32> = gains.iter().map(|gain| *gain as f32).collect();
            let gains = rewriter.floats(&[count, 1], &gains);
            let known = rewriter.cast(&known, element::FLOAT);
            let sum = rewriter.node("MatMul", &[&known, &gains], []);
            let rest = rewriter.floats(&[1, 1], &[values.rest as f32]);
            rewriter.node("Add", &[&sum, &rest], [])
        }
    };
    Ok(Some(Outcome::one(answer)))
}

/// OneHotEncoder over whole numbers: a column a category.
pub(super) fn one_hot(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let categories = node.ints("cats_int64s");
    if categories.is_empty() {
        return Err("a circuit has numbers only, and its categories are text; leave it out of the exported model and \
                    give the columns"
            .to_owned());
    }
    let Some(input) = node.input_name(0) else { return Ok(None) };
    let Some(mut shape) = rewriter.shape(input).map(<[usize]>::to_vec) else { return Ok(None) };
    let value = rewriter.cast(input, element::FLOAT);
    shape.push(1);
    let value = rewriter.reshape(&value, &shape);
    let members: Vec<f32> = categories.iter().map(|category| *category as f32).collect();
    let members = rewriter.floats(&[members.len()], &members);
    let known = equal(rewriter, &value, &members);
    Ok(Some(Outcome::one(rewriter.cast(&known, element::FLOAT))))
}

/// 1 where a value is a member, else 0, in whole numbers: neither less nor more. ezkl's own Equal gives a number of
/// another scale.
fn equal(rewriter: &mut Rewriter<'_>, value: &str, member: &str) -> String {
    let less = rewriter.node("Less", &[value, member], []);
    let more = rewriter.node("Greater", &[value, member], []);
    let (less, more) = (rewriter.cast(&less, element::INT64), rewriter.cast(&more, element::INT64));
    let one = rewriter.integers(&[1]);
    let rest = rewriter.node("Sub", &[&one, &less], []);
    rewriter.node("Sub", &[&rest, &more], [])
}

/// In the type of the node's input.
fn as_input(rewriter: &mut Rewriter<'_>, node: &NodeProto, value: String) -> String {
    match node.input_name(0).and_then(|name| rewriter.element(name)) {
        Some(kind) if kind != element::FLOAT => rewriter.cast(&value, kind),
        _ => value,
    }
}

/// One side of a table.
struct Side {
    numbers: Vec<f64>,
    whole: bool,
    /// The answer for what the table doesn't know.
    rest: f64,
}

fn side(node: &NodeProto, what: &str) -> Option<Side> {
    let tensor = |name: &str| node.attribute(name).and_then(|attribute| attribute.t.as_ref());
    if let Some(tensor) = tensor(&format!("{what}_tensor")) {
        let whole = !element::is_float(tensor.data_type);
        let rest = self::rest(node, whole);
        return Some(Side { numbers: tensor.numbers()?, whole, rest });
    }
    let ints = node.ints(&format!("{what}_int64s"));
    if !ints.is_empty() {
        let numbers = ints.iter().map(|value| *value as f64).collect();
        return Some(Side { numbers, whole: true, rest: rest(node, true) });
    }
    let floats = node.floats(&format!("{what}_floats"));
    let numbers = floats.iter().map(|value| f64::from(*value)).collect();
    (!floats.is_empty()).then(|| Side { numbers, whole: false, rest: rest(node, false) })
}

fn rest(node: &NodeProto, whole: bool) -> f64 {
    let tensor = node.attribute("default_tensor").and_then(|attribute| attribute.t.as_ref());
    if let Some(rest) = tensor.and_then(|tensor| tensor.numbers()?.first().copied()) {
        return rest;
    }
    match whole {
        true => node.int("default_int64").unwrap_or(-1) as f64,
        false => f64::from(node.float("default_float").unwrap_or(-0.0)),
    }
}
