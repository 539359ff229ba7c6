//! `zkvouch inspect`

use super::{
    Context,
    axes::{self, variables},
    exit::{Code, Coded},
    show,
};
use crate::{
    artifacts::run_args::Visibility,
    evm::Hardfork,
    prepare::Original,
    project::{
        Project,
        batches::BatchOutlook,
        config::CircuitConfig,
        inspect::{InspectRequest, Inspection, inspect},
    },
    reference::TensorInfo,
    srs,
    tune::{ChainLimits, Outlook},
};
use clap::Args;
use eyre::Result;
use std::path::PathBuf;

/// zkvouch inspect
#[derive(Args, Debug)]
pub(super) struct Inspect {
    /// The ONNX model; the project's if absent.
    model: Option<PathBuf>,
    /// Inputs that the model is meant for: .json, .jsonl, .csv, .npy or .npz.
    #[arg(short, long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// An output to keep, by its name; all of them if absent.
    #[arg(long = "output-name", value_name = "NAME")]
    outputs: Vec<String>,
    /// An input that decides a shape or an order, to have the first observation's value for good.
    #[arg(long = "fix", value_name = "INPUT")]
    fixed: Vec<String>,
    /// Where the SRS comes from: ceremony, ceremony:URL, unsafe-dev, or the path of a file.
    #[arg(long, value_name = "SOURCE")]
    srs: Option<srs::Source>,
    /// What a prediction would cost in proofs of so many each, and which number is best.
    #[arg(long, value_name = "N,…", value_delimiter = ',', num_args = 0..=1, default_missing_value = "1,8,32,128")]
    batch: Vec<usize>,
    #[command(flatten)]
    circuit: CircuitConfig,
}

impl Inspect {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = match self.model {
            Some(_) => None,
            None => Some(context.project()?),
        };
        let config = project.as_ref().map(|project| project.config());
        let data = match &project {
            Some(project) if self.data.is_empty() => project.data(),
            _ => self.data.clone(),
        };
        let outputs = match config {
            Some(config) if self.outputs.is_empty() => &config.model.outputs,
            _ => &self.outputs,
        };
        let model = project.as_ref().map(Project::model).or(self.model).unwrap_or_default();
        let mut constants = config.map(|it| it.model.constants.clone()).unwrap_or_default();
        constants.extend(axes::constants(&model, &self.fixed, &data, &self.circuit.variables)?);
        let batch = config.map(|it| it.batch()).unwrap_or_default();
        let original = Original::with_constants(&model, outputs, &constants)?.in_batches(batch);
        let mut run_args = config.map(|it| it.circuit.run_args()).unwrap_or_default();
        self.circuit.apply(&mut run_args);
        if project.is_none() {
            let sample = data.first().map(PathBuf::as_path);
            run_args.variables = variables(original.file(), &self.circuit.variables, sample)?;
        }
        run_args.validate().map_err(|error| Coded::bad_input(error.to_string()))?;
        let source = match (&self.srs, &project) {
            (Some(source), _) => source.clone(),
            (None, Some(project)) => project.config().srs.source.within(project.root()),
            (None, None) => srs::Source::default(),
        };
        let request = InspectRequest {
            original: &original,
            data: &data,
            run_args: &run_args,
            srs: &source,
            chain: config.map_or(Some(ChainLimits::default()), |it| it.verifier.chain_limits()),
            batches: &self.batch,
        };
        let inspection = look(context, project.as_ref(), &request).await?;
        let Some(obstacle) = &inspection.obstacle else {
            return context.ui.result(text(&inspection), &inspection);
        };
        context.ui.failed_result(text(&inspection), &inspection, Code::BadInput, obstacle)?;
        Err(Coded::reported_as(Code::BadInput, obstacle.clone()).into())
    }
}

/// Inspects with a worker of its own.
pub(super) async fn look(
    context: &Context,
    project: Option<&Project>,
    request: &InspectRequest<'_>,
) -> Result<Inspection> {
    let engine = context.engine(project)?;
    let bar = context.ui.spinner("inspect");
    let inspection = inspect(request, &engine).await;
    bar.finish_and_clear();
    engine.shutdown().await;
    Ok(inspection?)
}

/// The inspection for people.
pub(super) fn text(inspection: &Inspection) -> String {
    let mut lines = vec![format!("model       {}", inspection.model.display())];
    if !inspection.producer.is_empty() {
        lines.push(format!("made by     {}", inspection.producer));
    }
    let tensor =
        |report: &TensorInfo| format!("{} {} {:?}", report.name, report.element, report.shape);
    lines.extend(inspection.inputs.iter().map(|it| format!("input       {}", tensor(it))));
    lines.extend(inspection.outputs.iter().map(|it| format!("output      {}", tensor(it))));
    lines.push(format!("parameters  {}", inspection.parameters));
    if inspection.observations > 0 {
        lines.push(format!("data        {} observations", inspection.observations));
    }
    let operators: Vec<_> =
        inspection.operators.iter().map(|(name, count)| format!("{name} {count}")).collect();
    lines.push(format!("operators   {}", operators.join(", ")));
    let notes = inspection.prepared.outputs.iter().chain(&inspection.prepared.changes);
    lines.extend(notes.map(|note| format!("prepared    {note}")));
    let unbound = inspection.unbound.iter();
    lines.extend(unbound.map(|name| format!("unbound     no output depends on input `{name}`")));
    if !inspection.outlooks.is_empty() {
        lines.push(String::new());
        lines.push(table(&inspection.outlooks));
        lines.extend(plain(inspection));
        lines.extend(hashing(&inspection.outlooks));
    }
    if let Some(batches) = &inspection.batches {
        lines.push(String::new());
        lines.push(batch_table(batches, inspection.recommended_batch));
    }
    lines.push(String::new());
    lines.push(match &inspection.obstacle {
        None => "verdict     can be proved and deployed".to_owned(),
        Some(obstacle) => format!("verdict     no: {obstacle}"),
    });
    lines.join("\n")
}

/// What preparing the model has saved.
fn plain(inspection: &Inspection) -> Option<String> {
    // A model of several observations is never given to ezkl as it is.
    if inspection.prepared.changes.is_empty() || inspection.batch_size > 1 {
        return None;
    }
    Some(match &inspection.plain {
        None => "  unprepared     ezkl does not take the model as it is".to_owned(),
        Some(plain) => format!(
            "  unprepared     {} rows, k = {}, {:.1} s to prove",
            plain.rows, plain.logrows, plain.cost.prove_seconds
        ),
    })
}

/// What hashed inputs would save, or that they would not.
fn hashing(outlooks: &[Outlook]) -> Option<String> {
    let of = |visibility| outlooks.iter().find(|it| it.input_visibility == visibility);
    let (public, hashed) = (of(Visibility::Public)?, of(Visibility::hashed())?);
    let bytes = |outlook: &Outlook| outlook.cost.calldata_bytes;
    let of_bytes = match bytes(public).checked_sub(bytes(hashed)).filter(|saved| *saved > 0) {
        Some(saved) => format!("saves {saved} of {} bytes of calldata", bytes(public)),
        None => "saves no calldata".to_owned(),
    };
    let seconds = |outlook: &Outlook| outlook.cost.prove_seconds;
    Some(format!(
        "  hashing the inputs {of_bytes}: about {} in place of {}, and {:.1} s to prove in place of {:.1} s",
        show::estimates(&hashed.forks),
        show::estimates(&public.forks),
        seconds(hashed),
        seconds(public)
    ))
}

/// Estimates, one column for each number of predictions in a proof.
fn batch_table(outlooks: &[BatchOutlook], recommended: Option<usize>) -> String {
    type Cell = fn(&BatchOutlook) -> String;
    let rows: [(&str, Cell); 11] = [
        ("predictions", |it| it.size.to_string()),
        ("public values", |it| it.instances.to_string()),
        ("rows", |it| it.rows.to_string()),
        ("logrows (k)", |it| it.logrows.to_string()),
        ("memory", |it| format!("{} MB", it.peak_bytes.div_ceil(1_000_000))),
        ("proving time", |it| format!("{:.1} s", it.prove_seconds)),
        ("verifier code", |it| format!("{} bytes", it.code_bytes)),
        ("gas, each", |it| it.each.osaka_gas.to_string()),
        ("  amsterdam", |it| it.each.amsterdam_gas.to_string()),
        ("calldata, each", |it| format!("{} bytes", it.each.calldata_bytes)),
        ("CPU time, each", |it| format!("{:.2} s", it.each.prove_cpu_seconds)),
    ];
    let mut lines = vec!["estimates of a prediction in a proof of several:".to_owned()];
    let found: Vec<_> = outlooks.iter().filter(|it| it.logrows > 0).collect();
    for (name, cell) in rows {
        let cells: Vec<_> = found.iter().map(|it| format!("{:>16}", cell(it))).collect();
        lines.push(format!("  {name:<14}{}", cells.join("")));
    }
    for outlook in outlooks {
        if let Some(prepared) = &outlook.prepared {
            lines.push(format!("  {prepared}"));
        }
        if let Some(obstacle) = &outlook.obstacle {
            lines.push(format!("  {} predictions: {obstacle}", outlook.size));
        }
    }
    lines.push(match recommended {
        Some(1) => "  recommended: a proof for each prediction".to_owned(),
        Some(size) => format!("  recommended: batch_size = {size} (`zkvouch init --batch {size}`)"),
        None => "  none of them can be had".to_owned(),
    });
    lines.join("\n")
}

/// Estimates, one column a visibility.
fn table(outlooks: &[Outlook]) -> String {
    type Cell = fn(&Outlook) -> String;
    fn gas(outlook: &Outlook, hardfork: Hardfork) -> String {
        let of = outlook.forks.iter().find(|fork| fork.hardfork == hardfork);
        of.map_or(String::new(), |fork| fork.gas.to_string())
    }
    let rows: [(&str, Cell); 12] = [
        ("inputs", |it| it.input_visibility.to_string()),
        ("public values", |it| it.instances.to_string()),
        ("rows", |it| it.rows.to_string()),
        ("logrows (k)", |it| it.logrows.to_string()),
        ("SRS", |it| if it.srs_at_hand { "at hand" } else { "to be fetched" }.to_owned()),
        ("proving key", |it| format!("{} MB", it.cost.pk_bytes.div_ceil(1_000_000))),
        ("memory", |it| format!("{} MB", it.cost.peak_bytes.div_ceil(1_000_000))),
        ("proving time", |it| format!("{:.1} s", it.cost.prove_seconds)),
        ("gas, osaka", |it| gas(it, Hardfork::Osaka)),
        ("gas, amsterdam", |it| gas(it, Hardfork::Amsterdam)),
        ("verifier code", |it| format!("{} bytes", it.cost.code_bytes)),
        ("calldata", |it| format!("{} bytes", it.cost.calldata_bytes)),
    ];
    let mut lines = vec!["estimates before tuning:".to_owned()];
    for (name, cell) in rows {
        let cells: Vec<_> = outlooks.iter().map(|it| format!("{:>16}", cell(it))).collect();
        lines.push(format!("  {name:<14}{}", cells.join("")));
    }
    for outlook in outlooks {
        if let Some(excess) = &outlook.excess {
            lines.push(format!("  {} inputs: {excess}", outlook.input_visibility));
        }
    }
    lines.join("\n")
}
