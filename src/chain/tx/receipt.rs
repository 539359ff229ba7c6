//! What would happen, and what did.

use super::fees::Fees;
use alloy::{
    network::{AnyTransactionReceipt, ReceiptResponse},
    primitives::{Address, B256, Bytes, TxHash, U256},
    rpc::types::Log,
};

/// What a transaction would do and cost if it were sent now.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// What the call returns.
    pub output: Bytes,
    /// The gas that the node estimates.
    pub gas: u64,
    /// The gas limit that the transaction gets.
    pub gas_limit: u64,
    /// What it offers for gas.
    pub fees: Fees,
    /// The account's balance in wei.
    pub balance: U256,
    /// The most that it can cost, in wei: value + gas limit × highest fee.
    pub max_cost: U256,
}

impl Simulation {
    /// Whether the account can pay for it.
    pub fn affordable(&self) -> bool {
        self.balance >= self.max_cost
    }
}

/// A mined and confirmed transaction.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The hash of the one that was mined, which may be a replacement.
    pub hash: TxHash,
    /// The number of the block that has it.
    pub block: u64,
    /// That block's hash, which tells it from one of another fork.
    pub block_hash: B256,
    /// The block's time, in seconds since 1970.
    pub timestamp: u64,
    /// The account that sent it.
    pub from: Address,
    /// The gas that was paid for, refunds taken off.
    pub gas_used: u64,
    /// Wei per gas that was paid.
    pub effective_gas_price: u128,
    /// Whether it succeeded; always, in a receipt that [`Sender::send`] returns.
    pub success: bool,
    /// The address of a contract that it created directly.
    pub contract_address: Option<Address>,
    /// The events that it emitted, in order.
    pub logs: Vec<Log>,
}

impl Receipt {
    pub(super) fn new(receipt: &AnyTransactionReceipt, timestamp: u64) -> Self {
        Self {
            hash: receipt.transaction_hash,
            block: receipt.block_number.unwrap_or_default(),
            block_hash: receipt.block_hash.unwrap_or_default(),
            timestamp,
            from: receipt.from,
            gas_used: receipt.gas_used,
            effective_gas_price: receipt.effective_gas_price,
            success: receipt.status(),
            contract_address: receipt.contract_address,
            logs: receipt.inner.inner.logs().to_vec(),
        }
    }

    /// What was paid for gas, in wei.
    pub fn cost(&self) -> U256 {
        U256::from(self.gas_used) * U256::from(self.effective_gas_price)
    }
}
