//! What a chain lacks, and who has power over a model there.

use super::super::caveat::Caveat;
use crate::chain::{
    ChainClass,
    fitness::{self, Missing},
    node::rpc::{self, Rpc, is_account},
};
use alloy::primitives::Address;

/// Where a model is to be deployed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Whose chain it is.
    pub class: ChainClass,
    /// Who is to own the router.
    pub owner: Option<Address>,
    /// Who can stop the model.
    pub guardian: Option<Address>,
    /// Whether there will be a router at all.
    pub routed: bool,
}

/// What is wrong with a chain as the place of a verifier. Who has power matters on a public one alone.
///
/// # Errors
/// If the node can't be asked.
pub async fn of_chain(rpc: &Rpc, target: &Target) -> Result<Vec<Caveat>, rpc::Error> {
    let missing = fitness::missing(rpc).await?;
    let mut caveats: Vec<_> = missing
        .into_iter()
        .map(|missing| match missing {
            Missing::Precompile { address, name } => Caveat::NoPrecompile { address, name },
            Missing::Opcode { name } => Caveat::NoOpcode { name },
        })
        .collect();
    if target.class == ChainClass::Local || !target.routed {
        return Ok(caveats);
    }
    if let Some(owner) = target.owner
        && is_account(&rpc.code(owner).await?)
    {
        caveats.push(Caveat::OwnerIsAccount { owner });
    }
    if target.guardian.is_none() {
        caveats.push(Caveat::NoGuardian);
    }
    Ok(caveats)
}
