//! What stands for each operator in a circuit.
//!
//! A rule is there for what ezkl refuses or gets wrong, or where another form takes fewer rows with the same answers.
//! A node that needs nothing stays as it is.

mod ml;

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
    let shortened = ml::shorten(graph);
    let rewritten = rewrite(graph, facts, told, |rewriter, node| match rule(node) {
        Some(rule) => rule(rewriter, node).unwrap_or(Outcome::Keep),
        None => Outcome::Keep,
    })?;
    Ok(shortened || rewritten)
}

fn rule(node: &NodeProto) -> Option<Rule> {
    match node.operator() {
        (ml::DOMAIN, _) => Some(ml::rule),
        _ => None,
    }
}
