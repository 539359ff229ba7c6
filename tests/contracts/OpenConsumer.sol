// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Prediction, PredictionConsumer} from "zkvouch/PredictionConsumer.sol";
import {IPredictionLedger} from "zkvouch/interfaces/IPredictionLedger.sol";

/// @notice Opens the base's functions to the tests.
contract OpenConsumer is PredictionConsumer {
    constructor(
        IPredictionLedger ledger
    ) PredictionConsumer(ledger) {}

    function consume(
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances
    ) external returns (Prediction memory) {
        return _consume(modelId, proof, instances);
    }

    function consumeOnce(
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances
    ) external returns (Prediction memory) {
        return _consume(modelId, bytes32(uint256(uint160(msg.sender))), proof, instances);
    }

    function consumePacked(
        bytes32 modelId,
        bytes32 context,
        bytes calldata proof,
        bytes calldata packed
    ) external returns (Prediction memory) {
        return _consumePacked(modelId, context, proof, packed);
    }

    function consumeBatch(
        bytes32 modelId,
        uint256 count,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external returns (Prediction[] memory) {
        return _consumeBatch(modelId, count, proofs, instances);
    }

    function consumeBatchIn(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external returns (Prediction[] memory) {
        return _consumeBatch(modelId, contexts, proofs, instances);
    }

    function consumeBatchPacked(
        bytes32 modelId,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external returns (Prediction[] memory) {
        return _consumeBatchPacked(modelId, contexts, proofs, packed);
    }

    function consumeFeed(
        bytes32 modelId,
        uint64 first,
        uint256 count,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external returns (Prediction[] memory) {
        return _consumeFeed(modelId, first, count, proofs, instances);
    }

    function consumeFeedPacked(
        bytes32 modelId,
        uint64 first,
        uint256 count,
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external returns (Prediction[] memory) {
        return _consumeFeedPacked(modelId, first, count, proofs, packed);
    }

    function recallFeed(
        bytes32 modelId,
        uint64 position,
        uint256[] calldata instances,
        bytes32 root,
        bytes32[] calldata path,
        uint256 maxAge
    ) external view returns (Prediction memory) {
        return _recallFeed(modelId, position, instances, root, path, maxAge);
    }

    function reveal(
        bytes32 modelId,
        bytes calldata proof,
        uint256[] calldata instances,
        bytes32 salt
    ) external returns (Prediction memory) {
        return _consumeCommitted(modelId, proof, instances, salt);
    }

    function recall(
        bytes32 modelId,
        uint256[] calldata instances,
        uint256 maxAge
    ) external view returns (Prediction memory) {
        return _recall(modelId, 0, instances, maxAge);
    }
}
