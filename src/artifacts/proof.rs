//! proof.json: a proof and its instances, as ezkl writes them.

use super::{
    BeFelt, Kind, LeFelt, Result, be_felts, invalid,
    layout::{DecodedInstances, InstanceLayout},
    le_felts,
    settings::Settings,
};
use crate::{
    field::Felt,
    files,
    model::{batch::Predictions, proof::Proof, schema::TensorKind},
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

const KIND: Kind = Kind {
    what: "an ezkl proof file",
    remedy: "make it again with `zkvouch prove`",
    limit: 256 << 20,
};

/// The human-readable section of a proof: the same numbers again, by role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrettyElements {
    /// Public inputs as decimal text, by tensor.
    pub rescaled_inputs: Vec<Vec<String>>,
    /// Public inputs as scalars, by tensor.
    pub inputs: Vec<Vec<Felt>>,
    /// Poseidon hashes of inputs as scalars, by tensor; empty where none is hashed.
    pub processed_inputs: Vec<Vec<Felt>>,
    /// The Poseidon hash of all parameters; empty where they aren't hashed.
    pub processed_params: Vec<Vec<Felt>>,
    /// Poseidon hashes of outputs as scalars, by tensor; empty where none is hashed.
    pub processed_outputs: Vec<Vec<Felt>>,
    /// Public outputs as decimal text, by tensor.
    pub rescaled_outputs: Vec<Vec<String>>,
    /// Public outputs as scalars, by tensor.
    pub outputs: Vec<Vec<Felt>>,
}

/// A proof. What was read holds together; whether it fits a circuit is [`ProofFile::check`]'s matter,
/// and whether it is valid the verifier's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProofFile {
    /// The proof with its public values, in the order of [`InstanceLayout`].
    pub proof: Proof,
    /// How many predictions it is of.
    pub predictions: Predictions,
    /// The version of ezkl.
    pub version: String,
    /// When it was made: milliseconds since 1970.
    pub timestamp: Option<u64>,
    /// The instances by role, as ezkl repeats them.
    pub pretty: Option<PrettyElements>,
    path: PathBuf,
}

#[derive(Deserialize)]
struct RawProof {
    instances: Vec<Vec<LeFelt>>,
    proof: Vec<u8>,
    hex_proof: Option<String>,
    pretty_public_inputs: Option<RawPretty>,
    predictions: Option<Predictions>,
    timestamp: Option<u64>,
    version: String,
}

#[derive(Deserialize)]
pub(super) struct RawPretty {
    rescaled_inputs: Vec<Vec<String>>,
    inputs: Vec<Vec<BeFelt>>,
    processed_inputs: Vec<Vec<BeFelt>>,
    processed_params: Vec<Vec<BeFelt>>,
    processed_outputs: Vec<Vec<BeFelt>>,
    rescaled_outputs: Vec<Vec<String>>,
    outputs: Vec<Vec<BeFelt>>,
}

impl From<RawPretty> for PrettyElements {
    fn from(raw: RawPretty) -> Self {
        Self {
            rescaled_inputs: raw.rescaled_inputs,
            inputs: be_felts(raw.inputs),
            processed_inputs: be_felts(raw.processed_inputs),
            processed_params: be_felts(raw.processed_params),
            processed_outputs: be_felts(raw.processed_outputs),
            rescaled_outputs: raw.rescaled_outputs,
            outputs: be_felts(raw.outputs),
        }
    }
}

impl ProofFile {
    /// Reads a proof and checks that its parts agree with each other.
    ///
    /// # Errors
    /// The file and the field: an instance that is no canonical scalar, `hex_proof` that is not
    /// `proof`, a length that no proof has, a version outside [`super::SUPPORTED_VERSIONS`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_json(&KIND.read(path)?, path)
    }

    /// As [`read`](Self::read), from bytes; `path` is for errors.
    pub fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        KIND.check_version(bytes, path)?;
        let raw: RawProof = KIND.parse(bytes, path)?;
        let fault = |field: &str, message: String| {
            Err(invalid(path, field, format!("{message}; {}", KIND.remedy)))
        };
        if raw.proof.is_empty() || !raw.proof.len().is_multiple_of(32) {
            let message =
                format!("{} bytes; a proof is a whole number of 32-byte words", raw.proof.len());
            return fault("proof", message);
        }
        if let Some(hex) = &raw.hex_proof {
            let digits = hex.strip_prefix("0x").unwrap_or(hex);
            if alloy::hex::decode(digits).ok().as_deref() != Some(&raw.proof) {
                return fault("hex_proof", "is not the bytes of field `proof`".into());
            }
        }
        let [instances] = match <[Vec<Felt>; 1]>::try_from(le_felts(raw.instances)) {
            Ok(columns) => columns,
            Err(columns) => {
                let message = format!("{} instance columns instead of one", columns.len());
                return fault("instances", message);
            }
        };
        let predictions = raw.predictions.unwrap_or_default();
        if let Err(message) = predictions.check() {
            return fault("predictions", message);
        }
        Ok(Self {
            proof: Proof { bytes: raw.proof.into(), instances },
            predictions,
            version: raw.version,
            timestamp: raw.timestamp,
            pretty: raw.pretty_public_inputs.map(PrettyElements::from),
            path: path.to_owned(),
        })
    }

    /// The file that the proof came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the proof can belong to the circuit of these settings, and that its readable
    /// section says what its instances say.
    ///
    /// # Errors
    /// The file and the field that does not fit.
    pub fn check(&self, settings: &Settings) -> Result<()> {
        settings.check_same_version(&self.version, &self.path)?;
        let layout = settings.instance_layout();
        let decoded = self.decode(&layout)?;
        if decoded.predictions(self.predictions.size as usize).is_none() {
            let message = format!(
                "its public values are not those of {} predictions; prove again with these settings",
                self.predictions.size
            );
            return Err(invalid(&self.path, "predictions", message));
        }
        let Some(pretty) = &self.pretty else { return Ok(()) };
        for (field, kind, tensors) in [
            ("processed_inputs", TensorKind::ProcessedInput, &pretty.processed_inputs),
            ("processed_params", TensorKind::ProcessedParam, &pretty.processed_params),
            ("inputs", TensorKind::Input, &pretty.inputs),
            ("outputs", TensorKind::Output, &pretty.outputs),
            ("processed_outputs", TensorKind::ProcessedOutput, &pretty.processed_outputs),
        ] {
            let expected =
                layout.of_kind(kind).flat_map(|group| group.slice(&self.proof.instances));
            if !expected.eq(tensors.iter().flatten()) {
                let field = format!("pretty_public_inputs.{field}");
                let message = "does not repeat the proof's instances; one of the two was altered. Make the \
                     proof again with `zkvouch prove`";
                return Err(invalid(&self.path, field, message));
            }
        }
        Ok(())
    }

    /// Writes into ezkl's file how many predictions a proof is of. All else in it stays as it is, and so does the
    /// whole file where that is one of a circuit that takes one.
    ///
    /// # Errors
    /// A file that is no JSON object, or has this field already.
    pub fn mark(path: &Path, predictions: Predictions) -> Result<()> {
        if predictions.is_one() {
            return Ok(());
        }
        let bytes = KIND.read(path)?;
        let fields: serde_json::Map<String, serde_json::Value> = KIND.parse(&bytes, path)?;
        if fields.contains_key("predictions") {
            return Err(invalid(path, "predictions", "is there already; prove again"));
        }
        let start = bytes.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
        let Predictions { size, count } = predictions;
        let field = format!("\"predictions\":{{\"size\":{size},\"count\":{count}}},");
        Ok(files::write_atomic(
            path,
            &[&bytes[..start], field.as_bytes(), &bytes[start..]].concat(),
        )?)
    }

    /// The instances by role, numbers at their scales.
    ///
    /// # Errors
    /// If the proof has more or fewer instances than the layout, or one that is no number.
    pub fn decode(&self, layout: &InstanceLayout) -> Result<DecodedInstances> {
        layout.decode(&self.proof.instances).map_err(|error| {
            let message = format!(
                "{error}; the proof belongs to another circuit or was altered, so prove again with \
                 these settings"
            );
            invalid(&self.path, "instances", message)
        })
    }
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
        let felts = [99, 34, 78, 37, 84, 0, -5].map(Felt::from_i128);
        let be = |felts: &[Felt]| felts.iter().map(|felt| felt.to_be_hex()).collect::<Vec<_>>();
        json!({
            "protocol": null,
            "instances": [felts.map(Felt::to_le_hex)],
            "proof": vec![7; 96],
            "hex_proof": format!("0x{}", "07".repeat(96)),
            "split": null,
            "pretty_public_inputs": {
                "rescaled_inputs": [["1.546875", "0.53125", "1.21875"]],
                "inputs": [be(&felts[..3])],
                "processed_inputs": [], "processed_params": [], "processed_outputs": [],
                "rescaled_outputs": [["0.2890625", "0.65625", "0", "-0.0390625"]],
                "outputs": [be(&felts[3..])],
            },
            "timestamp": 1795398525050u64,
            "version": "23.0.5",
        })
    }

    fn parse(value: &Value) -> Result<ProofFile> {
        ProofFile::from_json(&serde_json::to_vec(value).expect("JSON"), Path::new("proof.json"))
    }

    #[test]
    fn a_proof_is_read_checked_and_decoded() {
        let settings = settings(&settings_sample()).expect("valid");
        let proof = parse(&sample()).expect("valid");
        proof.check(&settings).expect("fits");
        let decoded = proof.decode(&settings.instance_layout()).expect("fits");
        let outputs: Vec<_> = decoded.outputs().collect();
        assert_eq!(outputs, [[0.2890625, 0.65625, 0.0, -0.0390625]]);
    }

    #[test]
    fn altered_proofs_are_refused_with_the_field() {
        let message = |change: fn(&mut Value)| {
            let mut value = sample();
            change(&mut value);
            let settings = settings(&settings_sample()).expect("valid");
            let result = parse(&value).and_then(|proof| proof.check(&settings));
            result.expect_err("refused").to_string()
        };
        let flipped = message(|value| value["proof"][3] = json!(8));
        assert!(flipped.contains("proof.json: field `hex_proof`: "), "{flipped}");
        let short = message(|value| {
            value["proof"].as_array_mut().expect("an array").pop();
        });
        assert!(short.contains("field `proof`: 95 bytes"), "{short}");
        let empty = message(|value| value["proof"] = json!([]));
        assert!(empty.contains("field `proof`: 0 bytes"), "{empty}");
        let byte = message(|value| value["proof"][4] = json!(256));
        assert!(byte.contains("field `proof[4]`"), "{byte}");
        let modulus = message(|value| {
            value["instances"][0][2] =
                json!(alloy::hex::encode(crate::field::SCALAR_MODULUS.to_le_bytes::<32>()));
        });
        assert!(modulus.contains("field `instances[0][2]`"), "{modulus}");
        assert!(modulus.contains("not below the scalar modulus"), "{modulus}");
        let few = message(|value| {
            value["instances"][0].as_array_mut().expect("an array").pop();
        });
        assert!(few.contains("field `instances`: 6 instances, but the settings make 7"), "{few}");
        let columns = message(|value| value["instances"] = json!([[], []]));
        assert!(columns.contains("2 instance columns"), "{columns}");
        let swapped = message(|value| {
            let first = value["instances"][0][0].clone();
            value["instances"][0][1] = first;
        });
        assert!(swapped.contains("`pretty_public_inputs.inputs`"), "{swapped}");
        let hidden = message(|value| {
            value["pretty_public_inputs"]["outputs"][0][0] = json!(Felt::ZERO.to_be_hex());
        });
        assert!(hidden.contains("`pretty_public_inputs.outputs`"), "{hidden}");
        let version = message(|value| value["version"] = json!("1.0.0"));
        assert!(version.contains("`version` is \"1.0.0\""), "{version}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ProofFile::from_json(&bytes, Path::new("x"));
        }

        #[test]
        fn one_changed_byte_is_refused_or_read(at in 0usize..2000, with: u8) {
            let mut bytes = serde_json::to_vec(&sample()).expect("JSON");
            let at = at % bytes.len();
            bytes[at] = with;
            if let Ok(proof) = ProofFile::from_json(&bytes, Path::new("x")) {
                let _ = proof.check(&settings(&settings_sample()).expect("valid"));
            }
        }
    }
}
