//! From a transaction that was handed over to its confirmed receipt.

use super::{
    Call, Error, NotMined, Receipt, Result, Sender,
    fees::Fees,
    journal::{Answer, Entry},
    send::Pending,
};
use crate::chain::account::Wallet;
use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::{AnyTransactionReceipt, ReceiptResponse},
    primitives::TxHash,
};
use std::time::{Duration, Instant};

/// How often a stuck transaction is replaced.
const MAX_BUMPS: u32 = 8;

/// What is known of a nonce that was used.
enum Taker {
    /// One of ours, whose receipt the node does not show yet.
    Ours(TxHash, u64),
    /// Another transaction of the account.
    Other(TxHash),
    /// The node does not tell.
    Unknown,
}

impl Sender {
    pub(super) async fn wait(&self, pending: Pending<'_>, wallet: &Wallet) -> Result<Receipt> {
        let (label, hash) = (pending.call.label.clone(), pending.hash());
        self.watch(pending, wallet).await.map_err(|error| error.after_sending(&label, hash))
    }

    async fn watch(&self, mut pending: Pending<'_>, wallet: &Wallet) -> Result<Receipt> {
        let limit = Duration::from_secs(self.options.timeout);
        let patience = Duration::from_secs(self.options.bump_after.max(1));
        let start = Instant::now();
        // Nodes behind one public address lag behind each other: one may know that the nonce is
        // used before another has the receipt.
        let (mut pause, lag) = match self.rpc.endpoint().is_loopback() {
            true => (Duration::from_millis(50), Duration::from_secs(1)),
            false => (Duration::from_millis(500), Duration::from_secs(20)),
        };
        let mut bumps = 0;
        let mut used: Option<Instant> = None;
        loop {
            match self.mined(&pending).await {
                Ok(Some(receipt)) => {
                    if let Some(receipt) = self.confirm(receipt, &pending, start).await? {
                        return Ok(receipt);
                    }
                }
                Ok(None) => {
                    used = match self.count(BlockNumberOrTag::Latest).await {
                        Ok(count) if count > pending.nonce => used.or(Some(Instant::now())),
                        _ => None,
                    };
                    let late = start.elapsed() >= limit;
                    if used.is_some_and(|since| since.elapsed() > lag || late) {
                        // A block between the two questions would look the same, hence once more.
                        if let Ok(None) = self.mined(&pending).await {
                            self.settle_taken(&pending, late).await?;
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "asking for the receipt failed"),
            }
            if start.elapsed() >= limit {
                return Err(self.not_mined(&pending, limit).await);
            }
            if used.is_none() && pending.sent.elapsed() >= patience && bumps < MAX_BUMPS {
                bumps += 1;
                self.bump(&mut pending, wallet).await;
            }
            tokio::time::sleep(pause.min(limit.saturating_sub(start.elapsed()))).await;
            pause = (pause * 5 / 4).min(Duration::from_secs(2));
        }
    }

    async fn mined(&self, pending: &Pending<'_>) -> Result<Option<AnyTransactionReceipt>> {
        for hash in pending.hashes.iter().rev() {
            if let Some(receipt) = self.rpc.receipt(*hash).await? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    /// The nonce is used and none of ours has a receipt: an error where it is known by what, or where
    /// there is no time left to find out.
    async fn settle_taken(&self, pending: &Pending<'_>, late: bool) -> Result<()> {
        let (label, account) = (pending.call.label.clone(), self.address());
        let (nonce, hash) = (pending.nonce, pending.hash());
        match self.taker(pending).await {
            Taker::Other(by) => {
                // Before it is settled: whether the node ever had ours.
                let seen = pending.signed_before || self.knows_any(&pending.hashes).await;
                if let Some(journal) = &self.journal {
                    journal.replaced(&pending.hashes, by)?;
                }
                if !seen && pending.contested {
                    return Err(Error::NonceTaken { account, nonce });
                }
                Err(Error::Replaced { label, account, nonce, by })
            }
            Taker::Ours(hash, block) if late => Err(Error::NoReceipt { label, hash, block }),
            Taker::Unknown if late => Err(Error::NonceUsed { label, account, nonce, hash }),
            Taker::Ours(..) | Taker::Unknown => Ok(()),
        }
    }

    /// Which transaction has the nonce: by halving, the block after which the account's count is
    /// over it.
    async fn taker(&self, pending: &Pending<'_>) -> Taker {
        let account = self.address();
        let found = async {
            // The transaction may have come into the very next block.
            let (mut low, mut high) = (pending.since, self.rpc.block_number().await?);
            if self.rpc.transaction_count_at(account, low).await? > pending.nonce {
                return Ok(None);
            }
            while high > low + 1 {
                let middle = low + (high - low) / 2;
                let count = self.rpc.transaction_count_at(account, middle).await?;
                if count > pending.nonce { high = middle } else { low = middle }
            }
            let hash = self.rpc.transaction_in(high, account, pending.nonce).await?;
            Ok::<_, Error>(hash.map(|hash| (hash, high)))
        };
        match found.await {
            Ok(Some((hash, block))) if pending.hashes.contains(&hash) => Taker::Ours(hash, block),
            Ok(Some((hash, _))) => Taker::Other(hash),
            Ok(None) => Taker::Unknown,
            Err(error) => {
                tracing::debug!(%error, "the node does not tell which transaction has the nonce");
                Taker::Unknown
            }
        }
    }

    /// Waits for the confirmations. Nothing if the block is gone meanwhile (a reorganisation).
    async fn confirm(
        &self,
        receipt: AnyTransactionReceipt,
        pending: &Pending<'_>,
        start: Instant,
    ) -> Result<Option<Receipt>> {
        let limit = Duration::from_secs(self.options.timeout);
        let call = pending.call;
        let mut receipt = receipt;
        let (block, timestamp) = loop {
            let block = receipt.block_number.unwrap_or_default();
            let deep = block + self.options.confirmations.max(1) - 1;
            let confirmed = async {
                if receipt.block_number.is_none() || self.rpc.block_number().await? < deep {
                    return Ok(None);
                }
                let header = self.rpc.block(BlockNumberOrTag::Number(block)).await?.header;
                Ok::<_, Error>(Some(header.timestamp))
            };
            match confirmed.await {
                Ok(Some(timestamp)) => break (block, timestamp),
                Ok(None) => {}
                // It is mined, and a node that stumbles does not change that.
                Err(error) => tracing::debug!(%error, "asking for confirmations failed"),
            }
            if start.elapsed() >= limit {
                let label = format!("{} (confirmation {})", call.label, self.options.confirmations);
                let hash = receipt.transaction_hash;
                return Err(Error::Unconfirmed { label, hash, block, after: limit });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            // A reorganisation may have put it into another block, or into none.
            match self.rpc.receipt(receipt.transaction_hash).await {
                Ok(Some(found)) => receipt = found,
                Ok(None) => return Ok(None),
                Err(error) => tracing::debug!(%error, "asking for the receipt failed"),
            }
        };
        if let Some(journal) = &self.journal {
            journal.mined(&receipt, &pending.hashes)?;
        }
        if !receipt.status() {
            return Err(self.failed(&receipt, call, block).await);
        }
        Ok(Some(Receipt::new(&receipt, timestamp)))
    }

    /// Completes the journal by what has become of the transactions that an earlier run left waiting,
    /// for those that need not be sent again.
    pub async fn settle(&self) -> Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let waiting =
            |entry: &Entry| entry.answer == Answer::Pending && entry.from == self.address();
        for entry in journal.entries()?.into_iter().filter(waiting) {
            let hashes = entry.hashes();
            for hash in hashes.iter().rev() {
                if let Some(receipt) = self.rpc.receipt(*hash).await? {
                    journal.mined(&receipt, &hashes)?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Offers more, within what the user allows. Failures are only logged: the earlier transactions
    /// still count. Where another transaction waits with the nonce, somebody uses the same account,
    /// and is not to be outbid.
    async fn bump(&self, pending: &mut Pending<'_>, wallet: &Wallet) {
        let previous = (pending.fees, pending.request.clone());
        pending.sent = Instant::now();
        if self.options.gas_price.is_some() || self.is_contested(pending).await {
            return;
        }
        let raised = async {
            if pending.signed_before {
                return self.renew(pending).await;
            }
            let base_fee = self.rpc.latest_block().await?.header.base_fee_per_gas;
            let suggested = Fees::suggest(&self.rpc, &self.options, base_fee).await?;
            pending.fees = previous.0.bumped(&self.options).at_least(suggested);
            Ok::<_, Error>(())
        };
        let outcome = match raised.await {
            Ok(()) if !self.within_ceiling(pending.call, &pending.request, pending.fees) => {
                tracing::info!("the next replacement would cost more than --max-cost");
                (pending.fees, pending.request) = previous;
                return;
            }
            Ok(()) => {
                let (nonce, fees) = (pending.nonce, pending.fees);
                tracing::info!(nonce, %fees, "replacing a stuck transaction");
                self.submit(pending, wallet).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "the replacement was not accepted");
            (pending.fees, pending.request) = previous;
        }
    }

    /// Whether the node holds another transaction with the nonce.
    async fn is_contested(&self, pending: &Pending<'_>) -> bool {
        let waiting = self.count(BlockNumberOrTag::Pending).await;
        waiting.is_ok_and(|count| count > pending.nonce) && !self.knows_any(&pending.hashes).await
    }

    async fn failed(&self, receipt: &AnyTransactionReceipt, call: &Call, block: u64) -> Error {
        let gas = self.rpc.transaction(receipt.transaction_hash).await.ok().flatten();
        let gas = gas.map(|transaction| alloy::consensus::Transaction::gas_limit(&transaction));
        let request = call.request(self.address());
        // What came before it in its own block is in neither state for certain, so both are tried.
        let mut revert = None;
        for state in [block.saturating_sub(1), block] {
            if let Err(error) = self.rpc.call_at(&request, BlockId::number(state), None).await
                && let Error::WouldRevert { revert: found, .. } = self.would_revert(call, error)
            {
                revert = Some(found);
                break;
            }
        }
        let reason = match (&revert, gas) {
            (Some(revert), _) => revert.to_string(),
            (None, Some(limit)) if receipt.gas_used >= limit => {
                format!("it ran out of its {limit} gas; raise --gas-limit")
            }
            _ => {
                "it reverted, though a repetition succeeds; another transaction came before".into()
            }
        };
        let (label, hash) = (call.label.clone(), receipt.transaction_hash);
        Error::Failed { label, hash, block, reason, revert }
    }

    async fn not_mined(&self, pending: &Pending<'_>, after: Duration) -> Error {
        let block = self.rpc.latest_block().await.ok();
        Error::NotMined(Box::new(NotMined {
            label: pending.call.label.clone(),
            hash: pending.hash(),
            nonce: pending.nonce,
            fees: (!pending.signed_before).then_some(pending.fees),
            base_fee: block.and_then(|block| block.header.base_fee_per_gas).map(u128::from),
            after,
        }))
    }
}
