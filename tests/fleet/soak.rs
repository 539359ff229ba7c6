//! Everything at once, with workers and submitters killed at random.
//!
//! `ZKVOUCH_SOAK_JOBS=2000 cargo nextest run --test fleet soak` is the long one.

use crate::{
    chain::{deployed, each_once, submitter},
    on_both,
    site::Site,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::time::{Duration, Instant};
use zkvouch::fleet::job::State;

on_both! { soak }

async fn soak(site: Site) {
    let jobs = std::env::var("ZKVOUCH_SOAK_JOBS").ok().and_then(|it| it.parse().ok()).unwrap_or(40);
    let mut random = StdRng::seed_from_u64(7);
    let node = deployed(&site);
    site.submit(jobs, &["--record", "--attempts", "100"]);
    let mut workers: Vec<_> = (0..3).map(|n| site.worker(&format!("w{n}"))).collect();
    let mut sender = submitter(&site, "s", &node.url, &["--batch", "8"]);
    let started = Instant::now();
    let mut kills = 0;
    loop {
        let counts = site.store.counts().await.expect("counted");
        if counts.keys().all(|state| state.is_final()) {
            break;
        }
        let limit = Duration::from_secs(120 + 4 * jobs as u64);
        assert!(started.elapsed() < limit, "{counts:?}; {}", site.said("s"));
        tokio::time::sleep(Duration::from_millis(random.gen_range(500..3000))).await;
        // Workers are killed three times as often.
        match random.gen_range(0..4) {
            3 => {
                sender.kill();
                sender = submitter(&site, "s", &node.url, &["--batch", "8"]);
            }
            which => {
                workers[which].kill();
                workers[which] = site.worker(&format!("w{which}"));
            }
        }
        kills += 1;
    }
    let all = site.all().await;
    let lost = all.iter().filter(|job| job.state != State::Done).count();
    assert_eq!((all.len(), lost), (jobs, 0), "each is done");
    each_once(&site, &node.url, &all);
    let attempts: u32 = all.iter().map(|job| job.attempts).sum();
    println!(
        "{jobs} jobs, {kills} kills, {attempts} attempts, 0 lost, 0 doubled, {:.0} s",
        started.elapsed().as_secs_f64()
    );
}
