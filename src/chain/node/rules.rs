//! By which hardfork's rules a node charges, which no node says by name.

use super::rpc::{Error, Result, Rpc};
use crate::evm::Hardfork;
use alloy::{
    eips::eip7910::{EthConfig, SystemContract},
    network::TransactionBuilder,
    primitives::Address,
    rpc::types::TransactionRequest,
};

/// As many zero bytes are priced to see what a byte of calldata costs at least.
const BYTES: usize = 1_024;

impl Rpc {
    /// The hardfork at the chain's head, as far as it matters to what a transaction may be: Amsterdam or later, or
    /// Osaka for all before it, whose limits are the tightest.
    ///
    /// `eth_config` (EIP-7910) tells by the system contracts. A node without it, or of a chain with contracts of its
    /// own, is asked what a byte of calldata costs: at least 64 gas from Amsterdam on (EIP-7976), at most 10 for a zero
    /// byte before.
    ///
    /// # Errors
    /// If the node doesn't answer.
    pub async fn hardfork(&self) -> Result<Hardfork> {
        match self.read::<_, EthConfig>("eth_config", ()).await {
            Ok(config) if names_builders(&config) => return Ok(Hardfork::Amsterdam),
            Ok(_) => {}
            // The method is missing, or the answer of another shape.
            Err(error) if error.is_missing_method() => {}
            Err(Error::Refused { message, .. }) => tracing::debug!(message, "no eth_config"),
            Err(error) => return Err(error),
        }
        let nobody = Address::repeat_byte(0x5a);
        let price = async |bytes: usize| {
            let request = TransactionRequest::default()
                .with_from(nobody)
                .with_to(nobody)
                .with_input(vec![0; bytes]);
            match self.estimate_gas(&request).await {
                Ok(gas) => Ok(Some(gas)),
                Err(Error::Refused { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let (Some(none), Some(some)) = (price(0).await?, price(BYTES).await?) else {
            return Ok(Hardfork::Osaka);
        };
        let rules = Hardfork::Amsterdam.rules();
        let half = rules.floor_zero_byte * BYTES as u64 / 2;
        Ok(if some.saturating_sub(none) > half { Hardfork::Amsterdam } else { Hardfork::Osaka })
    }
}

/// Amsterdam brings the contracts of EIP-8282.
fn names_builders(config: &EthConfig) -> bool {
    let contracts = &config.current.system_contracts;
    contracts.contains_key(&SystemContract::BuilderDepositContract)
        || contracts.contains_key(&SystemContract::BuilderExitContract)
}
