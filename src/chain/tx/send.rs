//! From a signed transaction to its confirmed receipt.

use super::{Call, Error, NotMined, Receipt, Result, Sender, Simulation};
use crate::{
    chain::{
        account::{Account, Wallet},
        node::rpc,
        tx::fees::Fees,
    },
    toolchain,
};
use alloy::{
    consensus::TxEnvelope,
    eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718},
    network::{Ethereum, NetworkTransactionBuilder, NetworkWallet, TransactionBuilder},
    primitives::{Bytes, TxHash, U256},
    rpc::types::{TransactionReceipt, TransactionRequest},
};
use std::{
    fs::File,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often a transaction whose nonce somebody else took is sent with another one.
const NONCE_ATTEMPTS: u32 = 5;
/// How often a stuck transaction is replaced.
const MAX_BUMPS: u32 = 8;

impl Sender {
    /// Simulates, sends, waits for the confirmations and returns the receipt of a success.
    pub async fn send(&self, call: &Call) -> Result<Receipt> {
        let Account::Signer(wallet) = &self.account else {
            return Err(Error::CannotSign(self.address()));
        };
        if let Some(receipt) = self.resume(call, wallet).await? {
            return Ok(receipt);
        }
        for _ in 1..NONCE_ATTEMPTS {
            match self.send_once(call, wallet).await {
                // Somebody else used our nonce, so ours can't be mined any more.
                Err(Error::NonceTaken { nonce, .. }) if self.options.nonce.is_none() => {
                    tracing::debug!(nonce, "the nonce was taken; trying the next one");
                    let mut own = lock_mutex(&self.next_nonce);
                    *own = Some(own.unwrap_or_default().max(nonce + 1));
                }
                other => return other,
            }
        }
        self.send_once(call, wallet).await
    }

    async fn send_once(&self, call: &Call, wallet: &Wallet) -> Result<Receipt> {
        let simulation = self.simulate(call).await?;
        if !simulation.affordable() {
            return Err(self.insufficient(call, &simulation));
        }
        let lock = self.lock().await;
        let nonce = self.nonce().await?;
        let request = call
            .request(self.address())
            .with_nonce(nonce)
            .with_gas_limit(simulation.gas_limit)
            .with_chain_id(self.rpc.chain_id());
        let mut pending = Pending::new(call, request, nonce, simulation.fees);
        self.submit(&mut pending, wallet, true).await?;
        *lock_mutex(&self.next_nonce) = Some(nonce + 1);
        drop(lock);
        self.wait(pending, wallet).await
    }

    /// Goes on with a transaction that an earlier run left in the broadcast file.
    async fn resume(&self, call: &Call, wallet: &Wallet) -> Result<Option<Receipt>> {
        let Some(journal) = &self.journal else { return Ok(None) };
        let Some(left) = journal.take(self.address(), call) else { return Ok(None) };
        for hash in &left.hashes {
            if let Some(receipt) = self.rpc.receipt(*hash).await?
                && receipt.status()
            {
                tracing::info!(%hash, "{} was mined in an earlier run", call.label);
                if let Some(receipt) = self.confirm(receipt, call, &left.hashes).await? {
                    return Ok(Some(receipt));
                }
            }
        }
        let mined = self.rpc.transaction_count(self.address(), BlockNumberOrTag::Latest).await?;
        if left.nonce < mined {
            journal.forget(&left.hashes)?;
            return Ok(None);
        }
        // The nonce is free, so whatever was sent with it can only be mined once.
        tracing::info!(nonce = left.nonce, "going on with {}", call.label);
        let simulation = self.simulate(call).await?;
        let mut fees = simulation.fees;
        for hash in &left.hashes {
            if let Some(waiting) = self.rpc.transaction(*hash).await? {
                fees = fees.at_least(Fees::of(&waiting).bumped());
            }
        }
        if simulation.balance
            < call.value + U256::from(simulation.gas_limit) * U256::from(fees.max())
        {
            return Err(self.insufficient(call, &simulation));
        }
        let request = call
            .request(self.address())
            .with_nonce(left.nonce)
            .with_gas_limit(simulation.gas_limit)
            .with_chain_id(self.rpc.chain_id());
        let mut pending = Pending::new(call, request, left.nonce, fees);
        pending.hashes = left.hashes;
        match self.submit(&mut pending, wallet, true).await {
            Ok(()) => {}
            Err(Error::NonceTaken { .. }) => {
                journal.forget(&pending.hashes)?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        *lock_mutex(&self.next_nonce) = Some(left.nonce + 1);
        self.wait(pending, wallet).await.map(Some)
    }

    /// Completes the broadcast file by what has become of the transactions that an earlier run left
    /// waiting, for those that need not be sent again.
    pub async fn settle(&self) -> Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        for hash in journal.run().pending {
            if let Some(receipt) = self.rpc.receipt(hash).await? {
                journal.mined(&receipt, &[hash])?;
            }
        }
        Ok(())
    }

    /// Signs with the current fees, keeps the transaction in the broadcast file and hands it over.
    async fn submit(&self, pending: &mut Pending<'_>, wallet: &Wallet, first: bool) -> Result<()> {
        let request = pending.fees.apply(pending.request.clone());
        let unsigned = request
            .clone()
            .build_unsigned()
            .map_err(|error| Error::Sign(error.error.to_string()))?;
        let signed: TxEnvelope = NetworkWallet::<Ethereum>::sign_transaction_from(
            wallet.inner(),
            wallet.address(),
            unsigned,
        )
        .await
        .map_err(|error| Error::Sign(error.to_string()))?;
        let hash = *signed.tx_hash();
        let raw = Bytes::from(signed.encoded_2718());
        if let Some(journal) = &self.journal {
            journal.sending(pending.call, &request, hash, &pending.hashes)?;
        }
        pending.hashes.push(hash);
        pending.sent = Instant::now();
        match self.hand_over(pending, &raw, hash).await {
            Ok(()) => {
                tracing::info!(%hash, nonce = pending.nonce, "sent {}", pending.call.label);
                Ok(())
            }
            // It may have arrived, so it stays in the file for --resume.
            Err(error @ Error::MaybeSent { .. }) => Err(error),
            Err(error) => {
                pending.hashes.pop();
                if first && let Some(journal) = &self.journal {
                    journal.forget(&[hash])?;
                }
                Err(error)
            }
        }
    }

    async fn hand_over(&self, pending: &Pending<'_>, raw: &Bytes, hash: TxHash) -> Result<()> {
        let label = || pending.call.label.clone();
        let mut lost = 0;
        loop {
            let error = match self.rpc.send_raw(raw).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if let rpc::Error::Refused { message, .. } = &error {
                return match Refusal::of(message) {
                    Refusal::Known => Ok(()),
                    // Perhaps by ourselves: this transaction, or one that it was to replace.
                    Refusal::Nonce if self.knows_any(&pending.hashes).await => Ok(()),
                    Refusal::Nonce => {
                        Err(Error::NonceTaken { account: self.address(), nonce: pending.nonce })
                    }
                    Refusal::Other => {
                        Err(Error::Refused { label: label(), message: message.clone() })
                    }
                };
            }
            if !error.may_have_arrived() {
                return Err(error.into());
            }
            // The answer was lost; the transaction may not be. Sending the same bytes twice is
            // harmless.
            if self.knows_any(&[hash]).await {
                return Ok(());
            }
            if lost == 2 {
                let source = Box::new(error);
                return Err(Error::MaybeSent {
                    label: label(),
                    hash,
                    nonce: pending.nonce,
                    source,
                });
            }
            lost += 1;
        }
    }

    /// Whether the node knows one of these transactions, mined or waiting.
    async fn knows_any(&self, hashes: &[TxHash]) -> bool {
        for hash in hashes {
            if matches!(self.rpc.transaction(*hash).await, Ok(Some(_))) {
                return true;
            }
        }
        false
    }

    async fn wait(&self, mut pending: Pending<'_>, wallet: &Wallet) -> Result<Receipt> {
        let limit = Duration::from_secs(self.options.timeout);
        let patience = Duration::from_secs(self.options.bump_after.max(1));
        let start = Instant::now();
        // Nodes behind one public address lag behind each other: one may know that the nonce is
        // used before another has the receipt.
        let (mut pause, lag) = match self.rpc.endpoint().is_loopback() {
            true => (Duration::from_millis(50), Duration::from_millis(300)),
            false => (Duration::from_millis(500), Duration::from_secs(20)),
        };
        let mut bumps = 0;
        let mut taken: Option<Instant> = None;
        loop {
            match self.mined(&pending).await {
                Ok(Some(receipt)) => {
                    if let Some(receipt) =
                        self.confirm(receipt, pending.call, &pending.hashes).await?
                    {
                        return Ok(receipt);
                    }
                }
                Ok(None) => {
                    let at = BlockNumberOrTag::Latest;
                    let count = self.rpc.transaction_count(self.address(), at).await;
                    taken = match count {
                        Ok(count) if count > pending.nonce => taken.or(Some(Instant::now())),
                        _ => None,
                    };
                    if taken.is_some_and(|since| since.elapsed() > lag) {
                        let (account, nonce) = (self.address(), pending.nonce);
                        if let Some(journal) = &self.journal {
                            journal.forget(&pending.hashes)?;
                        }
                        return Err(Error::NonceTaken { account, nonce });
                    }
                }
                Err(error) => tracing::debug!(%error, "asking for the receipt failed"),
            }
            if start.elapsed() >= limit {
                return Err(self.not_mined(&pending, limit).await);
            }
            if pending.sent.elapsed() >= patience && bumps < MAX_BUMPS && self.may_bump() {
                bumps += 1;
                self.bump(&mut pending, wallet).await;
            }
            tokio::time::sleep(pause.min(limit.saturating_sub(start.elapsed()))).await;
            pause = (pause * 5 / 4).min(Duration::from_secs(2));
        }
    }

    /// A price that the user fixed is not exceeded.
    fn may_bump(&self) -> bool {
        self.options.gas_price.is_none()
    }

    async fn mined(&self, pending: &Pending<'_>) -> Result<Option<TransactionReceipt>> {
        for hash in pending.hashes.iter().rev() {
            if let Some(receipt) = self.rpc.receipt(*hash).await? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    /// Waits for the confirmations. Nothing if the block is gone meanwhile (a reorganisation).
    async fn confirm(
        &self,
        receipt: TransactionReceipt,
        call: &Call,
        hashes: &[TxHash],
    ) -> Result<Option<Receipt>> {
        let limit = Duration::from_secs(self.options.timeout);
        let start = Instant::now();
        let mut receipt = receipt;
        let block = loop {
            let block = receipt.block_number.unwrap_or_default();
            if self.rpc.block_number().await? >= block + self.options.confirmations.max(1) - 1 {
                break block;
            }
            if start.elapsed() >= limit {
                let label = format!("{} (confirmation {})", call.label, self.options.confirmations);
                return Err(Error::Unconfirmed {
                    label,
                    hash: receipt.transaction_hash,
                    block,
                    after: limit,
                });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            // A reorganisation may have put it into another block, or into none.
            match self.rpc.receipt(receipt.transaction_hash).await? {
                Some(found) => receipt = found,
                None => return Ok(None),
            }
        };
        let header = self.rpc.block(BlockNumberOrTag::Number(block)).await?.header;
        if let Some(journal) = &self.journal {
            journal.mined(&receipt, hashes)?;
        }
        if !receipt.status() {
            return Err(self.failed(&receipt, call).await);
        }
        Ok(Some(Receipt::new(&receipt, header.timestamp)))
    }

    /// Offers more. Failures are only logged: the earlier transactions still count.
    async fn bump(&self, pending: &mut Pending<'_>, wallet: &Wallet) {
        let previous = pending.fees;
        let suggested = async {
            let base_fee = self.rpc.latest_block().await?.header.base_fee_per_gas;
            Ok::<_, Error>(Fees::suggest(&self.rpc, &self.options, base_fee).await?)
        };
        match suggested.await {
            Ok(suggested) => pending.fees = previous.bumped().at_least(suggested),
            Err(error) => return tracing::warn!(%error, "no fees to replace the transaction with"),
        }
        tracing::info!(nonce = pending.nonce, fees = %pending.fees, "replacing a stuck transaction");
        if let Err(error) = self.submit(pending, wallet, false).await {
            tracing::warn!(%error, "the replacement was not accepted");
            pending.fees = previous;
            pending.sent = Instant::now();
        }
    }

    /// The nonce to use: the user's, else the next one after what is mined, what waits in the
    /// node's pool and what this sender sent.
    async fn nonce(&self) -> Result<u64> {
        let account = self.address();
        let next = self.rpc.transaction_count(account, BlockNumberOrTag::Pending).await?;
        let own = *lock_mutex(&self.next_nonce);
        if self.options.nonce.is_none() {
            return Ok(own.map_or(next, |own| own.max(next)));
        }
        let nonce = own.unwrap_or(next);
        if nonce > next {
            return Err(Error::NonceGap { account, nonce, next });
        }
        Ok(nonce)
    }

    /// Keeps other zkvouch processes of this machine from taking the same nonce meanwhile.
    async fn lock(&self) -> Option<File> {
        let name = format!("nonce-{}-{}.lock", self.rpc.chain_id(), self.address());
        let path = toolchain::cache_dir().ok()?.join("locks").join(name);
        match toolchain::lock(path).await {
            Ok(lock) => Some(lock),
            Err(error) => {
                tracing::debug!(%error, "sending without a lock on the nonce");
                None
            }
        }
    }

    fn insufficient(&self, call: &Call, simulation: &Simulation) -> Error {
        Error::InsufficientFunds {
            label: call.label.clone(),
            account: self.address(),
            chain_id: self.rpc.chain_id(),
            balance: simulation.balance,
            needed: simulation.max_cost,
        }
    }

    async fn failed(&self, receipt: &TransactionReceipt, call: &Call) -> Error {
        let block = receipt.block_number.unwrap_or_default();
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
            hash: pending.hashes.last().copied().unwrap_or_default(),
            nonce: pending.nonce,
            fees: pending.fees,
            base_fee: block.and_then(|block| block.header.base_fee_per_gas).map(u128::from),
            after,
        }))
    }
}

/// A transaction on its way; replacements share its nonce.
struct Pending<'a> {
    call: &'a Call,
    request: TransactionRequest,
    nonce: u64,
    fees: Fees,
    hashes: Vec<TxHash>,
    sent: Instant,
}

impl<'a> Pending<'a> {
    fn new(call: &'a Call, request: TransactionRequest, nonce: u64, fees: Fees) -> Self {
        Self { call, request, nonce, fees, hashes: Vec::new(), sent: Instant::now() }
    }
}

/// What a node's refusal means. There are no codes for it, only words, which differ.
#[derive(Debug, PartialEq)]
enum Refusal {
    /// It has the transaction already.
    Known,
    /// Another transaction has the nonce.
    Nonce,
    /// Something else.
    Other,
}

impl Refusal {
    fn of(message: &str) -> Self {
        let message = message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if says(&["already known", "already imported", "known transaction", "alreadyknown"]) {
            Self::Known
        } else if says(&[
            "nonce too low",
            "nonce is too low",
            "replacement transaction underpriced",
            "could not replace existing",
            "nonce has already been used",
            "oldnonce",
            "invalid nonce",
        ]) {
            Self::Nonce
        } else {
            Self::Other
        }
    }
}

fn lock_mutex<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
