//! `zkvouch verify`

use super::{Context, exit::Coded, prove::Keys, show, steps::Places};
use crate::{
    artifacts::{proof::ProofFile, settings::Settings, vk::VkHeader},
    verifier::{VerifierArtifact, golden::Verdict},
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::PathBuf;

/// zkvouch verify
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The proof.
    #[arg(default_value = "proof.json")]
    proof: PathBuf,
    /// Run the compiled verifier on it in an in-process EVM, and say the gas.
    #[arg(long)]
    evm: bool,
    /// The folder of the compiled verifier, for --evm.
    #[arg(long, requires = "evm")]
    verifier: Option<PathBuf>,
    #[command(flatten)]
    keys: Keys,
}

impl Verify {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let Keys { settings, vk_path, srs_path } = &self.keys;
        let keys = [settings, vk_path, srs_path];
        // With all keys named, --evm alone may still mean the project's verifier.
        let named: &[_] = if self.evm { &[&keys[..], &[&self.verifier]].concat() } else { &keys };
        let built = places.built(context, named).await?;
        let settings_path = places.made_settings(settings)?;
        let settings = Settings::read(&settings_path)?;
        let proof = ProofFile::read(&self.proof)?;
        proof.check(&settings)?;
        // Where the settings are the project's, so is the circuit.
        if let (Some(built), None) = (&built, &self.keys.settings) {
            built.check(&proof)?;
        }
        let (vk, srs) = (places.vk(vk_path), places.srs(srs_path));
        VkHeader::read(&vk)?.check(&settings)?;
        let engine = places.engine(context)?;
        if !engine.verify(&self.proof, &settings_path, &vk, &srs).await? {
            let message = format!("{} does not verify", self.proof.display());
            return Err(Coded::invalid(message).into());
        }
        engine.shutdown().await;
        let decoded = proof.decode(&settings.instance_layout())?;
        let gas = if self.evm {
            let verifier = VerifierArtifact::read(&places.verifier(&self.verifier))?;
            let hardfork = verifier.metadata().gas.hardfork;
            let (verdict, call) =
                verifier.verify(&proof.proof.bytes, &proof.proof.instances, hardfork)?;
            if verdict != Verdict::Accepted {
                let message = format!(
                    "ezkl accepts {}, but the compiled verifier does not ({verdict:?}); build again",
                    self.proof.display()
                );
                return Err(Coded::invalid(message).into());
            }
            Some(call.gas_used)
        } else {
            None
        };
        let each = show::each(&decoded, proof.predictions);
        let mut text = format!("{each}\nvalid        {}", self.proof.display());
        if let Some(gas) = gas {
            text.push_str(&format!("\ngas          {gas}"));
        }
        let mut data = json!({ "valid": true, "decoded": decoded, "gas": gas });
        show::add_predictions(&mut data, &decoded, proof.predictions);
        context.ui.result(text, &data)
    }
}
