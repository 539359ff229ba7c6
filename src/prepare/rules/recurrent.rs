//! LSTM, GRU and RNN, one step after the other.
//!
//! ezkl computes the plain forward form, and reads the others as if they were plain. Written out over the sequence's
//! fixed length all are right, and the plain one takes a quarter to a third fewer rows.

use crate::{
    onnx::{proto::NodeProto, tensor::element},
    prepare::rewriter::{Outcome, Rewriter},
};

/// A plain layer over more steps than this stays as it is: so many nodes are slow to read.
const MOST_STEPS: usize = 256;

/// A curve with the numbers that belong to it.
#[derive(Clone, Debug)]
struct Curve {
    operator: String,
    alpha: f32,
    beta: f32,
}

/// One direction of a layer.
struct Layer {
    operator: String,
    /// Input times weights with both biases, for each step: [batch, gates · hidden].
    steps: Vec<String>,
    /// [hidden, gates · hidden]
    recurrence: String,
    /// The recurrence's own bias of a GRU's last gate, where that is added before the gate.
    inner_bias: Option<String>,
    peepholes: Option<[String; 3]>,
    curves: Vec<Curve>,
    clip: Option<f32>,
    coupled: bool,
    hidden: usize,
}

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    if node.int("layout").unwrap_or(0) != 0 {
        return Some(Outcome::Refuse(
            "layout = 1 has no circuit; export the layer with layout = 0".into(),
        ));
    }
    let [length, batch, width] = *rewriter.shape(node.input_name(0)?)? else { return None };
    if length > MOST_STEPS && is_plain(node) {
        return None;
    }
    let hidden = *rewriter.shape(node.input_name(2)?)?.get(2)?;
    let direction = node.string("direction").unwrap_or("forward");
    let directions = if direction == "bidirectional" { 2 } else { 1 };
    let flat = rewriter.reshape(node.input_name(0)?, &[length * batch, width]);
    let (mut all, mut last, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..directions {
        let layer = layer(rewriter, node, number, directions, &flat, (length, batch))?;
        let backwards = direction == "reverse" || number == 1;
        let (steps, hidden_state, cell) =
            run(rewriter, node, &layer, number, (length, batch), backwards)?;
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let joined = rewriter.concat(&steps, 0);
        all.push(rewriter.reshape(&joined, &[length, 1, batch, hidden]));
        last.push(rewriter.reshape(&hidden_state, &[1, batch, hidden]));
        if let Some(cell) = cell {
            cells.push(rewriter.reshape(&cell, &[1, batch, hidden]));
        }
    }
    let mut join = |parts: &[String], axis| match parts {
        [one] => one.clone(),
        parts => rewriter.concat(&parts.iter().map(String::as_str).collect::<Vec<_>>(), axis),
    };
    let mut outputs = vec![join(&all, 1), join(&last, 0)];
    if !cells.is_empty() {
        outputs.push(join(&cells, 0));
    }
    Some(Outcome::Replace(outputs))
}

/// Whether ezkl computes it as it is.
fn is_plain(node: &NodeProto) -> bool {
    let usual: &[&str] = match node.op_type.as_str() {
        "LSTM" => &["Sigmoid", "Tanh", "Tanh"],
        "GRU" => &["Sigmoid", "Tanh"],
        _ => &["Tanh"],
    };
    let activations = node.strings("activations");
    node.string("direction").unwrap_or("forward") == "forward"
        && (activations.is_empty() || activations == usual)
        && node.attribute("clip").is_none()
        && node.int("input_forget").unwrap_or(0) == 0
        && node.int("linear_before_reset").unwrap_or(0) == 0
        && node.int("layout").unwrap_or(0) == 0
        && (4..8).all(|place| node.input_name(place).is_none())
}

fn layer(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    number: usize,
    directions: usize,
    flat: &str,
    (length, batch): (usize, usize),
) -> Option<Layer> {
    let operator = node.op_type.clone();
    let gates = match operator.as_str() {
        "LSTM" => 4,
        "GRU" => 3,
        _ => 1,
    };
    let hidden = *rewriter.shape(node.input_name(2)?)?.get(2)?;
    let mut of = |name: &str| rewriter.pick(name, number as i64, 0);
    let weights = of(node.input_name(1)?);
    let recurrence = of(node.input_name(2)?);
    let bias = node.input_name(3).map(&mut of);
    let peepholes = node.input_name(7).filter(|_| operator == "LSTM").map(&mut of);
    let weights = rewriter.transpose(&weights, &[1, 0]);
    let recurrence = rewriter.transpose(&recurrence, &[1, 0]);
    let mut projected = rewriter.join("MatMul", flat, &weights);
    let mut inner_bias = None;
    if let Some(bias) = bias {
        let size = gates * hidden;
        let mut outer = rewriter.slice(&bias, 0, 0, size);
        if operator == "GRU" && node.int("linear_before_reset").unwrap_or(0) != 0 {
            let first = rewriter.slice(&bias, 0, size, 2 * size - hidden);
            let none = rewriter.floats(&[hidden], &vec![0.0; hidden]);
            let first = rewriter.concat(&[&first, &none], 0);
            outer = rewriter.join("Add", &outer, &first);
            inner_bias = Some(rewriter.slice(&bias, 0, 2 * size - hidden, 2 * size));
        } else {
            let inner = rewriter.slice(&bias, 0, size, 2 * size);
            outer = rewriter.join("Add", &outer, &inner);
        }
        projected = rewriter.join("Add", &projected, &outer);
    }
    let steps = (0..length)
        .map(|step| match length {
            1 => projected.clone(),
            _ => rewriter.slice(&projected, 0, step * batch, (step + 1) * batch),
        })
        .collect();
    let peepholes = peepholes
        .map(|list| [0, 1, 2].map(|at| rewriter.slice(&list, 0, at * hidden, (at + 1) * hidden)));
    Some(Layer {
        curves: curves(node, number, directions, &operator),
        operator,
        steps,
        recurrence,
        inner_bias,
        peepholes,
        clip: node.float("clip"),
        coupled: node.int("input_forget").unwrap_or(0) != 0,
        hidden,
    })
}

/// The curves of one direction. Their numbers stand in lists that only name those that take some.
fn curves(node: &NodeProto, number: usize, directions: usize, operator: &str) -> Vec<Curve> {
    let usual: &[&str] = match operator {
        "LSTM" => &["Sigmoid", "Tanh", "Tanh"],
        "GRU" => &["Sigmoid", "Tanh"],
        _ => &["Tanh"],
    };
    let mut names = node.strings("activations");
    if names.is_empty() {
        names = usual.repeat(directions);
    }
    let mut alphas = node.floats("activation_alpha").iter();
    let mut betas = node.floats("activation_beta").iter();
    let mut all = Vec::new();
    for name in names {
        let (alpha, beta) = match name.to_lowercase().as_str() {
            "affine" => (Some(1.0), Some(0.0)),
            "leakyrelu" => (Some(0.01), None),
            "thresholdedrelu" | "elu" => (Some(1.0), None),
            "scaledtanh" => (Some(1.0), Some(1.0)),
            "hardsigmoid" => (Some(0.2), Some(0.5)),
            _ => (None, None),
        };
        all.push(Curve {
            operator: name.to_lowercase(),
            alpha: alpha.map_or(0.0, |usual| alphas.next().copied().unwrap_or(usual)),
            beta: beta.map_or(0.0, |usual| betas.next().copied().unwrap_or(usual)),
        });
    }
    let each = usual.len();
    all.into_iter().skip(number * each).take(each).collect()
}

impl Curve {
    fn of(&self, rewriter: &mut Rewriter<'_>, value: &str) -> Option<String> {
        use crate::onnx::proto::AttributeProto as Attribute;
        let alpha = Attribute::float("alpha", self.alpha);
        Some(match self.operator.as_str() {
            "sigmoid" => rewriter.apply("Sigmoid", value),
            "tanh" => rewriter.apply("Tanh", value),
            "relu" => rewriter.apply("Relu", value),
            "softsign" => rewriter.apply("Softsign", value),
            "softplus" => rewriter.apply("Softplus", value),
            "affine" => {
                let scaled = rewriter.times(value, self.alpha);
                rewriter.plus(&scaled, self.beta)
            }
            "leakyrelu" => rewriter.node("LeakyRelu", &[value], [alpha]),
            "thresholdedrelu" => rewriter.node("ThresholdedRelu", &[value], [alpha]),
            "elu" => rewriter.node("Elu", &[value], [alpha]),
            "scaledtanh" => {
                let inner = rewriter.times(value, self.beta);
                let bent = rewriter.apply("Tanh", &inner);
                rewriter.times(&bent, self.alpha)
            }
            "hardsigmoid" => {
                let line = rewriter.times(value, self.alpha);
                let line = rewriter.plus(&line, self.beta);
                rewriter.clip(&line, 0.0, 1.0)
            }
            _ => return None,
        })
    }
}

/// Each step's output in the sequence's order, the last state, and an LSTM's last cell.
fn run(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    layer: &Layer,
    number: usize,
    (length, batch): (usize, usize),
    backwards: bool,
) -> Option<(Vec<String>, String, Option<String>)> {
    let start = |rewriter: &mut Rewriter<'_>, place| match node.input_name(place) {
        Some(given) => rewriter.pick(given, number as i64, 0),
        None => rewriter.floats(&[batch, layer.hidden], &vec![0.0; batch * layer.hidden]),
    };
    let mut hidden = start(rewriter, 5);
    let mut cell = (layer.operator == "LSTM").then(|| start(rewriter, 6));
    let mut outputs = vec![String::new(); length];
    let lengths = node.input_name(4).filter(|name| {
        !rewriter.numbers(name).is_some_and(|numbers| numbers.iter().all(|it| *it >= length as f64))
    });
    let order: Vec<usize> =
        if backwards { (0..length).rev().collect() } else { (0..length).collect() };
    for step in order {
        let (next, next_cell) =
            layer.step(rewriter, &layer.steps[step], &hidden, cell.as_deref())?;
        // Past its own end a sequence keeps its state and says zero.
        match lengths {
            Some(lengths) => {
                let lengths = rewriter.cast(lengths, element::INT64);
                let now = rewriter.integer_tensor(&[], &[step as i64]);
                let within = rewriter.join("Less", &now, &lengths);
                let within = rewriter.cast(&within, element::FLOAT);
                let within = rewriter.reshape(&within, &[batch, 1]);
                outputs[step] = rewriter.join("Mul", &next, &within);
                let mut hold = |new: &str, old: &str| {
                    let change = rewriter.join("Sub", new, old);
                    let change = rewriter.join("Mul", &change, &within);
                    rewriter.join("Add", old, &change)
                };
                hidden = hold(&next, &hidden);
                cell = cell.zip(next_cell).map(|(old, new)| hold(&new, &old));
            }
            None => {
                outputs[step].clone_from(&next);
                (hidden, cell) = (next, next_cell);
            }
        }
    }
    Some((outputs, hidden, cell))
}

impl Layer {
    fn gate(&self, rewriter: &mut Rewriter<'_>, all: &str, number: usize) -> String {
        rewriter.slice(all, 1, number * self.hidden, (number + 1) * self.hidden)
    }

    /// A curve of a sum, which may be held within bounds.
    fn curve(&self, rewriter: &mut Rewriter<'_>, number: usize, sum: &str) -> Option<String> {
        let held = match self.clip {
            Some(clip) => rewriter.clip(sum, -clip, clip),
            None => sum.to_owned(),
        };
        self.curves.get(number)?.of(rewriter, &held)
    }

    fn step(
        &self,
        rewriter: &mut Rewriter<'_>,
        input: &str,
        hidden: &str,
        cell: Option<&str>,
    ) -> Option<(String, Option<String>)> {
        match (self.operator.as_str(), cell) {
            ("LSTM", Some(cell)) => {
                let (hidden, cell) = self.lstm(rewriter, input, hidden, cell)?;
                Some((hidden, Some(cell)))
            }
            ("GRU", _) => Some((self.gru(rewriter, input, hidden)?, None)),
            _ => {
                let again = rewriter.join("MatMul", hidden, &self.recurrence);
                let sum = rewriter.join("Add", input, &again);
                Some((self.curve(rewriter, 0, &sum)?, None))
            }
        }
    }

    /// Gates in ONNX's order: input, output, forget, cell.
    fn lstm(
        &self,
        rewriter: &mut Rewriter<'_>,
        input: &str,
        hidden: &str,
        cell: &str,
    ) -> Option<(String, String)> {
        let again = rewriter.join("MatMul", hidden, &self.recurrence);
        let sums = rewriter.join("Add", input, &again);
        let mut sum = [0, 1, 2, 3].map(|number| self.gate(rewriter, &sums, number));
        let mut peep = |sum: &mut String, number: usize, cell: &str| {
            if let Some(peepholes) = &self.peepholes {
                let seen = rewriter.join("Mul", &peepholes[number], cell);
                *sum = rewriter.join("Add", sum, &seen);
            }
        };
        peep(&mut sum[0], 0, cell);
        peep(&mut sum[2], 2, cell);
        let entry = self.curve(rewriter, 0, &sum[0])?;
        let kept = match self.coupled {
            true => rewriter.from(1.0, &entry),
            false => self.curve(rewriter, 0, &sum[2])?,
        };
        let fresh = self.curve(rewriter, 1, &sum[3])?;
        let (old, new) = (rewriter.join("Mul", &kept, cell), rewriter.join("Mul", &entry, &fresh));
        let cell = rewriter.join("Add", &old, &new);
        if let Some(peepholes) = &self.peepholes {
            let seen = rewriter.join("Mul", &peepholes[1], &cell);
            sum[1] = rewriter.join("Add", &sum[1], &seen);
        }
        let exit = self.curve(rewriter, 0, &sum[1])?;
        let shown = self.curves.get(2)?.of(rewriter, &cell)?;
        Some((rewriter.join("Mul", &exit, &shown), cell))
    }

    /// Gates in ONNX's order: update, reset, hidden.
    fn gru(&self, rewriter: &mut Rewriter<'_>, input: &str, hidden: &str) -> Option<String> {
        let size = self.hidden;
        let first = rewriter.slice(&self.recurrence, 1, 0, 2 * size);
        let last = rewriter.slice(&self.recurrence, 1, 2 * size, 3 * size);
        let again = rewriter.join("MatMul", hidden, &first);
        let outer = rewriter.slice(input, 1, 0, 2 * size);
        let sums = rewriter.join("Add", &outer, &again);
        let (update, reset) = (self.gate(rewriter, &sums, 0), self.gate(rewriter, &sums, 1));
        let update = self.curve(rewriter, 0, &update)?;
        let reset = self.curve(rewriter, 0, &reset)?;
        let outer = rewriter.slice(input, 1, 2 * size, 3 * size);
        let inner = match &self.inner_bias {
            Some(bias) => {
                let again = rewriter.join("MatMul", hidden, &last);
                let again = rewriter.join("Add", &again, bias);
                rewriter.join("Mul", &reset, &again)
            }
            None => {
                let part = rewriter.join("Mul", &reset, hidden);
                rewriter.join("MatMul", &part, &last)
            }
        };
        let sum = rewriter.join("Add", &outer, &inner);
        let fresh = self.curve(rewriter, 1, &sum)?;
        // (1 - update) · fresh + update · hidden
        let change = rewriter.join("Sub", hidden, &fresh);
        let change = rewriter.join("Mul", &change, &update);
        Some(rewriter.join("Add", &fresh, &change))
    }
}
