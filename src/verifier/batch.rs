//! The lean verifier as the verifier of many proofs in one call: the same contract, compiled alike,
//! checked and measured by its other function.
//!
//! Beside the verifier's metadata lies this one's, [`METADATA_FILE`].

use super::{
    ArtifactFiles, BuildRequest, Error, GasReport, Result, VerifierArtifact, calldata,
    golden::{self, Verdict},
    matrix,
    report::{self, ForkGas},
    solc::{self, Compiler, CompilerOptions},
};
use crate::{evm::Evm, files, task::blocking};
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
    /// The gas of one proof with packed instances, where a sample was given and its instances fit.
    pub packed_gas: Option<u64>,
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
    let BuildRequest { source, options, sample, hardfork, made_from, .. } = request;
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
        if matrix::fits(&contract, hardfork) {
            fitting = Some(contract);
            break;
        }
    }
    let Some(contract) = fitting else {
        tracing::info!(contract = %source.contract, "no options bring it under the size limits");
        return Ok(None);
    };
    let (shape, packing) = (source.shape, source.packing.clone());
    let init_code = contract.init_code.clone();
    let sample = sample.map(|sample| (sample.proof.to_vec(), sample.instances.to_vec()));
    let measure = move || {
        let mut evm = Evm::new(hardfork);
        let deployed = evm.deploy(init_code.clone())?;
        let mut gas = Vec::new();
        let (mut one, mut packed) = (None, None);
        if let Some((proof, instances)) = &sample {
            let verify = golden::check_batch(&mut evm, deployed.address, shape, proof, instances)?;
            let calldata = calldata::encode_verify_many([(&proof[..], &instances[..])]);
            one = Some((verify, report::calldata_gas(&calldata)));
            if let Some(packing) = &packing {
                let at = deployed.address;
                packed = golden::check_packed(&mut evm, at, packing, proof, instances)?;
            }
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
        let of_one = sample
            .as_ref()
            .map(|(proof, instances)| calldata::encode_verify_many([(&proof[..], &instances[..])]));
        let forks = ForkGas::measure(&init_code, of_one.as_ref(), None)?;
        Ok::<_, Error>((deployed, one, packed, gas, forks))
    };
    let (deployed, one, packed_gas, gas, forks) = blocking(measure).await?;
    let report = GasReport {
        hardfork,
        verify_gas: one.map(|(gas, _)| gas.accepted),
        refusal_gas: one.map(|(gas, _)| gas.refused),
        calldata_gas: one.map(|(_, gas)| gas),
        deploy_gas: deployed.gas_used,
        runtime_size: deployed.runtime_code.len(),
        init_size: contract.init_code.len(),
        // Selector, two offsets, two arrays of one, each with its length and its element's offset.
        calldata_len: 4 + 0x40 + 2 * 0x60 + shape.proof_len + 0x20 * shape.n_instances,
        packed_calldata_len: None,
        forks,
    };
    tracing::info!(?report, ?gas, options = %contract.options, "batch verifier built");
    let solc = compiler.solc();
    let artifact = VerifierArtifact::new(
        source,
        contract,
        deployed.runtime_code,
        solc,
        Vec::new(),
        report,
        made_from,
    );
    Ok(Some(Batch { artifact, packed_gas, gas }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evm::Hardfork,
        field::Felt,
        model::packing::Packing,
        verifier::{
            Sample, Shape, VerifierSource,
            lean::{self, Expected, OptimizeFor},
            solc::Language,
            testing::{Fixture, compiler},
        },
    };

    /// A contract that answers whatever `body` says to a batch of the smallest proofs.
    fn pretend(body: &str) -> VerifierSource {
        let text = format!(
            "pragma solidity ^0.8.0; contract B {{ function verifyMany(bytes[] calldata p, uint256[][] \
             calldata i) external returns (bool) {{ {body} }} }}"
        );
        let shape = Shape { proof_len: 64, n_instances: 1 };
        let options = CompilerOptions { runs: 1, via_ir: false, yul_steps: None, ..<_>::default() };
        VerifierSource::lean(Language::Solidity, "B".into(), text, shape, None, vec![options])
    }

    #[tokio::test]
    async fn what_does_not_verify_batches_is_not_built() {
        let compiler = compiler().await;
        let (proof, instances) = (vec![1; 64], vec![Felt::ZERO]);
        let sample = Some(Sample { proof: &proof, instances: &instances });
        let outcome = async |body: &str| {
            let source = pretend(body);
            let options = source.options[0].clone();
            let request = BuildRequest { sample, ..BuildRequest::new(source) };
            build(&compiler, request, &options).await.expect_err(body).to_string()
        };
        assert!(outcome("return true;").await.contains("accepts a call that it must reject"));
        assert!(outcome("revert();").await.contains("rejects the sample proof"));
        // The proof that it looks at is the right one; the other may be anything.
        let word = alloy::hex::encode([1; 32]);
        for index in ["0", "p.length - 1"] {
            let same = format!(
                "require(p.length == i.length && p.length != 0); bytes calldata q = p[{index}]; \
                 require(q.length == 64 && bytes32(q) == hex\"{word}\" && bytes32(q[32:]) == \
                 hex\"{word}\" && i[{index}].length == 1 && i[{index}][0] == 0); return true;"
            );
            assert!(outcome(&same).await.contains("accepts a call that it must reject"), "{index}");
        }
        // The encoding is the canonical one, and both ends are right; what is between may be anything.
        let ends = format!(
            "require(p.length == i.length && p.length != 0); require(keccak256(msg.data) == \
             keccak256(abi.encodeWithSelector(msg.sig, p, i))); for (uint256 k; k < p.length; ++k) {{ \
             require(p[k].length == 64 && i[k].length == 1); if (k == 0 || k == p.length - 1) {{ \
             require(keccak256(p[k]) == keccak256(hex\"{word}{word}\") && i[k][0] == 0); }} }} return true;"
        );
        assert!(outcome(&ends).await.contains("accepts a call that it must reject"));
    }

    #[tokio::test]
    async fn what_no_chain_takes_is_left_out() {
        let compiler = compiler().await;
        let filler: String = (0..Hardfork::Osaka.rules().runtime_code / 32)
            .map(|word| alloy::hex::encode(files::sha256(&word.to_be_bytes())))
            .collect();
        let source =
            pretend(&format!("bytes memory b = hex\"{filler}\"; return b[p.length] == 0;"));
        let options = source.options[0].clone();
        let built = build(&compiler, BuildRequest::new(source), &options).await.expect("compiled");
        assert!(built.is_none());
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(write(folder.path(), None).expect("written"), None);
        assert_eq!(read(folder.path()).expect("read"), None);
    }

    #[tokio::test]
    async fn a_batch_verifier_is_built_measured_and_survives_its_files() {
        let fixture = Fixture::load("tree").await;
        let expected = Expected { num_instances: fixture.instances.len(), k: 9, vk: None };
        let packing = Packing::words(fixture.instances.len());
        let lean = lean::generate(&fixture.solidity, &expected, &packing, OptimizeFor::Calls)
            .expect("a lean verifier");
        let source = lean.source();
        let options = source.options[0].clone();
        let request = BuildRequest { sample: Some(fixture.sample()), ..BuildRequest::new(source) };
        let batch = build(&compiler().await, request, &options).await.expect("built");
        let batch = batch.expect("it fits");
        let sizes: Vec<_> = batch.gas.iter().map(|it| it.proofs).collect();
        assert_eq!(sizes, SIZES);
        assert!(batch.gas.windows(2).all(|two| two[1].gas_per_proof < two[0].gas_per_proof));
        assert_eq!(batch.artifact.metadata().neg_s_g2, Some(lean.protocol().neg_s_g2));
        let gas = &batch.artifact.metadata().gas;
        assert_eq!(gas.verify_gas, Some(batch.gas[0].gas_per_proof));
        let calldata = calldata::encode_verify_many([(&fixture.proof[..], &fixture.instances[..])]);
        assert_eq!(gas.calldata_len, calldata.len());

        let folder = tempfile::tempdir().expect("a folder");
        let written = write(folder.path(), Some(&batch)).expect("written").expect("files");
        assert!(written.metadata.ends_with(METADATA_FILE));
        assert!(read(folder.path()).expect("read") == Some(batch.artifact));
        let text = files::read_to_string(&written.artifact).expect("read");
        files::write_atomic(&written.artifact, text.replace("0x60", "0x61").as_bytes())
            .expect("written");
        let error = read(folder.path()).expect_err("changed").to_string();
        assert!(error.contains("batch.json says"), "{error}");
    }
}
