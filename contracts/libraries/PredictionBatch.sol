// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {FixedPoint} from "./FixedPoint.sol";
import {Instances} from "./Instances.sol";
import {SchemaLib} from "./SchemaLib.sol";

/// @title What the ledger works out of the instances of many predictions
/// @notice The instances are in the order of the predictions, as `Instances.byPrediction` returns them.
/// @dev The loops run for each prediction, and memory that is filled anyway is not cleared, hence the assembly.
library PredictionBatch {
    /// @dev What an id is the hash of (see `PredictionId`).
    struct Preimage {
        bytes32 modelId;
        bytes32 instancesHash;
        uint256 chainId;
        address submitter;
        bytes32 context;
    }

    /// @notice The ids of predictions, as `PredictionId.compute` gives them one by one, and their leaves.
    /// @param preimage What the first one's id is the hash of; the instances' hash is filled in.
    /// @param step What each next one's context is more.
    /// @param size The bytes of a prediction's words.
    /// @param words The words of all predictions.
    /// @param count The number of predictions, from the first on.
    /// @return ids Their ids.
    /// @return leaves Their leaves in the form of `PredictionTree`.
    function idsOf(
        Preimage memory preimage,
        uint256 step,
        uint256 size,
        uint256[] memory words,
        uint256 count
    ) internal pure returns (bytes32[] memory ids, bytes32[] memory leaves) {
        assembly ("memory-safe") {
            leaves := mload(0x40)
            mstore(leaves, count)
            let leaf := add(leaves, 0x20)
            let last := add(leaf, mul(count, 0x20))
            ids := last
            mstore(ids, count)
            let to := add(ids, 0x20)
            mstore(0x40, add(to, mul(count, 0x20)))
            words := add(words, 0x20)
            let hashAt := add(preimage, 0x20)
            let contextAt := add(preimage, 0x80)
            for { let context := mload(contextAt) } lt(leaf, last) { context := add(context, step) } {
                mstore(hashAt, keccak256(words, size))
                mstore(contextAt, context)
                let id := keccak256(preimage, 0xa0)
                mstore(to, id)
                mstore(0x00, id)
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(leaf, keccak256(0x00, 0x20))
                words := add(words, size)
                to := add(to, 0x20)
                leaf := add(leaf, 0x20)
            }
        }
    }

    /// @notice The outputs of predictions, one after the other.
    /// @param schema What the instances stand for.
    /// @param words The words of all predictions.
    /// @param count The number of predictions, from the first on.
    /// @return outputs The outputs, packed; or as words if one of them all does not fit its width.
    function outputsOf(
        bytes memory schema,
        uint256[] memory words,
        uint256 count
    ) internal pure returns (bytes memory outputs) {
        uint256 step = 32 * Instances.partLength(schema);
        (uint256 runs, uint256 inputs) = _outputRuns(schema);
        uint256 from;
        uint256 to;
        assembly ("memory-safe") {
            from := add(add(words, 0x20), inputs)
            // Words need the most room, and a word is written for each number, wherever it ends.
            outputs := mload(0x40)
            to := add(outputs, 0x20)
            mstore(0x40, add(to, add(mul(count, sub(step, inputs)), 0x20)))
        }
        uint256 end = to;
        uint256 last = from + step * count;
        if (runs + SchemaLib.RUN_SIZE == _endOf(schema)) {
            (uint256 width, uint256 length) = _runAt(runs);
            end = _packRun(from, last, step, length, width, to);
        } else {
            for (uint256 part = from; part < last && end != 0; part += step) {
                end = _packRuns(schema, runs, part, end);
            }
        }
        if (end == 0) end = _copy(from, last, step, step - inputs, to);
        assembly ("memory-safe") {
            mstore(outputs, sub(end, to))
        }
    }

    /// @dev Where the first run of outputs stands in a schema, and how many bytes of a prediction's words are before
    /// its outputs.
    function _outputRuns(
        bytes memory schema
    ) private pure returns (uint256 at, uint256 inputs) {
        assembly ("memory-safe") {
            at := add(schema, 0x24)
            for { let end := add(add(schema, 0x20), mload(schema)) } lt(at, end) { at := add(at, 7) } {
                let run := mload(at)
                // Up to `TensorKind.Output`.
                if gt(byte(0, run), 2) { break }
                inputs := add(inputs, mul(and(shr(200, run), 0xffffffff), 0x20))
            }
        }
    }

    /// @dev Packs the outputs of one prediction.
    /// @return The place behind them, or zero if one does not fit its width.
    function _packRuns(
        bytes memory schema,
        uint256 at,
        uint256 from,
        uint256 to
    ) private pure returns (uint256) {
        for (uint256 end = _endOf(schema); at < end && to != 0; at += SchemaLib.RUN_SIZE) {
            (uint256 width, uint256 length) = _runAt(at);
            to = _packRun(from, from + length, length, length, width, to);
            from += length;
        }
        return to;
    }

    /// @dev Packs `length` bytes of words at `from`, and at each next place `step` behind, before `end`.
    /// @return next The place behind them, or zero if one does not fit its width.
    function _packRun(
        uint256 from,
        uint256 end,
        uint256 step,
        uint256 length,
        uint256 width,
        uint256 to
    ) private pure returns (uint256 next) {
        if (width == 32) return _copy(from, end, step, length, to);
        uint256 modulus = FixedPoint.SCALAR_MODULUS;
        assembly ("memory-safe") {
            let bad := 0
            let shift := sub(256, mul(width, 8))
            let half := shr(1, modulus)
            let gap := sub(step, length)
            let last := add(from, length)
            for {} lt(from, end) {} {
                let value := mload(from)
                // What is in the upper half of the field is negative.
                value := sub(value, mul(gt(value, half), modulus))
                let top := shl(shift, value)
                bad := or(bad, xor(sar(shift, top), value))
                mstore(to, top)
                to := add(to, width)
                from := add(from, 0x20)
                if eq(from, last) {
                    from := add(from, gap)
                    last := add(last, step)
                }
            }
            next := mul(to, iszero(bad))
        }
    }

    /// @dev As `_packRun`, as words.
    function _copy(
        uint256 from,
        uint256 end,
        uint256 step,
        uint256 length,
        uint256 to
    ) private pure returns (uint256) {
        assembly ("memory-safe") {
            for {} lt(from, end) { from := add(from, step) } {
                mcopy(to, from, length)
                to := add(to, length)
            }
        }
        return to;
    }

    /// @dev A run's width, and the bytes of its words.
    function _runAt(
        uint256 at
    ) private pure returns (uint256 width, uint256 length) {
        assembly ("memory-safe") {
            let run := mload(at)
            width := byte(2, run)
            length := mul(and(shr(200, run), 0xffffffff), 0x20)
        }
    }

    function _endOf(
        bytes memory schema
    ) private pure returns (uint256 end) {
        assembly ("memory-safe") {
            end := add(add(schema, 0x20), mload(schema))
        }
    }
}
