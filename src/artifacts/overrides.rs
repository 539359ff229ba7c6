//! A user's choice of run arguments: whatever is set replaces the default.

use super::run_args::{CheckMode, RunArgs, Visibility};
use crate::field::Scale;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// [`RunArgs`], each of them optional: for a configuration file and for command-line flags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "documented at the fields of RunArgs")]
pub struct RunArgsOverrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_scale: Option<Scale>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param_scale: Option<Scale>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_rebase_multiplier: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup_range: Option<(i64, i64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logrows: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_inner_cols: Option<usize>,
    /// Values by symbol; each replaces or joins the default's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_visibility: Option<Visibility>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_visibility: Option<Visibility>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param_visibility: Option<Visibility>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebase_frac_zero_constants: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_mode: Option<CheckMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decomp_base: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decomp_legs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounded_log_lookup: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_range_check_inputs_outputs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_freivalds: Option<bool>,
}

impl RunArgsOverrides {
    /// Takes over what is set.
    pub fn apply(&self, args: &mut RunArgs) {
        fn set<T: Clone>(target: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                target.clone_from(value);
            }
        }
        set(&mut args.input_scale, &self.input_scale);
        set(&mut args.param_scale, &self.param_scale);
        set(&mut args.scale_rebase_multiplier, &self.scale_rebase_multiplier);
        let range = self.lookup_range.map(|(low, high)| (low.into(), high.into()));
        set(&mut args.lookup_range, &range);
        set(&mut args.logrows, &self.logrows);
        set(&mut args.num_inner_cols, &self.num_inner_cols);
        for (name, value) in &self.variables {
            match args.variables.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = *value,
                None => args.variables.push((name.clone(), *value)),
            }
        }
        set(&mut args.input_visibility, &self.input_visibility);
        set(&mut args.output_visibility, &self.output_visibility);
        set(&mut args.param_visibility, &self.param_visibility);
        set(&mut args.rebase_frac_zero_constants, &self.rebase_frac_zero_constants);
        set(&mut args.check_mode, &self.check_mode);
        set(&mut args.decomp_base, &self.decomp_base);
        set(&mut args.decomp_legs, &self.decomp_legs);
        set(&mut args.bounded_log_lookup, &self.bounded_log_lookup);
        set(&mut args.ignore_range_check_inputs_outputs, &self.ignore_range_check_inputs_outputs);
        set(&mut args.epsilon, &self.epsilon);
        set(&mut args.disable_freivalds, &self.disable_freivalds);
    }

    /// zkvouch's defaults with these on top.
    pub fn over_defaults(&self) -> RunArgs {
        let mut args = RunArgs::default();
        self.apply(&mut args);
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_a_configuration_file_replaces_what_it_names() {
        let overrides: RunArgsOverrides = toml::from_str(
            r#"
            input_visibility = "hashed"
            output_visibility = "public"
            lookup_range = [-100, 200]
            logrows = 12
            input_scale = -2
            check_mode = "safe"
            epsilon = 1e-6
            variables = { batch_size = 4, seq = 9 }
            "#,
        )
        .expect("valid");
        let args = overrides.over_defaults();
        let expected = RunArgs {
            input_visibility: Visibility::hashed(),
            lookup_range: (-100, 200),
            logrows: 12,
            input_scale: Scale(-2),
            check_mode: CheckMode::Safe,
            epsilon: 1e-6,
            variables: vec![("batch_size".to_owned(), 4), ("seq".to_owned(), 9)],
            ..RunArgs::default()
        };
        assert_eq!(args, expected);
        let text = toml::to_string(&overrides).expect("writes");
        assert_eq!(toml::from_str::<RunArgsOverrides>(&text).expect("reads"), overrides);
        assert_eq!(toml::to_string(&RunArgsOverrides::default()).expect("writes"), "");
    }

    #[test]
    fn a_mistyped_name_or_visibility_is_an_error() {
        for (text, expected) in [
            ("input_visibilty = \"public\"", "unknown field"),
            ("input_visibility = \"pubic\"", "unknown visibility"),
        ] {
            let error = toml::from_str::<RunArgsOverrides>(text).expect_err("refused");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    /// Every field but `rebase_scale`, which the engine cannot set, can be overridden.
    #[test]
    fn no_argument_is_left_out() {
        let mut json = serde_json::to_value(RunArgs::default()).expect("JSON");
        let object = json.as_object_mut().expect("an object");
        object.remove("rebase_scale");
        object.insert("variables".to_owned(), serde_json::json!({"batch_size": 1}));
        let overrides: RunArgsOverrides = serde_json::from_value(json).expect("all known");
        let mut args = RunArgs { logrows: 3, num_inner_cols: 9, ..RunArgs::default() };
        overrides.apply(&mut args);
        assert_eq!(args, RunArgs::default());
    }
}
