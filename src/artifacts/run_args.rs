//! The arguments from which ezkl makes a circuit, as they stand in settings.json and as its Python
//! API takes them.

use crate::{
    field::{Scale, TWO_ADICITY},
    model::batch::{self, Batching, Form},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value, json};
use std::{fmt, str::FromStr};

/// The largest `logrows` for which a public SRS exists.
pub const MAX_LOGROWS: u32 = 26;

/// The largest `logrows` for which the npm registry has a ceremony's SRS, and so the limit for
/// calibration unless the user sets another: a circuit of more rows wraps into more columns.
///
/// Measured on eight models with the default base, legs and columns (ezkl 23.0.5, CPU seconds of
/// one proof): without the limit two of them reach k = 15 and 16 and take 13.1 s (xgboost) and
/// 10.5 s (a 784-pixel CNN); with it 10.2 s and 7.8 s, for proofs of 4,896 rather than 3,584 and
/// 5,504 rather than 1,952 bytes.
pub const DEFAULT_MAX_LOGROWS: u32 = 14;

/// The default base: the tallest table that fits 2^10 rows, of which ezkl keeps 8 free.
///
/// ezkl's own 16384^2 = 2^28 needs 2^15 rows however small the model. 1016^3 = 2^29.97 keeps more
/// than that range, and its three digits take fewer rows than the four of 128^4 = 2^28 or
/// 256^4 = 2^32, so that larger models come out smaller, too. k / CPU seconds of one proof, each
/// after `calibrate_settings` ("resources", margin 2), one run each, every proof verified:
///
/// | model | 16384^2, 2 columns | 128^4, 2 | 128^4, 1 | 1016^3, 2 | 1016^3, 1 |
/// |---|---|---|---|---|---|
/// | dense layer | 15 / 8.4 | 9 / 0.28 | 10 / 0.33 | 10 / 0.36 | 10 / 0.26 |
/// | sigmoid | 15 / 10.3 | 13 / 2.8 | 13 / 2.0 | 13 / 2.4 | 13 / 1.5 |
/// | softmax | 15 / 22.0 | 9 / 0.54 | 10 / 0.60 | 10 / 0.77 | 10 / 0.49 |
/// | decision tree | 15 / 21.1 | 10 / 0.84 | 11 / 1.0 | 10 / 0.88 | 11 / 1.1 |
/// | gather_nd | 15 / 14.2 | 13 / 3.8 | 14 / 4.5 | 13 / 3.8 | 14 / 5.2 |
/// | layernorm | 15 / 8.7 | 14 / 4.6 | 15 / 6.9 | 13 / 2.5 | 14 / 3.1 |
pub const DEFAULT_DECOMP_BASE: u64 = 1016;
/// The default number of digits.
pub const DEFAULT_DECOMP_LEGS: u32 = 3;
/// The default number of columns. One (ezkl: two) makes proofs 35 to 40 % shorter on six of the
/// eight models, 1,952 rather than 3,072 bytes for the smallest, which is some 130,000 gas less.
pub const DEFAULT_INNER_COLS: usize = 1;

/// An argument that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Error {
    /// The field of [`RunArgs`].
    pub field: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// Who sees a group of tensors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Visibility {
    /// The prover only: nothing of it is an instance.
    Private,
    /// Everybody: each element is an instance of the proof.
    Public,
    /// Everybody, and part of the circuit: a change gives another verifying key.
    Fixed,
    /// The Poseidon hash of each tensor is an instance (one hash for all parameters together).
    Hashed {
        /// ezkl's flag: whether the plain tensors go on through the circuit (`true`), or the hash
        /// takes the place of the tensors in `outlets` (`false`).
        hash_is_public: bool,
        /// The numbers of the tensors that are hashed when `hash_is_public` is false.
        outlets: Vec<usize>,
    },
    /// The proof begins with a KZG commitment to the tensors; nothing of them is an instance.
    #[serde(rename = "KZGCommit")]
    KzgCommit,
}

impl Visibility {
    /// Hashed, with the hash public and the tensors hidden: the form that `hashed` stands for.
    pub fn hashed() -> Self {
        Self::Hashed { hash_is_public: true, outlets: Vec::new() }
    }

    /// How many hashes a group of `tensors` tensors gives.
    pub(crate) fn hashes(&self, tensors: usize) -> usize {
        match self {
            Self::Hashed { hash_is_public: true, .. } => tensors,
            Self::Hashed { outlets, .. } => outlets.len(),
            _ => 0,
        }
    }
}

impl fmt::Display for Visibility {
    /// The form that ezkl's Python API and its command line take.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => f.write_str("private"),
            Self::Public => f.write_str("public"),
            Self::Fixed => f.write_str("fixed"),
            Self::Hashed { hash_is_public: true, .. } => f.write_str("hashed"),
            Self::Hashed { outlets, .. } => {
                let outlets: Vec<_> = outlets.iter().map(usize::to_string).collect();
                write!(f, "hashed/private/{}", outlets.join(","))
            }
            Self::KzgCommit => f.write_str("polycommit"),
        }
    }
}

impl FromStr for Visibility {
    type Err = String;

    /// Reads every form that ezkl reads, in any case, and the name that settings.json has for
    /// `polycommit`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "private" => Ok(Self::Private),
            "public" => Ok(Self::Public),
            "fixed" => Ok(Self::Fixed),
            "hashed" | "hashed/public" => Ok(Self::hashed()),
            "polycommit" | "kzgcommit" => Ok(Self::KzgCommit),
            lower => lower
                .strip_prefix("hashed/private/")
                .and_then(|list| list.split(',').map(|outlet| outlet.parse().ok()).collect())
                .map(|outlets| Self::Hashed { hash_is_public: false, outlets })
                .ok_or_else(|| {
                    format!(
                        "unknown visibility {text:?}; use private, public, fixed, hashed, \
                         hashed/private/<outlet,…> or polycommit"
                    )
                }),
        }
    }
}

impl<'de> Deserialize<'de> for Visibility {
    /// From a string in any form of [`FromStr`], or settings.json's object for `Hashed`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            #[serde(rename = "Hashed")]
            hashed: Hashed,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Hashed {
            hash_is_public: bool,
            outlets: Vec<usize>,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Visibility;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a visibility such as \"public\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Visibility, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Visibility, A::Error> {
                let Object { hashed: Hashed { hash_is_public, outlets } } =
                    Object::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Visibility::Hashed { hash_is_public, outlets })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Whether the prover checks its own witness while it fills the circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckMode {
    /// Checks, and fails on a witness that breaks a constraint.
    #[serde(rename = "SAFE", alias = "safe")]
    Safe,
    /// Doesn't, which is faster and loses nothing: an unsatisfied circuit gives no valid proof.
    #[default]
    #[serde(rename = "UNSAFE", alias = "unsafe")]
    Unsafe,
}

/// ezkl's run arguments. [`RunArgs::default`] has zkvouch's defaults, which are not ezkl's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunArgs {
    /// Fractional bits of inputs.
    pub input_scale: Scale,
    /// Fractional bits of parameters.
    pub param_scale: Scale,
    /// The scale to which intermediate values are brought back; ezkl derives it where absent, and
    /// its Python API cannot set it.
    pub rebase_scale: Option<Scale>,
    /// Intermediate values are brought back once their scale exceeds this multiple of the input's.
    pub scale_rebase_multiplier: u32,
    /// The smallest and the largest input of lookup tables, both included.
    pub lookup_range: (i128, i128),
    /// log2 of the number of rows of the circuit: the `k` of the SRS.
    pub logrows: u32,
    /// Columns side by side in one block: fewer rows, but a longer proof.
    pub num_inner_cols: usize,
    /// Values for the symbols in the model's shapes, such as `batch_size`.
    pub variables: Vec<(String, usize)>,
    /// Who sees the inputs.
    pub input_visibility: Visibility,
    /// Who sees the outputs.
    pub output_visibility: Visibility,
    /// Who sees the parameters.
    pub param_visibility: Visibility,
    /// Whether constants without fractional bits take scale zero.
    pub rebase_frac_zero_constants: bool,
    /// Whether the prover checks its own witness.
    pub check_mode: CheckMode,
    /// The base in which values are decomposed for range checks: the height of that table.
    pub decomp_base: u64,
    /// The number of digits of a decomposed value, which must be below `decomp_base^decomp_legs`.
    pub decomp_legs: u32,
    /// Whether logarithms use a bounded lookup.
    pub bounded_log_lookup: bool,
    /// Leaves inputs and outputs unchecked, which lets a prover forge: [`RunArgs::validate`]
    /// refuses it.
    pub ignore_range_check_inputs_outputs: bool,
    /// ezkl's epsilon for operations that divide: a finite number, zero or above.
    pub epsilon: f64,
    /// Turns Freivalds' check of matrix products off.
    pub disable_freivalds: bool,
}

impl Default for RunArgs {
    /// ezkl's Python defaults, except for the decomposition, the columns and `logrows` (see the
    /// constants).
    fn default() -> Self {
        Self {
            input_scale: Scale(7),
            param_scale: Scale(7),
            rebase_scale: None,
            scale_rebase_multiplier: 1,
            lookup_range: (-32768, 32768),
            logrows: DEFAULT_MAX_LOGROWS,
            num_inner_cols: DEFAULT_INNER_COLS,
            variables: vec![("batch_size".to_owned(), 1)],
            input_visibility: Visibility::Public,
            output_visibility: Visibility::Public,
            param_visibility: Visibility::Fixed,
            rebase_frac_zero_constants: false,
            check_mode: CheckMode::Unsafe,
            decomp_base: DEFAULT_DECOMP_BASE,
            decomp_legs: DEFAULT_DECOMP_LEGS,
            bounded_log_lookup: false,
            ignore_range_check_inputs_outputs: false,
            epsilon: f64::EPSILON,
            disable_freivalds: false,
        }
    }
}

impl RunArgs {
    /// The attributes of ezkl's `PyRunArgs`, by name. JSON has no tuples: `lookup_range` and each
    /// pair in `variables` are arrays here and must be made tuples in Python. `rebase_scale` is
    /// left out since `PyRunArgs` lacks it.
    pub fn to_engine(&self) -> Map<String, Value> {
        let check_mode = match self.check_mode {
            CheckMode::Safe => "safe",
            CheckMode::Unsafe => "unsafe",
        };
        let fields = json!({
            "input_scale": self.input_scale,
            "param_scale": self.param_scale,
            "scale_rebase_multiplier": self.scale_rebase_multiplier,
            "lookup_range": [clamp(self.lookup_range.0), clamp(self.lookup_range.1)],
            "logrows": self.logrows,
            "num_inner_cols": self.num_inner_cols,
            "variables": self.variables,
            "input_visibility": self.input_visibility.to_string(),
            "output_visibility": self.output_visibility.to_string(),
            "param_visibility": self.param_visibility.to_string(),
            "rebase_frac_zero_constants": self.rebase_frac_zero_constants,
            "check_mode": check_mode,
            "decomp_base": self.decomp_base,
            "decomp_legs": self.decomp_legs,
            "bounded_log_lookup": self.bounded_log_lookup,
            "ignore_range_check_inputs_outputs": self.ignore_range_check_inputs_outputs,
            "epsilon": self.epsilon,
            "disable_freivalds": self.disable_freivalds,
        });
        match fields {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// `decomp_base^decomp_legs`, the bound (excluded) on the magnitude of a decomposed value.
    /// `None` where it exceeds 2^127.
    pub fn decomposition_bound(&self) -> Option<i128> {
        i128::from(self.decomp_base).checked_pow(self.decomp_legs)
    }

    /// How `size` observations lie in a circuit with these visibilities: apart where each is to have a hash of its
    /// own.
    ///
    /// # Errors
    /// A size that no proof has, and a hash that takes the place of its tensor, which says nothing of one
    /// observation.
    pub fn batch(&self, size: usize) -> Result<Batching, Error> {
        if !(1..=batch::MOST).contains(&size) {
            let message = format!("is {size}; a proof is of 1 to {} predictions", batch::MOST);
            return Err(Error { field: "batch_size", message });
        }
        let form = |visibility: &Visibility| match visibility {
            Visibility::Hashed { hash_is_public: true, .. } => Ok(Form::Apart),
            Visibility::Hashed { .. } if size > 1 => Err(Error {
                field: "batch_size",
                message: format!("is {size}, which goes with `hashed`, not with `{visibility}`"),
            }),
            _ => Ok(Form::Joined),
        };
        Ok(Batching::new(size, form(&self.input_visibility)?, form(&self.output_visibility)?))
    }

    /// Checks what ezkl either doesn't or answers with a panic.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |field, message: &str| Err(Error { field, message: message.to_owned() });
        let scales = -64..=64;
        if !scales.contains(&self.input_scale.0) {
            return refuse("input_scale", "must lie in -64..=64");
        }
        if !scales.contains(&self.param_scale.0) {
            return refuse("param_scale", "must lie in -64..=64");
        }
        if self.scale_rebase_multiplier == 0 {
            return refuse("scale_rebase_multiplier", "must be at least 1");
        }
        if self.lookup_range.0 > self.lookup_range.1 {
            return refuse("lookup_range", "the lower bound is above the upper one; swap them");
        }
        let bound = 1i128 << 62;
        if self.lookup_range.0 < -bound || self.lookup_range.1 > bound {
            return refuse("lookup_range", "must lie within ±2^62");
        }
        if !(1..=MAX_LOGROWS).contains(&self.logrows) {
            return refuse("logrows", "must lie in 1..=26; there is no public SRS beyond 26");
        }
        if self.num_inner_cols == 0 {
            return refuse("num_inner_cols", "must be at least 1");
        }
        // The degree of the constraints is at least that of a dot product over the columns.
        let factor = self.num_inner_cols.saturating_add(1).max(2).checked_next_power_of_two();
        let room = factor.and_then(|factor| TWO_ADICITY.checked_sub(factor.trailing_zeros()));
        if room.is_none_or(|room| self.logrows > room) {
            let message = format!(
                "with {} inner columns the constraints of 2^{} rows are beyond the field, which has room for \
                 2^{TWO_ADICITY}; use fewer rows or columns",
                self.num_inner_cols, self.logrows
            );
            return Err(Error { field: "logrows", message });
        }
        if self.decomp_base < 2 {
            return refuse("decomp_base", "must be at least 2");
        }
        if self.decomp_legs == 0 {
            return refuse("decomp_legs", "must be at least 1");
        }
        if self.decomposition_bound().is_none() {
            return refuse(
                "decomp_legs",
                "decomp_base^decomp_legs must stay below 2^127; use fewer legs or a smaller base",
            );
        }
        if !(self.epsilon.is_finite() && self.epsilon >= 0.0) {
            return refuse("epsilon", "must be a finite number, zero or above");
        }
        if let Some((name, _)) = self.variables.iter().find(|(_, value)| *value == 0) {
            let message = format!("`{name}` cannot be 0");
            return Err(Error { field: "variables", message });
        }
        if self.param_visibility == Visibility::Public {
            return refuse(
                "param_visibility",
                "ezkl has no public parameters; use fixed, which puts them into the verifying key",
            );
        }
        if self.output_visibility == Visibility::Fixed {
            return refuse("output_visibility", "ezkl cannot prove fixed outputs; use public");
        }
        if let Visibility::Hashed { hash_is_public: false, .. } = self.param_visibility {
            return refuse("param_visibility", "hashed/private is for outputs; use hashed");
        }
        if self.ignore_range_check_inputs_outputs {
            return refuse(
                "ignore_range_check_inputs_outputs",
                "without these range checks a prover can forge any output; leave it false",
            );
        }
        Ok(())
    }

    /// What is allowed but proves less than one might think, a sentence each.
    pub fn cautions(&self) -> Vec<&'static str> {
        let mut cautions = Vec::new();
        if self.param_visibility == Visibility::Private {
            cautions.push(
                "private parameters: the verifier binds no weights, so a proof holds for any model \
                 of this architecture; use fixed or hashed to bind them",
            );
        }
        if self.output_visibility == Visibility::Private {
            cautions.push("private outputs: the proof shows that an output exists, not which");
        }
        if self.input_visibility == Visibility::Private {
            cautions.push(
                "private inputs: nothing ties the prediction to a particular input; use hashed to \
                 bind it",
            );
        }
        if self.input_visibility == Visibility::Fixed {
            cautions.push(
                "fixed inputs: the circuit holds for one input only, and its setup needs that \
                 input's witness",
            );
        }
        cautions
    }
}

/// Into the 64 bits that a JSON number here has; [`RunArgs::validate`] refuses what is beyond.
fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests;
