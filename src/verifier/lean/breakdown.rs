//! Where the gas goes, phase by phase.
//!
//! Computed by running the printed assembly on a proof and pricing each operation as the EVM of
//! Osaka does. The compiler's own choices (the dispatcher, a DUP more or less) are not in it: they
//! are what a measured total has beyond the sum.

use super::{concrete::Concrete, generate::Generated};
use crate::evm::Hardfork;
use serde::{Deserialize, Serialize};

/// Gas of one phase of the verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PhaseGas {
    /// The phase, as the source names it.
    pub phase: String,
    /// Its gas, but for what the other two fields have.
    pub gas: u64,
}

/// Gas of one verification by phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Breakdown {
    /// What every transaction costs.
    pub transaction: u64,
    /// 16 gas for each byte of calldata, 4 for a zero.
    pub calldata: u64,
    /// The phases of the code, in the order in which they run.
    pub phases: Vec<PhaseGas>,
    /// All calls of ecMul and ecAdd.
    pub points: u64,
    /// The pairing of two pairs of points, with its call.
    pub pairing: u64,
    /// What no verifier of these proofs can avoid: transaction, calldata, points and pairing.
    pub floor: u64,
}

impl Breakdown {
    /// The sum of all parts.
    pub fn total(&self) -> u64 {
        self.floor + self.phases.iter().map(|phase| phase.gas).sum::<u64>()
    }

    pub(crate) fn new(generated: &Generated, run: &Concrete, calldata: &[u8]) -> Self {
        let mut phases = vec![PhaseGas { phase: "start".into(), gas: 0 }];
        let (mut points, mut pairing) = (0, 0);
        // Line 1 of the run is the brace before the body.
        for (index, line) in generated.body.lines().enumerate() {
            if let Some(title) = line.trim().strip_prefix("// ---- ") {
                let phase = title.split(':').next().unwrap_or(title).to_owned();
                phases.push(PhaseGas { phase, gas: 0 });
            }
            if let (Some(gas), Some(phase)) = (run.gas.get(&(index + 2)), phases.last_mut()) {
                phase.gas += gas.other;
                points += gas.points;
                pairing += gas.pairing;
            }
        }
        let transaction = Hardfork::Osaka.rules().call;
        let calldata = crate::verifier::report::calldata_gas(calldata);
        let floor = transaction + calldata + points + pairing;
        Self { transaction, calldata, phases, points, pairing, floor }
    }
}
