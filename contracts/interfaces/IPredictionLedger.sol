// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelRouter, Outcome} from "./IModelRouter.sol";

/// @notice A prediction to be recorded.
/// @param modelId The model.
/// @param context Chosen by the submitter: the same prediction may be recorded once in each context.
/// @param proof The proof.
/// @param instances The scalars that it shows.
struct Submission {
    bytes32 modelId;
    bytes32 context;
    bytes proof;
    uint256[] instances;
}

/// @notice What the ledger keeps of a verified prediction; the id commits to the rest.
/// @param submitter The account that recorded it.
/// @param timestamp The block's time then, in seconds.
/// @param blockNumber The block's number then.
struct Record {
    address submitter;
    uint48 timestamp;
    uint48 blockNumber;
}

/// @title Errors of the ledger
interface IPredictionLedgerErrors {
    /// @notice The submitter recorded this very prediction before, in the same context.
    error AlreadyRecorded(bytes32 id);

    /// @notice No prediction with this id was ever recorded.
    error NotRecorded(bytes32 id);

    /// @notice The model's verifier does not say what its instances stand for, or says it of another number of them. It
    /// could when it got its route: it is not an immutable adapter of ours.
    error SchemaUnavailable(bytes32 modelId);
}

/// @title Events of the ledger
interface IPredictionLedgerEvents {
    /// @notice A prediction was verified and recorded.
    /// @param modelId The model.
    /// @param id The prediction's id.
    /// @param submitter The account that recorded it: a user, or the contract that acts on the prediction.
    /// @param context The submitter's context.
    /// @param inputsHash keccak256 of the instances before the outputs, 32 bytes each.
    /// @param outputs The outputs' scalars as in the proof; the verifier's `schema()` has their scales.
    event PredictionRecorded(
        bytes32 indexed modelId,
        bytes32 indexed id,
        address indexed submitter,
        bytes32 context,
        bytes32 inputsHash,
        uint256[] outputs
    );
}

/// @title The record of verified predictions
/// @notice An id is keccak256(abi.encode(modelId, keccak256(instances), chain id, submitter, context)). It has no
/// byte of the proof in it, of which there can be many for one prediction, and it has the submitter in it, so that
/// nobody can use up another's.
interface IPredictionLedger is IPredictionLedgerErrors, IPredictionLedgerEvents {
    /// @notice Verifies a prediction and records it, once.
    /// @param modelId The model.
    /// @param context The caller's context; zero will do.
    /// @param proof The proof.
    /// @param instances The scalars that it shows.
    /// @return id The prediction's id.
    /// @return schema What the instances stand for, in the form of `SchemaLib`.
    function record(
        bytes32 modelId,
        bytes32 context,
        bytes calldata proof,
        uint256[] calldata instances
    ) external returns (bytes32 id, bytes memory schema);

    /// @notice Verifies several predictions of one model together, for less gas each if the model's verifier can, and
    /// records each as `record` does; all or nothing.
    /// @param modelId The model.
    /// @param contexts The caller's context for each; zeros will do.
    /// @param proofs The proofs, at least one.
    /// @param instances The scalars that each shows.
    /// @return ids The predictions' ids, in order.
    /// @return schema What the instances of each stand for, in the form of `SchemaLib`.
    function recordBatch(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external returns (bytes32[] memory ids, bytes memory schema);

    /// @notice Records several predictions, of any models, all or nothing.
    /// @return ids Their ids, in order.
    function recordMany(
        Submission[] calldata submissions
    ) external returns (bytes32[] memory ids);

    /// @notice Records several predictions, each on its own.
    /// @param submissions The predictions.
    /// @param gasEach The gas that each verification gets; it is never given less.
    /// @return outcomes One for each, in order.
    function tryRecordMany(
        Submission[] calldata submissions,
        uint256 gasEach
    ) external returns (Outcome[] memory outcomes);

    /// @notice The id that a prediction has or would have.
    function idOf(
        bytes32 modelId,
        uint256[] calldata instances,
        address submitter,
        bytes32 context
    ) external view returns (bytes32);

    /// @notice Whether a prediction with this id was verified and recorded.
    function isVerified(
        bytes32 id
    ) external view returns (bool);

    /// @notice The record of a prediction; reverts if there is none.
    function recordOf(
        bytes32 id
    ) external view returns (Record memory);

    /// @notice The router that names the verifiers.
    function router() external view returns (IModelRouter);
}
