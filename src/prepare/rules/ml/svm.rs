//! Support vector machines.

use super::{
    super::super::rewriter::{Outcome, Rewriter},
    ensemble::{Fault, Post, post},
    linear, matrix,
    scores::Scores,
};
use crate::onnx::{proto::NodeProto, tensor::element};

/// SVMRegressor.
pub(super) fn regressor(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let vectors = vectors(node, value.columns)?;
    let coefficients = node.floats("coefficients").to_vec();
    let rho = node.floats("rho").first().copied().unwrap_or_default();
    let answer = match vectors.is_empty() {
        true => linear::apply(rewriter, &value, &[coefficients], &[rho]),
        false => kernel(rewriter, node, &value, &vectors, &[coefficients], &[rho])?,
    };
    if node.int("one_class").unwrap_or_default() == 0 {
        return Ok(Some(Outcome::one(answer.name)));
    }
    let inside = answer.above(rewriter, 0.0, [-1, 1]);
    Ok(Some(Outcome::one(rewriter.cast(&inside, element::FLOAT))))
}

/// SVMClassifier: each pair of classes has a decision, and the class that wins most of its pairs is it.
pub(super) fn classifier(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
) -> Result<Option<Outcome>, Fault> {
    let Some(value) = matrix(rewriter, node) else { return Ok(None) };
    let vectors = vectors(node, value.columns)?;
    let labels = node.ints("classlabels_ints").to_vec();
    let sizes: Vec<_> = node
        .ints("vectors_per_class")
        .iter()
        .map(|size| usize::try_from(*size).unwrap_or_default())
        .collect();
    if vectors.is_empty() || sizes.len() != labels.len() || labels.len() < 2 {
        return Err("it has no support vectors for its classes; export a linear model as a LinearClassifier".to_owned());
    }
    let coefficients = node.floats("coefficients");
    if sizes.iter().sum::<usize>() != vectors.len()
        || coefficients.len() != vectors.len() * (labels.len() - 1)
    {
        return Err("its coefficients are not as many as its support vectors ask for; export the model again".to_owned());
    }
    let starts: Vec<usize> = sizes
        .iter()
        .scan(0, |next, size| {
            *next += size;
            Some(*next - size)
        })
        .collect();
    let mut pairs = Vec::new();
    let mut weights = Vec::new();
    for first in 0..labels.len() {
        for second in first + 1..labels.len() {
            let mut row = vec![0.0; vectors.len()];
            for (class, other) in [(first, second - 1), (second, first)] {
                for place in starts[class]..starts[class] + sizes[class] {
                    row[place] = coefficients[other * vectors.len() + place];
                }
            }
            pairs.push((first, second));
            weights.push(row);
        }
    }
    let decisions = kernel(rewriter, node, &value, &vectors, &weights, node.floats("rho"))?;
    if !node.floats("prob_a").is_empty() && node.output_name(1).is_some() {
        return Err("ONNX Runtime finds its probabilities by iteration, which a circuit can't; train it with \
                    probability=False, or keep the label alone by `outputs` under [model] in zkvouch.toml"
            .to_owned());
    }
    let post = post(node.string("post_transform").unwrap_or("NONE"))?;
    if let [first, second] = labels[..] {
        let label = decisions.above(rewriter, 0.0, [second, first]);
        let pair = match post {
            Post::Nothing => decisions.negative(rewriter).beside(rewriter, &decisions),
            Post::Logistic => {
                let second = decisions.logistic(rewriter);
                second.rest(rewriter).beside(rewriter, &second)
            }
            Post::Softmax => decisions.rest(rewriter).beside(rewriter, &decisions),
        };
        return Ok(Some(Outcome::Replace(vec![label, pair.name])));
    }
    let label = winner(rewriter, &decisions, &pairs, &labels);
    Ok(Some(Outcome::Replace(vec![label, decisions.post(rewriter, post).name])))
}

/// The class that wins most of its pairs, the first of several.
fn winner(
    rewriter: &mut Rewriter<'_>,
    decisions: &Scores,
    pairs: &[(usize, usize)],
    labels: &[i64],
) -> String {
    let zero = rewriter.floats(&[1, 1], &[0.0]);
    let won = rewriter.node("Greater", &[&decisions.name, &zero], []);
    let won = Scores { name: rewriter.cast(&won, element::FLOAT), ..decisions.clone() };
    let classes = 0..labels.len();
    let votes: Vec<Vec<f32>> = classes
        .clone()
        .map(|class| {
            let vote = |(first, second): &(usize, usize)| {
                f32::from(u8::from(*first == class)) - f32::from(u8::from(*second == class))
            };
            pairs.iter().map(vote).collect()
        })
        .collect();
    // A class has the pairs that it is second of until they are lost.
    let starts: Vec<f32> = classes.map(|class| class as f32).collect();
    linear::apply(rewriter, &won, &votes, &starts).largest(rewriter, labels)
}

fn vectors(node: &NodeProto, features: usize) -> Result<Vec<Vec<f32>>, Fault> {
    let flat = node.floats("support_vectors");
    if !flat.len().is_multiple_of(features.max(1)) {
        return Err(
            "its support vectors have another length than its input; export the model again"
                .to_owned(),
        );
    }
    Ok(flat.chunks_exact(features.max(1)).map(<[f32]>::to_vec).collect())
}

/// Sums of kernels, a column for each row of weights.
fn kernel(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    value: &Scores,
    vectors: &[Vec<f32>],
    weights: &[Vec<f32>],
    rho: &[f32],
) -> Result<Scores, Fault> {
    let (gamma, shift, degree) = match node.floats("kernel_params") {
        [gamma, shift, degree, ..] => (*gamma, *shift, *degree),
        _ => (0.0, 0.0, 0.0),
    };
    let scaled = |factor: f32| -> Vec<Vec<f32>> {
        let scale = |vector: &Vec<f32>| vector.iter().map(|value| factor * value).collect();
        vectors.iter().map(scale).collect()
    };
    let shifts = vec![shift; vectors.len()];
    let kernels = match node.string("kernel_type").unwrap_or("LINEAR") {
        "LINEAR" => {
            // Products are summed before the input comes: one row of weights stands for all vectors.
            let row = |weights: &Vec<f32>| {
                let mut row = vec![0.0f64; value.columns];
                for (weight, vector) in weights.iter().zip(vectors) {
                    for (sum, value) in row.iter_mut().zip(vector) {
                        *sum += f64::from(*weight) * f64::from(*value);
                    }
                }
                row.into_iter().map(|sum| sum as f32).collect()
            };
            let rows: Vec<Vec<f32>> = weights.iter().map(row).collect();
            return Ok(linear::apply(rewriter, value, &rows, rho));
        }
        "RBF" => {
            // The distance's square by its three parts, of which one is known and one is the same for all vectors.
            let square = rewriter.node("Mul", &[&value.name, &value.name], []);
            let name = rewriter.reduce("ReduceSum", &square, &[1], true);
            let length = Scores { name, rows: value.rows, columns: 1 };
            let both = value.beside(rewriter, &length);
            let mut rows = scaled(2.0 * gamma);
            rows.iter_mut().for_each(|row| row.push(-gamma));
            let known = |vector: &Vec<f32>| {
                let length: f64 = vector.iter().map(|it| f64::from(*it) * f64::from(*it)).sum();
                (-f64::from(gamma) * length) as f32
            };
            let known: Vec<f32> = vectors.iter().map(known).collect();
            let power = linear::apply(rewriter, &both, &rows, &known);
            Scores { name: rewriter.node("Exp", &[&power.name], []), ..power }
        }
        "POLY" if degree >= 1.0 && degree.fract() == 0.0 => {
            let base = linear::apply(rewriter, value, &scaled(gamma), &shifts);
            let degree = rewriter.float(degree);
            Scores { name: rewriter.node("Pow", &[&base.name, &degree], []), ..base }
        }
        "SIGMOID" => {
            let sum = linear::apply(rewriter, value, &scaled(gamma), &shifts);
            Scores { name: rewriter.node("Tanh", &[&sum.name], []), ..sum }
        }
        other => {
            return Err(format!(
                "its kernel {other} with these parameters has no form in whole powers; train it with RBF or a whole \
                 degree"
            ));
        }
    };
    Ok(linear::apply(rewriter, &kernels, weights, rho))
}
