//! `zkvouch bench fuzz`

use super::circuit::{CircuitOptions, each, name};
use crate::cli::{
    Context,
    exit::{Code, Coded},
};
use crate::{
    evm::Evm,
    verifier::{
        Kind, Sample,
        lean::{
            LeanVerifier,
            fuzz::{self, Pair, Plan},
        },
    },
};
use alloy::primitives::Bytes;
use clap::Args;
use eyre::{Result, eyre};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// zkvouch bench fuzz
#[derive(Args, Debug)]
pub(super) struct BenchFuzz {
    /// Folders with model.onnx or network.onnx and input.json.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Mutated proofs for each model.
    #[arg(long, default_value_t = 20_000)]
    cases: usize,
    /// The same seed tries the same mutations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    circuit: CircuitOptions,
}

#[derive(Clone, Debug, Serialize)]
struct Model {
    name: String,
    k: u32,
    instances: usize,
    #[serde(flatten)]
    report: fuzz::Report,
}

impl BenchFuzz {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let look = async |folder: &Path| self.model(context, folder).await;
        let models = each(context, &self.folders, look, line).await?;
        let lines: Vec<_> = models.iter().map(line).collect();
        let (text, data) = (lines.join("\n"), json!({ "seed": self.seed, "models": models }));
        let Some(message) = models.iter().find_map(finding) else {
            return context.ui.result(text, &data);
        };
        context.ui.failed_result(text, &data, Code::Invalid, &message)?;
        Err(Coded::reported(message).into())
    }

    async fn model(&self, context: &Context, folder: &Path) -> Result<Model> {
        let circuit = self.circuit.build(context, folder, 1).await?;
        let lean = circuit.verifier(&circuit.options(Kind::Lean)).await?;
        let ezkl = circuit.verifier(&circuit.options(Kind::Ezkl)).await?.artifact;
        let generated = lean.lean.ok_or_else(|| eyre!("there is no lean verifier"))?;
        let proofs = vec![circuit.proof.clone(), circuit.another_proof().await?];
        circuit.engine.shutdown().await;
        let codes = Codes {
            ezkl: ezkl.init_code().clone(),
            lean: lean.artifact.init_code().clone(),
            batch: lean.batch.map(|batch| batch.artifact.init_code().clone()),
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let bar = context.ui.spinner(format!("{} cases", self.cases));
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..workers {
            let (codes, generated, proofs) = (codes.clone(), generated.clone(), proofs.clone());
            let share = self.cases / workers + usize::from(worker < self.cases % workers);
            let seed = self.seed.wrapping_mul(1_000).wrapping_add(worker as u64);
            tasks.spawn_blocking(move || {
                let samples: Vec<Sample<'_>> = proofs
                    .iter()
                    .map(|proof| Sample {
                        proof: &proof.proof.bytes,
                        instances: &proof.proof.instances,
                    })
                    .collect();
                codes.fuzz(&generated, &samples, Plan { cases: share, seed })
            });
        }
        let mut model = Model {
            name: name(folder),
            k: circuit.built.settings().run_args.logrows,
            instances: circuit.proof.proof.instances.len(),
            report: fuzz::Report::default(),
        };
        while let Some(report) = tasks.join_next().await {
            model.report.merge(report??);
        }
        bar.finish_and_clear();
        Ok(model)
    }
}

#[derive(Clone)]
struct Codes {
    ezkl: Bytes,
    lean: Bytes,
    batch: Option<Bytes>,
}

impl Codes {
    /// In an EVM of its own, without the limits on code.
    fn fuzz(
        self,
        lean: &LeanVerifier,
        samples: &[Sample<'_>],
        plan: Plan,
    ) -> Result<fuzz::Report, crate::evm::Error> {
        let mut evm = Evm::default().without_limits();
        let pair = Pair {
            ezkl: evm.deploy(self.ezkl)?.address,
            lean: evm.deploy(self.lean)?.address,
            batch: match self.batch {
                Some(code) => Some(evm.deploy(code)?.address),
                None => None,
            },
        };
        fuzz::run(&mut evm, pair, lean.protocol(), samples, plan)
    }
}

/// What is wrong with the verifiers of a model, if anything is.
fn finding(model: &Model) -> Option<String> {
    let report = &model.report;
    let (what, found) = match (&report.disagreements[..], &report.malleable[..]) {
        ([], []) => return None,
        ([], malleable) => ("accept a proof that was made from another one in", malleable),
        (differ, _) => ("disagree on", differ),
    };
    let (count, first) = (found.len(), &found[0]);
    Some(format!(
        "{}: the verifiers {what} {count} cases; the first: {} (ezkl's {}, lean {}, batch {:?}), calldata {}; please \
         report it and use `kind = \"ezkl\"` under [verifier] in zkvouch.toml",
        model.name, first.mutation, first.ezkl, first.lean, first.batch, first.calldata
    ))
}

fn line(model: &Model) -> String {
    let report = &model.report;
    format!(
        "{:<24} k {:>2}, {:>3} instances: {} cases, {} of them in a batch as well, {} malleable, {} \
         disagreements, dearest rejection {} gas",
        model.name,
        model.k,
        model.instances,
        report.cases,
        report.batches,
        report.malleable.len(),
        report.disagreements.len(),
        report.dearest_rejection
    )
}
