//! Operators of `ai.onnx.ml`, which ezkl has none of: what scikit-learn, XGBoost, LightGBM and CatBoost are exported
//! to.
//!
//! They say what ONNX Runtime makes of them, also where ONNX itself leaves it open.

mod ensemble;
mod features;
mod linear;
mod plan;
mod scores;
mod svm;
#[cfg(test)]
mod tests;
mod trees;

use super::super::rewriter::{Outcome, Rewriter};
use crate::onnx::{
    proto::{GraphProto, NodeProto},
    tensor::element,
};
use ensemble::{Ensemble, Fault, Post, Spoken};
use scores::Scores;
use std::collections::{HashMap, HashSet};
use trees::Lowering;

pub(super) const DOMAIN: &str = "ai.onnx.ml";

/// What stands for a node of this domain.
pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let outcome = match node.op_type.as_str() {
        "TreeEnsembleClassifier" => tree_classifier(rewriter, node),
        "TreeEnsembleRegressor" => tree_regressor(rewriter, node),
        "TreeEnsemble" => tree_ensemble(rewriter, node),
        "LinearClassifier" => linear::classifier(rewriter, node),
        "LinearRegressor" => linear::regressor(rewriter, node),
        "SVMClassifier" => svm::classifier(rewriter, node),
        "SVMRegressor" => svm::regressor(rewriter, node),
        "Scaler" => features::scaler(rewriter, node),
        "Normalizer" => features::normalizer(rewriter, node),
        "Imputer" => features::imputer(rewriter, node),
        "Binarizer" => features::binarizer(rewriter, node),
        "FeatureVectorizer" => features::vectorizer(rewriter, node),
        "ArrayFeatureExtractor" => features::extractor(rewriter, node),
        "LabelEncoder" => features::encoder(rewriter, node),
        "OneHotEncoder" => features::one_hot(rewriter, node),
        "CategoryMapper" | "DictVectorizer" | "CastMap" => {
            Err("a circuit has numbers only, no text and no maps; leave this step out of the exported model and do it \
                 before"
                .to_owned())
        }
        _ => Err("ezkl has no such operator; export the model by others".to_owned()),
    };
    match outcome {
        Ok(None) => None,
        Ok(Some(Outcome::Replace(outputs))) => {
            Some(Outcome::Replace(shaped(rewriter, node, outputs)))
        }
        Ok(outcome) => outcome,
        Err(reason) => Some(Outcome::Refuse(reason)),
    }
}

/// Takes out what the operators of this domain make superfluous.
pub(super) fn shorten(graph: &mut GraphProto) -> bool {
    let makers: HashMap<String, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(place, node)| node.output.iter().map(move |name| (name.clone(), place)))
        .collect();
    forget_unread(graph);
    let mut changed = false;
    for place in 0..graph.node.len() {
        let node = &graph.node[place];
        let input = node.input_name(0).unwrap_or_default();
        let Some(maker) = makers.get(input).map(|maker| &graph.node[*maker]) else { continue };
        if node.operator() == (DOMAIN, "Normalizer")
            && node.string("norm") == Some("L1")
            && sums_to_one(maker)
        {
            let (input, output) = (input.to_owned(), node.output[0].clone());
            graph.node[place] = NodeProto::new("Identity", &[&input], &[&output], []);
            changed = true;
        }
    }
    changed
}

/// Leaves out what nobody reads of this domain's operators, so that no rule refuses for its sake.
fn forget_unread(graph: &mut GraphProto) {
    let mut read: HashSet<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    read.extend(graph.node.iter().flat_map(|node| node.input.iter().cloned()));
    for node in graph.node.iter_mut().filter(|node| node.operator().0 == DOMAIN) {
        node.output.iter_mut().filter(|name| !read.contains(*name)).for_each(String::clear);
    }
}

/// Whether a node's scores are probabilities already.
fn sums_to_one(node: &NodeProto) -> bool {
    node.operator() == (DOMAIN, "LinearClassifier")
        && node.string("post_transform") == Some("SOFTMAX")
        && node.ints("classlabels_ints").len() == node.floats("intercepts").len()
}

/// Outputs in the shapes that the node's own have.
fn shaped(rewriter: &mut Rewriter<'_>, node: &NodeProto, outputs: Vec<String>) -> Vec<String> {
    let own = node.output.iter().map(|name| rewriter.shape(name).map(<[usize]>::to_vec));
    let shapes: Vec<_> = own.collect();
    outputs
        .into_iter()
        .zip(shapes)
        .map(|(output, shape)| match shape {
            Some(shape) => rewriter.reshape(&output, &shape),
            None => output,
        })
        .collect()
}

/// A node's first input as floats, an observation a row; `None` where its shape isn't known yet.
fn matrix(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Scores> {
    let input = node.input_name(0)?;
    let shape = rewriter.shape(input)?.to_vec();
    let mut name = input.to_owned();
    if rewriter.element(input)? != element::FLOAT {
        name = rewriter.cast(&name, element::FLOAT);
    }
    let (rows, columns) = match shape.as_slice() {
        [] => (1, 1),
        [columns] => (1, *columns),
        [rows, rest @ ..] => (*rows, rest.iter().product()),
    };
    if shape.len() != 2 {
        name = rewriter.reshape(&name, &[rows, columns]);
    }
    Some(Scores { name, rows, columns })
}

fn answers(rewriter: &mut Rewriter<'_>, value: &Scores, ensemble: &Ensemble) -> Scores {
    let name = Lowering::answers(rewriter, value.name.clone(), value.rows, ensemble);
    Scores { name, rows: value.rows, columns: ensemble.targets }
}

fn tree_regressor(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Result<Option<Outcome>, Fault> {
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let targets = usize::try_from(node.int("n_targets").unwrap_or(1)).unwrap_or(1);
    let ensemble = Ensemble::old(node, "target", targets)?;
    regression(rewriter, &value, &ensemble)
}

fn tree_ensemble(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Result<Option<Outcome>, Fault> {
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let ensemble = Ensemble::new(node)?;
    regression(rewriter, &value, &ensemble)
}

fn regression(
    rewriter: &mut Rewriter<'_>,
    value: &Scores,
    ensemble: &Ensemble,
) -> Result<Option<Outcome>, Fault> {
    if matches!(ensemble.aggregate, ensemble::Aggregate::Least | ensemble::Aggregate::Most) {
        let spoken = |target| ensemble.trees.iter().all(|it| it.spoken(target) == Spoken::Always);
        if !(0..ensemble.targets).all(spoken) {
            return Err("its MIN or MAX leaves trees out that say nothing of a target; export the model with a weight \
                        for each target in each leaf"
                .to_owned());
        }
    }
    let scores = answers(rewriter, value, ensemble).plus(rewriter, &ensemble.base);
    // For one target ONNX Runtime does nothing more.
    let scores = if ensemble.targets == 1 { scores } else { scores.post(rewriter, ensemble.post) };
    Ok(Some(Outcome::one(scores.name)))
}

fn tree_classifier(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let labels = node.ints("classlabels_int64s").to_vec();
    let ensemble = Ensemble::old(node, "class", labels.len())?;
    let spoken: Vec<_> = (0..labels.len()).map(|target| ensemble.spoken(target)).collect();
    let (label, scores) = match labels[..] {
        [first, second] => two_classes(rewriter, &value, &ensemble, [first, second], &spoken)?,
        _ => {
            // A class that no leaf spoke of is not among those that the label is chosen from.
            if ensemble.base.is_empty()
                && !ensemble.is_positive()
                && spoken.iter().any(|spoken| *spoken != Spoken::Always)
            {
                return Err(unspoken());
            }
            let scores = answers(rewriter, &value, &ensemble).plus(rewriter, &ensemble.base);
            (scores.largest(rewriter, &labels), scores.post(rewriter, ensemble.post))
        }
    };
    Ok(Some(Outcome::Replace(vec![label, scores.name])))
}

fn unspoken() -> Fault {
    "some of its leaves say nothing of a class that others speak of, and ONNX Runtime then leaves the class out; export \
     the model with a weight for each class in each leaf"
        .to_owned()
}

/// Of two classes a model may have one score or two, and ONNX Runtime reads each case in its own way.
fn two_classes(
    rewriter: &mut Rewriter<'_>,
    value: &Scores,
    ensemble: &Ensemble,
    labels: [i64; 2],
    spoken: &[Spoken],
) -> Result<(String, Scores), Fault> {
    let bound = if ensemble.is_positive() { 0.5 } else { 0.0 };
    let base = ensemble.base.as_slice();
    match (spoken, base) {
        ([Spoken::Always, Spoken::Never], [] | [_]) => {
            let score = answers(rewriter, value, ensemble).column(rewriter, 0);
            let score = score.plus(rewriter, base);
            let label = score.above(rewriter, bound, labels);
            let scores = match ensemble.post {
                Post::Logistic => {
                    let second = score.logistic(rewriter);
                    second.rest(rewriter).beside(rewriter, &second)
                }
                _ if bound > 0.0 => score.rest(rewriter).beside(rewriter, &score),
                _ => score.negative(rewriter).beside(rewriter, &score),
            };
            Ok((label, scores))
        }
        ([Spoken::Never, Spoken::Always], [] | [_]) => {
            let scores = answers(rewriter, value, ensemble);
            let label = scores.column(rewriter, 1).above(rewriter, bound, labels);
            Ok((label, scores.post(rewriter, ensemble.post)))
        }
        ([Spoken::Always, Spoken::Always], base) => {
            let scores = answers(rewriter, value, ensemble);
            let scores = match base {
                [_, second] => {
                    let first = scores.column(rewriter, 0).plus(rewriter, &[*second]);
                    first.negative(rewriter).beside(rewriter, &first)
                }
                [first] => scores.plus(rewriter, &[*first, 0.0]),
                _ => scores,
            };
            // The classes' own numbers don't count here.
            let label = scores.column(rewriter, 1).above(rewriter, 0.0, [0, 1]);
            Ok((label, scores.post(rewriter, ensemble.post)))
        }
        (_, [_, _]) => Err("it has two base values and scores of one class alone, of which ONNX Runtime makes no use; \
                            export the model with one base value"
            .to_owned()),
        _ => Err(unspoken()),
    }
}
