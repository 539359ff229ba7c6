//! Transactions: simulated first, sent with an explicit nonce, watched until they are confirmed
//! and replaced with a higher fee when they are stuck.

mod error;
pub mod fees;
pub mod journal;
pub mod revert;
mod send;
mod sender;

pub use error::{Error, NotMined, Result};
pub use sender::Sender;

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, TxHash, U256},
    rpc::types::{Log, TransactionReceipt, TransactionRequest},
};
use fees::Fees;

/// EIP-7825: the most gas that one transaction may have, since Osaka.
pub const MAX_TRANSACTION_GAS: u64 = 1 << 24;

/// How transactions are sent: Foundry's flags and environment variables.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Transaction options")]
pub struct TxOptions {
    /// Gas limit of each transaction, instead of the estimate
    #[arg(long, env = "ETH_GAS_LIMIT", value_name = "GAS_LIMIT")]
    pub gas_limit: Option<u64>,
    /// Percentage of the estimate to use as gas limit
    #[arg(long, short = 'g', default_value_t = 130, value_name = "PERCENT",
          value_parser = clap::value_parser!(u64).range(100..=1000))]
    pub gas_estimate_multiplier: u64,
    /// Max fee per gas, or the price of legacy transactions: wei, or with a unit as in 10gwei
    #[arg(long, env = "ETH_GAS_PRICE", value_name = "PRICE", value_parser = fees::parse_price)]
    pub gas_price: Option<u128>,
    /// Max priority fee per gas: wei, or with a unit as in 1gwei
    #[arg(long, env = "ETH_PRIORITY_GAS_PRICE", value_name = "PRICE",
          value_parser = fees::parse_price, conflicts_with = "legacy")]
    pub priority_gas_price: Option<u128>,
    /// Nonce of the first transaction
    #[arg(long, value_name = "NONCE")]
    pub nonce: Option<u64>,
    /// Send legacy transactions instead of EIP-1559 ones
    #[arg(long)]
    pub legacy: bool,
    /// Blocks, its own included, after which a transaction counts as done
    #[arg(long, default_value_t = 1, value_name = "CONFIRMATIONS",
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub confirmations: u64,
    /// Seconds to wait for a transaction
    #[arg(long, env = "ETH_TIMEOUT", default_value_t = 300, value_name = "SECONDS")]
    pub timeout: u64,
    /// Seconds after which a waiting transaction is replaced by one with a higher fee
    #[arg(long, default_value_t = 45, value_name = "SECONDS")]
    pub bump_after: u64,
}

impl Default for TxOptions {
    fn default() -> Self {
        Self {
            gas_limit: None,
            gas_estimate_multiplier: 130,
            gas_price: None,
            priority_gas_price: None,
            nonce: None,
            legacy: false,
            confirmations: 1,
            timeout: 300,
            bump_after: 45,
        }
    }
}

/// What a transaction does.
#[derive(Clone, Debug)]
pub struct Call {
    /// The receiver; none to create a contract.
    pub to: Option<Address>,
    /// The calldata or init code.
    pub input: Bytes,
    /// In wei.
    pub value: U256,
    /// What it is for, in a few words, for messages.
    pub label: String,
    /// What the broadcast file says about it.
    pub about: journal::About,
}

impl Call {
    /// A call of a contract.
    pub fn new(to: Address, input: Bytes, label: impl Into<String>) -> Self {
        let about = journal::About { contract_address: Some(to), ..Default::default() };
        Self { to: Some(to), input, value: U256::ZERO, label: label.into(), about }
    }

    /// The creation of a contract.
    pub fn create(init_code: Bytes, label: impl Into<String>) -> Self {
        let (value, about) = (U256::ZERO, journal::About::default());
        Self { to: None, input: init_code, value, label: label.into(), about }
    }

    /// The same with more for the broadcast file.
    #[must_use]
    pub fn about(mut self, about: journal::About) -> Self {
        self.about = about;
        self
    }

    pub(crate) fn request(&self, from: Address) -> TransactionRequest {
        let request = TransactionRequest::default()
            .with_from(from)
            .with_value(self.value)
            .with_input(self.input.clone());
        match self.to {
            Some(to) => request.with_to(to),
            None => request.into_create(),
        }
    }
}

/// What would happen.
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
    /// The transaction's hash.
    pub hash: TxHash,
    /// The block's number.
    pub block: u64,
    /// The block's hash.
    pub block_hash: B256,
    /// The block's time, in seconds since 1970.
    pub timestamp: u64,
    /// The sender.
    pub from: Address,
    /// Gas used.
    pub gas_used: u64,
    /// Wei per gas that was paid.
    pub effective_gas_price: u128,
    /// Whether it succeeded; always, in a receipt that [`Sender::send`] returns.
    pub success: bool,
    /// The address of a contract that it created directly.
    pub contract_address: Option<Address>,
    /// The events.
    pub logs: Vec<Log>,
}

impl Receipt {
    fn new(receipt: &TransactionReceipt, timestamp: u64) -> Self {
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
            logs: receipt.logs().to_vec(),
        }
    }

    /// What was paid for gas, in wei.
    pub fn cost(&self) -> U256 {
        U256::from(self.gas_used) * U256::from(self.effective_gas_price)
    }
}
