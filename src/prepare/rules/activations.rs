//! Functions of one number.

use crate::{
    onnx::proto::{AttributeProto, NodeProto},
    prepare::rewriter::{Outcome, Rewriter},
};

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let result = match node.op_type.as_str() {
        // ezkl leaves alpha out.
        "Celu" => celu(rewriter, value, node.float("alpha").unwrap_or(1.0))?,
        "Gelu" => gelu(rewriter, value, node.string("approximate") == Some("tanh")),
        "Swish" => {
            let inner = rewriter.times(value, node.float("alpha").unwrap_or(1.0));
            let gate = rewriter.apply("Sigmoid", &inner);
            rewriter.join("Mul", value, &gate)
        }
        "SwiGLU" => {
            let inner = rewriter.times(value, node.float("alpha").unwrap_or(1.0));
            let gate = rewriter.apply("Sigmoid", &inner);
            let gated = rewriter.join("Mul", value, &gate);
            rewriter.join("Mul", &gated, node.input_name(1)?)
        }
        "Mish" => {
            let soft = rewriter.apply("Softplus", value);
            let gate = rewriter.apply("Tanh", &soft);
            rewriter.join("Mul", value, &gate)
        }
        // A set of inputs whose number ezkl's loader may not expect.
        "Sum" | "Max" | "Min" if node.input.len() == 1 => value.to_owned(),
        "Mean" => {
            let sum = rewriter.node(
                "Sum",
                &node.input.iter().map(String::as_str).collect::<Vec<_>>(),
                [],
            );
            rewriter.times(&sum, 1.0 / node.input.len() as f32)
        }
        _ => return None,
    };
    Some(Outcome::one(result))
}

/// As an Elu of slope one, which is the same curve at another size.
fn celu(rewriter: &mut Rewriter<'_>, value: &str, alpha: f32) -> Option<String> {
    let small = rewriter.times(value, 1.0 / alpha);
    let curve = rewriter.node("Elu", &[&small], [AttributeProto::float("alpha", 1.0)]);
    (alpha != 0.0).then(|| rewriter.times(&curve, alpha))
}

/// x · Φ(x), by the error function or the usual approximation of it.
fn gelu(rewriter: &mut Rewriter<'_>, value: &str, approximate: bool) -> String {
    let curve = if approximate {
        let square = rewriter.join("Mul", value, value);
        let inner = rewriter.times(&square, 0.044_715);
        let inner = rewriter.plus(&inner, 1.0);
        let inner = rewriter.join("Mul", &inner, value);
        let inner = rewriter.times(&inner, (2.0 / std::f32::consts::PI).sqrt());
        rewriter.apply("Tanh", &inner)
    } else {
        let inner = rewriter.times(value, std::f32::consts::FRAC_1_SQRT_2);
        rewriter.apply("Erf", &inner)
    };
    let share = rewriter.plus(&curve, 1.0);
    let half = rewriter.times(value, 0.5);
    rewriter.join("Mul", &half, &share)
}
