//! Which instance of a proof is what.
//!
//! The order, found by proving with every combination of visibilities in ezkl 23.0.5: hashes of
//! inputs, the hash of the parameters, public inputs, then outputs or their hashes. There is one
//! hash for each input tensor and each output tensor, and one for all parameters together.
//! Committed (`polycommit`), fixed and private tensors have no instances.

use super::{extents::Extents, run_args::Visibility};
use crate::{
    field::{Error as FieldError, Felt, Scale},
    model::{
        packing::{Packing, Width},
        schema::{self, Descriptor, Tensor, TensorKind},
    },
};
use serde::{Deserialize, Serialize};

/// The type that a tensor had in the ONNX model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InputType {
    /// Booleans: 0 or 1, scale 0.
    Bool,
    /// 16-bit floats; in the circuit fixed point at the tensor's scale.
    F16,
    /// 32-bit floats; in the circuit fixed point at the tensor's scale.
    F32,
    /// 64-bit floats; in the circuit fixed point at the tensor's scale.
    F64,
    /// Integers of any width: scale 0.
    Int,
    /// A dimension: an integer.
    TDim,
}

/// Instances that belong together: one tensor, or one hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceGroup {
    /// Input, parameter or output, as it is or hashed.
    pub kind: TensorKind,
    /// The number of the tensor among the model's inputs or outputs; 0 for parameters.
    pub tensor: usize,
    /// The tensor's shape, row-major; `[1]` for a hash.
    pub shape: Vec<usize>,
    /// The fractional bits of each element; a hash has none.
    pub scale: Option<Scale>,
    /// The tensor's ONNX type, where known.
    pub input_type: Option<InputType>,
    /// The index of the group's first instance in a proof.
    pub offset: usize,
    /// The bytes of a packed instance; whole words where nothing was seen of it.
    #[serde(skip)]
    pub width: Width,
}

impl InstanceGroup {
    /// The number of instances.
    pub fn len(&self) -> usize {
        elements(&self.shape)
    }

    /// Whether there are no instances: a tensor with an empty axis.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The group's part of all instances of a proof; empty if they are too few.
    pub fn slice<'a>(&self, instances: &'a [Felt]) -> &'a [Felt] {
        instances.get(self.offset..self.offset.saturating_add(self.len())).unwrap_or_default()
    }
}

/// The number of elements of a tensor; saturating.
pub(super) fn elements(shape: &[usize]) -> usize {
    shape.iter().fold(1, |product, axis| product.saturating_mul(*axis))
}

/// All instances of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceLayout {
    /// The groups, in order and without gaps.
    pub groups: Vec<InstanceGroup>,
    /// The number of instances.
    pub len: usize,
    /// How many predictions a proof is of.
    pub predictions: u32,
}

impl Default for InstanceLayout {
    fn default() -> Self {
        Self { groups: Vec::new(), len: 0, predictions: 1 }
    }
}

impl InstanceLayout {
    pub(super) fn push_hash(&mut self, kind: TensorKind, tensor: usize) {
        let (scale, input_type, width) = (None, None, Width::WORD);
        self.push(InstanceGroup {
            kind,
            tensor,
            shape: vec![1],
            scale,
            input_type,
            offset: 0,
            width,
        });
    }

    pub(super) fn push_tensors<'a>(
        &mut self,
        kind: TensorKind,
        shapes: &mut impl Iterator<Item = &'a Vec<usize>>,
        scales: &[Scale],
        types: Option<&[InputType]>,
    ) {
        // The scales come first: `zip` takes from its first iterator before it asks the second.
        for (tensor, (scale, shape)) in scales.iter().zip(shapes).enumerate() {
            let input_type = types.and_then(|types| types.get(tensor)).copied();
            let (shape, scale, width) = (shape.clone(), Some(*scale), Width::WORD);
            self.push(InstanceGroup { kind, tensor, shape, scale, input_type, offset: 0, width });
        }
    }

    fn push(&mut self, group: InstanceGroup) {
        let offset = self.len;
        self.len = self.len.saturating_add(group.len());
        self.groups.push(InstanceGroup { offset, ..group });
    }

    /// How large the numbers in the instances of some proofs are.
    pub fn extents(&self, seen: &[&[Felt]]) -> Extents {
        let mut extents = Extents::default();
        for group in &self.groups {
            let felts = seen.iter().flat_map(|instances| group.slice(instances));
            let sizes = felts.map(|felt| felt.to_i128().map_or(u128::MAX, i128::unsigned_abs));
            extents.saw(group.kind, group.tensor, sizes);
        }
        extents
    }

    /// The same with the widths that hold what was seen, and four times as much.
    #[must_use]
    pub fn with_extents(mut self, extents: &Extents) -> Self {
        for group in &mut self.groups {
            group.width = extents.width(group.kind, group.tensor);
        }
        self
    }

    /// The same of a proof of so many predictions.
    #[must_use]
    pub fn of_predictions(self, predictions: u32) -> Self {
        Self { predictions, ..self }
    }

    /// What the contracts say of the instances; empty tensors are left out.
    ///
    /// # Errors
    /// Whatever the contracts refuse to describe.
    pub fn descriptor(&self) -> Result<Descriptor, schema::Error> {
        Descriptor::new(self.predictions, self.tensors())
    }

    fn tensors(&self) -> Vec<Tensor> {
        let tensor = |group: &InstanceGroup| Tensor {
            kind: group.kind,
            scale: group.scale.unwrap_or_default(),
            width: group.width,
            // An axis that fits no u32 is refused for its number of elements.
            shape: group.shape.iter().map(|n| u32::try_from(*n).unwrap_or(u32::MAX)).collect(),
        };
        let groups: Vec<_> = self.groups.iter().filter(|group| !group.is_empty()).collect();
        let mut tensors = Vec::new();
        let mut rest = &groups[..];
        while let Some(group) = rest.first() {
            // The hashes of one tensor of each observation, one after the other.
            let each = match group.kind {
                TensorKind::ProcessedInput | TensorKind::ProcessedOutput => self.predictions,
                _ => 1,
            };
            let alike = rest.iter().take_while(|it| it.kind == group.kind).take(each as usize);
            let count = alike.count();
            let mut tensor = tensor(group);
            if each > 1 {
                tensor.shape = vec![count as u32];
            }
            tensors.push(tensor);
            rest = &rest[count..];
        }
        tensors
    }

    /// The widths of packed instances.
    pub fn packing(&self) -> Packing {
        Packing::of(self.groups.iter().map(|group| (group.width, group.len())))
    }

    /// The groups of one kind.
    pub fn of_kind(&self, kind: TensorKind) -> impl Iterator<Item = &InstanceGroup> {
        self.groups.iter().filter(move |group| group.kind == kind)
    }

    /// Splits instances by group and reads the numbers at their scales.
    ///
    /// # Errors
    /// [`DecodeError`] if there are more or fewer instances than the layout has, or one that is to
    /// be a number exceeds 127 bits.
    pub fn decode(&self, instances: &[Felt]) -> Result<DecodedInstances, DecodeError> {
        if instances.len() != self.len {
            return Err(DecodeError::Count { found: instances.len(), expected: self.len });
        }
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let felts = group.slice(instances);
            let values = match group.scale {
                None => Values::Hashes(felts.to_vec()),
                Some(scale) => Values::Numbers(
                    felts
                        .iter()
                        .enumerate()
                        .map(|(at, felt)| {
                            let index = group.offset + at;
                            felt.to_f64(scale)
                                .map_err(|source| DecodeError::Value { index, source })
                        })
                        .collect::<Result<_, _>>()?,
                ),
            };
            groups.push(DecodedGroup { group: group.clone(), values });
        }
        Ok(DecodedInstances { groups })
    }
}

/// The tensor that the `n`th hash of a group belongs to.
pub(super) fn tensor_of(visibility: &Visibility, n: usize) -> usize {
    match visibility {
        Visibility::Hashed { hash_is_public: false, outlets } => {
            outlets.get(n).copied().unwrap_or(n)
        }
        _ => n,
    }
}

/// Instances that do not fit a layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Too few or too many.
    #[error("{found} instances, but the settings make {expected}")]
    Count {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A number that is none.
    #[error("instance {index}: {source}")]
    Value {
        /// The index in the proof's instances.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: FieldError,
    },
}

/// The instances of a proof, as one reads them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecodedInstances {
    /// In the order of the layout.
    pub groups: Vec<DecodedGroup>,
}

impl DecodedInstances {
    /// The output tensors, in the model's order; hashed ones are left out.
    pub fn outputs(&self) -> impl Iterator<Item = &[f64]> {
        self.numbers(TensorKind::Output)
    }

    /// The public input tensors, in the model's order.
    pub fn inputs(&self) -> impl Iterator<Item = &[f64]> {
        self.numbers(TensorKind::Input)
    }

    fn numbers(&self, kind: TensorKind) -> impl Iterator<Item = &[f64]> {
        self.groups.iter().filter(move |group| group.group.kind == kind).filter_map(|group| {
            match &group.values {
                Values::Numbers(numbers) => Some(numbers.as_slice()),
                Values::Hashes(_) => None,
            }
        })
    }
}

/// One group of decoded instances.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecodedGroup {
    /// Where it stands and what it is.
    #[serde(flatten)]
    pub group: InstanceGroup,
    /// Its values, in row-major order.
    pub values: Values,
}

/// The values of one group. In JSON: numbers, or `0x` and 64 digits (big endian).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Values {
    /// Real numbers: the scalars as signed integers, divided by 2^scale.
    Numbers(Vec<f64>),
    /// Poseidon hashes, as scalars that stand for no number.
    Hashes(#[serde(serialize_with = "be_hex")] Vec<Felt>),
}

fn be_hex<S: serde::Serializer>(felts: &[Felt], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(felts.iter().map(|felt| felt.to_be_hex()))
}

#[cfg(test)]
mod tests {
    use super::{
        super::settings::tests::{parse, sample},
        *,
    };
    use serde_json::{Value, json};

    /// Two inputs of 3 and 2 elements, two outputs of 2 each, as in the proofs that the orders
    /// below were read from.
    fn two(
        inputs: Value,
        params: Value,
        outputs: Value,
        shapes: Value,
    ) -> Vec<(TensorKind, usize)> {
        let mut value = sample();
        value["run_args"]["input_visibility"] = inputs;
        value["run_args"]["param_visibility"] = params;
        value["run_args"]["output_visibility"] = outputs;
        value["model_instance_shapes"] = shapes;
        value["model_input_scales"] = json!([6, 6]);
        value["model_output_scales"] = json!([7, 7]);
        value["input_types"] = json!(["F32", "F32"]);
        value["output_types"] = json!(["F32", "F32"]);
        let layout = parse(&value).expect("valid").instance_layout();
        let mut offset = 0;
        for group in &layout.groups {
            assert_eq!(group.offset, offset);
            assert_eq!(group.scale.is_none(), !group.kind.is_number());
            offset += group.len();
        }
        assert_eq!(layout.len, offset);
        layout.groups.iter().map(|group| (group.kind, group.len())).collect()
    }

    #[test]
    fn the_order_is_the_one_in_real_proofs() {
        use TensorKind::*;
        let hashed = json!({"Hashed": {"hash_is_public": true, "outlets": []}});
        let second = json!({"Hashed": {"hash_is_public": false, "outlets": [1]}});
        let fixed = json!("Fixed");
        let all = json!([[1, 3], [1, 2], [1, 2], [1, 2]]);
        assert_eq!(
            two(json!("Public"), fixed.clone(), json!("Public"), all),
            [(Input, 3), (Input, 2), (Output, 2), (Output, 2)]
        );
        assert_eq!(
            two(hashed.clone(), hashed.clone(), hashed.clone(), json!([])),
            [
                (ProcessedInput, 1),
                (ProcessedInput, 1),
                (ProcessedParam, 1),
                (ProcessedOutput, 1),
                (ProcessedOutput, 1)
            ]
        );
        assert_eq!(
            two(json!("Public"), hashed.clone(), hashed.clone(), json!([[1, 3], [1, 2]])),
            [
                (ProcessedParam, 1),
                (Input, 3),
                (Input, 2),
                (ProcessedOutput, 1),
                (ProcessedOutput, 1)
            ]
        );
        assert_eq!(
            two(hashed.clone(), fixed.clone(), json!("Public"), json!([[1, 2], [1, 2]])),
            [(ProcessedInput, 1), (ProcessedInput, 1), (Output, 2), (Output, 2)]
        );
        assert_eq!(two(json!("Private"), fixed.clone(), second, json!([])), [(ProcessedOutput, 1)]);
        assert_eq!(
            two(json!("KZGCommit"), json!("KZGCommit"), hashed, json!([])),
            [(ProcessedOutput, 1), (ProcessedOutput, 1)]
        );
        assert_eq!(two(json!("Private"), fixed, json!("Private"), json!([])), []);
    }

    #[test]
    fn numbers_decode_at_their_scale_and_hashes_stay_whole() {
        let mut value = sample();
        value["run_args"]["param_visibility"] =
            json!({"Hashed": {"hash_is_public": true, "outlets": []}});
        let layout = parse(&value).expect("valid").instance_layout();
        let hash = Felt::new(crate::field::SCALAR_MODULUS >> 1).expect("below");
        let mut felts = vec![hash];
        felts.extend([99, -34, 78, 37, 84, 0, -1].map(Felt::from_i128));
        let decoded = layout.decode(&felts).expect("fits");
        assert_eq!(decoded.inputs().collect::<Vec<_>>(), [[1.546875, -0.53125, 1.21875]]);
        assert_eq!(decoded.outputs().collect::<Vec<_>>(), [[0.2890625, 0.65625, 0.0, -0.0078125]]);
        let json = serde_json::to_value(&decoded).expect("JSON");
        assert_eq!(json["groups"][0]["values"], json!([hash.to_be_hex()]));
        assert_eq!(json["groups"][2]["kind"], "output");
        assert_eq!(layout.decode(&felts[1..]), Err(DecodeError::Count { found: 7, expected: 8 }));
        felts[3] = hash;
        let error = layout.decode(&felts).expect_err("no number");
        assert!(matches!(error, DecodeError::Value { index: 3, .. }), "{error}");
    }

    #[test]
    fn hashes_of_several_observations_are_one_tensor() {
        let mut value = sample();
        let hashed = json!({"Hashed": {"hash_is_public": true, "outlets": []}});
        value["run_args"]["input_visibility"] = hashed;
        value["model_instance_shapes"] = json!([[2, 4]]);
        value["model_input_scales"] = json!([6, 6, 6, 6]);
        value["input_types"] = json!(["F32", "F32", "F32", "F32"]);
        let layout = parse(&value).expect("valid").instance_layout();
        let layout = InstanceLayout { predictions: 2, ..layout };
        let descriptor = layout.descriptor().expect("fits");
        let shapes: Vec<_> = descriptor.tensors().iter().map(|it| it.shape.clone()).collect();
        assert_eq!(shapes, [vec![2], vec![2], vec![2, 4]]);
        // The first of each tensor's two hashes belongs to the first prediction.
        let felts: Vec<_> = (0..12).map(Felt::from_i128).collect();
        let parts = descriptor.parts(&felts).expect("fits");
        assert_eq!(parts[0], [0, 2, 4, 5, 6, 7].map(Felt::from_i128));
        let odd = InstanceLayout { predictions: 3, ..layout };
        assert!(odd.descriptor().is_err());
    }
}
