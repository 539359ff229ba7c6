//! Sums of products by letters.

use crate::{
    onnx::proto::{AttributeProto, NodeProto},
    prepare::rewriter::{Outcome, Rewriter},
};

/// An operand of an Einsum that has one letter twice is its diagonal.
pub(super) fn diagonal(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let equation: String =
        node.string("equation")?.chars().filter(|it| !it.is_whitespace()).collect();
    let (left, right) = equation.split_once("->")?;
    let mut changed = false;
    let (mut terms, mut values) = (Vec::new(), Vec::new());
    for (term, value) in left.split(',').zip(&node.input) {
        let mut shape = rewriter.shape(value)?.to_vec();
        let (open, letters) = match term.strip_prefix("...") {
            Some(letters) => (true, letters),
            None => (false, term),
        };
        let mut letters: Vec<char> = letters.chars().collect();
        if letters.contains(&'.') {
            return None;
        }
        let mut value = value.clone();
        while let Some((first, second)) = twice(&letters) {
            changed = true;
            let lead = shape.len() - letters.len();
            let (first_axis, second_axis) = (lead + first, lead + second);
            let length = shape[first_axis];
            let mut order: Vec<usize> =
                (0..shape.len()).filter(|it| *it != first_axis && *it != second_axis).collect();
            let mut lengths: Vec<usize> = order.iter().map(|it| shape[*it]).collect();
            order.extend([first_axis, second_axis]);
            let turned = rewriter.transpose(&value, &order);
            lengths.push(length * length);
            let flat = rewriter.reshape(&turned, &lengths);
            let places: Vec<i64> = (0..length).map(|it| (it * (length + 1)) as i64).collect();
            value = rewriter.gather(&flat, &places, lengths.len() - 1);
            *lengths.last_mut()? = length;
            shape = lengths;
            let letter = letters[first];
            letters.remove(second);
            letters.remove(first);
            letters.push(letter);
        }
        let letters: String = letters.into_iter().collect();
        terms.push(if open { format!("...{letters}") } else { letters });
        values.push(value);
    }
    if !changed {
        return None;
    }
    if terms == [right] {
        return Some(Outcome::one(values.pop()?));
    }
    let equation = format!("{}->{right}", terms.join(","));
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let attribute = [AttributeProto::string("equation", &equation)];
    Some(Outcome::one(rewriter.node("Einsum", &values, attribute)))
}

fn twice(letters: &[char]) -> Option<(usize, usize)> {
    (0..letters.len()).find_map(|second| {
        let first = letters[..second].iter().position(|it| *it == letters[second])?;
        Some((first, second))
    })
}
