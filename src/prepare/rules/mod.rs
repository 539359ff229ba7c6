//! What stands for each operator in a circuit.
//!
//! A rule is there for what ezkl refuses or gets wrong, or where another form takes fewer rows with the same answers.
//! A node that needs nothing stays as it is.

mod activations;
mod arithmetic;
mod attention;
mod bounded;
mod constants;
mod convolutions;
mod einsum;
mod indices;
mod integers;
mod linear;
mod losses;
mod masks;
mod ml;
mod ngrams;
mod norms;
mod order;
mod pools;
mod products;
mod quantised;
mod recurrent;
mod reductions;
mod refused;
mod resize;
mod shapes;
mod spectral;
mod states;
mod windows;

#[cfg(test)]
mod tests;

use super::{
    Convolutions,
    error::Refusal,
    facts::Facts,
    rewriter::{Outcome, Rewriter, rewrite},
    told::Told,
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
    let shortened = ml::shorten(graph);
    let rewritten = rewrite(graph, facts, told, |rewriter, node| {
        let own = node.operator().0.is_empty();
        if own && let Some(refused) = refused::before(rewriter, node) {
            return refused;
        }
        let outcome = rule(node).and_then(|rule| rule(rewriter, node));
        outcome.or_else(|| refused::after(node).filter(|_| own)).unwrap_or(Outcome::Keep)
    })?;
    Ok(shortened || rewritten)
}

/// Gives what is right already the form that is cheapest, once all else is done: convolutions as products of
/// matrices, a classifier's scores with an end to how far apart they count. Returns whether anything changed.
///
/// # Errors
/// None: a node of another form stays as it is.
pub(super) fn lessen(
    graph: &mut GraphProto,
    facts: &Facts,
    told: &mut Told,
    convolutions: Convolutions,
) -> Result<bool, Refusal> {
    let products = match convolutions {
        Convolutions::Auto => products::is_worth_it(graph, facts),
        Convolutions::Plain => false,
        Convolutions::Products => true,
    };
    rewrite(graph, facts, told, |rewriter, node| {
        let outcome = bounded::softmax(rewriter, node);
        let product = products.then(|| products::rule(rewriter, facts, node)).flatten();
        outcome.or(product).unwrap_or(Outcome::Keep)
    })
}

/// Makes fewer steps of what rules have nothing more to say about. Returns whether anything changed.
///
/// # Errors
/// As [`apply`], though no rule here refuses anything.
pub(super) fn shorten(
    graph: &mut GraphProto,
    facts: &Facts,
    told: &mut Told,
) -> Result<bool, Refusal> {
    rewrite(graph, facts, told, |rewriter, node| {
        let ("", operator) = node.operator() else { return Outcome::Keep };
        let rule: Rule = match operator {
            "Add" | "BatchNormalization" | "Div" | "Mul" | "Neg" | "Sub" => linear::step_rule,
            "Conv" | "Gemm" | "MatMul" => linear::layer_rule,
            "ArgMax" | "ArgMin" => order::place,
            "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" => order::bound,
            "Expand" | "Flatten" | "Reshape" | "Squeeze" | "Transpose" | "Unsqueeze" => {
                order::still
            }
            _ => return Outcome::Keep,
        };
        rule(rewriter, node).unwrap_or(Outcome::Keep)
    })
}

fn rule(node: &NodeProto) -> Option<Rule> {
    match node.operator() {
        ("", operator) => own(operator),
        (ml::DOMAIN, _) => Some(ml::rule),
        _ => None,
    }
}

/// The rule for one of ONNX's own operators.
fn own(operator: &str) -> Option<Rule> {
    Some(match operator {
        "Celu" | "Gelu" | "Max" | "Min" | "Mish" | "Sum" | "SwiGLU" | "Swish" => activations::rule,
        "Attention" => attention::rule,
        "RotaryEmbedding" => attention::rotary,
        "Softmax" => attention::softmax,
        "Conv" | "ConvTranspose" => convolutions::rule,
        "Compress" | "Gather" | "GatherElements" | "GatherND" | "ReverseSequence"
        | "ScatterElements" | "ScatterND" => indices::rule,
        "BitCast" | "BitShift" | "BitwiseAnd" | "BitwiseNot" | "BitwiseOr" | "BitwiseXor"
        | "Cast" | "CastLike" | "Div" | "Mod" | "Pow" => integers::rule,
        "ArgMax" | "ArgMin" => integers::select,
        "NegativeLogLikelihoodLoss" | "SoftmaxCrossEntropyLoss" => losses::rule,
        "OneHot" => losses::one_hot_rule,
        "Einsum" => einsum::diagonal,
        "Equal" => masks::compare,
        "IsInf" | "IsNaN" => masks::is_number,
        "TfIdfVectorizer" => ngrams::rule,
        "BatchNormalization"
        | "GroupNormalization"
        | "InstanceNormalization"
        | "LRN"
        | "LpNormalization"
        | "MeanVarianceNormalization"
        | "RMSNormalization" => norms::rule,
        "AveragePool" | "LpPool" | "MaxPool" => pools::rule,
        "ConvInteger"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear"
        | "MatMulInteger"
        | "QLinearConv"
        | "QLinearMatMul"
        | "QuantizeLinear" => quantised::rule,
        "GRU" | "LSTM" | "RNN" => recurrent::rule,
        "Resize" => resize::rule,
        "AffineGrid" => resize::affine_grid,
        "GridSample" => resize::grid_sample,
        "CenterCropPad" | "Col2Im" | "CumProd" | "CumSum" | "Dropout" | "Expand" | "MatMul"
        | "Pad" | "SpaceToDepth" | "Tile" | "Trilu" | "Where" => shapes::rule,
        "ReduceProd" => reductions::rule,
        "TopK" => reductions::largest,
        "DFT" | "STFT" => spectral::rule,
        "Det" => spectral::determinant,
        "CausalConvWithState" => states::causal_convolution,
        "LinearAttention" => states::linear_attention,
        "TensorScatter" => states::cached,
        _ => return None,
    })
}
