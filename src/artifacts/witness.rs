//! witness.json: what the circuit computed for one input.

use super::{Kind, LeFelt, Result, invalid, le_felts, proof::PrettyElements, settings::Settings};
use crate::field::Felt;
use serde::Deserialize;
use std::path::{Path, PathBuf};

const KIND: Kind = Kind {
    what: "an ezkl witness file",
    remedy: "make it again with `zkvouch witness`",
    limit: 1 << 30,
};

/// Rows of a lookup column that ezkl leaves free for blinding.
const RESERVED_ROWS: i128 = 8;

/// Hashes of, or commitments to, a group of tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Processed {
    /// The Poseidon hash of each tensor.
    pub poseidon_hash: Option<Vec<Felt>>,
    /// The KZG commitments to each tensor: compressed points, 64 hexadecimal digits each.
    pub polycommit: Option<Vec<Vec<String>>>,
}

/// A witness: the prover's secret, apart from what the visibilities make public.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Witness {
    /// Input tensors at their scales.
    pub inputs: Vec<Vec<Felt>>,
    /// Output tensors at their scales; a `hashed/private` one is its hash.
    pub outputs: Vec<Vec<Felt>>,
    /// Hashes of, or commitments to, the inputs.
    pub processed_inputs: Option<Processed>,
    /// The same for the parameters.
    pub processed_params: Option<Processed>,
    /// The same for the outputs.
    pub processed_outputs: Option<Processed>,
    /// Inputs and outputs as text, where ezkl wrote them.
    pub pretty: Option<PrettyElements>,
    /// The largest input to a lookup table.
    pub max_lookup_inputs: i128,
    /// The smallest input to a lookup table.
    pub min_lookup_inputs: i128,
    /// The widest range check that was made.
    pub max_range_size: i128,
    /// The version of ezkl.
    pub version: String,
    path: PathBuf,
}

impl std::fmt::Debug for Witness {
    /// Leaves the values out: they are what a private input keeps from the verifier.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness")
            .field("path", &self.path)
            .field("inputs", &self.inputs.iter().map(Vec::len).collect::<Vec<_>>())
            .field("outputs", &self.outputs.iter().map(Vec::len).collect::<Vec<_>>())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct RawWitness {
    inputs: Vec<Vec<LeFelt>>,
    outputs: Vec<Vec<LeFelt>>,
    processed_inputs: Option<RawProcessed>,
    processed_params: Option<RawProcessed>,
    processed_outputs: Option<RawProcessed>,
    pretty_elements: Option<super::proof::RawPretty>,
    max_lookup_inputs: i128,
    min_lookup_inputs: i128,
    max_range_size: i128,
    version: String,
}

#[derive(Deserialize)]
struct RawProcessed {
    poseidon_hash: Option<Vec<LeFelt>>,
    polycommit: Option<Vec<Vec<String>>>,
}

impl From<RawProcessed> for Processed {
    fn from(raw: RawProcessed) -> Self {
        let hashes = |felts: Vec<LeFelt>| felts.into_iter().map(|felt| felt.0).collect();
        Self { poseidon_hash: raw.poseidon_hash.map(hashes), polycommit: raw.polycommit }
    }
}

impl Witness {
    /// Reads a witness file.
    ///
    /// # Errors
    /// The file and the field that is missing or malformed; a version outside
    /// [`super::SUPPORTED_VERSIONS`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_json(&KIND.read(path)?, path)
    }

    /// As [`read`](Self::read), from bytes; `path` is for errors.
    pub fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        KIND.check_version(bytes, path)?;
        let raw: RawWitness = KIND.parse(bytes, path)?;
        Ok(Self {
            inputs: le_felts(raw.inputs),
            outputs: le_felts(raw.outputs),
            processed_inputs: raw.processed_inputs.map(Processed::from),
            processed_params: raw.processed_params.map(Processed::from),
            processed_outputs: raw.processed_outputs.map(Processed::from),
            pretty: raw.pretty_elements.map(PrettyElements::from),
            max_lookup_inputs: raw.max_lookup_inputs,
            min_lookup_inputs: raw.min_lookup_inputs,
            max_range_size: raw.max_range_size,
            version: raw.version,
            path: path.to_owned(),
        })
    }

    /// The same, with messages about the file that it was made from; it may be a temporary one itself.
    #[must_use]
    pub fn made_from(self, path: &Path) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// The file that the witness came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the circuit's tables hold every value that the witness looks up. ezkl's prover
    /// never returns from a witness with a value outside, so this must come before it.
    ///
    /// # Errors
    /// The value, the range of the table and what to do.
    pub fn check_ranges(&self, settings: &Settings) -> Result<()> {
        settings.check_same_version(&self.version, &self.path)?;
        for (field, tensors, scales) in [
            ("inputs", &self.inputs, &settings.model_input_scales),
            ("outputs", &self.outputs, &settings.model_output_scales),
        ] {
            if tensors.len() != scales.len() {
                let message = format!(
                    "{} tensors, but the model of {} has {}; make the witness with its circuit",
                    tensors.len(),
                    settings.path().display(),
                    scales.len()
                );
                return Err(invalid(&self.path, field, message));
            }
        }
        let reach = Reach {
            max_lookup_inputs: self.max_lookup_inputs,
            min_lookup_inputs: self.min_lookup_inputs,
            max_range_size: self.max_range_size,
        };
        reach.check(settings, &self.path)
    }
}

/// How far into its circuit's tables a computation reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) max_lookup_inputs: i128,
    pub(crate) min_lookup_inputs: i128,
    pub(crate) max_range_size: i128,
}

impl Reach {
    /// As [`Witness::check_ranges`]; `path` is for errors.
    pub(crate) fn check(&self, settings: &Settings, path: &Path) -> Result<()> {
        if !settings.required_lookups.is_empty() {
            let (low, high) = table_range(settings);
            for (field, value) in [
                ("min_lookup_inputs", self.min_lookup_inputs),
                ("max_lookup_inputs", self.max_lookup_inputs),
            ] {
                if !(low..=high).contains(&value) {
                    let message = format!(
                        "this input makes the model look up {value}, outside the lookup table of \
                         {low}..={high}, so no proof is possible. Calibrate with data that reaches \
                         as far as this input (`zkvouch calibrate`), raise the calibration margin, \
                         or set `lookup_range` to include {value}; then build again"
                    );
                    return Err(invalid(path, field, message));
                }
            }
        }
        let widest = settings
            .required_range_checks
            .iter()
            .map(|(low, high)| high.saturating_sub(*low))
            .max()
            .unwrap_or(0);
        if self.max_range_size > widest {
            let message = format!(
                "the witness makes a range check of width {}, but the circuit's widest is {widest}; \
                 the witness belongs to another circuit, so make it again with `zkvouch witness`",
                self.max_range_size
            );
            return Err(invalid(path, "max_range_size", message));
        }
        Ok(())
    }
}

/// The values that the lookup tables hold. They start at the lower bound of `lookup_range` and fill
/// as many columns as that range needs *to the end*, of 2^k − 8 rows each: a table often reaches
/// beyond the upper bound. Found with ezkl 23.0.5 by proving values around the ends.
fn table_range(settings: &Settings) -> (i128, i128) {
    let (low, high) = settings.run_args.lookup_range;
    let height = (1i128 << settings.run_args.logrows.min(100)) - RESERVED_ROWS;
    if height <= 0 {
        return (low, high);
    }
    let columns = high.saturating_sub(low) / height + 1;
    (low, low.saturating_add(columns.saturating_mul(height) - 1).max(high))
}

#[cfg(test)]
mod tests {
    use super::{
        super::settings::tests::{parse as settings, sample as settings_sample},
        *,
    };
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn sample() -> Value {
        let felts = |values: &[i128]| {
            values.iter().map(|value| Felt::from_i128(*value).to_le_hex()).collect::<Vec<_>>()
        };
        json!({
            "inputs": [felts(&[99, 34, 78])],
            "pretty_elements": null,
            "outputs": [felts(&[37, 84, 0, 0])],
            "processed_inputs": {"poseidon_hash": felts(&[-1]), "polycommit": null},
            "processed_params": {"poseidon_hash": null, "polycommit": [["d6".repeat(32)]]},
            "processed_outputs": null,
            "max_lookup_inputs": 173, "min_lookup_inputs": 0, "max_range_size": 63,
            "version": "23.0.5",
        })
    }

    fn parse(value: &Value) -> Result<Witness> {
        Witness::from_json(&serde_json::to_vec(value).expect("JSON"), Path::new("w.json"))
    }

    /// What ezkl's prover did with a witness of lookups 0 and 173: `true` proved and verified,
    /// `false` never returned.
    #[test]
    fn the_guard_agrees_with_what_ezkl_proves() {
        for (low, high, k, proved) in [
            (0, 173, 11, true),
            (0, 100, 11, true),
            (-100, 171, 11, true),
            (1, 200, 11, false),
            (-74, 0, 8, true),
            (-75, 0, 8, false),
            (-74, 173, 8, true),
            (-76, 171, 8, false),
            (-322, 0, 8, true),
            (-323, 0, 8, false),
        ] {
            let mut value = settings_sample();
            value["run_args"]["lookup_range"] = json!([low, high]);
            value["run_args"]["logrows"] = json!(k);
            let settings = settings(&value).expect("valid");
            let result = parse(&sample()).expect("valid").check_ranges(&settings);
            assert_eq!(result.is_ok(), proved, "{low} {high} {k}: {result:?}");
        }
    }

    #[test]
    fn the_error_says_which_value_and_what_to_do() {
        let mut value = settings_sample();
        value["run_args"]["lookup_range"] = json!([-10, 20]);
        value["run_args"]["logrows"] = json!(6);
        let settings_small = settings(&value).expect("valid");
        let error = parse(&sample()).expect("valid").check_ranges(&settings_small);
        let error = error.expect_err("outside").to_string();
        assert!(error.starts_with("w.json: field `max_lookup_inputs`: this input"), "{error}");
        assert!(error.contains("look up 173") && error.contains("-10..=45"), "{error}");
        let settings = settings(&settings_sample()).expect("valid");
        let mut wide = sample();
        wide["max_range_size"] = json!(127);
        let error = parse(&wide).expect("valid").check_ranges(&settings).expect_err("too wide");
        assert!(error.to_string().contains("`max_range_size`"), "{error}");
        let mut two = sample();
        two["inputs"] = json!([[], []]);
        let error = parse(&two).expect("valid").check_ranges(&settings).expect_err("two inputs");
        assert!(error.to_string().contains("`inputs`: 2 tensors"), "{error}");
    }

    #[test]
    fn a_witness_is_read_and_kept_out_of_debug() {
        let witness = parse(&sample()).expect("valid");
        assert_eq!(witness.inputs[0][0].to_i128(), Ok(99));
        let hashes = witness.processed_inputs.as_ref().and_then(|p| p.poseidon_hash.clone());
        assert_eq!(hashes, Some(vec![Felt::from_i128(-1)]));
        assert!(!format!("{witness:?}").contains("0x63"));
        let mut huge = sample();
        huge["min_lookup_inputs"] = json!(0);
        let text = huge
            .to_string()
            .replace("\"min_lookup_inputs\":0", &format!("\"min_lookup_inputs\":{}", i128::MIN));
        let witness = Witness::from_json(text.as_bytes(), Path::new("w")).expect("128 bits");
        assert_eq!(witness.min_lookup_inputs, i128::MIN);
        assert!(witness.check_ranges(&settings(&settings_sample()).expect("valid")).is_err());
    }

    proptest! {
        #[test]
        fn one_changed_byte_never_panics(at in 0usize..2000, with: u8) {
            let mut bytes = serde_json::to_vec(&sample()).expect("JSON");
            let at = at % bytes.len();
            bytes[at] = with;
            if let Ok(witness) = Witness::from_json(&bytes, Path::new("x")) {
                let _ = witness.check_ranges(&settings(&settings_sample()).expect("valid"));
            }
        }
    }
}
