//! The chain at one block.

use crate::chain::{
    Error, Result,
    contracts::bindings::ModelRouter,
    node::rpc::{self, Rpc},
};
use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, TxHash},
    rpc::types::TransactionRequest,
    sol_types::{SolCall, SolEvent},
};
use serde::Deserialize;

/// The chain as it was after one block.
pub(super) struct ChainState<'a> {
    pub(super) rpc: &'a Rpc,
    pub(super) block: u64,
}

impl<'a> ChainState<'a> {
    pub(super) async fn newest(rpc: &'a Rpc) -> Result<Self> {
        Ok(Self { rpc, block: rpc.block_number().await? })
    }

    pub(super) async fn code(&self, address: Address) -> Result<Bytes> {
        let at = BlockNumberOrTag::Number(self.block);
        Ok(self.rpc.read("eth_getCode", (address, at)).await?)
    }

    /// What a contract answers; nothing if it reverts, or answers something else than the call is for.
    pub(super) async fn ask<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
    ) -> Result<Option<C::Return>> {
        let answer = self.call(contract, call.abi_encode().into()).await?;
        Ok(answer.and_then(|answer| C::abi_decode_returns(&answer).ok()))
    }

    /// What a contract of this release answers, which never refuses such a question.
    pub(super) async fn ask_ours<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
    ) -> Result<C::Return> {
        let answer = self.ask(contract, call).await?;
        answer.ok_or(Error::NotOurs { address: contract, function: C::SIGNATURE })
    }

    /// What a call returns; nothing if it reverts.
    pub(super) async fn call(&self, contract: Address, input: Bytes) -> Result<Option<Bytes>> {
        let request = TransactionRequest::default().with_to(contract).with_input(input);
        match self.rpc.call_at(&request, BlockId::number(self.block), None).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_revert() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The call that added a model to a router, wherever in a transaction it stands.
    ///
    /// # Errors
    /// Where the node does not have, or does not give, what is so old.
    pub(super) async fn added(
        &self,
        router: Address,
        model: B256,
    ) -> rpc::Result<Option<ModelRouter::addModelCall>> {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Log {
            transaction_hash: TxHash,
        }
        /// A transaction of whatever type.
        #[derive(Debug, Deserialize)]
        struct Brief {
            input: Bytes,
        }
        let filter = serde_json::json!({
            "address": router,
            "topics": [ModelRouter::ModelAdded::SIGNATURE_HASH, model],
            "fromBlock": "0x0",
            "toBlock": BlockNumberOrTag::Number(self.block),
        });
        let logs: Vec<Log> = self.rpc.read("eth_getLogs", (filter,)).await?;
        // The route is set once.
        let Some(log) = logs.first() else { return Ok(None) };
        let transaction: Option<Brief> =
            self.rpc.read("eth_getTransactionByHash", (log.transaction_hash,)).await?;
        let input = transaction.map(|it| it.input).unwrap_or_default();
        let selector = ModelRouter::addModelCall::SELECTOR;
        let mut places = input.windows(4).enumerate().filter(|(_, window)| *window == selector);
        Ok(places.find_map(|(at, _)| ModelRouter::addModelCall::abi_decode(&input[at..]).ok()))
    }
}
