use super::*;

/// The frame of a generated verifier for proofs of 64 bytes and two instances.
const FRAME: &str = r#"
// SPDX-License-Identifier: MIT

pragma solidity ^0.8.0;

contract Halo2Verifier {
    uint256 internal constant R = 21; // function verifyProof(
    uint256 internal constant NUM_INSTANCES_MPTR = 0x0640;

    function verifyProof(
        bytes calldata proof,
        uint256[] calldata instances
    ) public returns (bool) {
        assembly {
            function f(x) -> y { y := x }
            let success := true
            {
                mstore(0x0640, 0x0002) // num_instances
                success := and(success, eq(0x40, proof.length))
                let num_instances := mload(NUM_INSTANCES_MPTR)
                success := and(success, eq(num_instances, instances.length))
                mstore(0x0640, 0x2) // num_instances
            }
            return(0x00, 0x20)
        }
    }
}"#;

#[test]
fn the_guard_is_the_first_statement_and_nothing_else_changes() {
    let guarded = insert(FRAME, Some(64), Some(2)).expect("the frame is right");
    assert_eq!(guarded.shape(), Shape { proof_len: 64, n_instances: 2 });
    let text = guarded.text();
    let place = text.find("assembly {").expect("there") + "assembly {".len();
    let added = text.len() - FRAME.len();
    assert_eq!(format!("{}{}", &text[..place], &text[place + added..]), FRAME);
    let guard: Vec<_> = lexer::tokens(&text[place..place + added]).expect("tokens");
    let guard = guard.into_iter().map(|token| token.text).collect::<String>();
    assert_eq!(
        guard,
        "ifiszero(and(and(eq(calldatasize(),0x0104),eq(calldataload(0x04),0x40)),and(eq(\
         calldataload(0x24),0x00a0),and(eq(calldataload(0x44),0x0040),eq(calldataload(0x00a4),\
         0x0002))))){revert(0,0)}"
    );
    assert_eq!(insert(text, None, None), Err(Error::AlreadyGuarded));
}

#[test]
fn lengths_of_another_circuit_are_refused() {
    let error = insert(FRAME, Some(96), Some(2)).expect_err("another proof");
    assert_eq!(error, Error::Mismatch { what: "a proof", found: 64, expected: 96 });
    let error = insert(FRAME, None, Some(3)).expect_err("other instances");
    assert_eq!(error, Error::Mismatch { what: "instances", found: 2, expected: 3 });
}

#[test]
fn anything_unexpected_is_refused() {
    let changes = [
        // Another contract, function or signature.
        ("contract Halo2Verifier", "contract Halo3Verifier"),
        ("contract Halo2Verifier {", "contract Halo2Verifier is Other {"),
        ("    function verifyProof(\n", "    function verifyProof2(\n"),
        ("bytes calldata proof", "bytes memory proof"),
        ("bytes calldata proof", "address vk, bytes calldata proof"),
        (") public returns", ") public payable returns"),
        (") public returns", ") external returns"),
        ("returns (bool)", "returns (uint256[] memory)"),
        // Another place for code to run.
        ("        assembly {", "        R; assembly {"),
        ("assembly {", "assembly (\"memory-safe\") {"),
        ("    function verifyProof(\n", "    fallback() external {} function verifyProof(\n"),
        ("    function verifyProof(\n", "    uint256 internal counter; function verifyProof(\n"),
        ("    function verifyProof(\n", "    function g() public {} function verifyProof(\n"),
        ("0x20)\n        }\n    }\n}", "0x20)\n        }\n    }\n function g() public {} }"),
        ("0x20)\n        }\n    }\n}", "0x20)\n        }\n    }\n} contract Other {}"),
        ("0x20)\n        }\n    }\n}", "0x20)\n        } assembly { } }\n}"),
        ("0x20)\n        }\n    }\n}", "0x20)\n        }\n    }\n"),
        ("pragma", "import \"x.sol\"; pragma"),
        ("contract Halo2Verifier", "import \"x.sol\"; contract Halo2Verifier"),
        // Lengths that are missing, there twice, contradictory or odd.
        ("eq(0x40, proof.length)", "eq(0x41, proof.length)"),
        ("eq(0x40, proof.length)", "eq(0x00, proof.length)"),
        ("eq(0x40, proof.length)", "eq(R, proof.length)"),
        ("eq(0x40, proof.length)", "eq(0xffffffffffffffffffff, proof.length)"),
        ("eq(0x40, proof.length)", "gt(0x40, proof.length)"),
        ("let success := true", "success := and(success, eq(0x40, proof.length))"),
        ("mstore(0x0640, 0x2)", "mstore(0x0640, 0x3)"),
        ("NUM_INSTANCES_MPTR = 0x0640", "NUM_INSTANCES_MPTR = 0x0660"),
        ("eq(num_instances, instances.length)", "eq(2, instances.length)"),
        ("let num_instances := mload(NUM_INSTANCES_MPTR)", "let num_instances := 2"),
    ];
    for (old, new) in changes {
        assert!(FRAME.contains(old), "{old}");
        let error = insert(&FRAME.replacen(old, new, 1), None, None).expect_err(new);
        assert!(matches!(error, Error::Template(_)), "{new}: {error}");
    }
    // Comments are not code: this is the frame's outline and nothing of it.
    let hidden = FRAME.replace("function verifyProof(\n", "/* function verifyProof(\n*/ (");
    assert!(matches!(insert(&hidden, None, None), Err(Error::Template(_))));
    for broken in ["", "\u{7f}ELF", "pragma", "/* pragma", "{}"] {
        assert!(insert(broken, None, None).is_err(), "{broken}");
    }
    for cut in 0..FRAME.len() {
        assert!(insert(&FRAME[..cut], None, None).is_err(), "{cut}");
    }
    assert!(matches!(insert("contract é", None, None), Err(Error::NotSolidity)));
}
