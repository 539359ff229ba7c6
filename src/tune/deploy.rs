//! What a chain takes of a circuit's verifier, told before there is a key.

use super::cost::Cost;
use crate::evm::Hardfork;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest transaction that nodes pass on, in bytes, with room for its other fields.
pub const TRANSACTION: u64 = (128 << 10) - 512;
/// Code and gas are estimates: a circuit must keep to a limit with so much room.
const ROOM: f64 = 1.12;

/// What a chain takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChainLimits {
    /// Bytes of runtime code.
    pub code: u64,
    /// Gas of a transaction.
    pub gas: u64,
    /// Bytes of calldata.
    pub calldata: u64,
    /// Whether the verifier is a lean one, rather than ezkl's own.
    pub lean: bool,
}

impl ChainLimits {
    /// The limits of chains with these rules, for a lean verifier or for ezkl's own.
    pub fn new(hardfork: Hardfork, lean: bool) -> Self {
        let rules = hardfork.rules();
        let (code, gas) = (rules.runtime_code as u64, rules.transaction_gas);
        Self { code, gas, calldata: TRANSACTION, lean }
    }

    /// By what a circuit of this cost may exceed the limits most.
    pub(super) fn excess(&self, cost: &Cost) -> Option<Excess> {
        self.excess_at(cost, ROOM)
    }

    /// By what a circuit of this cost exceeds the limits most, however much the estimates are off.
    pub fn sure_excess(&self, cost: &Cost) -> Option<Excess> {
        self.excess_at(cost, 1.0 / ROOM)
    }

    fn excess_at(&self, cost: &Cost, factor: f64) -> Option<Excess> {
        let times = |estimate: u64| (estimate as f64 * factor) as u64;
        let (code, gas) = match self.lean {
            true => (cost.code_bytes, cost.lean_gas),
            false => (cost.ezkl_code_bytes, cost.verify_gas),
        };
        let all = [
            (What::Code, times(code), self.code),
            (What::Gas, times(gas), self.gas),
            (What::Calldata, cost.calldata_bytes, self.calldata),
        ];
        let beyond = all.into_iter().map(|(what, needed, limit)| Excess { what, needed, limit });
        beyond
            .filter(|excess| excess.needed > excess.limit)
            .max_by(|a, b| a.factor().total_cmp(&b.factor()))
    }

    /// Whether the lean verifier of many proofs, where there is to be one, has room, too.
    pub(super) fn takes_batches(&self, cost: &Cost) -> bool {
        !self.lean || cost.batch_code_bytes as f64 * ROOM <= self.code as f64
    }
}

impl Default for ChainLimits {
    /// A lean verifier on a chain of today.
    fn default() -> Self {
        Self::new(Hardfork::default(), true)
    }
}

/// What speaks against deploying a circuit's verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Which limit.
    pub what: What,
    /// What the circuit is expected to need, with the uncertainty of an estimate added (or taken off, by
    /// [`ChainLimits::sure_excess`]).
    pub needed: u64,
    /// What a chain takes.
    pub limit: u64,
}

impl Excess {
    pub(super) fn factor(&self) -> f64 {
        self.needed as f64 / self.limit as f64
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, needed, limit } = self;
        let (unit, help) = match what {
            What::Code => (
                "bytes of verifier code",
                "fewer blocks of columns (a larger `max_logrows`), or a smaller model",
            ),
            What::Gas => (
                "gas to verify",
                "hashed inputs or outputs (`input_visibility = \"hashed\"`), fewer outputs, or a \
                 smaller model",
            ),
            What::Calldata => (
                "bytes of calldata",
                "hashed inputs (`input_visibility = \"hashed\"`), fewer outputs, or a smaller model",
            ),
        };
        write!(f, "about {needed} {unit}, and a chain takes {limit}; what helps: {help}")
    }
}

/// A limit of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Bytes of the verifier's runtime code (EIP-170).
    Code,
    /// Gas of a transaction (EIP-7825).
    Gas,
    /// Bytes of a transaction's calldata.
    Calldata,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lean() -> ChainLimits {
        ChainLimits::new(Hardfork::Osaka, true)
    }

    fn ezkl() -> ChainLimits {
        ChainLimits::new(Hardfork::Osaka, false)
    }

    #[test]
    fn the_limit_that_is_exceeded_most_is_named_with_what_helps() {
        let fits = Cost {
            code_bytes: 20_000,
            batch_code_bytes: 24_000,
            lean_gas: 1_000_000,
            calldata_bytes: 30_000,
            ..Cost::default()
        };
        assert_eq!(lean().excess(&fits), None);
        assert!(!lean().takes_batches(&fits) && ezkl().takes_batches(&fits));
        let large = Cost { code_bytes: 24_000, ..fits };
        let excess = lean().excess(&large).expect("the estimate may be 12 % too low");
        assert_eq!(excess, Excess { what: What::Code, needed: 26_880, limit: 24_576 });
        assert_eq!(ezkl().excess(&large), None);
        let long_code = Cost { ezkl_code_bytes: 30_000, ..fits };
        assert_eq!(lean().excess(&long_code), None);
        let excess = ezkl().excess(&long_code).expect("beyond");
        assert_eq!((excess.what, excess.needed), (What::Code, 33_600));
        assert_eq!(lean().sure_excess(&large), None);
        let larger = Cost { code_bytes: 30_000, ..fits };
        assert!(lean().sure_excess(&larger).is_some_and(|it| it.needed > 26_000));
        assert_eq!(ChainLimits::new(Hardfork::Amsterdam, true).excess(&larger), None);
        let long = Cost { calldata_bytes: 196 << 10, ..large };
        let excess = lean().excess(&long).expect("beyond");
        assert_eq!(excess.what, What::Calldata);
        let message = excess.to_string();
        assert!(message.contains("200704 bytes") && message.contains("hashed inputs"), "{message}");
        let dear = Cost { lean_gas: 60_000_000, ..long };
        assert_eq!(lean().excess(&dear).map(|excess| excess.what), Some(What::Gas));
    }
}
