//! What a proof's instances stand for, as the contracts encode it.

use crate::field::{Felt, Scale};
use serde::Serialize;
use std::fmt;

/// A tensor that the contracts can't describe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tensor {index} of the instances has {what}, which the contracts can't describe")]
pub struct Error {
    /// Its number among the instances' tensors.
    pub index: usize,
    /// What is wrong with it.
    pub what: String,
}

/// What a run of instances stands for. The numbers are those of the contracts' `TensorKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum TensorKind {
    /// The Poseidon hash of an input tensor that is not public.
    ProcessedInput = 0,
    /// The Poseidon hash of all parameters.
    ProcessedParam = 1,
    /// A public input tensor.
    Input = 2,
    /// A public output tensor.
    Output = 3,
    /// The Poseidon hash of an output tensor.
    ProcessedOutput = 4,
}

impl TensorKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::ProcessedInput,
            Self::ProcessedParam,
            Self::Input,
            Self::Output,
            Self::ProcessedOutput,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }

    /// Whether its instances are fixed-point numbers; if not, they are a hash.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Input | Self::Output)
    }

    /// Whether it belongs to the outputs, which come last.
    pub fn is_output(self) -> bool {
        matches!(self, Self::Output | Self::ProcessedOutput)
    }
}

/// One tensor among a proof's instances, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// What it stands for.
    pub kind: TensorKind,
    /// Its scale; zero for hashes and commitments.
    pub scale: Scale,
    /// Its dimensions; none for a single element.
    pub shape: Vec<u32>,
}

/// The descriptor that a `ModelVerifier` is made with:
/// `{ uint8 kind ‖ int8 scale ‖ uint8 rank ‖ rank × uint32 dimension }` for each tensor, big endian.
///
/// # Errors
/// A scale outside −128…127, a rank above 255, or a dimension of zero.
pub fn descriptor(tensors: &[Tensor]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for (index, tensor) in tensors.iter().enumerate() {
        let bad = |what: String| Error { index, what };
        let scale = if tensor.kind.is_number() { tensor.scale.0 } else { 0 };
        let scale = i8::try_from(scale).map_err(|_| bad(format!("scale {scale}")))?;
        let rank = tensor.shape.len();
        let rank = u8::try_from(rank).map_err(|_| bad(format!("{rank} dimensions")))?;
        if tensor.shape.contains(&0) {
            return Err(bad("a dimension of zero".into()));
        }
        bytes.extend([tensor.kind as u8, scale.to_be_bytes()[0], rank]);
        bytes.extend(tensor.shape.iter().flat_map(|dimension| dimension.to_be_bytes()));
    }
    Ok(bytes)
}

/// Reads a [`descriptor`]. Nothing for bytes that are none: cut off, of an unknown kind, with a scale
/// where there are no numbers, with a dimension of zero, or of more elements than 32 bits count.
pub fn read_descriptor(bytes: &[u8]) -> Option<Vec<Tensor>> {
    let mut rest = bytes;
    let mut tensors = Vec::new();
    while let [kind, scale, rank, after @ ..] = rest {
        let kind = TensorKind::from_byte(*kind)?;
        let scale = Scale(i8::from_be_bytes([*scale]).into());
        let (dimensions, after) = after.split_at_checked(4 * usize::from(*rank))?;
        let shape: Vec<u32> = dimensions
            .chunks_exact(4)
            .map(|it| u32::from_be_bytes([it[0], it[1], it[2], it[3]]))
            .collect();
        let tensor = Tensor { kind, scale, shape };
        if tensor.len()? == 0 || !(kind.is_number() || scale.0 == 0) {
            return None;
        }
        tensors.push(tensor);
        rest = after;
    }
    rest.is_empty().then_some(tensors)
}

impl Tensor {
    /// The number of elements; nothing if 32 bits don't count them.
    fn len(&self) -> Option<u32> {
        self.shape.iter().try_fold(1, |product: u32, dimension| product.checked_mul(*dimension))
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            TensorKind::ProcessedInput => "input hash",
            TensorKind::ProcessedParam => "parameter hash",
            TensorKind::Input => "input",
            TensorKind::Output => "output",
            TensorKind::ProcessedOutput => "output hash",
        };
        write!(f, "{name} {:?}", self.shape)?;
        match self.kind.is_number() {
            true => write!(f, " / 2^{}", self.scale.0),
            false => Ok(()),
        }
    }
}

/// The most runs that the contracts' schema holds.
const MAX_RUNS: usize = 21;

/// The compact form: runs of instances of one kind and scale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    runs: Vec<(TensorKind, Scale, u32)>,
}

/// The numbers of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedTensor {
    /// What they stand for.
    pub kind: TensorKind,
    /// The scalars as they are.
    pub felts: Vec<Felt>,
    /// The real numbers, of inputs and outputs. An instance that is none is NaN.
    pub values: Option<Vec<f64>>,
}

impl Schema {
    /// The contracts' compact form of these tensors: neighbours of one kind and scale are one run. Nothing
    /// where the contracts refuse them: outputs that don't come last, or too much of something.
    pub fn of(tensors: &[Tensor]) -> Option<Self> {
        let mut runs: Vec<(TensorKind, Scale, u32)> = Vec::new();
        for tensor in tensors {
            let count = tensor.len()?;
            match runs.last_mut() {
                Some((kind, scale, sum)) if (*kind, *scale) == (tensor.kind, tensor.scale) => {
                    *sum = sum.checked_add(count)?;
                }
                Some((kind, ..)) if kind.is_output() && !tensor.kind.is_output() => return None,
                _ => runs.push((tensor.kind, tensor.scale, count)),
            }
        }
        (runs.len() <= MAX_RUNS).then_some(Self { runs })
    }

    /// The number of instances.
    pub fn count(&self) -> u64 {
        self.runs.iter().map(|(.., count)| u64::from(*count)).sum()
    }

    /// Reads `{ uint8 kind ‖ int8 scale ‖ uint32 count }`, repeated. Nothing for other bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if !bytes.len().is_multiple_of(6) {
            return None;
        }
        let runs = bytes.chunks_exact(6).map(|run| {
            let scale = Scale(i8::from_be_bytes([run[1]]).into());
            let count = u32::from_be_bytes([run[2], run[3], run[4], run[5]]);
            Some((TensorKind::from_byte(run[0])?, scale, count))
        });
        Some(Self { runs: runs.collect::<Option<_>>()? })
    }

    /// Cuts instances into runs and decodes them. Nothing if their number does not fit.
    pub fn decode(&self, instances: &[Felt]) -> Option<Vec<DecodedTensor>> {
        let mut rest = instances;
        let mut decoded = Vec::new();
        for (kind, scale, count) in &self.runs {
            let count = usize::try_from(*count).ok()?;
            let felts = rest.get(..count)?.to_vec();
            rest = &rest[count..];
            let values = kind.is_number().then(|| {
                felts.iter().map(|felt| felt.to_f64(*scale).unwrap_or(f64::NAN)).collect()
            });
            decoded.push(DecodedTensor { kind: *kind, felts, values });
        }
        rest.is_empty().then_some(decoded)
    }

    /// The part that is about outputs.
    #[must_use]
    pub fn outputs(&self) -> Self {
        let outputs = self.runs.iter().filter(|(kind, ..)| kind.is_output());
        Self { runs: outputs.copied().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(kind: TensorKind, scale: i32, shape: &[u32]) -> Tensor {
        Tensor { kind, scale: Scale(scale), shape: shape.to_vec() }
    }

    #[test]
    fn the_descriptor_is_the_one_in_the_contracts_readme() {
        let tensors =
            [tensor(TensorKind::Input, 7, &[1, 3]), tensor(TensorKind::Output, 7, &[1, 4])];
        let expected = "02070200000001000000030307020000000100000004";
        assert_eq!(alloy::hex::encode(descriptor(&tensors).expect("fits")), expected);
        let bad = |tensor| descriptor(&[tensor]).expect_err("refused").to_string();
        assert!(bad(tensor(TensorKind::Input, 128, &[1])).contains("scale 128"));
        assert!(bad(tensor(TensorKind::Input, 1, &[1, 0])).contains("dimension of zero"));
        let hash = tensor(TensorKind::ProcessedInput, 7, &[]);
        assert_eq!(descriptor(&[hash]).expect("fits"), [0, 0, 0]);
    }

    #[test]
    fn a_descriptor_that_is_read_gives_the_contracts_schema() {
        let tensors = [
            tensor(TensorKind::ProcessedInput, 0, &[]),
            tensor(TensorKind::Input, 7, &[2, 3]),
            tensor(TensorKind::Input, 7, &[4]),
            tensor(TensorKind::Output, -3, &[1]),
        ];
        let bytes = descriptor(&tensors).expect("fits");
        assert_eq!(read_descriptor(&bytes).as_deref(), Some(&tensors[..]));
        assert_eq!(read_descriptor(&[]), Some(vec![]));
        for cut in [1, 2, 5, bytes.len() - 1] {
            assert_eq!(read_descriptor(&bytes[..cut]), None, "{cut}");
        }
        let schema = Schema::of(&tensors).expect("fits");
        let compact = alloy::hex::decode("0000000000010207 0000000a03fd00000001".replace(' ', ""));
        assert_eq!(Some(&schema), Schema::read(&compact.expect("hex")).as_ref());
        assert_eq!(schema.count(), 12);
        // An unknown kind, a hash with a scale, a dimension of zero, 2^33 elements.
        for bad in ["050000", "000100", "02000100000000", "0200020002000000010000"] {
            assert_eq!(read_descriptor(&alloy::hex::decode(bad).expect("hex")), None, "{bad}");
        }
        let turned = [tensors[3].clone(), tensors[1].clone()];
        assert_eq!(Schema::of(&turned), None);
        let many: Vec<_> = (0..22).map(|scale| tensor(TensorKind::Input, scale, &[1])).collect();
        assert_eq!(Schema::of(&many), None);
        assert!(Schema::of(&many[1..]).is_some());
        assert_eq!(tensors[1].to_string(), "input [2, 3] / 2^7");
    }

    #[test]
    fn instances_are_decoded_by_the_schema() {
        let bytes = alloy::hex::decode("020700000002030700000001").expect("hex");
        let schema = Schema::read(&bytes).expect("a schema");
        let felts = [128, -64, 320].map(Felt::from_i128);
        let decoded = schema.decode(&felts).expect("fits");
        assert_eq!(decoded[0].values, Some(vec![1.0, -0.5]));
        assert_eq!(decoded[1].values, Some(vec![2.5]));
        assert_eq!(schema.decode(&felts[..2]), None);
        assert_eq!(schema.outputs().decode(&felts[2..]).map(|runs| runs.len()), Some(1));
        assert_eq!(Schema::read(&bytes[1..]), None);
        assert_eq!(Schema::read(&[9, 0, 0, 0, 0, 1]), None);
    }

    /// The contracts' decoder is tested with the same file.
    #[test]
    fn numbers_are_those_that_the_contracts_decode() {
        let text = include_str!("../../tests/fixtures/decoder-vectors.json");
        let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let text = |column: &str, row: usize| file[column][row].as_str().expect("text").to_owned();
        let rows = file["scalar"].as_array().expect("a column").len();
        assert!(rows > 500);
        for row in 0..rows {
            let scale = file["scale"][row].as_i64().expect("a number") as i32;
            let felt = Felt::from_be_hex(&text("scalar", row));
            if text("error", row) == "NotFixedPoint" {
                assert!(felt.is_err() || felt.is_ok_and(|felt| felt.to_i128().is_err()), "{row}");
                continue;
            }
            let felt = felt.expect("a scalar");
            let integer: i128 = text("integer", row).parse().expect("an integer");
            assert_eq!(felt.to_i128(), Ok(integer), "{row}");
            if let Ok(value) = text("value", row).parse::<f64>() {
                let real = felt.to_f64(Scale(scale)).expect("a number");
                // The contracts round down to 18 decimals.
                let difference = (real - value / 1e18).abs();
                assert!(difference <= 1.1e-18 + real.abs() * 1e-12, "{row}: {real} {value}");
            }
        }
    }
}
