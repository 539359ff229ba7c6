//! What a verifier costs, measured in the in-process EVM.

use crate::evm::{self, Evm, Hardfork};
use alloy::primitives::Bytes;
use serde::{Deserialize, Serialize};

/// Sizes and gas under the rules of one hardfork.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasReport {
    /// The rules under which the gas was measured.
    pub hardfork: Hardfork,
    /// The gas of a transaction that verifies a proof; `None` where there was no sample proof.
    pub verify_gas: Option<u64>,
    /// The gas of the dearest refusal that was found, which has bad points; `None` where there was no
    /// sample proof.
    #[serde(default)]
    pub refusal_gas: Option<u64>,
    /// What of it the calldata takes: 4 gas for a zero byte, 16 for another. (The floor of
    /// EIP-7623 lies far below what a verification costs.)
    pub calldata_gas: Option<u64>,
    /// The gas of the transaction that creates the contract.
    pub deploy_gas: u64,
    /// Bytes of runtime code.
    pub runtime_size: usize,
    /// Bytes of init code.
    pub init_size: usize,
    /// Bytes of a call's calldata.
    pub calldata_len: usize,
    /// The same with packed instances, where those of the sample fit their widths.
    #[serde(default)]
    pub packed_calldata_len: Option<usize>,
    /// The same transactions under each of [`Hardfork::REPORTED`].
    #[serde(default)]
    pub forks: Vec<ForkGas>,
}

/// What one hardfork charges for a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkGas {
    /// The rules.
    pub hardfork: Hardfork,
    /// The gas of a transaction that verifies a proof; `None` where there was no sample proof.
    pub verify_gas: Option<u64>,
    /// The same with packed instances, where those of the sample fit their widths.
    #[serde(default)]
    pub packed_gas: Option<u64>,
    /// The gas of the transaction that creates the contract.
    pub deploy_gas: u64,
    /// What of it is for state, in a gas of its own (EIP-8037); 0 before Amsterdam.
    pub deploy_state_gas: u64,
    /// Whether a chain takes code of this size.
    pub deployable: bool,
}

impl ForkGas {
    /// Runs the transactions under the rules of each reported fork: the creation, and the calls with
    /// this calldata, the second with packed instances.
    pub(super) fn measure(
        init_code: &Bytes,
        calldata: Option<&Bytes>,
        packed: Option<&Bytes>,
    ) -> evm::Result<Vec<Self>> {
        Hardfork::REPORTED
            .into_iter()
            .map(|hardfork| Self::under(hardfork, init_code, calldata, packed))
            .collect()
    }

    fn under(
        hardfork: Hardfork,
        init_code: &Bytes,
        calldata: Option<&Bytes>,
        packed: Option<&Bytes>,
    ) -> evm::Result<Self> {
        let mut evm = Evm::new(hardfork).without_limits();
        let deployed = evm.deploy(init_code.clone())?;
        let mut call = |calldata: &Bytes| {
            evm.call(deployed.address, calldata.clone(), evm.gas_limit()).map(|call| call.gas_used)
        };
        Ok(Self {
            hardfork,
            verify_gas: calldata.map(&mut call).transpose()?,
            packed_gas: packed.map(&mut call).transpose()?,
            deploy_gas: deployed.gas_used,
            deploy_state_gas: deployed.state_gas,
            deployable: hardfork.rules().takes_code(deployed.runtime_code.len(), init_code.len()),
        })
    }
}

impl GasReport {
    /// Whether the code fits the limits of a chain with these rules.
    pub fn is_deployable(&self) -> bool {
        self.hardfork.rules().takes_code(self.runtime_size, self.init_size)
    }
}

/// The gas for `calldata` at the standard price.
pub fn calldata_gas(calldata: &[u8]) -> u64 {
    let rules = Hardfork::Osaka.rules();
    rules.calldata(calldata).0 - rules.call
}
