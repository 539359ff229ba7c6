//! `zkvouch init`

use super::{
    Context,
    axes::{self, variables},
    exit::Coded,
    inspect,
};
use crate::{
    artifacts::observations,
    files,
    prepare::Original,
    project::{
        Caveat,
        config::{self, CircuitConfig},
        inspect::{InspectRequest, Inspection},
    },
    srs,
    tune::ChainLimits,
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::{Path, PathBuf};

/// zkvouch init
#[derive(Args, Debug)]
pub(super) struct Init {
    /// The ONNX model.
    model: PathBuf,
    /// Inputs: .json, .jsonl, .csv, .npy or .npz; the first of all is the sample.
    #[arg(short, long, num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// The folder for the project file.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Where the SRS comes from: ceremony, ceremony:URL, unsafe-dev, or the path of a file.
    #[arg(long, default_value_t, value_name = "SOURCE")]
    srs: srs::Source,
    /// Predictions in one proof: as many observations in one circuit.
    #[arg(long = "batch", value_name = "N", default_value_t = 1)]
    batch: usize,
    /// An output that a proof shows, by its name; all of them if absent.
    #[arg(long = "output-name", value_name = "NAME")]
    outputs: Vec<String>,
    /// An input that decides a shape or an order, to have the first observation's value for good.
    #[arg(long = "fix", value_name = "INPUT")]
    fixed: Vec<String>,
    /// Write the project file without a look at what the circuit will cost.
    #[arg(long)]
    no_inspect: bool,
    /// Replace an existing project file.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    circuit: CircuitConfig,
}

impl Init {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let constants =
            axes::constants(&self.model, &self.fixed, &self.data, &self.circuit.variables)?;
        let original = Original::with_constants(&self.model, &self.outputs, &constants)?;
        let onnx = original.file();
        let mut circuit = self.circuit.clone();
        let sample = self.data.first().map(PathBuf::as_path);
        circuit.variables = variables(onnx, &circuit.variables, sample)?;
        circuit.run_args().validate().map_err(|error| Coded::bad_input(error.to_string()))?;
        let batch = circuit.run_args().batch(self.batch);
        let batch = batch.map_err(|error| Coded::bad_input(format!("--batch: {error}")))?;
        let original = original.in_batches(batch);
        let slots = original.slots(&circuit.variables)?;
        for path in &self.data {
            let count = observations::read_inputs(path, &slots)?.len();
            if count > 1
                && batch.is_one()
                && axes::is_one_of_several(original.file(), &self.circuit.variables)
            {
                context.ui.note(format_args!(
                    "{}: {count} observations, each for a proof of its own; for {count} predictions in one proof \
                     pass --batch {count}",
                    path.display()
                ));
            }
        }
        for name in &original.file().unbound {
            context.ui.warn(Caveat::UnboundInput(name.clone()));
        }
        let file = self.dir.join(config::FILE_NAME);
        if file.exists() && !self.force {
            let message = format!("{} exists; pass --force to replace it", file.display());
            return Err(Coded::bad_input(message).into());
        }
        files::create_dir_all(&self.dir)?;
        let model = relative(&self.model, &self.dir)?;
        let data =
            self.data.iter().map(|path| relative(path, &self.dir)).collect::<Result<Vec<_>>>()?;
        let inspection = match self.no_inspect {
            true => None,
            false => Some(self.inspect(context, &original, &circuit).await?),
        };
        let text = config::template(&config::Template {
            model: &model,
            data: &data,
            outputs: &self.outputs,
            constants: &constants,
            batch_size: self.batch,
            circuit: &circuit,
            srs: &self.srs,
        });
        files::write_atomic(&file, text.as_bytes())?;
        if let Some(obstacle) = inspection.as_ref().and_then(|it| it.obstacle.as_deref()) {
            context.ui.warn(obstacle);
        }
        let seen = inspection.as_ref().map(|it| format!("{}\n\n", inspect::text(it)));
        context.ui.result(
            format_args!("{}{}\nnext: zkvouch build", seen.unwrap_or_default(), file.display()),
            &json!({ "project": file, "inspection": inspection }),
        )
    }

    async fn inspect(
        &self,
        context: &Context,
        original: &Original,
        circuit: &CircuitConfig,
    ) -> Result<Inspection> {
        let request = InspectRequest {
            original,
            data: &self.data,
            run_args: &circuit.run_args(),
            srs: &self.srs,
            chain: Some(ChainLimits::default()),
            batches: &[],
        };
        inspect::look(context, None, &request).await
    }
}

/// `path` as seen from `folder` where it lies below it, else absolute.
fn relative(path: &Path, folder: &Path) -> Result<PathBuf> {
    let path = path.canonicalize().map_err(files::Error::at("read", path))?;
    let folder = folder.canonicalize().map_err(files::Error::at("read", folder))?;
    Ok(path.strip_prefix(&folder).map(Path::to_owned).unwrap_or(path))
}
