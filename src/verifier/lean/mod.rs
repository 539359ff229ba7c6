//! The lean verifier: the same proofs as ezkl's verifier, for less gas, and stricter.
//!
//! 1. [`Protocol::read`] executes ezkl's Solidity symbolically and takes from it what it computes: the
//!    transcript, the quotient as an expression, the opening. Anything that is not understood is
//!    an error.
//! 2. A generator prints a contract for the same proof bytes: constants of the key by CODECOPY, the
//!    transcript by CALLDATACOPY, one inversion for all denominators, common factors of the quotient
//!    taken out, selectors of lookups too, equal commitments of the key merged, no copies around the precompiles.
//!    One contract has a function for one proof and one for many, and each of the two also for packed instances.
//! 3. Both contracts are run as printed on random calldata, and every scalar of every point that
//!    reaches the pairing is compared; without that [`generate`] returns nothing.
//!
//! # What is checked where
//!
//! Offsets, lengths and the size of the calldata first; then scalars and instances against r, and
//! that no point is (0, 0). That a point is on the curve, with coordinates below q, is left to the
//! precompiles: every point of the proof goes through one before the pairing (the reader refuses a
//! protocol of which that isn't true). A failing precompile takes all the gas that it was given, so
//! that each call has a cap: a bad proof costs at most what a good one does and 33,000 gas for each
//! of its bad points. Explicit checks would cost every valid proof some 85 gas a point, the caps cost
//! one gas a call. Were the precompiles ever repriced beyond the caps (five times for ecMul), the
//! contract would reject everything.
//!
//! # Batches
//!
//! A single proof is a batch of one, which is spared the weights: the key's commitments go through
//! Horner's rule with the proof's, where for several proofs their scalars are summed.
//!
//! `verifyMany` adds the proofs' equations eᵢ(Lᵢ, [1]) = e(W′ᵢ, [τ]) with weights ρ₀ = 1 and
//! ρᵢ = Hᵢ mod r, where Hᵢ = keccak256(Hᵢ₋₁ ‖ last transcript hash of proof i ‖ W′ᵢ). The
//! transcript's hashes absorb the key's digest, the instances and all of the proof but W′, so that
//! ρᵢ is a hash of the whole of the proofs 0 … i. Write Eᵢ for the error of equation i, as an
//! element of a group of prime order r. If some proof is wrong, let m be the last: all before it and
//! itself are fixed when ρₘ is drawn, and Σᵢ ρᵢEᵢ = S + ρₘEₘ with Eₘ ≠ 0 vanishes for one value of
//! ρₘ in r (for m = 0 never). In the random oracle model an adversary of Q hashes succeeds with
//! probability about Q/r, on top of what it takes to break one proof.

mod breakdown;
mod concrete;
mod dag;
mod emit;
mod equivalence;
mod field;
pub mod fuzz;
mod generate;
mod interp;
mod key;
mod layout;
mod msm;
mod opening;
mod protocol;
mod quotient;
mod reader;
pub mod reference;
mod selected;
mod solidity;
mod symbolic;
mod yul;

use super::{
    VerifierSource, calldata,
    solc::{CompilerOptions, Language},
};
use crate::{error::ErrorKind, field::Felt, model::packing::Packing};
use alloy::primitives::U256;
use concrete::Concrete;
use generate::Generated;
use interp::Stop;
use serde::{Deserialize, Serialize};
use std::fmt;

pub use breakdown::{Breakdown, PhaseGas};
pub use protocol::{
    Challenges, Commitment, Evaluation, Input, Lagrange, Opening, OpeningSet, Phase, Protocol,
};
pub use yul::SyntaxError;

/// Why there is no lean verifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no contract of the known form.
    #[error(
        "the verifier contract is not in the known template: {0}; generate it with the ezkl version \
         that this zkvouch pins, or use kind = \"ezkl\" under [verifier]"
    )]
    Syntax(#[from] SyntaxError),
    /// The contract computes something else than the known template does.
    #[error(
        "the verifier contract is not in the known template (line {line}): {what}; generate it with \
         the ezkl version that this zkvouch pins, or use kind = \"ezkl\" under [verifier]"
    )]
    Template {
        /// Line of the contract, 0 for the whole.
        line: usize,
        /// What is there, or missing, instead of the known form.
        what: String,
    },
    /// The contract belongs to another verifying key or other settings.
    #[error(
        "the verifier contract and the settings or verifying key contradict each other: {what} is \
         {contract} in the contract, {expected} was expected; create the verifier again"
    )]
    Contradiction {
        /// The name of the value, such as `k`.
        what: String,
        /// Its value in the contract.
        contract: String,
        /// Its value in the settings or the verifying key.
        expected: String,
    },
    /// The generated contract does not verify what ezkl's verifies: a bug of the generator.
    #[error(
        "the lean verifier differs from ezkl's in comparison {round}: {what}; please report it, and \
         use kind = \"ezkl\" under [verifier]"
    )]
    Different {
        /// The number of the comparison; the same number draws the same calldata.
        round: u64,
        /// The scalar, point or outcome that is not the same.
        what: String,
    },
    /// A sample proof has not the form of this circuit's proofs.
    #[error("the sample proof cannot be traced: {0}; use a proof of this very circuit")]
    Sample(String),
    /// The verifying key file is damaged.
    #[error("the verifying key is not understood: {0}; run setup again")]
    Key(String),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax(_)
            | Self::Template { .. }
            | Self::Contradiction { .. }
            | Self::Different { .. }
            | Self::Sample(_)
            | Self::Key(_) => ErrorKind::Tool,
        }
    }
}

/// The result of this module's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is known about a verifier from elsewhere, to compare with.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Number of instances, from the settings.
    pub num_instances: usize,
    /// log2 of the number of rows, from the settings.
    pub k: u32,
    /// The bytes of the verifying key file, if at hand.
    pub vk: Option<&'a [u8]>,
}

/// A generated verifier that passed the comparison with ezkl's.
#[derive(Clone, Debug)]
pub struct LeanVerifier {
    protocol: Protocol,
    generated: Generated,
    optimized_for: OptimizeFor,
}

/// What the contract is to be cheap in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OptimizeFor {
    /// A call: what is alike stands there once for each column.
    #[default]
    Calls,
    /// The deployment: loops over the columns, for some more gas a call.
    Deployment,
}

/// Generates the lean verifier from the Solidity of ezkl's `create_evm_verifier`, as it is written
/// there, without a guard. `packing` has the widths of packed instances.
///
/// # Errors
/// If the Solidity is not understood or contradicts `expected`, or if the generated contract fails
/// the comparison with it; there is no verifier then.
pub fn generate(
    ezkl_solidity: &str,
    expected: &Expected<'_>,
    packing: &Packing,
    optimize_for: OptimizeFor,
) -> Result<LeanVerifier> {
    let protocol = Protocol::read(ezkl_solidity, expected)?;
    if packing.count() != protocol.num_instances {
        return Err(Error::Contradiction {
            what: "the number of instances".into(),
            contract: protocol.num_instances.to_string(),
            expected: packing.count().to_string(),
        });
    }
    let generated = generate::generate(&protocol, packing, optimize_for == OptimizeFor::Deployment);
    equivalence::check(ezkl_solidity, &protocol, &generated)?;
    Ok(LeanVerifier { protocol, generated, optimized_for: optimize_for })
}

impl OptimizeFor {
    /// The one that is not this.
    pub fn other(self) -> Self {
        match self {
            Self::Calls => Self::Deployment,
            Self::Deployment => Self::Calls,
        }
    }
}

impl fmt::Display for OptimizeFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Calls => "calls",
            Self::Deployment => "deployment",
        })
    }
}

impl LeanVerifier {
    /// The circuit's transcript, quotient and opening, from which it was generated.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// What it is cheap in.
    pub fn optimized_for(&self) -> OptimizeFor {
        self.optimized_for
    }

    /// The widths of packed instances.
    pub fn packing(&self) -> &Packing {
        &self.generated.packing
    }

    /// Contract `LeanVerifier` with `verifyProof(bytes,uint256[])` and, for many proofs with one
    /// pairing, `verifyMany(bytes[],uint256[][])`; and with `verifyPacked` and `verifyManyPacked`, which
    /// take each proof's instances packed.
    pub fn source(&self) -> VerifierSource {
        let options = options(self.optimized_for);
        let text = solidity::contract(&self.protocol, &self.generated, &options[0]);
        let shape = calldata::Shape {
            proof_len: self.protocol.proof_len,
            n_instances: self.protocol.num_instances,
        };
        let contract = solidity::CONTRACT.to_owned();
        let packing = Some(self.generated.packing.clone());
        VerifierSource::lean(Language::Solidity, contract, text, shape, packing, options)
    }

    /// Where the gas of one verification goes.
    ///
    /// # Errors
    /// [`Error::Sample`] if the code rejects the proof's form before the pairing.
    pub fn breakdown(&self, proof: &[u8], instances: &[Felt]) -> Result<Breakdown> {
        let words: Vec<U256> = instances.iter().map(|felt| felt.to_u256()).collect();
        let calldata = equivalence::calldata_one(proof, &words);
        let run = self.run(calldata.clone()).map_err(|stop| Error::Sample(format!("{stop:?}")))?;
        Ok(Breakdown::new(&self.generated, &run, &calldata))
    }

    /// Runs the assembly on a call.
    fn run(&self, calldata: Vec<u8>) -> Result<Concrete, Stop> {
        let hashing = concrete::Hashing::Keccak;
        equivalence::run_lean(&self.protocol, &self.generated, calldata, hashing)
    }
}

/// Settings under which the contract is best, in this order. The generator has arranged the code for
/// the stack already; the pipeline by way of Yul rearranges it, and with its optimizer writes it twice.
fn options(optimize_for: OptimizeFor) -> Vec<CompilerOptions> {
    let optimized = CompilerOptions {
        runs: if optimize_for == OptimizeFor::Calls { 1_000_000 } else { 1 },
        via_ir: false,
        yul_steps: None,
        ..CompilerOptions::default()
    };
    let plain = CompilerOptions { optimizer: false, ..optimized.clone() };
    vec![optimized, plain]
}

#[cfg(test)]
mod tests;
