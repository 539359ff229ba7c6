//! Nothing is deployed or used unless its code accepts a proof and rejects mutants of it.

use super::{
    Error, Result,
    node::rpc::{self, Rpc},
    tx::Sender,
};
use crate::{
    calldata::{self, Function},
    model::proof::Proof,
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

/// A verifier that is to show that it is one.
pub(super) struct Golden<'a> {
    /// Whether it takes one proof or many.
    pub(super) function: Function,
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
    let (valid, mutants) = golden_calls(golden);
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
    Ok(())
}

/// A call that must be accepted, and those that must not: of a batch verifier, the golden proof
/// three times, and a mutant in each place.
fn golden_calls(golden: &Golden<'_>) -> (Bytes, Vec<Bytes>) {
    let (function, golden) = (golden.function, golden.proof);
    let mutants = golden.mutants();
    match function {
        Function::One => {
            let encode = |it: &Proof| calldata::encode_verify_proof(&it.bytes, &it.instances);
            (encode(golden), mutants.iter().map(encode).collect())
        }
        Function::Many => {
            let encode = |batch: [&Proof; 3]| {
                calldata::encode_verify_many(batch.map(|it| (&it.bytes[..], &it.instances[..])))
            };
            let places = |it| [[it, golden, golden], [golden, it, golden], [golden, golden, it]];
            (encode([golden; 3]), mutants.iter().flat_map(places).map(encode).collect())
        }
    }
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
