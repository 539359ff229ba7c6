//! What is allowed on which chain.

use super::{Error, Result, node::anvil::ANVIL_CHAIN_ID};
use crate::model::provenance::Provenance;

/// Whether only we use the chain: Anvil's own id, or the user says so.
pub fn is_local(chain_id: u64, declared: bool) -> bool {
    chain_id == ANVIL_CHAIN_ID || declared
}

/// Refuses an SRS whose secret somebody may know on a chain that others use.
pub fn check_srs(srs: &Provenance, chain_id: u64, declared_local: bool) -> Result<()> {
    if srs.is_unsafe() && !is_local(chain_id, declared_local) {
        return Err(Error::UnsafeSrs { chain_id });
    }
    if *srs == Provenance::Unrecognized && !is_local(chain_id, declared_local) {
        tracing::warn!(
            chain_id,
            "the SRS belongs to no known ceremony: its maker may forge proofs"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_development_srs_stays_on_local_chains() {
        assert!(check_srs(&Provenance::UnsafeDev, ANVIL_CHAIN_ID, false).is_ok());
        assert!(check_srs(&Provenance::UnsafeDev, 1337, true).is_ok());
        let error = check_srs(&Provenance::UnsafeDev, 11155111, false).expect_err("a public chain");
        assert!(error.to_string().contains("11155111"), "{error}");
        let ceremony = Provenance::Ceremony("ppot-0078".into());
        assert!(check_srs(&ceremony, 1, false).is_ok());
    }
}
