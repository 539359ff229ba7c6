//! `zkvouch bench gas`

use super::Context;
use crate::{
    artifacts::proof::Proof,
    engine::Engine,
    evm::{Evm, Hardfork},
    files,
    project::{self, BuildOptions, Project, VerifierRequest, config::CircuitConfig},
    srs,
    verifier::{
        GasReport, Kind, Sample,
        lean::{self, Expected, encode_verify_many},
        solc::{self, Compiler, CompilerOptions},
    },
};
use clap::Args;
use eyre::{Result, WrapErr, bail, eyre};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// How many proofs a batch has.
const BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// zkvouch bench gas
#[derive(Args, Debug)]
pub(super) struct BenchGas {
    /// Folders with model.onnx or network.onnx and input.json.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// The rules to measure under.
    #[arg(long, default_value = "osaka", value_parser = hardfork)]
    hardfork: Hardfork,
    #[command(flatten)]
    circuit: CircuitConfig,
}

fn hardfork(name: &str) -> Result<Hardfork, serde_json::Error> {
    serde_json::from_value(json!(name))
}

#[derive(Clone, Debug, Serialize)]
struct Measured {
    verify_gas: u64,
    runtime_bytes: usize,
    deploy_gas: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Batch {
    proofs: usize,
    gas_per_proof: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Model {
    name: String,
    k: u32,
    instances: usize,
    /// ezkl's with the guard, compiled as ezkl compiles it: optimizer, runs = 1.
    ezkl: Measured,
    /// The same as zkvouch would compile it.
    ezkl_best: Measured,
    lean: Measured,
    ratio: f64,
    many: Vec<Batch>,
}

impl BenchGas {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let mut models = Vec::new();
        for folder in &self.folders {
            let model = self.model(context, folder).await;
            let model = model.wrap_err_with(|| format!("in {}", folder.display()))?;
            context.ui.note(line(&model));
            models.push(model);
        }
        let mean = |value: &dyn Fn(&Model) -> f64| {
            let logs: f64 = models.iter().map(|model| value(model).ln()).sum();
            (logs / models.len() as f64).exp()
        };
        let ratio = mean(&|model| model.ratio);
        let size = mean(&|model| model.lean.runtime_bytes as f64 / model.ezkl.runtime_bytes as f64);
        let deploy = mean(&|model| model.lean.deploy_gas as f64 / model.ezkl.deploy_gas as f64);
        let lines: Vec<_> = models.iter().map(line).collect();
        let text = format!(
            "{}\ngeometric means: verify {ratio:.3}, code {size:.3}, deploy {deploy:.3}",
            lines.join("\n")
        );
        let data = json!({
            "hardfork": self.hardfork,
            "models": models,
            "geometric_mean": { "verify": ratio, "runtime_bytes": size, "deploy": deploy },
        });
        context.ui.result(text, &data)
    }

    async fn model(&self, context: &Context, folder: &Path) -> Result<Model> {
        let find = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let model = find("model.onnx")
            .or_else(|| find("network.onnx"))
            .ok_or_else(|| eyre!("neither model.onnx nor network.onnx"))?;
        let input = find("input.json").ok_or_else(|| eyre!("no input.json"))?;
        let absolute = |path: &Path| path.canonicalize().map_err(files::Error::at("read", path));
        // The chain of a benchmark is nobody's, so any SRS of the right size does.
        let text = project::config::template(
            &absolute(&model)?,
            &[absolute(&input)?],
            &self.circuit,
            &srs::Source::UnsafeDev,
        );
        let scratch = tempfile::tempdir()?;
        let file = scratch.path().join(project::config::FILE_NAME);
        let text = text.replace("target = \"tune\"", "target = \"resources\"");
        files::write_atomic(&file, text.as_bytes())?;
        let project = Project::open(&file)?;
        let report = project.build(BuildOptions::default(), context.ui.observer()).await?;

        let artifacts = project.artifacts();
        let settings = project.settings()?;
        let proof = Proof::read(&artifacts.proof)?;
        let mut config = project.config().verifier.clone();
        (config.kind, config.hardfork, config.allow_oversize) = (Kind::Lean, self.hardfork, true);
        let engine = context.engine(Some(&project))?;
        let request = |config| VerifierRequest {
            settings: &settings,
            settings_path: &artifacts.settings,
            vk: &artifacts.vk,
            srs: &artifacts.srs,
            proof: Some(&proof),
            config,
        };
        let made = project::make_verifier(&engine, &request(&config)).await?;
        let best = made.comparison.ok_or_else(|| eyre!("nothing was measured"))?.ezkl;
        let mut as_ezkl = config.clone();
        as_ezkl.kind = Kind::Ezkl;
        as_ezkl.compiler = Some(serde_json::from_value::<CompilerOptions>(json!({
            "optimizer": true, "runs": 1, "via_ir": false,
        }))?);
        let ezkl = project::make_verifier(&engine, &request(&as_ezkl)).await?.artifact;
        let many = self
            .many(&engine, &request(&config), &proof, &made.artifact.metadata().compiler.options)
            .await?;
        engine.shutdown().await;
        let (ezkl, lean) =
            (measured(&ezkl.metadata().gas)?, measured(&made.artifact.metadata().gas)?);
        Ok(Model {
            name: folder.file_name().map_or_else(String::new, |name| name.display().to_string()),
            k: report.logrows,
            instances: report.num_instances,
            ratio: lean.verify_gas as f64 / ezkl.verify_gas as f64,
            ezkl,
            ezkl_best: measured(&best)?,
            lean,
            many,
        })
    }

    /// Batches of one proof, in the in-process EVM; none for a circuit that cannot be batched. A
    /// batch over the gas that a transaction may have is left out.
    async fn many(
        &self,
        engine: &Engine,
        request: &VerifierRequest<'_>,
        proof: &Proof,
        options: &CompilerOptions,
    ) -> Result<Vec<Batch>> {
        let scratch = tempfile::tempdir()?;
        let raw = scratch.path().join("raw.sol");
        engine.create_evm_verifier(request.vk, request.settings_path, request.srs, &raw).await?;
        let vk = files::read(request.vk)?;
        let expected = Expected {
            num_instances: request.settings.instance_layout().len,
            k: request.settings.run_args.logrows,
            vk: Some(&vk),
        };
        let generated = lean::generate(&files::read_to_string(&raw)?, &expected)?;
        let Some(source) = generated.batch_source() else { return Ok(Vec::new()) };
        let compiler = Compiler::new(solc::resolve(&request.config.solc).await?);
        let contract =
            compiler.compile_contract(&source.sources(), options, source.contract()).await?;
        let mut evm = Evm::new(self.hardfork).without_limits();
        let address = evm.deploy(contract.init_code)?.address;
        let sample = Sample { proof: &proof.proof, instances: &proof.instances };
        let mut batches = Vec::new();
        for proofs in BATCHES {
            let calldata = encode_verify_many(&vec![sample; proofs]);
            let result = evm.call(address, calldata, evm.gas_limit())?;
            if !result.success {
                bail!("the batch of {proofs} proofs is rejected");
            }
            batches.push(Batch { proofs, gas_per_proof: result.gas_used / proofs as u64 });
        }
        Ok(batches)
    }
}

fn measured(gas: &GasReport) -> Result<Measured> {
    Ok(Measured {
        verify_gas: gas.verify_gas.ok_or_else(|| eyre!("no gas was measured"))?,
        runtime_bytes: gas.runtime_size,
        deploy_gas: gas.deploy_gas,
    })
}

fn line(model: &Model) -> String {
    let many: Vec<_> = model
        .many
        .iter()
        .map(|batch| format!("{}×{}", batch.proofs, batch.gas_per_proof))
        .collect();
    format!(
        "{:<24} k {:>2}, {:>3} instances: {} → {} gas ({:.3}), {} → {} bytes, deploy {} → {}; many {}",
        model.name,
        model.k,
        model.instances,
        model.ezkl.verify_gas,
        model.lean.verify_gas,
        model.ratio,
        model.ezkl.runtime_bytes,
        model.lean.runtime_bytes,
        model.ezkl.deploy_gas,
        model.lean.deploy_gas,
        many.join(" ")
    )
}
