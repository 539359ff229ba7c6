//! Circuits whose SRS is at hand come before those whose must be fetched.

use super::{Error, TuneRequest, candidate::Candidate, objective::Objective, report::PassedOver};
use crate::{artifacts::run_args::MAX_LOGROWS, srs};
use std::collections::BTreeSet;

/// A circuit whose SRS must be fetched has to be better by this factor.
const WORTH_FETCHING: f64 = 1.5;

/// What ezkl's own calibration takes, with which a circuit is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// Gas by ezkl's verifier.
    pub(super) gas: u64,
    /// The k of its circuit.
    pub(super) logrows: u32,
}

/// The cost model's error for gas.
const GAS_UNCERTAINTY: f64 = 1.02;

/// The candidates that can be had, best first.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) candidates: Vec<Candidate>,
    /// The best, where it had to go.
    pub(super) passed_over: Option<PassedOver>,
    /// What is exceeded, where the objective's promise is void: see [`can_be_had`].
    pub(super) unkept: Option<Limit>,
}

/// Ranks the candidates and leaves those that can be had: those with a verifier of many proofs, unless it is
/// for want of the others that the search would end with nothing, or break its promise.
///
/// # Errors
/// [`Error::NoSrs`] where none is left, [`Error::MoreGas`] where the promise is broken.
pub(super) async fn select(
    request: &TuneRequest,
    limit: Option<Limit>,
    all: Vec<Candidate>,
) -> Result<Selected, Error> {
    let takes = |it: &&Candidate| request.chain.is_none_or(|chain| chain.takes_batches(&it.cost));
    let batched: Vec<_> = all.iter().filter(takes).cloned().collect();
    if batched.is_empty() || batched.len() == all.len() {
        return select_of(request, limit, all).await;
    }
    let first = select_of(request, limit, batched).await;
    if first.as_ref().is_ok_and(|selected| selected.unkept.is_none()) {
        return first;
    }
    match select_of(request, limit, all).await {
        Ok(selected) if first.is_err() || selected.unkept.is_none() => Ok(selected),
        _ => first,
    }
}

async fn select_of(
    request: &TuneRequest,
    limit: Option<Limit>,
    mut candidates: Vec<Candidate>,
) -> Result<Selected, Error> {
    let gas = limit.map(|limit| limit.gas);
    request.objective.rank(&mut candidates, gas);
    let passed_over = keep(request, gas, &mut candidates).await?;
    let breach = limit.zip(candidates.first()).filter(|(limit, best)| {
        request.objective == Objective::Balanced
            && best.cost.verify_gas as f64 > GAS_UNCERTAINTY * limit.gas as f64
    });
    let unkept = match breach.map(|(limit, best)| (limit, best.cost.verify_gas)) {
        Some((limit, least)) if can_be_had(request, limit.logrows).await => {
            let out_of_reach = passed_over.filter(|it| !it.can_be_had).map(|it| it.logrows);
            return Err(Error::MoreGas { least, limit: limit.gas, out_of_reach });
        }
        Some((limit, _)) => Some(limit),
        None => None,
    };
    Ok(Selected { candidates, passed_over, unkept })
}

/// Leaves, of the ranked candidates, those whose SRS can be had. Asks the network only where the best
/// needs it, and is worth it. Returns the best where it has to go.
///
/// # Errors
/// [`Error::NoSrs`] where none is left.
async fn keep(
    request: &TuneRequest,
    gas_limit: Option<u64>,
    ranked: &mut Vec<Candidate>,
) -> Result<Option<PassedOver>, Error> {
    let Some((source, cache)) = &request.srs else { return Ok(None) };
    let at_hand = |it: &Candidate| srs::is_at_hand(source, it.run_args.logrows, cache);
    let Some(best) = ranked.first().filter(|best| !at_hand(best)).cloned() else {
        return Ok(None);
    };
    let over = |it: &Candidate| gas_limit.is_some_and(|limit| it.cost.verify_gas > limit);
    let k = best.run_args.logrows;
    let near = ranked.iter().find(|it| at_hand(it));
    let near = near.filter(|it| request.objective != Objective::Balanced || !over(it));
    if near.is_some_and(|near| gain(request.objective, &best, near) <= WORTH_FETCHING) {
        ranked.retain(at_hand);
        return Ok(Some(passed_over(request, &best, ranked, true)));
    }
    let away: BTreeSet<u32> =
        ranked.iter().filter(|it| !at_hand(it)).map(|it| it.run_args.logrows).collect();
    let least = away.first().copied().unwrap_or(k);
    let fetched = which_can_be_fetched(source, away).await;
    ranked.retain(|it| at_hand(it) || fetched.contains(&it.run_args.logrows));
    if fetched.contains(&k) {
        return Ok(None);
    }
    if ranked.is_empty() {
        let at_hand = |k: &u32| srs::is_at_hand(source, *k, cache);
        return Err(Error::NoSrs {
            at_hand: (1..=MAX_LOGROWS).rev().find(at_hand).unwrap_or(0),
            least,
            best: k,
            megabytes: best.cost.peak_bytes.div_ceil(1_000_000),
            seconds: best.cost.prove_seconds,
            source_of: source.to_string(),
        });
    }
    Ok(Some(passed_over(request, &best, ranked, false)))
}

/// Whether the circuit of ezkl's own calibration could be made here, too: who can't have it is promised
/// nothing by a comparison with it.
async fn can_be_had(request: &TuneRequest, k: u32) -> bool {
    let Some((source, cache)) = &request.srs else { return true };
    srs::is_at_hand(source, k, cache) || srs::can_be_fetched(source, k).await
}

/// All are asked for at once, since a network that swallows questions answers none of them for seconds.
async fn which_can_be_fetched(source: &srs::Source, ks: BTreeSet<u32>) -> BTreeSet<u32> {
    let mut asked = tokio::task::JoinSet::new();
    for k in ks {
        let source = source.clone();
        asked.spawn(async move { srs::can_be_fetched(&source, k).await.then_some(k) });
    }
    asked.join_all().await.into_iter().flatten().collect()
}

/// `ranked` are those that are left, best first. Those that are at hand may be so without a question.
fn passed_over(
    request: &TuneRequest,
    best: &Candidate,
    ranked: &[Candidate],
    can_be_had: bool,
) -> PassedOver {
    let gain = ranked.first().map_or(1.0, |left| gain(request.objective, best, left));
    PassedOver { logrows: best.run_args.logrows, gain, can_be_had }
}

/// By what factor one is better.
fn gain(objective: Objective, better: &Candidate, worse: &Candidate) -> f64 {
    let of = |it: &Candidate| {
        let cost = &it.cost;
        match objective {
            Objective::Balanced | Objective::ProveTime => cost.prove_cpu_seconds,
            Objective::Gas => cost.verify_gas as f64,
            Objective::Memory => cost.peak_bytes as f64,
            Objective::ProofSize => cost.proof_bytes as f64,
        }
    };
    of(worse) / of(better)
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
        let mut ranked = all.to_vec();
        let left = keep(&request(&package), None, &mut ranked).await.expect("some");
        let left = left.expect("it is said what was left for its SRS");
        assert!(left.logrows == 16 && left.can_be_had && (left.gain - 1.4).abs() < 1e-9);
        let mut dear = candidate(14, 1.2);
        dear.cost.verify_gas = 101;
        let mut ranked = vec![candidate(16, 1.0), dear];
        let fetched = crate::files::sha256(b"http://127.0.0.1:9/kzg14.srs").to_string();
        let fetched = folder.path().join(format!("srs/url-{}-k14.srs", &fetched[2..18]));
        std::fs::create_dir_all(folder.path().join("srs")).expect("created");
        std::fs::write(fetched, "").expect("written");
        let given_up = keep(&request(&nowhere), Some(100), &mut ranked).await.expect("one is left");
        let given_up = given_up.expect("one of more gas is no reason not to ask for it");
        assert_eq!((given_up.logrows, given_up.can_be_had), (16, false));
        assert_eq!(ranked[0].run_args.logrows, 14);
        let all = [candidate(12, 1.0), candidate(16, 2.0)];
        assert_eq!(kept(&package, &all).await.expect("some"), [12, 16], "the best is at hand");
        let large = [candidate(20, 1.0), candidate(18, 1.6)];
        let error = kept(&nowhere, &large).await.expect_err("none to be had").to_string();
        assert!(
            error.contains("needs k = 18, the best k = 20") && error.contains("unsafe-dev"),
            "{error}"
        );
        // Those at hand have no verifier of many proofs, which is no reason to have none at all.
        let mut small = candidate(14, 3.0);
        small.cost.batch_code_bytes = 30_000;
        let none_at_hand = vec![small, candidate(16, 1.0)];
        let request = TuneRequest {
            srs: Some((nowhere.clone(), folder.path().to_owned())),
            ..TuneRequest::new("m".into(), vec!["d".into()], "s".into())
        };
        let selected = select(&request, None, none_at_hand).await.expect("one is at hand");
        assert_eq!(selected.candidates[0].run_args.logrows, 14);
        let unsafe_dev = srs::Source::UnsafeDev;
        assert_eq!(kept(&unsafe_dev, &[candidate(16, 1.0)]).await.expect("made"), [16]);
        assert!(!srs::is_at_hand(&srs::Source::Path("none.srs".into()), 9, Path::new("c")));
    }
}
