//! `zkvouch deploy`

use super::{
    Context,
    opts::Network,
    verify_source::{self, VerifyOptions},
};
use crate::{
    chain::{
        ChainClass,
        contracts::{AddedModel, CoreRequest, DeployedCore, add_model, deploy_core},
        deploy::{Deployed, Deployer, Method, Outcome},
        deployments::Deployments,
        explorer::Connection,
        tx::Sender,
    },
    model::provenance::Provenance,
    project::Built,
};
use alloy::primitives::Address;
use clap::Args;
use eyre::{Result, eyre};
use serde_json::{Value, json};

/// zkvouch deploy
#[derive(Args, Debug)]
pub(super) struct Deploy {
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    options: DeployOptions,
    #[command(flatten)]
    verify: VerifyOptions,
}

/// What is deployed.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Deployment options")]
pub(super) struct DeployOptions {
    /// The bare verifier only, without router, ledger and route.
    #[arg(long)]
    direct: bool,
    /// Who owns the router, a timelock perhaps; the sender if absent.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "direct")]
    owner: Option<Address>,
    /// Put a timelock with this delay, in seconds, between the owner and the router.
    #[arg(long, value_name = "SECONDS", conflicts_with = "direct")]
    timelock_delay: Option<u64>,
    /// Give the model a guardian, who can stop it for good.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "direct")]
    guardian: Option<Address>,
    /// Have the proofs of a batch verified one by one, which costs more than all at once.
    #[arg(long)]
    no_batch: bool,
    /// Create the verifier by a plain transaction instead of the CREATE2 proxy.
    #[arg(long, requires = "direct")]
    create: bool,
}

impl Deploy {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        // What is not built is told before anybody waits for a node.
        let built = project.built(&context.ui.observer()).await?;
        let rpc = self.network.connect(&project).await?;
        let class = self.network.class(&rpc);
        for caveat in built.caveats() {
            context.ui.warn(caveat);
        }
        if class != ChainClass::Local && *built.provenance() == Provenance::Unrecognized {
            context
                .ui
                .warn("the SRS belongs to no known ceremony: whoever made it may forge proofs");
        }
        // Whether there is an explorer to ask is told before anything is sent.
        let explorer = self.verify.connect(rpc.chain_id(), class)?;
        let explorer = explorer.filter(|_| !self.network.is_dry());
        let sender = self.network.sender(context, &project, rpc, "deploy").await?;
        let mut deployer = Deployer::new(&sender, self.network.mode());
        let deployed = self.options.run(&built, &mut deployer, class).await?;
        if self.network.is_dry() {
            context.ui.warn("nothing was sent; pass --broadcast to deploy");
        }
        deployed.show(context, &sender, &built, explorer).await
    }
}

impl DeployOptions {
    /// Deploys what is not there yet.
    pub(super) async fn run(
        &self,
        built: &Built,
        deployer: &mut Deployer<'_>,
        class: ChainClass,
    ) -> Result<Everything> {
        let method = if self.create { Method::Create } else { Method::default() };
        let request = built.verifier_request(method, !self.no_batch, class);
        let verifier = deployer.verifier(&request).await?;
        let core = if self.direct {
            None
        } else {
            let owner = self.owner.unwrap_or_else(|| deployer.sender().address());
            let request = CoreRequest {
                owner,
                timelock_delay: self.timelock_delay,
                deployments: built.deployments().to_owned(),
                class,
            };
            let core = deploy_core(deployer, &request).await?;
            let address = verifier.address.ok_or_else(|| eyre!("the verifier has no address"))?;
            let batches = !self.no_batch;
            let request =
                built.add_model_request(core.core, address, batches, self.guardian, class)?;
            Some((core, add_model(deployer, &request).await?))
        };
        Ok(Everything { verifier, core })
    }
}

/// All that a deployment comes to.
#[derive(Debug)]
pub(super) struct Everything {
    verifier: Deployed,
    core: Option<(DeployedCore, AddedModel)>,
}

impl Everything {
    fn contracts(&self) -> Vec<&Deployed> {
        let mut contracts = vec![&self.verifier];
        if let Some((core, _)) = &self.core {
            contracts.extend(&core.timelock);
            contracts.extend([&core.implementation, &core.router, &core.ledger]);
        }
        contracts
    }

    /// Prints it; with an explorer, after having the sources verified.
    pub(super) async fn show(
        &self,
        context: &Context,
        sender: &Sender,
        built: &Built,
        explorer: Option<Connection>,
    ) -> Result<()> {
        let (text, mut data) = (self.text(), self.data(sender));
        let Some(explorer) = explorer else {
            return context.ui.result(text, &data);
        };
        let addresses: Vec<_> = self.contracts().iter().filter_map(|it| it.address).collect();
        let rpc = sender.rpc();
        let deployments = Deployments::read(built.deployments(), rpc.chain_id())?;
        let entries: Vec<_> =
            deployments.contracts.iter().filter(|it| addresses.contains(&it.address)).collect();
        let verifiers: Vec<_> =
            std::iter::once(built.verifier()).chain(built.batch_verifier()).collect();
        let sources = verify_source::verify(context, rpc, &explorer, &entries, &verifiers).await;
        data["sources"] = sources.data();
        let text = format!("{text}\n\n{}", sources.text());
        sources.result(context, text, &data)
    }

    /// A line a contract, and one for the route.
    pub(super) fn text(&self) -> String {
        let mut lines: Vec<_> = self
            .contracts()
            .into_iter()
            .map(|deployed| {
                let address =
                    deployed.address.map_or("no address yet".to_owned(), |at| at.to_string());
                format!("{:<17} {address}  {}", deployed.name, outcome_text(&deployed.outcome))
            })
            .collect();
        if let Some((_, model)) = &self.core {
            let route = model.route;
            lines.push(format!("{:<17} {route}  {}", "route", outcome_text(&model.outcome)));
        }
        lines.join("\n")
    }

    /// As JSON.
    pub(super) fn data(&self, sender: &Sender) -> Value {
        let contracts: Vec<_> = self
            .contracts()
            .into_iter()
            .map(|deployed| {
                json!({
                    "name": deployed.name,
                    "address": deployed.address,
                    "runtime_code_hash": deployed.runtime_code_hash,
                    "init_code_hash": deployed.init_code_hash,
                    "outcome": outcome_data(&deployed.outcome),
                })
            })
            .collect();
        let route = self.core.as_ref().map(
            |(_, model)| json!({ "address": model.route, "outcome": outcome_data(&model.outcome) }),
        );
        json!({
            "chain_id": sender.rpc().chain_id(),
            "from": sender.address(),
            "contracts": contracts,
            "route": route,
        })
    }
}

/// What became of a transaction, in a line.
pub(super) fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::AlreadyDone => "already there".to_owned(),
        Outcome::Simulated(simulation) => format!("would take about {} gas", simulation.gas),
        Outcome::Planned => "would follow".to_owned(),
        Outcome::Mined(receipt) => {
            format!("{} gas in block {}, {}", receipt.gas_used, receipt.block, receipt.hash)
        }
    }
}

/// What became of a transaction, as JSON.
pub(super) fn outcome_data(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::AlreadyDone => json!({ "status": "already_done" }),
        Outcome::Planned => json!({ "status": "planned" }),
        Outcome::Simulated(simulation) => json!({
            "status": "simulated",
            "gas": simulation.gas,
            "gas_limit": simulation.gas_limit,
            "max_cost_wei": simulation.max_cost.to_string(),
        }),
        Outcome::Mined(receipt) => json!({
            "status": "mined",
            "transaction": receipt.hash,
            "block": receipt.block,
            "from": receipt.from,
            "gas_used": receipt.gas_used,
            "cost_wei": receipt.cost().to_string(),
        }),
    }
}
