//! What a model costs on chain under a fork's rules: whole transactions through the contracts in this binary, in the
//! in-process EVM.

use super::{
    contracts::{
        ModelArgs,
        bindings::{ModelRouter, PredictionLedger},
        implementation_contract, ledger_contract, router_contract,
    },
    create2,
};
use crate::{
    calldata,
    evm::{Error, Evm, Hardfork, Result, SENDER},
    model::proof::Proof,
};
use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::SolCall,
};
use serde::Serialize;

/// The proofs of a batch.
pub const BATCH: usize = 16;

/// Gas of a transaction each. Packed is none where the golden proof's instances don't fit their widths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Costs {
    /// The rules.
    pub hardfork: Hardfork,
    /// Deploys what every model is a clone of, once a chain.
    pub implementation: u64,
    /// Deploys a router.
    pub router: u64,
    /// Deploys a ledger.
    pub ledger: u64,
    /// Deploys the bare verifier.
    pub verifier: u64,
    /// Has the router make the model's contract, with the golden proof.
    pub add_model: u64,
    /// Both: what a model costs by itself.
    pub model: u64,
    /// What the router's gate takes in a call that is free, but for which a node has a limit.
    pub gate: u64,
    /// Verifies a proof by the bare verifier.
    pub verify: u64,
    /// The same with packed instances.
    pub verify_packed: Option<u64>,
    /// Records the predictions of a proof, each.
    pub record: u64,
    /// The same with packed instances.
    pub record_packed: Option<u64>,
    /// Records those of [`BATCH`] proofs, each.
    pub batch: u64,
    /// The same with packed instances.
    pub batch_packed: Option<u64>,
}

struct Chain {
    evm: Evm,
}

impl Chain {
    fn reverted(&self, what: &str, output: &Bytes) -> Error {
        let reason = format!("{what} reverts with {output}");
        Error::Refused { hardfork: self.evm.hardfork(), reason }
    }

    /// A transaction that stays.
    fn send(&mut self, what: &str, to: Address, input: Bytes) -> Result<(u64, Bytes)> {
        let result = self.evm.transact(to, input, self.evm.gas_limit())?;
        match result.success {
            true => Ok((result.gas_used, result.output)),
            false => Err(self.reverted(what, &result.output)),
        }
    }

    /// What a transaction takes that leaves no trace.
    fn cost(&mut self, what: &str, to: Address, input: Bytes) -> Result<u64> {
        let result = self.evm.call(to, input, self.evm.gas_limit())?;
        match result.success {
            true => Ok(result.gas_used),
            false => Err(self.reverted(what, &result.output)),
        }
    }

    fn put(&mut self, what: &str, init_code: &[u8]) -> Result<(u64, Address)> {
        let input = create2::calldata(create2::SALT, init_code);
        let (gas, output) = self.send(what, create2::PROXY, input)?;
        match output.len() {
            20 => Ok((gas, Address::from_slice(&output))),
            _ => Err(self.reverted(what, &output)),
        }
    }
}

/// Deploys everything and measures it. Verifier and code hash in `args` are replaced by those of the verifier that
/// `init_code` leaves. Sizes and gas have no limit.
///
/// # Errors
/// A transaction that reverts.
pub fn measure(
    hardfork: Hardfork,
    init_code: &Bytes,
    args: &ModelArgs,
    golden: &Proof,
) -> Result<Costs> {
    let mut evm = Evm::new(hardfork).without_limits();
    evm.set_code(create2::PROXY, Bytes::from_static(create2::PROXY_CODE));
    let mut chain = Chain { evm };
    let (implementation, _) =
        chain.put("the implementation", &implementation_contract().init_code)?;
    let (router, router_at) = chain.put("the router", &router_contract(SENDER).init_code)?;
    let (ledger, ledger_at) = chain.put("the ledger", &ledger_contract(router_at).init_code)?;
    let (verifier, bare) = chain.put("the verifier", init_code)?;
    let verifier_code_hash = keccak256(chain.evm.code(bare));
    let args = ModelArgs { verifier: bare, verifier_code_hash, ..args.clone() };
    let words: Vec<U256> = golden.instances.iter().map(|felt| felt.to_u256()).collect();
    let proof = golden.bytes.clone();
    let add = ModelRouter::addModelCall {
        args: args.to_abi(),
        proof: proof.clone(),
        instances: words.clone(),
    };
    let (add_model, _) = chain.send("addModel", router_at, add.abi_encode().into())?;

    let model = args.model_id().0;
    let gate =
        ModelRouter::gateCall { modelId: model, proof: proof.clone(), instances: words.clone() };
    let gate = chain.cost("the gate", router_at, gate.abi_encode().into())?;
    let call = calldata::encode_verify_proof(&proof, &golden.instances);
    let verify = chain.cost("verifyProof", bare, call)?;
    let packed = args.descriptor.packing().pack(&golden.instances).map(Bytes::from);
    let verify_packed = match &packed {
        None => None,
        Some(packed) => {
            let call = calldata::encode_verify_packed(&proof, packed);
            // A verifier without the function is served by the model's contract.
            chain.cost("verifyPacked", bare, call).ok()
        }
    };
    let each = u64::from(args.descriptor.predictions());
    let mut record = |proofs: usize, packed: Option<&Bytes>| {
        let count = U256::from(proofs as u64 * each);
        let context = B256::ZERO;
        let call = match (proofs, each, packed) {
            (1, 1, None) => PredictionLedger::recordCall {
                modelId: model,
                context,
                proof: proof.clone(),
                instances: words.clone(),
            }
            .abi_encode(),
            (1, 1, Some(packed)) => PredictionLedger::recordPackedCall {
                modelId: model,
                context,
                proof: proof.clone(),
                packed: packed.clone(),
            }
            .abi_encode(),
            (_, _, None) => PredictionLedger::recordBatchCall {
                modelId: model,
                context,
                count,
                proofs: vec![proof.clone(); proofs],
                instances: vec![words.clone(); proofs],
            }
            .abi_encode(),
            (_, _, Some(packed)) => PredictionLedger::recordBatchPackedCall {
                modelId: model,
                context,
                count,
                proofs: vec![proof.clone(); proofs],
                packed: vec![packed.clone(); proofs],
            }
            .abi_encode(),
        };
        let gas = chain.cost("recording", ledger_at, call.into())?;
        Ok::<_, Error>(gas / (proofs as u64 * each))
    };
    Ok(Costs {
        hardfork,
        implementation,
        router,
        ledger,
        verifier,
        add_model,
        model: verifier + add_model,
        gate,
        verify,
        verify_packed,
        record: record(1, None)?,
        record_packed: packed.as_ref().map(|packed| record(1, Some(packed))).transpose()?,
        batch: record(BATCH, None)?,
        batch_packed: packed.as_ref().map(|packed| record(BATCH, Some(packed))).transpose()?,
    })
}
