// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelRouterErrors} from "../interfaces/IModelRouter.sol";
import {
    CAN_VERIFY_MANY,
    CAN_VERIFY_MANY_PACKED,
    CAN_VERIFY_PACKED,
    IModelVerifier,
    IModelVerifierErrors
} from "../interfaces/IModelVerifier.sol";
import {FixedPoint} from "./FixedPoint.sol";
import {Instances} from "./Instances.sol";

/// @title What a model's verifier must do with a golden proof
/// @notice It must accept the proof and refuse mutants of it, as invalid and for no other reason.
library GoldenGate {
    /// @dev Proofs in the batches of `examine`: a first, a last, and one between them.
    uint256 private constant _BATCH = 3;

    /// @dev A golden proof and its mutants; `packed` is empty where the instances don't fit their widths.
    struct Golden {
        IModelVerifier verifier;
        bytes32 modelId;
        bytes proof;
        bytes changedProof;
        uint256[] instances;
        uint256[] changed;
        bool packs;
        bytes packed;
        bytes changedPacked;
    }

    /// @notice The short examination, for the price of a few verifications: the proof is accepted, and beside it a
    /// mutant is refused. By the densest entry that the bare verifier is said to have, so that one which packs by other
    /// widths is found: what it accepts would be read as something else.
    /// @param verifier The model's verifier.
    /// @param modelId The model.
    /// @param capabilities What its bare verifier is said to do.
    /// @param proof The golden proof.
    /// @param instances The instances that it shows.
    function admit(
        IModelVerifier verifier,
        bytes32 modelId,
        uint8 capabilities,
        bytes calldata proof,
        uint256[] calldata instances
    ) internal view {
        Golden memory golden = _golden(verifier, modelId, proof, instances);
        if (capabilities & (CAN_VERIFY_PACKED | CAN_VERIFY_MANY_PACKED) != 0 && !golden.packs) {
            revert IModelRouterErrors.GoldenNotPacked(modelId);
        }
        bool proofChanged = instances.length == 0;
        bytes memory mutant = proofChanged ? golden.changedProof : golden.proof;
        bytes[] memory proofs = new bytes[](1);
        proofs[0] = golden.proof;
        if (capabilities & CAN_VERIFY_MANY_PACKED != 0) {
            bytes[] memory packed = new bytes[](1);
            packed[0] = golden.packed;
            verifier.verifyManyPacked(proofs, packed);
            (proofs, packed) = (new bytes[](2), new bytes[](2));
            (proofs[0], proofs[1]) = (golden.proof, mutant);
            (packed[0], packed[1]) = (golden.packed, golden.changedPacked);
            _requireRefused(golden, abi.encodeCall(verifier.verifyManyPacked, (proofs, packed)), proofChanged);
        } else if (capabilities & CAN_VERIFY_PACKED != 0) {
            verifier.verifyPacked(proof, golden.packed);
            bytes memory call = abi.encodeCall(verifier.verifyPacked, (mutant, golden.changedPacked));
            _requireRefused(golden, call, proofChanged);
        } else {
            verifier.verify(proof, instances);
            if (capabilities & CAN_VERIFY_MANY == 0) {
                bytes memory call = abi.encodeCall(verifier.verify, (mutant, golden.changed));
                _requireRefused(golden, call, proofChanged);
                return;
            }
            uint256[][] memory all = new uint256[][](2);
            proofs = new bytes[](2);
            (proofs[0], proofs[1]) = (golden.proof, mutant);
            (all[0], all[1]) = (golden.instances, golden.changed);
            _requireRefused(golden, abi.encodeCall(verifier.verifyMany, (proofs, all)), proofChanged);
        }
    }

    /// @notice The whole examination: each entry, and a mutant in each place of a batch once, so that code which leaves
    /// one out is found.
    /// @param verifier The model's verifier.
    /// @param modelId The model.
    /// @param proof The golden proof.
    /// @param instances The instances that it shows.
    function examine(
        IModelVerifier verifier,
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances
    ) internal view {
        verifier.verify(proof, instances);
        Golden memory golden = _golden(verifier, modelId, proof, instances);
        _examineOne(golden);
        _examineMany(golden);
        if (!golden.packs) return;
        _examinePacked(golden);
        _examineManyPacked(golden);
    }

    function _examineOne(
        Golden memory golden
    ) private view {
        function(bytes memory, uint256[] memory) external view returns (bytes memory) entry = golden.verifier.verify;
        if (golden.instances.length != 0) {
            _requireRefused(golden, abi.encodeCall(entry, (golden.proof, golden.changed)), false);
        }
        _requireRefused(golden, abi.encodeCall(entry, (golden.changedProof, golden.instances)), true);
    }

    function _examinePacked(
        Golden memory golden
    ) private view {
        IModelVerifier verifier = golden.verifier;
        verifier.verifyPacked(golden.proof, golden.packed);
        if (golden.instances.length != 0) {
            bytes memory call = abi.encodeCall(verifier.verifyPacked, (golden.proof, golden.changedPacked));
            _requireRefused(golden, call, false);
        }
        _requireRefused(golden, abi.encodeCall(verifier.verifyPacked, (golden.changedProof, golden.packed)), true);
    }

    function _examineMany(
        Golden memory golden
    ) private view {
        IModelVerifier verifier = golden.verifier;
        bytes[] memory proofs = _proofs(golden);
        uint256[][] memory batch = new uint256[][](_BATCH);
        for (uint256 i = 0; i < _BATCH; ++i) {
            batch[i] = golden.instances;
        }
        verifier.verifyMany(proofs, batch);
        for (uint256 i = 0; i < _BATCH; ++i) {
            if (golden.instances.length != 0) {
                batch[i] = golden.changed;
                _requireRefused(golden, abi.encodeCall(verifier.verifyMany, (proofs, batch)), false);
                batch[i] = golden.instances;
            }
            proofs[i] = golden.changedProof;
            _requireRefused(golden, abi.encodeCall(verifier.verifyMany, (proofs, batch)), true);
            proofs[i] = golden.proof;
        }
    }

    function _examineManyPacked(
        Golden memory golden
    ) private view {
        IModelVerifier verifier = golden.verifier;
        bytes[] memory proofs = _proofs(golden);
        bytes[] memory batch = new bytes[](_BATCH);
        for (uint256 i = 0; i < _BATCH; ++i) {
            batch[i] = golden.packed;
        }
        verifier.verifyManyPacked(proofs, batch);
        for (uint256 i = 0; i < _BATCH; ++i) {
            if (golden.instances.length != 0) {
                batch[i] = golden.changedPacked;
                _requireRefused(golden, abi.encodeCall(verifier.verifyManyPacked, (proofs, batch)), false);
                batch[i] = golden.packed;
            }
            proofs[i] = golden.changedProof;
            _requireRefused(golden, abi.encodeCall(verifier.verifyManyPacked, (proofs, batch)), true);
            proofs[i] = golden.proof;
        }
    }

    function _proofs(
        Golden memory golden
    ) private pure returns (bytes[] memory proofs) {
        proofs = new bytes[](_BATCH);
        for (uint256 i = 0; i < _BATCH; ++i) {
            proofs[i] = golden.proof;
        }
    }

    function _golden(
        IModelVerifier verifier,
        bytes32 modelId,
        bytes memory proof,
        uint256[] memory instances
    ) private view returns (Golden memory golden) {
        (golden.verifier, golden.modelId, golden.proof, golden.instances) = (verifier, modelId, proof, instances);
        golden.changedProof = bytes.concat(proof);
        // Another bit in the middle.
        if (proof.length != 0) golden.changedProof[proof.length / 2] ^= 0x01;
        bytes memory schema = verifier.schema();
        (golden.packs, golden.packed) = Instances.tryPack(schema, instances);
        golden.changed = _changed(instances, 1);
        if (!golden.packs) return golden;
        bool fits;
        (fits, golden.changedPacked) = Instances.tryPack(schema, golden.changed);
        if (fits) return golden;
        // The last instance is the greatest of its width.
        golden.changed = _changed(instances, FixedPoint.SCALAR_MODULUS - 1);
        (, golden.changedPacked) = Instances.tryPack(schema, golden.changed);
    }

    /// @dev Another last instance, an output: it passes every check of shape, and the pairing has to refuse it.
    function _changed(
        uint256[] memory instances,
        uint256 by
    ) private pure returns (uint256[] memory changed) {
        uint256 count = instances.length;
        changed = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            changed[i] = instances[i];
        }
        if (count != 0) changed[count - 1] = addmod(changed[count - 1], by, FixedPoint.SCALAR_MODULUS);
    }

    function _requireRefused(
        Golden memory golden,
        bytes memory call,
        bool changedProof
    ) private view {
        // One way for all entries; that there is code was seen when it accepted the golden proof.
        // slither-disable-next-line low-level-calls
        (bool success, bytes memory reason) = address(golden.verifier).staticcall(call);
        if (success) revert IModelRouterErrors.MutantAccepted(golden.modelId, changedProof);
        // Its selector, or zero where it has none.
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes4 selector = bytes4(reason);
        if (selector != IModelVerifierErrors.InvalidProof.selector) {
            revert IModelRouterErrors.MutantRefusedOtherwise(golden.modelId, selector);
        }
    }
}
