//! Whether a chain has what a verifier runs on: the precompiles, and the opcodes of its compiler's settings.

use super::node::rpc::{Error, Result, Rpc};
use alloy::{
    network::TransactionBuilder as _,
    primitives::{Address, Bytes, U256},
    rpc::types::TransactionRequest,
};

/// What a chain lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A precompile, which is not there or computes something else.
    Precompile {
        /// Its address, 5 to 8.
        address: u8,
        /// What it computes.
        name: &'static str,
    },
    /// An opcode.
    Opcode {
        /// Its mnemonic.
        name: &'static str,
    },
}

/// Asks the node to run each of them once, on values whose answer is known.
///
/// # Errors
/// If the node can't be asked.
pub async fn missing(rpc: &Rpc) -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    for (address, name, input, expected) in precompiles() {
        let request = TransactionRequest::default()
            .with_to(Address::with_last_byte(address))
            .with_input(input);
        if run(rpc, request).await?.is_none_or(|answer| answer != expected) {
            missing.push(Missing::Precompile { address, name });
        }
    }
    for (name, code) in OPCODES {
        let request = TransactionRequest::default().with_deploy_code(Bytes::from_static(code));
        if run(rpc, request).await?.is_none_or(|answer| answer.is_empty()) {
            missing.push(Missing::Opcode { name });
        }
    }
    Ok(missing)
}

/// What a call returns; nothing if it fails.
async fn run(rpc: &Rpc, request: TransactionRequest) -> Result<Option<Bytes>> {
    match rpc.call(&request.with_from(Address::repeat_byte(0x5a))).await {
        Ok(answer) => Ok(Some(answer)),
        // Nodes have many words for an instruction that isn't there.
        Err(error @ Error::Refused { .. }) if !error.is_transient() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creation code that runs an opcode and returns one byte of code, STOP.
const OPCODES: [(&str, &[u8]); 2] = [
    // PUSH0, PUSH1 1, PUSH0, RETURN.
    ("PUSH0", &[0x5f, 0x50, 0x60, 0x01, 0x5f, 0xf3]),
    // PUSH1 0 thrice, MCOPY, PUSH1 1, PUSH1 0, RETURN.
    ("MCOPY", &[0x60, 0, 0x60, 0, 0x60, 0, 0x5e, 0x60, 1, 0x60, 0, 0xf3]),
];

fn words(words: &[U256]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect()
}

/// Address, name, input and output.
fn precompiles() -> [(u8, &'static str, Vec<u8>, Vec<u8>); 4] {
    let number = |number: u64| U256::from(number);
    // 2·(1, 2), from EIP-196.
    let double = [
        "0x030644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd3",
        "0x15ed738c0e0a7c92e7845f96b2ae9c0a68a6a449e3538fc7ff3ebf7a5a18a2c4",
    ]
    .map(|hex| hex.parse::<U256>().unwrap_or_default());
    // 3^5 mod 7 = 5, in numbers of one word.
    let modexp = words(&[32, 32, 32, 3, 5, 7].map(number));
    [
        (0x05, "big integers' power (EIP-198)", modexp, words(&[number(5)])),
        (0x06, "BN254's addition (EIP-196)", words(&[1, 2, 1, 2].map(number)), words(&double)),
        (0x07, "BN254's multiplication (EIP-196)", words(&[1, 2, 2].map(number)), words(&double)),
        // The pairing of no pairs is one.
        (0x08, "BN254's pairing (EIP-197)", Vec::new(), words(&[number(1)])),
    ]
}
