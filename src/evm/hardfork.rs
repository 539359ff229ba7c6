//! The rules of a chain: what a transaction is charged before it runs, and what it may be at most.

use super::{Error, Result};
use foundry_compilers::artifacts::EvmVersion;
use revm::primitives::hardfork::SpecId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The rules of a chain. Gas differs: Prague has a floor for calldata (EIP-7623), Osaka another
/// price for ModExp (EIP-7883) and a cap on a transaction's gas (EIP-7825), Amsterdam other prices
/// for state and bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Hardfork {
    /// On mainnet since March 2024. MCOPY is new, which the lean verifier uses.
    Cancun,
    /// On mainnet since May 2025.
    Prague,
    /// December 2025; what Anvil 1.7 runs unless told otherwise.
    #[default]
    Osaka,
    /// On Sepolia since October 2026. New state costs 1,530 gas a byte, in a gas of its own
    /// (EIP-8037), and calldata at least 64 gas a byte (EIP-7976).
    Amsterdam,
}

/// What a hardfork charges for a transaction before it runs, and what it lets a transaction be.
/// Gas is in units of gas, sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A transaction that calls a contract nobody has called in it before: 21,000; with EIP-2780
    /// 12,000 and 3,000 for the contract.
    pub call: u64,
    /// A zero byte of calldata.
    pub zero_byte: u64,
    /// Another byte of calldata (EIP-2028).
    pub byte: u64,
    /// The least that a transaction takes, whatever it does: nothing, or this and for each byte
    /// [`floor_zero_byte`](Self::floor_zero_byte) or [`floor_byte`](Self::floor_byte)
    /// (EIP-7623, EIP-7976).
    pub floor: u64,
    /// A zero byte of calldata in the floor.
    pub floor_zero_byte: u64,
    /// Another byte of calldata in the floor.
    pub floor_byte: u64,
    /// A byte of runtime code that is deployed.
    pub code_byte: u64,
    /// The most bytes of runtime code (EIP-170, EIP-7954).
    pub runtime_code: usize,
    /// The most bytes of init code (EIP-3860, EIP-7954).
    pub init_code: usize,
    /// The most gas of a transaction: the limit of a block of 30 million, from Osaka on 2^24
    /// (EIP-7825). Where state has a gas of its own, the most that is not for state.
    pub transaction_gas: u64,
    /// Whether new state is paid in a gas of its own, which [`transaction_gas`](Self::transaction_gas)
    /// doesn't limit (EIP-8037).
    pub state_gas: bool,
}

/// Until Prague's floor.
const CANCUN: Rules = Rules {
    call: 21_000,
    zero_byte: 4,
    byte: 16,
    floor: 0,
    floor_zero_byte: 0,
    floor_byte: 0,
    code_byte: 200,
    runtime_code: 24_576,
    init_code: 49_152,
    transaction_gas: 30_000_000,
    state_gas: false,
};
const PRAGUE: Rules = Rules { floor: 21_000, floor_zero_byte: 10, floor_byte: 40, ..CANCUN };
const OSAKA: Rules = Rules { transaction_gas: 1 << 24, ..PRAGUE };
const AMSTERDAM: Rules = Rules {
    call: 15_000,
    floor: 15_000,
    floor_zero_byte: 64,
    floor_byte: 64,
    code_byte: 1_530,
    runtime_code: 65_536,
    init_code: 131_072,
    state_gas: true,
    ..OSAKA
};

/// The limit of mainnet's blocks in November 2026, which bounds a transaction's gas for state.
const BLOCK_GAS: u64 = 60_000_000;

impl Rules {
    /// What a call with this calldata is charged before anything runs, and the least that its
    /// transaction takes in the end.
    pub fn calldata(&self, calldata: &[u8]) -> (u64, u64) {
        let zeros = calldata.iter().filter(|byte| **byte == 0).count() as u64;
        let others = calldata.len() as u64 - zeros;
        let intrinsic = self.call + zeros * self.zero_byte + others * self.byte;
        (intrinsic, self.floor + zeros * self.floor_zero_byte + others * self.floor_byte)
    }

    /// Whether a chain takes code of these sizes, in bytes.
    pub fn takes_code(&self, runtime: usize, init: usize) -> bool {
        runtime <= self.runtime_code && init <= self.init_code
    }

    /// The most gas that a transaction may ask for, state included.
    pub fn gas_limit(&self) -> u64 {
        if self.state_gas { BLOCK_GAS } else { self.transaction_gas }
    }
}

impl Hardfork {
    /// Every supported hardfork, oldest first.
    pub const ALL: [Self; 4] = [Self::Cancun, Self::Prague, Self::Osaka, Self::Amsterdam];

    /// What users deploy under today, and what they will: reports have a column for each.
    pub const REPORTED: [Self; 2] = [Self::Osaka, Self::Amsterdam];

    /// The name that Anvil's and Foundry's `--hardfork` take.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancun => "cancun",
            Self::Prague => "prague",
            Self::Osaka => "osaka",
            Self::Amsterdam => "amsterdam",
        }
    }

    /// What it charges and allows.
    pub fn rules(self) -> &'static Rules {
        match self {
            Self::Cancun => &CANCUN,
            Self::Prague => &PRAGUE,
            Self::Osaka => &OSAKA,
            Self::Amsterdam => &AMSTERDAM,
        }
    }

    /// The newest code that this hardfork runs, for the compiler.
    pub fn evm_version(self) -> EvmVersion {
        match self {
            Self::Cancun => EvmVersion::Cancun,
            Self::Prague => EvmVersion::Prague,
            // What Amsterdam adds (EIP-8024) no compiler that is pinned here emits.
            Self::Osaka | Self::Amsterdam => EvmVersion::Osaka,
        }
    }

    pub(super) fn spec(self) -> SpecId {
        match self {
            Self::Cancun => SpecId::CANCUN,
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka => SpecId::OSAKA,
            Self::Amsterdam => SpecId::AMSTERDAM,
        }
    }
}

impl fmt::Display for Hardfork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Hardfork {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|hardfork| hardfork.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::Hardfork(text.to_owned()))
    }
}
