//! What happens to models on a chain: routes, retirements, stops, owners and predictions, from a block on, through reorganisations.

use super::{
    Result,
    contracts::{
        ask,
        bindings::{ModelRouter, ModelVerifier, Ownable, PredictionLedger},
    },
    node::rpc::{self, Rpc},
};
use crate::model::identity::ModelId;
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, TxHash, U256},
    rpc::types::{Block, Filter, Log},
    sol_types::SolEvent as _,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

/// Blocks whose hashes are kept: a reorganisation that goes deeper is told as one of unknown depth.
const REMEMBERED: usize = 256;
/// Of the blocks that are looked at together so many are remembered one by one.
const NEAR: u64 = 32;
/// Blocks that a node is asked for at once; fewer where it refuses so many.
const SPAN: u64 = 2_000;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A model got a route.
    ModelAdded {
        /// The model.
        model_id: ModelId,
        /// Its contract.
        verifier: Address,
    },
    /// A model was retired for good.
    ModelRetired {
        /// The model.
        model_id: ModelId,
    },
    /// A model was stopped for good.
    ModelStopped {
        /// The model.
        model_id: ModelId,
        /// Who stopped it.
        guardian: Address,
    },
    /// A guardian offers the power to stop a model.
    GuardianOffered {
        /// The model's contract.
        verifier: Address,
        /// To whom.
        to: Address,
    },
    /// A model has another guardian.
    GuardianChanged {
        /// The model's contract.
        verifier: Address,
        /// The new one.
        to: Address,
    },
    /// The router is offered to somebody.
    OwnershipOffered {
        /// To whom.
        to: Address,
    },
    /// The router has another owner.
    OwnershipTransferred {
        /// The new one; zero where the routes are frozen.
        to: Address,
    },
    /// A prediction was recorded.
    Prediction {
        /// The model.
        model_id: ModelId,
        /// The prediction's id.
        id: B256,
        /// Who recorded it.
        submitter: Address,
    },
    /// Predictions were recorded under one root.
    Batch {
        /// The model.
        model_id: ModelId,
        /// The root.
        root: B256,
        /// How many.
        count: usize,
        /// Who recorded them.
        submitter: Address,
    },
    /// Blocks that were looked at are no longer part of the chain. What happened in them is undone; what the new ones
    /// have comes after this.
    Reorganised {
        /// The last block that stays; the first one of the watch if none that is known does.
        stays: u64,
    },
}

/// An event, where it happened, and whether somebody should look at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The block's number.
    pub block: u64,
    /// The transaction; none of a reorganisation.
    pub transaction: Option<TxHash>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// Why somebody should look at it.
    pub alert: Option<&'static str>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}: ", self.block)?;
        match &self.event {
            Event::ModelAdded { model_id, verifier } => {
                write!(f, "the model {model_id} got a route, to {verifier}")
            }
            Event::ModelRetired { model_id } => {
                write!(f, "the model {model_id} was retired for good")
            }
            Event::ModelStopped { model_id, guardian } => {
                write!(f, "the model {model_id} was stopped for good by {guardian}")
            }
            Event::GuardianOffered { verifier, to } => {
                write!(f, "the power to stop {verifier} is offered to {to}")
            }
            Event::GuardianChanged { verifier, to } => {
                write!(f, "{to} is the guardian of {verifier} now")
            }
            Event::OwnershipOffered { to } => write!(f, "the router is offered to {to}"),
            Event::OwnershipTransferred { to } if to.is_zero() => {
                f.write_str("nobody owns the router any more: its routes are frozen")
            }
            Event::OwnershipTransferred { to } => write!(f, "{to} owns the router now"),
            Event::Prediction { model_id, id, submitter } => {
                write!(f, "{submitter} recorded the prediction {id} of {model_id}")
            }
            Event::Batch { model_id, root, count, submitter } => {
                write!(f, "{submitter} recorded {count} predictions of {model_id} under {root}")
            }
            Event::Reorganised { stays } => {
                write!(f, "the chain was reorganised; what was seen behind block {stays} is undone")
            }
        }?;
        match self.alert {
            Some(alert) => write!(f, " ({alert})"),
            None => Ok(()),
        }
    }
}

/// Where a watch is; what it takes to go on later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The chain's id.
    pub chain_id: u64,
    /// The router.
    pub router: Address,
    /// The ledger.
    pub ledger: Address,
    /// The next block to look at.
    pub next: u64,
    /// The first block that was looked at.
    first: u64,
    /// Hashes of blocks that were looked at, the oldest first.
    blocks: VecDeque<(u64, B256)>,
    /// Contracts of models, each with the block in which it got its route, and its model.
    models: BTreeMap<Address, (u64, ModelId)>,
    /// Models that nobody should predict with any more, and the block of their end.
    ended: BTreeMap<ModelId, u64>,
}

/// Watches a router, its models and its ledger.
#[derive(Debug)]
pub struct Watch {
    rpc: Rpc,
    at: Position,
    span: u64,
}

impl Watch {
    /// Begins at a block. Models that have a route already are asked for.
    ///
    /// # Errors
    /// If the node does not answer, or something else than a router is there.
    pub async fn new(rpc: Rpc, router: Address, ledger: Address, from: u64) -> Result<Self> {
        let mut models = BTreeMap::new();
        let count = ask(&rpc, router, &ModelRouter::modelCountCall {}).await?;
        let mut index = U256::ZERO;
        let mut ended = BTreeMap::new();
        // Of what ended after `from` there is an event.
        let begins_now = from >= rpc.block_number().await?;
        while index < count {
            let model = ask(&rpc, router, &ModelRouter::modelAtCall { index }).await?;
            let status = ask(&rpc, router, &ModelRouter::statusOfCall { modelId: model }).await?;
            // One that is retired has no route to ask for.
            match status {
                1 => {
                    let call = ModelRouter::verifierOfCall { modelId: model };
                    models.insert(ask(&rpc, router, &call).await?, (0, ModelId(model)));
                }
                _ if begins_now => drop(ended.insert(ModelId(model), 0)),
                _ => {}
            }
            index += U256::ONE;
        }
        let at = Position {
            chain_id: rpc.chain_id(),
            router,
            ledger,
            next: from,
            first: from,
            blocks: VecDeque::new(),
            models,
            ended,
        };
        Ok(Self { rpc, at, span: SPAN })
    }

    /// Goes on where another watch has stopped.
    pub fn resume(rpc: Rpc, at: Position) -> Self {
        Self { rpc, at, span: SPAN }
    }

    /// Where it is.
    pub fn position(&self) -> &Position {
        &self.at
    }

    /// What has happened since, in order, up to the newest block with so many on top of it. Nothing is forgotten where this
    /// fails: the next call begins at the same block.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn step(&mut self, confirmations: u64) -> Result<Vec<Seen>, rpc::Error> {
        let mut seen = Vec::new();
        let newest = self.rpc.block_number().await?;
        let Some(head) = newest.checked_sub(confirmations) else { return Ok(seen) };
        seen.extend(self.reorganisation().await?);
        while self.at.next <= head {
            let to = head.min(self.at.next + self.span - 1);
            match self.look(to).await {
                Ok(Some(found)) => seen.extend(found),
                // It was reorganised between two questions.
                Ok(None) => match self.reorganisation().await {
                    Ok(Some(found)) => seen.push(found),
                    // Only blocks that were not looked at are gone: the chain's end is asked for again.
                    Ok(None) => return Ok(seen),
                    Err(error) if seen.is_empty() => return Err(error),
                    Err(_) => return Ok(seen),
                },
                Err(rpc::Error::Refused { .. }) if self.span > 1 && to > self.at.next => {
                    self.span = (self.span / 4).max(1);
                }
                Err(error) if seen.is_empty() => return Err(error),
                // What was seen is told first; the next look meets with the error, if it lasts.
                Err(_) => return Ok(seen),
            }
        }
        Ok(seen)
    }

    async fn hash_of(&self, number: u64) -> Result<Option<B256>, rpc::Error> {
        let tag = BlockNumberOrTag::Number(number);
        let block: Option<Block> = self.rpc.read("eth_getBlockByNumber", (tag, false)).await?;
        Ok(block.map(|block| block.header.hash))
    }

    /// Goes back to the last block that the chain still has.
    async fn reorganisation(&mut self) -> Result<Option<Seen>, rpc::Error> {
        let Some((last, _)) = self.at.blocks.back().copied() else { return Ok(None) };
        let mut left = self.at.blocks.len();
        while let Some((number, hash)) = left.checked_sub(1).map(|at| self.at.blocks[at]) {
            if self.hash_of(number).await? == Some(hash) {
                break;
            }
            left -= 1;
        }
        if left == self.at.blocks.len() {
            return Ok(None);
        }
        // Nothing changes before all is known: an answer that fails to come loses nothing.
        self.at.blocks.truncate(left);
        let stays = match self.at.blocks.back() {
            Some((number, _)) => *number,
            None => self.at.first.saturating_sub(1),
        };
        self.at.next = stays + 1;
        self.at.models.retain(|_, (block, _)| *block <= stays);
        self.at.ended.retain(|_, block| *block <= stays);
        Ok(Some(Seen {
            block: last,
            transaction: None,
            event: Event::Reorganised { stays },
            alert: Some("blocks that were seen are gone"),
        }))
    }

    /// The events up to a block; nothing if that block changed meanwhile.
    async fn look(&mut self, to: u64) -> Result<Option<Vec<Seen>>, rpc::Error> {
        let Some(hash) = self.hash_of(to).await? else { return Ok(None) };
        let logs = self.logs(to).await?;
        if self.hash_of(to).await? != Some(hash) {
            return Ok(None);
        }
        let mut seen = Vec::new();
        let mut added = false;
        for log in &logs {
            let Some(event) = self.read(log) else { continue };
            added |= matches!(event, Event::ModelAdded { .. });
            seen.extend(self.note(log, event));
        }
        // A model that was added here may have been stopped here, too.
        if added {
            let known: BTreeSet<_> =
                logs.iter().filter_map(|log| Some((log.block_number?, log.log_index?))).collect();
            let place = |log: &Log| log.block_number.zip(log.log_index);
            for log in self.logs(to).await? {
                if place(&log).is_some_and(|place| !known.contains(&place))
                    && let Some(event) = self.read(&log)
                {
                    seen.extend(self.note(&log, event));
                }
            }
            seen.sort_by_key(|seen| seen.block);
        }
        // The last blocks one by one, so that a small reorganisation is told as one.
        let mut near = Vec::new();
        for number in self.at.next.max(to.saturating_sub(NEAR))..to {
            match self.hash_of(number).await? {
                Some(hash) => near.push((number, hash)),
                None => return Ok(None),
            }
        }
        self.at.blocks.extend(near);
        self.at.blocks.push_back((to, hash));
        self.at.next = to + 1;
        let surplus = self.at.blocks.len().saturating_sub(REMEMBERED);
        self.at.blocks.drain(..surplus);
        Ok(Some(seen))
    }

    async fn logs(&self, to: u64) -> Result<Vec<Log>, rpc::Error> {
        let mut addresses = vec![self.at.router, self.at.ledger];
        addresses.extend(self.at.models.keys());
        let filter = Filter::new().address(addresses).from_block(self.at.next).to_block(to);
        let mut logs: Vec<Log> = self.rpc.read("eth_getLogs", (filter,)).await?;
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        Ok(logs)
    }

    fn read(&self, log: &Log) -> Option<Event> {
        let (address, inner) = (log.address(), &log.inner);
        macro_rules! event {
            ($kind:ty) => {
                <$kind>::decode_log(inner).ok().map(|log| log.data)
            };
        }
        if address == self.at.router {
            if let Some(it) = event!(ModelRouter::ModelAdded) {
                return Some(Event::ModelAdded {
                    model_id: ModelId(it.modelId),
                    verifier: it.verifier,
                });
            }
            if let Some(it) = event!(ModelRouter::ModelRetiredForGood) {
                return Some(Event::ModelRetired { model_id: ModelId(it.modelId) });
            }
            if let Some(it) = event!(Ownable::OwnershipTransferStarted) {
                return Some(Event::OwnershipOffered { to: it.newOwner });
            }
            return event!(Ownable::OwnershipTransferred)
                .map(|it| Event::OwnershipTransferred { to: it.newOwner });
        }
        if address == self.at.ledger {
            if let Some(it) = event!(PredictionLedger::PredictionRecorded) {
                let model_id = ModelId(it.modelId);
                return Some(Event::Prediction { model_id, id: it.id, submitter: it.submitter });
            }
            return event!(PredictionLedger::BatchRecorded).map(|it| Event::Batch {
                model_id: ModelId(it.modelId),
                root: it.root,
                count: it.ids.len(),
                submitter: it.submitter,
            });
        }
        if let Some(it) = event!(ModelVerifier::ModelStoppedForGood) {
            return Some(Event::ModelStopped {
                model_id: ModelId(it.modelId),
                guardian: it.guardian,
            });
        }
        if let Some(it) = event!(ModelVerifier::GuardianOffered) {
            return Some(Event::GuardianOffered { verifier: address, to: it.next });
        }
        event!(ModelVerifier::GuardianChanged)
            .map(|it| Event::GuardianChanged { verifier: address, to: it.next })
    }

    /// Remembers what an event changes, and says whether somebody should look at it.
    fn note(&mut self, log: &Log, event: Event) -> Option<Seen> {
        let block = log.block_number?;
        let alert = match &event {
            Event::ModelAdded { model_id, verifier } => {
                self.at.models.insert(*verifier, (block, *model_id));
                Some("compare it with what was built: zkvouch attest")
            }
            Event::ModelRetired { model_id } => {
                self.at.ended.insert(*model_id, block);
                Some("its predictions can't be verified any more")
            }
            Event::ModelStopped { model_id, .. } => {
                self.at.ended.insert(*model_id, block);
                Some("its predictions can't be verified or recalled any more")
            }
            Event::GuardianOffered { .. } | Event::GuardianChanged { .. } => {
                Some("somebody else may stop the model")
            }
            Event::OwnershipOffered { .. } | Event::OwnershipTransferred { .. } => {
                Some("somebody else may choose the verifiers")
            }
            Event::Prediction { model_id, .. } | Event::Batch { model_id, .. } => {
                let ended = self.at.ended.get(model_id).is_some_and(|end| *end <= block);
                ended.then_some("the model was retired or stopped before")
            }
            Event::Reorganised { .. } => None,
        };
        Some(Seen { block, transaction: log.transaction_hash, event, alert })
    }
}
