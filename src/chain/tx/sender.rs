//! Simulating and pricing.

use super::{Call, Error, Result, Simulation, TxOptions};
use crate::{
    chain::{
        account::{self, Account},
        node::rpc::{self, Rpc},
        tx::{fees::Fees, journal::Journal, revert::RevertDecoder},
    },
    evm::Hardfork,
};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, U256},
    rpc::types::{
        TransactionRequest,
        simulate::{SimBlock, SimCallResult, SimulatePayload},
    },
};
use std::sync::Mutex;

/// Sends transactions of one account, one after the other.
#[derive(Debug)]
pub struct Sender {
    pub(super) rpc: Rpc,
    pub(super) account: Account,
    pub(super) options: TxOptions,
    pub(super) decoder: RevertDecoder,
    pub(super) journal: Option<Journal>,
    /// One more than the last nonce that this sender used.
    pub(super) next_nonce: Mutex<Option<u64>>,
}

impl Sender {
    /// A sender for that account; Anvil's public accounts are refused off Anvil's chain.
    pub fn new(rpc: Rpc, account: Account, options: TxOptions) -> Result<Self> {
        account::check_test_key(account.address(), rpc.chain_id())?;
        let next_nonce = Mutex::new(options.nonce);
        Ok(Self { rpc, account, options, decoder: RevertDecoder::new(), journal: None, next_nonce })
    }

    /// The same, with errors of contracts decoded.
    #[must_use]
    pub fn with_decoder(mut self, decoder: RevertDecoder) -> Self {
        self.decoder = decoder;
        self
    }

    /// The same, with every transaction kept in a broadcast file.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// The connection that everything is asked and sent over.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The address of the account, whether it can sign or not.
    pub fn address(&self) -> Address {
        self.account.address()
    }

    /// Where the transactions are kept, if anywhere.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// `eth_call` from this account, with reverts decoded.
    pub async fn call(&self, call: &Call) -> Result<Bytes> {
        let request = call.request(self.address());
        self.rpc.call(&request).await.map_err(|error| self.would_revert(call, error))
    }

    /// Runs the transaction on the node without sending it, and prices it.
    pub async fn simulate(&self, call: &Call) -> Result<Simulation> {
        let request = call.request(self.address());
        let refused = |error| self.would_revert(call, error);
        let output = self.rpc.call(&request).await.map_err(refused)?;
        let (gas, block, balance) = tokio::join!(
            self.rpc.estimate_gas(&request),
            self.rpc.latest_block(),
            self.rpc.balance(self.address()),
        );
        let (gas, block, balance) = (gas.map_err(refused)?, block?, balance?);
        let gas_limit = self.gas_limit(call, gas, block.header.gas_limit).await?;
        let fees = Fees::suggest(&self.rpc, &self.options, block.header.base_fee_per_gas).await?;
        let max_cost = self.cost(call, gas_limit, fees)?;
        Ok(Simulation { output, gas, gas_limit, fees, balance, max_cost })
    }

    /// Like [`simulate`](Self::simulate), as if the transactions `before` had been mined already.
    /// Nothing if the node has no `eth_simulateV1`.
    pub async fn simulate_after(&self, before: &[Call], call: &Call) -> Result<Option<Simulation>> {
        if before.is_empty() {
            return self.simulate(call).await.map(Some);
        }
        let calls = before.iter().chain([call]).map(|call| call.request(self.address()));
        let block = SimBlock::default().extend_calls(calls);
        let payload = SimulatePayload::default().extend(block);
        let params = (payload, BlockNumberOrTag::Latest);
        let blocks: Vec<SimulatedCalls> = match self.rpc.read("eth_simulateV1", params).await {
            Ok(blocks) => blocks,
            Err(rpc::Error::Refused { code: -32601 | -32602 | -32000, message, .. }) => {
                tracing::debug!(message, "the node can't simulate several transactions");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(result) = blocks.into_iter().flat_map(|block| block.calls).last() else {
            return Ok(None);
        };
        if !result.status {
            let revert = Box::new(self.decoder.decode(&result.return_data));
            return Err(Error::WouldRevert { label: call.label.clone(), revert });
        }
        let (block, balance) =
            tokio::join!(self.rpc.latest_block(), self.rpc.balance(self.address()));
        let (header, balance) = (block?.header, balance?);
        let gas = result.gas_used;
        let gas_limit = self.gas_limit(call, gas, header.gas_limit).await?;
        let fees = Fees::suggest(&self.rpc, &self.options, header.base_fee_per_gas).await?;
        let max_cost = self.cost(call, gas_limit, fees)?;
        let output = result.return_data;
        Ok(Some(Simulation { output, gas, gas_limit, fees, balance, max_cost }))
    }

    /// The most that a transaction can cost, in wei.
    fn cost(&self, call: &Call, gas_limit: u64, fees: Fees) -> Result<U256> {
        let cost = call.value.saturating_add(U256::from(gas_limit) * U256::from(fees.max()));
        match self.options.max_cost.map(U256::from) {
            Some(ceiling) if cost > ceiling => {
                Err(Error::TooExpensive { label: call.label.clone(), cost, ceiling })
            }
            _ => Ok(cost),
        }
    }

    /// Whether a replacement keeps to `--max-cost`.
    pub(super) fn within_ceiling(
        &self,
        call: &Call,
        request: &TransactionRequest,
        fees: Fees,
    ) -> bool {
        self.cost(call, request.gas.unwrap_or_default(), fees).is_ok()
    }

    async fn gas_limit(&self, call: &Call, gas: u64, block_limit: u64) -> Result<u64> {
        if let Some(given) = self.options.gas_limit {
            return if given < gas {
                Err(Error::GasLimitTooLow { label: call.label.clone(), given, needed: gas })
            } else {
                Ok(given)
            };
        }
        let too_much =
            |limit, rule| Error::TooMuchGas { label: call.label.clone(), gas, limit, rule };
        if gas > block_limit {
            return Err(too_much(block_limit, "the chain's limit for a block"));
        }
        let generous = gas.saturating_mul(self.options.gas_estimate_multiplier) / 100;
        let generous = generous.min(block_limit);
        // The tightest limit that a chain of today may have: beyond it the node is asked for its own.
        let capped = Hardfork::Osaka.rules().transaction_gas;
        if generous <= capped || self.rpc.hardfork().await?.rules().state_gas {
            return Ok(generous);
        }
        if gas > capped {
            return Err(too_much(capped, "EIP-7825's limit for a transaction"));
        }
        Ok(capped)
    }

    pub(super) fn would_revert(&self, call: &Call, error: rpc::Error) -> Error {
        match &error {
            rpc::Error::Refused { data: Some(data), .. } => {
                let revert = Box::new(self.decoder.decode(data));
                Error::WouldRevert { label: call.label.clone(), revert }
            }
            rpc::Error::Refused { message, .. } if message.contains("revert") => {
                let revert = Box::new(self.decoder.decode(&Bytes::new()));
                Error::WouldRevert { label: call.label.clone(), revert }
            }
            _ => error.into(),
        }
    }
}

/// The part of a simulated block that matters.
#[derive(Debug, serde::Deserialize)]
struct SimulatedCalls {
    calls: Vec<SimCallResult>,
}
