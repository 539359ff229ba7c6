//! Steps that need no build graph: they take files and leave files.

use super::{
    Error, Input, Result,
    config::{CalibrationConfig, Target, VerifierConfig},
    report::{Comparison, OtherForm},
};
use crate::{
    artifacts::{
        input::InputData,
        layout::InstanceLayout,
        observations,
        proof::ProofFile,
        run_args::{DEFAULT_MAX_LOGROWS, Visibility},
        settings::Settings,
        slot::Slot,
        vk::VkHeader,
        witness::Witness,
    },
    engine::{self, CalibrateRequest, Engine, Usage},
    field::Felt,
    files,
    model::batch::{Batching, Predictions},
    srs::SrsFile,
    task::blocking_deep,
    tune::{
        self, CostModel, Shape,
        machine::{self, Work},
    },
    verifier::{
        self, BuildRequest, MadeFrom, Sample, VerifierArtifact, VerifierSource,
        batch::{self, Batch},
        lean::{self, Expected, LeanVerifier, OptimizeFor},
    },
};
use std::path::{Path, PathBuf};

/// The artefacts that proving needs.
#[derive(Clone, Debug)]
pub struct ProvingFiles {
    /// The settings, read from `settings_path`.
    pub settings: Settings,
    /// The path of settings.json, which ezkl reads itself.
    pub settings_path: PathBuf,
    /// The compiled circuit's file, for the witness and the proof.
    pub compiled: PathBuf,
    /// The SRS's file, which the keys were made with.
    pub srs: PathBuf,
    /// The verifying key's file; a new proof is verified with it.
    pub vk: PathBuf,
    /// The proving key's file, for proving alone.
    pub pk: PathBuf,
}

/// Whether making a witness takes the verifying key and the SRS: only a commitment does.
pub(crate) fn needs_keys(settings: &Settings) -> bool {
    let args = &settings.run_args;
    [&args.input_visibility, &args.output_visibility, &args.param_visibility]
        .contains(&&Visibility::KzgCommit)
}

/// The observations in a file. `slots` are the model's inputs; without them, only what the settings tell of the
/// shapes is known, and where that is nothing, only ezkl's own form is read.
pub fn read_inputs(
    path: &Path,
    slots: Option<Vec<Slot>>,
    settings: &Settings,
) -> Result<Vec<InputData>> {
    let numbered = |shapes: &[Vec<usize>]| {
        let slot = |(number, shape): (usize, &Vec<usize>)| {
            Slot::new(format!("input {number}"), shape.clone())
        };
        shapes.iter().enumerate().map(slot).collect()
    };
    match slots.or_else(|| settings.input_shapes().map(numbered)) {
        Some(slots) => Ok(observations::read_inputs(path, &slots)?),
        None => Ok(vec![InputData::read(path)?]),
    }
}

/// The one observation in a file, or as many as the circuit takes.
///
/// # Errors
/// As [`read_inputs`], and where there are more than a proof is of.
pub fn read_input(
    path: &Path,
    slots: Option<Vec<Slot>>,
    (settings, batch): (&Settings, Batching),
) -> Result<Input> {
    let inputs = read_inputs(path, slots, settings)?;
    if inputs.len() > batch.size() {
        let (path, count, size) = (path.to_owned(), inputs.len(), batch.size());
        return Err(Error::SeveralInputs { path, count, size });
    }
    Ok(Input::of(&inputs, batch))
}

/// Checks an input against the settings and makes its witness.
pub async fn make_witness(
    engine: &Engine,
    files: &ProvingFiles,
    input: &InputData,
    witness: &Path,
) -> Result<()> {
    input.check(&files.settings)?;
    let keys = needs_keys(&files.settings);
    engine
        .gen_witness(
            &input.to_json_for(&files.settings),
            &files.compiled,
            witness,
            keys.then_some(&*files.vk),
            keys.then_some(&*files.srs),
        )
        .await?;
    Ok(())
}

/// Proves a witness and verifies the proof before it is written to `output`. Returns what proving took, too.
///
/// ezkl proves whatever it is given without complaint and hangs on values outside its lookup tables,
/// hence a check of the ranges before and a verification after. `input` is what messages name: the witness
/// itself, or what it was made from.
pub async fn prove_witness(
    engine: &Engine,
    files: &ProvingFiles,
    (witness, input): (&Path, &Path),
    predictions: Predictions,
    output: &Path,
) -> Result<(ProofFile, Usage)> {
    for path in [&files.compiled, &files.srs, &files.vk, &files.pk] {
        if !path.is_file() {
            return Err(Error::NotBuilt(path.clone()));
        }
    }
    Witness::read(witness)?.made_from(input).check_ranges(&files.settings)?;
    expected(&files.settings, Work::Proof, engine.version())?;
    let pending = files::Pending::new(output)?;
    let usage =
        engine.prove(witness, &files.compiled, &files.pk, &files.srs, pending.path()).await?;
    ProofFile::mark(pending.path(), predictions)?;
    let proof = ProofFile::read(pending.path())?;
    proof.check(&files.settings)?;
    if !engine.verify(pending.path(), &files.settings_path, &files.vk, &files.srs).await? {
        return Err(Error::ProofRejected(input.to_owned()));
    }
    pending.commit()?;
    Ok((proof, usage))
}

/// What a step is expected to take on this machine, refused where it has not the memory.
pub fn expected(
    settings: &Settings,
    work: Work,
    engine: &str,
) -> Result<Option<machine::Expected>> {
    let (costs, _) = CostModel::of_this_machine(engine);
    Ok(machine::expected(settings, work, &costs)?)
}

/// Refuses a circuit that no key can be made for, however large the machine.
pub fn within_field(settings: &Settings) -> Result<()> {
    Ok(tune::within_field(settings)?)
}

/// Refuses a circuit whose verifier is surely more than a chain takes, before there is a key.
pub(crate) fn deployable(settings: &Settings, config: &VerifierConfig) -> Result<()> {
    let cost = Shape::of(settings).map(|shape| CostModel::default().cost(&shape));
    let excess = config.chain_limits().zip(cost).and_then(|(chain, cost)| chain.sure_excess(&cost));
    excess.map_or(Ok(()), |excess| Err(Error::Undeployable(excess)))
}

/// Fits `settings_in` to the data and writes `settings_out`. Several input files are taken one after
/// another, as the model's inputs take them, and as many at a time as the circuit does. Returns ezkl's report.
pub async fn calibrate(
    engine: &Engine,
    model: &Path,
    data: (&[PathBuf], &[Slot], Batching),
    (settings_in, settings_out): (&Path, &Path),
    options: &CalibrationConfig,
) -> Result<String> {
    let target = match options.target {
        Target::Tune => return Err(Error::TuneElsewhere),
        Target::Resources => engine::Target::Resources,
        Target::Accuracy => engine::Target::Accuracy,
        Target::Manual => {
            files::write_atomic(settings_out, &files::read(settings_in)?)?;
            return Ok(String::new());
        }
    };
    let settings = Settings::read(settings_in)?;
    let (data, slots, batch) = data;
    let mut inputs = Vec::new();
    for path in data {
        inputs.extend(read_inputs(path, Some(slots.to_vec()), &settings)?);
    }
    if !batch.is_one() {
        let groups = inputs.chunks(batch.size());
        inputs = groups.map(|group| InputData::together(group, batch)).collect();
    }
    for input in &inputs {
        input.check_observations(&settings)?;
    }
    let scratch = files::Scratch::new()?;
    let together = scratch.path().join("data.json");
    let all = InputData::concat(&inputs)?.to_json_for(&settings);
    files::write_private(&together, all.to_string().as_bytes())?;
    let mut request = CalibrateRequest::new(&together, model, settings_in);
    request.settings_out = settings_out.to_owned();
    request.target = target;
    request.margin = options.lookup_safety_margin;
    request.scales.clone_from(&options.scales);
    request.scale_rebase_multipliers.clone_from(&options.scale_rebase_multipliers);
    // Beyond this no ceremony's file can be had without the internet.
    request.max_logrows = options.max_logrows.or(Some(DEFAULT_MAX_LOGROWS));
    let report = engine.calibrate(&request).await?;
    Settings::read(settings_out)?;
    Ok(report.text)
}

/// A verifier to make.
#[derive(Clone, Debug)]
pub struct MakeVerifier<'a> {
    /// The settings, read from `settings_path`.
    pub settings: &'a Settings,
    /// The path of settings.json, which ezkl reads itself.
    pub settings_path: &'a Path,
    /// Which instance is what, with the widths that packed ones are to have; by default those that hold the numbers
    /// of `proof`.
    pub layout: Option<&'a InstanceLayout>,
    /// The verifying key's file, which has to fit the settings.
    pub vk: &'a Path,
    /// The SRS's file, whose [τ]₂ the code has to have.
    pub srs: &'a Path,
    /// A proof of the circuit, which the verifier must accept. Without one nothing is measured.
    pub proof: Option<&'a ProofFile>,
    /// Whose Solidity, the compiler and its options.
    pub config: &'a VerifierConfig,
    /// The hashes of all this, which the verifier's metadata keeps.
    pub made_from: MadeFrom,
}

/// A verifier, and for a lean one what it is compared with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MadeVerifier {
    /// The compiled verifier, whose code has the SRS's [τ]₂.
    pub artifact: VerifierArtifact,
    /// What a lean verifier was compiled from.
    pub lean: Option<LeanVerifier>,
    /// For a lean verifier that has verified a proof.
    pub comparison: Option<Comparison>,
    /// The lean verifier again, as the verifier of many proofs, if a chain takes it.
    pub batch: Option<Batch>,
}

/// Has ezkl write its Solidity, puts the guard into it or generates the lean verifier from it, and
/// compiles. The unguarded source is not kept.
pub async fn make_verifier(engine: &Engine, request: &MakeVerifier<'_>) -> Result<MadeVerifier> {
    VkHeader::read(request.vk)?.check(request.settings)?;
    let scratch = files::Scratch::new()?;
    let raw = scratch.path().join("raw.sol");
    engine.create_evm_verifier(request.vk, request.settings_path, request.srs, &raw).await?;
    let raw = files::read_to_string(&raw)?;
    let srs = SrsFile::open(request.srs)?;
    let config = request.config;
    let layout = request.layout.cloned().unwrap_or_else(|| {
        let layout = request.settings.instance_layout();
        let seen: Vec<&[Felt]> = request.proof.iter().map(|it| &it.proof.instances[..]).collect();
        let extents = layout.extents(&seen);
        layout.with_extents(&extents)
    });
    let (num_instances, packing) = (layout.len, layout.packing());
    let proof_len = request.proof.map(|proof| proof.proof.bytes.len());
    let guarded = VerifierSource::from_ezkl(&raw, proof_len, Some(num_instances))?;
    let compilers = config.matrix.compilers(&config.solc).await?;
    let build = |source| BuildRequest {
        options: config.compiler.clone(),
        matrix: Some(config.matrix.clone()),
        sample: request
            .proof
            .map(|proof| Sample { proof: &proof.proof.bytes, instances: &proof.proof.instances }),
        hardfork: config.hardfork,
        allow_oversize: config.allow_oversize,
        made_from: Some(request.made_from.clone()),
        ..BuildRequest::new(source)
    };
    if config.kind != verifier::Kind::Lean {
        let mut artifact = verifier::build_among(&compilers, build(guarded)).await?;
        artifact.confirm_setup(&srs)?;
        return Ok(MadeVerifier { artifact, lean: None, comparison: None, batch: None });
    }
    let vk = files::read(request.vk)?;
    let k = request.settings.run_args.logrows;
    // The comparison with ezkl's verifier at random points takes a second or two of one CPU, and its
    // expressions are as deep as the circuit is wide.
    let generate = async |optimize_for| {
        let (raw, vk, packing) = (raw.clone(), vk.clone(), packing.clone());
        blocking_deep(move || {
            let expected = Expected { num_instances, k, vk: Some(&vk) };
            lean::generate(&raw, &expected, &packing, optimize_for)
        })
        .await
        .map_err(verifier::Error::from)
    };
    let mut generated = generate(config.optimize_for).await?;
    let artifact = verifier::build_among(&compilers, build(generated.source())).await;
    let mut artifact = match artifact {
        Err(verifier::Error::TooLarge { size, limit, .. })
            if generated.optimized_for() != OptimizeFor::Deployment =>
        {
            tracing::info!(size, limit, "too large: the form that is cheap to deploy is taken");
            generated = generate(OptimizeFor::Deployment).await?;
            verifier::build_among(&compilers, build(generated.source())).await?
        }
        artifact => artifact?,
    };
    artifact.confirm_setup(&srs)?;
    let proven = &artifact.metadata().compiler;
    let chosen = compilers.iter().find(|it| it.solc().sha256 == proven.sha256);
    let chosen = chosen.unwrap_or(&compilers[0]);
    let mut batch = batch::build(chosen, build(generated.source()), &proven.options).await?;
    if let Some(batch) = &mut batch {
        batch.artifact.confirm_setup(&srs)?;
    }
    let comparison = match request.proof {
        None => None,
        Some(proof) => {
            // For its gas only: its size does not matter, and the first settings that do are good.
            let beside = BuildRequest { matrix: None, allow_oversize: true, ..build(guarded) };
            let ezkl = verifier::build_among(&compilers, beside).await?;
            let breakdown = generated
                .breakdown(&proof.proof.bytes, &proof.proof.instances)
                .map_err(verifier::Error::from)?;
            let optimized_for = generated.optimized_for();
            let other = generate(optimized_for.other()).await?;
            let beside =
                BuildRequest { matrix: None, allow_oversize: true, ..build(other.source()) };
            let other = verifier::build_among(&compilers, beside).await?;
            let gas = &artifact.metadata().gas;
            let other = OtherForm::new(optimized_for.other(), &other.metadata().gas, gas);
            Some(Comparison { ezkl: ezkl.metadata().gas.clone(), breakdown, optimized_for, other })
        }
    };
    Ok(MadeVerifier { artifact, lean: Some(generated), comparison, batch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_that_no_chain_takes_is_refused_before_there_is_a_key() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tune");
        let mut settings = Settings::read(&folder.join("credit.settings.json")).expect("settings");
        let mut config = VerifierConfig::default();
        deployable(&settings, &config).expect("small");
        // The same cells in so few rows make many columns.
        settings.run_args.logrows = 7;
        let error = deployable(&settings, &config).expect_err("42 KB").to_string();
        assert!(error.contains("bytes of verifier code, and a chain takes 24576"), "{error}");
        config.allow_oversize = true;
        deployable(&settings, &config).expect("asked for");
    }
}
