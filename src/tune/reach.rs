//! Circuits whose SRS is at hand come before those whose must be fetched.

use super::{Error, TuneRequest, candidate::Candidate, objective::Objective};
use crate::srs;

/// A circuit whose SRS must be fetched has to be better by this factor.
const WORTH_FETCHING: f64 = 1.5;

/// Leaves, of the ranked candidates, those whose SRS can be had. Asks the network only where the best
/// needs it, and is worth it. Returns the k of the best where its SRS can't be had.
///
/// # Errors
/// [`Error::NoSrs`] where none is left.
pub(super) async fn keep(
    request: &TuneRequest,
    gas_limit: Option<u64>,
    ranked: &mut Vec<Candidate>,
) -> Result<Option<u32>, Error> {
    let Some((source, cache)) = &request.srs else { return Ok(None) };
    let at_hand = |it: &Candidate| srs::is_at_hand(source, it.run_args.logrows, cache);
    let Some(best) = ranked.first().filter(|best| !at_hand(best)) else { return Ok(None) };
    let over = |it: &Candidate| gas_limit.is_some_and(|limit| it.cost.verify_gas > limit);
    let near = ranked.iter().find(|it| at_hand(it));
    let near = near.filter(|it| request.objective != Objective::Balanced || !over(it));
    let k = best.run_args.logrows;
    if near.is_some_and(|near| is_near(request.objective, near, best)) {
        ranked.retain(at_hand);
        return Ok(None);
    }
    if srs::can_be_fetched(source, k).await {
        return Ok(None);
    }
    ranked.retain(at_hand);
    if ranked.is_empty() {
        return Err(Error::NoSrs { k, source_of: source.to_string() });
    }
    Ok(Some(k))
}

fn is_near(objective: Objective, near: &Candidate, best: &Candidate) -> bool {
    let of = |it: &Candidate| {
        let cost = &it.cost;
        match objective {
            Objective::Balanced | Objective::ProveTime => cost.prove_cpu_seconds,
            Objective::Gas => cost.verify_gas as f64,
            Objective::Memory => cost.peak_bytes as f64,
            Objective::ProofSize => cost.proof_bytes as f64,
        }
    };
    of(near) <= WORTH_FETCHING * of(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{artifacts::run_args::RunArgs, tune::Cost};
    use std::path::Path;

    fn candidate(logrows: u32, seconds: f64) -> Candidate {
        let run_args = RunArgs { logrows, ..RunArgs::default() };
        let cost = Cost { prove_cpu_seconds: seconds, ..Cost::default() };
        Candidate { run_args, cost, error: None }
    }

    #[tokio::test]
    async fn what_is_at_hand_is_preferred_and_what_cant_be_had_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        // Nobody listens there.
        let nowhere: srs::Source =
            "ceremony:http://127.0.0.1:9/kzg{k}.srs".parse().expect("a source");
        let request = |source: &srs::Source| TuneRequest {
            srs: Some((source.clone(), folder.path().to_owned())),
            ..TuneRequest::new("m".into(), vec!["d".into()], "s".into())
        };
        let kept = async |source: &srs::Source, all: &[Candidate]| {
            let mut ranked = all.to_vec();
            let result = keep(&request(source), Some(100), &mut ranked).await;
            result.map(|_| ranked.iter().map(|it| it.run_args.logrows).collect::<Vec<_>>())
        };
        let package = srs::Source::default();
        let all = [candidate(16, 1.0), candidate(14, 1.4), candidate(12, 2.0)];
        assert_eq!(kept(&package, &all).await.expect("some"), [14, 12], "1.4 times is little");
        let mut dear = candidate(14, 1.2);
        dear.cost.verify_gas = 101;
        let mut ranked = vec![candidate(16, 1.0), dear];
        let fetched = crate::files::sha256(b"http://127.0.0.1:9/kzg14.srs").to_string();
        let fetched = folder.path().join(format!("srs/url-{}-k14.srs", &fetched[2..18]));
        std::fs::create_dir_all(folder.path().join("srs")).expect("created");
        std::fs::write(fetched, "").expect("written");
        let given_up = keep(&request(&nowhere), Some(100), &mut ranked).await.expect("one is left");
        assert_eq!(given_up, Some(16), "one of more gas is no reason not to ask for it");
        assert_eq!(ranked[0].run_args.logrows, 14);
        let all = [candidate(12, 1.0), candidate(16, 2.0)];
        assert_eq!(kept(&package, &all).await.expect("some"), [12, 16], "the best is at hand");
        let error = kept(&nowhere, &[candidate(9, 1.0)]).await.expect_err("none to be had");
        assert!(error.to_string().contains("k = 9"), "{error}");
        let unsafe_dev = srs::Source::UnsafeDev;
        assert_eq!(kept(&unsafe_dev, &[candidate(16, 1.0)]).await.expect("made"), [16]);
        assert!(!srs::is_at_hand(&srs::Source::Path("none.srs".into()), 9, Path::new("c")));
    }
}
