//! An Ethereum Virtual Machine in this process: run a contract without a node.
//!
//! It executes whole transactions over an in-memory state, so that the gas it reports is what a
//! receipt of the same hardfork says: the base, calldata (with the floor of EIP-7623 from Prague on),
//! execution, new state and refunds. Anvil gives the same numbers to the unit.

use crate::error::ErrorKind;
use alloy::primitives::{Address, Bytes, Log, U256, address};
use revm::{
    Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext,
    context::{CfgEnv, TxEnv, result::ExecutionResult},
    database::{CacheDB, EmptyDB},
    primitives::TxKind,
    state::AccountInfo,
};

mod hardfork;

pub use hardfork::{Hardfork, Rules};

/// The account that sends every transaction here: the first of Anvil's.
pub const SENDER: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

/// What the machine without limits offers a transaction; far beyond any verifier.
const UNLIMITED_GAS: u64 = 1 << 40;

/// The EVM could not run a transaction. That a contract reverts is no error but a [`CallResult`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The transaction breaks a rule of the protocol and no node would accept it.
    #[error("the {hardfork} EVM refuses the transaction: {reason}")]
    Refused {
        /// The rules in force.
        hardfork: Hardfork,
        /// The rule that it breaks, in revm's words.
        reason: String,
    },
    /// Contract creation ended without a contract.
    #[error("the contract could not be created: {reason}")]
    Create {
        /// The revert data or the reason for the halt.
        reason: String,
    },
    /// Not the name of a hardfork that is supported here.
    #[error("unknown hardfork {0:?}; use cancun, prague, osaka or amsterdam")]
    Hardfork(String),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. } | Self::Create { .. } | Self::Hardfork(..) => ErrorKind::Failure,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A contract that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Where it is, as CREATE computes it from [`SENDER`] and its nonce.
    pub address: Address,
    /// The code at that address.
    pub runtime_code: Bytes,
    /// The gas of the creating transaction.
    pub gas_used: u64,
    /// What of it was for state: the account, its code and what the constructor stored (EIP-8037).
    pub state_gas: u64,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    /// It neither reverted nor halted.
    pub success: bool,
    /// What was returned, or the revert data; empty after a halt.
    pub output: Bytes,
    /// The gas of the transaction as its receipt has it.
    pub gas_used: u64,
    /// What of it was for new state (EIP-8037); none before Amsterdam.
    pub state_gas: u64,
    /// The events that it left; none unless it succeeded.
    pub logs: Vec<Log>,
    /// Why it stopped with all its gas burnt (an invalid opcode, out of gas…).
    pub halt: Option<String>,
}

/// An in-memory chain with one rich account, [`SENDER`].
#[derive(Clone, Debug)]
pub struct Evm {
    state: CacheDB<EmptyDB>,
    hardfork: Hardfork,
    limits: bool,
    nonce: u64,
}

impl Default for Evm {
    fn default() -> Self {
        Self::new(Hardfork::default())
    }
}

impl Evm {
    /// An empty chain under the rules of `hardfork`, with the limits on code size and gas that a
    /// public chain has.
    pub fn new(hardfork: Hardfork) -> Self {
        let mut state = CacheDB::new(EmptyDB::new());
        let info = AccountInfo { balance: U256::from(10).pow(U256::from(24)), ..<_>::default() };
        state.insert_account_info(SENDER, info);
        Self { state, hardfork, limits: true, nonce: 0 }
    }

    /// Lifts the limits of EIP-170, EIP-3860 and EIP-7825, to measure code that no public chain
    /// would take.
    #[must_use]
    pub fn without_limits(mut self) -> Self {
        self.limits = false;
        self
    }

    /// The rules in force.
    pub fn hardfork(&self) -> Hardfork {
        self.hardfork
    }

    /// The most gas that a transaction can be given here.
    pub fn gas_limit(&self) -> u64 {
        if self.limits { self.hardfork.rules().gas_limit() } else { UNLIMITED_GAS }
    }

    /// The most gas that a transaction can execute here; what it leaves behind may cost more.
    pub fn execution_gas_limit(&self) -> u64 {
        if self.limits { self.hardfork.rules().transaction_gas } else { UNLIMITED_GAS }
    }

    /// Creates a contract in a transaction of its own.
    ///
    /// # Errors
    /// [`Error::Refused`] for too much init code, [`Error::Create`] if the constructor reverts or
    /// the runtime code is over the limit.
    pub fn deploy(&mut self, init_code: Bytes) -> Result<Deployed> {
        let result = self.execute(TxKind::Create, init_code, self.gas_limit(), true)?;
        let (gas_used, state_gas) = (result.tx_gas_used(), result.gas().state_gas_spent_final());
        match result {
            ExecutionResult::Success { output, .. } => {
                let address = output
                    .address()
                    .copied()
                    .ok_or_else(|| Error::Create { reason: "no address was returned".into() })?;
                let runtime_code = self.code(address);
                Ok(Deployed { address, runtime_code, gas_used, state_gas })
            }
            ExecutionResult::Revert { output, .. } => {
                Err(Error::Create { reason: format!("the constructor reverted with {output}") })
            }
            ExecutionResult::Halt { reason, .. } => {
                Err(Error::Create { reason: format!("the constructor halted: {reason:?}") })
            }
        }
    }

    /// Runs a transaction to `to` and keeps what it changed.
    ///
    /// # Errors
    /// [`Error::Refused`] if no node would accept it, for instance because `gas_limit` does not
    /// pay for the calldata.
    pub fn transact(&mut self, to: Address, calldata: Bytes, gas_limit: u64) -> Result<CallResult> {
        self.execute(TxKind::Call(to), calldata, gas_limit, true).map(Into::into)
    }

    /// Runs a transaction to `to` and forgets what it changed. The gas is the transaction's.
    ///
    /// # Errors
    /// As [`transact`](Self::transact).
    pub fn call(&mut self, to: Address, calldata: Bytes, gas_limit: u64) -> Result<CallResult> {
        self.execute(TxKind::Call(to), calldata, gas_limit, false).map(Into::into)
    }

    /// Puts `code` at `address` without a transaction, for code that was read from a chain.
    pub fn set_code(&mut self, address: Address, code: Bytes) {
        let code = revm::bytecode::Bytecode::new_raw(code);
        let info = AccountInfo { code_hash: code.hash_slow(), code: Some(code), ..<_>::default() };
        self.state.insert_account_info(address, info);
    }

    /// The code at `address`; empty where there is none.
    pub fn code(&self, address: Address) -> Bytes {
        let cache = &self.state.cache;
        cache
            .accounts
            .get(&address)
            .and_then(|account| {
                account.info.code.as_ref().or_else(|| cache.contracts.get(&account.info.code_hash))
            })
            .map(|code| code.original_bytes())
            .unwrap_or_default()
    }

    fn execute(
        &mut self,
        kind: TxKind,
        data: Bytes,
        gas_limit: u64,
        commit: bool,
    ) -> Result<ExecutionResult> {
        let refused = |reason: String| Error::Refused { hardfork: self.hardfork, reason };
        let mut cfg = CfgEnv::new_with_spec(self.hardfork.spec());
        if !self.limits {
            cfg.limit_contract_code_size = Some(usize::MAX);
            cfg.limit_contract_initcode_size = Some(usize::MAX);
            cfg.tx_gas_limit_cap = Some(u64::MAX);
        }
        let tx = TxEnv::builder()
            .caller(SENDER)
            .kind(kind)
            .data(data)
            .gas_limit(gas_limit)
            .nonce(self.nonce)
            .chain_id(Some(cfg.chain_id))
            .build()
            .map_err(|error| refused(format!("{error:?}")))?;
        let context = Context::mainnet().with_db(&mut self.state).with_cfg(cfg);
        let mut evm = context.build_mainnet();
        let result = if commit {
            let result = evm.transact_commit(tx);
            self.nonce += u64::from(result.is_ok());
            result
        } else {
            evm.transact(tx).map(|executed| executed.result)
        };
        result
            .map_err(|error| Error::Refused { hardfork: self.hardfork, reason: error.to_string() })
    }
}

impl From<ExecutionResult> for CallResult {
    fn from(result: ExecutionResult) -> Self {
        let success = result.is_success();
        let (gas_used, state_gas) = (result.tx_gas_used(), result.gas().state_gas_spent_final());
        let (output, logs, halt) = match result {
            ExecutionResult::Success { output, logs, .. } => (output.into_data(), logs, None),
            ExecutionResult::Revert { output, .. } => (output, Vec::new(), None),
            ExecutionResult::Halt { reason, .. } => {
                (Bytes::new(), Vec::new(), Some(format!("{reason:?}")))
            }
        };
        Self { success, output, gas_used, state_gas, logs, halt }
    }
}

#[cfg(test)]
mod tests;
