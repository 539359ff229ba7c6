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

/// @notice What the ledger keeps of a verified prediction, or of a batch of them under its root; the ids commit to the
/// rest.
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

    /// @notice The submitter recorded this very batch before: the same predictions in the same order and contexts.
    error BatchAlreadyRecorded(bytes32 root);

    /// @notice No prediction with this id was ever recorded by itself or, where a root and a path were given, in a
    /// batch with this root at the end of this path.
    error NotRecorded(bytes32 id);

    /// @notice A feed goes on at another position: what was sent before is still on its way, was refused, or was this
    /// very batch. `nextPosition` tells.
    error WrongPosition(uint64 first, uint64 next);

    /// @notice Contexts with this prefix are a feed's positions, and given by `recordFeed` alone.
    error ContextReserved(bytes32 context);

    /// @notice A proof of this model is about several predictions, which are recorded by the functions for batches.
    error NotOnePrediction(uint256 predictions);

    /// @notice So many proofs can't be about so many predictions: all but the last are full, and the last is not empty.
    /// @param count The number of predictions that was given.
    /// @param proofs The number of proofs.
    /// @param predictions How many predictions a proof of this model is about.
    error PredictionCountMismatch(uint256 count, uint256 proofs, uint256 predictions);
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

    /// @notice Predictions of one model were recorded together, under one root, by `recordBatch` or `recordFeed`.
    /// @param root The root of their tree, in the form of `PredictionTree`.
    /// @param modelId The model.
    /// @param submitter The account that recorded them.
    /// @param context The submitter's context of all of them; of a feed that of the first, and each next is one more.
    /// @param ids Their ids, in the order of the tree's leaves: enough to work out every path.
    /// @param outputs The outputs of one after the other, packed in the widths of the verifier's `schema()` (see
    /// `IModelVerifier`); or, if one of them does not fit its width, all in words of 32 bytes, as the length tells.
    event BatchRecorded(
        bytes32 indexed root,
        bytes32 indexed modelId,
        address indexed submitter,
        bytes32 context,
        bytes32[] ids,
        bytes outputs
    );

    /// @notice Predictions were recorded together, under one root, by `recordMany`. The next `count` events
    /// `PredictionRecorded` of the ledger in this transaction are of its leaves, in their order.
    /// @param root The root of their tree, in the form of `PredictionTree`.
    /// @param submitter The account that recorded them.
    /// @param count Their number.
    event ManyRecorded(bytes32 indexed root, address indexed submitter, uint256 count);
}

/// @title The record of verified predictions
/// @notice An id is keccak256(abi.encode(modelId, keccak256(instances), chain id, submitter, context)). It has no
/// byte of the proof in it, of which there can be many for one prediction, and it has the submitter in it, so that
/// nobody can use up another's.
///
/// A proof can be about several predictions. Then `count` says how many of those that the proofs are about are meant:
/// all of every proof but the last, whose rest is padding, which is never recorded. The functions that take packed
/// instances (see `IModelVerifier`) do what their twins do, down to the ids.
///
/// A record is the root of a tree over ids, in the form of OpenZeppelin's `MerkleProof`: one slot for a batch, however
/// large. That something was verified is all that a batch's record says. Whoever acts on predictions and must not act
/// on one of them twice has two ways, which don't mix, since their contexts differ:
///
/// - *strict*, `record`, `recordEach`, `tryRecordMany`: a prediction is recorded once for ever in each context of its
///   submitter, whatever it was recorded with; a slot for each prediction.
/// - *feed*, `recordFeed`: contexts are consecutive positions of a submitter and a model, and none is ever used twice;
///   a slot that is there already, and one for the root. Equal instances may stand at several positions.
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

    /// @notice As `record`, with the instances packed.
    /// @param modelId The model.
    /// @param context The caller's context; zero will do.
    /// @param proof The proof.
    /// @param packed The instances that it shows, packed.
    /// @return id The prediction's id.
    /// @return schema What the instances stand for, in the form of `SchemaLib`.
    function recordPacked(
        bytes32 modelId,
        bytes32 context,
        bytes calldata proof,
        bytes calldata packed
    ) external returns (bytes32 id, bytes memory schema);

    /// @notice Verifies several predictions of one model together, for less gas each, and records them under one root;
    /// all or nothing. It says nothing of whether one of them was recorded before, in another batch or by itself: a
    /// contract that acts on them wants `recordEach` or `recordFeed`.
    /// @param modelId The model.
    /// @param context The caller's context of all of them; zero will do.
    /// @param count The number of predictions.
    /// @param proofs The proofs, at least one.
    /// @param instances The scalars that each shows.
    /// @return ids The predictions' ids, in order.
    /// @return schema What the instances of each stand for, in the form of `SchemaLib`.
    /// @return root The root over the ids, new to the ledger.
    function recordBatch(
        bytes32 modelId,
        bytes32 context,
        uint256 count,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external returns (bytes32[] memory ids, bytes memory schema, bytes32 root);

    /// @notice As `recordBatch`, with the instances packed.
    function recordBatchPacked(
        bytes32 modelId,
        bytes32 context,
        uint256 count,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external returns (bytes32[] memory ids, bytes memory schema, bytes32 root);

    /// @notice As `recordBatch`, but records each prediction as `record` does, once for ever.
    /// @param modelId The model.
    /// @param contexts The caller's context for each prediction; zeros will do.
    /// @param proofs The proofs, at least one.
    /// @param instances The scalars that each shows.
    /// @return ids The predictions' ids, in order.
    /// @return schema What the instances of each stand for, in the form of `SchemaLib`.
    function recordEach(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external returns (bytes32[] memory ids, bytes memory schema);

    /// @notice As `recordEach`, with the instances packed.
    function recordEachPacked(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external returns (bytes32[] memory ids, bytes memory schema);

    /// @notice As `recordBatch`, but at the next positions of the caller's feed of that model.
    /// @param modelId The model.
    /// @param first The position of the first prediction: what `nextPosition` returns for the caller.
    /// @param count The number of predictions.
    /// @param proofs The proofs, at least one.
    /// @param instances The scalars that each shows.
    /// @return ids The predictions' ids, in order; the context of each is `FeedContext.at` its position.
    /// @return schema What the instances of each stand for, in the form of `SchemaLib`.
    /// @return root The root over the ids, new to the ledger.
    function recordFeed(
        bytes32 modelId,
        uint64 first,
        uint256 count,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external returns (bytes32[] memory ids, bytes memory schema, bytes32 root);

    /// @notice As `recordFeed`, with the instances packed.
    function recordFeedPacked(
        bytes32 modelId,
        uint64 first,
        uint256 count,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external returns (bytes32[] memory ids, bytes memory schema, bytes32 root);

    /// @notice Records several predictions, of any models, under one root; all or nothing. As with `recordBatch` one of
    /// them may have been recorded before.
    /// @return ids Their ids, in order.
    /// @return root The root over the ids, new to the ledger; zero if there are none, and then nothing is recorded.
    function recordMany(
        Submission[] calldata submissions
    ) external returns (bytes32[] memory ids, bytes32 root);

    /// @notice Records several predictions, each on its own and once for ever, as `record` does.
    /// @param submissions The predictions.
    /// @param gasEach The gas that each verification gets; it is never given less.
    /// @return outcomes One for each, in order.
    function tryRecordMany(
        Submission[] calldata submissions,
        uint256 gasEach
    ) external returns (Outcome[] memory outcomes);

    /// @notice The id that a prediction has or would have.
    /// @param modelId The model.
    /// @param instances The instances of this prediction alone.
    /// @param submitter Who records it.
    /// @param context The submitter's context.
    /// @return The id.
    function idOf(
        bytes32 modelId,
        uint256[] calldata instances,
        address submitter,
        bytes32 context
    ) external view returns (bytes32);

    /// @notice Whether a prediction with this id was verified and recorded by itself.
    function isVerified(
        bytes32 id
    ) external view returns (bool);

    /// @notice Whether a prediction with this id was verified and recorded in a batch.
    /// @param id The id.
    /// @param root The batch's root.
    /// @param path The neighbours from its leaf up to the root; none if it was recorded by itself.
    /// @return Whether it was.
    function isVerified(
        bytes32 id,
        bytes32 root,
        bytes32[] calldata path
    ) external view returns (bool);

    /// @notice The record of a prediction that was recorded by itself; reverts if there is none.
    function recordOf(
        bytes32 id
    ) external view returns (Record memory);

    /// @notice The record of a prediction that was recorded in a batch; reverts if there is none.
    /// @param id The id.
    /// @param root The batch's root.
    /// @param path The neighbours from its leaf up to the root.
    /// @return The batch's record.
    function recordOf(
        bytes32 id,
        bytes32 root,
        bytes32[] calldata path
    ) external view returns (Record memory);

    /// @notice The position at which a submitter's feed of a model goes on.
    /// @param submitter The account that records.
    /// @param modelId The model.
    /// @return The number of positions used so far.
    function nextPosition(
        address submitter,
        bytes32 modelId
    ) external view returns (uint64);

    /// @notice The router that names the verifiers.
    function router() external view returns (IModelRouter);
}
