//! `zkvouch bench`

mod circuit;
mod fuzz;
mod gas;
mod machine;
mod tune;

use super::Context;
use clap::{Args, Subcommand};
use eyre::Result;
use fuzz::BenchFuzz;
use gas::BenchGas;
use machine::BenchMachine;
use tune::BenchTune;

/// zkvouch bench
#[derive(Args, Debug)]
pub(super) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Compare tuned circuits with ezkl's own calibration, model by model.
    Tune(BenchTune),
    /// Compare the lean verifier's gas with ezkl's, model by model.
    Gas(BenchGas),
    /// Let ezkl's verifier and the lean one decide mutated proofs: they must agree on each.
    Fuzz(BenchFuzz),
    /// Measure what proofs cost on this machine, for what `tune` and `build` expect of circuits.
    Machine(BenchMachine),
}

impl Bench {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        match self.what {
            What::Gas(bench) => bench.run(context).await,
            What::Fuzz(bench) => bench.run(context).await,
            What::Machine(bench) => bench.run(context).await,
            What::Tune(command) => command.run(context).await,
        }
    }
}
