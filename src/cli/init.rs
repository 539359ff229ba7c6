//! `zkvouch init`

use super::{Context, exit::Coded};
use crate::{
    artifacts::{input::InputData, onnx::OnnxFile},
    files,
    project::config::{self, CircuitConfig},
    srs,
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
    /// Input files in ezkl's form; the first is the sample.
    #[arg(short, long, num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// The folder for the project file.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Where the SRS comes from: ceremony, ceremony:URL, unsafe-dev, or the path of a file.
    #[arg(long, default_value_t, value_name = "SOURCE")]
    srs: srs::Source,
    /// Replace an existing project file.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    circuit: CircuitConfig,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        OnnxFile::read(&self.model)?;
        for path in &self.data {
            InputData::read(path)?;
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
        let text = config::template(&model, &data, &self.circuit, &self.srs);
        files::write_atomic(&file, text.as_bytes())?;
        context.ui.result(
            format_args!("{}\nnext: zkvouch build", file.display()),
            &json!({ "project": file }),
        )
    }
}

/// `path` as seen from `folder` where it lies below it, else absolute.
fn relative(path: &Path, folder: &Path) -> Result<PathBuf> {
    let path = path.canonicalize().map_err(files::Error::at("read", path))?;
    let folder = folder.canonicalize().map_err(files::Error::at("read", folder))?;
    Ok(path.strip_prefix(&folder).map(Path::to_owned).unwrap_or(path))
}
