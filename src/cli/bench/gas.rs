//! `zkvouch bench gas`

use super::circuit::{CircuitOptions, each, name};
use crate::cli::Context;
use crate::{
    chain::costs::{self, BATCH, Costs},
    evm::Hardfork,
    verifier::{ForkGas, GasReport, Kind, batch::BatchGas, lean::Breakdown, solc::CompilerOptions},
};
use alloy::primitives::Address;
use clap::Args;
use eyre::{Result, eyre};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Up to here a model has few instances, so that the gas is nearly all the proof's.
const FEW_INSTANCES: usize = 50;

/// zkvouch bench gas
#[derive(Args, Debug)]
pub(super) struct BenchGas {
    /// Folders with model.onnx or network.onnx and input.json.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// The rules to measure under.
    #[arg(long, default_value = "osaka", value_parser = hardfork)]
    hardfork: Hardfork,
    /// How many predictions a proof is of; several numbers are compared.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1")]
    batch: Vec<usize>,
    #[command(flatten)]
    circuit: CircuitOptions,
}

fn hardfork(name: &str) -> Result<Hardfork, serde_json::Error> {
    serde_json::from_value(json!(name))
}

#[derive(Clone, Debug, Serialize)]
struct Measured {
    verify_gas: u64,
    runtime_bytes: usize,
    deploy_gas: u64,
    /// Under each reported hardfork.
    forks: Vec<ForkGas>,
}

#[derive(Clone, Debug, Serialize)]
struct Model {
    name: String,
    /// How many predictions a proof is of.
    predictions: usize,
    k: u32,
    instances: usize,
    proof_bytes: usize,
    /// ezkl's with the guard, compiled as ezkl compiles it: optimizer, runs = 1.
    ezkl: Measured,
    /// The same as zkvouch would compile it.
    ezkl_best: Measured,
    lean: Measured,
    /// Gas of the lean verifier over ezkl's.
    ratio: f64,
    /// Gas that no verifier of this proof can do without: the transaction, its calldata, the
    /// multiplications and additions of points, the pairing.
    floor_gas: u64,
    /// The same over ezkl's: no verifier can come below this ratio.
    floor_ratio: f64,
    /// Where the lean verifier's gas goes.
    breakdown: Breakdown,
    /// Batches; none where there is no batch verifier that a chain takes, or over a transaction's gas.
    many: Vec<BatchGas>,
    /// Whole transactions through router and ledger, under each reported hardfork.
    chain: Vec<Costs>,
}

impl BenchGas {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let mut models = Vec::new();
        for batch in &self.batch {
            let look = async |folder: &Path| self.model(context, folder, *batch).await;
            models.extend(each(context, &self.folders, look, line).await?);
        }
        let all: Vec<&Model> = models.iter().collect();
        let few: Vec<&Model> =
            models.iter().filter(|model| model.instances <= FEW_INSTANCES).collect();
        let lines: Vec<_> = models.iter().map(line).collect();
        let text = format!(
            "{}\n{}{}",
            lines.join("\n"),
            means("all models", &all),
            means(&format!("up to {FEW_INSTANCES} instances"), &few)
        );
        let data = json!({
            "hardfork": self.hardfork,
            "models": models,
            "geometric_mean": ratios(&all),
            "geometric_mean_few_instances": ratios(&few),
        });
        context.ui.result(text.trim_end(), &data)
    }

    async fn model(&self, context: &Context, folder: &Path, batch: usize) -> Result<Model> {
        let circuit = self.circuit.build(context, folder, batch).await?;
        let mut lean = circuit.options(Kind::Lean);
        lean.hardfork = self.hardfork;
        let made = circuit.verifier(&lean).await?;
        let comparison = made.comparison.ok_or_else(|| eyre!("nothing was measured"))?;
        let mut ezkl = circuit.options(Kind::Ezkl);
        ezkl.hardfork = self.hardfork;
        ezkl.compiler = Some(serde_json::from_value::<CompilerOptions>(json!({
            "optimizer": true, "runs": 1, "via_ir": false,
        }))?);
        let ezkl = measured(&circuit.verifier(&ezkl).await?.artifact.metadata().gas)?;
        let metadata = made.artifact.metadata();
        let args = circuit.built.model_args(Address::ZERO, true, None)?;
        let init_code = made.artifact.init_code();
        let chain = Hardfork::REPORTED
            .map(|hardfork| costs::measure(hardfork, init_code, &args, &circuit.proof.proof));
        let chain = chain.into_iter().collect::<Result<_, _>>()?;
        circuit.engine.shutdown().await;
        let lean = measured(&metadata.gas)?;
        let over_ezkl = |gas: u64| gas as f64 / ezkl.verify_gas as f64;
        Ok(Model {
            name: name(folder),
            predictions: batch,
            k: circuit.built.settings().run_args.logrows,
            instances: circuit.proof.proof.instances.len(),
            proof_bytes: circuit.proof.proof.bytes.len(),
            ratio: over_ezkl(lean.verify_gas),
            floor_gas: comparison.breakdown.floor,
            floor_ratio: over_ezkl(comparison.breakdown.floor),
            breakdown: comparison.breakdown,
            ezkl,
            ezkl_best: measured(&comparison.ezkl)?,
            lean,
            many: made.batch.map_or_else(Vec::new, |batch| batch.gas),
            chain,
        })
    }
}

fn measured(gas: &GasReport) -> Result<Measured> {
    Ok(Measured {
        verify_gas: gas.verify_gas.ok_or_else(|| eyre!("no gas was measured"))?,
        runtime_bytes: gas.runtime_size,
        deploy_gas: gas.deploy_gas,
        forks: gas.forks.clone(),
    })
}

/// Geometric means over ezkl's; absent without a model.
#[derive(Clone, Copy, Debug, Serialize)]
struct Ratios {
    verify: f64,
    runtime_bytes: f64,
    deploy: f64,
    floor: f64,
}

fn ratios(models: &[&Model]) -> Option<Ratios> {
    let mean = |value: fn(&Model) -> f64| {
        let logs: f64 = models.iter().map(|model| value(model).ln()).sum();
        (logs / models.len() as f64).exp()
    };
    (!models.is_empty()).then(|| Ratios {
        verify: mean(|model| model.ratio),
        runtime_bytes: mean(|m| m.lean.runtime_bytes as f64 / m.ezkl.runtime_bytes as f64),
        deploy: mean(|m| m.lean.deploy_gas as f64 / m.ezkl.deploy_gas as f64),
        floor: mean(|model| model.floor_ratio),
    })
}

fn means(what: &str, models: &[&Model]) -> String {
    ratios(models).map_or_else(String::new, |ratios| {
        format!(
            "geometric means, {what} ({}): verify {:.3} (floor {:.3}), code {:.3}, deploy {:.3}\n",
            models.len(),
            ratios.verify,
            ratios.floor,
            ratios.runtime_bytes,
            ratios.deploy
        )
    })
}

fn line(model: &Model) -> String {
    let many: Vec<_> = model
        .many
        .iter()
        .map(|batch| format!("{}×{}", batch.proofs, batch.gas_per_proof))
        .collect();
    let text = format!(
        "{:<24} k {:>2}, {:>3} instances: {} → {} gas ({:.3}, floor {:.3}), {} → {} bytes, deploy \
         {} → {}; many {}",
        model.name,
        model.k,
        model.instances,
        model.ezkl.verify_gas,
        model.lean.verify_gas,
        model.ratio,
        model.floor_ratio,
        model.ezkl.runtime_bytes,
        model.lean.runtime_bytes,
        model.ezkl.deploy_gas,
        model.lean.deploy_gas,
        many.join(" ")
    );
    let others = model.ezkl.forks.iter().zip(&model.lean.forks).map(|(ezkl, lean)| {
        let [ezkl_gas, lean_gas] = [ezkl, lean].map(|it| it.verify_gas.unwrap_or_default());
        format!(
            "\n{:>24} {ezkl_gas} → {lean_gas} gas ({:.3}), deploy {} → {} (for state {} → {})",
            lean.hardfork.name(),
            lean_gas as f64 / ezkl_gas.max(1) as f64,
            ezkl.deploy_gas,
            lean.deploy_gas,
            ezkl.deploy_state_gas,
            lean.deploy_state_gas
        )
    });
    let through = model.chain.iter().map(|costs| {
        let packed = |gas: Option<u64>| gas.map_or("–".to_owned(), |gas| gas.to_string());
        format!(
            "\n{:>24} recorded {} gas (packed {}), {BATCH} at once {} each (packed {}); verifier and model {} to deploy",
            costs.hardfork.name(),
            costs.record,
            packed(costs.record_packed),
            costs.batch,
            packed(costs.batch_packed),
            costs.model
        )
    });
    let each = (model.predictions > 1).then(|| {
        let least = model.lean.forks.iter().map(|fork| {
            let gas = fork.verify_gas.unwrap_or_default();
            let gas = gas.min(fork.packed_gas.unwrap_or(gas)) / model.predictions as u64;
            format!("{gas} ({})", fork.hardfork.name())
        });
        let least: Vec<_> = least.collect();
        format!("\n{:>24} each of {} predictions {}", "", model.predictions, least.join(", "))
    });
    others.chain(each).chain(through).fold(text, |text, line| text + &line)
}
