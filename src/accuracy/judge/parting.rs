//! The first operator at which a circuit and its model part.
//!
//! Each operator's result is made the output of a model that ends there, and that model's circuit is asked
//! like the whole one. Since what went wrong once stays wrong, the first is found by bisection.

use super::Observation;
use crate::{
    accuracy::{forward::forward_all, part},
    artifacts::{run_args::RunArgs, settings::Settings},
    engine::EnginePool,
    files,
    onnx::proto::ModelProto,
};
use std::path::Path;

/// The tallest circuit, so that gen-settings never runs out of rows.
const LOGROWS: u32 = 20;
/// What an intermediate value may be off by, as a share of the largest of its tensor.
const SHARE: f64 = 0.02;

/// Names the first operator whose result differs; `None` where that can't be told.
pub(super) async fn find(
    pool: &EnginePool,
    model: &Path,
    settings: &Settings,
    input: &Observation,
) -> Option<String> {
    let proto = ModelProto::from_bytes(&files::read(model).ok()?[..]).ok()?;
    let search = Search { pool, proto, settings, input };
    // Not every operator's result can be asked for: constants, indices, what ezkl refuses.
    part::first(&search.proto, async |number| search.parts_at(number).await).await
}

struct Search<'a> {
    pool: &'a EnginePool,
    proto: ModelProto,
    settings: &'a Settings,
    input: &'a Observation,
}

impl Search<'_> {
    /// Whether circuit and model differ in the first result of the node with this number.
    async fn parts_at(&self, number: usize) -> Option<bool> {
        if self.proto.graph.as_ref()?.node[number].op_type == "Constant" {
            return None;
        }
        let scratch = files::Scratch::new().ok()?;
        let file = |name: &str| scratch.path().join(name);
        let (path, settings_path, compiled) =
            (file("part.onnx"), file("part.json"), file("part.ezkl"));
        let variables = &self.settings.run_args.variables;
        let reference = part::write(&self.proto, number, &path, variables).await?;
        let expected = reference.run(self.input).ok()?.remove(0);
        let info = &reference.outputs()[0];
        let args = RunArgs { logrows: LOGROWS, ..self.settings.run_args.clone() };
        {
            let engine = self.pool.get().await;
            engine.gen_settings(&path, &settings_path, &args.to_engine()).await.ok()?;
            engine.compile_circuit(&path, &settings_path, &compiled).await.ok()?;
        }
        let settings = Settings::read(&settings_path).ok()?;
        let answers =
            forward_all(self.pool, &compiled, &settings, [self.input], |_| {}).await.ok()?;
        let found = answers.into_iter().next()?.ok()?.outputs.into_iter().next()?;
        let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let step = f64::from(-settings.model_output_scales.first()?.0).exp2();
        let allowed = match info.is_label() {
            true => 0.0,
            false => SHARE * largest + 2.0 * step,
        };
        let differ = |(a, b): (&f64, &f64)| (a - b).abs() > allowed;
        Some(found.len() != expected.len() || expected.iter().zip(&found).any(differ))
    }
}
