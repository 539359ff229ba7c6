//! `zkvouch check`

use super::{
    Context,
    exit::{Code, Coded},
    opts::Node,
};
use crate::{
    files,
    project::{
        Project,
        policy::{Finding, Severity, Target, of_chain, sarif},
    },
};
use alloy::primitives::Address;
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::{Path, PathBuf};

/// zkvouch check
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Count warnings as errors, too.
    #[arg(long)]
    strict: bool,
    /// Who is to own the router, on a chain that --rpc-url names.
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Who is to be able to stop the model.
    #[arg(long, value_name = "ADDRESS")]
    guardian: Option<Address>,
    /// Write what was found as SARIF 2.1.0, too, which code hosts show.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    #[command(flatten)]
    node: Node,
}

impl Check {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let built = project.built(&context.ui.observer()).await?;
        let policy = &project.config().policy;
        let mut findings = built.findings().to_vec();
        // A chain is looked at only where one was named.
        let mut chain_id = None;
        if self.node.is_named() {
            let rpc = self.node.connect(Some(&project)).await?;
            chain_id = Some(rpc.chain_id());
            let class = self.node.class(&rpc);
            let target = Target { class, owner: self.owner, guardian: self.guardian, routed: true };
            findings.extend(policy.judge(of_chain(&rpc, &target).await?));
        }
        let unused: Vec<_> = policy.unused(&findings).map(str::to_owned).collect();
        for rule in &unused {
            context.ui.note(format_args!("nothing breaks {rule}, which [policy] waives"));
        }
        if let Some(file) = &self.sarif {
            let document = sarif(&findings, &relative(&project));
            files::write_atomic(file, &serde_json::to_vec_pretty(&document)?)?;
        }
        let data = json!({
            "model_id": built.model_id(),
            "chain_id": chain_id,
            "findings": findings,
            "unused_waivers": unused,
        });
        let text = text(&findings);
        let least = if self.strict { Severity::Warning } else { Severity::Error };
        let broken =
            findings.iter().filter(|it| it.waived.is_none() && it.severity >= least).count();
        if broken == 0 {
            return context.ui.result(text, &data);
        }
        let message = format!(
            "{broken} rules are broken; mend what they say, or waive one with a reason: [policy.waive] in \
             zkvouch.toml, such as {} = \"…\"",
            findings.first().map_or("unbound-parameters", |it| it.rule)
        );
        context.ui.failed_result(text, &data, Code::Invalid, &message)?;
        Err(Coded::reported(message).into())
    }
}

fn text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "no rule is broken".to_owned();
    }
    let line = |finding: &Finding| format!("{:<8} {finding}", finding.severity.to_string());
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The project file as code hosts name it: below the repository, else below the current folder.
fn relative(project: &Project) -> String {
    let file = project.root().join(crate::project::config::FILE_NAME);
    let file = file.canonicalize().unwrap_or(file);
    let root = file.ancestors().find(|folder| folder.join(".git").exists());
    let here = Path::new(".").canonicalize().ok();
    let base = root.map(Path::to_owned).or(here).unwrap_or_default();
    let path = file.strip_prefix(&base).unwrap_or(&file);
    path.components().map(|it| it.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
