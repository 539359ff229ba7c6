// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelVerifier} from "./IModelVerifier.sol";

/// @notice A prediction that is claimed to be some model's.
/// @param modelId The model.
/// @param proof The proof.
/// @param instances The scalars that it shows.
struct Claim {
    bytes32 modelId;
    bytes proof;
    uint256[] instances;
}

/// @notice What became of one claim of a best-effort batch.
/// @param ok Whether it was accepted.
/// @param id The prediction's id where the batch was recorded, else zero.
/// @param reason The selector of the error that refused it; zero if it was accepted or the error had no selector.
struct Outcome {
    bool ok;
    bytes32 id;
    bytes4 reason;
}

/// @notice Where a model stands with a router. A model only ever moves to the right.
enum ModelStatus {
    Unknown,
    Active,
    Retired
}

/// @title Errors of the router
interface IModelRouterErrors {
    /// @notice No verifier was ever added for this model. Usually the id is of another build of it, or of another
    /// chain's router.
    error ModelUnknown(bytes32 modelId);

    /// @notice The model was retired for good.
    error ModelRetired(bytes32 modelId);

    /// @notice The model has a verifier already, and a route is never re-pointed.
    error ModelAlreadyAdded(bytes32 modelId, address verifier);

    /// @notice The verifier is a mock, or none of a kind that this router knows.
    error SelectorRefused(bytes4 received);

    /// @notice The verifier let a changed instance or a changed proof pass, alone or in a batch: it verifies nothing.
    /// @param modelId The model.
    /// @param changedProof Whether the proof was changed, not an instance.
    error MutantAccepted(bytes32 modelId, bool changedProof);

    /// @notice The verifier refused a changed proof for another reason than that it is invalid, so that its answer
    /// shows nothing.
    /// @param modelId The model.
    /// @param reason The selector of its error.
    error MutantRefusedOtherwise(bytes32 modelId, bytes4 reason);

    /// @notice The verifier does not say what its instances stand for, or says it of another number of them than the
    /// golden proof has.
    error SchemaRefused(bytes32 modelId, uint256 instances);

    /// @notice Less gas is left than one verification of the batch was promised.
    error StipendUnavailable(uint256 available, uint256 required);
}

/// @title Events of the router
interface IModelRouterEvents {
    /// @notice A model got its verifier, which accepted a golden proof and refused its mutants.
    event ModelAdded(bytes32 indexed modelId, address indexed verifier);

    /// @notice A model was retired for good.
    event ModelRetiredForGood(bytes32 indexed modelId, address indexed verifier);
}

/// @title From a model to its verifier
interface IModelRouter is IModelRouterErrors, IModelRouterEvents {
    /// @notice Adds a model, with a proof that its verifier must accept and of which it must refuse mutants, alone and
    /// in a batch.
    /// @param verifier The model's verifier; it says itself which model that is.
    /// @param proof A valid proof.
    /// @param instances The instances that it shows.
    function addModel(
        IModelVerifier verifier,
        bytes calldata proof,
        uint256[] calldata instances
    ) external;

    /// @notice Retires a model for good.
    /// @param modelId The model, active so far.
    function retireModel(
        bytes32 modelId
    ) external;

    /// @notice Returns if the proof shows that the model computed these instances, and reverts otherwise.
    function verify(
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances
    ) external view;

    /// @notice Verifies several proofs of one model, all or nothing, for less gas a proof than one by one if the
    /// model's verifier can.
    /// @param modelId The model.
    /// @param proofs The proofs, at least one.
    /// @param instances The scalars of each.
    function verifyBatch(
        bytes32 modelId,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view;

    /// @notice Verifies several claims, of any models, all or nothing.
    function verifyMany(
        Claim[] calldata claims
    ) external view;

    /// @notice Verifies several claims, each on its own.
    /// @param claims The claims.
    /// @param gasEach The gas that each verification gets; it is never given less.
    /// @return outcomes One for each claim, in order.
    function tryVerifyMany(
        Claim[] calldata claims,
        uint256 gasEach
    ) external view returns (Outcome[] memory outcomes);

    /// @notice The verifier of an active model.
    function verifierOf(
        bytes32 modelId
    ) external view returns (IModelVerifier);

    /// @notice Where a model stands.
    function statusOf(
        bytes32 modelId
    ) external view returns (ModelStatus);

    /// @notice How many models were ever added.
    function modelCount() external view returns (uint256);

    /// @notice The model that was added as number `index`, counted from zero.
    function modelAt(
        uint256 index
    ) external view returns (bytes32);
}
