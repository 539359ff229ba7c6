//! What no circuit has.

use crate::{
    onnx::proto::NodeProto,
    prepare::rewriter::{Outcome, Rewriter},
};
use std::collections::HashSet;

/// Inputs by which an operator's result has its shape, or its places: a circuit needs them fixed.
const FIXED: [(&str, &[usize]); 29] = [
    ("AffineGrid", &[1]),
    ("BlackmanWindow", &[0]),
    ("CenterCropPad", &[1]),
    ("Col2Im", &[1, 2]),
    ("Compress", &[1]),
    ("ConstantOfShape", &[0]),
    ("CumProd", &[1]),
    ("CumSum", &[1]),
    ("DFT", &[1, 2]),
    ("Dropout", &[1, 2]),
    ("Expand", &[1]),
    ("HammingWindow", &[0]),
    ("HannWindow", &[0]),
    ("MelWeightMatrix", &[0, 1, 2, 3, 4]),
    ("OneHot", &[1]),
    ("Pad", &[1, 3]),
    ("Range", &[0, 1, 2]),
    ("Reshape", &[1]),
    ("Resize", &[1, 2, 3]),
    ("ReverseSequence", &[1]),
    ("STFT", &[1, 3]),
    ("Slice", &[1, 2, 3, 4]),
    ("Split", &[1]),
    ("Squeeze", &[1]),
    ("Tile", &[1]),
    ("TopK", &[1]),
    ("Trilu", &[1]),
    ("Unsqueeze", &[1]),
    ("Upsample", &[1]),
];

/// What decides a shape has no more numbers than this.
const MOST_FIXED: usize = 64;

/// Operators that no rule is for.
const WITHOUT: [(&str, &str); 26] = [
    ("NonZero", SHAPE),
    ("Unique", SHAPE),
    ("NonMaxSuppression", SHAPE),
    ("StringNormalizer", TEXT),
    ("StringConcat", TEXT),
    ("StringSplit", TEXT),
    ("RegexFullMatch", TEXT),
    ("MaxUnpool", "where it puts its numbers is data; use ConvTranspose or Resize in its place"),
    ("ImageDecoder", "it reads a picture's file; give the model the picture's numbers"),
    ("SequenceAt", SEQUENCE),
    ("SequenceConstruct", SEQUENCE),
    ("SequenceEmpty", SEQUENCE),
    ("SequenceErase", SEQUENCE),
    ("SequenceInsert", SEQUENCE),
    ("SequenceLength", SEQUENCE),
    ("SequenceMap", SEQUENCE),
    ("ConcatFromSequence", SEQUENCE),
    ("SplitToSequence", SEQUENCE),
    ("Optional", SEQUENCE),
    ("OptionalGetElement", SEQUENCE),
    ("OptionalHasElement", SEQUENCE),
    ("RandomNormalLike", RANDOM),
    ("RandomUniformLike", RANDOM),
    ("RandomNormal", RANDOM),
    ("RandomUniform", RANDOM),
    ("Multinomial", RANDOM),
];

const SHAPE: &str = "how much it returns depends on the numbers, and a circuit's shapes are fixed; leave it to whoever reads the proof";
const TEXT: &str = "a circuit has no text; do this to the data before it goes in";
const SEQUENCE: &str =
    "a circuit has tensors only; export the model without sequences and optional values";
const RANDOM: &str = "a circuit has no random numbers; export the model for inference";

/// Operators that are newer than set 17; what no rule has written by others can't stay.
const NEWER: [&str; 21] = [
    "AffineGrid",
    "Attention",
    "BitCast",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "CausalConvWithState",
    "CenterCropPad",
    "Col2Im",
    "CumProd",
    "DeformConv",
    "FlexAttention",
    "Gelu",
    "GroupNormalization",
    "LinearAttention",
    "Mish",
    "RMSNormalization",
    "RotaryEmbedding",
    "SwiGLU",
    "Swish",
];

/// Why a node can't be in a circuit, before any rule is asked.
pub(super) fn before(rewriter: &Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let operator = node.op_type.as_str();
    let places: &[usize] = match FIXED.iter().find(|(name, _)| *name == operator) {
        Some((_, places)) => places,
        // Their axes.
        None if operator.starts_with("Reduce") => &[1],
        None => &[],
    };
    let open: Vec<&str> = places
        .iter()
        .filter_map(|place| node.input_name(*place))
        .filter(|name| rewriter.fact(name).is_some_and(|fact| fact.constant.is_none()))
        .collect();
    if let Some(first) = open.first() {
        return Some(Outcome::Refuse(decides(rewriter, first, &open)));
    }
    if operator == "BatchNormalization" && node.int("training_mode").unwrap_or(0) != 0 {
        return Some(Outcome::Refuse(
            "it is in training mode; export the model for inference".into(),
        ));
    }
    let (_, reason) = WITHOUT.iter().find(|(name, _)| *name == operator)?;
    Some(Outcome::Refuse((*reason).to_owned()))
}

/// What to do about values that decide a shape or an order, of which one is named.
fn decides(rewriter: &Rewriter<'_>, name: &str, all: &[&str]) -> String {
    let sources = sources(rewriter, all);
    let named: Vec<_> = sources.iter().map(|source| format!("`{source}`")).collect();
    let small = |source: &&str| {
        rewriter.shape(source).is_some_and(|shape| shape.iter().product::<usize>() <= MOST_FIXED)
    };
    let what = match sources.as_slice() {
        sources if sources.contains(&name) => format!("input `{name}`"),
        _ => format!("`{name}`, which depends on {},", named.join(", ")),
    };
    let remedy = match !sources.is_empty() && sources.iter().all(small) {
        true => format!(
            "give {} the value of the data for good: init with --fix {}, or [model] constants in zkvouch.toml",
            named.join(", "),
            sources.join(" --fix ")
        ),
        false => "make it a weight (an initializer)".to_owned(),
    };
    format!("{what} decides a shape or an order, which a circuit has fixed; {remedy}")
}

/// The model's inputs that values are made of.
fn sources<'a>(rewriter: &Rewriter<'a>, names: &[&'a str]) -> Vec<&'a str> {
    let (mut open, mut seen, mut found) = (names.to_vec(), HashSet::new(), Vec::new());
    while let Some(name) = open.pop() {
        let known = rewriter.fact(name).is_none_or(|fact| fact.constant.is_some());
        if known || !seen.insert(name) {
            continue;
        }
        match rewriter.maker(name) {
            Some(maker) => open.extend(maker.input.iter().map(String::as_str)),
            None => found.push(name),
        }
    }
    found.sort_unstable();
    found
}

/// Why a node that no rule has rewritten can't stay.
pub(super) fn after(node: &NodeProto) -> Option<Outcome> {
    let newer = NEWER.contains(&node.op_type.as_str());
    newer.then(|| {
        Outcome::Refuse(
            "no circuit of this form is known; write it by operators of ONNX's set 17".to_owned(),
        )
    })
}
