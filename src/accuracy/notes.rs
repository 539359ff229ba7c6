//! What makes a measured error say little.

use super::{
    Observation,
    report::{FloatRun, row_of},
};

/// Notes on observations that don't tell a good circuit from a bad one: all of them one input, an output
/// that never changes, a class that never changes.
pub(super) fn notes(float: &FloatRun, inputs: &[Observation]) -> Vec<String> {
    let count = inputs.len();
    if count == 1 {
        return vec![
            "there is one observation only; an error measured there says little".to_owned(),
        ];
    }
    if same(inputs.iter()) {
        return vec![format!(
            "all {count} observations are the same input; an error measured there says little"
        )];
    }
    let note = |(number, info): (usize, &super::TensorInfo)| {
        let values = || float.values.iter().filter_map(|answer| answer.get(number));
        let name = &info.name;
        if same(values()) {
            return Some(format!(
                "output `{name}` of the float model is the same for all {count} observations; an error \
                 measured there says little"
            ));
        }
        let row = row_of(&info.shape);
        let classes = values().map(|values| values.chunks(row).map(largest).collect::<Vec<_>>());
        (row > 1 && !info.is_label() && same(classes)).then(|| {
            format!(
                "the largest element of output `{name}` of the float model is the same one for all {count} \
                 observations; that no class flips says little"
            )
        })
    };
    float.outputs.iter().enumerate().filter_map(note).collect()
}

fn same<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    values.next().is_some_and(|first| values.all(|value| value == first))
}

/// The place of the first largest element.
fn largest(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, place| if row[place] > row[best] { place } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::TensorInfo;

    fn of(element: &str, shape: &[usize], answers: &[&[f64]], inputs: &[f64]) -> Vec<String> {
        let info =
            TensorInfo { name: "y".to_owned(), shape: shape.to_vec(), element: element.to_owned() };
        let float = FloatRun {
            outputs: vec![info],
            values: answers.iter().map(|answer| vec![answer.to_vec()]).collect(),
        };
        notes(&float, &inputs.iter().map(|input| vec![vec![*input]]).collect::<Vec<_>>())
    }

    #[test]
    fn what_never_changes_is_told() {
        for element in ["f32", "i64", "bool"] {
            assert_eq!(of(element, &[1], &[&[0.0], &[1.0]], &[1.0, 2.0]), [""; 0]);
            let constant = of(element, &[1], &[&[1.0], &[1.0]], &[1.0, 2.0]);
            assert!(constant[0].contains("output `y` of the float model is the same for all 2"));
        }
        let same = of("f32", &[1], &[&[1.0], &[1.0]], &[3.0, 3.0]);
        assert_eq!(same.len(), 1);
        assert!(same[0].contains("all 2 observations are the same input"), "{same:?}");
        let one = of("f32", &[1], &[&[1.0]], &[3.0]);
        assert!(one[0].contains("one observation only"), "{one:?}");
    }

    #[test]
    fn a_class_that_never_changes_is_told_of_scores_only() {
        let (first, second): (&[f64], &[f64]) = (&[0.5, 0.2], &[0.3, 0.1]);
        let told = of("f32", &[1, 2], &[first, second], &[1.0, 2.0]);
        assert!(told[0].contains("the largest element of output `y`"), "{told:?}");
        assert_eq!(of("i64", &[1, 2], &[first, second], &[1.0, 2.0]), [""; 0]);
        assert_eq!(of("f32", &[1, 2], &[first, &[0.1, 0.3]], &[1.0, 2.0]), [""; 0]);
    }
}
