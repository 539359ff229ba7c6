//! What a prediction costs by itself, and in a proof of several.

use super::Result;
use crate::{
    artifacts::run_args::{RunArgs, Visibility},
    engine::{self, Engine},
    evm::Hardfork,
    files,
    prepare::{self, Original},
    srs, toolchain,
    tune::{self, ChainLimits, Cheap, CostModel, machine},
    verifier::{ForkGas, GasReport},
};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path, time::Duration};

/// ezkl may take so long to lay out a circuit of one size.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a public number that is packed, as most are.
const PACKED: u64 = 4;
/// Bytes of an EVM word.
const WORD: u64 = 32;
/// Gas that a packed number saves under Osaka's rules: 213 to 231 were measured, where calldata's floor did not bind.
const SAVED: u64 = 200;
/// A prediction may take so much more gas than with the cheapest number, if it takes less to prove.
const NEARLY: f64 = 1.05;

/// The model of which circuits for several predictions are compared.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// The model.
    pub original: &'a Original,
    /// A file whose first observations it is prepared with.
    pub sample: Option<&'a Path>,
    /// The circuit's arguments, the axes' lengths among them.
    pub run_args: &'a RunArgs,
    /// Where the SRS comes from.
    pub srs: &'a srs::Source,
    /// What the chain takes.
    pub chain: Option<ChainLimits>,
}

/// Proofs of so many predictions, before anything is fitted or built, by the circuit of the least gas.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BatchOutlook {
    /// The predictions of a proof.
    pub size: usize,
    /// How the circuit takes so many observations, where that is more than one.
    pub prepared: Option<String>,
    /// The public values of a proof.
    pub instances: usize,
    /// Rows that the circuit takes in one block of columns.
    pub rows: usize,
    /// The circuit has 2^logrows rows.
    pub logrows: u32,
    /// Bytes of the lean verifier's runtime code.
    pub code_bytes: u64,
    /// The most resident memory while proving or making the keys, in bytes.
    pub peak_bytes: u64,
    /// Wall-clock seconds of a proof.
    pub prove_seconds: f64,
    /// Gas of a transaction to the lean verifier, under the rules of Osaka, public numbers packed.
    pub gas: u64,
    /// What one prediction takes of it all.
    pub each: Each,
    /// Why there is no such circuit, or none that can be deployed and proved here.
    pub obstacle: Option<String>,
}

/// The part of one prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Each {
    /// Gas under the rules of Osaka, public numbers packed.
    pub osaka_gas: u64,
    /// Gas under the rules of Amsterdam, public numbers packed.
    pub amsterdam_gas: u64,
    /// Bytes of calldata, public numbers packed.
    pub calldata_bytes: u64,
    /// CPU seconds to prove.
    pub prove_cpu_seconds: f64,
}

/// What one prediction takes of what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EachMeasured {
    /// The predictions of a proof.
    pub size: usize,
    /// Gas by the rules that it is charged under, of packed instances where these are cheaper; empty where nothing was
    /// measured.
    pub verify_gas: BTreeMap<Hardfork, u64>,
}

impl EachMeasured {
    /// Of a verifier of proofs of `size` predictions; nothing where that is one.
    pub fn of(size: usize, gas: &GasReport) -> Option<Self> {
        let each = |fork: &ForkGas| {
            let gas = fork.verify_gas?.min(fork.packed_gas.unwrap_or(u64::MAX));
            Some((fork.hardfork, gas.div_ceil(size as u64)))
        };
        (size > 1).then(|| Self { size, verify_gas: gas.forks.iter().filter_map(each).collect() })
    }
}

/// Lays out circuits for proofs of so many predictions each.
///
/// # Errors
/// A model or data that can't be read; an engine that fails otherwise than by the model.
pub async fn outlooks(
    request: &Candidates<'_>,
    sizes: &[usize],
    engine: &Engine,
) -> Result<Vec<BatchOutlook>> {
    let mut all = Vec::new();
    for size in sizes {
        all.push(outlook(request, *size, engine).await?);
    }
    Ok(all)
}

async fn outlook(request: &Candidates<'_>, size: usize, engine: &Engine) -> Result<BatchOutlook> {
    let nothing = |obstacle: String| BatchOutlook {
        size,
        prepared: None,
        instances: 0,
        rows: 0,
        logrows: 0,
        code_bytes: 0,
        peak_bytes: 0,
        prove_seconds: 0.0,
        gas: 0,
        each: Each::default(),
        obstacle: Some(obstacle),
    };
    let batch = match request.run_args.batch(size) {
        Ok(batch) => batch,
        Err(error) => return Ok(nothing(error.to_string())),
    };
    let original: Original = request.original.clone().in_batches(batch);
    let scratch = files::Scratch::new()?;
    let file = scratch.path().join("prepared.onnx");
    let prepared =
        prepare::to_file(&original, &request.run_args.variables, request.sample, &file).await?;
    let (costs, _) = CostModel::of_this_machine(engine.version());
    let cache = toolchain::cache_dir()?;
    let is_at_hand = |k| srs::is_at_hand(request.srs, k, &cache);
    let work = tune::outlook(
        engine,
        &file,
        (request.run_args, Cheap::Gas),
        request.chain,
        &costs,
        is_at_hand,
    );
    let outlook = match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(Some(outlook))) => outlook,
        Ok(Ok(None)) => {
            return Ok(nothing("no circuit of up to 2^26 rows holds so many".to_owned()));
        }
        Ok(Err(error @ (engine::Error::Python { .. } | engine::Error::Panic { .. }))) => {
            return Ok(nothing(error.reason()));
        }
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Ok(nothing(format!("ezkl did not lay it out within {seconds} s")));
        }
    };
    let cost = outlook.cost;
    let peak_bytes = cost.peak_bytes.max(cost.setup_peak_bytes);
    let memory = machine::memory().filter(|memory| peak_bytes > *memory);
    let obstacle = outlook.excess.clone().or(memory.map(|memory| {
        let (needed, there) = (peak_bytes.div_ceil(1_000_000), memory / 1_000_000);
        format!("about {needed} MB of memory, and this machine has {there} MB for it")
    }));
    let numbers = match hides(&request.run_args.input_visibility)
        && hides(&request.run_args.output_visibility)
    {
        true => WORD,
        false => PACKED,
    };
    let instances = outlook.instances as u64;
    let packed = cost.calldata_bytes.saturating_sub((WORD - numbers) * instances);
    let saved = if numbers == PACKED { SAVED * instances } else { 0 };
    let gas = cost.lean_gas.saturating_sub(saved);
    let part = |whole: u64| whole.div_ceil(size as u64);
    let words = prepared.notes.changes.into_iter().next_back();
    Ok(BatchOutlook {
        size,
        prepared: words.filter(|_| size > 1),
        instances: outlook.instances,
        rows: outlook.rows,
        logrows: outlook.logrows,
        code_bytes: cost.code_bytes,
        peak_bytes,
        prove_seconds: cost.prove_seconds,
        gas,
        each: Each {
            osaka_gas: part(gas),
            amsterdam_gas: part(tune::charged(Hardfork::Amsterdam, gas, packed)),
            calldata_bytes: part(packed),
            prove_cpu_seconds: cost.prove_cpu_seconds / size as f64,
        },
        obstacle,
    })
}

fn hides(visibility: &Visibility) -> bool {
    *visibility != Visibility::Public
}

/// How many predictions a proof is best of: of the numbers that can be deployed and proved here, the smallest whose
/// predictions take hardly more gas than the cheapest. Nothing where none can.
pub fn recommended(outlooks: &[BatchOutlook]) -> Option<usize> {
    let mut possible: Vec<_> = outlooks.iter().filter(|it| it.obstacle.is_none()).collect();
    possible.sort_by_key(|it| it.size);
    let least = possible.iter().map(|it| it.each.osaka_gas).min()?;
    let near = |it: &&&BatchOutlook| it.each.osaka_gas as f64 <= NEARLY * least as f64;
    possible.iter().find(near).map(|it| it.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: usize, gas: u64, obstacle: Option<&str>) -> BatchOutlook {
        BatchOutlook {
            size,
            prepared: None,
            instances: 5 * size,
            rows: 1000 * size,
            logrows: 14,
            code_bytes: 8_000,
            peak_bytes: 1 << 27,
            prove_seconds: 1.0,
            gas: gas * size as u64,
            each: Each { osaka_gas: gas, ..Each::default() },
            obstacle: obstacle.map(str::to_owned),
        }
    }

    #[test]
    fn what_cannot_be_deployed_is_not_recommended_and_little_gas_not_paid_for_with_time() {
        let all = [of(1, 400_000, None), of(8, 60_000, None), of(32, 18_000, None)];
        assert_eq!(recommended(&all), Some(32));
        let beyond = [&all[..], &[of(128, 6_000, Some("too large"))]].concat();
        assert_eq!(recommended(&beyond), Some(32));
        let hardly = [&all[..], &[of(128, 17_800, None)]].concat();
        assert_eq!(recommended(&hardly), Some(32));
        assert_eq!(recommended(&[of(1, 1, Some("no"))]), None);
        assert_eq!(recommended(&[]), None);
    }
}
