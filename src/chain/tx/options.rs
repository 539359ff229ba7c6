//! How transactions are sent: Foundry's flags and environment variables.

#[cfg(feature = "cli")]
use super::price::parse_price;

/// How transactions are sent: Foundry's flags and environment variables.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Transaction options"))]
pub struct TxOptions {
    /// Gas limit of each transaction, instead of the estimate
    #[cfg_attr(feature = "cli", arg(long, env = "ETH_GAS_LIMIT", value_name = "GAS_LIMIT"))]
    pub gas_limit: Option<u64>,
    /// Percentage of the estimate to use as gas limit
    #[cfg_attr(feature = "cli", arg(long, short = 'g', default_value_t = 130, value_name = "PERCENT",
          value_parser = clap::value_parser!(u64).range(100..=1000)))]
    pub gas_estimate_multiplier: u64,
    /// Max fee per gas, or the price of legacy transactions: wei, or with a unit as in 10gwei
    #[cfg_attr(feature = "cli", arg(long, env = "ETH_GAS_PRICE", value_name = "PRICE", value_parser = parse_price))]
    pub gas_price: Option<u128>,
    /// Max priority fee per gas: wei, or with a unit as in 1gwei
    #[cfg_attr(feature = "cli", arg(long, env = "ETH_PRIORITY_GAS_PRICE", value_name = "PRICE",
          value_parser = parse_price, conflicts_with = "legacy"))]
    pub priority_gas_price: Option<u128>,
    /// The most that a transaction may cost, value and fees together: wei, or as in 0.01ether
    #[cfg_attr(feature = "cli", arg(long, value_name = "COST", value_parser = parse_price))]
    pub max_cost: Option<u128>,
    /// Nonce of the first transaction
    #[cfg_attr(feature = "cli", arg(long, value_name = "NONCE"))]
    pub nonce: Option<u64>,
    /// Send legacy transactions instead of EIP-1559 ones
    #[cfg_attr(feature = "cli", arg(long))]
    pub legacy: bool,
    /// Blocks, its own included, after which a transaction counts as done
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 1, value_name = "CONFIRMATIONS",
          value_parser = clap::value_parser!(u64).range(1..=1000)))]
    pub confirmations: u64,
    /// Seconds to wait for a transaction
    #[cfg_attr(
        feature = "cli",
        arg(long, env = "ETH_TIMEOUT", default_value_t = 300, value_name = "SECONDS")
    )]
    pub timeout: u64,
    /// Seconds after which a waiting transaction is replaced by one with a higher fee
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 45, value_name = "SECONDS"))]
    pub bump_after: u64,
}

impl Default for TxOptions {
    fn default() -> Self {
        Self {
            gas_limit: None,
            gas_estimate_multiplier: 130,
            gas_price: None,
            priority_gas_price: None,
            max_cost: None,
            nonce: None,
            legacy: false,
            confirmations: 1,
            timeout: 300,
            bump_after: 45,
        }
    }
}
