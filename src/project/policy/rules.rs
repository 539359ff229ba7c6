//! The rules.

use crate::project::caveat::Caveat;
use serde::Serialize;
use std::fmt;

/// How much it matters that a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Whoever reads the proofs should know it.
    Note,
    /// It may surprise.
    Warning,
    /// The proofs don't show what they seem to, or can't be verified: not deployed off a local chain unless it is waived.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// What zkvouch.toml calls it, and the heading of its section in docs/policy.md.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it says.
    pub title: &'static str,
}

macro_rules! rules {
    ($($name:ident: $severity:ident, $id:literal, $title:literal;)*) => {
        $(const $name: Rule = Rule { id: $id, severity: Severity::$severity, title: $title };)*
        /// Every rule.
        pub const RULES: [Rule; [$($id),*].len()] = [$($name),*];
    };
}

rules! {
    UNBOUND_PARAMETERS: Error, "unbound-parameters", "the model's weights are part of the circuit, or their hash is public";
    UNBOUND_INPUT: Warning, "unbound-input", "every input decides an output";
    PRIVATE_INPUT: Warning, "private-input", "a proof shows its input, or the input's hash";
    PRIVATE_OUTPUT: Error, "private-output", "a proof shows its output, or the output's hash";
    COMMITTED: Warning, "committed", "what is committed to can be compared by a contract";
    HASHED: Note, "hashed", "whoever consumes a hash compares it";
    TEST_SRS: Error, "test-srs", "nobody knows the SRS's secret";
    UNKNOWN_SRS: Error, "unknown-srs", "the SRS is of a known ceremony";
    ONE_OBSERVATION: Warning, "one-observation", "the circuit was fitted to more than one observation";
    UNPROVABLE: Warning, "unprovable", "what lies within the data's range can be proved";
    INACCURATE: Warning, "inaccurate", "the circuit is within 2 % of the range of the model's answers";
    ENGINE: Error, "engine", "the engine's version is one that zkvouch was tested with";
    MORE_GAS: Warning, "more-gas", "verification takes no more gas than by ezkl's calibration";
    CODE_SIZE: Warning, "code-size", "the verifier's code is well within a chain's limit";
    TRANSACTION_GAS: Warning, "transaction-gas", "a verification is well within what a transaction may take";
    CALLDATA: Warning, "calldata", "a proof's calldata is well within what nodes pass on";
    CHAIN_PRECOMPILE: Error, "chain-precompile", "the chain has the precompiles of BN254 and big integers";
    CHAIN_OPCODE: Error, "chain-opcode", "the chain has the opcodes that the code was compiled for";
    OWNER: Warning, "owner", "a contract, such as a timelock, owns the router";
    GUARDIAN: Warning, "guardian", "somebody can stop the model";
}

impl Caveat {
    /// The rule that it breaks.
    pub fn rule(&self) -> Rule {
        match self {
            Self::UnboundParameters => UNBOUND_PARAMETERS,
            Self::UnboundInput(_) => UNBOUND_INPUT,
            Self::PrivateInput => PRIVATE_INPUT,
            Self::PrivateOutput => PRIVATE_OUTPUT,
            Self::Committed(_) => COMMITTED,
            Self::Hashed(_) => HASHED,
            Self::TestSrs => TEST_SRS,
            Self::UnknownSrs => UNKNOWN_SRS,
            Self::OneObservation => ONE_OBSERVATION,
            Self::Unprovable { .. } => UNPROVABLE,
            Self::Inaccurate { .. } => INACCURATE,
            Self::Engine { .. } => ENGINE,
            Self::MoreGas(_) => MORE_GAS,
            Self::CodeSize { .. } => CODE_SIZE,
            Self::TransactionGas { .. } => TRANSACTION_GAS,
            Self::Calldata { .. } => CALLDATA,
            Self::NoPrecompile { .. } => CHAIN_PRECOMPILE,
            Self::NoOpcode { .. } => CHAIN_OPCODE,
            Self::OwnerIsAccount { .. } => OWNER,
            Self::NoGuardian => GUARDIAN,
        }
    }
}
