//! From a call to a transaction that was handed over.

use super::{Call, Error, Receipt, Result, Sender, Simulation, fees::Fees, journal};
use crate::{
    chain::{
        account::{Account, Wallet},
        node::rpc,
    },
    toolchain,
};
use alloy::{
    consensus::TxEnvelope,
    eips::{BlockNumberOrTag, eip2718::Encodable2718},
    network::{Ethereum, NetworkTransactionBuilder, NetworkWallet, TransactionBuilder},
    primitives::{B256, Bytes, TxHash},
    rpc::types::TransactionRequest,
};
use std::{
    fs::File,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often another nonce is tried where somebody else's transaction was quicker.
const NONCE_ATTEMPTS: u32 = 5;
/// How often the same bytes are handed over while no answer says what became of them.
const HAND_OVERS: u32 = 3;

impl Sender {
    /// Simulates, sends, waits for the confirmations and returns the receipt of a success. A call
    /// that the journal knows as sent, by this run or an earlier one, is gone on with instead.
    ///
    /// # Errors
    /// What is wrong with the call before anything is sent; and after that errors that name the
    /// transaction and the way on.
    pub async fn send(&self, call: &Call) -> Result<Receipt> {
        let wallet = self.wallet()?;
        for _ in 1..NONCE_ATTEMPTS {
            match self.send_once(call, wallet).await {
                Err(Error::NonceTaken { nonce, .. }) if self.options.nonce.is_none() => {
                    tracing::debug!(
                        nonce,
                        "another transaction was quicker; trying the next nonce"
                    );
                }
                other => return other,
            }
        }
        self.send_once(call, wallet).await
    }

    /// What has become of a call that an earlier run handed over, waiting for it if it must; nothing
    /// if none did. For those who look at the chain's state before they send: it may be the call's
    /// own doing.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn earlier(&self, call: &Call) -> Result<Option<Receipt>> {
        let Account::Signer(wallet) = &self.account else { return Ok(None) };
        let lock = self.lock().await?;
        match self.left(call).await? {
            Some(left) => self.go_on(call, left, wallet, lock).await.map(Some),
            None => Ok(None),
        }
    }

    fn wallet(&self) -> Result<&Wallet> {
        match &self.account {
            Account::Signer(wallet) => Ok(wallet),
            Account::Watched(address) => Err(Error::CannotSign(*address)),
        }
    }

    async fn left(&self, call: &Call) -> Result<Option<journal::Entry>> {
        match &self.journal {
            Some(journal) => Ok(journal.find(self.address(), call, self.genesis().await)?),
            None => Ok(None),
        }
    }

    /// The hash of the chain's first block: a local chain that was started afresh has the old one's
    /// id and none of its transactions. `None` where the node does not tell.
    async fn genesis(&self) -> Option<B256> {
        let block = self.rpc.block(BlockNumberOrTag::Earliest).await.ok()?;
        Some(block.header.hash)
    }

    async fn send_once(&self, call: &Call, wallet: &Wallet) -> Result<Receipt> {
        // From here until the transaction is handed over no other run of this account may look.
        let lock = self.lock().await?;
        if let Some(left) = self.left(call).await? {
            return self.go_on(call, left, wallet, lock).await;
        }
        let simulation = self.simulate(call).await?;
        if !simulation.affordable() {
            return Err(self.insufficient(call, &simulation));
        }
        let nonce = self.nonce().await?;
        let since = self.rpc.block_number().await?;
        let request = self.request(call, nonce, &simulation);
        let mut pending = Pending::new(call, request, nonce, since, simulation.fees);
        pending.genesis = self.genesis().await;
        self.submit(&mut pending, wallet).await?;
        *lock_mutex(&self.next_nonce) = Some(nonce + 1);
        drop(lock);
        self.wait(pending, wallet).await
    }

    fn request(&self, call: &Call, nonce: u64, simulation: &Simulation) -> TransactionRequest {
        call.request(self.address())
            .with_nonce(nonce)
            .with_gas_limit(simulation.gas_limit)
            .with_chain_id(self.rpc.chain_id())
    }

    /// Goes on with what was signed for a call before: finds out what became of it, hands the same
    /// bytes over again where the chain never heard of them, and waits. Nothing else is signed but a
    /// replacement with the same nonce.
    async fn go_on(
        &self,
        call: &Call,
        left: journal::Entry,
        wallet: &Wallet,
        lock: Option<File>,
    ) -> Result<Receipt> {
        tracing::info!(nonce = left.nonce, "going on with {}", call.label);
        if let journal::Answer::Replaced { by } = left.answer {
            let (label, nonce) = (call.label.clone(), left.nonce);
            return Err(Error::Replaced { label, account: self.address(), nonce, by });
        }
        let hashes = left.hashes();
        let hash = hashes.last().copied().unwrap_or_default();
        let look = async {
            let mined = self.count(BlockNumberOrTag::Latest).await?;
            // Only where the nonce is the next one can handing over help: before it something is
            // missing, and behind it everything is decided.
            let free = mined == left.nonce && !self.knows_any(&hashes).await;
            if mined < left.nonce && self.count(BlockNumberOrTag::Pending).await? < left.nonce {
                let (account, nonce, next) = (self.address(), left.nonce, mined);
                return Err(Error::Waiting {
                    label: call.label.clone(),
                    account,
                    nonce,
                    next,
                    hash,
                });
            }
            Ok::<_, Error>(free)
        };
        let free = look.await.map_err(|error| error.after_sending(&call.label, hash))?;
        // What it offers is read back from the node when it has to be replaced.
        let fees = Fees::Eip1559 { max: 0, priority: 0 };
        let request = call.request(self.address()).with_nonce(left.nonce);
        let mut pending = Pending::new(call, request, left.nonce, left.since, fees);
        pending.hashes = hashes;
        pending.genesis = left.genesis;
        pending.signed_before = true;
        if free && let Some(sent) = left.sent.last() {
            match self.hand_over(&mut pending, &sent.raw, sent.hash).await {
                Ok(()) => {}
                // It can't be mined as it is: with today's fees and gas, and the same nonce, then.
                Err(Error::Refused { message, .. }) => {
                    tracing::info!(message, "the node does not take it as it was; signing anew");
                    self.renew(&mut pending).await?;
                    self.submit(&mut pending, wallet).await?;
                }
                Err(error) => return Err(error),
            }
        }
        *lock_mutex(&self.next_nonce) = Some(left.nonce + 1);
        drop(lock);
        self.wait(pending, wallet).await
    }

    /// Simulates anew for a transaction that is to be signed anew with its old nonce.
    pub(super) async fn renew(&self, pending: &mut Pending<'_>) -> Result<()> {
        let simulation = self.simulate(pending.call).await?;
        let mut fees = simulation.fees;
        for hash in &pending.hashes {
            if let Some(waiting) = self.rpc.transaction(*hash).await? {
                fees = Fees::of(&waiting).bumped(&self.options).at_least(fees);
            }
        }
        pending.request = self.request(pending.call, pending.nonce, &simulation);
        pending.fees = fees;
        pending.signed_before = false;
        Ok(())
    }

    /// Signs with the current fees, keeps the transaction in the journal and hands it over.
    pub(super) async fn submit(&self, pending: &mut Pending<'_>, wallet: &Wallet) -> Result<()> {
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
        let sent = journal::Sent { hash: *signed.tx_hash(), raw: signed.encoded_2718().into() };
        if let Some(journal) = &self.journal {
            let Pending { call, since, genesis, .. } = *pending;
            journal.sending(call, &request, (since, genesis), &sent)?;
        }
        pending.hashes.push(sent.hash);
        pending.sent = Instant::now();
        self.hand_over(pending, &sent.raw, sent.hash).await?;
        tracing::info!(hash = %sent.hash, nonce = pending.nonce, "sent {}", pending.call.label);
        Ok(())
    }

    /// Hands bytes over until the node has them, or what became of them is the chain's to say.
    ///
    /// # Errors
    /// [`Error::Refused`] only for what no node would take; [`Error::MaybeSent`] where every answer
    /// was lost.
    async fn hand_over(&self, pending: &mut Pending<'_>, raw: &Bytes, hash: TxHash) -> Result<()> {
        let label = || pending.call.label.clone();
        let mut pause = Duration::from_millis(200);
        for attempt in 1.. {
            let error = match self.rpc.send_raw(raw).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let answer = match &error {
                rpc::Error::Refused { message, .. } => Refusal::of(message),
                _ => Refusal::Unclear,
            };
            match answer {
                Refusal::Known => return Ok(()),
                // By which transaction, perhaps this very one, the chain has to say.
                Refusal::Nonce => {
                    pending.contested = true;
                    return Ok(());
                }
                Refusal::Final => {
                    let message = error.to_string();
                    return Err(Error::Refused { label: label(), message, hash });
                }
                // Sending the same bytes twice is harmless.
                Refusal::Unclear if self.knows_any(&[hash]).await => return Ok(()),
                Refusal::Unclear if attempt == HAND_OVERS => {
                    let (nonce, source) = (pending.nonce, Box::new(error));
                    return Err(Error::MaybeSent { label: label(), hash, nonce, source });
                }
                Refusal::Unclear => {
                    tokio::time::sleep(error.pause().unwrap_or(pause)).await;
                    pause *= 2;
                }
            }
        }
        Ok(())
    }

    /// Whether the node knows one of these transactions, mined or waiting.
    pub(super) async fn knows_any(&self, hashes: &[TxHash]) -> bool {
        for hash in hashes.iter().rev() {
            if matches!(self.rpc.knows(*hash).await, Ok(true)) {
                return true;
            }
        }
        false
    }

    /// The nonce to use: the user's, else the next one after what is mined, what waits in the
    /// node's pool and what this sender sent.
    async fn nonce(&self) -> Result<u64> {
        let account = self.address();
        let next = self.count(BlockNumberOrTag::Pending).await?;
        let own = *lock_mutex(&self.next_nonce);
        if self.options.nonce.is_none() {
            return Ok(own.map_or(next, |own| own.max(next)));
        }
        let nonce = own.unwrap_or(next);
        if nonce > next {
            return Err(Error::NonceGap { account, nonce, next });
        }
        if nonce < self.count(BlockNumberOrTag::Latest).await? {
            return Err(Error::NonceTaken { account, nonce });
        }
        Ok(nonce)
    }

    pub(super) async fn count(&self, at: BlockNumberOrTag) -> Result<u64> {
        Ok(self.rpc.transaction_count(self.address(), at).await?)
    }

    /// Keeps other runs of this account from looking and sending meanwhile. With a journal the lock
    /// lies beside it and is not to be done without; otherwise in the cache, where there is one.
    async fn lock(&self) -> Result<Option<File>> {
        if let Some(journal) = &self.journal {
            let lock = toolchain::lock(journal.lock_path(self.address())).await;
            return lock.map(Some).map_err(|error| Error::Lock(Box::new(error)));
        }
        let name = format!("nonce-{}-{}.lock", self.rpc.chain_id(), self.address());
        let Ok(cache) = toolchain::cache_dir() else { return Ok(None) };
        match toolchain::lock(cache.join("locks").join(name)).await {
            Ok(lock) => Ok(Some(lock)),
            Err(error) => {
                tracing::debug!(%error, "sending without a lock on the nonce");
                Ok(None)
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
}

/// A transaction on its way; replacements share its nonce.
pub(super) struct Pending<'a> {
    pub(super) call: &'a Call,
    pub(super) request: TransactionRequest,
    pub(super) nonce: u64,
    /// The newest block before anything was handed over.
    pub(super) since: u64,
    pub(super) genesis: Option<B256>,
    pub(super) fees: Fees,
    pub(super) hashes: Vec<TxHash>,
    pub(super) sent: Instant,
    /// It was signed by an earlier run: `request` lacks gas, and `fees` are not known.
    pub(super) signed_before: bool,
    /// The node refused it for its nonce.
    pub(super) contested: bool,
}

impl<'a> Pending<'a> {
    fn new(
        call: &'a Call,
        request: TransactionRequest,
        nonce: u64,
        since: u64,
        fees: Fees,
    ) -> Self {
        let (hashes, sent) = (Vec::new(), Instant::now());
        Self {
            call,
            request,
            nonce,
            since,
            genesis: None,
            fees,
            hashes,
            sent,
            signed_before: false,
            contested: false,
        }
    }

    /// The hash of what was signed last; zero if nothing was.
    pub(super) fn hash(&self) -> TxHash {
        self.hashes.last().copied().unwrap_or_default()
    }
}

/// What an error answer to handing over means. There are no codes for it, only words, which differ.
#[derive(Debug, PartialEq)]
enum Refusal {
    /// The node has the transaction already.
    Known,
    /// A transaction of the account has the nonce: this one, or another.
    Nonce,
    /// No node takes it as it is: this is about its content, and not about the moment.
    Final,
    /// Anything else: it may have been taken.
    Unclear,
}

impl Refusal {
    fn of(message: &str) -> Self {
        const KNOWN: [&str; 4] =
            ["already known", "already imported", "known transaction", "alreadyknown"];
        const NONCE: [&str; 7] = [
            "nonce too low",
            "nonce is too low",
            "replacement transaction underpriced",
            "could not replace existing",
            "nonce has already been used",
            "oldnonce",
            "invalid nonce",
        ];
        const FINAL: [&str; 16] = [
            "insufficient funds",
            "intrinsic gas too low",
            "exceeds block gas limit",
            "gas limit too high",
            "gas limit is too high",
            "exceeds the cap",
            "transaction gas limit",
            "invalid sender",
            "invalid signature",
            "invalid chain id",
            "incorrect chain id",
            "only replay-protected",
            "transaction type not supported",
            "max initcode size exceeded",
            "oversized data",
            "max priority fee per gas higher than max fee per gas",
        ];
        let message = message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if says(&KNOWN) {
            Self::Known
        } else if says(&NONCE) {
            Self::Nonce
        } else if says(&FINAL) {
            Self::Final
        } else {
            Self::Unclear
        }
    }
}

pub(super) fn lock_mutex<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
