//! What stands for each operator in a circuit.
//!
//! A rule is there for what ezkl refuses or gets wrong, or where another form takes fewer rows with the same answers.
//! A node that needs nothing stays as it is.

mod activations;
mod arithmetic;
mod attention;
mod convolutions;
mod indices;
mod integers;
mod losses;
mod masks;
mod ngrams;
mod norms;
mod pools;
mod quantised;
mod recurrent;
mod refused;
mod resize;
mod shapes;
mod spectral;
mod states;
mod windows;

use super::{
    error::Refusal,
    facts::Facts,
    rewriter::{Outcome, Rewriter, Told, rewrite},
};
use crate::onnx::proto::{GraphProto, NodeProto};

/// A rule gives `None` where it has nothing to say: the node is not of its form, or too little is known of it yet.
type Rule = fn(&mut Rewriter<'_>, &NodeProto) -> Option<Outcome>;

/// Applies the rules to each node. Returns whether anything changed.
///
/// # Errors
/// The first node that no circuit has.
pub(super) fn apply(
    graph: &mut GraphProto,
    facts: &Facts,
    told: &mut Told,
) -> Result<bool, Refusal> {
    rewrite(graph, facts, told, |rewriter, node| {
        let own = node.operator().0.is_empty();
        if own && let Some(refused) = refused::before(rewriter, node) {
            return refused;
        }
        let outcome = rule(node).and_then(|rule| rule(rewriter, node));
        outcome.or_else(|| refused::after(node).filter(|_| own)).unwrap_or(Outcome::Keep)
    })
}

fn rule(node: &NodeProto) -> Option<Rule> {
    match node.operator() {
        ("", "Celu" | "Gelu" | "Swish" | "SwiGLU" | "Mish" | "Sum" | "Max" | "Min") => {
            Some(activations::rule)
        }
        ("", "SoftmaxCrossEntropyLoss" | "NegativeLogLikelihoodLoss") => Some(losses::rule),
        ("", "OneHot") => Some(losses::one_hot_rule),
        (
            "",
            "RMSNormalization"
            | "InstanceNormalization"
            | "GroupNormalization"
            | "BatchNormalization"
            | "LpNormalization"
            | "MeanVarianceNormalization"
            | "LRN",
        ) => Some(norms::rule),
        ("", "Attention") => Some(attention::rule),
        ("", "RotaryEmbedding") => Some(attention::rotary),
        ("", "Equal") => Some(masks::compare),
        ("", "Softmax") => Some(attention::softmax),
        ("", "MaxPool" | "AveragePool" | "LpPool") => Some(pools::rule),
        ("", "Conv" | "ConvTranspose") => Some(convolutions::rule),
        (
            "",
            "Cast" | "Div" | "Mod" | "Pow" | "BitShift" | "BitwiseNot" | "BitwiseAnd" | "BitwiseOr"
            | "BitwiseXor" | "BitCast" | "CastLike",
        ) => Some(integers::rule),
        ("", "ArgMax" | "ArgMin") => Some(integers::select),
        (
            "",
            "QuantizeLinear"
            | "DequantizeLinear"
            | "DynamicQuantizeLinear"
            | "MatMulInteger"
            | "ConvInteger"
            | "QLinearMatMul"
            | "QLinearConv",
        ) => Some(quantised::rule),
        ("", "LinearAttention") => Some(states::linear_attention),
        ("", "TensorScatter") => Some(states::cached),
        ("", "CausalConvWithState") => Some(states::causal_convolution),
        ("", "TfIdfVectorizer") => Some(ngrams::rule),
        ("", "LSTM" | "GRU" | "RNN") => Some(recurrent::rule),
        ("", "Resize") => Some(resize::rule),
        ("", "GridSample") => Some(resize::grid_sample),
        ("", "AffineGrid") => Some(resize::affine_grid),
        ("", "DFT" | "STFT") => Some(spectral::rule),
        ("", "Det") => Some(spectral::determinant),
        (
            "",
            "Gather" | "GatherND" | "GatherElements" | "Compress" | "ReverseSequence" | "ScatterND"
            | "ScatterElements",
        ) => Some(indices::rule),
        (
            "",
            "MatMul" | "Pad" | "Where" | "CumSum" | "CumProd" | "Dropout" | "CenterCropPad"
            | "Col2Im" | "Einsum" | "SpaceToDepth",
        ) => Some(shapes::rule),
        _ => None,
    }
}
