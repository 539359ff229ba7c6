//! What can go wrong with a transaction.

use crate::chain::{
    account,
    node::rpc,
    tx::{
        fees::{self, Fees},
        journal,
        price::gwei,
        revert::Revert,
    },
};
use crate::{error::ErrorKind, toolchain};
use alloy::primitives::{Address, TxHash, U256, utils::format_ether};
use std::time::Duration;

/// A transaction would fail, was refused, failed, or was not mined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The simulation reverted; nothing was sent.
    #[error("{label} would fail, so it was not sent: {revert}")]
    WouldRevert {
        /// What the transaction is for.
        label: String,
        /// The decoded revert, with an explanation if there is one.
        revert: Box<Revert>,
    },
    /// It was mined and failed.
    #[error("{label} failed in block {block} (transaction {hash}): {reason}")]
    Failed {
        /// What the transaction is for.
        label: String,
        /// The hash of the transaction that was mined.
        hash: TxHash,
        /// The number of the block that it is in.
        block: u64,
        /// Why, as far as a repetition tells.
        reason: String,
        /// The decoded revert, if a repetition reverted too.
        revert: Option<Box<Revert>>,
    },
    /// The account cannot pay.
    #[error(
        "{account} has {} ETH on chain {chain_id} but {label} may cost up to {} ETH; fund the \
         account or use another one",
        format_ether(*balance), format_ether(*needed)
    )]
    InsufficientFunds {
        /// What the transaction is for.
        label: String,
        /// The account that would pay.
        account: Address,
        /// The id of the chain whose balance was read.
        chain_id: u64,
        /// What it has, in wei.
        balance: U256,
        /// Value and gas limit times the highest fee, in wei.
        needed: U256,
    },
    /// More gas than a transaction may have.
    #[error(
        "{label} needs {gas} gas, more than {limit} ({rule}); make the circuit smaller, or, where the \
         chain has another limit, give --gas-limit"
    )]
    TooMuchGas {
        /// What the transaction is for.
        label: String,
        /// The gas that the node's estimate or simulation gives.
        gas: u64,
        /// The most gas that is allowed, by the rule named in `rule`.
        limit: u64,
        /// Where the limit comes from.
        rule: &'static str,
    },
    /// The gas limit that the user gave is too low.
    #[error("--gas-limit {given} is below the {needed} gas that {label} needs; raise or drop it")]
    GasLimitTooLow {
        /// What the transaction is for.
        label: String,
        /// The user's `--gas-limit`, in gas.
        given: u64,
        /// The gas that the node's estimate or simulation gives.
        needed: u64,
    },
    /// The nonce is used by another transaction.
    #[error(
        "nonce {nonce} of {account} is used by another transaction; drop --nonce, or raise \
         --gas-price to replace one that is still waiting"
    )]
    NonceTaken {
        /// The account that the nonce counts for.
        account: Address,
        /// The nonce that was to be used.
        nonce: u64,
    },
    /// A nonce above the next one would wait for ever.
    #[error(
        "nonce {nonce} of {account} leaves a gap: the next one is {next}; a transaction with it would \
         wait for those before it"
    )]
    NonceGap {
        /// The account that the nonce counts for.
        account: Address,
        /// The nonce that the user gave.
        nonce: u64,
        /// The account's next nonce, waiting transactions counted.
        next: u64,
    },
    /// It was not mined in time.
    #[error(transparent)]
    NotMined(Box<NotMined>),
    /// It is mined but not deep enough.
    #[error(
        "{label}: transaction {hash} is in block {block}, but did not get its confirmations within {} s; \
         repeat the command with --resume", after.as_secs()
    )]
    Unconfirmed {
        /// What the transaction is for.
        label: String,
        /// The hash of the mined transaction.
        hash: TxHash,
        /// The block that has it, unless the chain reorganises.
        block: u64,
        /// How long we waited.
        after: Duration,
    },
    /// The answer to sending it was lost.
    #[error(
        "the answer to sending {label} was lost ({source}); transaction {hash} with nonce {nonce} may have \
         been sent: repeat the command with --resume"
    )]
    MaybeSent {
        /// What the transaction is for.
        label: String,
        /// The hash of what was signed, known before it is sent.
        hash: TxHash,
        /// The nonce of what was signed.
        nonce: u64,
        /// What came back: no answer, or one that leaves it open.
        source: Box<rpc::Error>,
    },
    /// No node takes it as it is.
    #[error(
        "the node refused {label}: {message} (transaction {hash}); correct that and repeat the command"
    )]
    Refused {
        /// What the transaction is for.
        label: String,
        /// The node's refusal, which is about the content and not about the moment.
        message: String,
        /// The hash of what was signed and not taken.
        hash: TxHash,
    },
    /// Its owner replaced or cancelled it.
    #[error(
        "{label} was replaced by {by}, which has its nonce {nonce} of {account}; it was not sent again: repeat \
         the command without --resume if it still is to be done"
    )]
    Replaced {
        /// What the transaction is for.
        label: String,
        /// The account that sent both.
        account: Address,
        /// The nonce that both have.
        nonce: u64,
        /// The transaction that was mined in its place.
        by: TxHash,
    },
    /// Its nonce is used, and the node does not say by what.
    #[error(
        "{label}: nonce {nonce} of {account} is used, but the node has no receipt of {hash} nor tells which \
         transaction it was; it was not sent again: look the account up in an explorer, or repeat the command with \
         --resume and another --rpc-url"
    )]
    NonceUsed {
        /// What the transaction is for.
        label: String,
        /// The account that the nonce counts for.
        account: Address,
        /// The nonce that was used.
        nonce: u64,
        /// The hash of what was signed last; replacements before it have others.
        hash: TxHash,
    },
    /// It is in a block, and the node has no receipt of it.
    #[error(
        "{label}: transaction {hash} is in block {block}, but the node has no receipt of it; repeat the command with \
         --resume when it has, or with another --rpc-url"
    )]
    NoReceipt {
        /// What the transaction is for.
        label: String,
        /// The hash of ours that the block holds.
        hash: TxHash,
        /// The number of the block that holds it.
        block: u64,
    },
    /// Transactions before it are missing.
    #[error(
        "{label}: transaction {hash} has the nonce {nonce} of {account}, but those from {next} on are missing; send \
         them first, then repeat the command with --resume"
    )]
    Waiting {
        /// What the transaction is for.
        label: String,
        /// The account that the nonces count for.
        account: Address,
        /// The nonce of what was signed.
        nonce: u64,
        /// The account's next one.
        next: u64,
        /// The hash of what was signed last.
        hash: TxHash,
    },
    /// It would cost more than the user allows.
    #[error(
        "{label} may cost up to {} ETH, more than --max-cost allows ({} ETH); raise it, or wait for lower fees",
        format_ether(*cost), format_ether(*ceiling)
    )]
    TooExpensive {
        /// What the transaction is for.
        label: String,
        /// Value and gas limit times the highest fee, in wei.
        cost: U256,
        /// The user's `--max-cost`, in wei.
        ceiling: U256,
    },
    /// Something went wrong after it was handed over.
    #[error(
        "{label}: transaction {hash} was sent, and then: {source}. Repeat the command with --resume"
    )]
    AfterSending {
        /// What the transaction is for.
        label: String,
        /// The hash of what was signed last.
        hash: TxHash,
        /// The error that came after it.
        source: Box<Error>,
    },
    /// Two runs must not send at once.
    #[error("cannot keep other runs from sending meanwhile: {0}")]
    Lock(Box<toolchain::Error>),
    /// Only an address is known.
    #[error(
        "{0} can't sign: --from alone is for a dry run; give --account, --ledger or --private-key to \
         broadcast"
    )]
    CannotSign(Address),
    /// The signer failed, or a field to sign was missing; with the words of either.
    #[error("signing failed: {0}")]
    Sign(String),
    /// A fee option is not usable.
    #[error(transparent)]
    Fees(#[from] fees::Error),
    /// The account could not be used.
    #[error(transparent)]
    Signer(#[from] account::Error),
    /// The node could not be talked to.
    #[error(transparent)]
    Rpc(#[from] rpc::Error),
    /// The broadcast file could not be kept.
    #[error(transparent)]
    Broadcast(#[from] journal::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Fees(inner) => inner.kind(),
            Self::Signer(inner) => inner.kind(),
            Self::Rpc(inner) => inner.kind(),
            Self::Broadcast(inner) => inner.kind(),
            Self::Lock(inner) => inner.kind(),
            Self::WouldRevert { .. }
            | Self::Failed { .. }
            | Self::InsufficientFunds { .. }
            | Self::TooMuchGas { .. }
            | Self::GasLimitTooLow { .. }
            | Self::NonceTaken { .. }
            | Self::NonceGap { .. }
            | Self::NotMined(..)
            | Self::Unconfirmed { .. }
            | Self::MaybeSent { .. }
            | Self::Refused { .. }
            | Self::Replaced { .. }
            | Self::NonceUsed { .. }
            | Self::NoReceipt { .. }
            | Self::Waiting { .. }
            | Self::TooExpensive { .. }
            | Self::AfterSending { .. }
            | Self::CannotSign(..)
            | Self::Sign(..) => ErrorKind::Chain,
        }
    }
}

impl Error {
    /// The same, naming the transaction that was handed over before.
    pub(crate) fn after_sending(self, label: &str, hash: TxHash) -> Self {
        match self {
            Self::Failed { .. }
            | Self::NotMined(_)
            | Self::Unconfirmed { .. }
            | Self::MaybeSent { .. }
            | Self::Refused { .. }
            | Self::Replaced { .. }
            | Self::NonceUsed { .. }
            | Self::NoReceipt { .. }
            | Self::Waiting { .. }
            // Nothing of it is left: another transaction has the nonce.
            | Self::NonceTaken { .. }
            | Self::AfterSending { .. } => self,
            source => Self::AfterSending { label: label.to_owned(), hash, source: Box::new(source) },
        }
    }
}

/// A transaction that was sent and may still be mined.
#[derive(Debug, thiserror::Error)]
#[error(
    "{label} was not mined within {} s (nonce {nonce}, last transaction {hash}{}{}); it may \
     still be: repeat the command with --resume, or with a higher --gas-price",
    after.as_secs(), fees_text(*fees), base_fee_text(*base_fee)
)]
pub struct NotMined {
    /// What the transaction is for.
    pub label: String,
    /// The last hash; earlier ones had lower fees.
    pub hash: TxHash,
    /// The nonce that all of them have.
    pub nonce: u64,
    /// What the last one offered; none where an earlier run signed it and the node does not know it.
    pub fees: Option<Fees>,
    /// The newest block's base fee, in wei.
    pub base_fee: Option<u128>,
    /// How long we waited.
    pub after: Duration,
}

fn fees_text(fees: Option<Fees>) -> String {
    fees.map(|fees| format!(", {fees}")).unwrap_or_default()
}

fn base_fee_text(base_fee: Option<u128>) -> String {
    base_fee.map(|fee| format!("; the base fee is {}", gwei(fee))).unwrap_or_default()
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;
