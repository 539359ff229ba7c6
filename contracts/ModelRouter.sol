// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Claim, IModelRouter, ModelStatus, Outcome} from "./interfaces/IModelRouter.sol";
import {
    CAN_VERIFY_MANY,
    CAN_VERIFY_MANY_PACKED,
    CAN_VERIFY_PACKED,
    IModelVerifier,
    IModelVerifierErrors,
    ModelArgs,
    PROOF_SELECTOR
} from "./interfaces/IModelVerifier.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {GoldenGate} from "./libraries/GoldenGate.sol";
import {ModelArgsLib} from "./libraries/ModelArgsLib.sol";
import {ModelId} from "./libraries/ModelId.sol";
import {SchemaLib} from "./libraries/SchemaLib.sol";
import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

/// @title From a model to its verifier
/// @notice A model is added once and its verifier never changes; it may be retired, for good. Every verifier is a clone
/// of one implementation, and made here, of arguments that are checked: there is no route to anything else. Adding a
/// model takes a golden proof, which its verifier must accept and a mutant of which it must refuse in the same
/// transaction, so that a bare verifier which refuses everything, or nothing, never gets a route by mistake. The gate
/// can't see through code that was written to pass it: whoever uses a router trusts its owner for the bare verifiers,
/// or compares their code with what they built themselves.
/// @dev Made to be owned by a timelock. Renouncing the ownership freezes the routes: nothing is added or retired
/// any more.
contract ModelRouter is IModelRouter, Ownable2Step {
    /// @dev In the place of a verifier that was retired.
    address private constant _TOMBSTONE = address(1);

    /// @inheritdoc IModelRouter
    address public immutable override IMPLEMENTATION;

    mapping(bytes32 modelId => address verifier) private _routes;
    bytes32[] private _models;

    /// @param owner Who may add and retire models.
    /// @param implementation The `ModelVerifier` that every verifier is a clone of.
    constructor(
        address owner,
        address implementation
    ) Ownable(owner) {
        if (implementation.code.length == 0) revert InvalidArgument("implementation");
        bytes4 kind = IModelVerifier(implementation).selector();
        if (kind != PROOF_SELECTOR) revert SelectorRefused(kind);
        IMPLEMENTATION = implementation;
    }

    /// @inheritdoc IModelRouter
    function addModel(
        ModelArgs calldata args,
        bytes calldata proof,
        uint256[] calldata instances
    ) external virtual override onlyOwner returns (bytes32 modelId, address verifier) {
        bytes memory immutables;
        (modelId, immutables) = _checked(args);
        _requireNew(modelId);
        verifier = Clones.cloneDeterministicWithImmutableArgs(IMPLEMENTATION, immutables, modelId);
        _route(modelId, verifier);
        GoldenGate.admit(IModelVerifier(verifier), modelId, args.capabilities, proof, instances);
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
    function verifyPacked(
        bytes32 modelId,
        bytes calldata proof,
        bytes calldata packed
    ) external view override {
        verifierOf(modelId).verifyPacked(proof, packed);
    }

    /// @inheritdoc IModelRouter
    function verifyBatchPacked(
        bytes32 modelId,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external view override {
        verifierOf(modelId).verifyManyPacked(proofs, packed);
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
                (outcomes[i].ok, outcomes[i].reason,) =
                    BoundedCall.tryVerify(IModelVerifier(verifier), claim.proof, claim.instances, gasEach);
            }
        }
    }

    /// @inheritdoc IModelRouter
    function gate(
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances
    ) external view override {
        GoldenGate.examine(verifierOf(modelId), modelId, proof, instances);
    }

    /// @inheritdoc IModelRouter
    function modelIdOf(
        ModelArgs calldata args
    ) external view override returns (bytes32 modelId) {
        (modelId,) = _checked(args);
    }

    /// @inheritdoc IModelRouter
    function addressOf(
        ModelArgs calldata args
    ) external view override returns (address) {
        (bytes32 modelId, bytes memory immutables) = _checked(args);
        return Clones.predictDeterministicAddressWithImmutableArgs(IMPLEMENTATION, immutables, modelId);
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

    function _requireNew(
        bytes32 modelId
    ) internal view {
        address present = _routes[modelId];
        if (present == _TOMBSTONE) revert ModelRetired(modelId);
        if (present != address(0)) revert ModelAlreadyAdded(modelId, present);
    }

    function _route(
        bytes32 modelId,
        address verifier
    ) internal {
        _routes[modelId] = verifier;
        _models.push(modelId);
        emit ModelAdded(modelId, verifier);
    }

    /// @dev Checks all that can be seen of a model before it is tried.
    /// @return modelId Its identity.
    /// @return immutables The arguments of its clone.
    function _checked(
        ModelArgs calldata args
    ) private view returns (bytes32 modelId, bytes memory immutables) {
        bytes32 found = args.verifier.codehash;
        if (found != args.verifierCodeHash || args.verifier.code.length == 0) {
            revert IModelVerifierErrors.VerifierCodeMismatch(args.verifier, found, args.verifierCodeHash);
        }
        // A proof that needs no padding has one canonical encoding.
        if (args.proofLength == 0 || args.proofLength % 32 != 0) revert InvalidArgument("proofLength");
        if (args.gasCap == 0) revert InvalidArgument("gasCap");
        uint256 engine = bytes(args.parts.engine).length;
        if (engine == 0 || engine > 31) revert InvalidArgument("engine");
        uint8 known = CAN_VERIFY_MANY | CAN_VERIFY_PACKED | CAN_VERIFY_MANY_PACKED;
        if (args.capabilities & ~known != 0) revert InvalidArgument("capabilities");
        (bytes memory schema, uint256 count) = SchemaLib.fromDescriptor(args.descriptor);
        modelId = ModelId.compute(args.parts, keccak256(args.descriptor));
        immutables = ModelArgsLib.encode(args, count, schema);
    }
}
