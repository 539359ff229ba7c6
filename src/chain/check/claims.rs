//! Claims about a model, and what became of them.

use crate::model::identity::{ModelId, ModelIdentity};
use alloy::primitives::{Address, B256};
use serde::Serialize;

/// What a claim is about; in JSON its name in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The router is this release's `ModelRouter`.
    Router,
    /// It serves the model.
    Route,
    /// Nobody has stopped the model.
    NotStopped,
    /// The model's contract is a clone of this release's `ModelVerifier`.
    Adapter,
    /// The router made it, from the arguments that stand in its code: its address commits to them.
    AdapterAddress,
    /// The id is the hash of the parts and the descriptor.
    ModelId,
    /// The compact schema is the descriptor's, and its counts add up to the number of instances.
    Descriptor,
    /// The model's contract says that it checks proofs.
    Selector,
    /// The verifier's code has the hash that the model's contract pins.
    Verifier,
    /// Nobody is known to know the secret of the trusted setup that the code is made with.
    Setup,
    /// The proof that the route was added with is accepted, and mutants of it are refused, by each of the verifier's
    /// functions.
    GoldenProof,
    /// The verifier was generated from the verifying key in the id, and that from the ONNX file.
    Circuit,
    /// This release's ledger records for the router.
    Ledger,
    /// Who adds and retires models is not everybody.
    Owner,
    /// The ownership is not on its way to somebody else.
    OwnerStays,
    /// Who can stop the model is not everybody.
    Guardian,
}

impl Topic {
    /// All, in the order of the result.
    pub const ALL: [Self; 16] = [
        Self::Router,
        Self::Route,
        Self::NotStopped,
        Self::Adapter,
        Self::AdapterAddress,
        Self::ModelId,
        Self::Descriptor,
        Self::Selector,
        Self::Verifier,
        Self::Setup,
        Self::GoldenProof,
        Self::Circuit,
        Self::Ledger,
        Self::Owner,
        Self::OwnerStays,
        Self::Guardian,
    ];

    /// A few words for it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Route => "route",
            Self::NotStopped => "not stopped",
            Self::Adapter => "adapter",
            Self::AdapterAddress => "adapter address",
            Self::ModelId => "model id",
            Self::Descriptor => "descriptor",
            Self::Selector => "selector",
            Self::Verifier => "verifier",
            Self::Setup => "trusted setup",
            Self::GoldenProof => "golden proof",
            Self::Circuit => "circuit",
            Self::Ledger => "ledger",
            Self::Owner => "owner",
            Self::OwnerStays => "owner stays",
            Self::Guardian => "guardian",
        }
    }
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The chain shows it.
    Holds,
    /// The chain shows the contrary.
    Fails,
    /// The chain does not show it.
    Unknown,
}

impl Verdict {
    /// A line for people: the verdict, what the claim is about, and what was found.
    pub fn line(self, title: &str, detail: &str) -> String {
        let verdict = match self {
            Self::Holds => "holds",
            Self::Fails => "FAILS",
            Self::Unknown => "unknown",
        };
        format!("{verdict:<8} {title:<16} {detail}")
    }
}

/// A claim with its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// What the claim is about.
    pub claim: Topic,
    /// What became of it.
    pub verdict: Verdict,
    /// What was found, in words for people.
    pub detail: String,
}

/// What was found out about a model. An address or another value is there if code of this release named
/// it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ModelCheck {
    /// The id that was asked about.
    pub model_id: ModelId,
    /// The chain's id, as the node says.
    pub chain_id: u64,
    /// The block whose state all this is.
    pub block: u64,
    /// The router that was asked, as the caller named it.
    pub router: Address,
    /// What the router points to.
    pub route: Option<Address>,
    /// What the route is a clone of.
    pub implementation: Option<Address>,
    /// The bare verifier that the model's contract calls.
    pub verifier: Option<Address>,
    /// keccak256 of its code.
    pub verifier_code_hash: Option<B256>,
    /// How many predictions a proof is of.
    pub predictions: Option<u32>,
    /// What the id is made of.
    pub identity: Option<ModelIdentity>,
    /// The name of the ceremony, or of the unsafe setup, that the verifier's code shows.
    pub ceremony: Option<String>,
    /// Who owns the router: an account, or a timelock.
    pub owner: Option<Address>,
    /// To whom the router is offered.
    pub pending_owner: Option<Address>,
    /// The delay of the timelock that owns the router, in seconds.
    pub timelock_delay: Option<u64>,
    /// Who can stop the model.
    pub guardian: Option<Address>,
    /// All claims, in the order of [`Topic::ALL`].
    pub claims: Vec<Claim>,
}

impl ModelCheck {
    pub(super) fn new(model_id: ModelId, chain_id: u64, block: u64, router: Address) -> Self {
        Self {
            model_id,
            chain_id,
            block,
            router,
            route: None,
            implementation: None,
            verifier: None,
            verifier_code_hash: None,
            predictions: None,
            identity: None,
            ceremony: None,
            owner: None,
            pending_owner: None,
            timelock_delay: None,
            guardian: None,
            claims: Vec::new(),
        }
    }

    pub(super) fn holds(&mut self, claim: Topic, detail: impl Into<String>) {
        self.say(claim, Verdict::Holds, detail);
    }

    pub(super) fn fails(&mut self, claim: Topic, detail: impl Into<String>) {
        self.say(claim, Verdict::Fails, detail);
    }

    pub(super) fn unknown(&mut self, claim: Topic, detail: impl Into<String>) {
        self.say(claim, Verdict::Unknown, detail);
    }

    pub(super) fn say(&mut self, claim: Topic, verdict: Verdict, detail: impl Into<String>) {
        self.claims.push(Claim { claim, verdict, detail: detail.into() });
    }

    /// Puts the claims in order, and says of those that were not reached that nothing is known.
    pub(super) fn finish(mut self) -> Self {
        for topic in Topic::ALL {
            if self.verdict(topic).is_none() {
                self.unknown(topic, "what it rests on does not hold");
            }
        }
        self.claims.sort_by_key(|it| it.claim as usize);
        self
    }

    /// What became of a claim.
    pub fn verdict(&self, topic: Topic) -> Option<Verdict> {
        self.claims.iter().find(|it| it.claim == topic).map(|it| it.verdict)
    }

    /// How many claims have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.claims.iter().filter(|it| it.verdict == verdict).count()
    }
}
