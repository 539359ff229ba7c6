//! Nothing is deployed or used unless its code accepts a proof and rejects mutants of it.

use super::{
    Error, Result,
    node::rpc::{self, Rpc},
    tx::Sender,
};
use crate::{
    calldata,
    model::{packing::Packing, proof::Proof},
};
use alloy::{
    eips::BlockId,
    network::TransactionBuilder,
    primitives::{Address, Bytes},
    rpc::types::{
        TransactionRequest,
        state::{AccountOverride, StateOverride},
    },
};

/// The functions of a bare verifier beside `verifyProof`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// It takes several proofs in one call.
    pub many: bool,
    /// It takes instances in these widths.
    pub packing: Option<Packing>,
}

/// A verifier that is to show that it is one.
pub(super) struct Golden<'a> {
    /// What it has beside the function for one proof.
    pub(super) entries: &'a Entries,
    /// A valid proof of its model.
    pub(super) proof: &'a Proof,
    /// Its runtime code, as far as it is known.
    pub(super) code: &'a [u8],
}

/// Lets the verifier at an address decide the golden proof and mutants of it. With `code` the node
/// runs that code as if it were there.
pub(super) async fn check_golden(
    sender: &Sender,
    address: Address,
    code: Option<&Bytes>,
    golden: &Golden<'_>,
) -> Result<()> {
    let overrides = code.map(|code| {
        let account = AccountOverride { code: Some(code.clone()), ..Default::default() };
        StateOverride::from_iter([(address, account)])
    });
    let run = async |input: Bytes| {
        let request = TransactionRequest::default().with_to(address).with_input(input);
        let answer = sender.rpc().call_at(&request, BlockId::latest(), overrides.as_ref()).await;
        match answer {
            Ok(output) => Ok(calldata::is_true(&output)),
            Err(error) if error.is_revert() => Ok(false),
            Err(error) => Err(error),
        }
    };
    for (valid, mutants) in golden_calls(golden) {
        match run(valid).await {
            Ok(true) => {}
            Ok(false) => {
                check_rules(sender.rpc(), golden.code).await?;
                return Err(Error::GoldenRejected { address });
            }
            // Few nodes lack state overrides; the check after deployment remains.
            Err(error @ rpc::Error::Refused { .. }) if code.is_some() => {
                tracing::warn!(%error, "the verifier can't be tried before it is deployed");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        for mutant in mutants {
            if run(mutant).await? {
                return Err(Error::MutantAccepted { address });
            }
        }
    }
    Ok(())
}

/// Of each function a call that must be accepted, and those that must not: of one for batches the golden proof three
/// times, and a mutant in each place. Mutants whose instances don't fit their widths have no packed form.
fn golden_calls(golden: &Golden<'_>) -> Vec<(Bytes, Vec<Bytes>)> {
    let Golden { entries, proof: golden, .. } = golden;
    let mutants = golden.mutants();
    let one = |it: &Proof| calldata::encode_verify_proof(&it.bytes, &it.instances);
    let mut calls = vec![(one(golden), mutants.iter().map(one).collect())];
    if entries.many {
        let many = |batch: [&Proof; 3]| {
            calldata::encode_verify_many(batch.map(|it| (&it.bytes[..], &it.instances[..])))
        };
        let places = mutants.iter().flat_map(|it| in_each_place(it, *golden));
        calls.push((many([golden; 3]), places.map(many).collect()));
    }
    let packing = entries.packing.as_ref();
    let pack = |it: &Proof| Some((it.bytes.clone(), packing?.pack(&it.instances)?));
    let Some(golden) = pack(golden) else { return calls };
    type Packed = (Bytes, Vec<u8>);
    let mutants: Vec<Packed> = mutants.iter().filter_map(pack).collect();
    let one = |(proof, packed): &Packed| calldata::encode_verify_packed(proof, packed);
    calls.push((one(&golden), mutants.iter().map(one).collect()));
    if entries.many {
        let many = |batch: [&Packed; 3]| {
            calldata::encode_verify_many_packed(batch.map(|(proof, it)| (&proof[..], &it[..])))
        };
        let places = mutants.iter().flat_map(|it| in_each_place(it, &golden));
        calls.push((many([&golden; 3]), places.map(many).collect()));
    }
    calls
}

fn in_each_place<'a, T>(it: &'a T, golden: &'a T) -> [[&'a T; 3]; 3] {
    [[it, golden, golden], [golden, it, golden], [golden, golden, it]]
}

/// What a verifier may use that old rules lack: its name, the byte that stands for it in code (none
/// for a precompile, which every verifier calls), init code that uses it, and how long what that
/// leaves is.
const RULES: [(&str, Option<u8>, &str, usize); 6] = [
    // push0 push0 return
    ("the opcode PUSH0 (EIP-3855, Shanghai)", Some(0x5f), "5f5ff3", 0),
    // mcopy(0, 0, 32) return(0, 32)
    ("the opcode MCOPY (EIP-5656, Cancun)", Some(0x5e), "6020600060005e60206000f3", 32),
    // mstore(0, clz(1)) return(0, 32)
    ("the opcode CLZ (EIP-7939, Osaka)", Some(0x1e), "60011e60005260206000f3", 32),
    // Each: call the precompile with no input, or 3^2 mod 5, and return as much as it returned.
    (
        "the precompile 0x05 (modular exponentiation)",
        None,
        "6001600052600160205260016040526003606053600260615360056062536020600060636000600561fffffa503d6000f3",
        1,
    ),
    (
        "the precompiles 0x06 and 0x07 (addition and multiplication on BN254)",
        None,
        "6020600060006000600661fffffa503d6000f3",
        64,
    ),
    (
        "the precompile 0x08 (pairing on BN254)",
        None,
        "602060006000600060086203fffffa503d6000f3",
        32,
    ),
];

/// Says which of the chain's rules are too old for this code, where a verifier that is sound does
/// not verify.
///
/// # Errors
/// [`Error::OldRules`].
pub(super) async fn check_rules(rpc: &Rpc, code: &[u8]) -> Result<()> {
    let mut missing = Vec::new();
    for (what, opcode, probe, length) in RULES {
        if opcode.is_some_and(|opcode| !code.contains(&opcode)) {
            continue;
        }
        let probe = alloy::hex::decode(probe).unwrap_or_default();
        let request = TransactionRequest::default().with_input(probe).into_create();
        match rpc.call(&request).await {
            Ok(left) if left.len() == length => {}
            Err(error) if !error.is_revert() && !matches!(error, rpc::Error::Refused { .. }) => {
                return Err(error.into());
            }
            _ => missing.push(what),
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Error::OldRules { chain_id: rpc.chain_id(), missing: missing.join(", ") }),
    }
}
