//! Going through the claims, each on what the ones before have shown.

use super::{
    claims::{ModelCheck, Topic, Verdict},
    state::ChainState,
};
use crate::{
    chain::{
        ChainClass, Result,
        contracts::{
            Name, artifact,
            bindings::{ModelRouter, ModelVerifier, PredictionLedger, TimelockController},
            former, ledger_of, router_contract,
        },
        create2,
        node::rpc::{Rpc, is_account},
    },
    model::identity::ModelId,
};
use alloy::primitives::{Address, keccak256};

/// Checks every claim about a model that the chain can show.
///
/// # Errors
/// Only where the node does not answer; whatever is wrong with the contracts is a verdict.
pub async fn check_model(
    rpc: &Rpc,
    router: Address,
    model: ModelId,
    class: ChainClass,
) -> Result<ModelCheck> {
    let chain = ChainState::newest(rpc).await?;
    let check = ModelCheck::new(model, rpc.chain_id(), chain.block, router);
    let mut run = Run { chain, check, class };
    run.circuit();
    if let Some(route) = run.router().await? {
        run.model(route).await?;
    }
    Ok(run.check.finish())
}

/// A check under way.
pub(super) struct Run<'a> {
    pub(super) chain: ChainState<'a>,
    pub(super) check: ModelCheck,
    class: ChainClass,
}

impl Run<'_> {
    /// What no chain can show.
    fn circuit(&mut self) {
        self.check.unknown(
            Topic::Circuit,
            "the chain has hashes of the ONNX file and the keys, not the files: build the model, and compare its id and \
             its verifier's code hash with these",
        );
    }

    /// The router, its owner and its ledger; where it sends the model.
    async fn router(&mut self) -> Result<Option<Address>> {
        let (router, model) = (self.check.router, self.check.model_id);
        let code = self.chain.code(router).await?;
        if code.is_empty() {
            self.check.fails(
                Topic::Router,
                format!("no contract is at {router}; it is an account, or is on another chain"),
            );
            return Ok(None);
        }
        if keccak256(&code) == former::ROUTER_CODE_HASH {
            self.check.unknown(
                Topic::Router,
                format!(
                    "{router} is the ModelRouter of zkvouch 0.2 before models were clones; it goes on working, and that \
                     release checks its models"
                ),
            );
            return Ok(None);
        }
        if !artifact(Name::ModelRouter).is_code(&code) {
            self.check.fails(
                Topic::Router,
                format!("the code at {router} is not this release's ModelRouter, so its word is no evidence"),
            );
            return Ok(None);
        }
        self.owner(router).await?;
        self.ledger(router).await?;
        let status =
            self.chain.ask_ours(router, &ModelRouter::statusOfCall { modelId: model.0 }).await?;
        match status {
            1 => {}
            2 => {
                self.check.fails(
                    Topic::Route,
                    "the model was retired for good; the router keeps no trace of its verifier",
                );
                return Ok(None);
            }
            _ => {
                self.check.fails(Topic::Route, "the router was never given this model");
                return Ok(None);
            }
        }
        let call = ModelRouter::verifierOfCall { modelId: model.0 };
        let route = self.chain.ask_ours(router, &call).await?;
        self.check.route = Some(route);
        self.check.holds(Topic::Route, format!("{route}, for good unless it is retired"));
        Ok(Some(route))
    }

    async fn owner(&mut self, router: Address) -> Result<()> {
        let owner = self.chain.ask_ours(router, &ModelRouter::ownerCall {}).await?;
        let pending = self.chain.ask_ours(router, &ModelRouter::pendingOwnerCall {}).await?;
        self.check.owner = Some(owner);
        let made = create2::address(create2::SALT, &router_contract(owner).init_code) == router;
        let detail = match made {
            true => format!("{router}, made by its constructor for its present owner"),
            false => format!("{router}; its owner is not the one it was made for"),
        };
        self.check.holds(Topic::Router, detail);
        let (verdict, detail) = self.power(owner, "the routes are frozen").await?;
        self.check.say(Topic::Owner, verdict, detail);
        let code = self.chain.code(owner).await?;
        self.check.timelock_delay = self.delay(owner, &code).await?;
        self.pending(Topic::OwnerStays, pending);
        Ok(())
    }

    /// Whether an account that has power is not everybody's, and what it is.
    async fn power(&self, account: Address, without: &str) -> Result<(Verdict, String)> {
        if account.is_zero() {
            return Ok((Verdict::Holds, format!("nobody any more: {without}")));
        }
        if self.class.check_power(account, "owner", self.check.chain_id).is_err() {
            let detail = format!("{account} is one of Anvil's accounts, whose keys everybody has");
            return Ok((Verdict::Fails, detail));
        }
        let code = self.chain.code(account).await?;
        if let Some(delay) = self.delay(account, &code).await? {
            let detail = format!(
                "{account}, a timelock of {delay} s; its RoleGranted events name its proposers"
            );
            return Ok((Verdict::Holds, detail));
        }
        Ok(match is_account(&code) {
            true => (Verdict::Holds, format!("{account}, an account, which acts at once")),
            false => {
                (Verdict::Unknown, format!("{account}, a contract that is none of this release's"))
            }
        })
    }

    /// A timelock's delay in seconds, if the account is one of this release's.
    async fn delay(&self, account: Address, code: &[u8]) -> Result<Option<u64>> {
        if !artifact(Name::TimelockController).is_code(code) {
            return Ok(None);
        }
        let delay = self.chain.ask_ours(account, &TimelockController::getMinDelayCall {}).await?;
        Ok(Some(u64::try_from(delay).unwrap_or(u64::MAX)))
    }

    fn pending(&mut self, topic: Topic, pending: Address) {
        if pending.is_zero() {
            return self.check.holds(topic, "it is offered to nobody");
        }
        if topic == Topic::OwnerStays {
            self.check.pending_owner = Some(pending);
        }
        match self.class.check_power(pending, "new owner", self.check.chain_id) {
            Ok(()) => self
                .check
                .unknown(topic, format!("it is offered to {pending}, who may take it at any time")),
            Err(_) => self.check.fails(
                topic,
                format!(
                    "it is offered to {pending}, one of Anvil's accounts, whose keys everybody has"
                ),
            ),
        }
    }

    async fn ledger(&mut self, router: Address) -> Result<()> {
        let ledger = ledger_of(router);
        let code = self.chain.code(ledger).await?;
        if code.is_empty() {
            self.check.unknown(Topic::Ledger, format!("none of this release's is at {ledger}"));
        } else if !artifact(Name::PredictionLedger).is_code(&code) {
            self.check.fails(
                Topic::Ledger,
                format!("the code at {ledger} is not this release's PredictionLedger"),
            );
        } else {
            let asks = self.chain.ask_ours(ledger, &PredictionLedger::routerCall {}).await?;
            match asks == router {
                true => self.check.holds(Topic::Ledger, ledger.to_string()),
                false => {
                    self.check.fails(Topic::Ledger, format!("{ledger} asks the router {asks}"))
                }
            }
        }
        Ok(())
    }

    /// Who can stop the model, and whether somebody did.
    pub(super) async fn guardian(&mut self, route: Address) -> Result<()> {
        let guardian = self.chain.ask_ours(route, &ModelVerifier::guardianCall {}).await?;
        let pending = self.chain.ask_ours(route, &ModelVerifier::pendingGuardianCall {}).await?;
        self.check.guardian = Some(guardian);
        match self.chain.ask_ours(route, &ModelVerifier::stoppedCall {}).await? {
            true => {
                self.check.fails(Topic::NotStopped, "its guardian stopped it, for good");
            }
            false => self.check.holds(Topic::NotStopped, "by its guardian"),
        }
        match self.power(guardian, "the model can't be stopped").await? {
            (Verdict::Holds, _) if !pending.is_zero() => self.pending(Topic::Guardian, pending),
            (verdict, detail) => self.check.say(Topic::Guardian, verdict, detail),
        }
        Ok(())
    }
}
