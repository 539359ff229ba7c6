//! What is allowed on which chain.

use super::{Error, Result, account::ANVIL_ADDRESSES, node::anvil::ANVIL_CHAIN_ID};
use crate::model::provenance::Provenance;
use alloy::primitives::Address;

/// Whose chain it is, and what its user takes upon themselves there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainClass {
    /// Only whoever started it uses it.
    Local,
    /// Others may rely on what is deployed there.
    Public {
        /// The user accepts an SRS that belongs to no known ceremony.
        unknown_srs: bool,
    },
}

impl ChainClass {
    /// The class of a chain: local if its id is Anvil's, or if the user says so.
    pub fn of(chain_id: u64, declared_local: bool, unknown_srs: bool) -> Self {
        if chain_id == ANVIL_CHAIN_ID || declared_local {
            Self::Local
        } else {
            Self::Public { unknown_srs }
        }
    }

    /// Refuses an SRS whose secret somebody knows, or, unless the user accepts that, may know.
    ///
    /// # Errors
    /// [`Error::UnsafeSrs`] and [`Error::UnknownSrs`].
    pub fn check_srs(self, srs: &Provenance, chain_id: u64) -> Result<()> {
        match (self, srs) {
            (Self::Local, _) | (_, Provenance::Ceremony(_)) => Ok(()),
            (Self::Public { .. }, Provenance::UnsafeDev) => Err(Error::UnsafeSrs { chain_id }),
            (Self::Public { unknown_srs: true }, Provenance::Unrecognized) => Ok(()),
            (Self::Public { .. }, Provenance::Unrecognized) => Err(Error::UnknownSrs { chain_id }),
        }
    }

    /// Refuses to give power to an account whose key everybody has, or that nobody has.
    ///
    /// # Errors
    /// [`Error::PublicAccount`].
    pub fn check_power(self, account: Address, role: &'static str, chain_id: u64) -> Result<()> {
        let everybodys = ANVIL_ADDRESSES.contains(&account);
        if account.is_zero() || (everybodys && self != Self::Local) {
            return Err(Error::PublicAccount { account, role, chain_id });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEPOLIA: u64 = 11_155_111;

    #[test]
    fn an_srs_that_somebody_may_know_stays_on_local_chains() {
        let class = |chain, declared| ChainClass::of(chain, declared, false);
        let check = |class: ChainClass, srs: &Provenance| class.check_srs(srs, SEPOLIA);
        let ceremony = Provenance::Ceremony("ppot-0078".into());
        for srs in [&Provenance::UnsafeDev, &Provenance::Unrecognized, &ceremony] {
            assert!(check(class(ANVIL_CHAIN_ID, false), srs).is_ok());
            assert!(check(class(1337, true), srs).is_ok());
        }
        let public = class(SEPOLIA, false);
        assert!(check(public, &ceremony).is_ok());
        let error = check(public, &Provenance::UnsafeDev).expect_err("its tau is public");
        assert!(error.to_string().contains("11155111"), "{error}");
        let error = check(public, &Provenance::Unrecognized).expect_err("nobody knows it");
        assert!(error.to_string().contains("--allow-unknown-srs"), "{error}");
        let accepted = ChainClass::of(SEPOLIA, false, true);
        assert!(check(accepted, &Provenance::Unrecognized).is_ok());
        assert!(check(accepted, &Provenance::UnsafeDev).is_err(), "never a known one");
    }

    #[test]
    fn power_is_for_accounts_of_somebodys_own() {
        let public = ChainClass::of(SEPOLIA, false, false);
        let check = |class: ChainClass, account| class.check_power(account, "owner", SEPOLIA);
        for account in ANVIL_ADDRESSES {
            assert!(check(public, account).is_err());
            assert!(check(ChainClass::Local, account).is_ok());
        }
        assert!(check(public, Address::repeat_byte(7)).is_ok());
        for class in [public, ChainClass::Local] {
            assert!(check(class, Address::ZERO).is_err());
        }
    }
}
