//! The public values of one prediction among those that a proof is of.

use super::layout::{DecodedGroup, DecodedInstances, InstanceGroup, Values};
use crate::model::schema::TensorKind;

impl DecodedInstances {
    /// Each prediction's own values, where a proof is of `size`: of a tensor of numbers the observation's part on the
    /// first axis, of hashes the observation's own, and the parameters' hash in each. Nothing where they don't fall
    /// into so many equal parts.
    pub fn predictions(&self, size: usize) -> Option<Vec<Self>> {
        if size <= 1 {
            return Some(vec![self.clone()]);
        }
        (0..size).map(|number| self.of_prediction(number, size)).collect()
    }

    fn of_prediction(&self, number: usize, size: usize) -> Option<Self> {
        let mut groups = Vec::new();
        for kind in [TensorKind::ProcessedInput, TensorKind::ProcessedOutput] {
            if !self.groups.iter().filter(|it| it.group.kind == kind).count().is_multiple_of(size) {
                return None;
            }
        }
        let (mut hashes, mut before) = (0, None);
        for DecodedGroup { group, values } in &self.groups {
            if before != Some(group.kind) {
                hashes = 0;
            }
            before = Some(group.kind);
            match values {
                Values::Hashes(hash) if group.kind == TensorKind::ProcessedParam => {
                    let values = Values::Hashes(hash.clone());
                    groups.push(DecodedGroup { group: group.clone(), values });
                }
                Values::Hashes(hash) => {
                    if hashes % size == number {
                        let group = InstanceGroup { tensor: hashes / size, ..group.clone() };
                        groups.push(DecodedGroup { group, values: Values::Hashes(hash.clone()) });
                    }
                    hashes += 1;
                }
                Values::Numbers(numbers) => {
                    let (first, rest) = group.shape.split_first()?;
                    if *first != size {
                        return None;
                    }
                    let length = numbers.len() / size;
                    let shape = std::iter::once(1).chain(rest.iter().copied()).collect();
                    let offset = group.offset + number * length;
                    let group = InstanceGroup { shape, offset, ..group.clone() };
                    let values = Values::Numbers(numbers[number * length..][..length].to_vec());
                    groups.push(DecodedGroup { group, values });
                }
            }
        }
        Some(Self { groups })
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::{parse, sample};
    use crate::{field::Felt, model::schema::TensorKind};
    use serde_json::json;

    #[test]
    fn each_prediction_has_its_own_part_and_its_own_hashes() {
        let mut value = sample();
        value["model_instance_shapes"] = json!([[2, 3], [2, 2]]);
        let felts: Vec<_> = (0..10).map(|n| Felt::from_i128(n << 7)).collect();
        let decoded = parse(&value).expect("valid").instance_layout().decode(&felts).expect("fits");
        let all = decoded.predictions(2).expect("two");
        let outputs: Vec<Vec<_>> = all.iter().map(|one| one.outputs().collect()).collect();
        assert_eq!(outputs, [[[6.0, 7.0]], [[8.0, 9.0]]]);
        assert_eq!(all[1].groups[0].group.offset, 3);
        assert_eq!(all[1].groups[0].group.shape, [1, 3]);
        assert_eq!(decoded.predictions(3), None);
        assert_eq!(decoded.predictions(1), Some(vec![decoded.clone()]));

        let hashed = json!({"Hashed": {"hash_is_public": true, "outlets": []}});
        value["run_args"]["input_visibility"] = hashed.clone();
        value["run_args"]["param_visibility"] = hashed;
        value["model_input_scales"] = json!([6, 6, 6, 6]);
        value["input_types"] = json!(["F32", "F32", "F32", "F32"]);
        value["model_instance_shapes"] = json!([[2, 2]]);
        let felts: Vec<_> = (0..9).map(Felt::from_i128).collect();
        let decoded = parse(&value).expect("valid").instance_layout().decode(&felts).expect("fits");
        let all = decoded.predictions(2).expect("two");
        let of = |number: usize| -> Vec<_> {
            let groups = all[number].groups.iter();
            groups.map(|it| (it.group.kind, it.group.tensor, it.group.offset)).collect()
        };
        use TensorKind::{Output, ProcessedInput, ProcessedParam};
        let hash = |tensor, offset| (ProcessedInput, tensor, offset);
        let shared = (ProcessedParam, 0, 4);
        assert_eq!(of(0), [hash(0, 0), hash(1, 2), shared, (Output, 0, 5)]);
        assert_eq!(of(1), [hash(0, 1), hash(1, 3), shared, (Output, 0, 7)]);
        assert_eq!(decoded.predictions(3), None);
    }
}
