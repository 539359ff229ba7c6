//! One look at everything: what is on its way, what is mined, what is proved.

use super::{
    DatabaseKeeper, Submitter,
    decide::{Decision, decide},
};
use crate::{
    artifacts::proof::ProofFile,
    chain::{
        self, Mode,
        contracts::{is_recorded, prediction_id, submit_to_ledger},
        deploy::Outcome,
        deployments::Deployments,
        tx,
    },
    fleet::{
        Error, Result,
        job::Job,
        store::{Held, NewSubmission, Submission, SubmissionState},
    },
};
use alloy::primitives::U256;
use std::{collections::HashSet, path::PathBuf, sync::Arc};

impl Submitter {
    /// Does what there is to do; whether that was nothing.
    pub(super) async fn pass(
        &mut self,
        held: &Held,
        keeper: &Arc<DatabaseKeeper>,
        last: &mut Option<String>,
    ) -> Result<bool> {
        let mut is_idle = true;
        // What was about to be sent goes first, whole: the journal knows whether it was.
        for (submission, jobs) in self.store.submissions_in(held, SubmissionState::Sending).await? {
            is_idle = false;
            self.send(held, keeper, last, &submission, &jobs).await?;
        }
        for (submission, jobs) in self.store.submissions_in(held, SubmissionState::Mined).await? {
            is_idle = false;
            self.settle(keeper, last, &submission, &jobs).await?;
        }
        if let Some((submission, jobs)) = self.gather(held).await? {
            is_idle = false;
            self.send(held, keeper, last, &submission, &jobs).await?;
        }
        Ok(is_idle)
    }

    /// Puts together what is proved and goes into one transaction.
    async fn gather(&self, held: &Held) -> Result<Option<(Submission, Vec<Job>)>> {
        let model = self.built.model_id();
        // Twice as many, since some may be another's twins.
        let proved = self.store.proved(model, self.options.batch.saturating_mul(2)).await?;
        let Some(first) = proved.first() else { return Ok(None) };
        let alone = self.store.goes_alone(first.id).await?;
        let most = if alone { 1 } else { self.options.batch as usize };
        let mut chosen = Vec::new();
        let mut ids = HashSet::new();
        for job in &proved {
            if chosen.len() == most {
                break;
            }
            if job.context != first.context || (!alone && self.store.goes_alone(job.id).await?) {
                continue;
            }
            let proof = match self.proof(job).await {
                Ok(proof) => proof,
                Err(error) if error.is_outage() => return Err(error),
                Err(error) => {
                    self.store.bury(job.id, &error.to_string()).await?;
                    continue;
                }
            };
            let instances = &proof.proof.instances;
            let id = prediction_id(model, instances, held.chain_id, held.account, job.context);
            match self.store.twin(job.id, id).await? {
                Some(twin) if twin.state.is_final() => {
                    let submission = twin.submission.as_deref();
                    self.store.recorded_before(job.id, id, submission).await?;
                }
                // Until it is known what becomes of the twin.
                Some(_) => {}
                None if ids.insert(id) => {
                    self.store.name_prediction(job.id, id).await?;
                    chosen.push(job);
                }
                None => {}
            }
        }
        if chosen.is_empty() || (chosen.len() < most && self.others_come(&chosen).await?) {
            return Ok(None);
        }
        let chosen: Vec<_> = chosen.iter().map(|job| job.id).collect();
        let submission = self.store.open_submission(held, model, &chosen).await?;
        let jobs = self.store.jobs_of(&submission.id).await?;
        Ok(Some((submission, jobs)))
    }

    /// Whether it is worth waiting for others to go with these.
    async fn others_come(&self, chosen: &[&Job]) -> Result<bool> {
        use crate::fleet::job::State;
        let counts = self.store.counts().await?;
        let more = [State::Queued, State::Running].iter().any(|state| counts.contains_key(state));
        let oldest = chosen.iter().filter_map(|job| job.proved).min().unwrap_or_default();
        let waited = self.store.now().await?.saturating_sub(oldest);
        Ok(more
            && u128::try_from(waited).is_ok_and(|waited| waited < self.options.wait.as_millis()))
    }

    async fn proof(&self, job: &Job) -> Result<ProofFile> {
        let name = PathBuf::from(format!("the proof of job {}", job.id));
        let bytes = self.blobs.get(job.proof.unwrap_or_default()).await?;
        let proof = ProofFile::from_json(&bytes, &name)?;
        proof.check(self.built.settings())?;
        Ok(proof)
    }

    async fn send(
        &mut self,
        held: &Held,
        keeper: &Arc<DatabaseKeeper>,
        last: &mut Option<String>,
        submission: &Submission,
        jobs: &[Job],
    ) -> Result<()> {
        let Some(first) = jobs.first() else {
            // Its maker ended before it put anything into it.
            return self.store.take_back(&submission.id, "nothing was in it", false).await;
        };
        let mut proofs = Vec::new();
        for job in jobs {
            match self.proof(job).await {
                Ok(proof) => proofs.push(proof),
                Err(error) if error.is_outage() => return Err(error),
                // It may have been handed over with this proof, so that nothing else may go in its place.
                Err(error) => return self.store.waits(&submission.id, &error.to_string()).await,
            }
        }
        let deployments = Deployments::read(self.built.deployments(), held.chain_id)
            .map_err(chain::Error::from)?;
        let request =
            self.built.ledger_request(&proofs, &deployments, first.context, self.class)?;
        let sender = self.sender(keeper, last, self.budget(held, jobs.len()).await?)?;
        let sent = submit_to_ledger(&sender, &request, Mode::Broadcast).await;
        if keeper.is_lost() {
            return Err(Error::SubmitterLost);
        }
        let error = match sent {
            Ok(submitted) => {
                let Outcome::Mined(receipt) = submitted.outcome else { return Ok(()) };
                let ids = submitted.predictions.iter().map(|it| it.id);
                let mined = NewSubmission {
                    hash: receipt.hash,
                    block: receipt.block,
                    block_hash: receipt.block_hash,
                    root: submitted.root,
                    gas: receipt.gas_used,
                    cost: receipt.cost(),
                    predictions: jobs.iter().map(|job| job.id).zip(ids).collect(),
                };
                self.store.mined(&submission.id, &mined).await?;
                self.done.transactions += 1;
                self.done.predictions += jobs.len() as u64;
                self.done.gas += receipt.gas_used;
                tracing::info!(hash = %receipt.hash, predictions = jobs.len(), "recorded");
                return Ok(());
            }
            Err(error) => error,
        };
        let reason = error.to_string();
        let decision = decide(&error);
        tracing::warn!(reason, ?decision, "a submission did not go through");
        match decision {
            Decision::Wait => self.store.waits(&submission.id, &reason).await,
            Decision::Anew => self.store.take_back(&submission.id, &reason, false).await,
            Decision::Refused if jobs.len() > 1 => {
                self.store.take_back(&submission.id, &reason, true).await
            }
            Decision::Refused => {
                self.store.bury(first.id, &reason).await?;
                self.store.take_back(&submission.id, &reason, false).await
            }
            Decision::Recorded => {
                // A batch is recorded as a whole, a single one by its id.
                let whole = matches!(&error, chain::Error::Transaction(it) if is_batch(it));
                for job in jobs {
                    let id = job.prediction.unwrap_or_default();
                    if whole || is_recorded(&self.rpc, request.ledger, id).await? {
                        self.store.recorded_before(job.id, id, None).await?;
                    }
                }
                self.store.take_back(&submission.id, &reason, true).await
            }
        }
    }

    /// What a transaction for so many predictions may cost; `None` where nobody said.
    async fn budget(&self, held: &Held, predictions: usize) -> Result<Option<U256>> {
        let each = self.options.max_cost_each.map(|each| each * U256::from(predictions));
        let Some(day) = self.options.max_cost_a_day else { return Ok(each) };
        let left = day.saturating_sub(self.store.spent(held).await?);
        Ok(Some(each.map_or(left, |each| each.min(left))))
    }

    /// Looks whether a mined submission is still in the chain, and deep enough to stay.
    async fn settle(
        &self,
        keeper: &Arc<DatabaseKeeper>,
        last: &mut Option<String>,
        submission: &Submission,
        jobs: &[Job],
    ) -> Result<()> {
        let Some(hash) = submission.hash else { return Ok(()) };
        let looked = async {
            let receipt = self.rpc.receipt(hash).await?;
            Ok::<_, chain::Error>((receipt, self.rpc.block_number().await?))
        };
        let (receipt, newest) = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::warn!(%error, "the chain does not say what became of what was mined");
                return Ok(());
            }
        };
        let block = receipt.as_ref().and_then(|receipt| receipt.block_number);
        match (receipt, block) {
            (Some(receipt), Some(block)) if receipt.block_hash == submission.block_hash => {
                if newest + 1 >= block + self.options.confirmations {
                    self.store.settled(&submission.id).await?;
                    let forgotten = self.journal(keeper, last)?.forget(hash);
                    forgotten.map_err(chain::Error::from)?;
                }
                Ok(())
            }
            (Some(receipt), Some(block)) => {
                tracing::warn!(%hash, block, "a reorganisation put a submission into another block");
                let predictions =
                    jobs.iter().filter_map(|job| Some((job.id, job.prediction?))).collect();
                let mined = NewSubmission {
                    hash,
                    block,
                    block_hash: receipt.block_hash.unwrap_or_default(),
                    root: submission.root,
                    gas: receipt.gas_used,
                    cost: U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price),
                    predictions,
                };
                self.store.mined(&submission.id, &mined).await
            }
            _ => {
                tracing::warn!(%hash, "a reorganisation undid a submission; it is sent again");
                self.journal(keeper, last)?.undone(hash).map_err(chain::Error::from)?;
                self.store.reopen(&submission.id).await
            }
        }
    }
}

/// Whether it is the batch that the ledger has.
fn is_batch(error: &tx::Error) -> bool {
    match error {
        tx::Error::WouldRevert { revert, .. } | tx::Error::Failed { revert: Some(revert), .. } => {
            revert.name() == Some("BatchAlreadyRecorded")
        }
        _ => false,
    }
}
