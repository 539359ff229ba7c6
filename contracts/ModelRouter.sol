// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Claim, IModelRouter, ModelStatus, Outcome} from "./interfaces/IModelRouter.sol";
import {IModelVerifier, IModelVerifierErrors, PROOF_SELECTOR} from "./interfaces/IModelVerifier.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {FixedPoint} from "./libraries/FixedPoint.sol";
import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @title From a model to its verifier
/// @notice A model is added once and its verifier never changes; it may be retired, for good. Adding one takes a golden
/// proof: the verifier must accept it and refuse two mutants of it in the same transaction, alone and in each place of
/// a batch, and say what its instances stand for, so that code which refuses everything, or nothing, never gets a route
/// by mistake. The gate can't see through code that was written to pass it: whoever uses a router trusts its owner for
/// that, or compares the adapter's code and the verifier's with what they built themselves.
/// @dev Made to be owned by a timelock. Renouncing the ownership freezes the routes: nothing is added or retired
/// any more.
contract ModelRouter is IModelRouter, Ownable2Step {
    /// @dev Proofs in the gate's batches: a first, a last, and one between them.
    uint256 private constant _BATCH = 3;

    /// @dev In the place of a verifier that was retired.
    address private constant _TOMBSTONE = address(1);

    mapping(bytes32 modelId => address verifier) private _routes;
    bytes32[] private _models;

    /// @param owner Who may add and retire models.
    constructor(
        address owner
    ) Ownable(owner) {}

    /// @inheritdoc IModelRouter
    function addModel(
        IModelVerifier verifier,
        bytes calldata proof,
        uint256[] calldata instances
    ) external override onlyOwner {
        bytes32 modelId = verifier.modelId();
        address present = _routes[modelId];
        if (present == _TOMBSTONE) revert ModelRetired(modelId);
        if (present != address(0)) revert ModelAlreadyAdded(modelId, present);
        _admit(verifier, modelId, proof, instances);

        _routes[modelId] = address(verifier);
        _models.push(modelId);
        emit ModelAdded(modelId, address(verifier));
    }

    /// @inheritdoc IModelRouter
    function retireModel(
        bytes32 modelId
    ) external override onlyOwner {
        address verifier = address(verifierOf(modelId));
        _routes[modelId] = _TOMBSTONE;
        emit ModelRetiredForGood(modelId, verifier);
    }

    /// @inheritdoc IModelRouter
    function verify(
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances
    ) external view override {
        verifierOf(modelId).verify(proof, instances);
    }

    /// @inheritdoc IModelRouter
    function verifyBatch(
        bytes32 modelId,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view override {
        verifierOf(modelId).verifyMany(proofs, instances);
    }

    /// @inheritdoc IModelRouter
    function verifyMany(
        Claim[] calldata claims
    ) external view override {
        for (uint256 i = 0; i < claims.length; ++i) {
            verifierOf(claims[i].modelId).verify(claims[i].proof, claims[i].instances);
        }
    }

    /// @inheritdoc IModelRouter
    function tryVerifyMany(
        Claim[] calldata claims,
        uint256 gasEach
    ) external view override returns (Outcome[] memory outcomes) {
        outcomes = new Outcome[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            Claim calldata claim = claims[i];
            address verifier = _routes[claim.modelId];
            if (verifier == address(0)) {
                outcomes[i].reason = ModelUnknown.selector;
            } else if (verifier == _TOMBSTONE) {
                outcomes[i].reason = ModelRetired.selector;
            } else {
                (outcomes[i].ok, outcomes[i].reason) =
                    BoundedCall.tryVerify(IModelVerifier(verifier), claim.proof, claim.instances, gasEach);
            }
        }
    }

    /// @inheritdoc IModelRouter
    function statusOf(
        bytes32 modelId
    ) external view override returns (ModelStatus) {
        address verifier = _routes[modelId];
        if (verifier == address(0)) return ModelStatus.Unknown;
        return verifier == _TOMBSTONE ? ModelStatus.Retired : ModelStatus.Active;
    }

    /// @inheritdoc IModelRouter
    function modelCount() external view override returns (uint256) {
        return _models.length;
    }

    /// @inheritdoc IModelRouter
    function modelAt(
        uint256 index
    ) external view override returns (bytes32) {
        return _models[index];
    }

    /// @inheritdoc IModelRouter
    function verifierOf(
        bytes32 modelId
    ) public view override returns (IModelVerifier) {
        address verifier = _routes[modelId];
        if (verifier == address(0)) revert ModelUnknown(modelId);
        if (verifier == _TOMBSTONE) revert ModelRetired(modelId);
        return IModelVerifier(verifier);
    }

    /// @dev The golden-proof gate.
    function _admit(
        IModelVerifier verifier,
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances
    ) internal view virtual {
        bytes4 kind = verifier.selector();
        if (kind != PROOF_SELECTOR) revert SelectorRefused(kind);
        (bool described,) = BoundedCall.trySchema(verifier, instances.length);
        if (!described) revert SchemaRefused(modelId, instances.length);
        verifier.verify(proof, instances);

        if (instances.length != 0) {
            uint256[] memory mutant = _changed(instances);
            _requireRefused(verifier, modelId, abi.encodeCall(verifier.verify, (proof, mutant)), false);
        }
        bytes memory mutantProof = _changed(proof);
        _requireRefused(verifier, modelId, abi.encodeCall(verifier.verify, (mutantProof, instances)), true);
        _admitBatches(verifier, modelId, proof, instances);
    }

    /// @dev The gate for batches. A mutant stands in each place once, so that code which leaves one out is found.
    function _admitBatches(
        IModelVerifier verifier,
        bytes32 modelId,
        bytes memory proof,
        uint256[] memory instances
    ) private view {
        bytes[] memory proofs = new bytes[](_BATCH);
        uint256[][] memory batch = new uint256[][](_BATCH);
        for (uint256 i = 0; i < _BATCH; ++i) {
            (proofs[i], batch[i]) = (proof, instances);
        }
        verifier.verifyMany(proofs, batch);

        uint256[] memory changed = _changed(instances);
        bytes memory changedProof = _changed(proof);
        for (uint256 i = 0; i < _BATCH; ++i) {
            if (changed.length != 0) {
                batch[i] = changed;
                _requireBatchRefused(verifier, modelId, proofs, batch, false);
                batch[i] = instances;
            }
            proofs[i] = changedProof;
            _requireBatchRefused(verifier, modelId, proofs, batch, true);
            proofs[i] = proof;
        }
    }

    /// @dev Another last instance, an output: it passes every check of shape, and the pairing has to refuse it.
    function _changed(
        uint256[] memory instances
    ) private pure returns (uint256[] memory changed) {
        uint256 count = instances.length;
        changed = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            changed[i] = instances[i];
        }
        if (count != 0) changed[count - 1] = addmod(changed[count - 1], 1, FixedPoint.SCALAR_MODULUS);
    }

    /// @dev Another bit in the middle of the proof.
    function _changed(
        bytes memory proof
    ) private pure returns (bytes memory changed) {
        changed = bytes.concat(proof);
        changed[proof.length / 2] ^= 0x01;
    }

    function _requireBatchRefused(
        IModelVerifier verifier,
        bytes32 modelId,
        bytes[] memory proofs,
        uint256[][] memory batch,
        bool changedProof
    ) private view {
        uint256 free;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        _requireRefused(verifier, modelId, abi.encodeCall(verifier.verifyMany, (proofs, batch)), changedProof);
        // Nothing points to the encoded batch any more, and memory that only grew would cost with its square.
        assembly ("memory-safe") {
            mstore(0x40, free)
        }
    }

    function _requireRefused(
        IModelVerifier verifier,
        bytes32 modelId,
        bytes memory call,
        bool changedProof
    ) private view {
        // One way for both functions; that there is code was seen when it accepted the golden proof.
        // slither-disable-next-line low-level-calls
        (bool success, bytes memory reason) = address(verifier).staticcall(call);
        if (success) revert MutantAccepted(modelId, changedProof);
        // Its selector, or zero where it has none.
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes4 selector = bytes4(reason);
        if (selector != IModelVerifierErrors.InvalidProof.selector) {
            revert MutantRefusedOtherwise(modelId, selector);
        }
    }
}
