// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelVerifierErrors} from "../interfaces/IModelVerifier.sol";
import {FixedPoint} from "./FixedPoint.sol";
import {SchemaLib} from "./SchemaLib.sol";

/// @title A proof's instances as words and packed, and the part of each prediction
/// @notice A schema (see `SchemaLib`) says how wide each instance is when packed and which belong to which prediction.
/// Its runs stand one after the other. In a proof about N predictions a run of `count` instances has N × count of them,
/// in the order of the predictions; only the hash of the parameters stands there once, for all of them.
/// @dev Schemas come from verifiers, which made them of a checked descriptor.
library Instances {
    /// @dev A run's bytes in a schema: uint8 kind ‖ int8 scale ‖ uint8 width ‖ uint32 count.
    uint256 private constant _RUN_SIZE = 7;

    /// @notice The numbers of a proof's instances and of the bytes that they are packed in.
    /// @param schema The schema.
    /// @return count The number of instances.
    /// @return size The number of bytes.
    function sizes(
        bytes memory schema
    ) internal pure returns (uint256 count, uint256 size) {
        uint256 predictions = SchemaLib.predictionsOf(schema);
        (uint256 at, uint256 end) = _runs(schema);
        for (; at < end; at += _RUN_SIZE) {
            (uint256 length, uint256 width, uint256 blocks) = _runAt(at, predictions);
            unchecked {
                // At most 21 runs of 2^32 instances.
                length *= blocks;
                count += length;
                size += length * width;
            }
        }
    }

    /// @notice The words of all proofs, one after the other.
    /// @param schema The schema.
    /// @param instances The instances of each proof.
    /// @return words The words.
    function toWords(
        bytes memory schema,
        uint256[][] calldata instances
    ) internal pure returns (uint256[] memory words) {
        (uint256 count,) = sizes(schema);
        words = _allocate(count * instances.length);
        for (uint256 i = 0; i < instances.length; ++i) {
            uint256[] calldata item = instances[i];
            if (item.length != count) revert IModelVerifierErrors.InstanceCountMismatch(item.length, count);
            assembly ("memory-safe") {
                let size := mul(count, 0x20)
                calldatacopy(add(add(words, 0x20), mul(i, size)), item.offset, size)
            }
        }
    }

    /// @notice The words of all proofs, one after the other.
    /// @param schema The schema.
    /// @param packed The packed instances of each proof.
    /// @return words The words.
    function toWords(
        bytes memory schema,
        bytes[] calldata packed
    ) internal pure returns (uint256[] memory words) {
        (uint256 count, uint256 size) = sizes(schema);
        words = _allocate(count * packed.length);
        for (uint256 i = 0; i < packed.length; ++i) {
            _unpack(schema, packed[i], size, words, i * count);
        }
    }

    /// @notice The words of one proof.
    /// @param schema The schema.
    /// @param packed The packed instances.
    /// @return words The words.
    function toWords(
        bytes memory schema,
        bytes calldata packed
    ) internal pure returns (uint256[] memory words) {
        (uint256 count, uint256 size) = sizes(schema);
        words = _allocate(count);
        _unpack(schema, packed, size, words, 0);
    }

    /// @notice Reverts unless packed instances have the right length and those that are whole words are scalars.
    /// @param schema The schema.
    /// @param packed The packed instances.
    function requirePacked(
        bytes memory schema,
        bytes calldata packed
    ) internal pure {
        uint256 predictions = SchemaLib.predictionsOf(schema);
        (uint256 count, uint256 size) = sizes(schema);
        if (packed.length != size) revert IModelVerifierErrors.PackedLengthMismatch(packed.length, size);
        count = 0;
        size = 0;
        (uint256 at, uint256 end) = _runs(schema);
        for (; at < end; at += _RUN_SIZE) {
            (uint256 length, uint256 width, uint256 blocks) = _runAt(at, predictions);
            length *= blocks;
            if (width == 32) {
                for (uint256 i = 0; i < length; ++i) {
                    uint256 word = uint256(bytes32(packed[size + 32 * i:]));
                    if (word >= FixedPoint.SCALAR_MODULUS) {
                        revert IModelVerifierErrors.InstanceOutOfField(count + i, word);
                    }
                }
            }
            count += length;
            size += length * width;
        }
    }

    /// @notice The packed form of one proof's instances, if each fits its width: there is no other.
    /// @param schema The schema.
    /// @param words The instances.
    /// @return fits Whether they do.
    /// @return packed Their packed form.
    function tryPack(
        bytes memory schema,
        uint256[] memory words
    ) internal pure returns (bool fits, bytes memory packed) {
        (uint256 count, uint256 size) = sizes(schema);
        if (words.length != count) revert IModelVerifierErrors.InstanceCountMismatch(words.length, count);
        // A whole word is written for each number, so there must be room behind the last.
        packed = new bytes(size + 32);
        uint256 to;
        uint256 from;
        assembly ("memory-safe") {
            mstore(packed, size)
            to := add(packed, 0x20)
            from := add(words, 0x20)
        }
        uint256 predictions = SchemaLib.predictionsOf(schema);
        (uint256 at, uint256 end) = _runs(schema);
        fits = true;
        for (; at < end; at += _RUN_SIZE) {
            (uint256 length, uint256 width, uint256 blocks) = _runAt(at, predictions);
            length *= blocks;
            fits = _packRun(to, from, length, width) && fits;
            to += length * width;
            from += length * 32;
        }
    }

    /// @notice The instances of one prediction.
    /// @param schema The schema.
    /// @param words The words of all proofs.
    /// @param index The prediction's number among those of all proofs.
    /// @return part Its instances.
    function partOf(
        bytes memory schema,
        uint256[] memory words,
        uint256 index
    ) internal pure returns (uint256[] memory part) {
        (uint256 count,) = sizes(schema);
        part = _allocate(partLength(schema));
        uint256 to;
        assembly ("memory-safe") {
            to := add(part, 0x20)
        }
        _gather(schema, words, count, index, to);
    }

    /// @notice The number of instances of one prediction.
    /// @param schema The schema.
    /// @return length The number.
    function partLength(
        bytes memory schema
    ) internal pure returns (uint256 length) {
        (uint256 at, uint256 end) = _runs(schema);
        for (; at < end; at += _RUN_SIZE) {
            (uint256 count,,) = _runAt(at, 1);
            length += count;
        }
    }

    /// @notice What the ledger keeps and tells of predictions.
    /// @param schema The schema.
    /// @param words The words of all proofs.
    /// @param count The number of predictions, from the first on.
    /// @return hashes keccak256 of each one's instances, 32 bytes each.
    /// @return outputs The outputs of one after the other: packed, or as words if one of them all does not fit its width.
    function digest(
        bytes memory schema,
        uint256[] memory words,
        uint256 count
    ) internal pure returns (bytes32[] memory hashes, bytes memory outputs) {
        (uint256 stride,) = sizes(schema);
        uint256 size = 32 * partLength(schema);
        uint256 outputSize = 32 * SchemaLib.outputCount(schema);
        hashes = new bytes32[](count);
        outputs = new bytes(count * outputSize + 32);
        // The free memory is used as scratch and stays free.
        uint256 part;
        uint256 to;
        assembly ("memory-safe") {
            part := mload(0x40)
            to := add(outputs, 0x20)
        }
        bool fits = true;
        for (uint256 i = 0; i < count; ++i) {
            _gather(schema, words, stride, i, part);
            assembly ("memory-safe") {
                mstore(add(add(hashes, 0x20), mul(i, 0x20)), keccak256(part, size))
            }
            if (fits) (to, fits) = _packOutputs(schema, to, part);
        }
        if (!fits) {
            assembly ("memory-safe") {
                to := add(outputs, 0x20)
            }
            for (uint256 i = 0; i < count; ++i) {
                _gather(schema, words, stride, i, part);
                assembly ("memory-safe") {
                    mcopy(to, add(part, sub(size, outputSize)), outputSize)
                    to := add(to, outputSize)
                }
            }
        }
        assembly ("memory-safe") {
            mstore(outputs, sub(sub(to, outputs), 0x20))
        }
    }

    /// @dev Copies a prediction's instances to `to`, where `stride` is the number of a proof's instances.
    function _gather(
        bytes memory schema,
        uint256[] memory words,
        uint256 stride,
        uint256 index,
        uint256 to
    ) private pure {
        assembly ("memory-safe") {
            let predictions := shr(224, mload(add(schema, 0x20)))
            let from := add(add(words, 0x20), mul(div(index, predictions), mul(stride, 0x20)))
            switch predictions
            case 1 { mcopy(to, from, mul(stride, 0x20)) }
            default {
                let slot := mod(index, predictions)
                let end := add(add(schema, 0x20), mload(schema))
                for { let at := add(schema, 0x24) } lt(at, end) { at := add(at, _RUN_SIZE) } {
                    let run := mload(at)
                    let size := mul(and(shr(200, run), 0xffffffff), 0x20)
                    // The hash of the parameters is the same for all.
                    let alone := iszero(eq(byte(0, run), 1))
                    mcopy(to, add(from, mul(mul(slot, size), alone)), size)
                    to := add(to, size)
                    from := add(from, mul(size, add(1, mul(sub(predictions, 1), alone))))
                }
            }
        }
    }

    /// @dev Packs the outputs of the prediction at `part` to `to`.
    function _packOutputs(
        bytes memory schema,
        uint256 to,
        uint256 part
    ) private pure returns (uint256, bool fits) {
        fits = true;
        (uint256 at, uint256 end) = _runs(schema);
        for (; at < end; at += _RUN_SIZE) {
            (uint256 length, uint256 width,) = _runAt(at, 1);
            if (SchemaLib.isOutput(_kindAt(at))) {
                fits = _packRun(to, part, length, width) && fits;
                to += length * width;
            }
            part += length * 32;
        }
        return (to, fits);
    }

    /// @dev Packs `length` words at `from` to `to`.
    function _packRun(
        uint256 to,
        uint256 from,
        uint256 length,
        uint256 width
    ) private pure returns (bool fits) {
        uint256 modulus = FixedPoint.SCALAR_MODULUS;
        assembly ("memory-safe") {
            fits := 1
            let shift := sub(256, mul(8, width))
            for { let end := add(from, mul(length, 0x20)) } lt(from, end) { from := add(from, 0x20) } {
                let word := mload(from)
                if iszero(lt(word, modulus)) { fits := 0 }
                if lt(width, 0x20) {
                    // What is in the upper half of the field is negative.
                    if gt(word, shr(1, modulus)) { word := sub(word, modulus) }
                    if iszero(eq(signextend(sub(width, 1), word), word)) { fits := 0 }
                }
                mstore(to, shl(shift, word))
                to := add(to, width)
            }
        }
    }

    function _unpack(
        bytes memory schema,
        bytes calldata packed,
        uint256 size,
        uint256[] memory words,
        uint256 first
    ) private pure {
        if (packed.length != size) revert IModelVerifierErrors.PackedLengthMismatch(packed.length, size);
        uint256 predictions = SchemaLib.predictionsOf(schema);
        uint256 from;
        uint256 to;
        assembly ("memory-safe") {
            from := packed.offset
            to := add(add(words, 0x20), mul(first, 0x20))
        }
        uint256 start = to;
        (uint256 at, uint256 end) = _runs(schema);
        for (; at < end; at += _RUN_SIZE) {
            (uint256 length, uint256 width, uint256 blocks) = _runAt(at, predictions);
            length *= blocks;
            if (width == 32) _copyScalars(to, from, length, (to - start) / 32);
            else _unpackRun(to, from, length, width);
            to += length * 32;
            from += length * width;
        }
    }

    /// @dev Copies scalars from the calldata; the first of them is the instance number `index`.
    function _copyScalars(
        uint256 to,
        uint256 from,
        uint256 length,
        uint256 index
    ) private pure {
        for (uint256 i = 0; i < length; ++i) {
            uint256 word;
            assembly ("memory-safe") {
                word := calldataload(add(from, mul(i, 0x20)))
                mstore(add(to, mul(i, 0x20)), word)
            }
            if (word >= FixedPoint.SCALAR_MODULUS) revert IModelVerifierErrors.InstanceOutOfField(index + i, word);
        }
    }

    /// @dev Unpacks signed numbers from the calldata.
    function _unpackRun(
        uint256 to,
        uint256 from,
        uint256 length,
        uint256 width
    ) private pure {
        uint256 modulus = FixedPoint.SCALAR_MODULUS;
        assembly ("memory-safe") {
            let shift := sub(256, mul(8, width))
            for { let end := add(to, mul(length, 0x20)) } lt(to, end) { to := add(to, 0x20) } {
                let value := sar(shift, calldataload(from))
                mstore(to, add(value, and(sar(255, value), modulus)))
                from := add(from, width)
            }
        }
    }

    /// @dev Where the runs of a schema begin and end.
    function _runs(
        bytes memory schema
    ) private pure returns (uint256 at, uint256 end) {
        assembly ("memory-safe") {
            at := add(schema, 0x24)
            end := add(add(schema, 0x20), mload(schema))
        }
    }

    /// @dev A run: its length in one prediction, its width, and how often it stands in a proof.
    function _runAt(
        uint256 at,
        uint256 predictions
    ) private pure returns (uint256 length, uint256 width, uint256 blocks) {
        assembly ("memory-safe") {
            let run := mload(at)
            length := and(shr(200, run), 0xffffffff)
            width := byte(2, run)
            blocks := predictions
            if eq(byte(0, run), 1) { blocks := 1 }
        }
    }

    function _kindAt(
        uint256 at
    ) private pure returns (uint8 kind) {
        assembly ("memory-safe") {
            kind := byte(0, mload(at))
        }
    }

    /// @dev Memory that is not cleared: the caller fills it.
    function _allocate(
        uint256 length
    ) private pure returns (uint256[] memory words) {
        assembly ("memory-safe") {
            words := mload(0x40)
            mstore(words, length)
            mstore(0x40, add(words, add(0x20, mul(length, 0x20))))
        }
    }
}
