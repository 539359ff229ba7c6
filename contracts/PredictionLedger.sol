// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelRouter, Outcome} from "./interfaces/IModelRouter.sol";
import {IModelVerifier} from "./interfaces/IModelVerifier.sol";
import {IPredictionLedger, Record, Submission} from "./interfaces/IPredictionLedger.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {FeedContext} from "./libraries/FeedContext.sol";
import {Instances} from "./libraries/Instances.sol";
import {PredictionBatch} from "./libraries/PredictionBatch.sol";
import {PredictionId} from "./libraries/PredictionId.sol";
import {PredictionTree} from "./libraries/PredictionTree.sol";
import {SchemaLib} from "./libraries/SchemaLib.sol";

/// @title The record of verified predictions
/// @notice Verifies predictions by the router's verifier of their model and records them: one slot for each call, the
/// root of a tree over their ids, or with `recordEach` one for each prediction. Immutable, without an owner.
/// @dev Verifiers are only ever called statically, so nothing can come back in between.
contract PredictionLedger is IPredictionLedger {
    /// @dev Which predictions a batch is of: the first one's context, what each next one's is more, how many they are,
    /// and of how many proofs.
    struct Span {
        bytes32 context;
        uint256 step;
        uint256 count;
        uint256 proofs;
    }

    /// @inheritdoc IPredictionLedger
    IModelRouter public immutable override router;

    /// @dev A prediction that was recorded by itself is here under its leaf: the root of a tree of one.
    mapping(bytes32 root => Record record) private _records;

    mapping(address submitter => mapping(bytes32 modelId => uint64 next)) private _next;

    /// @param modelRouter The router that names the verifiers.
    constructor(
        IModelRouter modelRouter
    ) {
        router = modelRouter;
    }

    /// @inheritdoc IPredictionLedger
    function record(
        bytes32 modelId,
        bytes32 context,
        bytes calldata proof,
        uint256[] calldata instances
    ) external override returns (bytes32 id, bytes memory schema) {
        uint256[] memory words = instances;
        // A replay is refused before it costs a verification.
        id = PredictionId.compute(modelId, PredictionId.hashMemory(words), msg.sender, context);
        bytes32 leaf = _newLeaf(id, context);
        // Straight to the verifier: the proof is copied once less than through the router.
        schema = router.verifierOf(modelId).verify(proof, instances);
        _requireOne(schema);
        _store(leaf);
        _emit(modelId, id, context, words, schema);
    }

    /// @inheritdoc IPredictionLedger
    function recordPacked(
        bytes32 modelId,
        bytes32 context,
        bytes calldata proof,
        bytes calldata packed
    ) external override returns (bytes32 id, bytes memory schema) {
        schema = router.verifierOf(modelId).verifyPacked(proof, packed);
        _requireOne(schema);
        uint256[] memory instances = Instances.unpack(schema, packed);
        id = PredictionId.compute(modelId, PredictionId.hashMemory(instances), msg.sender, context);
        _store(_newLeaf(id, context));
        _emit(modelId, id, context, instances, schema);
    }

    /// @inheritdoc IPredictionLedger
    function recordBatch(
        bytes32 modelId,
        bytes32 context,
        uint256 count,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external override returns (bytes32[] memory ids, bytes memory schema, bytes32 root) {
        _requireFree(context);
        uint256[] memory words;
        (schema, words) = _verified(modelId, proofs, instances);
        (ids, root) = _recordBatch(modelId, Span(context, 0, count, proofs.length), schema, words);
        _answer(ids, schema, root);
    }

    /// @inheritdoc IPredictionLedger
    function recordBatchPacked(
        bytes32 modelId,
        bytes32 context,
        uint256 count,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external override returns (bytes32[] memory ids, bytes memory schema, bytes32 root) {
        _requireFree(context);
        uint256[] memory words;
        (schema, words) = _verified(modelId, proofs, packed);
        (ids, root) = _recordBatch(modelId, Span(context, 0, count, proofs.length), schema, words);
        _answer(ids, schema, root);
    }

    /// @inheritdoc IPredictionLedger
    function recordEach(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external override returns (bytes32[] memory ids, bytes memory schema) {
        uint256[] memory words;
        (schema, words) = _verified(modelId, proofs, instances);
        ids = _recordEach(modelId, contexts, proofs.length, schema, words);
    }

    /// @inheritdoc IPredictionLedger
    function recordEachPacked(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external override returns (bytes32[] memory ids, bytes memory schema) {
        uint256[] memory words;
        (schema, words) = _verified(modelId, proofs, packed);
        ids = _recordEach(modelId, contexts, proofs.length, schema, words);
    }

    /// @inheritdoc IPredictionLedger
    function recordFeed(
        bytes32 modelId,
        uint64 first,
        uint256 count,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external override returns (bytes32[] memory ids, bytes memory schema, bytes32 root) {
        bytes32 context = _advance(modelId, first, count);
        uint256[] memory words;
        (schema, words) = _verified(modelId, proofs, instances);
        (ids, root) = _recordBatch(modelId, Span(context, 1, count, proofs.length), schema, words);
        _answer(ids, schema, root);
    }

    /// @inheritdoc IPredictionLedger
    function recordFeedPacked(
        bytes32 modelId,
        uint64 first,
        uint256 count,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external override returns (bytes32[] memory ids, bytes memory schema, bytes32 root) {
        bytes32 context = _advance(modelId, first, count);
        uint256[] memory words;
        (schema, words) = _verified(modelId, proofs, packed);
        (ids, root) = _recordBatch(modelId, Span(context, 1, count, proofs.length), schema, words);
        _answer(ids, schema, root);
    }

    /// @inheritdoc IPredictionLedger
    function recordMany(
        Submission[] calldata submissions
    ) external override returns (bytes32[] memory ids, bytes32 root) {
        uint256 count = submissions.length;
        ids = new bytes32[](count);
        if (count == 0) return (ids, 0);
        for (uint256 i = 0; i < count; ++i) {
            Submission calldata item = submissions[i];
            _requireFree(item.context);
            ids[i] = _idOf(item);
        }
        root = PredictionTree.rootOf(ids);
        _requireNew(root, ids);
        _store(root);
        emit ManyRecorded(root, msg.sender, count);
        for (uint256 i = 0; i < count; ++i) {
            Submission calldata item = submissions[i];
            bytes memory schema = router.verifierOf(item.modelId).verify(item.proof, item.instances);
            _requireOne(schema);
            _emit(item.modelId, ids[i], item.context, item.instances, schema);
        }
    }

    /// @inheritdoc IPredictionLedger
    function tryRecordMany(
        Submission[] calldata submissions,
        uint256 gasEach
    ) external override returns (Outcome[] memory outcomes) {
        outcomes = new Outcome[](submissions.length);
        for (uint256 i = 0; i < submissions.length; ++i) {
            outcomes[i] = _tryRecord(submissions[i], gasEach);
        }
    }

    /// @inheritdoc IPredictionLedger
    function isVerified(
        bytes32 id
    ) external view override returns (bool) {
        return _records[PredictionTree.leafOf(id)].timestamp != 0;
    }

    /// @inheritdoc IPredictionLedger
    function isVerified(
        bytes32 id,
        bytes32 root,
        bytes32[] calldata path
    ) external view override returns (bool) {
        return _records[root].timestamp != 0 && PredictionTree.holds(id, root, path);
    }

    /// @inheritdoc IPredictionLedger
    function recordOf(
        bytes32 id
    ) external view override returns (Record memory found) {
        found = _records[PredictionTree.leafOf(id)];
        // No block has the time zero.
        // slither-disable-next-line incorrect-equality
        if (found.timestamp == 0) revert NotRecorded(id);
    }

    /// @inheritdoc IPredictionLedger
    function recordOf(
        bytes32 id,
        bytes32 root,
        bytes32[] calldata path
    ) external view override returns (Record memory found) {
        found = _records[root];
        // slither-disable-next-line incorrect-equality
        if (found.timestamp == 0 || !PredictionTree.holds(id, root, path)) revert NotRecorded(id);
    }

    /// @inheritdoc IPredictionLedger
    function nextPosition(
        address submitter,
        bytes32 modelId
    ) external view override returns (uint64) {
        return _next[submitter][modelId];
    }

    /// @inheritdoc IPredictionLedger
    function idOf(
        bytes32 modelId,
        uint256[] calldata instances,
        address submitter,
        bytes32 context
    ) external view override returns (bytes32) {
        return PredictionId.compute(modelId, PredictionId.hashInstances(instances), submitter, context);
    }

    /// @dev Verifies proofs of one model together.
    /// @return schema What their instances stand for.
    /// @return words The instances of one after the other.
    function _verified(
        bytes32 modelId,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) private view returns (bytes memory schema, uint256[] memory words) {
        schema = router.verifierOf(modelId).verifyMany(proofs, instances);
        words = Instances.byPrediction(schema, instances);
    }

    function _verified(
        bytes32 modelId,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) private view returns (bytes memory schema, uint256[] memory words) {
        schema = router.verifierOf(modelId).verifyManyPacked(proofs, packed);
        words = Instances.byPrediction(schema, packed);
    }

    /// @dev Takes the next positions of the caller's feed; what follows reverts unless there are so many predictions.
    function _advance(
        bytes32 modelId,
        uint64 first,
        uint256 count
    ) private returns (bytes32 context) {
        uint64 next = _next[msg.sender][modelId];
        if (first != next) revert WrongPosition(first, next);
        // No transaction has room for 2^64 predictions, nor a chain.
        // forge-lint: disable-next-line(unsafe-typecast)
        _next[msg.sender][modelId] = next + uint64(count);
        return FeedContext.at(first);
    }

    /// @dev Records verified predictions under one root.
    function _recordBatch(
        bytes32 modelId,
        Span memory span,
        bytes memory schema,
        uint256[] memory words
    ) private returns (bytes32[] memory ids, bytes32 root) {
        _requireCount(span.count, span.proofs, schema);
        bytes32[] memory leaves;
        (ids, leaves) = PredictionBatch.idsOf(
            PredictionBatch.Preimage(modelId, 0, block.chainid, msg.sender, span.context),
            span.step,
            32 * Instances.partLength(schema),
            words,
            span.count
        );
        root = PredictionTree.rootOfLeaves(leaves);
        _requireNew(root, ids);
        _store(root);
        bytes memory outputs = PredictionBatch.outputsOf(schema, words, span.count);
        _emitBatch(root, modelId, span.context, ids, outputs);
    }

    /// @dev Emits `BatchRecorded`. The compiler's own way takes each id for itself, and a batch may have hundreds.
    function _emitBatch(
        bytes32 root,
        bytes32 modelId,
        bytes32 context,
        bytes32[] memory ids,
        bytes memory outputs
    ) private {
        bytes32 topic = BatchRecorded.selector;
        assembly ("memory-safe") {
            // The free memory is used as scratch and stays free.
            let data := mload(0x40)
            let size := add(mul(mload(ids), 0x20), 0x20)
            mstore(data, context)
            mstore(add(data, 0x20), 0x60)
            mstore(add(data, 0x40), add(0x60, size))
            let end := add(data, 0x60)
            mcopy(end, ids, size)
            end := add(end, size)
            size := add(mload(outputs), 0x20)
            mcopy(end, outputs, size)
            end := add(end, size)
            // The ABI wants zeros up to a whole word.
            mstore(end, 0)
            size := and(add(sub(end, data), 0x1f), not(0x1f))
            log4(data, size, topic, root, modelId, caller())
        }
    }

    /// @dev Returns from the call, as the compiler would, for the reason given at `_emitBatch`.
    function _answer(
        bytes32[] memory ids,
        bytes memory schema,
        bytes32 root
    ) private pure {
        assembly ("memory-safe") {
            let data := mload(0x40)
            let size := add(mul(mload(ids), 0x20), 0x20)
            mstore(data, 0x60)
            mstore(add(data, 0x20), add(0x60, size))
            mstore(add(data, 0x40), root)
            let end := add(data, 0x60)
            mcopy(end, ids, size)
            end := add(end, size)
            size := add(mload(schema), 0x20)
            mcopy(end, schema, size)
            end := add(end, size)
            mstore(end, 0)
            return(data, and(add(sub(end, data), 0x1f), not(0x1f)))
        }
    }

    /// @dev Records verified predictions, each by itself.
    function _recordEach(
        bytes32 modelId,
        bytes32[] calldata contexts,
        uint256 proofs,
        bytes memory schema,
        uint256[] memory words
    ) private returns (bytes32[] memory ids) {
        uint256 count = contexts.length;
        _requireCount(count, proofs, schema);
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256[] memory instances = Instances.partOf(schema, words, i);
            bytes32 hash = PredictionId.hashMemory(instances);
            ids[i] = PredictionId.compute(modelId, hash, msg.sender, contexts[i]);
            // It may stand in this very batch before.
            _store(_newLeaf(ids[i], contexts[i]));
            _emit(modelId, ids[i], contexts[i], instances, schema);
        }
    }

    function _idOf(
        Submission calldata item
    ) private view returns (bytes32) {
        return PredictionId.compute(item.modelId, PredictionId.hashInstances(item.instances), msg.sender, item.context);
    }

    /// @dev The leaf of a prediction that was not recorded by itself before.
    function _newLeaf(
        bytes32 id,
        bytes32 context
    ) private view returns (bytes32 leaf) {
        _requireFree(context);
        leaf = PredictionTree.leafOf(id);
        if (_records[leaf].timestamp != 0) revert AlreadyRecorded(id);
    }

    /// @dev A batch is recorded once.
    function _requireNew(
        bytes32 root,
        bytes32[] memory ids
    ) private view {
        if (_records[root].timestamp == 0) return;
        if (ids.length == 1) revert AlreadyRecorded(ids[0]);
        revert BatchAlreadyRecorded(root);
    }

    function _requireOne(
        bytes memory schema
    ) private pure {
        uint256 predictions = SchemaLib.predictionsOf(schema);
        if (predictions != 1) revert NotOnePrediction(predictions);
    }

    /// @dev Only the last proof may have padding, and not only that.
    function _requireCount(
        uint256 count,
        uint256 proofs,
        bytes memory schema
    ) private pure {
        uint256 predictions = SchemaLib.predictionsOf(schema);
        if (count <= (proofs - 1) * predictions || count > proofs * predictions) {
            revert PredictionCountMismatch(count, proofs, predictions);
        }
    }

    function _requireFree(
        bytes32 context
    ) private pure {
        if (FeedContext.isOne(context)) revert ContextReserved(context);
    }

    function _tryRecord(
        Submission calldata item,
        uint256 gasEach
    ) private returns (Outcome memory outcome) {
        bytes32 id = _idOf(item);
        bytes32 leaf = PredictionTree.leafOf(id);
        outcome.id = id;
        if (FeedContext.isOne(item.context)) {
            outcome.reason = ContextReserved.selector;
            return outcome;
        }
        if (_records[leaf].timestamp != 0) {
            outcome.reason = AlreadyRecorded.selector;
            return outcome;
        }
        try router.verifierOf(item.modelId) returns (IModelVerifier verifier) {
            bytes memory schema;
            (outcome.ok, outcome.reason, schema) = BoundedCall.tryVerify(verifier, item.proof, item.instances, gasEach);
            if (!outcome.ok) return outcome;
            if (SchemaLib.predictionsOf(schema) != 1) {
                (outcome.ok, outcome.reason) = (false, NotOnePrediction.selector);
                return outcome;
            }
            _store(leaf);
            _emit(item.modelId, id, item.context, item.instances, schema);
        } catch (bytes memory reason) {
            // Its selector, or zero where it has none.
            // forge-lint: disable-next-line(unsafe-typecast)
            outcome.reason = bytes4(reason);
        }
    }

    function _store(
        bytes32 root
    ) private {
        _records[root] = Record(msg.sender, uint48(block.timestamp), uint48(block.number));
    }

    /// @dev In place: the word before the outputs, which is not needed any more, becomes their length.
    function _emit(
        bytes32 modelId,
        bytes32 id,
        bytes32 context,
        uint256[] memory instances,
        bytes memory schema
    ) private {
        uint256 count = SchemaLib.outputCount(schema);
        uint256[] memory outputs;
        bytes32 inputsHash;
        assembly ("memory-safe") {
            let size := mul(sub(mload(instances), count), 0x20)
            inputsHash := keccak256(add(instances, 0x20), size)
            outputs := add(instances, size)
            mstore(outputs, count)
        }
        emit PredictionRecorded(modelId, id, msg.sender, context, inputsHash, outputs);
    }
}
