// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelVerifier, ModelArgs} from "./IModelVerifier.sol";

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

    /// @notice What a model is to be added with cannot be right.
    /// @param argument The name of the argument.
    error InvalidArgument(string argument);

    /// @notice The contract is not of the kind that this router takes.
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

    /// @notice The bare verifier is said to take packed instances, but one of the golden proof's does not fit its
    /// width, so that it can't be tried. Take another golden proof, or leave the capability away.
    error GoldenNotPacked(bytes32 modelId);

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
    /// @notice Adds a model: makes its verifier, a clone of `IMPLEMENTATION`, of arguments that are checked, and tries
    /// it, by the densest entry that the bare verifier is said to have, with a proof that it must accept and a mutant
    /// of that in a batch that it must refuse. `gate` tries every entry, and costs nothing when called off chain.
    /// @param args What the model is made from.
    /// @param proof A valid proof.
    /// @param instances The instances that it shows.
    /// @return modelId The model's identity.
    /// @return verifier Its verifier, at `addressOf(args)`.
    function addModel(
        ModelArgs calldata args,
        bytes calldata proof,
        uint256[] calldata instances
    ) external returns (bytes32 modelId, address verifier);

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

    /// @notice As `verify`, with the instances packed.
    function verifyPacked(
        bytes32 modelId,
        bytes calldata proof,
        bytes calldata packed
    ) external view;

    /// @notice As `verifyBatch`, with the instances packed.
    /// @param modelId The model.
    /// @param proofs The proofs, at least one.
    /// @param packed The instances of each, packed.
    function verifyBatchPacked(
        bytes32 modelId,
        bytes[] calldata proofs,
        bytes[] calldata packed
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

    /// @notice Tries a model's verifier: each entry must accept a golden proof and refuse two mutants of it, alone and
    /// in each place of a batch. Meant to be called off chain, by anybody and at any time.
    /// @param modelId The model.
    /// @param proof A valid proof.
    /// @param instances The instances that it shows.
    function gate(
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances
    ) external view;

    /// @notice The identity of a model that is made from these arguments, which are checked.
    function modelIdOf(
        ModelArgs calldata args
    ) external view returns (bytes32);

    /// @notice Where the verifier of a model that is made from these arguments is or would be. They are checked.
    function addressOf(
        ModelArgs calldata args
    ) external view returns (address);

    /// @notice The contract that every verifier is a clone of.
    function IMPLEMENTATION() external view returns (address);

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
