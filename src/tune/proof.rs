//! One real proof with a chosen circuit.

use super::{
    Error,
    lab::Lab,
    report::{Candidate, ProofCheck},
};
use crate::{
    accuracy::{Observation, forward::input_json},
    artifacts::{settings::Settings, witness::Witness},
    engine,
    files::Error as FileError,
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Proves and verifies one input. The inner error says what is wrong with the circuit.
///
/// The SRS is made for the purpose and thrown away: a proof's cost and validity don't depend on whose
/// it is.
pub(super) async fn check(
    lab: &Lab<'_>,
    settings: &Settings,
    input: &Observation,
    candidate: &Candidate,
) -> Result<Result<ProofCheck, String>, Error> {
    let file = |name: &str| lab.path(&format!("proof-{name}"));
    let (path, compiled, srs) = (file("settings.json"), file("circuit.ezkl"), file("kzg.srs"));
    let (vk, pk) = (file("vk.key"), file("pk.key"));
    let (witness, proof) = (file("witness.json"), file("proof.json"));
    settings.write(&path)?;
    // Ten times what is expected, on a machine that is busy with other things.
    let deadline = Duration::from_secs_f64(120.0 + 20.0 * candidate.cost.prove_cpu_seconds);
    let engine = lab.pool.get().await.with_deadline(Some(deadline));
    let steps = async {
        engine.compile_circuit(lab.model, &path, &compiled).await?;
        engine.gen_unsafe_srs(settings.run_args.logrows, &srs).await?;
        engine.setup(&compiled, &srs, &vk, &pk, None, true).await?;
        engine
            .gen_witness(&input_json(input, settings), &compiled, &witness, Some(&vk), Some(&srs))
            .await
    };
    if let Err(error) = steps.await {
        return refused(error);
    }
    // ezkl's prover never returns from a lookup outside its table.
    if let Err(error) = Witness::read(&witness)?.check_ranges(settings) {
        return Ok(Err(error.to_string()));
    }
    let started = Instant::now();
    if let Err(error) = engine.prove(&witness, &compiled, &pk, &srs, &proof).await {
        return refused(error);
    }
    let prove_seconds = started.elapsed().as_secs_f64();
    // ezkl also "proves" a witness that doesn't satisfy its circuit.
    match engine.verify(&proof, &path, &vk, &srs).await {
        Ok(true) => {}
        Ok(false) => return Ok(Err("its proof does not verify".to_owned())),
        Err(error) => return refused(error),
    }
    let proof_bytes = crate::artifacts::proof::Proof::read(&proof)?.proof.len() as u64;
    Ok(Ok(ProofCheck { prove_seconds, proof_bytes, pk_bytes: size(&pk)? }))
}

fn refused(error: engine::Error) -> Result<Result<ProofCheck, String>, Error> {
    match error {
        engine::Error::File(_) | engine::Error::Environment(_) => Err(error.into()),
        error => Ok(Err(error.to_string())),
    }
}

fn size(path: &Path) -> Result<u64, Error> {
    Ok(std::fs::metadata(path).map_err(FileError::at("read", path))?.len())
}
