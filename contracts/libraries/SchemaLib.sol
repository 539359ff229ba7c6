// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Tensor, TensorKind} from "../interfaces/IModelVerifier.sol";

/// @title What a proof's instances stand for
/// @notice Two encodings, both big endian and without padding, in the order of the instances.
///
/// A *descriptor* has every tensor with its shape; it is what a `ModelVerifier` is constructed with:
///
///     uint8 kind ‖ int8 scale ‖ uint8 rank ‖ rank × uint32 dimension
///
/// A *schema* is derived from it for reading instances cheaply: adjacent tensors of one kind and scale are one run.
///
///     uint8 kind ‖ int8 scale ‖ uint32 count
///
/// The kinds are `TensorKind`'s numbers. Outputs come last. The scale of a hash or commitment is zero.
library SchemaLib {
    /// @notice The descriptor ends within a tensor, or is empty though there are instances.
    error DescriptorTruncated(uint256 offset);

    /// @notice A byte that names no kind of tensor.
    error UnknownTensorKind(uint256 offset, uint8 kind);

    /// @notice A hash or commitment has no scale.
    error ScaleOfProcessedTensor(uint256 offset);

    /// @notice A dimension of zero, or more than 2^32 - 1 elements in a run.
    error ElementCountOutOfRange(uint256 offset);

    /// @notice An input or a parameter follows an output.
    error TensorAfterOutput(uint256 offset);

    /// @notice The tensors form more runs than a schema holds.
    error TooManyRuns(uint256 maximum);

    /// @notice There is no such element.
    error NoSuchElement(TensorKind kind, uint256 index);

    /// @notice Bytes of one run in a schema.
    uint256 internal constant RUN_SIZE = 6;

    /// @notice The most runs in a schema: they fill four words.
    uint256 internal constant MAX_RUNS = 21;

    /// @notice The schema of a descriptor, which is checked throughout.
    /// @param descriptor The descriptor.
    /// @return schema The schema.
    /// @return total The number of instances.
    function fromDescriptor(
        bytes memory descriptor
    ) internal pure returns (bytes memory schema, uint256 total) {
        uint256 offset = 0;
        uint8 runKind = type(uint8).max;
        int8 runScale = 0;
        uint256 runCount = 0;
        while (offset < descriptor.length) {
            uint256 start = offset;
            uint8 kind;
            int8 scale;
            uint256 count;
            (kind, scale, count, offset) = _tensorAt(descriptor, start);
            bool sameRun = kind == runKind && scale == runScale;
            if (!sameRun) {
                if (runCount != 0) schema = _append(schema, runKind, runScale, runCount);
                if (runCount != 0 && _isOutput(runKind) && !_isOutput(kind)) revert TensorAfterOutput(start);
                (runKind, runScale, runCount) = (kind, scale, 0);
            }
            runCount += count;
            if (runCount > type(uint32).max) revert ElementCountOutOfRange(start);
            total += count;
        }
        if (runCount != 0) schema = _append(schema, runKind, runScale, runCount);
        if (schema.length > MAX_RUNS * RUN_SIZE) revert TooManyRuns(MAX_RUNS);
    }

    /// @notice The tensors of a descriptor that `fromDescriptor` accepted.
    /// @param descriptor The descriptor.
    /// @return list The tensors, in order.
    function toTensors(
        bytes memory descriptor
    ) internal pure returns (Tensor[] memory list) {
        uint256 count = 0;
        for (uint256 offset = 0; offset < descriptor.length; ++count) {
            offset += 3 + 4 * uint256(uint8(descriptor[offset + 2]));
        }
        list = new Tensor[](count);
        uint256 cursor = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint32[] memory shape = new uint32[](uint8(descriptor[cursor + 2]));
            list[i] = Tensor(TensorKind(uint8(descriptor[cursor])), int8(uint8(descriptor[cursor + 1])), shape);
            cursor += 3;
            for (uint256 d = 0; d < shape.length; ++d) {
                shape[d] = _uint32At(descriptor, cursor);
                cursor += 4;
            }
        }
    }

    /// @notice Whether somebody's schema is one: whole runs of known kinds, outputs last, and so many instances in all.
    /// @param schema The schema.
    /// @param count The number of instances.
    /// @return Whether it is.
    function describes(
        bytes memory schema,
        uint256 count
    ) internal pure returns (bool) {
        if (schema.length % RUN_SIZE != 0) return false;
        uint256 total = 0;
        bool outputs = false;
        for (uint256 offset = 0; offset < schema.length; offset += RUN_SIZE) {
            (uint8 kind,, uint256 length) = _runAt(schema, offset);
            if (kind > uint8(type(TensorKind).max) || (outputs && !_isOutput(kind))) return false;
            outputs = _isOutput(kind);
            total += length;
        }
        return total == count;
    }

    /// @notice How many of the instances are outputs, public or processed; they are the last ones.
    /// @param schema The schema.
    /// @return count The number.
    function outputCount(
        bytes memory schema
    ) internal pure returns (uint256 count) {
        for (uint256 offset = 0; offset < schema.length; offset += RUN_SIZE) {
            (uint8 kind,, uint256 length) = _runAt(schema, offset);
            if (_isOutput(kind)) count += length;
        }
    }

    /// @notice How many instances are of one kind.
    /// @param schema The schema.
    /// @param kind The kind.
    /// @return count The number.
    function countOf(
        bytes memory schema,
        TensorKind kind
    ) internal pure returns (uint256 count) {
        for (uint256 offset = 0; offset < schema.length; offset += RUN_SIZE) {
            (uint8 runKind,, uint256 length) = _runAt(schema, offset);
            if (runKind == uint8(kind)) count += length;
        }
    }

    /// @notice Where the element number `index` of one kind stands.
    /// @param schema The schema.
    /// @param kind The kind.
    /// @param index The number among the elements of that kind, from zero.
    /// @return position Its place among the instances.
    /// @return scale Its scale.
    function locate(
        bytes memory schema,
        TensorKind kind,
        uint256 index
    ) internal pure returns (uint256 position, int8 scale) {
        uint256 left = index;
        for (uint256 offset = 0; offset < schema.length; offset += RUN_SIZE) {
            (uint8 runKind, int8 runScale, uint256 length) = _runAt(schema, offset);
            if (runKind == uint8(kind)) {
                if (left < length) return (position + left, runScale);
                left -= length;
            }
            position += length;
        }
        revert NoSuchElement(kind, index);
    }

    function _isOutput(
        uint8 kind
    ) private pure returns (bool) {
        return kind >= uint8(TensorKind.Output);
    }

    function _append(
        bytes memory schema,
        uint8 kind,
        int8 scale,
        uint256 count
    ) private pure returns (bytes memory) {
        // A run never counts beyond 2^32 - 1.
        // forge-lint: disable-next-line(unsafe-typecast)
        return abi.encodePacked(schema, kind, scale, uint32(count));
    }

    function _tensorAt(
        bytes memory descriptor,
        uint256 start
    ) private pure returns (uint8 kind, int8 scale, uint256 count, uint256 end) {
        if (descriptor.length < start + 3) revert DescriptorTruncated(start);
        kind = uint8(descriptor[start]);
        if (kind > uint8(type(TensorKind).max)) revert UnknownTensorKind(start, kind);
        scale = int8(uint8(descriptor[start + 1]));
        bool processed = kind != uint8(TensorKind.Input) && kind != uint8(TensorKind.Output);
        if (processed && scale != 0) revert ScaleOfProcessedTensor(start);
        uint256 rank = uint8(descriptor[start + 2]);
        end = start + 3 + 4 * rank;
        if (descriptor.length < end) revert DescriptorTruncated(start);
        count = 1;
        for (uint256 cursor = start + 3; cursor < end; cursor += 4) {
            count *= _uint32At(descriptor, cursor);
            if (count == 0 || count > type(uint32).max) revert ElementCountOutOfRange(start);
        }
    }

    function _uint32At(
        bytes memory data,
        uint256 offset
    ) private pure returns (uint32 value) {
        // The callers have checked that offset + 4 is within; a word's read beyond the end is cut off by the shift.
        assembly ("memory-safe") {
            value := shr(224, mload(add(add(data, 0x20), offset)))
        }
    }

    function _runAt(
        bytes memory schema,
        uint256 offset
    ) private pure returns (uint8 kind, int8 scale, uint256 length) {
        // A schema comes from a model verifier, hence in whole runs; what lies beyond would read as garbage counts and
        // then fail the bounds of the instances.
        assembly ("memory-safe") {
            let word := mload(add(add(schema, 0x20), offset))
            kind := shr(248, word)
            scale := signextend(0, shr(240, word))
            length := and(shr(208, word), 0xffffffff)
        }
    }
}
