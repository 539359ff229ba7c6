//! What goes on chain: who may send for an account, and what was sent.

use super::{
    Error, Result, Store, changed, rows,
    submission::{NewSubmission, Submission, SubmissionState},
};
use crate::{
    fleet::job::{Job, JobId},
    model::identity::ModelId,
};
use alloy::primitives::{Address, B256, U256};

/// The right to send for an account, until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The chain.
    pub chain_id: u64,
    /// The signer.
    pub account: Address,
    /// Who holds it.
    pub holder: String,
    token: i64,
    /// The journal of what was signed, as the last holder left it.
    pub journal: Option<String>,
}

/// What a statement for a holder alone is guarded by: `$1`, `$2` and `$3` are chain, account and token.
const HELD: &str =
    "EXISTS (SELECT 1 FROM signers WHERE chain_id = $1 AND account = $2 AND token = $3)";

impl Store {
    /// Takes the right to send for an account, if nobody has it.
    ///
    /// # Errors
    /// [`Error::Held`] where somebody has it.
    pub async fn hold(&self, chain_id: u64, account: Address, holder: &str) -> Result<Held> {
        let failed = self.failed("lock an account");
        let hold = "INSERT INTO signers (chain_id, account, holder, token, lease_until) \
                    VALUES ($1, $2, $3, 1, {now} + $4) ON CONFLICT (chain_id, account) DO UPDATE SET \
                    holder = $3, token = signers.token + 1, lease_until = {now} + $4 \
                    WHERE signers.lease_until < {now} OR signers.holder = $3 RETURNING token, journal";
        let row = sqlx::query(self.sql(hold))
            .bind(chain_id as i64)
            .bind(account.to_string())
            .bind(holder)
            .bind(self.lease_ms())
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        if let Some(row) = row {
            let read = || Ok((rows::get(&row, "token")?, rows::get(&row, "journal")?));
            let (token, journal) = read().map_err(failed)?;
            return Ok(Held { chain_id, account, holder: holder.to_owned(), token, journal });
        }
        let row = sqlx::query("SELECT holder FROM signers WHERE chain_id = $1 AND account = $2")
            .bind(chain_id as i64)
            .bind(account.to_string())
            .fetch_one(&self.pool)
            .await;
        let holder = row.and_then(|row| rows::get(&row, "holder")).map_err(failed)?;
        Err(Error::Held { account, chain_id, holder })
    }

    /// Keeps the right to send for another lease.
    ///
    /// # Errors
    /// [`Error::SubmitterLost`] where somebody else has it.
    pub async fn keep(&self, held: &Held) -> Result<()> {
        let keep = "UPDATE signers SET lease_until = {now} + $4 \
                    WHERE chain_id = $1 AND account = $2 AND token = $3";
        let done = sqlx::query(self.sql(keep))
            .bind(held.chain_id as i64)
            .bind(held.account.to_string())
            .bind(held.token)
            .bind(self.lease_ms())
            .execute(&self.pool)
            .await
            .map_err(self.failed("keep an account"))?;
        if changed(&done) { Ok(()) } else { Err(Error::SubmitterLost) }
    }

    /// Gives the right back.
    pub async fn release(&self, held: &Held) -> Result<()> {
        let release = "UPDATE signers SET lease_until = 0 \
                       WHERE chain_id = $1 AND account = $2 AND token = $3";
        sqlx::query(release)
            .bind(held.chain_id as i64)
            .bind(held.account.to_string())
            .bind(held.token)
            .execute(&self.pool)
            .await
            .map_err(self.failed("release an account"))?;
        Ok(())
    }

    /// Keeps the journal of what was signed: before it is handed over, and only for who holds the account.
    ///
    /// # Errors
    /// [`Error::SubmitterLost`] where somebody else has it; then nothing may be handed over.
    pub async fn keep_journal(&self, held: &Held, text: &str) -> Result<()> {
        let keep = "UPDATE signers SET journal = $4, lease_until = {now} + $5 \
                    WHERE chain_id = $1 AND account = $2 AND token = $3";
        let done = sqlx::query(self.sql(keep))
            .bind(held.chain_id as i64)
            .bind(held.account.to_string())
            .bind(held.token)
            .bind(text)
            .bind(self.lease_ms())
            .execute(&self.pool)
            .await
            .map_err(self.failed("keep what was signed"))?;
        if changed(&done) { Ok(()) } else { Err(Error::SubmitterLost) }
    }

    /// The model's jobs that are proved and wait, the most urgent first; those that are to go alone first of all.
    pub async fn proved(&self, model: ModelId, limit: u32) -> Result<Vec<Job>> {
        let failed = self.failed("list what is proved");
        let list = "SELECT {job} FROM jobs WHERE state = 'proved' AND model = $1 AND not_before <= {now} \
                    ORDER BY alone DESC, priority DESC, id LIMIT $2";
        let listed = sqlx::query(self.sql(list))
            .bind(model.to_string())
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        listed.iter().map(rows::job).collect::<Result<_, _>>().map_err(failed)
    }

    /// Whether the job is to be recorded in a transaction of its own.
    pub async fn goes_alone(&self, id: JobId) -> Result<bool> {
        let failed = self.failed("look up a job");
        let row = sqlx::query("SELECT alone FROM jobs WHERE id = $1")
            .bind(id.to_string())
            .fetch_one(&self.pool)
            .await;
        Ok(row.and_then(|row| rows::get::<i64>(&row, "alone")).map_err(failed)? != 0)
    }

    /// Puts proved jobs into a submission, in this order.
    ///
    /// # Errors
    /// [`Error::SubmitterLost`] where somebody else has the account.
    pub async fn open_submission(
        &self,
        held: &Held,
        model: ModelId,
        jobs: &[JobId],
    ) -> Result<Submission> {
        let failed = self.failed("open a submission");
        let id = JobId::random().to_string();
        let open = format!(
            "INSERT INTO submissions (id, chain_id, account, model, jobs, state, created) \
             SELECT $4, $1, $2, $5, $6, 'sending', {{now}} WHERE {HELD} RETURNING {{submission}}"
        );
        let row = sqlx::query(self.sql(&open))
            .bind(held.chain_id as i64)
            .bind(held.account.to_string())
            .bind(held.token)
            .bind(&id)
            .bind(model.to_string())
            .bind(jobs.len() as i64)
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        let submission = rows::submission(&row.ok_or(Error::SubmitterLost)?).map_err(&failed)?;
        for job in jobs {
            let put = "UPDATE jobs SET state = 'sending', submission = $2 \
                       WHERE id = $1 AND state = 'proved'";
            sqlx::query(put)
                .bind(job.to_string())
                .bind(&id)
                .execute(&self.pool)
                .await
                .map_err(&failed)?;
        }
        Ok(submission)
    }

    /// The holder's submissions in a state, the oldest first, each with its jobs in the order in which they are
    /// in its transaction.
    pub async fn submissions_in(
        &self,
        held: &Held,
        state: SubmissionState,
    ) -> Result<Vec<(Submission, Vec<Job>)>> {
        let failed = self.failed("list submissions");
        let list = "SELECT {submission} FROM submissions WHERE chain_id = $1 AND account = $2 \
                    AND state = $3 ORDER BY id";
        let listed = sqlx::query(self.sql(list))
            .bind(held.chain_id as i64)
            .bind(held.account.to_string())
            .bind(state.name())
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        let mut all = Vec::new();
        for row in &listed {
            let submission = rows::submission(row).map_err(&failed)?;
            let jobs = self.jobs_of(&submission.id).await?;
            all.push((submission, jobs));
        }
        Ok(all)
    }

    /// The jobs of a submission, in the order in which they are in its transaction.
    pub async fn jobs_of(&self, submission: &str) -> Result<Vec<Job>> {
        let failed = self.failed("list a submission's jobs");
        let list = "SELECT {job} FROM jobs WHERE submission = $1 ORDER BY id";
        let listed = sqlx::query(self.sql(list)).bind(submission).fetch_all(&self.pool).await;
        let listed = listed.map_err(&failed)?;
        listed.iter().map(rows::job).collect::<Result<_, _>>().map_err(failed)
    }

    /// A submission.
    pub async fn submission(&self, id: &str) -> Result<Option<Submission>> {
        let failed = self.failed("look up a submission");
        let row = sqlx::query(self.sql("SELECT {submission} FROM submissions WHERE id = $1"))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        row.map(|row| rows::submission(&row)).transpose().map_err(failed)
    }

    /// Notes that a submission was mined.
    pub async fn mined(&self, id: &str, mined: &NewSubmission) -> Result<()> {
        let failed = self.failed("note what was mined");
        for (job, prediction) in &mined.predictions {
            let put = "UPDATE jobs SET state = 'recorded', prediction = $3, reason = NULL \
                       WHERE id = $1 AND submission = $2 AND state = 'sending'";
            sqlx::query(put)
                .bind(job.to_string())
                .bind(id)
                .bind(prediction.to_string())
                .execute(&self.pool)
                .await
                .map_err(&failed)?;
        }
        // Last: until then the next submitter does it all again.
        let put = "UPDATE submissions SET state = 'mined', hash = $2, block = $3, block_hash = $4, root = $5, \
                   gas = $6, cost = $7, reason = NULL WHERE id = $1 AND state IN ('sending', 'mined')";
        sqlx::query(put)
            .bind(id)
            .bind(mined.hash.to_string())
            .bind(mined.block as i64)
            .bind(mined.block_hash.to_string())
            .bind(mined.root.map(|root| root.to_string()))
            .bind(mined.gas as i64)
            .bind(mined.cost.to_string())
            .execute(&self.pool)
            .await
            .map_err(&failed)?;
        Ok(())
    }

    /// Notes that a submission stays in the chain, and with it what became of its jobs.
    pub async fn settled(&self, id: &str) -> Result<()> {
        let failed = self.failed("note what is final");
        let jobs = "UPDATE jobs SET state = 'done', ended = {now} \
                    WHERE submission = $1 AND state = 'recorded'";
        let submission = "UPDATE submissions SET state = 'final', ended = {now} \
                          WHERE id = $1 AND state = 'mined'";
        for sql in [jobs, submission] {
            sqlx::query(self.sql(sql)).bind(id).execute(&self.pool).await.map_err(&failed)?;
        }
        Ok(())
    }

    /// Puts a mined submission back among those that are on their way: a reorganisation undid it.
    pub async fn reopen(&self, id: &str) -> Result<()> {
        let failed = self.failed("note what was undone");
        let jobs = "UPDATE jobs SET state = 'sending' WHERE submission = $1 AND state = 'recorded'";
        let submission = "UPDATE submissions SET state = 'sending', hash = NULL, block = NULL, \
                          block_hash = NULL, gas = NULL, cost = NULL, \
                          reason = 'a reorganisation undid it' WHERE id = $1 AND state = 'mined'";
        for sql in [submission, jobs] {
            sqlx::query(sql).bind(id).execute(&self.pool).await.map_err(&failed)?;
        }
        Ok(())
    }

    /// Takes a submission back: its jobs wait as proved again, alone if that is asked for.
    pub async fn take_back(&self, id: &str, reason: &str, alone: bool) -> Result<()> {
        let failed = self.failed("take a submission back");
        let jobs = "UPDATE jobs SET state = 'proved', submission = NULL, reason = $2, \
                    alone = CASE WHEN $3 = 1 THEN 1 ELSE alone END \
                    WHERE submission = $1 AND state IN ('sending', 'recorded')";
        sqlx::query(jobs)
            .bind(id)
            .bind(reason)
            .bind(i64::from(alone))
            .execute(&self.pool)
            .await
            .map_err(&failed)?;
        let submission = "UPDATE submissions SET state = 'failed', reason = $2, ended = {now} \
                          WHERE id = $1 AND state IN ('sending', 'mined')";
        sqlx::query(self.sql(submission))
            .bind(id)
            .bind(reason)
            .execute(&self.pool)
            .await
            .map_err(&failed)?;
        Ok(())
    }

    /// Says why a submission waits.
    pub async fn waits(&self, id: &str, reason: &str) -> Result<()> {
        sqlx::query("UPDATE submissions SET reason = $2 WHERE id = $1 AND state = 'sending'")
            .bind(id)
            .bind(reason)
            .execute(&self.pool)
            .await
            .map_err(self.failed("note why a submission waits"))?;
        Ok(())
    }

    /// Gives up a job that is proved but can't be recorded.
    pub async fn bury(&self, id: JobId, reason: &str) -> Result<()> {
        let bury = "UPDATE jobs SET state = 'dead', reason = $2, ended = {now} \
                    WHERE id = $1 AND state IN ('proved', 'sending')";
        sqlx::query(self.sql(bury))
            .bind(id.to_string())
            .bind(reason)
            .execute(&self.pool)
            .await
            .map_err(self.failed("give up a job"))?;
        Ok(())
    }

    /// Notes that the ledger has a job's prediction already, by a submission of ours or by no one knows whom.
    pub async fn recorded_before(
        &self,
        id: JobId,
        prediction: B256,
        submission: Option<&str>,
    ) -> Result<()> {
        let put = "UPDATE jobs SET state = 'done', prediction = $2, submission = $3, reason = NULL, ended = {now} \
                   WHERE id = $1 AND state IN ('proved', 'sending')";
        sqlx::query(self.sql(put))
            .bind(id.to_string())
            .bind(prediction.to_string())
            .bind(submission)
            .execute(&self.pool)
            .await
            .map_err(self.failed("note what was recorded before"))?;
        Ok(())
    }

    /// Another job with the same prediction that is recorded or about to be.
    pub async fn twin(&self, id: JobId, prediction: B256) -> Result<Option<Job>> {
        let failed = self.failed("look for a twin");
        let find = "SELECT {job} FROM jobs WHERE prediction = $2 AND id <> $1 \
                    AND state IN ('sending', 'recorded', 'done') AND record = 1 ORDER BY id LIMIT 1";
        let row = sqlx::query(self.sql(find))
            .bind(id.to_string())
            .bind(prediction.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        row.map(|row| rows::job(&row)).transpose().map_err(failed)
    }

    /// Notes which prediction a job's proof is of.
    pub async fn name_prediction(&self, id: JobId, prediction: B256) -> Result<()> {
        sqlx::query("UPDATE jobs SET prediction = $2 WHERE id = $1 AND state = 'proved'")
            .bind(id.to_string())
            .bind(prediction.to_string())
            .execute(&self.pool)
            .await
            .map_err(self.failed("note a prediction"))?;
        Ok(())
    }

    /// What an account paid for submissions in the last 24 hours, in wei.
    pub async fn spent(&self, held: &Held) -> Result<U256> {
        let failed = self.failed("sum up what was spent");
        let list = "SELECT cost FROM submissions WHERE chain_id = $1 AND account = $2 \
                    AND cost IS NOT NULL AND created > {now} - 86400000";
        let listed = sqlx::query(self.sql(list))
            .bind(held.chain_id as i64)
            .bind(held.account.to_string())
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        let costs = listed.iter().map(|row| rows::parsed::<U256>(row, "cost"));
        costs.sum::<Result<U256, _>>().map_err(failed)
    }
}
