//! `zkvouch submit`

use super::{
    Context,
    deploy::{outcome_data, outcome_text},
    exit::Coded,
    opts::Network,
    show,
};
use crate::{
    artifacts::proof::ProofFile,
    chain::{
        ChainClass, Error, Mode,
        contracts::{Recorded, submit_to_ledger},
        deploy::Outcome,
        deployments::{Deployments, Role},
        submit::submit_proof,
        tx::Sender,
    },
    project::Built,
};
use alloy::primitives::B256;
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};
use std::path::PathBuf;

/// zkvouch submit
#[derive(Args, Debug)]
pub(super) struct Submit {
    /// The proof; several of the model are verified together, in one transaction.
    #[arg(default_value = "proof.json")]
    proofs: Vec<PathBuf>,
    #[command(flatten)]
    options: SubmitOptions,
    #[command(flatten)]
    network: Network,
}

/// Where proofs go.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SubmitOptions {
    /// To the bare verifier, or for several proofs the batch verifier, which record nothing, instead
    /// of the ledger.
    #[arg(long)]
    direct: bool,
    /// A prediction is recorded once in each context, or several together once under one root; 32 bytes of your
    /// choosing.
    #[arg(long, value_name = "BYTES32", default_value_t, conflicts_with = "direct")]
    context: B256,
}

impl Submit {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let built = project.built(&context.ui.observer()).await?;
        let proofs = self
            .proofs
            .iter()
            .map(|path| {
                let proof = ProofFile::read(path)?;
                built.check(&proof)?;
                Ok(proof)
            })
            .collect::<Result<Vec<_>>>()?;
        let rpc = self.network.connect(&project).await?;
        let class = self.network.class(&rpc);
        let sender = self.network.sender(context, &project, rpc, "submit").await?;
        let mode = self.network.mode();
        let (text, data) = self.options.run(&built, &proofs, &sender, mode, class).await?;
        if self.network.is_dry() {
            context.ui.warn("nothing was sent; pass --broadcast to submit");
        }
        context.ui.result(text, &data)
    }
}

impl SubmitOptions {
    /// Submits proofs; the result as text and as JSON.
    pub(super) async fn run(
        &self,
        built: &Built,
        proofs: &[ProofFile],
        sender: &Sender,
        mode: Mode,
        class: ChainClass,
    ) -> Result<(String, Value)> {
        let chain_id = sender.rpc().chain_id();
        let deployments = Deployments::read(built.deployments(), chain_id)?;
        let model = built.model_id();
        let (mut predictions, mut root) = (Vec::new(), None);
        for proof in proofs {
            let decoded = proof.decode(built.layout())?;
            for one in show::predictions(&decoded, proof.predictions) {
                let shown = show::decoded(&one);
                predictions.push((shown, String::new(), json!({ "decoded": one })));
            }
        }
        let (place, done, contract, outcome) = if self.direct {
            let several = proofs.len() != 1;
            if several && built.batch_verifier().is_none() {
                let message = "the project has no batch verifier (ezkl's Solidity has none, nor has \
                               every circuit); submit the proofs to the ledger, without --direct, \
                               which verifies them one by one";
                return Err(Coded::bad_input(message).into());
            }
            let one = deployments.of_model(Role::Verifier, model);
            // Earlier versions deployed a contract of its own for batches.
            let batches = one.filter(|entry| built.has_both(entry));
            let batches = batches.or(deployments.of_model(Role::BatchVerifier, model));
            let what = if several { "verifier of batches" } else { "verifier" };
            let missing = Error::NotDeployed { what, model, chain_id };
            let entry = if several { batches } else { one }.ok_or(missing)?;
            let request = built.submit_request(proofs, entry, chain_id, class)?;
            let outcome = submit_proof(sender, &request, mode).await?;
            ("verifier", "verified", request.verifier, outcome)
        } else {
            let request = built.ledger_request(proofs, &deployments, self.context, class)?;
            let submitted = submit_to_ledger(sender, &request, mode).await?;
            root = submitted.root;
            let several = predictions.len() > 1;
            for ((_, id, data), submitted) in predictions.iter_mut().zip(submitted.predictions) {
                *id = format!("\nprediction   {}", submitted.id);
                data["prediction_id"] = json!(submitted.id);
                if several {
                    data["path"] = json!(submitted.path);
                }
                data["event"] = json!(submitted.recorded.map(event_data));
            }
            ("ledger", "recorded", request.ledger, submitted.outcome)
        };
        let contract_text = format!("{place:<12} {contract}");
        let done = format!("{done:<12} {}", outcome_text(&outcome));
        let mut data = json!({
            "chain_id": chain_id,
            "model_id": model,
            "outcome": outcome_data(&outcome),
        });
        data[place] = json!(contract);
        if let [(shown, id, Value::Object(fields))] = &mut predictions[..] {
            for (name, value) in std::mem::take(fields) {
                data[name] = value;
            }
            return Ok((format!("{shown}\n{contract_text}{id}\n{done}"), data));
        }
        let gas = gas_of(&outcome).map(|gas| gas / predictions.len().max(1) as u64);
        let each = gas.map_or(String::new(), |gas| format!("\neach         {gas} gas"));
        let texts: Vec<_> =
            predictions.iter().map(|(shown, id, _)| format!("{shown}{id}")).collect();
        let root_text = root.map_or(String::new(), |root| format!("\nroot         {root}"));
        let text = format!("{}\n\n{contract_text}{root_text}\n{done}{each}", texts.join("\n\n"));
        if !self.direct {
            data["root"] = json!(root);
        }
        data["predictions"] = predictions.into_iter().map(|(.., data)| data).collect();
        data["gas_per_prediction"] = json!(gas);
        Ok((text, data))
    }
}

fn event_data(event: Recorded) -> Value {
    json!({
        "model_id": event.model,
        "prediction_id": event.id,
        "submitter": event.submitter,
        "context": event.context,
        "inputs_hash": event.inputs_hash,
        "outputs": event.outputs.iter().map(|felt| felt.to_be_hex()).collect::<Vec<_>>(),
    })
}

/// The gas of the transaction, used or estimated.
fn gas_of(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Mined(receipt) => Some(receipt.gas_used),
        Outcome::Simulated(simulation) => Some(simulation.gas),
        Outcome::AlreadyDone | Outcome::Planned => None,
    }
}
