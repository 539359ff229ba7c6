//! Workers that die, freeze, lose their database or meet with bad data.

use crate::{
    on_both,
    site::{Site, is_there},
};
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};
use zkvouch::fleet::{
    Blobs,
    job::{NewJob, State},
};

on_both! {
    what_is_submitted_is_proved_once
    a_worker_is_killed_in_each_phase
    a_worker_is_frozen_past_its_lease_and_woken
    a_worker_that_is_told_to_end_gives_its_job_back
    bad_input_is_dead_at_once_and_a_changed_blob_after_its_attempts
}

async fn what_is_submitted_is_proved_once(site: Site) {
    let ids = site.submit(6, &["--key", "k"]);
    assert_eq!(site.submit(6, &["--key", "k"]), ids, "the same again");
    let (mut one, mut two) = (site.worker("one"), site.worker("two"));
    let done = site.until_done().await;
    assert_eq!(done.len(), 6);
    assert!(done.iter().all(|job| job.attempts == 1), "{done:#?}");
    site.check_proofs(&done[..2]);
    for worker in [&mut one, &mut two] {
        worker.signal(libc::SIGTERM);
        assert_eq!(worker.wait(), Some(0));
    }
    let status = site.data(&["fleet", "status"]);
    assert_eq!((&status["jobs"]["done"], &status["predictions"]), (&6.into(), &6.into()));
    assert!(status["workers"].as_array().expect("a list").is_empty(), "they left");
    let listed = site.data(&["fleet", "ls", "--state", "done", "--limit", "4"]);
    assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(4));
    assert_eq!(site.data(&["fleet", "watch"])["jobs"], serde_json::json!([]));
}

async fn a_worker_is_killed_in_each_phase(site: Site) {
    site.submit(24, &["--attempts", "20"]);
    let mut killed = BTreeSet::new();
    let started = Instant::now();
    while killed.len() < 4 {
        assert!(started.elapsed() < Duration::from_secs(120), "only killed in {killed:?}");
        // An empty folder, so that there is something to fetch.
        let _ = fs::remove_dir_all(site.project.file("circuits"));
        if site.all().await.iter().all(|job| job.state == State::Done) {
            site.submit(8, &["--attempts", "20"]);
        }
        let mut worker = site.worker("killed");
        let wanted = |phase: &str| !killed.contains(phase);
        let at = loop {
            let running = site.all().await.into_iter().find(|job| job.state == State::Running);
            // One left by a killed worker does not count.
            let mine = running.filter(|job| {
                let name = job.worker.as_deref().unwrap_or_default();
                name.contains(&format!("-{}-", worker.pid()))
            });
            if let Some(phase) = mine.and_then(|job| job.phase).filter(|phase| wanted(phase)) {
                break Some(phase);
            }
            if site.all().await.iter().all(|job| job.state == State::Done) {
                break None;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "only killed in {killed:?}");
        };
        let family = worker.descendants();
        worker.kill();
        killed.extend(at);
        let ended = Instant::now();
        while family.iter().any(|pid| is_there(*pid)) {
            assert!(ended.elapsed() < Duration::from_secs(20), "orphans of {family:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let _worker = site.worker("last");
    let done = site.until_done().await;
    site.check_proofs(&done[..3]);
}

async fn a_worker_is_frozen_past_its_lease_and_woken(site: Site) {
    let id = site.submit(1, &[])[0];
    let mut frozen = site.worker("frozen");
    site.until("proving", |jobs| jobs[0].phase.as_deref() == Some("prove")).await;
    frozen.signal(libc::SIGSTOP);
    // It may have been quicker than the signal.
    if site.job(id).await.state == State::Running {
        let _other = site.worker("other");
        site.until_done().await;
        let job = site.job(id).await;
        assert_eq!(job.attempts, 2, "{job:#?}");
        frozen.signal(libc::SIGCONT);
        let started = Instant::now();
        while !site.said("frozen").contains("lost") && !site.said("frozen").contains("too late") {
            assert!(started.elapsed() < Duration::from_secs(30), "{}", site.said("frozen"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(site.job(id).await, job, "what it says does not count");
    }
    frozen.signal(libc::SIGCONT);
    // It goes on with the next.
    site.submit(2, &["--key", "more"]);
    site.until_done().await;
    assert!(frozen.is_running());
}

async fn a_worker_that_is_told_to_end_gives_its_job_back(site: Site) {
    site.submit(3, &[]);
    let mut worker = site.worker("ending");
    site.until("proving", |jobs| jobs.iter().any(|job| job.phase.as_deref() == Some("prove")))
        .await;
    worker.signal(libc::SIGTERM);
    assert_eq!(worker.wait(), Some(0), "{}", site.said("ending"));
    let left = site.all().await;
    assert!(left.iter().all(|job| matches!(job.state, State::Queued | State::Done)), "{left:#?}");
    let cancelled = left.iter().find(|job| job.state == State::Queued).expect("one waits").id;
    site.data(&["fleet", "cancel", &cancelled.to_string()]);
    let _next = site.worker("next");
    let ended = site.until("ended", |jobs| jobs.iter().all(|job| job.state.is_final())).await;
    for job in ended {
        let wanted = if job.id == cancelled { State::Cancelled } else { State::Done };
        assert_eq!(job.state, wanted, "{job:#?}");
        assert!(job.attempts <= 1, "to be told to end costs no attempt: {job:#?}");
    }
}

async fn bad_input_is_dead_at_once_and_a_changed_blob_after_its_attempts(site: Site) {
    let changed = site.submit(1, &[])[0];
    let good = site.job(changed).await;
    // As a job is that an older zkvouch looked at less closely.
    let blobs = Blobs::open(&site.project.file("fleet/blobs").display().to_string(), []);
    let short = b"{\"input_data\": [[1.0]]}".to_vec();
    let new = NewJob {
        key: None,
        owner: String::new(),
        circuit: good.circuit,
        model: good.model,
        input: blobs.expect("opened").put(short).await.expect("stored"),
        observations: 1,
        priority: 0,
        record: false,
        context: good.context,
        memory: good.memory,
        max_attempts: 3,
        trace: None,
    };
    let bad = site.store.submit(&new).await.expect("taken").job.id;
    let hash = format!("{:x}", good.input);
    let blob = site.project.file(&format!("fleet/blobs/sha256/{}/{hash}", &hash[..2]));
    let right = fs::read(&blob).expect("stored");
    fs::write(&blob, "{\"input_data\": [[0.1, 0.2, 0.3]]}").expect("changed");
    let _worker = site.worker("worker");
    let ended = site.until("ended", |jobs| jobs.iter().all(|job| job.state.is_final())).await;
    assert!(ended.iter().all(|job| job.state == State::Dead), "{ended:#?}");
    let (bad, dead) = (site.job(bad).await, site.job(changed).await);
    assert_eq!(bad.attempts, 1, "{bad:#?}");
    let reason = bad.reason.expect("a reason");
    assert!(reason.contains(&format!("the input of job {}", bad.id)), "{reason}");
    assert_eq!(dead.attempts, 3);
    let reason = dead.reason.expect("a reason");
    assert!(reason.contains("has changed since it was stored"), "{reason}");
    fs::write(&blob, right).expect("mended");
    site.data(&["fleet", "retry", &changed.to_string()]);
    site.until("done", |jobs| jobs.iter().any(|job| job.state == State::Done)).await;
    // Nothing that is no input becomes a job.
    fs::write(site.project.file("odd.json"), "{\"input_data\": [[1.0]]}").expect("written");
    let refused = site.command(&["fleet", "submit", "odd.json"]).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(3));
}

/// Longer than a lease, twice: what is proved meanwhile is handed in when the server is back.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_crashes_and_comes_back() {
    let site = Site::postgres().await;
    let server = site.server.as_ref().expect("PostgreSQL");
    site.submit(30, &[]);
    let mut worker = site.worker("worker");
    for done in [3, 8] {
        site.until("under way", |jobs| {
            jobs.iter().filter(|job| job.state == State::Done).count() >= done
        })
        .await;
        server.crash();
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(worker.is_running(), "{}", site.said("worker"));
        server.go();
    }
    let done = site.until_done().await;
    assert_eq!(done.len(), 30);
    assert!(worker.is_running());
}
