//! The workflow's steps, each on its own. In a project the defaults are the project's artefacts;
//! elsewhere they are the file names of ezkl's documentation in the current folder.

use super::{Context, exit::Coded, show};
use crate::{
    artifacts::{input::InputData, onnx::OnnxFile, proof::ProofFile, settings::Settings, witness},
    engine::{self, Engine},
    files,
    project::{
        BatchReport, Built, Project,
        config::{CalibrationConfig, CircuitConfig},
        steps::{self, MakeVerifier},
    },
    srs, toolchain,
    verifier::{
        self, MadeFrom,
        solc::{CompilerOptions, SolcRequest},
    },
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where a step reads and writes what is not named on the command line.
#[derive(Debug)]
pub(super) struct Places {
    project: Option<Project>,
}

macro_rules! places {
    ($($name:ident: $field:ident, $file:literal;)*) => {
        $(
            pub(super) fn $name(&self, given: &Option<PathBuf>) -> PathBuf {
                given.clone().unwrap_or_else(|| match &self.project {
                    Some(project) => project.artifacts().$field,
                    None => PathBuf::from($file),
                })
            }
        )*
    };
}

impl Places {
    pub(super) fn new(context: &Context) -> Result<Self> {
        Ok(Self { project: context.maybe_project()? })
    }

    places! {
        settings: settings, "settings.json";
        compiled: compiled, "model.compiled";
        srs: srs, "kzg.srs";
        vk: vk, "vk.key";
        pk: pk, "pk.key";
        verifier: verifier, "verifier";
    }

    pub(super) fn model(&self, given: &Option<PathBuf>) -> PathBuf {
        given.clone().unwrap_or_else(|| match &self.project {
            Some(project) => project.model(),
            None => "network.onnx".into(),
        })
    }

    pub(super) fn data(&self, given: &[PathBuf]) -> Vec<PathBuf> {
        match &self.project {
            _ if !given.is_empty() => given.to_vec(),
            Some(project) => project.data(),
            None => vec!["input.json".into()],
        }
    }

    fn witness(&self, given: &Option<PathBuf>) -> PathBuf {
        given.clone().unwrap_or_else(|| "witness.json".into())
    }

    /// What is built, where any of these files is the project's and not named on the command line.
    pub(super) async fn built(
        &self,
        context: &Context,
        named: &[&Option<PathBuf>],
    ) -> Result<Option<Built>> {
        match &self.project {
            Some(project) if named.iter().any(|path| path.is_none()) => {
                Ok(Some(project.built(&context.ui.observer()).await?))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn project(&self) -> Option<&Project> {
        self.project.as_ref()
    }

    pub(super) fn engine(&self, context: &Context) -> Result<Engine> {
        context.engine(self.project.as_ref())
    }
}

/// Prints what a step wrote.
fn wrote(context: &Context, what: &str, paths: &[(&str, &Path)]) -> Result<()> {
    let text = paths
        .iter()
        .map(|(_, path)| format!("{what}: {}", path.display()))
        .collect::<Vec<_>>()
        .join("\n");
    let data: serde_json::Map<_, _> =
        paths.iter().map(|(name, path)| ((*name).to_owned(), json!(path))).collect();
    context.ui.result(text, &data)
}

/// zkvouch gen-settings
#[derive(Args, Debug)]
pub(super) struct GenSettings {
    /// The ONNX file.
    #[arg(short = 'M', long)]
    model: Option<PathBuf>,
    /// Where to write the settings.
    #[arg(short = 'O', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    circuit: CircuitConfig,
}

impl GenSettings {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let model = places.model(&self.model);
        let settings = places.settings(&self.settings);
        let mut args = match &places.project {
            Some(project) => project.config().circuit.run_args(),
            None => Default::default(),
        };
        self.circuit.apply(&mut args);
        OnnxFile::read(&model)?;
        places.engine(context)?.gen_settings(&model, &settings, &args.to_engine()).await?;
        Settings::read(&settings)?;
        wrote(context, "settings", &[("settings", &settings)])
    }
}

/// zkvouch calibrate
#[derive(Args, Debug)]
pub(super) struct Calibrate {
    /// The ONNX file.
    #[arg(short = 'M', long)]
    model: Option<PathBuf>,
    /// Settings to fit; rewritten in place.
    #[arg(short = 'O', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// Input files; several are taken one after another.
    #[arg(short = 'D', long, num_args = 1..)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    options: CalibrationConfig,
}

impl Calibrate {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let settings = places.settings(&self.settings);
        let report = steps::calibrate(
            &places.engine(context)?,
            &places.model(&self.model),
            &places.data(&self.data),
            (&settings, &settings),
            &self.options,
        )
        .await?;
        let fitted = Settings::read(&settings)?;
        let text = format!("{report}settings: {}", settings.display());
        let data = json!({ "settings": settings, "run_args": fitted.run_args, "report": report });
        context.ui.result(text, &data)
    }
}

/// zkvouch compile
#[derive(Args, Debug)]
pub(super) struct Compile {
    /// The ONNX file.
    #[arg(short = 'M', long)]
    model: Option<PathBuf>,
    /// The settings.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// Where to write the circuit.
    #[arg(long)]
    compiled_circuit: Option<PathBuf>,
}

impl Compile {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let settings = places.settings(&self.settings);
        Settings::read(&settings)?;
        let compiled = places.compiled(&self.compiled_circuit);
        places
            .engine(context)?
            .compile_circuit(&places.model(&self.model), &settings, &compiled)
            .await?;
        wrote(context, "circuit", &[("compiled_circuit", &compiled)])
    }
}

/// zkvouch get-srs
#[derive(Args, Debug)]
pub(super) struct GetSrs {
    /// Take the size from these settings.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// The size, as log2 of the number of powers.
    #[arg(long, conflicts_with = "settings")]
    logrows: Option<u32>,
    /// Where to write the SRS.
    #[arg(long)]
    srs_path: Option<PathBuf>,
    /// Where to take it from: ceremony, ceremony:URL, unsafe-dev, or the path of a file.
    #[arg(long, value_name = "SOURCE")]
    srs: Option<srs::Source>,
}

impl GetSrs {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let k = match self.logrows {
            Some(k) => k,
            None => Settings::read(&places.settings(&self.settings))?.run_args.logrows,
        };
        let source = match (self.srs, &places.project) {
            (Some(source), _) => source,
            (None, Some(project)) => project.config().srs.source.within(project.root()),
            (None, None) => srs::Source::default(),
        };
        let destination = places.srs(&self.srs_path);
        let obtained = srs::obtain(&source, k, &toolchain::cache_dir()?, &destination).await?;
        if obtained.provenance.is_unsafe() {
            context.ui.warn("the secret of this SRS is known: anybody could forge a proof");
        }
        let text = format!("srs: {} (k = {k}, {})", destination.display(), obtained.provenance);
        let data = json!({
            "srs": destination,
            "logrows": obtained.k,
            "provenance": obtained.provenance,
            "sha256": obtained.sha256,
        });
        context.ui.result(text, &data)
    }
}

/// zkvouch setup
#[derive(Args, Debug)]
pub(super) struct Setup {
    /// The compiled circuit.
    #[arg(short = 'M', long)]
    compiled_circuit: Option<PathBuf>,
    /// The SRS.
    #[arg(long)]
    srs_path: Option<PathBuf>,
    /// Where to write the verifying key.
    #[arg(long)]
    vk_path: Option<PathBuf>,
    /// Where to write the proving key.
    #[arg(long)]
    pk_path: Option<PathBuf>,
    /// A witness, which some models need for overriding fixed columns.
    #[arg(short = 'W', long)]
    witness: Option<PathBuf>,
    /// Do not merge selectors into fewer columns.
    #[arg(long)]
    disable_selector_compression: bool,
}

impl Setup {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let (vk, pk) = (places.vk(&self.vk_path), places.pk(&self.pk_path));
        let srs = places.srs(&self.srs_path);
        srs::SrsFile::open(&srs)?;
        places
            .engine(context)?
            .setup(
                &places.compiled(&self.compiled_circuit),
                &srs,
                &vk,
                &pk,
                self.witness.as_deref(),
                !self.disable_selector_compression,
            )
            .await?;
        wrote(context, "key", &[("vk", &vk), ("pk", &pk)])
    }
}

/// zkvouch witness
#[derive(Args, Debug)]
pub(super) struct Witness {
    /// The input file.
    #[arg(short = 'D', long)]
    data: Option<PathBuf>,
    /// The compiled circuit.
    #[arg(short = 'M', long)]
    compiled_circuit: Option<PathBuf>,
    /// The settings, which the input is checked against.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// Where to write the witness.
    #[arg(short = 'O', long)]
    output: Option<PathBuf>,
    /// The verifying key, which committed values need.
    #[arg(long)]
    vk_path: Option<PathBuf>,
    /// The SRS, which committed values need.
    #[arg(long)]
    srs_path: Option<PathBuf>,
}

impl Witness {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let settings = Settings::read(&places.settings(&self.settings))?;
        let data = self.data.clone().unwrap_or_else(|| places.data(&[])[0].clone());
        InputData::read(&data)?.check(&settings)?;
        let output = places.witness(&self.output);
        let keys = steps::needs_keys(&settings);
        let (vk, srs) = (places.vk(&self.vk_path), places.srs(&self.srs_path));
        places
            .engine(context)?
            .gen_witness(
                &data,
                &places.compiled(&self.compiled_circuit),
                &output,
                keys.then_some(&vk),
                keys.then_some(&srs),
            )
            .await?;
        witness::Witness::read(&output)?.check_ranges(&settings)?;
        wrote(context, "witness", &[("witness", &output)])
    }
}

/// zkvouch mock
#[derive(Args, Debug)]
pub(super) struct Mock {
    /// The witness.
    #[arg(short = 'W', long)]
    witness: Option<PathBuf>,
    /// The compiled circuit.
    #[arg(short = 'M', long)]
    compiled_circuit: Option<PathBuf>,
}

impl Mock {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let witness = places.witness(&self.witness);
        let engine = places.engine(context)?;
        match engine.mock(&witness, &places.compiled(&self.compiled_circuit)).await {
            Ok(()) => {}
            Err(engine::Error::Python { message, .. }) => {
                let message = format!("the witness does not satisfy the circuit: {message}");
                return Err(Coded::invalid(message).into());
            }
            Err(error) => return Err(error.into()),
        }
        context.ui.result("the witness satisfies the circuit", &json!({ "satisfied": true }))
    }
}

/// zkvouch create-verifier
#[derive(Args, Debug)]
pub(super) struct CreateVerifier {
    /// The verifying key.
    #[arg(long)]
    vk_path: Option<PathBuf>,
    /// The settings.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// The SRS.
    #[arg(long)]
    srs_path: Option<PathBuf>,
    /// The folder to write source, ABI, bytecode and metadata to.
    #[arg(short = 'O', long)]
    output: Option<PathBuf>,
    /// Check the verifier with this proof, and measure its gas.
    #[arg(long)]
    proof: Option<PathBuf>,
    /// Whose Solidity.
    #[arg(long, value_enum)]
    kind: Option<verifier::Kind>,
    /// solc: a version or a path.
    #[arg(long)]
    solc: Option<SolcRequest>,
    /// The compiler's options as JSON, such as {"optimizer":true,"runs":1,"via_ir":false}.
    #[arg(long, value_name = "JSON", value_parser = compiler_options)]
    compiler: Option<CompilerOptions>,
    /// Build even what no public chain takes.
    #[arg(long)]
    allow_oversize: bool,
}

fn compiler_options(text: &str) -> Result<CompilerOptions, serde_json::Error> {
    serde_json::from_str(text)
}

impl CreateVerifier {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let (vk, srs) = (places.vk(&self.vk_path), places.srs(&self.srs_path));
        let settings_path = places.settings(&self.settings);
        let settings = Settings::read(&settings_path)?;
        let proof = self.proof.as_deref().map(ProofFile::read).transpose()?;
        if let Some(proof) = &proof {
            proof.check(&settings)?;
        }
        let configured = places.project.as_ref().map(|project| &project.config().verifier);
        let mut config = configured.cloned().unwrap_or_default();
        config.kind = self.kind.unwrap_or(config.kind);
        config.solc = self.solc.unwrap_or(config.solc);
        config.compiler = self.compiler.or(config.compiler);
        config.allow_oversize |= self.allow_oversize;
        let engine = places.engine(context)?;
        let made_from = MadeFrom {
            proof_sha256: self.proof.as_deref().map(files::sha256_file).transpose()?,
            ..MadeFrom::of_files(&settings_path, &srs, &vk, &settings.version)?
        };
        let request = MakeVerifier {
            settings: &settings,
            settings_path: &settings_path,
            vk: &vk,
            srs: &srs,
            proof: proof.as_ref(),
            config: &config,
            made_from,
        };
        let made = steps::make_verifier(&engine, &request).await?;
        let artifact = &made.artifact;
        let output = places.verifier(&self.output);
        let files = artifact.write(&output)?;
        let batch_files = verifier::batch::write(&output, made.batch.as_ref())?;
        let batch = made.batch.as_ref().map(BatchReport::of);
        let gas = &artifact.metadata().gas;
        if gas.verify_gas.is_none() {
            context.ui.warn("no --proof was given, so the verifier has accepted none yet");
        }
        let text = format!(
            "{}\nverifier     {}",
            show::gas(gas, made.comparison.as_ref(), batch.as_ref()),
            files.source.display()
        );
        context.ui.result(
            text,
            &json!({
                "files": files,
                "metadata": artifact.metadata(),
                "comparison": made.comparison,
                "batch": made.batch.as_ref().map(|batch| json!({
                    "files": batch_files,
                    "metadata": batch.artifact.metadata(),
                    "gas": batch.gas,
                })),
            }),
        )
    }
}
