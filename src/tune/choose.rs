//! The choice among the ranked candidates: made for real, checked, and proved where it matters.

use super::{
    Error, Objective, Progress, Prove, TuneRequest,
    baseline::Baseline,
    candidate::{Candidate, Errors},
    lab::{Lab, hides_outputs, with_outputs},
    report::{Headroom, ProofCheck, ProofTrial},
    sample::{self, Sample},
    search::Limits,
    shape::Shape,
    trial::{self, Times, Trial},
};
use crate::{
    accuracy::{
        FloatModel, TensorInfo,
        forward::{Forward, input_json},
    },
    artifacts::settings::Settings,
    engine::Engine,
};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// How many of the best candidates may fail the last check.
const ATTEMPTS: usize = 12;
/// Candidates that are proved side by side, at most.
const FINALISTS: usize = 3;
/// Candidates that are expected to take at most this times as long as the best are proved beside it:
/// the cost model's median error is 6 %.
const CLOSE: f64 = 1.1;
/// ezkl's own calibration is proved beside a choice of less gain than this.
const SMALL_GAIN: f64 = 1.3;
/// What is expected to be better must be so by this factor, lest noise decides.
const CLEARLY: f64 = 1.05;
/// The expected time of one proof with each finalist, in seconds; keys take about as long again.
const SECONDS: f64 = 20.0;
/// Proofs with each finalist, in turn.
const ROUNDS: usize = 3;
/// No further round is begun after this time, keys included.
const ROUNDS_WITHIN: Duration = Duration::from_secs(30);

/// A circuit that passed the last check.
pub(super) struct Chosen {
    pub(super) candidate: Candidate,
    pub(super) settings: Settings,
    pub(super) headroom: Headroom,
    pub(super) proof: Option<ProofCheck>,
    /// The proofs that decided, where some did.
    pub(super) trials: Vec<ProofTrial>,
    /// Inputs that it can't prove: drawn ones, where nothing proves all.
    pub(super) unprovable: usize,
}

/// Which inputs a choice must prove.
#[derive(Clone, Copy, PartialEq)]
enum Demand {
    All,
    /// The observations, as far as they are in the sample; not what was drawn beside them.
    Observations,
}

/// Everything that the choice depends on.
pub(super) struct Choice<'a> {
    pub(super) lab: &'a Lab<'a>,
    pub(super) request: &'a TuneRequest,
    pub(super) sample: &'a Sample,
    pub(super) model: &'a FloatModel,
    pub(super) limits: &'a Limits,
    /// ezkl's own calibration.
    pub(super) baseline: Option<&'a Baseline>,
    pub(super) progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Choice<'_> {
    /// Takes the first of the candidates, best first, that does what it should; where proofs decide,
    /// the fastest of the first ones. Where none proves all inputs, one that proves the observations.
    pub(super) async fn among(&self, ranked: &[Candidate]) -> Result<Chosen, Error> {
        let mut reasons = Vec::new();
        for demand in [Demand::All, Demand::Observations] {
            if let Some(chosen) = self.first(ranked, demand, &mut reasons).await? {
                return Ok(chosen);
            }
        }
        let tried = reasons.len();
        Err(Error::NothingProves { tried, message: reasons.pop().unwrap_or_default() })
    }

    async fn first(
        &self,
        ranked: &[Candidate],
        demand: Demand,
        reasons: &mut Vec<String>,
    ) -> Result<Option<Chosen>, Error> {
        let (mut tried, mut failed) = (0, Vec::new());
        let mut left = ranked.iter();
        while tried < ATTEMPTS
            && let Some(candidate) = left.next()
        {
            // What fails with one k or number of columns fails with the next.
            let kind = kind(candidate);
            if failed.contains(&kind) {
                continue;
            }
            tried += 1;
            let leader = match self.checked(candidate, demand).await? {
                Ok(leader) => leader,
                Err(message) => {
                    tracing::debug!("{:?} is no choice: {message}", candidate.run_args);
                    reasons.push(message);
                    failed.push(kind);
                    continue;
                }
            };
            let proves = match self.request.prove {
                _ if self.lab.stop.load(Ordering::Relaxed) => Prove::Never,
                prove => prove,
            };
            if proves == Prove::Never {
                return Ok(Some(match self.known(&leader, ranked, demand).await? {
                    Some(baseline) => baseline,
                    None => leader,
                }));
            }
            let mut finalists = vec![leader];
            self.add_rivals(&mut finalists, left.as_slice(), demand).await?;
            if finalists.len() == 1 && proves == Prove::WhereClose {
                return Ok(Some(finalists.remove(0)));
            }
            match self.contest(finalists).await? {
                Ok(chosen) => return Ok(Some(chosen)),
                Err(message) => {
                    reasons.push(message);
                    failed.push(kind);
                }
            }
        }
        Ok(None)
    }

    fn is_baseline(&self, candidate: &Candidate) -> bool {
        self.baseline.is_some_and(|it| candidate.run_args == it.candidate.run_args)
    }

    /// ezkl's own calibration, where a choice that is not proved promises hardly more.
    async fn known(
        &self,
        leader: &Chosen,
        ranked: &[Candidate],
        demand: Demand,
    ) -> Result<Option<Chosen>, Error> {
        let by_time = matches!(self.request.objective, Objective::Balanced | Objective::ProveTime);
        let close = |it: &&Candidate| {
            self.is_baseline(it)
                && it.cost.prove_cpu_seconds <= CLOSE * leader.candidate.cost.prove_cpu_seconds
        };
        match ranked.iter().find(close).filter(|_| by_time) {
            Some(baseline) => Ok(self.checked(baseline, demand).await?.ok()),
            None => Ok(None),
        }
    }

    /// Makes a candidate's own settings and runs every input and every corner. The inner error says why it
    /// is no choice.
    async fn checked(
        &self,
        candidate: &Candidate,
        demand: Demand,
    ) -> Result<Result<Chosen, String>, Error> {
        let Self { lab, sample, limits, .. } = self;
        let settings = match self.baseline.filter(|_| self.is_baseline(candidate)) {
            Some(baseline) => Some(baseline.settings.clone()),
            None => lab.settings(&candidate.run_args).await?,
        };
        let Some(settings) = settings else { return Ok(Err("ezkl refuses its settings".into())) };
        let inputs: Vec<_> = sample.inputs.iter().chain(&sample.corners).cloned().collect();
        // A hash is no number to compare; all else is the same.
        let seen = match hides_outputs(&settings.run_args) {
            true => lab.settings(&with_outputs(&settings.run_args)).await?,
            false => Some(settings.clone()),
        };
        let Some(seen) = seen else { return Ok(Err("ezkl refuses its settings".into())) };
        let Some(answers) = lab.forward(&seen, &inputs).await? else {
            return Ok(Err(lab
                .refusal()
                .unwrap_or_else(|| "ezkl refuses its settings".to_owned())));
        };
        let is_demanded = |number: usize| match demand {
            Demand::All => true,
            Demand::Observations => number < sample.observations || number >= sample.inputs.len(),
        };
        let refused = answers.iter().enumerate().find_map(|(number, answer)| match answer {
            _ if !is_demanded(number) => None,
            Some(answer) => Some((number, answer.unprovable.clone()?)),
            None => Some((number, lab.refusal().unwrap_or_default())),
        });
        if let Some((number, why)) = refused {
            return Ok(Err(format!("{} can't be proved: {why}", self.whose(number))));
        }
        let unprovable = answers.iter().filter(|answer| !provable(answer)).count();
        let steps: Vec<_> =
            settings.model_output_scales.iter().map(|scale| 1.0 / scale.multiplier()).collect();
        let (float, outputs): (Vec<_>, Vec<_>) = sample
            .float
            .iter()
            .zip(answers)
            .filter_map(|(float, answer)| Some((float.clone(), answer?.outputs)))
            .unzip();
        let error = Errors::of(&float, &outputs, &steps);
        let error = error.filter(|error| error.measure(&limits.bound) <= limits.bound.value);
        let Some(error) = error else {
            return Ok(Err("its error is above the bound after all".to_owned()));
        };
        let inputs = self.headroom(&seen).await?;
        let cost = Shape::of(&settings);
        let cost = cost.map_or(candidate.cost, |shape| self.request.costs.cost(&shape));
        if let Some(excess) = limits.chain.and_then(|chain| chain.excess(&cost)) {
            return Ok(Err(format!("its verifier has {excess}")));
        }
        Ok(Ok(Chosen {
            candidate: Candidate { run_args: settings.run_args.clone(), cost, error: Some(error) },
            settings,
            headroom: Headroom { inputs, ..Headroom::default() },
            proof: None,
            trials: Vec::new(),
            unprovable,
        }))
    }

    /// An input of those that are checked, in words.
    fn whose(&self, number: usize) -> String {
        let Sample { inputs, observations, .. } = self.sample;
        match number.checked_sub(inputs.len()) {
            Some(corner) => format!("corner {}", corner + 1),
            None if number < *observations => format!("observation {} of those tried", number + 1),
            None => format!("drawn input {}", number + 1 - observations),
        }
    }

    /// The largest factor by which the first inputs can be multiplied and still be proved.
    async fn headroom(&self, settings: &Settings) -> Result<Option<f64>, Error> {
        let (sample, infos) = (self.sample, self.model.inputs());
        if infos.iter().all(TensorInfo::is_label) {
            return Ok(None);
        }
        let mut reached = 1.0;
        for factor in [1.5, 2.0, 4.0, 10.0] {
            let inputs: Vec<_> = sample
                .few_given()
                .iter()
                .map(|input| sample::scaled(input, infos, factor))
                .collect();
            let answers = self.lab.forward(settings, &inputs).await?.unwrap_or_default();
            if answers.is_empty() || !answers.iter().all(provable) {
                break;
            }
            reached = factor;
        }
        Ok(Some(reached))
    }

    /// Adds those that the cost model can't tell from the leader for sure.
    async fn add_rivals(
        &self,
        finalists: &mut Vec<Chosen>,
        others: &[Candidate],
        demand: Demand,
    ) -> Result<(), Error> {
        if !matches!(self.request.objective, Objective::Balanced | Objective::ProveTime) {
            return Ok(());
        }
        let leader = finalists[0].candidate.cost;
        let over = |candidate: &Candidate| {
            self.request.objective == Objective::Balanced
                && self.baseline.is_some_and(|baseline| {
                    candidate.cost.verify_gas > baseline.candidate.cost.verify_gas
                })
        };
        let rivals = |candidate: &Candidate, within: f64| {
            !over(candidate)
                && candidate.cost.prove_cpu_seconds <= within * leader.prove_cpu_seconds
        };
        // The baseline is what must not be lost against; where time is nearly the same, gas counts.
        let baseline = others.iter().find(|it| self.is_baseline(it) && rivals(it, SMALL_GAIN));
        let close = || others.iter().filter(|it| !self.is_baseline(it) && rivals(it, CLOSE));
        let frugal = close()
            .min_by_key(|it| it.cost.verify_gas)
            .filter(|it| it.cost.verify_gas < leader.verify_gas);
        let mut seconds = leader.prove_seconds;
        if let Some(baseline) = baseline.filter(|it| seconds + it.cost.prove_seconds > SECONDS) {
            // Too slow to try out: without a clear gain ezkl's own stays.
            if rivals(baseline, CLOSE)
                && let Ok(baseline) = self.checked(baseline, demand).await?
            {
                *finalists = vec![baseline];
            }
            return Ok(());
        }
        for candidate in baseline.into_iter().chain(frugal).chain(close()) {
            seconds += candidate.cost.prove_seconds;
            if finalists.len() == FINALISTS || seconds > SECONDS {
                break;
            }
            // One of each structure: within one the model's order holds.
            let structure = |candidate: &Candidate| {
                let cost = &candidate.cost;
                (candidate.run_args.logrows, cost.pk_bytes, cost.proof_bytes)
            };
            let known = finalists
                .iter()
                .any(|finalist| structure(&finalist.candidate) == structure(candidate));
            if known && !self.is_baseline(candidate) {
                continue;
            }
            if let Ok(finalist) = self.checked(candidate, demand).await? {
                finalists.push(finalist);
            }
        }
        Ok(())
    }

    /// Proves with each finalist in turn. The baseline, else whose proofs take the least gas, stays
    /// unless another is clearly faster. The inner error says why none of them proves.
    async fn contest(&self, finalists: Vec<Chosen>) -> Result<Result<Chosen, String>, Error> {
        let engine = self.lab.pool.whole_machine();
        let started = Instant::now();
        let mut ready = Vec::new();
        let mut last = String::new();
        let mut finalists = finalists.into_iter().enumerate();
        for (number, finalist) in finalists.by_ref() {
            (self.progress)(Progress::Proof { logrows: finalist.settings.run_args.logrows });
            match self.lab.unless_stopped(self.trial(&engine, &finalist, number)).await {
                Some(Ok((engine, trial))) => {
                    ready.push((finalist, engine, trial, Times::default()));
                }
                Some(Err(error)) if error.is_the_circuits() => last = error.to_string(),
                Some(Err(error)) => return Err(error.into()),
                // Without proofs the safe choice is what is known, else what is expected.
                None => {
                    let mut all = ready.into_iter().map(|(it, ..)| it).collect::<Vec<_>>();
                    all.push(finalist);
                    all.extend(finalists.map(|(_, it)| it));
                    let known = all.iter().position(|it| self.is_baseline(&it.candidate));
                    return Ok(Ok(all.swap_remove(known.unwrap_or(0))));
                }
            }
        }
        let mut rounds = 0;
        while rounds < ROUNDS && (rounds == 0 || (ready.len() > 1 && self.goes_on(started))) {
            rounds += 1;
            let mut proved = Vec::new();
            for (finalist, engine, trial, mut times) in ready {
                (self.progress)(Progress::Proof { logrows: finalist.settings.run_args.logrows });
                match self.lab.unless_stopped(trial.prove(&engine)).await {
                    Some(Ok(usage)) => times.0.push(usage),
                    Some(Err(error)) if error.is_the_circuits() => {
                        last = error.to_string();
                        continue;
                    }
                    Some(Err(error)) => return Err(error.into()),
                    None => {}
                }
                proved.push((finalist, engine, trial, times));
            }
            ready = proved;
        }
        engine.shutdown().await;
        let proved = ready.iter().filter(|(.., times)| !times.0.is_empty());
        let trials: Vec<_> = proved.map(|(it, _, _, times)| shown(it, times)).collect();
        let preference = |number: &usize| {
            let candidate = &ready[*number].0.candidate;
            (!self.is_baseline(candidate), candidate.cost.verify_gas)
        };
        let mut best = (0..ready.len()).min_by_key(preference).unwrap_or(0);
        for number in 0..ready.len() {
            if number != best && ready[number].3.gain_over(&ready[best].3) > CLEARLY {
                best = number;
            }
        }
        if ready.is_empty() {
            return Ok(Err(last));
        }
        let (mut chosen, _, trial, times) = ready.swap_remove(best);
        if !times.0.is_empty() {
            chosen.proof = Some(ProofCheck {
                prove_seconds: times.seconds(),
                proof_bytes: trial.proof()?.proof.bytes.len() as u64,
                pk_bytes: trial.pk_bytes()?,
            });
        }
        chosen.trials = if trials.len() > 1 { trials } else { Vec::new() };
        Ok(Ok(chosen))
    }

    fn goes_on(&self, started: Instant) -> bool {
        started.elapsed() < ROUNDS_WITHIN && !self.lab.stop.load(Ordering::Relaxed)
    }

    async fn trial(
        &self,
        engine: &Engine,
        finalist: &Chosen,
        number: usize,
    ) -> Result<(Engine, Trial), trial::Error> {
        // Ten times what is expected, on a machine that is busy with other things.
        let seconds = 120.0 + 20.0 * finalist.candidate.cost.prove_cpu_seconds;
        let engine = engine.with_deadline(Some(Duration::from_secs_f64(seconds)));
        let settings = finalist.settings.clone();
        let input = input_json(&self.sample.inputs[0], &settings);
        let folder = self.lab.path(&format!("trial-{number}"));
        let trial = Trial::new(&engine, self.lab.model, settings, &input, folder).await?;
        Ok((engine, trial))
    }
}

/// What decides whether a circuit has right answers: scales, decomposition and lookups, but neither k nor columns.
fn kind(candidate: &Candidate) -> impl PartialEq + use<> {
    let args = &candidate.run_args;
    let scales = (args.input_scale, args.param_scale, args.scale_rebase_multiplier);
    (scales, args.decomp_legs, args.lookup_range, args.disable_freivalds)
}

fn shown(finalist: &Chosen, times: &Times) -> ProofTrial {
    ProofTrial {
        run_args: finalist.settings.run_args.clone(),
        proofs: times.0.len(),
        prove_seconds: times.seconds(),
        prove_cpu_seconds: times.cpu_seconds(),
    }
}

fn provable(answer: &Option<Forward>) -> bool {
    answer.as_ref().is_some_and(|answer| answer.unprovable.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{artifacts::run_args::RunArgs, tune::Cost};

    /// ezkl's calibration fits its table to the observations alone; what fails with it says nothing of a
    /// wider one.
    #[test]
    fn a_failure_speaks_for_other_columns_and_rows_but_not_for_other_tables() {
        let candidate = |change: fn(&mut RunArgs)| {
            let mut run_args = RunArgs { lookup_range: (-100, 0), ..RunArgs::default() };
            change(&mut run_args);
            Candidate { run_args, cost: Cost::default(), error: None }
        };
        let failed = kind(&candidate(|_| {}));
        assert!(kind(&candidate(|args| args.logrows += 1)) == failed);
        assert!(kind(&candidate(|args| args.num_inner_cols += 1)) == failed);
        assert!(kind(&candidate(|args| args.lookup_range = (-200, 0))) != failed);
        assert!(kind(&candidate(|args| args.scale_rebase_multiplier += 1)) != failed);
    }
}
