// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelRouter, Outcome} from "./interfaces/IModelRouter.sol";
import {IModelVerifier, IModelVerifierErrors} from "./interfaces/IModelVerifier.sol";
import {IPredictionLedger, Record, Submission} from "./interfaces/IPredictionLedger.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {FeedContext} from "./libraries/FeedContext.sol";
import {PredictionId} from "./libraries/PredictionId.sol";
import {PredictionTree} from "./libraries/PredictionTree.sol";
import {SchemaLib} from "./libraries/SchemaLib.sol";

/// @title The record of verified predictions
/// @notice Verifies predictions by the router's verifier of their model and records them: one slot for each call, the
/// root of a tree over their ids, or with `recordEach` one for each prediction. Immutable, without an owner.
/// @dev Verifiers are only ever called statically, so nothing can come back in between.
contract PredictionLedger is IPredictionLedger {
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
        _requireFree(context);
        id = PredictionId.compute(modelId, instances, msg.sender, context);
        bytes32 leaf = _newLeaf(id);
        // Straight to the verifier: the proof is copied once less than through the router.
        IModelVerifier verifier = router.verifierOf(modelId);
        verifier.verify(proof, instances);
        schema = _schemaOf(verifier, modelId, instances.length);
        _store(leaf);
        _emit(modelId, id, context, instances, schema);
    }

    /// @inheritdoc IPredictionLedger
    function recordBatch(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external override returns (bytes32[] memory ids, bytes memory schema, bytes32 root) {
        _requireFree(contexts);
        ids = _idsOf(modelId, contexts, instances);
        root = _newRoot(ids);
        schema = _verifyMany(modelId, proofs, instances);
        _storeBatch(root, ids.length);
        _emitAll(modelId, ids, contexts, instances, schema);
    }

    /// @inheritdoc IPredictionLedger
    function recordEach(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external override returns (bytes32[] memory ids, bytes memory schema) {
        _requireFree(contexts);
        ids = _idsOf(modelId, contexts, instances);
        for (uint256 i = 0; i < ids.length; ++i) {
            _newLeaf(ids[i]);
        }
        schema = _verifyMany(modelId, proofs, instances);
        for (uint256 i = 0; i < ids.length; ++i) {
            // It may stand in this very batch before.
            _store(_newLeaf(ids[i]));
        }
        _emitAll(modelId, ids, contexts, instances, schema);
    }

    /// @inheritdoc IPredictionLedger
    function recordFeed(
        bytes32 modelId,
        uint64 first,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external override returns (bytes32[] memory ids, bytes memory schema, bytes32 root) {
        uint64 next = _next[msg.sender][modelId];
        if (first != next) revert WrongPosition(first, next);
        uint256 count = instances.length;
        bytes32[] memory contexts = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            contexts[i] = FeedContext.at(next++);
        }
        ids = _idsOf(modelId, contexts, instances);
        root = _newRoot(ids);
        schema = _verifyMany(modelId, proofs, instances);
        _next[msg.sender][modelId] = next;
        _storeBatch(root, count);
        _emitAll(modelId, ids, contexts, instances, schema);
    }

    /// @inheritdoc IPredictionLedger
    function recordMany(
        Submission[] calldata submissions
    ) external override returns (bytes32[] memory ids, bytes32 root) {
        uint256 count = submissions.length;
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            Submission calldata item = submissions[i];
            _requireFree(item.context);
            ids[i] = PredictionId.compute(item.modelId, item.instances, msg.sender, item.context);
        }
        root = _newRoot(ids);
        _storeBatch(root, count);
        for (uint256 i = 0; i < count; ++i) {
            Submission calldata item = submissions[i];
            IModelVerifier verifier = router.verifierOf(item.modelId);
            verifier.verify(item.proof, item.instances);
            bytes memory schema = _schemaOf(verifier, item.modelId, item.instances.length);
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
        return PredictionId.compute(modelId, instances, submitter, context);
    }

    /// @dev Verifies predictions of one model together, and asks what their instances stand for.
    function _verifyMany(
        bytes32 modelId,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) private view returns (bytes memory schema) {
        IModelVerifier verifier = router.verifierOf(modelId);
        verifier.verifyMany(proofs, instances);
        uint256 length = instances[0].length;
        schema = _schemaOf(verifier, modelId, length);
        for (uint256 i = 1; i < instances.length; ++i) {
            if (instances[i].length != length) revert SchemaUnavailable(modelId);
        }
    }

    function _schemaOf(
        IModelVerifier verifier,
        bytes32 modelId,
        uint256 count
    ) private view returns (bytes memory) {
        (bool ok, bytes memory schema) = BoundedCall.trySchema(verifier, count);
        if (!ok) revert SchemaUnavailable(modelId);
        return schema;
    }

    function _idsOf(
        bytes32 modelId,
        bytes32[] memory contexts,
        uint256[][] calldata instances
    ) private view returns (bytes32[] memory ids) {
        uint256 count = instances.length;
        if (contexts.length != count) revert IModelVerifierErrors.BatchLengthMismatch(contexts.length, count);
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            ids[i] = PredictionId.compute(modelId, instances[i], msg.sender, contexts[i]);
        }
    }

    /// @dev The leaf of a prediction that was not recorded by itself before.
    function _newLeaf(
        bytes32 id
    ) private view returns (bytes32 leaf) {
        leaf = PredictionTree.leafOf(id);
        if (_records[leaf].timestamp != 0) revert AlreadyRecorded(id);
    }

    /// @dev The root of a batch that was not recorded before. A batch of none has none, and is recorded nowhere.
    function _newRoot(
        bytes32[] memory ids
    ) private view returns (bytes32 root) {
        if (ids.length == 0) return 0;
        root = PredictionTree.rootOf(ids);
        if (_records[root].timestamp == 0) return root;
        if (ids.length == 1) revert AlreadyRecorded(ids[0]);
        revert BatchAlreadyRecorded(root);
    }

    function _requireFree(
        bytes32[] calldata contexts
    ) private pure {
        for (uint256 i = 0; i < contexts.length; ++i) {
            _requireFree(contexts[i]);
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
        bytes32 id = PredictionId.compute(item.modelId, item.instances, msg.sender, item.context);
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
            (outcome.ok, outcome.reason) = BoundedCall.tryVerify(verifier, item.proof, item.instances, gasEach);
            if (!outcome.ok) return outcome;
            bytes memory schema;
            (outcome.ok, schema) = BoundedCall.trySchema(verifier, item.instances.length);
            if (outcome.ok) {
                _store(leaf);
                _emit(item.modelId, id, item.context, item.instances, schema);
            } else {
                outcome.reason = SchemaUnavailable.selector;
            }
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

    function _storeBatch(
        bytes32 root,
        uint256 count
    ) private {
        if (count == 0) return;
        _store(root);
        emit BatchRecorded(root, msg.sender, count);
    }

    function _emitAll(
        bytes32 modelId,
        bytes32[] memory ids,
        bytes32[] memory contexts,
        uint256[][] calldata instances,
        bytes memory schema
    ) private {
        for (uint256 i = 0; i < ids.length; ++i) {
            _emit(modelId, ids[i], contexts[i], instances[i], schema);
        }
    }

    function _emit(
        bytes32 modelId,
        bytes32 id,
        bytes32 context,
        uint256[] calldata instances,
        bytes memory schema
    ) private {
        uint256 inputs = instances.length - SchemaLib.outputCount(schema);
        emit PredictionRecorded(
            modelId, id, msg.sender, context, PredictionId.hashInstances(instances[:inputs]), instances[inputs:]
        );
    }
}
