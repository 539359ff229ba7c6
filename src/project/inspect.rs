//! What a model is and what it will cost, before any long work.

use super::{
    Result,
    batches::{self, BatchOutlook, Candidates},
};
use crate::{
    accuracy::blame,
    artifacts::{
        observations,
        run_args::{RunArgs, Visibility},
    },
    engine::Engine,
    files,
    prepare::{self, Original},
    reference::TensorInfo,
    srs, toolchain,
    tune::{self, ChainLimits, Cheap, CostModel, Outlook, machine},
};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Beyond so many input values no circuit is laid out: ezkl would take minutes, and no chain takes them.
const MOST_VALUES: usize = 1 << 17;
/// ezkl may take so long to lay out a circuit of one visibility.
const PATIENCE: Duration = Duration::from_secs(60);
/// And so long where the answer is only there to compare.
const PLAIN_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an EVM word.
const WORD: u64 = 32;

/// What to look at.
#[derive(Clone, Debug)]
pub struct InspectRequest<'a> {
    /// The model, with the outputs to keep.
    pub original: &'a Original,
    /// Inputs that the model is meant for; may be empty.
    pub data: &'a [PathBuf],
    /// The circuit's arguments, the axes' lengths among them.
    pub run_args: &'a RunArgs,
    /// Where the SRS comes from.
    pub srs: &'a srs::Source,
    /// What the chain takes.
    pub chain: Option<ChainLimits>,
    /// Numbers of predictions in a proof to compare; none of them if empty.
    pub batches: &'a [usize],
}

/// What was seen.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The ONNX file.
    pub model: PathBuf,
    /// The program that wrote it.
    pub producer: String,
    /// What goes in.
    pub inputs: Vec<TensorInfo>,
    /// What comes out.
    pub outputs: Vec<TensorInfo>,
    /// Weights and other constants, in elements.
    pub parameters: usize,
    /// The operators that ezkl is given, with how often each is there.
    pub operators: BTreeMap<String, usize>,
    /// What was done to the model.
    pub prepared: prepare::Notes,
    /// Inputs whose values no output depends on.
    pub unbound: Vec<String>,
    /// Observations in the data.
    pub observations: usize,
    /// Megabytes that this machine has for a proof; none where that is not known.
    pub memory_mb: Option<u64>,
    /// What each visibility of the inputs costs.
    pub outlooks: Vec<Outlook>,
    /// What the first visibility would cost if the model was given to ezkl as it is; none where ezkl does not take it
    /// so, or where there was nothing to change.
    pub plain: Option<Outlook>,
    /// How many predictions the proofs of the outlooks are of.
    #[serde(skip_serializing_if = "is_one")]
    pub batch_size: usize,
    /// What a prediction costs in proofs of several, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches: Option<Vec<BatchOutlook>>,
    /// Of how many a proof is best; none where none of them can be had, or none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommended_batch: Option<usize>,
    /// Why the model can't be proved or deployed; none where it can.
    pub obstacle: Option<String>,
}

/// Looks at a model: reads and prepares it, checks the data's lengths, has ezkl lay circuits out without fitting
/// them, and estimates what they cost.
///
/// # Errors
/// A model or data that can't be read; an operator that no circuit has; an engine that fails otherwise than by the
/// model.
pub async fn inspect(request: &InspectRequest<'_>, engine: &Engine) -> Result<Inspection> {
    let original = request.original;
    let variables = &request.run_args.variables;
    let slots = original.slots(variables)?;
    let mut observations = 0;
    for path in request.data {
        observations += observations::read_inputs(path, &slots)?.len();
    }
    let values: usize = slots.iter().map(|slot| slot.elements()).sum();
    let values = values * original.batch().size();
    let scratch = files::Scratch::new()?;
    let file = scratch.path().join("prepared.onnx");
    let sample = request.data.first().map(PathBuf::as_path);
    let prepared = prepare::to_file(original, variables, sample, &file).await?;
    let float = original.float_model(variables).await?;
    let memory = machine::memory();
    let mut inspection = Inspection {
        model: original.path().to_owned(),
        producer: original.file().producer.clone(),
        inputs: float.inputs().to_vec(),
        outputs: float.outputs().to_vec(),
        parameters: prepared.parameters(),
        operators: prepared.operators(),
        prepared: prepared.notes,
        unbound: original.file().unbound.clone(),
        observations,
        memory_mb: memory.map(|bytes| bytes / 1_000_000),
        outlooks: Vec::new(),
        plain: None,
        batch_size: original.batch().size(),
        batches: None,
        recommended_batch: None,
        obstacle: None,
    };
    if values > MOST_VALUES {
        inspection.obstacle = Some(format!(
            "{values} input values: as public values they are {} bytes of calldata, where a chain's nodes take \
             131,072, and no circuit hashes as many; give the model fewer values at a time",
            values as u64 * WORD
        ));
        return Ok(inspection);
    }
    let (costs, _) = CostModel::of_this_machine(engine.version());
    let cache = toolchain::cache_dir()?;
    let is_at_hand = |k| srs::is_at_hand(request.srs, k, &cache);
    // ezkl is never given the model as it is where the circuit takes several observations.
    if !inspection.prepared.changes.is_empty() && original.batch().is_one() {
        let file = scratch.path().join("plain.onnx");
        files::write_atomic(&file, &original.to_bytes())?;
        let work = tune::outlook(
            engine,
            &file,
            (request.run_args, Cheap::Proof),
            None,
            &costs,
            is_at_hand,
        );
        // Whatever ezkl says of it, this model is not what will be built.
        inspection.plain =
            tokio::time::timeout(PLAIN_PATIENCE, work).await.ok().and_then(Result::ok).flatten();
    }
    let mut visibilities = vec![request.run_args.input_visibility.clone()];
    for other in [Visibility::Public, Visibility::hashed()] {
        if !visibilities.contains(&other) {
            visibilities.push(other);
        }
    }
    for input_visibility in visibilities {
        let args = RunArgs { input_visibility, ..request.run_args.clone() };
        let Ok(batch) = args.batch(original.batch().size()) else { continue };
        if batch != original.batch() {
            // Each observation's hash is of a tensor of its own.
            let apart = original.clone().in_batches(batch);
            prepare::to_file(&apart, variables, sample, &file).await?;
        }
        let cheapest = (&args, Cheap::Proof);
        let work = tune::outlook(engine, &file, cheapest, request.chain, &costs, is_at_hand);
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(outlook)) => inspection.outlooks.extend(outlook),
            // What ezkl says of the model is the answer to the question.
            Ok(Err(
                error @ (crate::engine::Error::Python { .. } | crate::engine::Error::Panic { .. }),
            )) => {
                let error = blame::explain(engine, &file, &args, error).await;
                inspection.obstacle = Some(error.to_string());
                return Ok(inspection);
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                inspection.obstacle = Some(format!(
                    "ezkl did not lay the circuit out within {} s; a smaller model helps",
                    PATIENCE.as_secs()
                ));
                return Ok(inspection);
            }
        }
    }
    inspection.obstacle = obstacle(&inspection.outlooks, memory);
    if !request.batches.is_empty() {
        let candidates = Candidates {
            original,
            sample,
            run_args: request.run_args,
            srs: request.srs,
            chain: request.chain,
        };
        let outlooks = batches::outlooks(&candidates, request.batches, engine).await?;
        inspection.recommended_batch = batches::recommended(&outlooks);
        inspection.batches = Some(outlooks);
    }
    Ok(inspection)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_one(size: &usize) -> bool {
    *size == 1
}

/// What speaks against every visibility; nothing where one of them can be had.
fn obstacle(outlooks: &[Outlook], memory: Option<u64>) -> Option<String> {
    let lacks = |outlook: &Outlook| {
        if let Some(excess) = &outlook.excess {
            return Some(excess.clone());
        }
        let peak = outlook.cost.peak_bytes.max(outlook.cost.setup_peak_bytes);
        memory.filter(|memory| peak > *memory).map(|memory| {
            format!(
                "about {} MB of memory to prove, and this machine has {} MB for it",
                peak.div_ceil(1_000_000),
                memory / 1_000_000
            )
        })
    };
    let Some(first) = outlooks.first() else {
        return Some("no circuit of up to 2^26 rows holds the model".to_owned());
    };
    match outlooks.iter().all(|outlook| lacks(outlook).is_some()) {
        true => lacks(first),
        false => None,
    }
}
