// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelRouter, Outcome} from "./interfaces/IModelRouter.sol";
import {IModelVerifier, IModelVerifierErrors} from "./interfaces/IModelVerifier.sol";
import {IPredictionLedger, Record, Submission} from "./interfaces/IPredictionLedger.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {PredictionId} from "./libraries/PredictionId.sol";
import {SchemaLib} from "./libraries/SchemaLib.sol";

/// @title The record of verified predictions
/// @notice Verifies a prediction by the router's verifier of its model and records it once. Immutable, without an
/// owner.
/// @dev Verifiers are only ever called statically, so nothing can come back in between.
contract PredictionLedger is IPredictionLedger {
    /// @inheritdoc IPredictionLedger
    IModelRouter public immutable override router;

    mapping(bytes32 id => Record record) private _records;

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
        return _record(modelId, context, proof, instances);
    }

    /// @inheritdoc IPredictionLedger
    function recordBatch(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external override returns (bytes32[] memory ids, bytes memory schema) {
        uint256 count = instances.length;
        if (contexts.length != count) revert IModelVerifierErrors.BatchLengthMismatch(contexts.length, count);
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            ids[i] = _newId(modelId, contexts[i], instances[i]);
        }
        IModelVerifier verifier = router.verifierOf(modelId);
        verifier.verifyMany(proofs, instances);
        schema = _schemaOf(verifier, modelId, instances[0].length);
        for (uint256 i = 0; i < count; ++i) {
            // It may stand in this very batch before.
            if (_records[ids[i]].timestamp != 0) revert AlreadyRecorded(ids[i]);
            if (instances[i].length != instances[0].length) revert SchemaUnavailable(modelId);
            _store(modelId, ids[i], contexts[i], instances[i], schema);
        }
    }

    /// @inheritdoc IPredictionLedger
    function recordMany(
        Submission[] calldata submissions
    ) external override returns (bytes32[] memory ids) {
        ids = new bytes32[](submissions.length);
        for (uint256 i = 0; i < submissions.length; ++i) {
            Submission calldata item = submissions[i];
            (ids[i],) = _record(item.modelId, item.context, item.proof, item.instances);
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
        return _records[id].timestamp != 0;
    }

    /// @inheritdoc IPredictionLedger
    function recordOf(
        bytes32 id
    ) external view override returns (Record memory found) {
        found = _records[id];
        // No block has the time zero.
        // slither-disable-next-line incorrect-equality
        if (found.timestamp == 0) revert NotRecorded(id);
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

    function _record(
        bytes32 modelId,
        bytes32 context,
        bytes calldata proof,
        uint256[] calldata instances
    ) private returns (bytes32 id, bytes memory schema) {
        id = _newId(modelId, context, instances);
        // Straight to the verifier: the proof is copied once less than through the router.
        IModelVerifier verifier = router.verifierOf(modelId);
        verifier.verify(proof, instances);
        schema = _schemaOf(verifier, modelId, instances.length);
        _store(modelId, id, context, instances, schema);
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

    function _newId(
        bytes32 modelId,
        bytes32 context,
        uint256[] calldata instances
    ) private view returns (bytes32 id) {
        id = PredictionId.compute(modelId, instances, msg.sender, context);
        if (_records[id].timestamp != 0) revert AlreadyRecorded(id);
    }

    function _tryRecord(
        Submission calldata item,
        uint256 gasEach
    ) private returns (Outcome memory outcome) {
        bytes32 id = PredictionId.compute(item.modelId, item.instances, msg.sender, item.context);
        outcome.id = id;
        if (_records[id].timestamp != 0) {
            outcome.reason = AlreadyRecorded.selector;
            return outcome;
        }
        try router.verifierOf(item.modelId) returns (IModelVerifier verifier) {
            (outcome.ok, outcome.reason) = BoundedCall.tryVerify(verifier, item.proof, item.instances, gasEach);
            if (!outcome.ok) return outcome;
            bytes memory schema;
            (outcome.ok, schema) = BoundedCall.trySchema(verifier, item.instances.length);
            if (outcome.ok) _store(item.modelId, id, item.context, item.instances, schema);
            else outcome.reason = SchemaUnavailable.selector;
        } catch (bytes memory reason) {
            // Its selector, or zero where it has none.
            // forge-lint: disable-next-line(unsafe-typecast)
            outcome.reason = bytes4(reason);
        }
    }

    function _store(
        bytes32 modelId,
        bytes32 id,
        bytes32 context,
        uint256[] calldata instances,
        bytes memory schema
    ) private {
        _records[id] = Record(msg.sender, uint48(block.timestamp), uint48(block.number));
        uint256 inputs = instances.length - SchemaLib.outputCount(schema);
        emit PredictionRecorded(
            modelId, id, msg.sender, context, PredictionId.hashInstances(instances[:inputs]), instances[inputs:]
        );
    }
}
