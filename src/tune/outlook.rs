//! What a model's circuit will cost, from ezkl's settings alone, before anything is fitted or built.
//!
//! The scales are the defaults and the shape is the best of a few, so a tuned circuit is seldom dearer.

use super::{
    CostModel, Shape,
    cost::{Cost, ForkEstimate},
    deploy::ChainLimits,
};
use crate::{
    artifacts::{
        run_args::{MAX_LOGROWS, RunArgs, Visibility},
        settings::Settings,
    },
    engine::{self, Engine},
    files,
};
use serde::Serialize;
use std::path::Path;

/// Bases that fill a table of 2^k rows, of which ezkl keeps 8 free, and the digits that hold 28 bits.
const DECOMPOSITIONS: [(u32, u64, u32); 4] =
    [(8, 248, 4), (10, 1016, 3), (12, 4088, 3), (14, 16_376, 2)];
/// Rows for every part of a model, so that ezkl never runs out of them while it counts.
const LOGROWS: u32 = 26;

/// A circuit as it would be with one visibility of the inputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outlook {
    /// Who sees the inputs.
    pub input_visibility: Visibility,
    /// The public values of a proof.
    pub instances: usize,
    /// Rows that the model takes in one block of columns.
    pub rows: usize,
    /// The circuit has 2^logrows rows.
    pub logrows: u32,
    /// What it costs; estimates, but for the bytes of proof and calldata.
    pub cost: Cost,
    /// What verifying takes under each fork that is reported, whatever the project's own.
    pub forks: Vec<ForkEstimate>,
    /// Which limit of a chain it exceeds, and by what.
    pub excess: Option<String>,
    /// Whether the SRS of that size is cached, packaged or made here, rather than fetched.
    pub srs_at_hand: bool,
}

/// What a circuit is to be cheap in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheap {
    /// The time to prove.
    Proof,
    /// The gas to verify, by the lean verifier.
    Gas,
}

/// The cheapest circuit of those that can be deployed; where none can, the one that lacks least. `None` where no
/// number of rows fits.
///
/// # Errors
/// What ezkl says of the model.
pub async fn outlook(
    engine: &Engine,
    model: &Path,
    (args, cheap): (&RunArgs, Cheap),
    chain: Option<ChainLimits>,
    costs: &CostModel,
    is_at_hand: impl Fn(u32) -> bool,
) -> engine::Result<Option<Outlook>> {
    let scratch = files::Scratch::new()?;
    let mut best: Option<(f64, f64, Outlook)> = None;
    for (least, base, legs) in DECOMPOSITIONS {
        let path = scratch.path().join(format!("{least}.json"));
        let half = 1i128 << (least - 2);
        let args = RunArgs {
            logrows: LOGROWS,
            decomp_base: base,
            decomp_legs: legs,
            lookup_range: (-half, half),
            ..args.clone()
        };
        engine.gen_settings(model, &path, &args.to_engine()).await?;
        let Ok(mut settings) = Settings::read(&path) else { continue };
        for logrows in least..=MAX_LOGROWS {
            settings.run_args.logrows = logrows;
            let Some(shape) = Shape::of(&settings) else { continue };
            let cost = costs.cost(&shape);
            let excess = chain.and_then(|chain| chain.excess(&cost));
            let lack = excess.map_or(1.0, |excess| excess.factor());
            let key = match cheap {
                Cheap::Proof => (lack, cost.prove_cpu_seconds),
                Cheap::Gas => (lack, cost.lean_gas as f64),
            };
            if best.as_ref().is_some_and(|(lack, price, _)| (*lack, *price) <= key) {
                continue;
            }
            let outlook = Outlook {
                input_visibility: args.input_visibility.clone(),
                instances: settings.instance_layout().len,
                rows: settings.num_rows,
                logrows,
                cost,
                forks: costs.forks(&shape),
                excess: excess.map(|excess| excess.to_string()),
                srs_at_hand: is_at_hand(logrows),
            };
            best = Some((key.0, key.1, outlook));
        }
    }
    Ok(best.map(|(.., outlook)| outlook))
}
