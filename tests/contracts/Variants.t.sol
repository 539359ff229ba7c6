// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Proof} from "./Fixtures.sol";
import {NegativeTestBase} from "./NegativeTestBase.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {ModelArgs} from "zkvouch/interfaces/IModelVerifier.sol";

/// @notice The bare verifier that ezkl generates, with our guard: it refuses without a reason.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract BareVerifierTest is NegativeTestBase {
    function _deploy() internal override {}

    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        require(model.bare.verifyProof(proof, instances), "false");
    }

    function _expected(
        bytes4,
        bytes memory,
        uint256[] memory
    ) internal pure override returns (bytes4) {
        return 0;
    }

    /// @dev What the guard lets in is one encoding only. Offsets, lengths and the end are moved one at a time, in ways
    /// in which an ABI decoder would still find a valid proof.
    function test_RefusesNonCanonicalEncodings() public {
        bytes memory canonical = abi.encodeCall(model.bare.verifyProof, (model.first.proof, model.first.instances));
        uint256 length = model.proofLength;
        assertTrue(_raw(canonical), "the canonical encoding is refused");

        assertFalse(_raw(bytes.concat(canonical, bytes32(0))), "a word behind the end");
        assertFalse(_raw(bytes.concat(canonical, bytes1(0))), "a byte behind the end");
        assertFalse(_raw(_shifted(canonical, 0x40)), "both arguments behind a gap");
        assertFalse(_raw(_exchanged()), "the instances before the proof");
        assertFalse(_raw(_with(canonical, 0x04, 0x20)), "the proof's offset too small");
        assertFalse(_raw(_with(canonical, 0x04, 0x60)), "the proof's offset too great");
        assertFalse(_raw(_with(canonical, 0x24, 0x40)), "the instances' offset on the proof");
        assertFalse(_raw(_with(canonical, 0x44, length - 1)), "the proof's length too small");
        assertFalse(_raw(_with(canonical, 0x44, length + 1)), "the proof's length too great");
        assertFalse(
            _raw(_with(canonical, 0x64 + length, model.first.instances.length - 1)), "the instances' length too small"
        );
        for (uint256 bit = 32; bit < 256; bit += 7) {
            assertFalse(_raw(_with(canonical, 0x04, 0x40 | (1 << bit))), "dirty bits in the proof's offset");
            assertFalse(_raw(_with(canonical, 0x24, (0x60 + length) | (1 << bit))), "dirty bits in an offset");
        }
        assembly ("memory-safe") {
            mstore(canonical, sub(mload(canonical), 1))
        }
        assertFalse(_raw(canonical), "a byte missing");
    }

    function test_SelectorIsStable() public view {
        assertEq(bytes32(model.bare.verifyProof.selector), bytes32(bytes4(0x1e8e1e13)));
    }

    function _raw(
        bytes memory data
    ) private view returns (bool accepted) {
        bytes memory answer;
        (accepted, answer) = address(model.bare).staticcall(data);
        if (accepted) assertEq(answer, abi.encode(true));
    }

    function _with(
        bytes memory data,
        uint256 offset,
        uint256 word
    ) private pure returns (bytes memory copy) {
        copy = copyOf(data);
        assembly ("memory-safe") {
            mstore(add(add(copy, 0x20), offset), word)
        }
    }

    /// @dev Decodes to the same arguments, which stand `gap` bytes further.
    function _shifted(
        bytes memory data,
        uint256 gap
    ) private view returns (bytes memory) {
        bytes memory tail = new bytes(data.length - 0x44);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = data[0x44 + i];
        }
        return
            bytes.concat(
                bytes4(0x1e8e1e13), abi.encode(0x40 + gap, 0x60 + model.proofLength + gap), new bytes(gap), tail
            );
    }

    function _exchanged() private view returns (bytes memory) {
        uint256[] memory instances = model.first.instances;
        return bytes.concat(
            bytes4(0x1e8e1e13),
            abi.encode(0x60 + 32 * instances.length, 0x40, instances.length),
            abi.encodePacked(instances),
            abi.encode(model.proofLength),
            model.first.proof
        );
    }
}

/// @notice Trust level one: the adapter alone.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract AdapterVariantTest is NegativeTestBase {
    ModelVerifier internal adapter;

    function _deploy() internal override {
        adapter = deployAdapter(model);
    }

    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        adapter.verify(proof, instances);
    }

    /// @dev The first of the two limits on what a mutant costs: nothing here may come near the cap.
    function test_NoPointBurnsTheGas() public {
        for (uint256 i = 0; i < points.length; ++i) {
            bytes memory proof = copyOf(model.first.proof);
            proof[points[i] + 63] ^= 0x01;
            uint256 before = gasleft();
            _refused(proof, model.first.instances, InvalidProof.selector);
            assertLt(before - gasleft(), GAS_CAP / 4);
        }
    }
}

/// @notice The adapter of a model with many inputs.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract CreditAdapterVariantTest is NegativeTestBase {
    ModelVerifier internal adapter;

    function _fixture() internal pure override returns (string memory) {
        return "credit";
    }

    function _deploy() internal override {
        adapter = deployAdapter(model);
    }

    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        adapter.verify(proof, instances);
    }

    /// @dev No fixture has this shape and another key.
    function test_RefusesASiblingsProof() public override {
        Proof memory other = loadProof("tree", "proof-0");
        _refused(other.proof, other.instances, ProofLengthMismatch.selector);
    }
}

/// @notice The adapter, with the instances packed; what does not fit its width goes as words, and is refused all the
/// same.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract AdapterPackedVariantTest is NegativeTestBase {
    ModelVerifier internal adapter;

    function _deploy() internal override {
        adapter = deployAdapter(model);
    }

    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        (bool fits, bytes memory packed) = tryPacked(model, instances);
        if (fits) adapter.verifyPacked(proof, packed);
        else adapter.verify(proof, instances);
    }

    /// @dev The suite's own packing of the instances is measured, too.
    function _refusalGas() internal pure override returns (uint256) {
        return 1_300_000;
    }
}

/// @notice Trust level two: behind the router, with a guardian.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract RouterVariantTest is NegativeTestBase {
    ModelRouter internal router;
    bytes32 internal modelId;

    function _deploy() internal override {
        router = deployRouter();
        ModelArgs memory args = argsOf(model);
        args.guardian = guardian;
        modelId = addTo(router, args, model.first).modelId();
    }

    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        router.verify(modelId, proof, instances);
    }
}

/// @notice The whole way, through the ledger.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LedgerVariantTest is NegativeTestBase {
    PredictionLedger internal ledger;
    bytes32 internal modelId;
    uint256 internal nonce;

    function _deploy() internal override {
        (ModelRouter router, ModelVerifier adapter) = deployRouter(model);
        modelId = adapter.modelId();
        ledger = new PredictionLedger(router);
    }

    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal virtual override {
        ledger.record(modelId, bytes32(nonce++), proof, instances);
    }
}

/// @notice The whole way, through the ledger, with the instances packed.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LedgerPackedVariantTest is LedgerVariantTest {
    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal override {
        (bool fits, bytes memory packed) = tryPacked(model, instances);
        if (fits) ledger.recordPacked(modelId, bytes32(nonce++), proof, packed);
        else super._verify(proof, instances);
    }

    /// @dev The suite's own packing of the instances is measured, too.
    function _refusalGas() internal pure override returns (uint256) {
        return 1_300_000;
    }
}
