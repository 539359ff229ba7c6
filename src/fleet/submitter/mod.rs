//! The submitter: records what is proved, each prediction once.
//!
//! One at a time has an account, by a lease in the database. What it signs is kept there before it is handed
//! over, under the lease's number, so that one whose lease went to another can't hand anything over, and the next
//! goes on with the same bytes.

mod decide;
mod keeper;
mod pass;

use super::{
    Blobs, Error, Result, Store,
    store::{Held, StoreOptions, WorkerCard},
};
use crate::{
    chain::{
        ChainClass,
        account::Account,
        contracts,
        node::rpc::Rpc,
        tx::{Sender, TxOptions, journal::Journal},
    },
    project::Built,
};
use alloy::primitives::U256;
use keeper::DatabaseKeeper;
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How a submitter works.
#[derive(Clone, Debug)]
pub struct SubmitterOptions {
    /// Predictions in one transaction at most.
    pub batch: u32,
    /// How long a prediction waits for others to go with while more are proved.
    pub wait: Duration,
    /// How long it waits between two looks.
    pub poll: Duration,
    /// Blocks, its own included, after which a transaction stays.
    pub confirmations: u64,
    /// What all transactions of 24 hours may cost, in wei.
    pub max_cost_a_day: Option<U256>,
    /// What the transaction may cost for each prediction in it, in wei.
    pub max_cost_each: Option<U256>,
    /// Whether it ends when nothing is left to do.
    pub until_idle: bool,
    /// The folder for the files of what was sent.
    pub folder: PathBuf,
}

/// What a submitter did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Submitted {
    /// Transactions that were mined.
    pub transactions: u64,
    /// Predictions in them.
    pub predictions: u64,
    /// Gas that they took.
    pub gas: u64,
}

/// A submitter of one model's predictions, for one account.
pub struct Submitter {
    store: Store,
    url: String,
    store_options: StoreOptions,
    blobs: Blobs,
    built: Built,
    rpc: Rpc,
    account: Account,
    tx: TxOptions,
    class: ChainClass,
    options: SubmitterOptions,
    name: String,
    done: Submitted,
}

impl fmt::Debug for Submitter {
    // The queue's URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Who sends, and what it may spend.
#[derive(Debug)]
pub struct Payer {
    /// The node.
    pub rpc: Rpc,
    /// The account, which has to be able to sign.
    pub account: Account,
    /// How transactions are sent.
    pub tx: TxOptions,
    /// Whose chain it is.
    pub class: ChainClass,
}

impl Submitter {
    /// A submitter on the queue at `url`.
    ///
    /// # Errors
    /// The queue is not to be had.
    pub async fn new(
        url: &str,
        store_options: StoreOptions,
        blobs: Blobs,
        built: Built,
        payer: Payer,
        options: SubmitterOptions,
    ) -> Result<Self> {
        let Payer { rpc, account, tx, class } = payer;
        Ok(Self {
            store: Store::open(url, store_options).await?,
            url: url.to_owned(),
            store_options,
            blobs,
            built,
            rpc,
            account,
            // What is mined is noted at once; how long it takes to stay is looked at later.
            tx: TxOptions { confirmations: 1, ..tx },
            class,
            options,
            name: WorkerCard::new(0).name,
            done: Submitted::default(),
        })
    }

    /// Works until `stop` says true, or nothing is left to do if that is enough. While another has the account,
    /// it waits.
    ///
    /// # Errors
    /// What no waiting mends.
    pub async fn run(&mut self, mut stop: watch::Receiver<bool>) -> Result<Submitted> {
        let mut told = false;
        while !*stop.borrow() {
            let outcome = match self.hold().await {
                Ok((held, keeper)) => {
                    told = false;
                    let outcome = self.hold_on(&held, keeper, &mut stop).await;
                    if let Err(error) = self.store.release(&held).await {
                        tracing::debug!(%error, "the account stays locked until its lease ends");
                    }
                    outcome
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => break,
                Err(error @ (Error::Held { .. } | Error::SubmitterLost)) => {
                    if !told {
                        tracing::warn!(%error, "standing by");
                    }
                    told = true;
                }
                Err(error) if error.is_outage() => tracing::warn!(%error, "waiting"),
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        Ok(self.done)
    }

    async fn hold(&self) -> Result<(Held, Arc<DatabaseKeeper>)> {
        let held = self.store.hold(self.rpc.chain_id(), self.account.address(), &self.name).await?;
        let (url, options) = (self.url.clone(), self.store_options);
        let keeper = DatabaseKeeper::open(url, options, held.clone()).await?;
        Ok((held, Arc::new(keeper)))
    }

    /// Works while it has the account.
    async fn hold_on(
        &mut self,
        held: &Held,
        keeper: Arc<DatabaseKeeper>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<()> {
        let (store, mine) = (self.store.clone(), held.clone());
        let every = store.options().lease / 5;
        let kept = async move {
            loop {
                tokio::time::sleep(every).await;
                match store.keep(&mine).await {
                    Err(error) if error.is_outage() => {
                        tracing::warn!(%error, "the account's lease was not prolonged");
                    }
                    Err(error) => return error,
                    Ok(()) => {}
                }
            }
        };
        // What was kept by the last holder is gone on with, once.
        let mut last = held.journal.clone();
        let work = async {
            loop {
                let is_idle = self.pass(held, &keeper, &mut last).await?;
                if *stop.borrow()
                    || (is_idle && self.options.until_idle && self.nothing_comes().await?)
                {
                    return Ok(());
                }
                tokio::select! {
                    () = tokio::time::sleep(self.options.poll) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
        };
        tokio::select! {
            outcome = work => outcome,
            error = kept => Err(error),
        }
    }

    /// Whether nothing waits, runs, or is on its way to the chain.
    async fn nothing_comes(&self) -> Result<bool> {
        let counts = self.store.counts().await?;
        Ok(counts.keys().all(|state| state.is_final()))
    }

    /// A sender with this much to spend on one transaction.
    fn sender(
        &self,
        keeper: &Arc<DatabaseKeeper>,
        last: &mut Option<String>,
        max_cost: Option<U256>,
    ) -> Result<Sender> {
        let mut tx = self.tx.clone();
        if let Some(most) = max_cost {
            let most = u128::try_from(most).unwrap_or(u128::MAX);
            tx.max_cost = Some(tx.max_cost.map_or(most, |own| own.min(most)));
        }
        let sender = Sender::new(self.rpc.clone(), self.account.clone(), tx)
            .map_err(crate::chain::Error::from)?;
        let journal = self.journal(keeper, last)?;
        Ok(sender.with_decoder(contracts::decoder()).with_journal(journal))
    }

    /// What was signed and may still be undone, here and in the database.
    fn journal(&self, keeper: &Arc<DatabaseKeeper>, last: &mut Option<String>) -> Result<Journal> {
        let (folder, chain) = (&self.options.folder, self.rpc.chain_id());
        let journal = Journal::kept(folder, "fleet", chain, keeper.clone(), last.as_deref());
        let journal = journal.map_err(crate::chain::Error::from)?;
        *last = None;
        Ok(journal)
    }
}
