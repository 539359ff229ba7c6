//! The compiler matrix: compilers and settings that are tried on a verifier's source. The code that
//! verifies the sample proof for the least gas and fits the size limit is taken.
//!
//! Which that is depends on the source and the proof alone: equals go to the smaller code, then to
//! the earlier combination.

use super::{
    BuildRequest, Error, Result, Sample, calldata, golden,
    solc::{self, CompiledContract, Compiler, CompilerOptions, SolcRequest},
};
use crate::{
    evm::{Evm, Hardfork},
    task::blocking,
};
use alloy::primitives::Bytes;
use foundry_compilers::artifacts::EvmVersion;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tokio::task::JoinSet;

/// What is varied; the combinations of all that is set are tried. An empty list leaves a setting as
/// it is in the options that were measured to be good for the kind of verifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matrix {
    /// Versions or paths of solc; the verifier's own if empty.
    pub solc: Vec<SolcRequest>,
    /// Oldest hardforks that the code has to run on.
    #[serde(with = "evm_versions")]
    pub evm_version: Vec<EvmVersion>,
    /// Whether the optimizer runs.
    pub optimizer: Vec<bool>,
    /// How often the code is expected to run.
    pub runs: Vec<u32>,
    /// Whether to compile by way of Yul.
    pub via_ir: Vec<bool>,
    /// Steps of the Yul optimizer in solc's letters.
    pub yul_steps: Vec<String>,
}

mod evm_versions {
    use super::EvmVersion;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(all: &[EvmVersion], s: S) -> Result<S::Ok, S::Error> {
        all.iter().map(|version| version.as_str()).collect::<Vec<_>>().serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Vec<EvmVersion>, D::Error> {
        let names = Vec::<String>::deserialize(d)?;
        names.iter().map(|name| name.parse().map_err(D::Error::custom)).collect()
    }
}

impl Matrix {
    /// Every combination over `base`, each once, in a fixed order.
    pub fn expand(&self, base: &[CompilerOptions]) -> Vec<CompilerOptions> {
        fn vary<T: Clone>(
            all: Vec<CompilerOptions>,
            values: &[T],
            set: impl Fn(&mut CompilerOptions, T),
        ) -> Vec<CompilerOptions> {
            if values.is_empty() {
                return all;
            }
            let with = |options: &CompilerOptions, value: &T| {
                let mut options = options.clone();
                set(&mut options, value.clone());
                options
            };
            all.iter().flat_map(|options| values.iter().map(move |v| with(options, v))).collect()
        }
        let all = vary(base.to_vec(), &self.optimizer, |options, on| options.optimizer = on);
        let all = vary(all, &self.via_ir, |options, on| options.via_ir = on);
        let all = vary(all, &self.runs, |options, runs| options.runs = runs);
        let all = vary(all, &self.yul_steps, |options, s| options.yul_steps = Some(s));
        let all = vary(all, &self.evm_version, |options, fork| options.evm_version = fork);
        let mut once: Vec<CompilerOptions> = Vec::new();
        for mut options in all {
            if !options.optimizer {
                // Then its settings make no difference.
                options.yul_steps = None;
                options.runs = CompilerOptions::default().runs;
            }
            if !once.contains(&options) {
                once.push(options);
            }
        }
        once
    }

    /// Finds the compilers: those that are listed, or else `default`.
    ///
    /// # Errors
    /// As [`solc::resolve`].
    pub async fn compilers(&self, default: &SolcRequest) -> Result<Vec<Compiler>> {
        let requests =
            if self.solc.is_empty() { std::slice::from_ref(default) } else { &self.solc[..] };
        let mut compilers = Vec::new();
        for request in requests {
            compilers.push(Compiler::cached(solc::resolve(request).await?)?);
        }
        Ok(compilers)
    }
}

/// A combination that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The exact version of solc that was run.
    pub solc: Version,
    /// The options that it was run with.
    pub options: CompilerOptions,
    /// Bytes of runtime code, where there is any.
    pub runtime_size: Option<usize>,
    /// Gas of the transaction that verifies the sample proof; `None` for code that is over the
    /// limit, or refuses it.
    pub verify_gas: Option<u64>,
    /// Why there is no code.
    pub failure: Option<String>,
}

/// The combination that was chosen, compiled.
pub(super) struct Choice<'c> {
    pub(super) contract: CompiledContract,
    pub(super) compiler: &'c Compiler,
    /// Everything that was tried; empty where the first that fits was taken.
    pub(super) attempts: Vec<Attempt>,
}

/// From here on compiling by way of Yul takes half a minute and more.
const SLOW_SOURCE: usize = 150_000;

/// Legacy code this large fits with no options: over the models that were tried, via IR gave 0.4
/// to 1 times its size.
const HOPELESS_SIZE: usize = 64 * 1024;

/// Compiles a request's source in the way that it asks for.
pub(super) async fn choose<'c>(
    compilers: &'c [Compiler],
    request: &BuildRequest<'_>,
) -> Result<Choice<'c>> {
    let [first, ..] = compilers else { unreachable!("there is a compiler") };
    match (&request.options, &request.matrix, &request.sample) {
        (None, Some(matrix), Some(sample)) if request.source.text.len() <= SLOW_SOURCE => {
            let candidates = matrix.expand(&request.source.options);
            cheapest(compilers, request, &candidates, sample).await
        }
        _ => {
            let contract = first_that_fits(first, request).await?;
            Ok(Choice { contract, compiler: first, attempts: Vec::new() })
        }
    }
}

/// Whether a chain with these rules takes it.
pub(super) fn fits(contract: &CompiledContract, hardfork: Hardfork) -> bool {
    hardfork.rules().takes_code(size(contract), contract.init_code.len())
}

/// Bytes of runtime code; of init code for Yul, where the compiler does not know the other.
fn size(contract: &CompiledContract) -> usize {
    match contract.runtime_code.len() {
        0 => contract.init_code.len(),
        length => length,
    }
}

/// All combinations; the cheapest verification of the sample among the codes that fit, and the
/// smallest code if none does.
async fn cheapest<'c>(
    compilers: &'c [Compiler],
    request: &BuildRequest<'_>,
    candidates: &[CompilerOptions],
    sample: &Sample<'_>,
) -> Result<Choice<'c>> {
    let compiled = compile_all(compilers, request, candidates).await;
    let mut codes: Vec<(usize, usize, CompiledContract)> = Vec::new();
    let mut attempts = Vec::new();
    let mut failure = None;
    for (compiler, options, result) in compiled {
        let mut attempt = Attempt {
            solc: compilers[compiler].solc().version.clone(),
            options,
            runtime_size: None,
            verify_gas: None,
            failure: None,
        };
        match result {
            Ok(contract) => {
                attempt.runtime_size = Some(size(&contract));
                codes.push((attempts.len(), compiler, contract));
            }
            // Another compiler, or other options, may do.
            Err(
                error @ (solc::Error::StackTooDeep { .. }
                | solc::Error::Source { .. }
                | solc::Error::EmptyBytecode { .. }),
            ) => {
                let text = error.to_string();
                attempt.failure = Some(text.lines().next().unwrap_or_default().to_owned());
                failure.get_or_insert(error);
            }
            Err(error) => return Err(error.into()),
        }
        attempts.push(attempt);
    }
    let any_fits = codes.iter().any(|(_, _, contract)| fits(contract, request.hardfork));
    if any_fits {
        codes.retain(|(_, _, contract)| fits(contract, request.hardfork));
        let init_codes: Vec<Bytes> = codes.iter().map(|(.., c)| c.init_code.clone()).collect();
        let gas = measure_all(init_codes, sample, request.hardfork).await?;
        for ((attempt, ..), gas) in codes.iter().zip(gas) {
            attempts[*attempt].verify_gas = gas;
        }
    }
    let best = codes.into_iter().min_by_key(|(attempt, _, contract)| {
        let gas = attempts[*attempt].verify_gas.unwrap_or(u64::MAX);
        (gas, size(contract), *attempt)
    });
    match (best, failure) {
        (Some((_, compiler, contract)), _) => {
            Ok(Choice { contract, compiler: &compilers[compiler], attempts })
        }
        (None, Some(error)) => Err(error.into()),
        (None, None) => unreachable!("a source comes with options"),
    }
}

type Compiled = (usize, CompilerOptions, solc::Result<CompiledContract>);

/// As many at a time as there are CPUs, in the order of compilers and candidates.
async fn compile_all(
    compilers: &[Compiler],
    request: &BuildRequest<'_>,
    candidates: &[CompilerOptions],
) -> Vec<Compiled> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let all: Vec<(usize, &CompilerOptions)> = (0..compilers.len())
        .flat_map(|compiler| candidates.iter().map(move |options| (compiler, options)))
        .collect();
    let sources = request.source.sources();
    let mut compiled = Vec::new();
    for some in all.chunks(cpus) {
        let mut tasks = JoinSet::new();
        for (place, (index, options)) in some.iter().enumerate() {
            let (compiler, options) = (compilers[*index].clone(), (*options).clone());
            let (sources, name) = (sources.clone(), request.source.contract.clone());
            let index = *index;
            tasks.spawn(async move {
                let result = compiler.compile_contract(&sources, &options, &name).await;
                (place, (index, options, result))
            });
        }
        let mut done = tasks.join_all().await;
        done.sort_unstable_by_key(|(place, _)| *place);
        compiled.extend(done.into_iter().map(|(_, compiled)| compiled));
    }
    compiled
}

/// The gas of verifying the sample with each code, equal codes once.
async fn measure_all(
    init_codes: Vec<Bytes>,
    sample: &Sample<'_>,
    hardfork: Hardfork,
) -> Result<Vec<Option<u64>>> {
    let calldata = calldata::encode_verify_proof(sample.proof, sample.instances);
    let measure = move || {
        let mut known: HashMap<Bytes, Option<u64>> = HashMap::new();
        let mut all = Vec::new();
        for init_code in init_codes {
            let gas = match known.get(&init_code) {
                Some(gas) => *gas,
                None => {
                    let mut evm = Evm::new(hardfork);
                    let address = evm.deploy(init_code.clone())?.address;
                    let result = evm.call(address, calldata.clone(), evm.gas_limit())?;
                    let accepted = golden::Verdict::of(&result) == golden::Verdict::Accepted;
                    let gas = accepted.then_some(result.gas_used);
                    known.insert(init_code, gas);
                    gas
                }
            };
            all.push(gas);
        }
        Ok::<_, Error>(all)
    };
    blocking(measure).await
}

/// The first of the options that compiles and fits; if none fits, the smallest code.
async fn first_that_fits(
    compiler: &Compiler,
    request: &BuildRequest<'_>,
) -> Result<CompiledContract> {
    let source = &request.source;
    let sources = source.sources();
    let candidates = match &request.options {
        Some(options) => std::slice::from_ref(options),
        None => &source.options,
    };
    if let [_, .., last] = candidates
        && !last.via_ir
        && source.text.len() > SLOW_SOURCE
    {
        let contract = compiler.compile_contract(&sources, last, &source.contract).await?;
        if size(&contract) > HOPELESS_SIZE {
            return Ok(contract);
        }
    }
    let mut smallest: Option<CompiledContract> = None;
    let mut too_deep = None;
    for options in candidates {
        let contract = match compiler.compile_contract(&sources, options, &source.contract).await {
            Ok(contract) => contract,
            Err(error @ solc::Error::StackTooDeep { .. }) => {
                tracing::debug!(%options, "the stack is too deep; trying other options");
                too_deep.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if fits(&contract, request.hardfork) {
            return Ok(contract);
        }
        let size = size(&contract);
        tracing::debug!(%options, size, "over the size limit");
        if smallest.as_ref().is_none_or(|found| size < self::size(found)) {
            smallest = Some(contract);
        }
        if options.runs <= 1 {
            // As small as it gets; what follows is for stacks that are too deep.
            break;
        }
    }
    match (smallest, too_deep) {
        (Some(contract), _) => Ok(contract),
        (None, Some(error)) => Err(error.into()),
        (None, None) => unreachable!("a source comes with options"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_varied_is_combined_and_nothing_comes_twice() {
        let base = CompilerOptions::for_generated_solidity();
        assert_eq!(Matrix::default().expand(&base), base);
        let text =
            r#"{"runs": [1, 200], "optimizer": [true, false], "evm_version": ["cancun", "osaka"]}"#;
        let matrix: Matrix = serde_json::from_str(text).expect("a matrix");
        let all = matrix.expand(&base);
        assert!(all.iter().any(|o| o.runs == 200 && o.evm_version == EvmVersion::Osaka));
        // With the optimizer three pipelines and two numbers of runs, without it two pipelines.
        let distinct: std::collections::HashSet<String> =
            all.iter().map(|options| format!("{options:?}")).collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(all.len(), 2 * (3 * 2 + 2));
        let unknown = serde_json::from_str::<Matrix>(r#"{"evm_version": ["atlantis"]}"#);
        assert!(unknown.is_err());
        assert!(serde_json::from_str::<Matrix>(r#"{"optimiser": [true]}"#).is_err());
    }
}
