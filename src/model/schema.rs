//! What a proof's instances stand for, as the contracts encode it.
//!
//! A proof may be of N predictions. The [`Descriptor`] is about the whole proof and is part of a model's
//! identity; the [`Schema`] is about one prediction of it, which is what a contract reads.

use super::packing::{Packing, Width};
use crate::field::{Felt, Scale};
use serde::Serialize;
use std::fmt;

/// Instances that the contracts can't describe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One tensor.
    #[error("tensor {index} of the instances has {what}, which the contracts can't describe")]
    Tensor {
        /// Its number among the instances' tensors.
        index: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A number of predictions that no proof has.
    #[error("{0} predictions in one proof; use 1 to 65535")]
    Predictions(u32),
    /// Too many kinds of tensors.
    #[error(
        "the instances are {0} runs of one kind, scale and width, and the contracts' schema holds 21; make fewer \
         inputs or outputs public, or give them one scale"
    )]
    Runs(usize),
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

    /// Whether all predictions of a proof have it whole; the others have each a part of it.
    pub fn is_shared(self) -> bool {
        self == Self::ProcessedParam
    }
}

/// One tensor among a proof's instances, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// What it stands for.
    pub kind: TensorKind,
    /// Its scale; zero for hashes and commitments.
    pub scale: Scale,
    /// The bytes of each of its instances where they are packed; whole words for hashes and commitments.
    pub width: Width,
    /// Its dimensions in the whole proof; none for a single element.
    pub shape: Vec<u32>,
}

impl Tensor {
    /// The number of elements; nothing if 32 bits don't count them.
    fn len(&self) -> Option<u32> {
        self.shape.iter().try_fold(1, |product: u32, dimension| product.checked_mul(*dimension))
    }

    /// What the contracts refuse in it; how many instances of it one prediction has.
    fn check(&self, predictions: u32) -> Result<u32, String> {
        let (scale, rank) = (self.scale.0, self.shape.len());
        if i8::try_from(scale).is_err() {
            return Err(format!("scale {scale}"));
        }
        if !self.kind.is_number() && (scale != 0 || self.width != Width::WORD) {
            return Err(format!("a hash of scale {scale} in {} bytes", self.width));
        }
        if rank > 255 {
            return Err(format!("{rank} dimensions"));
        }
        if self.shape.contains(&0) {
            return Err("a dimension of zero".into());
        }
        let len = self.len().ok_or("more than 2^32 - 1 elements")?;
        if self.kind.is_shared() {
            return Ok(len);
        }
        if !len.is_multiple_of(predictions) {
            return Err(format!("{len} elements for {predictions} predictions"));
        }
        Ok(len / predictions)
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
            true => write!(f, " / 2^{}, {} bytes each", self.scale.0, self.width),
            false => Ok(()),
        }
    }
}

/// The version of the descriptor's encoding.
const VERSION: u8 = 2;
/// The most predictions of one proof.
const MAX_PREDICTIONS: u32 = 65_535;
/// The most runs that the contracts' schema holds.
const MAX_RUNS: usize = 21;

/// What all instances of a proof stand for, in their order. It is one that the contracts take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    predictions: u32,
    tensors: Vec<Tensor>,
    schema: Schema,
}

impl Descriptor {
    /// The descriptor of a proof of so many predictions.
    ///
    /// # Errors
    /// Whatever the contracts refuse: a scale outside −128…127, a rank above 255, a dimension of zero, a hash that
    /// is no word, elements that predictions can't share, outputs that don't come last, more than 21 runs.
    pub fn new(predictions: u32, tensors: Vec<Tensor>) -> Result<Self, Error> {
        if !(1..=MAX_PREDICTIONS).contains(&predictions) {
            return Err(Error::Predictions(predictions));
        }
        let mut runs: Vec<Run> = Vec::new();
        for (index, tensor) in tensors.iter().enumerate() {
            let bad = |what: String| Error::Tensor { index, what };
            let count = tensor.check(predictions).map_err(bad)?;
            let run = Run { kind: tensor.kind, scale: tensor.scale, width: tensor.width, count };
            match runs.last_mut() {
                Some(last) if last.kind.is_output() && !run.kind.is_output() => {
                    return Err(bad("a place behind the outputs, which come last".into()));
                }
                // Of several predictions each tensor is a block of its own in the proof.
                Some(last) if predictions == 1 && last.is_like(&run) => {
                    let sum = last.count.checked_add(count);
                    last.count = sum.ok_or_else(|| bad("too many elements before it".into()))?;
                }
                _ => runs.push(run),
            }
        }
        if runs.len() > MAX_RUNS {
            return Err(Error::Runs(runs.len()));
        }
        Ok(Self { predictions, tensors, schema: Schema { predictions, runs } })
    }

    /// How many predictions a proof is of.
    pub fn predictions(&self) -> u32 {
        self.predictions
    }

    /// The tensors of the whole proof.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// What a reader of one prediction needs.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The number of instances of a proof.
    pub fn count(&self) -> u64 {
        self.tensors.iter().filter_map(Tensor::len).map(u64::from).sum()
    }

    /// The widths of a proof's packed instances.
    pub fn packing(&self) -> Packing {
        let len = |tensor: &Tensor| tensor.len().map_or(0, |len| len as usize);
        Packing::of(self.tensors.iter().map(|tensor| (tensor.width, len(tensor))))
    }

    /// `uint8 version (2) ‖ uint32 predictions ‖ { uint8 kind ‖ int8 scale ‖ uint8 width ‖ uint8 rank ‖ rank ×
    /// uint32 dimension }` for each tensor, big endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.predictions.to_be_bytes());
        for Tensor { kind, scale, width, shape } in &self.tensors {
            bytes.extend([*kind as u8, scale.0 as i8 as u8, u8::from(*width), shape.len() as u8]);
            bytes.extend(shape.iter().flat_map(|dimension| dimension.to_be_bytes()));
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) writes. Nothing for other bytes: of another version, cut off, of an
    /// unknown kind or width, or a descriptor that [`new`](Self::new) refuses.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (&[version, ref predictions @ ..], mut rest) = bytes.split_first_chunk::<5>()?;
        if version != VERSION {
            return None;
        }
        let mut tensors = Vec::new();
        while !rest.is_empty() {
            let (&[kind, scale, width, rank], after) = rest.split_first_chunk()?;
            let (dimensions, after) = after.split_at_checked(4 * usize::from(rank))?;
            tensors.push(Tensor {
                kind: TensorKind::from_byte(kind)?,
                scale: Scale((scale as i8).into()),
                width: Width::try_from(width).ok()?,
                shape: words(dimensions),
            });
            rest = after;
        }
        Self::new(u32::from_be_bytes(*predictions), tensors).ok()
    }

    /// The instances of each prediction of a proof, in order. Nothing if their number does not fit.
    pub fn parts(&self, instances: &[Felt]) -> Option<Vec<Vec<Felt>>> {
        if u64::try_from(instances.len()).ok()? != self.count() {
            return None;
        }
        let mut parts = vec![Vec::new(); self.predictions as usize];
        let mut rest = instances;
        for tensor in &self.tensors {
            let (block, after) = rest.split_at(tensor.len()? as usize);
            let each = block.len() / parts.len();
            for (index, part) in parts.iter_mut().enumerate() {
                part.extend(match tensor.kind.is_shared() {
                    true => block,
                    false => &block[index * each..][..each],
                });
            }
            rest = after;
        }
        Some(parts)
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let word = |it: &[u8]| u32::from_be_bytes([it[0], it[1], it[2], it[3]]);
    bytes.chunks_exact(4).map(word).collect()
}

/// Instances of one kind, scale and width, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    kind: TensorKind,
    scale: Scale,
    width: Width,
    /// How many one prediction has.
    count: u32,
}

impl Run {
    fn is_like(&self, other: &Self) -> bool {
        (self.kind, self.scale, self.width) == (other.kind, other.scale, other.width)
    }
}

/// What the instances of one prediction stand for: the contracts' compact form of a [`Descriptor`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    predictions: u32,
    runs: Vec<Run>,
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
    /// How many predictions a proof is of.
    pub fn predictions(&self) -> u32 {
        self.predictions
    }

    /// The number of instances of one prediction.
    pub fn count(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.count)).sum()
    }

    /// `uint32 predictions ‖ { uint8 kind ‖ int8 scale ‖ uint8 width ‖ uint32 count }` for each run, big endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.predictions.to_be_bytes().to_vec();
        for Run { kind, scale, width, count } in &self.runs {
            bytes.extend([*kind as u8, scale.0 as i8 as u8, u8::from(*width)]);
            bytes.extend(count.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) writes. Nothing for other bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (predictions, runs) = bytes.split_first_chunk()?;
        if !runs.len().is_multiple_of(7) {
            return None;
        }
        let runs = runs.chunks_exact(7).map(|run| {
            let width = Width::try_from(run[2]).ok()?;
            let count = u32::from_be_bytes([run[3], run[4], run[5], run[6]]);
            Some(Run {
                kind: TensorKind::from_byte(run[0])?,
                scale: Scale((run[1] as i8).into()),
                width,
                count,
            })
        });
        Some(Self {
            predictions: u32::from_be_bytes(*predictions),
            runs: runs.collect::<Option<_>>()?,
        })
    }

    /// Reads the form of the contracts before there were widths: `{ uint8 kind ‖ int8 scale ‖ uint32 count }`, of
    /// one prediction a proof. Nothing for other bytes.
    pub fn read_v1(bytes: &[u8]) -> Option<Self> {
        if !bytes.len().is_multiple_of(6) {
            return None;
        }
        let runs = bytes.chunks_exact(6).map(|run| {
            Some(Run {
                kind: TensorKind::from_byte(run[0])?,
                scale: Scale((run[1] as i8).into()),
                width: Width::WORD,
                count: u32::from_be_bytes([run[2], run[3], run[4], run[5]]),
            })
        });
        Some(Self { predictions: 1, runs: runs.collect::<Option<_>>()? })
    }

    /// Cuts one prediction's instances into runs and decodes them. Nothing if their number does not fit.
    pub fn decode(&self, instances: &[Felt]) -> Option<Vec<DecodedTensor>> {
        let mut rest = instances;
        let mut decoded = Vec::new();
        for Run { kind, scale, count, .. } in &self.runs {
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

    /// The widths of one prediction's packed instances.
    pub fn packing(&self) -> Packing {
        Packing::of(self.runs.iter().map(|run| (run.width, run.count as usize)))
    }

    /// The part that is about outputs.
    #[must_use]
    pub fn outputs(&self) -> Self {
        let outputs = self.runs.iter().filter(|run| run.kind.is_output());
        Self { predictions: self.predictions, runs: outputs.copied().collect() }
    }
}

/// The descriptor of models before there were widths, of one prediction a proof, which was part of their identity:
/// `{ uint8 kind ‖ int8 scale ‖ uint8 rank ‖ rank × uint32 dimension }` for each tensor.
pub fn descriptor_v1(tensors: &[Tensor]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Tensor { kind, scale, shape, .. } in tensors {
        bytes.extend([*kind as u8, scale.0 as i8 as u8, shape.len() as u8]);
        bytes.extend(shape.iter().flat_map(|dimension| dimension.to_be_bytes()));
    }
    bytes
}

#[cfg(test)]
mod tests;
