//! `zkvouch model`: what a router's owner and a model's guardian do.

mod check;

use super::{
    Context,
    deploy::{DeployOptions, outcome_data, outcome_text},
    exit::Coded,
    opts::{Network, Node},
    verify_source::VerifyOptions,
};
use crate::{
    chain::{
        contracts::{ModelInfo, Status, list_models, retire_model, stop_model, transfer_ownership},
        deploy::{Deployer, Outcome},
        deployments::{Deployments, Role},
    },
    model::identity::ModelId,
    project::Project,
};
use alloy::primitives::Address;
use clap::{Args, Subcommand};
use eyre::Result;
use serde_json::{Value, json};

/// zkvouch model
#[derive(Args, Debug)]
pub(super) struct Model {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Deploy the project's model and add it to the router (what `deploy` does).
    Add {
        #[command(flatten)]
        network: Network,
        #[command(flatten)]
        options: DeployOptions,
        #[command(flatten)]
        verify: VerifyOptions,
    },
    /// Say what the chain alone shows of a model, claim by claim.
    ///
    /// Needs no project. Ends with 4 if a claim fails.
    Check(check::Check),
    /// Retire a model for good: the router never serves it again.
    Retire {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        network: Network,
    },
    /// Stop a model for good, as its guardian.
    Stop {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        network: Network,
    },
    /// List the router's models.
    Ls {
        #[command(flatten)]
        router: RouterArg,
        #[command(flatten)]
        node: Node,
    },
    /// Offer the router to a new owner, who accepts it with --accept.
    TransferOwnership {
        /// The new owner.
        #[arg(required_unless_present = "accept")]
        to: Option<Address>,
        /// Accept a router that was offered to the sender.
        #[arg(long, conflicts_with = "to")]
        accept: bool,
        #[command(flatten)]
        router: RouterArg,
        #[command(flatten)]
        network: Network,
    },
}

#[derive(Args, Debug)]
struct Which {
    /// The model's id; the project's if absent.
    #[arg(long = "id", value_name = "MODEL_ID")]
    model: Option<ModelId>,
    #[command(flatten)]
    router: RouterArg,
}

#[derive(Args, Debug)]
struct RouterArg {
    /// The router; the one in the deployments file if absent.
    #[arg(long, value_name = "ADDRESS")]
    router: Option<Address>,
}

impl RouterArg {
    fn address(&self, project: Option<&Project>, chain_id: u64) -> Result<Address> {
        if let Some(router) = self.router {
            return Ok(router);
        }
        let Some(project) = project else {
            return Err(Coded::bad_input(
                "there is no project here; name the router with --router",
            )
            .into());
        };
        let deployments = Deployments::read(&project.deployments(), chain_id)?;
        let entry = deployments.of_role(Role::Router).ok_or_else(|| {
            let file = Deployments::path(&project.deployments(), chain_id);
            Coded::bad_input(format!(
                "{} has no router; name one with --router, or deploy one with `zkvouch deploy`",
                file.display()
            ))
        })?;
        Ok(entry.address)
    }
}

impl Which {
    /// The model that is named, else the one that is built.
    async fn model(&self, context: &Context, project: Option<&Project>) -> Result<ModelId> {
        match (self.model, project) {
            (Some(model), _) => Ok(model),
            (None, Some(project)) => Ok(project.built(&context.ui.observer()).await?.model_id()),
            (None, None) => {
                Err(Coded::bad_input("there is no project here; name the model with --id").into())
            }
        }
    }
}

impl Model {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = || context.maybe_project();
        let (text, data) = match self.action {
            Action::Add { network, options, verify } => {
                let project = context.project()?;
                let built = project.built(&context.ui.observer()).await?;
                let rpc = network.connect(&project).await?;
                let class = network.class(&rpc);
                let explorer = verify.connect(rpc.chain_id(), class)?;
                let explorer = explorer.filter(|_| !network.is_dry());
                let sender = network.sender(context, &project, rpc, "model-add").await?;
                let mut deployer = Deployer::new(&sender, network.mode());
                let deployed = options.run(&built, &mut deployer, class).await?;
                warn_dry(context, &network);
                return deployed.show(context, &sender, &built, explorer).await;
            }
            Action::Check(check) => return check.run(context).await,
            Action::Ls { router, node } => {
                let project = project()?;
                let rpc = node.connect(project.as_ref()).await?;
                let router = router.address(project.as_ref(), rpc.chain_id())?;
                let models = list_models(&rpc, router).await?;
                let text = models.iter().map(line).collect::<Vec<_>>().join("\n");
                let models: Vec<_> = models.iter().map(as_json).collect();
                (text, json!({ "router": router, "models": models }))
            }
            Action::Retire { which, network } => {
                let project = project()?;
                let model = which.model(context, project.as_ref()).await?;
                let rpc = network.connect(project.as_ref()).await?;
                let router = which.router.address(project.as_ref(), rpc.chain_id())?;
                let sender = network.sender(context, project.as_ref(), rpc, "model-retire").await?;
                let outcome = retire_model(&sender, router, model, network.mode()).await?;
                warn_dry(context, &network);
                done("retired", model, &outcome)
            }
            Action::Stop { which, network } => {
                let project = project()?;
                let model = which.model(context, project.as_ref()).await?;
                let rpc = network.connect(project.as_ref()).await?;
                let router = which.router.address(project.as_ref(), rpc.chain_id())?;
                let sender = network.sender(context, project.as_ref(), rpc, "model-stop").await?;
                let outcome = stop_model(&sender, router, model, network.mode()).await?;
                warn_dry(context, &network);
                done("stopped", model, &outcome)
            }
            Action::TransferOwnership { to, accept: _, router, network } => {
                let project = project()?;
                let rpc = network.connect(project.as_ref()).await?;
                let router = router.address(project.as_ref(), rpc.chain_id())?;
                let class = network.class(&rpc);
                let sender =
                    network.sender(context, project.as_ref(), rpc, "transfer-ownership").await?;
                let outcome =
                    transfer_ownership(&sender, router, to, class, network.mode()).await?;
                warn_dry(context, &network);
                let data = json!({ "router": router, "outcome": outcome_data(&outcome) });
                (format!("router       {router}  {}", outcome_text(&outcome)), data)
            }
        };
        context.ui.result(text, &data)
    }
}

fn warn_dry(context: &Context, network: &Network) {
    if network.is_dry() {
        context.ui.warn("nothing was sent; pass --broadcast to do it");
    }
}

fn done(what: &str, model: ModelId, outcome: &Outcome) -> (String, Value) {
    let text = format!("{what:<12} {model}  {}", outcome_text(outcome));
    (text, json!({ "model_id": model, "action": what, "outcome": outcome_data(outcome) }))
}

fn line(model: &ModelInfo) -> String {
    let route = model.route.map_or(String::new(), |route| format!("  {route}"));
    let batch = if model.takes_batches { "  batches" } else { "" };
    let each = match model.predictions {
        1 => String::new(),
        each => format!("  {each} predictions a proof"),
    };
    format!("{}  {}{route}{batch}{each}", model.id, status(model))
}

fn status(model: &ModelInfo) -> &'static str {
    match (model.status, model.stopped) {
        (Status::Active, Some(true)) => "stopped",
        (Status::Active, _) => "active",
        (Status::Retired, _) => "retired",
        (Status::Unknown, _) => "unknown",
    }
}

fn as_json(model: &ModelInfo) -> Value {
    json!({
        "model_id": model.id,
        "status": status(model),
        "route": model.route,
        "adapter": model.adapter,
        "verifier": model.verifier,
        "takes_batches": model.takes_batches,
        "takes_packed": model.takes_packed,
        "predictions": model.predictions,
        "engine_version": model.engine_version,
        "proof_length": model.proof_length,
        "instance_count": model.instance_count,
        "gas_cap": model.gas_cap,
    })
}
