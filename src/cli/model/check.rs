//! `zkvouch model check`

use super::RouterArg;
use crate::{
    chain::check::{Claim, ModelCheck, Verdict, check_model},
    cli::{
        Context,
        exit::{Code, Coded},
        opts::Node,
    },
    model::identity::ModelId,
};
use clap::Args;
use eyre::Result;

/// zkvouch model check
#[derive(Args, Debug)]
pub(super) struct Check {
    /// The model's id.
    #[arg(value_name = "MODEL_ID")]
    model: ModelId,
    #[command(flatten)]
    router: RouterArg,
    #[command(flatten)]
    node: Node,
}

impl Check {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.maybe_project()?;
        let rpc = self.node.connect(project.as_ref()).await?;
        let router = self.router.address(project.as_ref(), rpc.chain_id())?;
        let check = check_model(&rpc, router, self.model, self.node.class(&rpc)).await?;
        let failed = check.count(Verdict::Fails);
        if failed == 0 {
            return context.ui.result(text(&check), &check);
        }
        let message = format!("{failed} of {} claims about the model fail", check.claims.len());
        context.ui.failed_result(text(&check), &check, Code::Invalid, &message)?;
        Err(Coded::reported(message).into())
    }
}

fn text(check: &ModelCheck) -> String {
    let line = |it: &Claim| it.verdict.line(it.claim.title(), &it.detail);
    let claims: Vec<_> = check.claims.iter().map(line).collect();
    format!(
        "model    {}\nchain    {}, block {}\n\n{}\n\n{} hold, {} fail, {} can't be known from the chain alone",
        check.model_id,
        check.chain_id,
        check.block,
        claims.join("\n"),
        check.count(Verdict::Holds),
        check.count(Verdict::Fails),
        check.count(Verdict::Unknown)
    )
}
