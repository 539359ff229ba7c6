// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Claim, IModelRouter, ModelStatus, Outcome} from "./interfaces/IModelRouter.sol";
import {IModelVerifier, IModelVerifierErrors, PROOF_SELECTOR} from "./interfaces/IModelVerifier.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {FixedPoint} from "./libraries/FixedPoint.sol";
import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @title From a model to its verifier
/// @notice A model is added once and its verifier never changes; it may be retired, for good. Adding one takes a golden
/// proof: the verifier must accept it and refuse two mutants of it in the same transaction, alone and in batches, so
/// that code which refuses everything, or nothing, never gets a route.
/// @dev Made to be owned by a timelock. Renouncing the ownership freezes the routes: nothing is added or retired
/// any more.
contract ModelRouter is IModelRouter, Ownable2Step {
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
        verifier.verify(proof, instances);

        bytes[] memory proofs = new bytes[](2);
        uint256[][] memory batch = new uint256[][](2);
        (proofs[0], proofs[1]) = (proof, proof);
        (batch[0], batch[1]) = (instances, instances);
        verifier.verifyMany(proofs, batch);

        // A changed instance passes every check of shape, and it is the pairing that has to refuse it: the last one,
        // an output. In a batch it stands last, and the changed proof first: code that looks at one of them only is
        // found.
        uint256 count = instances.length;
        if (count != 0) {
            uint256[] memory mutant = instances;
            mutant[count - 1] = addmod(mutant[count - 1], 1, FixedPoint.SCALAR_MODULUS);
            batch[1] = mutant;
            _requireRefused(verifier, modelId, abi.encodeCall(verifier.verify, (proof, mutant)), false);
            _requireRefused(verifier, modelId, abi.encodeCall(verifier.verifyMany, (proofs, batch)), false);
            batch[1] = instances;
        }
        bytes memory mutantProof = proof;
        mutantProof[proof.length / 2] ^= 0x01;
        proofs[0] = mutantProof;
        _requireRefused(verifier, modelId, abi.encodeCall(verifier.verify, (mutantProof, instances)), true);
        _requireRefused(verifier, modelId, abi.encodeCall(verifier.verifyMany, (proofs, batch)), true);
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
