//! The verifier of many proofs in one call, where the lean generator has one for the circuit.
//!
//! Its files lie beside the verifier's, with [`METADATA_FILE`] for its metadata.

use super::{
    ArtifactFiles, BuildRequest, Error, GasReport, Result, VerifierArtifact, calldata,
    golden::{self, Verdict},
    report,
    solc::{self, Compiler, CompilerOptions},
};
use crate::{
    evm::{Evm, INIT_CODE_LIMIT, RUNTIME_CODE_LIMIT},
    files,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The name of the file with the batch verifier's metadata, or `null` where there is none; written
/// last.
pub const METADATA_FILE: &str = "batch.json";

/// The batches that are measured.
const SIZES: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// A batch verifier that was built.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Batch {
    /// Its code. Its report's gas is that of a batch of one.
    pub artifact: VerifierArtifact,
    /// What batches cost; none without a sample, and none over the gas of a transaction.
    pub gas: Vec<BatchGas>,
}

/// The gas of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchGas {
    /// The number of proofs.
    pub proofs: usize,
    /// The gas of the whole transaction, for each of them.
    pub gas_per_proof: u64,
}

/// Compiles a batch verifier, lets it decide batches of the sample proof and mutants of them in the
/// in-process EVM, and measures it. The `proven` options, with which the circuit's verifier
/// compiled, are tried first. `None` if no options bring it under the size limits.
///
/// # Errors
/// [`Error::Golden`] if it rejects the sample or accepts a mutant; whatever the compiler says.
pub async fn build(
    compiler: &Compiler,
    request: BuildRequest<'_>,
    proven: &CompilerOptions,
) -> Result<Option<Batch>> {
    let BuildRequest { source, options, sample, hardfork, .. } = request;
    let candidates = match options {
        Some(options) => vec![options],
        None => {
            let others = source.options.iter().filter(|options| *options != proven);
            std::iter::once(proven).chain(others).cloned().collect()
        }
    };
    let sources = source.sources();
    let mut fitting = None;
    for options in &candidates {
        let contract = match compiler.compile_contract(&sources, options, &source.contract).await {
            Ok(contract) => contract,
            Err(solc::Error::StackTooDeep { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        if contract.runtime_code.len() <= RUNTIME_CODE_LIMIT
            && contract.init_code.len() <= INIT_CODE_LIMIT
        {
            fitting = Some(contract);
            break;
        }
    }
    let Some(contract) = fitting else {
        tracing::info!(contract = %source.contract, "no options bring it under the size limits");
        return Ok(None);
    };
    let shape = source.shape;
    let init_code = contract.init_code.clone();
    let sample = sample.map(|sample| (sample.proof.to_vec(), sample.instances.to_vec()));
    let measure = move || {
        let mut evm = Evm::new(hardfork);
        let deployed = evm.deploy(init_code)?;
        let mut gas = Vec::new();
        let mut one = None;
        if let Some((proof, instances)) = &sample {
            let verify = golden::check_batch(&mut evm, deployed.address, shape, proof, instances)?;
            let calldata = calldata::encode_verify_many([(&proof[..], &instances[..])]);
            one = Some((verify, report::calldata_gas(&calldata), calldata.len()));
            for proofs in SIZES {
                let batch = std::iter::repeat_n((&proof[..], &instances[..]), proofs);
                let calldata = calldata::encode_verify_many(batch);
                let result = evm.call(deployed.address, calldata, evm.gas_limit());
                let Ok(result) = result else { break };
                if Verdict::of(&result) != Verdict::Accepted {
                    break;
                }
                gas.push(BatchGas { proofs, gas_per_proof: result.gas_used / proofs as u64 });
            }
        }
        Ok::<_, Error>((deployed, one, gas))
    };
    let (deployed, one, gas) = tokio::task::spawn_blocking(measure)
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    let report = GasReport {
        hardfork,
        verify_gas: one.map(|(gas, ..)| gas),
        calldata_gas: one.map(|(_, gas, _)| gas),
        deploy_gas: deployed.gas_used,
        runtime_size: deployed.runtime_code.len(),
        init_size: contract.init_code.len(),
        // Selector, two offsets, two arrays of one, each with its length and its element's offset.
        calldata_len: 4 + 0x40 + 2 * 0x60 + shape.proof_len + 0x20 * shape.n_instances,
    };
    tracing::info!(?report, ?gas, options = %contract.options, "batch verifier built");
    let solc = compiler.solc();
    let artifact =
        VerifierArtifact::new(source, contract, deployed.runtime_code, solc, Vec::new(), report);
    Ok(Some(Batch { artifact, gas }))
}

/// Writes a batch verifier's files beside the verifier's, or only that there is none.
///
/// # Errors
/// If a file cannot be written.
pub fn write(folder: &Path, batch: Option<&Batch>) -> Result<Option<ArtifactFiles>> {
    match batch {
        Some(batch) => Ok(Some(batch.artifact.write_as(folder, METADATA_FILE)?)),
        None => {
            files::write_atomic(&folder.join(METADATA_FILE), b"null\n")?;
            Ok(None)
        }
    }
}

/// Reads what [`write`] wrote and compares the hashes.
///
/// # Errors
/// [`Error::Artifact`] with the file that is not what the metadata says.
pub fn read(folder: &Path) -> Result<Option<VerifierArtifact>> {
    let text = files::read(&folder.join(METADATA_FILE))?;
    if text.trim_ascii() == b"null" {
        return Ok(None);
    }
    Ok(Some(VerifierArtifact::read_as(folder, METADATA_FILE)?))
}
