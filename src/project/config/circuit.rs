//! `[circuit]` of the project file.

#[cfg(feature = "cli")]
use super::text::{parse_range, parse_variable};
use super::text::{variables_from_table, variables_to_table};
use crate::{
    artifacts::run_args::{RunArgs, Visibility},
    field::Scale,
};
use serde::{Deserialize, Serialize};

/// `[circuit]`: ezkl's run arguments. What is absent has zkvouch's default.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Circuit options"))]
pub struct CircuitConfig {
    /// Who sees the inputs: public, private, fixed, hashed, hashed/public, hashed/private/OUTPUTS,
    /// polycommit.
    #[cfg_attr(feature = "cli", arg(long, value_name = "VISIBILITY"))]
    pub input_visibility: Option<Visibility>,
    /// Who sees the outputs.
    #[cfg_attr(feature = "cli", arg(long, value_name = "VISIBILITY"))]
    pub output_visibility: Option<Visibility>,
    /// Who sees the parameters. Only fixed, or hashed to the public, binds a proof to the weights.
    #[cfg_attr(feature = "cli", arg(long, value_name = "VISIBILITY"))]
    pub param_visibility: Option<Visibility>,
    /// Values for the model's symbolic axes, such as batch_size=1.
    #[cfg_attr(feature = "cli", arg(long = "variable", value_name = "NAME=VALUE", value_parser = parse_variable))]
    #[serde(deserialize_with = "variables_from_table", serialize_with = "variables_to_table")]
    pub variables: Vec<(String, usize)>,
    /// Fractional bits of the inputs.
    #[cfg_attr(feature = "cli", arg(long, allow_negative_numbers = true))]
    pub input_scale: Option<i32>,
    /// Fractional bits of the parameters.
    #[cfg_attr(feature = "cli", arg(long, allow_negative_numbers = true))]
    pub param_scale: Option<i32>,
    /// When a value's scale exceeds the input scale this many times, it is divided down.
    #[cfg_attr(feature = "cli", arg(long))]
    pub scale_rebase_multiplier: Option<u32>,
    /// The circuit has 2^logrows rows.
    #[cfg_attr(feature = "cli", arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(crate::artifacts::run_args::MAX_LOGROWS))))]
    pub logrows: Option<u32>,
    /// Columns per block of advice.
    #[cfg_attr(feature = "cli", arg(long))]
    pub num_inner_cols: Option<usize>,
    /// The base in which values are decomposed for range checks.
    #[cfg_attr(feature = "cli", arg(long))]
    pub decomp_base: Option<u64>,
    /// The digits of a decomposed value; its range is base^legs.
    #[cfg_attr(feature = "cli", arg(long))]
    pub decomp_legs: Option<u32>,
    /// The integers that lookup tables cover, as MIN..MAX.
    #[cfg_attr(feature = "cli", arg(long, value_name = "MIN..MAX", value_parser = parse_range, allow_hyphen_values = true))]
    pub lookup_range: Option<(i128, i128)>,
    /// Round constants to zero where the rebase scale makes fractions of them.
    #[cfg_attr(feature = "cli", arg(long))]
    pub rebase_frac_zero_constants: Option<bool>,
    /// Bounded logarithm lookups.
    #[cfg_attr(feature = "cli", arg(long))]
    pub bounded_log_lookup: Option<bool>,
    /// What is added to a denominator that may be zero.
    #[cfg_attr(feature = "cli", arg(long))]
    pub epsilon: Option<f64>,
    /// Multiply matrices in full instead of by Freivalds' check.
    #[cfg_attr(feature = "cli", arg(long))]
    pub disable_freivalds: Option<bool>,
}

impl CircuitConfig {
    /// zkvouch's defaults with what is set here.
    pub fn run_args(&self) -> RunArgs {
        let mut args = RunArgs::default();
        self.apply(&mut args);
        args
    }

    /// Whether the range of decomposed values is set here.
    pub fn sets_decomposition(&self) -> bool {
        self.decomp_base.is_some() || self.decomp_legs.is_some()
    }

    /// Puts what is set here over `args`.
    pub fn apply(&self, args: &mut RunArgs) {
        macro_rules! set {
            ($($field:ident),*) => {
                $(if let Some(value) = self.$field.clone() { args.$field = value; })*
            };
        }
        args.input_scale = self.input_scale.map_or(args.input_scale, Scale);
        args.param_scale = self.param_scale.map_or(args.param_scale, Scale);
        set!(
            input_visibility,
            output_visibility,
            param_visibility,
            scale_rebase_multiplier,
            logrows,
            num_inner_cols,
            decomp_base,
            decomp_legs,
            lookup_range,
            rebase_frac_zero_constants,
            bounded_log_lookup,
            epsilon,
            disable_freivalds
        );
        if !self.variables.is_empty() {
            args.variables.clone_from(&self.variables);
        }
    }
}
