//! Whether an input fits a model, by the model's settings or its shapes.

use super::{Element, InputData, field};
use crate::{
    artifacts::{
        Result, invalid,
        layout::elements,
        run_args::Visibility,
        settings::{InputType, Settings},
    },
    field::Felt,
};

impl InputData {
    /// Checks one input against a model's settings: the number of tensors, their lengths where the
    /// settings tell (public and committed inputs), and that each element fits its type, its scale
    /// and the decomposition.
    ///
    /// # Errors
    /// The file, the tensor, the element and what to do.
    pub fn check(&self, settings: &Settings) -> Result<()> {
        self.check_tensor_count(settings.model_input_scales.len())?;
        if let Some(lengths) = input_lengths(settings) {
            for (tensor, (length, name)) in lengths.into_iter().enumerate() {
                self.check_length(tensor, length, &name)?;
            }
        }
        self.check_elements(settings)
    }

    /// Checks the number of tensors and their lengths against shapes known from elsewhere, such as
    /// the model itself.
    ///
    /// # Errors
    /// The file, the tensor and both lengths.
    pub fn check_shapes(&self, shapes: &[Vec<usize>]) -> Result<()> {
        self.check_tensor_count(shapes.len())?;
        shapes.iter().enumerate().try_for_each(|(tensor, shape)| {
            self.check_length(tensor, elements(shape), &format!("its shape is {shape:?}"))
        })
    }

    /// Checks data for calibration, in which each tensor holds one observation or several, one
    /// after the other, and tells how many; 1 where the settings don't tell the shape.
    ///
    /// # Errors
    /// As [`check`](Self::check), and where the tensors hold different numbers of observations.
    pub fn check_observations(&self, settings: &Settings) -> Result<usize> {
        self.check_tensor_count(settings.model_input_scales.len())?;
        let mut observations = None;
        for (tensor, (length, name)) in
            input_lengths(settings).unwrap_or_default().into_iter().enumerate()
        {
            let found = self.tensors[tensor].len();
            if found == 0 || !found.is_multiple_of(length) {
                let message = format!(
                    "{found} elements are no whole number of observations of {length} ({name})"
                );
                return Err(invalid(&self.path, format!("input_data[{tensor}]"), message));
            }
            let count = found / length;
            if *observations.get_or_insert(count) != count {
                let message = format!(
                    "{count} observations, but the first tensor has {}; they go together",
                    observations.unwrap_or_default()
                );
                return Err(invalid(&self.path, format!("input_data[{tensor}]"), message));
            }
        }
        self.check_elements(settings)?;
        Ok(observations.unwrap_or(1))
    }

    pub(super) fn check_tensor_count(&self, expected: usize) -> Result<()> {
        let found = self.tensors.len();
        if found == expected {
            return Ok(());
        }
        let message = format!(
            "{found} tensors, but the model has {expected} inputs; {}",
            "write one flat array for each, in the model's order"
        );
        Err(invalid(&self.path, "input_data", message))
    }

    fn check_length(&self, tensor: usize, expected: usize, why: &str) -> Result<()> {
        let found = self.tensors[tensor].len();
        if found == expected {
            return Ok(());
        }
        let message =
            format!("{found} elements, but the model's input {tensor} has {expected} ({why})");
        Err(invalid(&self.path, format!("input_data[{tensor}]"), message))
    }

    fn check_elements(&self, settings: &Settings) -> Result<()> {
        let args = &settings.run_args;
        let bound = args.decomposition_bound().unwrap_or(i128::MAX);
        for (tensor, (values, scale)) in
            self.tensors.iter().zip(&settings.model_input_scales).enumerate()
        {
            let types = settings.input_types.as_ref();
            let input_type = types.and_then(|types| types.get(tensor)).copied();
            for (at, element) in values.iter().enumerate() {
                let fault = |message: String| Err(invalid(&self.path, field(tensor, at), message));
                if let Err(message) = check_type(*element, input_type) {
                    return fault(message);
                }
                // What is checked against the table is the scaled integer.
                let felt = match *element {
                    Element::Number(number) => Felt::from_f64(number, *scale),
                    Element::Bool(bool) => Some(Felt::from_i128(bool.into())),
                    Element::Felt(felt) => Some(felt),
                };
                let within = felt
                    .and_then(|felt| felt.to_i128().ok())
                    .is_some_and(|integer| integer.unsigned_abs() < bound.unsigned_abs());
                if !within && !args.ignore_range_check_inputs_outputs {
                    let shown = match element {
                        Element::Number(number) => format!("{number}"),
                        Element::Bool(bool) => format!("{bool}"),
                        Element::Felt(felt) => felt.to_be_hex(),
                    };
                    return fault(format!(
                        "{shown} at scale {scale} is not below decomp_base^decomp_legs = {}^{}, the \
                         largest value of this circuit; scale the data down, or raise `decomp_legs` \
                         and build again",
                        args.decomp_base, args.decomp_legs
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The number of elements of each input tensor, with the reason, where the settings tell.
fn input_lengths(settings: &Settings) -> Option<Vec<(usize, String)>> {
    if let Some(shapes) = settings.input_shapes() {
        let length = |shape: &Vec<usize>| (elements(shape), format!("its shape is {shape:?}"));
        return Some(shapes.iter().map(length).collect());
    }
    if settings.run_args.input_visibility == Visibility::KzgCommit {
        let lengths = settings.module_sizes.polycommit.get(..settings.model_input_scales.len())?;
        let length = |length: &usize| (*length, "the length of its commitment".to_owned());
        return Some(lengths.iter().map(length).collect());
    }
    None
}

fn check_type(element: Element, input_type: Option<InputType>) -> Result<(), String> {
    match (element, input_type) {
        (Element::Bool(_), Some(InputType::Bool)) => Ok(()),
        (Element::Bool(bool), _) => Err(format!(
            "{bool} is a boolean, but the tensor's type is {}; write {}",
            input_type.map_or("not boolean".to_owned(), |name| format!("{name:?}")),
            u8::from(bool)
        )),
        (Element::Number(number), Some(InputType::Bool)) if number != 0.0 && number != 1.0 => {
            Err(format!("{number} is neither 0 nor 1, and the tensor is boolean"))
        }
        (Element::Number(number), Some(InputType::Int | InputType::TDim))
            if number.fract() != 0.0 =>
        {
            Err(format!(
                "{number} is not an integer, but the tensor's type is; ezkl would cut the fraction"
            ))
        }
        _ => Ok(()),
    }
}
