//! settings.json: how ezkl lays out the circuit of one model.

use super::{
    Error, Kind, Result, invalid,
    layout::{InstanceLayout, tensor_of},
    run_args::{CheckMode, RunArgs, Visibility},
};
use crate::{field::Scale, files, model::schema::TensorKind};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use super::layout::InputType;

const KIND: Kind = Kind {
    what: "an ezkl settings file",
    remedy: "make it again with `zkvouch gen-settings`",
    limit: 64 << 20,
};

/// The einsum operations of a circuit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EinsumParams {
    /// Each equation with the length of each of its axes.
    pub equations: Vec<(String, BTreeMap<String, usize>)>,
    /// Rows that they take.
    pub total_einsum_col_size: usize,
}

/// Rows and instances of the hashing and committing modules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleSizes {
    /// The number of elements of each committed tensor.
    pub polycommit: Vec<usize>,
    /// The rows of the Poseidon module, and its number of instances. For `hashed/private` that
    /// number is not the one in the proof; [`Settings::instance_layout`] has the right one.
    pub poseidon: (usize, Vec<usize>),
}

/// settings.json, all of its 22 keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The arguments that the circuit was made from, as calibration left them.
    pub run_args: RunArgs,
    /// Rows that the model takes in one block of columns.
    pub num_rows: usize,
    /// Cells that the model takes.
    pub total_assignments: usize,
    /// How many distinct constants there are; they fill fixed columns.
    pub total_const_size: usize,
    /// Cells of dynamic lookup tables.
    pub total_dynamic_col_size: usize,
    /// The longest input of a dynamic lookup.
    pub max_dynamic_input_len: usize,
    /// How many lookups go into tables that the witness fills.
    pub num_dynamic_lookups: usize,
    /// How many shuffle arguments there are: one list is a permutation of another.
    pub num_shuffles: usize,
    /// Cells that the lists of shuffles take.
    pub total_shuffle_col_size: usize,
    /// The einsum operations of the model, and the rows that they take.
    pub einsum_params: EinsumParams,
    /// The shape of each tensor whose elements are instances, in their order in a proof.
    pub model_instance_shapes: Vec<Vec<usize>>,
    /// The scale of each output tensor, visible or not.
    pub model_output_scales: Vec<Scale>,
    /// The scale of each input tensor, visible or not.
    pub model_input_scales: Vec<Scale>,
    /// Sizes of the hashing and committing modules.
    pub module_sizes: ModuleSizes,
    /// The operations that use a lookup table over `run_args.lookup_range`, in ezkl's own terms.
    pub required_lookups: Vec<serde_json::Value>,
    /// The intervals (both ends included) of range checks.
    pub required_range_checks: Vec<(i128, i128)>,
    /// The same as [`RunArgs::check_mode`] in `run_args`; ezkl writes it twice.
    pub check_mode: CheckMode,
    /// The version of ezkl.
    pub version: String,
    /// The circuit's blinding factors, where ezkl wrote them.
    pub num_blinding_factors: Option<usize>,
    /// When the file was made: milliseconds since 1970.
    pub timestamp: Option<u64>,
    /// The ONNX type of each input tensor.
    pub input_types: Option<Vec<InputType>>,
    /// The ONNX type of each output tensor.
    pub output_types: Option<Vec<InputType>>,
    #[serde(skip)]
    path: PathBuf,
}

impl Settings {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// The file and the field that is missing, of the wrong type or at odds with another; a version
    /// outside [`super::SUPPORTED_VERSIONS`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_json(&KIND.read(path)?, path)
    }

    /// As [`read`](Self::read), from bytes; `path` is for errors.
    pub fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        KIND.check_version(bytes, path)?;
        let mut settings: Self = KIND.parse(bytes, path)?;
        settings.path = path.to_owned();
        settings.check()?;
        Ok(settings)
    }

    /// Writes the settings, as ezkl reads them.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec(self)
            .map_err(|error| invalid(path, "", format!("cannot be written as JSON: {error}")))?;
        Ok(files::write_atomic(path, &json)?)
    }

    /// The file that the settings came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a proof's instances are, in their order.
    pub fn instance_layout(&self) -> InstanceLayout {
        layout_of(self)
    }

    /// The shape of each input tensor, where the settings tell: only for public inputs.
    pub fn input_shapes(&self) -> Option<&[Vec<usize>]> {
        (self.run_args.input_visibility == Visibility::Public)
            .then(|| self.model_instance_shapes.get(..self.model_input_scales.len()))
            .flatten()
    }

    fn check(&self) -> Result<()> {
        let fault = |field: &str, message: String| {
            Err(invalid(&self.path, field, format!("{message}; {}", KIND.remedy)))
        };
        let args = &self.run_args;
        if args.logrows == 0 || args.logrows > 28 {
            let message = format!("{} is not a possible number of rows", args.logrows);
            return fault("run_args.logrows", message);
        }
        if args.decomposition_bound().is_none() {
            let message = format!(
                "decomp_base {} to the power of decomp_legs {} exceeds 2^127",
                args.decomp_base, args.decomp_legs
            );
            return fault("run_args.decomp_legs", message);
        }
        for (field, types, scales) in [
            ("input_types", &self.input_types, &self.model_input_scales),
            ("output_types", &self.output_types, &self.model_output_scales),
        ] {
            if types.as_ref().is_some_and(|types| types.len() != scales.len()) {
                let message = format!("its length is not that of the {} scales", scales.len());
                return fault(field, message);
            }
        }
        let mut visible = 0;
        if args.input_visibility == Visibility::Public {
            visible += self.model_input_scales.len();
        }
        if args.output_visibility == Visibility::Public {
            visible += self.model_output_scales.len();
        }
        if self.model_instance_shapes.len() != visible {
            let message = format!(
                "{} shapes, but the visibilities and scales make {visible} tensors public",
                self.model_instance_shapes.len()
            );
            return fault("model_instance_shapes", message);
        }
        // No column is longer than 2^28 rows, and the instances stand in one.
        if self.instance_layout().len > 1 << 28 {
            return fault("model_instance_shapes", "more elements than a circuit can have".into());
        }
        Ok(())
    }

    /// Fails unless `version`, found in `path`, is the version of these settings.
    pub(super) fn check_same_version(&self, version: &str, path: &Path) -> Result<(), Error> {
        if version == self.version {
            return Ok(());
        }
        let message = format!(
            "made by ezkl {version}, but {} by {}; make both with one version",
            self.path.display(),
            self.version
        );
        Err(invalid(path, "version", message))
    }
}

/// Which instance of a proof is what; see [`super::layout`] for the order.
fn layout_of(settings: &Settings) -> InstanceLayout {
    let args = &settings.run_args;
    let mut layout = InstanceLayout::default();
    let mut shapes = settings.model_instance_shapes.iter();
    for tensor in 0..args.input_visibility.hashes(settings.model_input_scales.len()) {
        layout.push_hash(TensorKind::ProcessedInput, tensor_of(&args.input_visibility, tensor));
    }
    for _ in 0..args.param_visibility.hashes(1) {
        layout.push_hash(TensorKind::ProcessedParam, 0);
    }
    if args.input_visibility == Visibility::Public {
        let (scales, types) = (&settings.model_input_scales, &settings.input_types);
        layout.push_tensors(TensorKind::Input, &mut shapes, scales, types.as_deref());
    }
    if args.output_visibility == Visibility::Public {
        let (scales, types) = (&settings.model_output_scales, &settings.output_types);
        layout.push_tensors(TensorKind::Output, &mut shapes, scales, types.as_deref());
    }
    for tensor in 0..args.output_visibility.hashes(settings.model_output_scales.len()) {
        layout.push_hash(TensorKind::ProcessedOutput, tensor_of(&args.output_visibility, tensor));
    }
    layout
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Settings that ezkl 23.0.5 made of a three-input, four-output dense layer with ReLU.
    pub(in crate::artifacts) fn sample() -> Value {
        json!({
            "run_args": {
                "input_scale": 6, "param_scale": 7, "rebase_scale": null,
                "scale_rebase_multiplier": 1, "lookup_range": [-32768, 32768], "logrows": 9,
                "num_inner_cols": 1, "variables": [["batch_size", 1]],
                "input_visibility": "Public", "output_visibility": "Public",
                "param_visibility": "Fixed", "rebase_frac_zero_constants": false,
                "check_mode": "UNSAFE", "decomp_base": 64, "decomp_legs": 4,
                "bounded_log_lookup": false, "ignore_range_check_inputs_outputs": false,
                "epsilon": 2.220446049250313e-16, "disable_freivalds": false
            },
            "num_rows": 272, "total_assignments": 544, "total_const_size": 21,
            "total_dynamic_col_size": 0, "max_dynamic_input_len": 0, "num_dynamic_lookups": 0,
            "num_shuffles": 0, "total_shuffle_col_size": 0,
            "einsum_params": {
                "equations": [["mk,nk->mn", {"k": 3, "m": 1, "n": 4}]],
                "total_einsum_col_size": 0
            },
            "model_instance_shapes": [[1, 3], [1, 4]], "model_output_scales": [7],
            "model_input_scales": [6], "module_sizes": {"polycommit": [], "poseidon": [0, [0]]},
            "required_lookups": [{"Sigmoid": {"scale": 128.0}}],
            "required_range_checks": [[0, 63], [-1, 1]], "check_mode": "UNSAFE",
            "version": "23.0.5", "num_blinding_factors": null, "timestamp": 1795398524317u64,
            "input_types": ["F32"], "output_types": ["F32"]
        })
    }

    pub(in crate::artifacts) fn parse(value: &Value) -> Result<Settings> {
        Settings::from_json(&serde_json::to_vec(value).expect("JSON"), Path::new("settings.json"))
    }

    #[test]
    fn what_ezkl_wrote_is_read_and_written_back_unchanged() {
        let sample = sample();
        assert_eq!(sample.as_object().expect("an object").len(), 22);
        let settings = parse(&sample).expect("valid");
        assert_eq!(settings.run_args.logrows, 9);
        assert_eq!(settings.required_range_checks, [(0, 63), (-1, 1)]);
        assert_eq!(settings.input_shapes(), Some(&[vec![1, 3]][..]));
        assert_eq!(serde_json::to_value(&settings).expect("writes"), sample);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.json");
        settings.write(&path).expect("written");
        let again = Settings::read(&path).expect("read");
        assert_eq!((again.path(), &again.run_args), (path.as_path(), &settings.run_args));
    }

    #[test]
    fn errors_name_the_file_the_field_and_the_remedy() {
        let message = |change: fn(&mut Value)| {
            let mut value = sample();
            change(&mut value);
            parse(&value).expect_err("refused").to_string()
        };
        let error = message(|value| value["run_args"]["logrows"] = json!("nine"));
        assert!(
            error.starts_with(
                "settings.json is not an ezkl settings file: field `run_args.logrows`: \
                 invalid type: string \"nine\", expected u32"
            ) && error.ends_with("`zkvouch gen-settings`"),
            "{error}"
        );
        let error = message(|value| value["run_args"]["input_visibility"] = json!("pubic"));
        assert!(error.contains("`run_args.input_visibility`: unknown visibility"), "{error}");
        let error = message(|value| {
            value.as_object_mut().expect("an object").remove("num_rows");
        });
        assert!(error.contains("missing field `num_rows`"), "{error}");
        let error = message(|value| value["version"] = json!("22.1.0"));
        assert!(error.contains("field `version` is \"22.1.0\"") && error.contains("23.0.5"));
        let error = message(|value| {
            *value = json!({"version": "99.0.0", "other": 1});
        });
        assert!(error.contains("field `version` is \"99.0.0\""), "{error}");
        let error = message(|value| *value = json!({"other": 1}));
        assert!(error.contains("field `version` is \"\""), "{error}");
        let error = message(|value| value["model_instance_shapes"] = json!([[1, 3]]));
        assert!(error.contains("`model_instance_shapes`: 1 shapes"), "{error}");
        let error = message(|value| value["model_instance_shapes"][0] = json!([u64::MAX, 8]));
        assert!(error.contains("more elements than a circuit can have"), "{error}");
        let error = message(|value| value["run_args"]["decomp_legs"] = json!(400));
        assert!(error.contains("`run_args.decomp_legs`"), "{error}");
        let error = message(|value| value["input_types"] = json!(["F32", "Int"]));
        assert!(error.contains("`input_types`"), "{error}");
    }

    #[test]
    fn what_is_no_json_is_an_error_with_its_position() {
        let path = Path::new("dir/settings.json");
        for bytes in [&b""[..], b"{", b"[1]", b"\xff\xfe", b"null", b"{\"version\": \"23.0.5\"} x"]
        {
            let error = Settings::from_json(bytes, path).expect_err("refused").to_string();
            assert!(
                error.starts_with("dir/settings.json is not an ezkl settings file: "),
                "{error}"
            );
        }
        let error = Settings::read(Path::new("/nonexistent/s.json")).expect_err("missing");
        assert!(error.to_string().starts_with("cannot read /nonexistent/s.json"));
        assert!(Settings::read(Path::new("/")).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Settings::from_json(&bytes, Path::new("x"));
        }

        /// One value anywhere replaced: read or refused, never a panic, and what was read can be
        /// laid out.
        #[test]
        fn no_replaced_value_panics(which in 0usize..80, with in prop_oneof![
            Just(json!(null)), Just(json!(-1)), Just(json!(0)), Just(json!(u64::MAX)),
            Just(json!([])), Just(json!("x")), Just(json!([[u64::MAX, u64::MAX]])), Just(json!(1e300)),
        ]) {
            let mut value = sample();
            replace(&mut value, &mut { which }, &with);
            if let Ok(settings) = parse(&value) {
                let layout = settings.instance_layout();
                prop_assert!(layout.len <= 1 << 28);
            }
        }
    }

    fn replace(value: &mut Value, left: &mut usize, with: &Value) -> bool {
        if *left == 0 {
            *value = with.clone();
            return true;
        }
        *left -= 1;
        match value {
            Value::Object(map) => map.values_mut().any(|value| replace(value, left, with)),
            Value::Array(list) => list.iter_mut().any(|value| replace(value, left, with)),
            _ => false,
        }
    }
}
