//! ezkl's operations.

use super::{
    Engine, Usage,
    error::{Error, Result},
};
use crate::{
    files::{self, Pending},
    task::blocking,
};
use serde_json::{Map, Value, json};
use std::{
    fmt,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

/// Where an operation's input comes from.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// A file `{"input_data": [[..]]}`.
    File(&'a Path),
    /// The same as a value, which never touches the disk.
    Json(&'a Value),
}

impl<'a> From<&'a Path> for Data<'a> {
    fn from(path: &'a Path) -> Self {
        Self::File(path)
    }
}

impl<'a> From<&'a PathBuf> for Data<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self::File(path)
    }
}

impl<'a> From<&'a Value> for Data<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Json(value)
    }
}

/// What calibration aims at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The smallest circuit.
    #[default]
    Resources,
    /// The smallest error.
    Accuracy,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resources => "resources",
            Self::Accuracy => "accuracy",
        })
    }
}

/// What to calibrate and how.
#[derive(Clone, Debug)]
pub struct CalibrateRequest {
    /// Observations, concatenated, in a file `{"input_data": [[..]]}`.
    pub data: PathBuf,
    /// The ONNX model.
    pub model: PathBuf,
    /// The settings to start from, which stay as they are.
    pub settings_in: PathBuf,
    /// Where to write the calibrated settings; may be the same file.
    pub settings_out: PathBuf,
    /// What to aim at.
    pub target: Target,
    /// By what factor lookup ranges exceed those that the data needs; at least 1.
    pub margin: f64,
    /// The scales to try; `None`: ezkl's choice.
    pub scales: Option<Vec<u32>>,
    /// The scale rebase multipliers to try; `None`: ezkl's choice.
    pub scale_rebase_multipliers: Option<Vec<u32>>,
    /// The largest log2 of the rows to allow; `None`: ezkl's choice.
    pub max_logrows: Option<u32>,
}

impl CalibrateRequest {
    /// Calibrates `settings` in place, for the smallest circuit, with a margin of 2.
    pub fn new(data: &Path, model: &Path, settings: &Path) -> Self {
        Self {
            data: data.to_owned(),
            model: model.to_owned(),
            settings_in: settings.to_owned(),
            settings_out: settings.to_owned(),
            target: Target::default(),
            margin: 2.0,
            scales: None,
            scale_rebase_multipliers: None,
            max_logrows: None,
        }
    }
}

/// What keys to make, and where.
#[derive(Clone, Copy, Debug)]
pub struct SetupRequest<'a> {
    /// The compiled circuit.
    pub compiled: &'a Path,
    /// An SRS of at least 2^logrows powers.
    pub srs: &'a Path,
    /// Where to write the verifying key.
    pub vk: &'a Path,
    /// Where to write the proving key.
    pub pk: &'a Path,
    /// A witness, which a circuit with fixed inputs or outputs takes them from.
    pub witness: Option<&'a Path>,
    /// Whether selectors share columns: fewer columns, and another verifying key.
    pub compress_selectors: bool,
}

/// What calibration found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CalibrationReport {
    /// ezkl's table of the numerical error on the data; empty where it printed none.
    pub text: String,
}

impl Engine {
    /// Makes the settings of a circuit for an ONNX model. `run_args` has the names and values of
    /// ezkl's `PyRunArgs`; what it leaves out has ezkl's defaults.
    pub async fn gen_settings(
        &self,
        model: &Path,
        settings: &Path,
        run_args: &Map<String, Value>,
    ) -> Result<()> {
        let output = Output::new(settings)?;
        let arguments =
            json!({"model": input(model)?, "settings": output.path()?, "args": run_args});
        self.make("gen_settings", arguments, [output]).await.map(drop)
    }

    /// Chooses scales, lookup ranges and the number of rows by running the model on sample data.
    pub async fn calibrate(&self, request: &CalibrateRequest) -> Result<CalibrationReport> {
        let settings = files::read(&request.settings_in)?;
        let mut output = Output::new(&request.settings_out)?;
        output.write(&settings)?;
        let arguments = json!({
            "data": input(&request.data)?,
            "model": input(&request.model)?,
            "settings": output.path()?,
            "target": request.target.to_string(),
            "margin": request.margin,
            "scales": request.scales,
            "scale_rebase_multipliers": request.scale_rebase_multipliers,
            "max_logrows": request.max_logrows,
        });
        let (result, _) = self.make("calibrate", arguments, [output]).await?;
        let text = result.as_str().unwrap_or_default().trim().to_owned();
        Ok(CalibrationReport { text })
    }

    /// Compiles a model with its settings to a circuit.
    pub async fn compile_circuit(
        &self,
        model: &Path,
        settings: &Path,
        compiled: &Path,
    ) -> Result<()> {
        let output = Output::new(compiled)?;
        let arguments = json!({
            "model": input(model)?, "settings": input(settings)?, "compiled": output.path()?,
        });
        self.make("compile_circuit", arguments, [output]).await.map(drop)
    }

    /// Makes an SRS of which this process knew the secret: for tests only, since whoever knows it
    /// can prove anything.
    pub async fn gen_unsafe_srs(&self, logrows: u32, srs: &Path) -> Result<()> {
        let output = Output::new(srs)?;
        let arguments = json!({"srs": output.path()?, "logrows": logrows});
        self.make("gen_srs", arguments, [output]).await.map(drop)
    }

    /// Makes the verifying key and the proving key. ezkl does not check the SRS.
    pub async fn setup(&self, request: SetupRequest<'_>) -> Result<Usage> {
        let SetupRequest { compiled, srs, vk, pk, witness, compress_selectors } = request;
        // A key of a circuit with fixed inputs holds them, and so lets guesses at them be tried.
        let (vk, pk) = (Output::private(vk)?, Output::private(pk)?);
        let arguments = json!({
            "compiled": input(compiled)?,
            "srs": input(srs)?,
            "vk": vk.path()?,
            "pk": pk.path()?,
            "witness": optional(witness)?,
            "compress_selectors": compress_selectors,
        });
        Ok(self.make("setup", arguments, [pk, vk]).await?.1)
    }

    /// Runs the circuit's arithmetic on an input. `vk` and `srs` are needed where a visibility is
    /// a polynomial commitment.
    ///
    /// A witness may hold values outside the circuit's lookup ranges, on which [`Engine::prove`]
    /// blocks: compare it with the settings first.
    pub async fn gen_witness(
        &self,
        data: impl Into<Data<'_>>,
        compiled: &Path,
        witness: &Path,
        vk: Option<&Path>,
        srs: Option<&Path>,
    ) -> Result<()> {
        let (data, inline) = match data.into() {
            Data::File(path) => (input(path)?, false),
            Data::Json(value) => (value.to_string(), true),
        };
        let output = Output::private(witness)?;
        let arguments = json!({
            "data": data,
            "inline": inline,
            "compiled": input(compiled)?,
            "witness": output.path()?,
            "vk": optional(vk)?,
            "srs": optional(srs)?,
        });
        self.make("gen_witness", arguments, [output]).await.map(drop)
    }

    /// Checks every constraint on a witness, without keys and much faster than a proof.
    ///
    /// # Errors
    /// [`Error::Python`] names the constraints that are broken.
    pub async fn mock(&self, witness: &Path, compiled: &Path) -> Result<()> {
        let arguments = json!({"witness": input(witness)?, "compiled": input(compiled)?});
        self.request("mock", arguments).await.map(drop)
    }

    /// Proves a witness and tells what that took. ezkl does not notice a witness whose outputs were
    /// changed: verify what was proved. A value outside a lookup range ends in [`Error::Stalled`].
    pub async fn prove(
        &self,
        witness: &Path,
        compiled: &Path,
        pk: &Path,
        srs: &Path,
        proof: &Path,
    ) -> Result<Usage> {
        let output = Output::new(proof)?;
        let arguments = json!({
            "witness": input(witness)?,
            "compiled": input(compiled)?,
            "pk": input(pk)?,
            "srs": input(srs)?,
            "proof": output.path()?,
        });
        Ok(self.make("prove", arguments, [output]).await?.1)
    }

    /// Whether the proof is valid for its instances; an SRS with k = 1 is enough. Unlike ezkl it
    /// refuses a proof with bytes after its end, as the contract does.
    ///
    /// # Errors
    /// Where a file cannot be read or is malformed; a proof that is merely wrong is `false`.
    pub async fn verify(
        &self,
        proof: &Path,
        settings: &Path,
        vk: &Path,
        srs: &Path,
    ) -> Result<bool> {
        let arguments = json!({
            "proof": input(proof)?,
            "settings": input(settings)?,
            "vk": input(vk)?,
            "srs": input(srs)?,
        });
        Ok(self.request("verify", arguments).await? == Value::Bool(true))
    }

    /// Writes ezkl's Solidity verifier for a verifying key, uncompiled.
    pub async fn create_evm_verifier(
        &self,
        vk: &Path,
        settings: &Path,
        srs: &Path,
        solidity: &Path,
    ) -> Result<()> {
        let output = Output::new(solidity)?;
        let arguments = json!({
            "vk": input(vk)?,
            "settings": input(settings)?,
            "srs": input(srs)?,
            "solidity": output.path()?,
        });
        self.make("create_evm_verifier", arguments, [output]).await.map(drop)
    }

    /// Asks for an operation that writes files, and puts those into their places.
    async fn make<const N: usize>(
        &self,
        operation: &'static str,
        arguments: Value,
        outputs: [Output; N],
    ) -> Result<(Value, Usage)> {
        let answer = self.measured(operation, arguments).await;
        // Flushing a large key to the disk takes long.
        blocking(move || {
            // Before what ezkl says: of a full disk it either says nothing or speaks in its own words.
            let outputs: Vec<_> =
                outputs.into_iter().map(Output::with_room).collect::<files::Result<_>>()?;
            let answer = answer?;
            outputs.into_iter().try_for_each(Output::commit)?;
            Ok(answer)
        })
        .await
    }
}

/// A path for the worker, which has a working folder of its own.
fn text(path: &Path) -> Result<String> {
    let path = std::path::absolute(path).map_err(files::Error::at("resolve", path))?;
    path.into_os_string().into_string().map_err(|path| Error::Path { path: path.into() })
}

/// The path of a file that must be there: ezkl's own errors do not always name it.
pub(super) fn input(path: &Path) -> Result<String> {
    let metadata = std::fs::metadata(path).map_err(files::Error::at("read", path))?;
    if metadata.is_dir() {
        let error = std::io::Error::from(std::io::ErrorKind::IsADirectory);
        return Err(files::Error::at("read", path)(error).into());
    }
    text(path)
}

fn optional(path: Option<&Path>) -> Result<Option<String>> {
    path.map(input).transpose()
}

/// A file that an operation makes.
struct Output(Pending);

const MORE_THAN_A_BUFFER: usize = 1 << 16;

impl Output {
    fn new(destination: &Path) -> Result<Self> {
        Ok(Self(Pending::new(destination)?))
    }

    fn private(destination: &Path) -> Result<Self> {
        Ok(Self(Pending::private(destination)?))
    }

    fn path(&self) -> Result<String> {
        text(self.0.path())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let path = self.0.path().to_owned();
        Ok(self.0.file().write_all(bytes).map_err(files::Error::at("write", path))?)
    }

    /// Fails unless there is room for more than ezkl wrote: it loses the last few kilobytes of a file
    /// without a word where there is none.
    fn with_room(self) -> files::Result<Self> {
        let path = self.0.path().to_owned();
        let try_it = || -> std::io::Result<()> {
            let mut file = File::options().append(true).open(&path)?;
            let length = file.metadata()?.len();
            let written = file.write_all(&[0; MORE_THAN_A_BUFFER]);
            file.set_len(length).and(written)
        };
        match try_it() {
            Err(error) if files::is_full(&error) => {
                Err(files::Error::at("write", self.0.destination())(error))
            }
            _ => Ok(self),
        }
    }

    fn commit(self) -> files::Result<()> {
        self.0.commit()
    }
}
