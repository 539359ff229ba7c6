// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Tensor, TensorKind} from "../interfaces/IModelVerifier.sol";

/// @title What a proof's instances stand for
/// @notice Two encodings, both big endian and without padding, in the order of the instances.
///
/// A *descriptor* has every tensor of a proof with its shape, and the number N of predictions that a proof is about; it
/// is what a model is added with:
///
///     uint8 version (2) ‖ uint32 N ‖ { uint8 kind ‖ int8 scale ‖ uint8 width ‖ uint8 rank ‖ rank × uint32
/// dimension }
///
/// A *schema* is derived from it for reading the instances of one prediction cheaply:
///
///     uint32 N ‖ { uint8 kind ‖ int8 scale ‖ uint8 width ‖ uint32 count }
///
/// The kinds are `TensorKind`'s numbers. Outputs come last. The scale of a hash or commitment is zero, its width 32.
///
/// Where a proof is about several predictions, each tensor is N equal parts one after the other, and the i-th part is
/// the i-th prediction's; but the hash of the parameters is whole in every prediction. So each tensor is a run. Where
/// it is about one, adjacent tensors of one kind, scale and width are one run.
library SchemaLib {
    /// @notice The descriptor begins with another version than 2.
    error UnknownDescriptorVersion();

    /// @notice A proof is about 1 to 65,535 predictions.
    error PredictionsOutOfRange(uint256 predictions);

    /// @notice The descriptor ends within its head or within a tensor.
    error DescriptorTruncated(uint256 offset);

    /// @notice A byte that names no kind of tensor.
    error UnknownTensorKind(uint256 offset, uint8 kind);

    /// @notice A packed instance has 1, 2, 4, 8, 16 or 32 bytes; a hash or commitment has 32.
    error WidthRefused(uint256 offset, uint8 width);

    /// @notice A hash or commitment has no scale.
    error ScaleOfProcessedTensor(uint256 offset);

    /// @notice A dimension of zero, or more than 2^32 - 1 elements.
    error ElementCountOutOfRange(uint256 offset);

    /// @notice The elements of a tensor can't be shared out among the predictions equally.
    error TensorIndivisible(uint256 offset, uint256 predictions);

    /// @notice An input or a parameter follows an output.
    error TensorAfterOutput(uint256 offset);

    /// @notice The tensors form more runs than a schema holds.
    error TooManyRuns(uint256 maximum);

    /// @notice There is no such element.
    error NoSuchElement(TensorKind kind, uint256 index);

    /// @notice Bytes before the first run of a schema.
    uint256 internal constant HEAD_SIZE = 4;

    /// @notice Bytes of one run in a schema.
    uint256 internal constant RUN_SIZE = 7;

    /// @notice The most runs in a schema.
    uint256 internal constant MAX_RUNS = 21;

    /// @dev The descriptor's version and its number of predictions.
    uint256 private constant _DESCRIPTOR_HEAD = 5;

    /// @dev Of one tensor in a descriptor, without its dimensions.
    uint256 private constant _TENSOR_HEAD = 4;

    /// @dev A tensor as the descriptor has it, and where the next one begins.
    struct Entry {
        uint8 kind;
        int8 scale;
        uint8 width;
        uint256 count;
        uint256 end;
    }

    /// @notice The schema of a descriptor, which is checked throughout.
    /// @param descriptor The descriptor.
    /// @return schema The schema.
    /// @return total The number of a proof's instances.
    function fromDescriptor(
        bytes memory descriptor
    ) internal pure returns (bytes memory schema, uint256 total) {
        if (descriptor.length < _DESCRIPTOR_HEAD) revert DescriptorTruncated(0);
        if (uint8(descriptor[0]) != 2) revert UnknownDescriptorVersion();
        uint256 predictions = _uint32At(descriptor, 1);
        if (predictions == 0 || predictions > type(uint16).max) revert PredictionsOutOfRange(predictions);
        // forge-lint: disable-next-line(unsafe-typecast)
        schema = abi.encodePacked(uint32(predictions));

        Entry memory run;
        for (uint256 offset = _DESCRIPTOR_HEAD; offset < descriptor.length;) {
            Entry memory entry = _entryAt(descriptor, offset);
            total += entry.count;
            if (total > type(uint32).max) revert ElementCountOutOfRange(offset);
            if (run.count != 0 && isOutput(run.kind) && !isOutput(entry.kind)) revert TensorAfterOutput(offset);
            if (predictions != 1 && entry.kind != uint8(TensorKind.ProcessedParam)) {
                if (entry.count % predictions != 0) revert TensorIndivisible(offset, predictions);
                entry.count /= predictions;
            }
            if (predictions == 1 && run.count != 0 && _alike(run, entry)) {
                entry.count += run.count;
            } else if (run.count != 0) {
                schema = _append(schema, run);
            }
            run = entry;
            offset = entry.end;
        }
        if (run.count != 0) schema = _append(schema, run);
        if (schema.length > HEAD_SIZE + MAX_RUNS * RUN_SIZE) revert TooManyRuns(MAX_RUNS);
    }

    /// @notice The tensors of a descriptor that `fromDescriptor` accepted.
    /// @param descriptor The descriptor.
    /// @return list The tensors, in order.
    function toTensors(
        bytes memory descriptor
    ) internal pure returns (Tensor[] memory list) {
        uint256 count = 0;
        for (uint256 offset = _DESCRIPTOR_HEAD; offset < descriptor.length; ++count) {
            offset += _TENSOR_HEAD + 4 * uint256(uint8(descriptor[offset + 3]));
        }
        list = new Tensor[](count);
        uint256 cursor = _DESCRIPTOR_HEAD;
        for (uint256 i = 0; i < count; ++i) {
            uint32[] memory shape = new uint32[](uint8(descriptor[cursor + 3]));
            list[i] = Tensor(
                TensorKind(uint8(descriptor[cursor])),
                int8(uint8(descriptor[cursor + 1])),
                uint8(descriptor[cursor + 2]),
                shape
            );
            cursor += _TENSOR_HEAD;
            for (uint256 d = 0; d < shape.length; ++d) {
                shape[d] = _uint32At(descriptor, cursor);
                cursor += 4;
            }
        }
    }

    /// @notice How many predictions a proof is about.
    /// @param schema The schema.
    /// @return count The number, at least one.
    function predictionsOf(
        bytes memory schema
    ) internal pure returns (uint256 count) {
        return _uint32At(schema, 0);
    }

    /// @notice How many instances of one prediction are outputs, public or processed; they are the last ones.
    /// @param schema The schema.
    /// @return count The number.
    function outputCount(
        bytes memory schema
    ) internal pure returns (uint256 count) {
        assembly ("memory-safe") {
            // From the last run back to the first that is none: `TensorKind.Output` is 3.
            let first := add(schema, 0x24)
            for { let at := sub(add(add(schema, 0x20), mload(schema)), 7) } iszero(lt(at, first)) { at := sub(at, 7) } {
                let run := mload(at)
                if lt(byte(0, run), 3) { break }
                count := add(count, and(shr(200, run), 0xffffffff))
            }
        }
    }

    /// @notice How many instances of one prediction are of one kind.
    /// @param schema The schema.
    /// @param kind The kind.
    /// @return count The number.
    function countOf(
        bytes memory schema,
        TensorKind kind
    ) internal pure returns (uint256 count) {
        for (uint256 offset = HEAD_SIZE; offset < schema.length; offset += RUN_SIZE) {
            (uint8 runKind,, uint256 length) = _runAt(schema, offset);
            if (runKind == uint8(kind)) count += length;
        }
    }

    /// @notice Where the element number `index` of one kind stands.
    /// @param schema The schema.
    /// @param kind The kind.
    /// @param index The number among the elements of that kind, from zero.
    /// @return position Its place among the instances of one prediction.
    /// @return scale Its scale.
    function locate(
        bytes memory schema,
        TensorKind kind,
        uint256 index
    ) internal pure returns (uint256 position, int8 scale) {
        uint256 left = index;
        for (uint256 offset = HEAD_SIZE; offset < schema.length; offset += RUN_SIZE) {
            (uint8 runKind, int8 runScale, uint256 length) = _runAt(schema, offset);
            if (runKind == uint8(kind)) {
                if (left < length) return (position + left, runScale);
                left -= length;
            }
            position += length;
        }
        revert NoSuchElement(kind, index);
    }

    /// @notice Whether a kind is an output's, public or processed.
    /// @param kind The number of a `TensorKind`.
    /// @return Whether it is.
    function isOutput(
        uint8 kind
    ) internal pure returns (bool) {
        return kind >= uint8(TensorKind.Output);
    }

    function _alike(
        Entry memory one,
        Entry memory other
    ) private pure returns (bool) {
        return one.kind == other.kind && one.scale == other.scale && one.width == other.width;
    }

    function _append(
        bytes memory schema,
        Entry memory run
    ) private pure returns (bytes memory) {
        // No run counts more than all of them, which fits.
        // forge-lint: disable-next-line(unsafe-typecast)
        return abi.encodePacked(schema, run.kind, run.scale, run.width, uint32(run.count));
    }

    function _entryAt(
        bytes memory descriptor,
        uint256 start
    ) private pure returns (Entry memory entry) {
        if (descriptor.length < start + _TENSOR_HEAD) revert DescriptorTruncated(start);
        uint8 kind = uint8(descriptor[start]);
        if (kind > uint8(type(TensorKind).max)) revert UnknownTensorKind(start, kind);
        int8 scale = int8(uint8(descriptor[start + 1]));
        uint8 width = uint8(descriptor[start + 2]);
        bool processed = kind != uint8(TensorKind.Input) && kind != uint8(TensorKind.Output);
        if (processed && scale != 0) revert ScaleOfProcessedTensor(start);
        bool known = width == 32 || (!processed && width != 0 && width <= 16 && width & (width - 1) == 0);
        if (!known) revert WidthRefused(start, width);
        uint256 end = start + _TENSOR_HEAD + 4 * uint256(uint8(descriptor[start + 3]));
        if (descriptor.length < end) revert DescriptorTruncated(start);
        uint256 count = 1;
        for (uint256 cursor = start + _TENSOR_HEAD; cursor < end; cursor += 4) {
            count *= _uint32At(descriptor, cursor);
            if (count == 0 || count > type(uint32).max) revert ElementCountOutOfRange(start);
        }
        return Entry(kind, scale, width, count, end);
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
            length := and(shr(200, word), 0xffffffff)
        }
    }
}
