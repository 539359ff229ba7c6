//! zkvouch mock

use super::Places;
use crate::{cli::Context, cli::exit::Coded, engine};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::PathBuf;

/// zkvouch mock
#[derive(Args, Debug)]
pub(in crate::cli) struct Mock {
    /// The witness.
    #[arg(short = 'W', long)]
    witness: Option<PathBuf>,
    /// The compiled circuit.
    #[arg(short = 'M', long)]
    compiled_circuit: Option<PathBuf>,
}

impl Mock {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let witness = places.witness(&self.witness);
        let compiled = places.compiled(&self.compiled_circuit);
        let compiled = places.made(&self.compiled_circuit, compiled, "compiled-circuit")?;
        let engine = places.engine(context)?;
        match engine.mock(&witness, &compiled).await {
            Ok(()) => {}
            Err(engine::Error::Python { message, .. }) => {
                let message = format!("the witness does not satisfy the circuit: {message}");
                return Err(Coded::invalid(message).into());
            }
            Err(error) => return Err(error.into()),
        }
        context.ui.result("the witness satisfies the circuit", &json!({ "satisfied": true }))
    }
}
