//! What a transaction offers for gas, in wei per gas.

use super::{TxOptions, price::gwei};
use crate::chain::node::rpc::{self, Rpc};
use crate::error::ErrorKind;
use alloy::{
    consensus::Transaction as _,
    network::TransactionBuilder,
    providers::utils::{
        EIP1559_FEE_ESTIMATION_PAST_BLOCKS, EIP1559_FEE_ESTIMATION_REWARD_PERCENTILE,
        eip1559_default_estimator,
    },
    rpc::types::{Transaction, TransactionRequest},
};
use std::fmt;

/// A fee could not be worked out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tip is higher than the whole price.
    #[error(
        "--priority-gas-price ({}) is above --gas-price ({}); the tip is a part of the price",
        gwei(*priority), gwei(*price)
    )]
    PriorityAbovePrice {
        /// `--priority-gas-price`, in wei per gas.
        priority: u128,
        /// `--gas-price`, in wei per gas, which the tip is a part of.
        price: u128,
    },
    /// Blocks carry no base fee.
    #[error(
        "this chain has no EIP-1559 fees, so --priority-gas-price has no meaning; use --gas-price"
    )]
    NoPriorityFee,
    /// The node could not be asked.
    #[error(transparent)]
    Rpc(#[from] rpc::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Rpc(inner) => inner.kind(),
            Self::PriorityAbovePrice { .. } | Self::NoPriorityFee => ErrorKind::Chain,
        }
    }
}

/// What a transaction offers for gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fees {
    /// One price, in wei per gas.
    Legacy {
        /// What is offered for each unit of gas.
        price: u128,
    },
    /// EIP-1559, in wei per gas.
    Eip1559 {
        /// The most to pay, base fee and tip together.
        max: u128,
        /// What goes to the block's proposer; never more than `max`.
        priority: u128,
    },
}

impl Fees {
    /// The user's fees, and where they are open what the chain suggests: twice the base fee and the
    /// usual tip of the last blocks. Chains without a base fee get legacy transactions.
    pub async fn suggest(
        rpc: &Rpc,
        options: &TxOptions,
        base_fee: Option<u64>,
    ) -> Result<Self, Error> {
        let Some(base_fee) = base_fee.filter(|_| !options.legacy).map(u128::from) else {
            if options.priority_gas_price.is_some() {
                return Err(Error::NoPriorityFee);
            }
            let price = match options.gas_price {
                Some(price) => price,
                None => rpc.gas_price().await?,
            };
            return Ok(Self::Legacy { price });
        };
        if let (Some(price), Some(priority)) = (options.gas_price, options.priority_gas_price) {
            if priority > price {
                return Err(Error::PriorityAbovePrice { priority, price });
            }
            return Ok(Self::Eip1559 { max: price, priority });
        }
        let priority = match options.priority_gas_price {
            Some(priority) => priority,
            None => match tip(rpc, base_fee).await? {
                Some(tip) => tip,
                // A node that speaks of no tips may take none.
                None if options.gas_price.is_none() => {
                    return Ok(Self::Legacy { price: rpc.gas_price().await? });
                }
                None => 0,
            },
        };
        let max = options.gas_price.unwrap_or(base_fee.saturating_mul(2).saturating_add(priority));
        if max < base_fee {
            tracing::warn!("--gas-price is below the base fee of {}", gwei(base_fee));
        }
        Ok(Self::Eip1559 { max, priority: priority.min(max) })
    }

    /// What a transaction that waits in a node's pool offers.
    pub fn of(transaction: &Transaction) -> Self {
        match transaction.max_priority_fee_per_gas() {
            Some(priority) => Self::Eip1559 { max: transaction.max_fee_per_gas(), priority },
            None => Self::Legacy { price: transaction.max_fee_per_gas() },
        }
    }

    /// The most that a unit of gas can cost.
    pub fn max(self) -> u128 {
        match self {
            Self::Legacy { price } => price,
            Self::Eip1559 { max, .. } => max,
        }
    }

    /// An eighth more, rounded up, but for a tip that the user fixed. Nodes replace a waiting
    /// transaction for a tenth more, of tip and price both.
    #[must_use]
    pub fn bumped(self, options: &TxOptions) -> Self {
        let more = |fee: u128| fee.saturating_add(fee.div_ceil(8)).saturating_add(1);
        match self {
            Self::Legacy { price } => Self::Legacy { price: more(price) },
            Self::Eip1559 { max, priority } => {
                let fixed = options.priority_gas_price.is_some();
                Self::Eip1559 {
                    max: more(max),
                    priority: if fixed { priority } else { more(priority) },
                }
            }
        }
    }

    /// The higher of both, part by part.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        match (self, other) {
            (Self::Eip1559 { max, priority }, Self::Eip1559 { max: m, priority: p }) => {
                Self::Eip1559 { max: max.max(m), priority: priority.max(p) }
            }
            (Self::Legacy { price }, other) => Self::Legacy { price: price.max(other.max()) },
            (Self::Eip1559 { max, priority }, Self::Legacy { price }) => {
                Self::Eip1559 { max: max.max(price), priority }
            }
        }
    }

    pub(crate) fn apply(self, request: TransactionRequest) -> TransactionRequest {
        match self {
            Self::Legacy { price } => request.with_gas_price(price),
            Self::Eip1559 { max, priority } => {
                request.with_max_fee_per_gas(max).with_max_priority_fee_per_gas(priority)
            }
        }
    }
}

impl fmt::Display for Fees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Legacy { price } => write!(f, "{} per gas", gwei(price)),
            Self::Eip1559 { max, priority } => {
                write!(f, "at most {} per gas, {} of it tip", gwei(max), gwei(priority))
            }
        }
    }
}

/// The usual tip of the last blocks; where the node has no such history, what it suggests, or what its
/// gas price has over the base fee. Nothing where it says none of this.
async fn tip(rpc: &Rpc, base_fee: u128) -> Result<Option<u128>, rpc::Error> {
    let history = rpc
        .fee_history(EIP1559_FEE_ESTIMATION_PAST_BLOCKS, EIP1559_FEE_ESTIMATION_REWARD_PERCENTILE)
        .await;
    match history {
        Ok(history) => {
            let rewards = history.reward.as_deref().unwrap_or_default();
            return Ok(Some(eip1559_default_estimator(base_fee, rewards).max_priority_fee_per_gas));
        }
        Err(error) if error.is_missing_method() => {
            tracing::debug!(%error, "no history of fees; asking for a tip");
        }
        Err(error) => return Err(error),
    }
    match rpc.max_priority_fee().await {
        Ok(tip) => Ok(Some(tip)),
        Err(error) if error.is_missing_method() => match rpc.gas_price().await {
            Ok(price) => Ok(price.checked_sub(base_fee)),
            Err(error) if error.is_missing_method() => Ok(None),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_offers_a_tenth_more_even_of_nothing() {
        for fee in [0u128, 1, 7, 8, 9, 10, 11, 1_000_000_007] {
            let Fees::Eip1559 { max, priority } =
                (Fees::Eip1559 { max: fee, priority: fee }).bumped(&TxOptions::default())
            else {
                panic!("another kind")
            };
            assert!(max * 10 >= fee * 11 && max > fee && priority == max, "{fee} -> {max}");
        }
    }
}
