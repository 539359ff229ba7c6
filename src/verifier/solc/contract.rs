//! What is asked of a compiler and what it makes.

use alloy::{json_abi::JsonAbi, primitives::Bytes};
use foundry_compilers::artifacts::{
    BytecodeHash, EvmVersion, Optimizer, OptimizerDetails, Settings, SettingsMetadata, YulDetails,
    output_selection::OutputSelection,
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

/// How to compile. The metadata is always left out of the bytecode, so that a comment or a path
/// cannot change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompilerOptions {
    /// Whether the optimizer runs.
    pub optimizer: bool,
    /// How often the code is expected to run; higher means larger and cheaper to call.
    pub runs: u32,
    /// Compile by way of Yul.
    pub via_ir: bool,
    /// The steps of the Yul optimizer in solc's letters; `None` for solc's own. Those keep more
    /// variables alive than the stack holds when they meet a generated verifier.
    pub yul_steps: Option<String>,
    /// The oldest hardfork that the code has to run on.
    #[serde(with = "evm_version_name")]
    pub evm_version: EvmVersion,
}

/// For a generated verifier: the first of [`CompilerOptions::for_generated_solidity`].
impl Default for CompilerOptions {
    fn default() -> Self {
        Self {
            optimizer: true,
            runs: 1_000_000,
            via_ir: true,
            yul_steps: Some(SHALLOW_STEPS.to_owned()),
            evm_version: EvmVersion::Cancun,
        }
    }
}

/// Put literals and cheap expressions where they are used, drop what is unused: steps that take
/// variables off the stack and put none on it, followed by no clean-up.
const SHALLOW_STEPS: &str = "Tmu:";

impl fmt::Display for CompilerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pipeline = if self.via_ir { "via IR" } else { "legacy pipeline" };
        write!(f, "{pipeline}, ")?;
        match (self.optimizer, &self.yul_steps) {
            (false, _) => f.write_str("optimizer off")?,
            (true, None) => write!(f, "optimizer runs {}", self.runs)?,
            (true, Some(steps)) => write!(f, "optimizer runs {}, Yul steps {steps}", self.runs)?,
        }
        write!(f, ", {}", self.evm_version)
    }
}

/// The name that solc takes: `cancun`.
mod evm_version_name {
    use super::EvmVersion;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(v: &EvmVersion, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(v.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<EvmVersion, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

impl CompilerOptions {
    /// What to try on the Solidity that ezkl generates, best first: cheapest to call; the same
    /// but small, for code over the size limit; then what compiles where the stack of those is
    /// too deep.
    ///
    /// Measured with solc 0.8.37 on a proof of 3,072 bytes and 7 instances (runtime bytes, gas to
    /// verify on Osaka), without the guard: 9,373 and 521,781; 8,227 and 529,584; 10,157 and
    /// 525,253; and 13,366 and 542,639 for the last, which is how ezkl compiles.
    pub fn for_generated_solidity() -> Vec<Self> {
        let fast = Self::default();
        let small = Self { runs: 1, ..fast.clone() };
        let plain = Self { optimizer: false, yul_steps: None, ..fast.clone() };
        let legacy = Self { runs: 1, via_ir: false, yul_steps: None, ..fast.clone() };
        vec![fast, small, plain, legacy]
    }

    pub(super) fn settings(&self) -> Settings {
        let details = self.yul_steps.clone().filter(|_| self.optimizer).map(|steps| {
            let on = Some(true);
            // All that `enabled` switches on, with other steps.
            OptimizerDetails {
                peephole: on,
                inliner: on,
                jumpdest_remover: on,
                order_literals: on,
                deduplicate: on,
                cse: on,
                constant_optimizer: on,
                yul: on,
                yul_details: Some(YulDetails {
                    stack_allocation: on,
                    optimizer_steps: Some(steps),
                }),
                simple_counter_for_loop_unchecked_increment: on,
            }
        });
        Settings {
            optimizer: Optimizer {
                enabled: Some(self.optimizer),
                runs: Some(self.runs as usize),
                details,
            },
            via_ir: Some(self.via_ir),
            evm_version: Some(self.evm_version),
            metadata: Some(SettingsMetadata::new(BytecodeHash::None, false)),
            output_selection: OutputSelection::common_output_selection(
                ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"].map(String::from),
            ),
            remappings: Vec::new(),
            ..Settings::default()
        }
    }
}

/// A contract with its code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompiledContract {
    /// The file it stands in.
    pub file: PathBuf,
    /// Its name in the source; of Yul that of the object.
    pub name: String,
    /// Its interface; empty for Yul.
    pub abi: JsonAbi,
    /// What a creating transaction carries, without constructor arguments.
    pub init_code: Bytes,
    /// What stands at its address (before immutables are filled in).
    pub runtime_code: Bytes,
    /// How it was compiled.
    pub options: CompilerOptions,
}
