//! `zkvouch submit`

use super::{
    Context,
    deploy::{outcome_data, outcome_text},
    network::Network,
    show,
};
use crate::{
    artifacts::proof::Proof,
    chain::{
        Error, Mode,
        core::{Submitted, submit_to_ledger},
        deployments::{Deployments, Role},
        submit::submit_proof,
        tx::Sender,
    },
    project::Project,
};
use alloy::primitives::B256;
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};
use std::path::PathBuf;

/// zkvouch submit
#[derive(Args, Debug)]
pub(super) struct Submit {
    /// The proof.
    #[arg(default_value = "proof.json")]
    proof: PathBuf,
    #[command(flatten)]
    options: SubmitOptions,
    #[command(flatten)]
    network: Network,
}

/// Where a proof goes.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SubmitOptions {
    /// To the bare verifier, which records nothing, instead of the ledger.
    #[arg(long)]
    direct: bool,
    /// A prediction is recorded once in each context; 32 bytes of your choosing.
    #[arg(long, value_name = "BYTES32", default_value_t, conflicts_with = "direct")]
    context: B256,
}

impl Submit {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let proof = Proof::read(&self.proof)?;
        proof.check(&project.settings()?)?;
        let rpc = self.network.connect(&project).await?;
        let sender = self.network.sender(context, &project, rpc, "submit").await?;
        let (mode, local) = (self.network.mode(), self.network.local());
        let (text, data) = self.options.run(&project, &proof, &sender, mode, local).await?;
        if !self.network.broadcast {
            context.ui.warn("nothing was sent; pass --broadcast to submit");
        }
        context.ui.result(text, &data)
    }
}

impl SubmitOptions {
    /// Submits a proof; the result as text and as JSON.
    pub(super) async fn run(
        &self,
        project: &Project,
        proof: &Proof,
        sender: &Sender,
        mode: Mode,
        local: bool,
    ) -> Result<(String, Value)> {
        let chain_id = sender.rpc().chain_id();
        let deployments = Deployments::read(&project.deployments(), chain_id)?;
        let decoded = proof.decode(&project.settings()?.instance_layout())?;
        let shown = show::decoded(&decoded);
        let model = project.chain_model()?.id;
        if self.direct {
            let entry = deployments.of_model(Role::Verifier, model).ok_or(Error::NotDeployed {
                what: "verifier",
                model,
                chain_id,
            })?;
            let request = project.submit_request(proof, entry, chain_id, local)?;
            let outcome = submit_proof(sender, &request, mode).await?;
            let text = format!(
                "{shown}\nverifier     {}\nverified     {}",
                request.verifier,
                outcome_text(&outcome)
            );
            let data = json!({
                "chain_id": chain_id,
                "model_id": model,
                "verifier": request.verifier,
                "decoded": decoded,
                "outcome": outcome_data(&outcome),
            });
            return Ok((text, data));
        }
        let request = project.ledger_request(proof, &deployments, self.context, local)?;
        let submitted = submit_to_ledger(sender, &request, mode).await?;
        let Submitted { id, recorded, outcome, .. } = submitted;
        let text = format!(
            "{shown}\nledger       {}\nprediction   {id}\nrecorded     {}",
            request.ledger,
            outcome_text(&outcome)
        );
        let data = json!({
            "chain_id": chain_id,
            "model_id": model,
            "ledger": request.ledger,
            "prediction_id": id,
            "decoded": decoded,
            "event": recorded.map(|event| json!({
                "model_id": event.model,
                "prediction_id": event.id,
                "submitter": event.submitter,
                "context": event.context,
                "inputs_hash": event.inputs_hash,
                "outputs": event.outputs.iter().map(|felt| felt.to_be_hex()).collect::<Vec<_>>(),
            })),
            "outcome": outcome_data(&outcome),
        });
        Ok((text, data))
    }
}
