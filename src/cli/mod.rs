//! The `zkvouch` command: one file a command, each a clap struct with a `run`.

mod accuracy;
mod anvil;
mod attest;
mod axes;
mod bench;
mod build;
mod bundle;
mod check;
mod clean;
mod demo;
mod deploy;
mod doctor;
pub mod exit;
#[cfg(feature = "fleet")]
mod fleet;
mod init;
mod inspect;
mod log;
mod model;
mod opts;
pub mod output;
mod prove;
#[cfg(feature = "fleet")]
mod serve;
mod show;
mod srs;
mod steps;
mod submit;
mod tune;
mod verify;
mod verify_source;
mod watch;
#[cfg(feature = "fleet")]
mod worker;

use crate::{engine::Engine, project::Project};
use clap::{ArgAction, Args, Parser, Subcommand};
use exit::Code;
use eyre::Result;
use output::{Color, Ui};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

/// Prove that a prediction came from one particular ONNX model, and let an EVM contract check it.
///
/// Results go to stdout, everything else to stderr. Exit codes: 0 success, 1 failure, 2 usage,
/// 3 bad input, 4 proof or check invalid, 5 chain, 6 tool missing or failed, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "zkvouch", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Print the result as one JSON document.
    #[arg(long, global = true, env = "ZKVOUCH_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    json: bool,
    /// Print the result and errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more on stderr: -v what is done, -vv ezkl's own log too, -vvv everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// When to colour stderr.
    #[arg(long, global = true, value_enum, default_value_t)]
    color: Color,
    /// The project's folder or zkvouch.toml; the current folder or the nearest above it if absent.
    #[arg(short = 'C', long, global = true, env = "ZKVOUCH_PROJECT", value_name = "PATH")]
    project: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the main job on an example: build, prove, deploy to a local Anvil, submit.
    Demo(demo::Demo),
    /// Say what a model is, whether it can be proved, and what that will cost.
    Inspect(inspect::Inspect),
    /// Write a commented zkvouch.toml for a model.
    Init(init::Init),
    /// Build every artefact that is out of date: settings, circuit, keys, verifier.
    #[command(visible_alias = "b")]
    Build(build::Build),
    /// Check what is built, and a chain, by the rules of docs/policy.md.
    Check(check::Check),
    /// Say what holds of a verifier, on a chain and off it, claim by claim.
    Attest(attest::Attest),
    /// Write what a stranger needs to check the verifier, as one file.
    Bundle(bundle::Bundle),
    /// Prove a prediction.
    Prove(prove::Prove),
    /// Verify a proof off chain, and with --evm in an in-process EVM.
    Verify(verify::Verify),
    /// Deploy the verifier.
    Deploy(deploy::Deploy),
    /// Submit a proof to a deployed verifier.
    Submit(submit::Submit),
    /// Have an explorer verify the sources of what is deployed.
    VerifySource(verify_source::VerifySource),
    /// Put predictions into a queue, and see, retry, cancel and prove what is in it.
    #[cfg(feature = "fleet")]
    Fleet(fleet::Fleet),
    /// Prove what is in a queue, on this machine, until a signal ends it.
    #[cfg(feature = "fleet")]
    Worker(worker::WorkerCommand),
    /// Take predictions over HTTP, until a signal ends it.
    #[cfg(feature = "fleet")]
    Serve(serve::Serve),
    /// Add, check, retire, stop and list the models of a router.
    Model(model::Model),
    /// Watch a router, its models and its ledger, and tell what somebody should look at.
    Watch(watch::WatchCommand),
    /// Run a local Anvil until Ctrl-C.
    Anvil(anvil::AnvilCommand),
    /// Say what is installed, what is missing and what to do about it.
    Doctor(doctor::Doctor),
    /// Find the cheapest circuit that is accurate enough.
    Tune(tune::Tune),
    /// Compare the circuit's answers with the float model's over many observations.
    Accuracy(accuracy::Accuracy),
    /// Measure.
    Bench(bench::Bench),
    /// Remove the project's build folder.
    Clean(clean::Clean),
    /// Write the model as ezkl reads it right.
    Prepare(steps::Prepare),
    /// Generate circuit settings for a model.
    GenSettings(steps::GenSettings),
    /// Fit settings to data.
    #[command(visible_alias = "calibrate-settings")]
    Calibrate(steps::Calibrate),
    /// Compile a model to a circuit.
    #[command(visible_alias = "compile-circuit")]
    Compile(steps::Compile),
    /// Get an SRS of the circuit's size.
    GetSrs(steps::GetSrs),
    /// List, fetch, import, verify and cut SRS files.
    Srs(srs::Srs),
    /// Make the proving and the verifying key.
    Setup(steps::Setup),
    /// Run the circuit on an input.
    #[command(visible_alias = "gen-witness")]
    Witness(steps::Witness),
    /// Check a witness against the circuit's constraints, without proving.
    Mock(steps::Mock),
    /// Generate and compile the Solidity verifier.
    #[command(visible_alias = "create-evm-verifier")]
    CreateVerifier(steps::CreateVerifier),
}

impl Command {
    /// Whether the first signal lets it end in order.
    fn ends_in_order(&self) -> bool {
        match self {
            #[cfg(feature = "fleet")]
            Self::Fleet(command) => command.ends_in_order(),
            #[cfg(feature = "fleet")]
            Self::Worker(_) | Self::Serve(_) => true,
            _ => false,
        }
    }
}

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) ui: Ui,
    /// Set by the first Ctrl-C where a command can end with what it has.
    pub(crate) stop: Arc<AtomicBool>,
    /// Becomes true with the first Ctrl-C or SIGTERM where a command can end in order.
    pub(crate) ending: tokio::sync::watch::Receiver<bool>,
    project: Option<PathBuf>,
}

impl Context {
    /// The project that `--project` or the current folder names.
    pub(crate) fn project(&self) -> Result<Project> {
        Ok(match &self.project {
            Some(path) => Project::open(path)?,
            None => Project::discover(Path::new("."))?,
        })
    }

    /// The project, or none where none was named and the current folder is in none.
    pub(crate) fn maybe_project(&self) -> Result<Option<Project>> {
        match self.project() {
            Ok(project) => Ok(Some(project)),
            Err(error) if self.project.is_none() => {
                match error.downcast_ref::<crate::project::Error>() {
                    Some(crate::project::Error::NoProject(_)) => Ok(None),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// One worker: the project's engine version if there is a project.
    pub(crate) fn engine(&self, project: Option<&Project>) -> Result<Engine> {
        let config = match project {
            Some(project) => project.engine_config()?,
            None => crate::engine::EngineConfig::from_env()?,
        };
        Ok(Engine::new(config))
    }
}

/// Parses the command line, runs the command and turns its outcome into an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let Global { json, quiet, verbose, color, .. } = cli.global;
    let ui = Ui::new(json, quiet);
    log::init(quiet, verbose, color, ui.clone());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&ui, &eyre::eyre!("cannot start the runtime: {error}")),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let (end, ending) = tokio::sync::watch::channel(false);
    let context =
        Context { ui: ui.clone(), stop: stop.clone(), ending, project: cli.global.project };
    let keeps_best = matches!(cli.command, Command::Tune(_));
    let in_order = cli.command.ends_in_order();
    // Before the command's first step: until then a signal would end the process without a word.
    let mut signals = {
        let _runtime = runtime.enter();
        Signals::catch()
    };
    let interruption = async {
        signals.next().await;
        if keeps_best {
            stop.store(true, Ordering::Relaxed);
            ui.note("stopping with the best so far; once more to stop at once");
            signals.next().await;
        }
        if in_order {
            end.send_replace(true);
            ui.note("ending; once more to end at once");
            signals.next().await;
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = run(cli.command, context) => outcome,
            // Dropping the command's future kills its workers and removes what is half written.
            () = interruption => Err(exit::Coded::new(Code::Interrupted, "interrupted").into()),
        }
    });
    // A thread that waits for the terminal or a lock must not keep the process alive.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => fail(&ui, &report),
    }
}

fn fail(ui: &Ui, report: &eyre::Report) -> ExitCode {
    let code = Code::of(report);
    if exit::is_reported(report) {
        return ExitCode::from(code as u8);
    }
    // If even the error cannot be written, the exit code still tells.
    let _ = ui.error(report, code);
    ExitCode::from(code as u8)
}

async fn run(command: Command, context: Context) -> Result<()> {
    match command {
        Command::Demo(command) => command.run(&context).await,
        Command::Inspect(command) => command.run(&context).await,
        Command::Init(command) => command.run(&context).await,
        Command::Build(command) => command.run(&context).await,
        Command::Attest(command) => command.run(&context).await,
        Command::Bundle(command) => command.run(&context).await,
        Command::Check(command) => command.run(&context).await,
        Command::Prove(command) => command.run(&context).await,
        Command::Verify(command) => command.run(&context).await,
        Command::Deploy(command) => command.run(&context).await,
        Command::Submit(command) => command.run(&context).await,
        Command::VerifySource(command) => command.run(&context).await,
        #[cfg(feature = "fleet")]
        Command::Fleet(command) => command.run(&context).await,
        #[cfg(feature = "fleet")]
        Command::Worker(command) => command.run(&context).await,
        #[cfg(feature = "fleet")]
        Command::Serve(command) => command.run(&context).await,
        Command::Model(command) => command.run(&context).await,
        Command::Watch(command) => command.run(&context).await,
        Command::Anvil(command) => command.run(&context).await,
        Command::Doctor(command) => command.run(&context).await,
        Command::Tune(command) => command.run(&context).await,
        Command::Accuracy(command) => command.run(&context).await,
        Command::Bench(command) => command.run(&context).await,
        Command::Clean(command) => command.run(&context).await,
        Command::Prepare(command) => command.run(&context).await,
        Command::GenSettings(command) => command.run(&context).await,
        Command::Calibrate(command) => command.run(&context).await,
        Command::Compile(command) => command.run(&context).await,
        Command::GetSrs(command) => command.run(&context).await,
        Command::Srs(command) => command.run(&context).await,
        Command::Setup(command) => command.run(&context).await,
        Command::Witness(command) => command.run(&context).await,
        Command::Mock(command) => command.run(&context).await,
        Command::CreateVerifier(command) => command.run(&context).await,
    }
}

/// Ctrl-C, and SIGTERM and SIGHUP where there are signals, caught from when this is made.
struct Signals {
    #[cfg(unix)]
    caught: Vec<tokio::signal::unix::Signal>,
}

impl Signals {
    /// Must be called in a runtime.
    fn catch() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            // One that can't be caught ends the process, as it does without us.
            Self { caught: kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect() }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Waits for the next of them.
    #[cfg(unix)]
    async fn next(&mut self) {
        std::future::poll_fn(|context| {
            match self.caught.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Waits for the next of them.
    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
