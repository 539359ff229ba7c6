// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Prediction} from "./Prediction.sol";
import {IPredictionLedger} from "./interfaces/IPredictionLedger.sol";
import {FeedContext} from "./libraries/FeedContext.sol";
import {Instances} from "./libraries/Instances.sol";
import {PredictionId} from "./libraries/PredictionId.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Errors of a contract that consumes predictions
interface IPredictionConsumerErrors {
    /// @notice The caller committed to this before; a second commitment can't restart its clock.
    error AlreadyCommitted(bytes32 commitment);

    /// @notice The caller never committed to this prediction, or has revealed it already. Usually the salt is wrong, or
    /// the proof is somebody else's.
    error NotCommitted(bytes32 commitment);

    /// @notice The commitment is too young to be revealed.
    error CommitmentTooYoung(uint256 blockNumber, uint256 revealableFrom);

    /// @notice The commitment is too old to be revealed; commit anew with another salt.
    error CommitmentExpired(uint256 timestamp, uint256 expiredAt);

    /// @notice The prediction was recorded too long ago.
    error StalePrediction(uint256 recordedAt, uint256 maxAge);
}

/// @title Events of a contract that consumes predictions
interface IPredictionConsumerEvents {
    /// @notice Somebody committed to a prediction that stays secret until it is revealed.
    event PredictionCommitted(address indexed committer, bytes32 indexed commitment);
}

/// @title The base of a contract that acts on predictions
/// @notice `_consume` returns a prediction that is verified, decoded and new to this contract, or reverts. What it
/// can't know is where the inputs come from: whoever proves chooses them, so compare `p.input(i)` or `p.inputsHash()`
/// with a source that you trust.
///
/// A proof is visible in the mempool, and anybody can send it. Where it matters who acts on a prediction, put that
/// account into the inputs, or take predictions by `_consumeCommitted` only: its caller must have committed to the
/// prediction so many blocks ago that nobody who saw the reveal can have a commitment as old.
abstract contract PredictionConsumer is IPredictionConsumerErrors, IPredictionConsumerEvents {
    /// @notice The least number of blocks between a commitment and its reveal, whatever the consumer says. A reveal
    /// that is seen in the mempool has this long, less one, to get into a block before a copier's commitment is old
    /// enough.
    uint256 public constant MIN_COMMITMENT_DELAY = 5;

    /// @dev When a commitment was made.
    struct Commitment {
        uint128 timestamp;
        uint128 blockNumber;
    }

    /// @notice The ledger that verifies and records for this contract.
    IPredictionLedger public immutable LEDGER;

    mapping(address committer => mapping(bytes32 commitment => Commitment made)) private _commitments;

    /// @param ledger The ledger.
    constructor(
        IPredictionLedger ledger
    ) {
        LEDGER = ledger;
    }

    /// @notice Commits the caller to a prediction without showing it.
    /// @param commitment What `commitmentOf` returns for it, computed off chain.
    function commitPrediction(
        bytes32 commitment
    ) public virtual {
        Commitment storage made = _commitments[msg.sender][commitment];
        if (made.timestamp != 0) revert AlreadyCommitted(commitment);
        (made.timestamp, made.blockNumber) = (uint128(block.timestamp), uint128(block.number));
        emit PredictionCommitted(msg.sender, commitment);
    }

    /// @notice The commitment to a prediction. Don't ask a node that you don't trust: it would learn the prediction.
    /// @param committer Who will reveal it.
    /// @param modelId The model.
    /// @param instances The instances.
    /// @param salt 32 random bytes, to be kept until it is revealed.
    /// @return keccak256(abi.encode(chain id, this contract, committer, modelId, keccak256(instances), salt)).
    function commitmentOf(
        address committer,
        bytes32 modelId,
        uint256[] calldata instances,
        bytes32 salt
    ) public view returns (bytes32) {
        bytes32 hash = PredictionId.hashInstances(instances);
        return keccak256(abi.encode(block.chainid, address(this), committer, modelId, hash, salt));
    }

    /// @dev Verifies a prediction that this contract has never consumed, whoever sends it.
    function _consume(
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances
    ) internal returns (Prediction memory) {
        return _consume(modelId, bytes32(0), proof, instances);
    }

    /// @dev Verifies a prediction that this contract has never consumed in this context: with the caller's address as
    /// the context each caller can use it once.
    function _consume(
        bytes32 modelId,
        bytes32 context,
        bytes calldata proof,
        uint256[] calldata instances
    ) internal returns (Prediction memory prediction) {
        (bytes32 id, bytes memory schema) = LEDGER.record(modelId, context, proof, instances);
        return Prediction(modelId, id, schema, instances);
    }

    /// @dev As `_consume`, with the instances packed.
    function _consumePacked(
        bytes32 modelId,
        bytes32 context,
        bytes calldata proof,
        bytes calldata packed
    ) internal returns (Prediction memory) {
        (bytes32 id, bytes memory schema) = LEDGER.recordPacked(modelId, context, proof, packed);
        return Prediction(modelId, id, schema, Instances.unpack(schema, packed));
    }

    /// @dev As `_consume`, for `count` predictions of one model, verified together for less gas each; all or nothing,
    /// and none that was consumed before.
    function _consumeBatch(
        bytes32 modelId,
        uint256 count,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) internal returns (Prediction[] memory) {
        return _consumeBatch(modelId, new bytes32[](count), proofs, instances);
    }

    /// @dev As `_consume`, for several predictions of one model, each in a context of its own. Where a proof is about
    /// several predictions, the rest of the last one is left out.
    function _consumeBatch(
        bytes32 modelId,
        bytes32[] memory contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) internal returns (Prediction[] memory) {
        (bytes32[] memory ids, bytes memory schema) = LEDGER.recordEach(modelId, contexts, proofs, instances);
        return _predictions(modelId, ids, schema, Instances.byPrediction(schema, instances));
    }

    /// @dev As `_consumeBatch`, with the instances packed.
    function _consumeBatchPacked(
        bytes32 modelId,
        bytes32[] memory contexts,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) internal returns (Prediction[] memory) {
        (bytes32[] memory ids, bytes memory schema) = LEDGER.recordEachPacked(modelId, contexts, proofs, packed);
        return _predictions(modelId, ids, schema, Instances.byPrediction(schema, packed));
    }

    /// @dev Verifies predictions of one model that are this contract's next ones, from position `first` on, for the
    /// least gas: no position is ever used twice, but equal instances may come again at another, so it suits what is
    /// observed time and again. Compare the inputs with what belongs to that position, by a source that you trust.
    function _consumeFeed(
        bytes32 modelId,
        uint64 first,
        uint256 count,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) internal returns (Prediction[] memory) {
        (bytes32[] memory ids, bytes memory schema,) = LEDGER.recordFeed(modelId, first, count, proofs, instances);
        return _predictions(modelId, ids, schema, Instances.byPrediction(schema, instances));
    }

    /// @dev As `_consumeFeed`, with the instances packed.
    function _consumeFeedPacked(
        bytes32 modelId,
        uint64 first,
        uint256 count,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) internal returns (Prediction[] memory) {
        (bytes32[] memory ids, bytes memory schema,) = LEDGER.recordFeedPacked(modelId, first, count, proofs, packed);
        return _predictions(modelId, ids, schema, Instances.byPrediction(schema, packed));
    }

    /// @dev Verifies a prediction that the caller committed to, long enough ago and not too long.
    function _consumeCommitted(
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances,
        bytes32 salt
    ) internal returns (Prediction memory) {
        bytes32 commitment = commitmentOf(msg.sender, modelId, instances, salt);
        Commitment memory made = _commitments[msg.sender][commitment];
        if (made.timestamp == 0) revert NotCommitted(commitment);
        // Ages are compared, not sums: a consumer may mean "never" or "forever" by the largest number.
        uint256 delay = Math.max(_commitmentDelay(), MIN_COMMITMENT_DELAY);
        if (block.number - made.blockNumber < delay) {
            revert CommitmentTooYoung(block.number, Math.saturatingAdd(made.blockNumber, delay));
        }
        uint256 lifetime = _commitmentLifetime();
        if (block.timestamp - made.timestamp > lifetime) {
            revert CommitmentExpired(block.timestamp, made.timestamp + lifetime);
        }
        delete _commitments[msg.sender][commitment];
        return _consume(modelId, bytes32(0), proof, instances);
    }

    /// @dev A prediction that this contract consumed before, in the same context and at most `maxAge` seconds ago.
    /// Reverts with the ledger's `NotRecorded` if it never did, and if the model was retired or stopped meanwhile: what
    /// it said is not to be acted on any more.
    function _recall(
        bytes32 modelId,
        bytes32 context,
        uint256[] calldata instances,
        uint256 maxAge
    ) internal view returns (Prediction memory) {
        bytes32 id = PredictionId.compute(modelId, PredictionId.hashInstances(instances), address(this), context);
        return _recalled(modelId, id, instances, LEDGER.recordOf(id).timestamp, maxAge);
    }

    /// @dev As `_recall`, for a prediction of this contract's feed, with the root that it was recorded under and the
    /// path from its leaf, which whoever asks takes from the ledger's events.
    function _recallFeed(
        bytes32 modelId,
        uint64 position,
        uint256[] calldata instances,
        bytes32 root,
        bytes32[] calldata path,
        uint256 maxAge
    ) internal view returns (Prediction memory) {
        bytes32 id = PredictionId.compute(
            modelId, PredictionId.hashInstances(instances), address(this), FeedContext.at(position)
        );
        return _recalled(modelId, id, instances, LEDGER.recordOf(id, root, path).timestamp, maxAge);
    }

    /// @dev Blocks between a commitment and the first that may reveal it; `MIN_COMMITMENT_DELAY` at least. The default
    /// is five minutes on Ethereum; on a chain with quick blocks more of them make sense.
    function _commitmentDelay() internal view virtual returns (uint256) {
        return 25;
    }

    /// @dev Seconds during which a commitment may be revealed.
    function _commitmentLifetime() internal view virtual returns (uint256) {
        return 1 days;
    }

    function _recalled(
        bytes32 modelId,
        bytes32 id,
        uint256[] calldata instances,
        uint256 recordedAt,
        uint256 maxAge
    ) private view returns (Prediction memory) {
        if (block.timestamp - recordedAt > maxAge) revert StalePrediction(recordedAt, maxAge);
        // Neither a retired nor a stopped model has a schema.
        bytes memory schema = LEDGER.router().verifierOf(modelId).schema();
        return Prediction(modelId, id, schema, instances);
    }

    function _predictions(
        bytes32 modelId,
        bytes32[] memory ids,
        bytes memory schema,
        uint256[] memory words
    ) private pure returns (Prediction[] memory predictions) {
        predictions = new Prediction[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            predictions[i] = Prediction(modelId, ids[i], schema, Instances.partOf(schema, words, i));
        }
    }
}
