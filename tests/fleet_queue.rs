//! The queue itself, on both databases: who gets what, and whose word counts.
#![cfg(feature = "fleet")]
#![allow(clippy::print_stdout, reason = "the measurements are printed")]

#[path = "support/postgres.rs"]
mod postgres;

use alloy::primitives::{Address, B256};
use postgres::Postgres;
use std::{collections::BTreeSet, time::Duration};
use zkvouch::{
    fleet::{
        Error, Store, StoreOptions,
        job::{NewJob, Phase, State},
        store::{Attempt, Failure, Filter, SubmissionState},
    },
    model::identity::ModelId,
};

/// A database of a test's own.
struct Place {
    url: String,
    _folder: tempfile::TempDir,
    _server: Option<Postgres>,
}

impl Place {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("q/queue.db").display());
        Self { url, _folder: folder, _server: None }
    }

    fn postgres() -> Self {
        let server = Postgres::start();
        let folder = tempfile::tempdir().expect("a folder");
        Self { url: server.url(), _folder: folder, _server: Some(server) }
    }

    async fn open(&self) -> Store {
        self.with(Duration::from_secs(60)).await
    }

    async fn with(&self, lease: Duration) -> Store {
        let options = StoreOptions { connections: 8, lease, backoff: Duration::from_millis(1) };
        Store::open(&self.url, options).await.expect("opened")
    }
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Place::sqlite()).await })*
        }
        mod postgresql {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Place::postgres()).await })*
        }
    };
}

on_both! {
    each_job_is_handed_out_once
    what_a_frozen_worker_says_does_not_count
    a_poison_job_is_dead_after_its_attempts
    a_key_is_one_job
    the_urgent_goes_first_then_the_warm_and_what_fits
    want_of_memory_costs_no_attempt
    one_submitter_has_an_account
    a_submission_goes_back_and_forth_with_its_jobs
    several_make_the_tables_at_once
    tokens_are_kept_as_hashes
}

fn job(number: u8) -> NewJob {
    NewJob {
        key: None,
        owner: String::new(),
        circuit: B256::repeat_byte(1),
        model: ModelId(B256::repeat_byte(2)),
        input: B256::repeat_byte(number),
        observations: 1,
        priority: 0,
        record: false,
        context: B256::ZERO,
        memory: 1000,
        max_attempts: 3,
        trace: None,
    }
}

fn attempt() -> Attempt {
    Attempt { proof: B256::repeat_byte(9), cpu: Duration::from_millis(7) }
}

async fn each_job_is_handed_out_once(place: Place) {
    let store = place.open().await;
    for number in 0..40 {
        store.submit(&job(number)).await.expect("taken");
    }
    let mut takers = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = store.clone();
        takers.spawn(async move {
            let mut got = Vec::new();
            while let Some(job) =
                store.claim(&format!("w{number}"), 1000, None).await.expect("asked")
            {
                got.push(job.id);
            }
            got
        });
    }
    let all = takers.join_all().await.concat();
    assert_eq!(all.len(), 40);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 40);
    assert_eq!(store.counts().await.expect("counted")[&State::Running], 40);
}

async fn what_a_frozen_worker_says_does_not_count(place: Place) {
    let store = place.with(Duration::from_millis(300)).await;
    let id = store.submit(&job(0)).await.expect("taken").job.id;
    let first = store.claim("first", 1000, None).await.expect("asked").expect("one");
    assert!(store.beat(first.lease()).await.expect("asked"));
    assert_eq!(store.reap().await.expect("asked"), 0, "it lives");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(store.reap().await.expect("asked"), 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = store.claim("second", 1000, None).await.expect("asked").expect("the same");
    assert_eq!((second.id, second.attempts), (id, 2));

    assert!(!store.beat(first.lease()).await.expect("asked"));
    let lost = |result: Result<(), Error>| matches!(result, Err(Error::Lost(job)) if job == id);
    assert!(lost(store.enter(first.lease(), Phase::Prove).await));
    assert!(lost(store.finish(first.lease(), &attempt()).await));
    assert!(lost(store.fail(first.lease(), &Failure::Final("mine".into())).await));
    assert_eq!(store.job(id).await.expect("there").state, State::Running);

    store.finish(second.lease(), &attempt()).await.expect("its own");
    store.finish(second.lease(), &attempt()).await.expect("an answer may have been lost");
    let other = Attempt { proof: B256::repeat_byte(8), ..attempt() };
    assert!(lost(store.finish(second.lease(), &other).await));
    let done = store.job(id).await.expect("there");
    assert_eq!((done.state, done.proof), (State::Done, Some(B256::repeat_byte(9))));
}

async fn a_poison_job_is_dead_after_its_attempts(place: Place) {
    let store = place.with(Duration::from_millis(50)).await;
    let id = store.submit(&job(0)).await.expect("taken").job.id;
    for attempt in 1..=3 {
        let taken = loop {
            if let Some(taken) = store.claim("w", 1000, None).await.expect("asked") {
                break taken;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(taken.attempts, attempt);
        store.enter(taken.lease(), Phase::Prove).await.expect("its own");
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert_eq!(store.reap().await.expect("asked"), 1);
    }
    let dead = store.job(id).await.expect("there");
    assert_eq!(dead.state, State::Dead);
    let reason = dead.reason.expect("a reason");
    assert!(reason.contains("no sign of life in the phase prove of attempt 3 of 3"), "{reason}");
    let again = store.retry(id).await.expect("dead");
    assert_eq!((again.state, again.attempts), (State::Queued, 0));
    assert!(matches!(store.retry(id).await, Err(Error::WrongState { .. })));
    let cancelled = store.cancel(id).await.expect("waits");
    assert_eq!(cancelled.state, State::Cancelled);
    assert!(store.claim("w", 1000, None).await.expect("asked").is_none());
}

async fn a_key_is_one_job(place: Place) {
    let store = place.open().await;
    let with_key = |number| NewJob { key: Some("k".into()), ..job(number) };
    let first = store.submit(&with_key(0)).await.expect("taken");
    let again = store.submit(&with_key(0)).await.expect("known");
    assert_eq!((first.known, again.known, again.job.id), (false, true, first.job.id));
    let error = store.submit(&with_key(1)).await.expect_err("another input");
    assert!(matches!(error, Error::KeyUsed { .. }), "{error}");
    let other = NewJob { owner: "else".into(), ..with_key(1) };
    assert!(!store.submit(&other).await.expect("another's key").known);
    let of = |owner: &str| Filter { owner: Some(owner.into()), limit: 9, ..Filter::default() };
    assert_eq!(store.jobs(&of("else")).await.expect("listed").len(), 1);
    assert_eq!(store.used("else").await.expect("counted"), 1);
}

async fn the_urgent_goes_first_then_the_warm_and_what_fits(place: Place) {
    let store = place.open().await;
    let warm = B256::repeat_byte(5);
    let jobs = [
        NewJob { memory: 5000, priority: 9, ..job(0) },
        job(1),
        NewJob { circuit: warm, ..job(2) },
        NewJob { priority: 3, ..job(3) },
    ];
    for job in &jobs {
        store.submit(job).await.expect("taken");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut order = Vec::new();
    while let Some(job) = store.claim("small", 1000, Some(warm)).await.expect("asked") {
        order.push(job.input[0]);
    }
    assert_eq!(order, [3, 2, 1]);
    assert!(store.claim("large", 5000, None).await.expect("asked").is_some());
}

async fn want_of_memory_costs_no_attempt(place: Place) {
    let store = place.open().await;
    let id = store.submit(&job(0)).await.expect("taken").job.id;
    let taken = store.claim("small", 1000, None).await.expect("asked").expect("one");
    let failure = Failure::Memory("killed".into(), 4000);
    store.fail(taken.lease(), &failure).await.expect("its own");
    let raised = store.job(id).await.expect("there");
    assert_eq!((raised.state, raised.attempts, raised.memory), (State::Queued, 0, 4000));
    assert!(store.claim("small", 1000, None).await.expect("asked").is_none());
    let taken = store.claim("large", 4000, None).await.expect("asked").expect("one");
    store.fail(taken.lease(), &Failure::Given).await.expect("its own");
    let taken = store.claim("large", 4000, None).await.expect("asked").expect("at once");
    assert_eq!(taken.attempts, 1);
    store.fail(taken.lease(), &Failure::Final("bad input".into())).await.expect("its own");
    let dead = store.job(id).await.expect("there");
    assert_eq!((dead.state, dead.reason.as_deref()), (State::Dead, Some("bad input")));
}

async fn one_submitter_has_an_account(place: Place) {
    let store = place.with(Duration::from_millis(400)).await;
    let account = Address::repeat_byte(7);
    let first = store.hold(1, account, "first").await.expect("free");
    assert!(
        matches!(store.hold(1, account, "second").await, Err(Error::Held { holder, .. }) if holder == "first")
    );
    store.hold(2, account, "second").await.expect("another chain");
    store.keep_journal(&first, "signed").await.expect("its own");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let second = store.hold(1, account, "second").await.expect("the lease ended");
    assert_eq!(second.journal.as_deref(), Some("signed"));
    for result in [
        store.keep(&first).await,
        store.keep_journal(&first, "late").await,
        store.open_submission(&first, job(0).model, &[]).await.map(drop),
    ] {
        assert!(matches!(result, Err(Error::SubmitterLost)), "{result:?}");
    }
    store.release(&second).await.expect("its own");
    let third = store.hold(1, account, "third").await.expect("free");
    assert_eq!(third.journal.as_deref(), Some("signed"));
}

async fn a_submission_goes_back_and_forth_with_its_jobs(place: Place) {
    let store = place.open().await;
    let mut ids = Vec::new();
    for number in 0..3 {
        store.submit(&NewJob { record: true, ..job(number) }).await.expect("taken");
        let taken = store.claim("w", 1000, None).await.expect("asked").expect("one");
        store.finish(taken.lease(), &attempt()).await.expect("its own");
        ids.push(taken.id);
    }
    let held = store.hold(1, Address::ZERO, "s").await.expect("free");
    let model = job(0).model;
    assert_eq!(store.proved(model, 9).await.expect("listed").len(), 3);
    let made = store.open_submission(&held, model, &ids[..2]).await.expect("held");
    let open = store.submissions_in(&held, SubmissionState::Sending).await.expect("listed");
    assert_eq!((open.len(), open[0].1.len()), (1, 2));
    assert!(
        matches!(store.cancel(ids[0]).await, Err(Error::WrongState { .. })),
        "it may be on its way"
    );
    store.take_back(&made.id, "no", true).await.expect("put back");
    assert!(store.goes_alone(ids[0]).await.expect("asked"));
    let made = store.open_submission(&held, model, &ids[..1]).await.expect("held");
    let mined = zkvouch::fleet::store::NewSubmission {
        hash: B256::repeat_byte(3),
        block: 5,
        block_hash: B256::repeat_byte(4),
        root: None,
        gas: 21_000,
        cost: alloy::primitives::U256::from(1_000_000),
        predictions: vec![(ids[0], B256::repeat_byte(6))],
    };
    store.mined(&made.id, &mined).await.expect("noted");
    assert_eq!(store.spent(&held).await.expect("summed"), mined.cost);
    assert_eq!(store.job(ids[0]).await.expect("there").state, State::Recorded);
    store.reopen(&made.id).await.expect("undone");
    assert_eq!(store.job(ids[0]).await.expect("there").state, State::Sending);
    assert!(store.spent(&held).await.expect("summed").is_zero());
    store.mined(&made.id, &mined).await.expect("noted");
    store.settled(&made.id).await.expect("final");
    let done = store.job(ids[0]).await.expect("there");
    assert_eq!((done.state, done.prediction), (State::Done, Some(B256::repeat_byte(6))));
    let overview = store.overview().await.expect("summed");
    assert_eq!((overview.gas, overview.recorded), (21_000, 1));
}

async fn several_make_the_tables_at_once(place: Place) {
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = place.url.clone();
        opening.spawn(async move { Store::open(&url, StoreOptions::default()).await.map(drop) });
    }
    for opened in opening.join_all().await {
        opened.expect("opened");
    }
}

async fn tokens_are_kept_as_hashes(place: Place) {
    let store = place.open().await;
    let made = store.add_token("shop", Some(5), false).await.expect("made");
    assert!(!format!("{made:?}").contains(&made.secret));
    assert!(matches!(store.add_token("shop", None, false).await, Err(Error::TokenExists(_))));
    let found = store.token(&made.secret).await.expect("asked").expect("known");
    assert_eq!((found.name.as_str(), found.quota, found.operator), ("shop", Some(5), false));
    assert!(store.token("zkv_0").await.expect("asked").is_none());
    store.revoke_token("shop").await.expect("there");
    assert!(store.token(&made.secret).await.expect("asked").is_none());
    assert!(matches!(store.revoke_token("shop").await, Err(Error::NoToken(_))));
    let again = store.add_token("shop", None, true).await.expect("made anew");
    assert_ne!(again.secret, made.secret);
    if let Some(path) = place.url.strip_prefix("sqlite:") {
        store.close().await;
        let bytes = std::fs::read(path).expect("read");
        let secret = again.secret.as_bytes();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[tokio::test]
async fn a_url_of_another_database_is_refused_without_its_password() {
    let error = Store::open("mysql://u:secret@h/d", StoreOptions::default()).await;
    let error = error.expect_err("no such").to_string();
    assert!(error.contains("postgres://") && !error.contains("secret"), "{error}");
}

/// What the queue takes beside the proofs: printed, not judged.
/// `cargo nextest run --test fleet_queue --run-ignored only --no-capture measures`
async fn measures(place: Place, what: &str) {
    let store = place.open().await;
    let jobs = 300;
    let started = std::time::Instant::now();
    for number in 0..jobs {
        store.submit(&job(number as u8)).await.expect("taken");
    }
    let submitted = started.elapsed();
    let started = std::time::Instant::now();
    while let Some(job) = store.claim("w", 1000, None).await.expect("asked") {
        let lease = job.lease();
        for phase in [Phase::Witness, Phase::Prove, Phase::Store] {
            store.enter(lease, phase).await.expect("its own");
        }
        store.finish(lease, &attempt()).await.expect("its own");
    }
    let worked = started.elapsed();
    let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(jobs);
    println!(
        "{what}: {:.2} ms a job to submit, {:.2} ms from claim to finish",
        each(submitted),
        each(worked)
    );
    // A thousand idle workers, each asking twice a second at most, over the connections that there are.
    for workers in [100, 1000] {
        let mut asking = tokio::task::JoinSet::new();
        let started = std::time::Instant::now();
        for number in 0..workers {
            let store = store.clone();
            asking.spawn(async move {
                let mut asked = 0_u64;
                let mut slowest = Duration::ZERO;
                tokio::time::sleep(Duration::from_millis(2 * number % 2000)).await;
                while started.elapsed() < Duration::from_secs(10) {
                    let at = std::time::Instant::now();
                    store.claim("idle", 1000, None).await.expect("asked");
                    slowest = slowest.max(at.elapsed());
                    asked += 1;
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                (asked, slowest)
            });
        }
        let all = asking.join_all().await;
        let asked: u64 = all.iter().map(|(asked, _)| asked).sum();
        let slowest = all.iter().map(|(_, slowest)| *slowest).max().unwrap_or_default();
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{what}: {workers} idle workers, {:.0} questions a second, the slowest {slowest:?}",
            asked as f64 / seconds
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measures_sqlite() {
    measures(Place::sqlite(), "SQLite").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measures_postgresql() {
    measures(Place::postgres(), "PostgreSQL").await;
}
