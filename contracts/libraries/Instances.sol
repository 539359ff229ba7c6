// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelVerifierErrors} from "../interfaces/IModelVerifier.sol";
import {FixedPoint} from "./FixedPoint.sol";
import {SchemaLib} from "./SchemaLib.sol";

/// @title A proof's instances as words and packed, and the part of each prediction
/// @notice A schema (see `SchemaLib`) says how wide each instance is when packed and which belong to which prediction.
/// Its runs stand one after the other. In a proof about N predictions a run of `count` instances has N × count of
/// them,
/// in the order of the predictions; only the hash of the parameters stands there once, for all of them.
/// @dev Schemas come from verifiers, which made them of a checked descriptor. A run is read from one word, from which
/// its fields are taken: uint8 kind ‖ int8 scale ‖ uint8 width ‖ uint32 count. The loops run for each instance of
/// each
/// proof, hence the assembly.
library Instances {
    /// @notice The numbers of a proof's instances and of the bytes that they are packed in.
    /// @param schema The schema.
    /// @return count The number of instances.
    /// @return size The number of bytes.
    function sizes(
        bytes memory schema
    ) internal pure returns (uint256 count, uint256 size) {
        assembly ("memory-safe") {
            let predictions := shr(224, mload(add(schema, 0x20)))
            let end := add(add(schema, 0x20), mload(schema))
            for { let at := add(schema, 0x24) } lt(at, end) { at := add(at, 7) } {
                let run := mload(at)
                let length := and(shr(200, run), 0xffffffff)
                if xor(byte(0, run), 1) { length := mul(length, predictions) }
                count := add(count, length)
                size := add(size, mul(length, byte(2, run)))
            }
        }
    }

    /// @notice The number of instances of one prediction.
    /// @param schema The schema.
    /// @return length The number.
    function partLength(
        bytes memory schema
    ) internal pure returns (uint256 length) {
        assembly ("memory-safe") {
            let end := add(add(schema, 0x20), mload(schema))
            for { let at := add(schema, 0x24) } lt(at, end) { at := add(at, 7) } {
                length := add(length, and(shr(200, mload(at)), 0xffffffff))
            }
        }
    }

    /// @notice The instances of all predictions that proofs are about, one prediction's after the other's.
    /// @param schema The schema.
    /// @param instances The instances of each proof.
    /// @return words The words.
    function byPrediction(
        bytes memory schema,
        uint256[][] calldata instances
    ) internal pure returns (uint256[] memory words) {
        (uint256 count,) = sizes(schema);
        uint256 length = partLength(schema);
        uint256 step = 32 * length;
        length *= SchemaLib.predictionsOf(schema);
        uint256 size = 32 * length;
        words = _allocate(length * instances.length);
        uint256 to = _first(words);
        for (uint256 i = 0; i < instances.length; ++i) {
            uint256[] calldata item = instances[i];
            if (item.length != count) revert IModelVerifierErrors.InstanceCountMismatch(item.length, count);
            if (size == step) {
                assembly ("memory-safe") {
                    calldatacopy(to, item.offset, size)
                }
            } else {
                _distribute(schema, item, step, size, to);
            }
            to += size;
        }
    }

    /// @notice The instances of all predictions that proofs are about, one prediction's after the other's.
    /// @param schema The schema.
    /// @param packed The packed instances of each proof, whose whole words were seen to be scalars.
    /// @return words The words.
    function byPrediction(
        bytes memory schema,
        bytes[] calldata packed
    ) internal pure returns (uint256[] memory words) {
        (uint256 count, uint256 packedSize) = sizes(schema);
        uint256 length = partLength(schema);
        uint256 step = 32 * length;
        length *= SchemaLib.predictionsOf(schema);
        uint256 size = 32 * length;
        words = _allocate(length * packed.length);
        uint256 to = _first(words);
        // One proof at a time, in its own order.
        uint256 scratch = size == step ? 0 : _first(_allocate(count));
        for (uint256 i = 0; i < packed.length; ++i) {
            if (size == step) {
                _unpack(schema, packed[i], packedSize, to);
            } else {
                _unpack(schema, packed[i], packedSize, scratch);
                _distribute(schema, scratch, step, size, to);
            }
            to += size;
        }
    }

    /// @notice The instances of one proof.
    /// @param schema The schema.
    /// @param packed Its packed instances, whose whole words were seen to be scalars.
    /// @return words The words.
    function unpack(
        bytes memory schema,
        bytes calldata packed
    ) internal pure returns (uint256[] memory words) {
        (uint256 count, uint256 size) = sizes(schema);
        words = _allocate(count);
        _unpack(schema, packed, size, _first(words));
    }

    /// @notice Reverts unless packed instances have the right length and those that are whole words are scalars.
    /// @param schema The schema.
    /// @param packed The packed instances.
    /// @param size Their length in bytes, of `sizes`.
    function requirePacked(
        bytes memory schema,
        bytes calldata packed,
        uint256 size
    ) internal pure {
        if (packed.length != size) revert IModelVerifierErrors.PackedLengthMismatch(packed.length, size);
        uint256 last = FixedPoint.SCALAR_MODULUS - 1;
        bool bad;
        assembly ("memory-safe") {
            let from := packed.offset
            let predictions := shr(224, mload(add(schema, 0x20)))
            let end := add(add(schema, 0x20), mload(schema))
            for { let at := add(schema, 0x24) } lt(at, end) { at := add(at, 7) } {
                let run := mload(at)
                let length := and(shr(200, run), 0xffffffff)
                if xor(byte(0, run), 1) { length := mul(length, predictions) }
                let width := byte(2, run)
                let next := add(from, mul(length, width))
                if eq(width, 0x20) {
                    for {} lt(from, next) { from := add(from, 0x20) } { bad := or(bad, gt(calldataload(from), last)) }
                }
                from := next
            }
        }
        if (bad) _refuse(schema, packed);
    }

    /// @notice The packed form of one proof's instances, if each fits its width: there is no other.
    /// @param schema The schema.
    /// @param words The instances.
    /// @return fits Whether they do, and are scalars at all.
    /// @return packed Their packed form.
    function tryPack(
        bytes memory schema,
        uint256[] memory words
    ) internal pure returns (bool fits, bytes memory packed) {
        (uint256 count, uint256 size) = sizes(schema);
        if (words.length != count) revert IModelVerifierErrors.InstanceCountMismatch(words.length, count);
        // A whole word is written for each number, so there must be room behind the last.
        packed = new bytes(size + 0x20);
        uint256 to;
        assembly ("memory-safe") {
            mstore(packed, size)
            to := add(packed, 0x20)
        }
        fits = _packRuns(schema, _first(words), to);
    }

    /// @notice The instances of one prediction.
    /// @param schema The schema.
    /// @param words The instances of all of them, as `byPrediction` returns them.
    /// @param index The prediction's number.
    /// @return part Its instances.
    function partOf(
        bytes memory schema,
        uint256[] memory words,
        uint256 index
    ) internal pure returns (uint256[] memory part) {
        uint256 length = partLength(schema);
        part = _allocate(length);
        assembly ("memory-safe") {
            let size := mul(length, 0x20)
            mcopy(add(part, 0x20), add(add(words, 0x20), mul(index, size)), size)
        }
    }

    /// @dev From the order of a proof to the order of its predictions, run by run: `step` bytes of words for each, and
    /// `size` for all of them.
    function _distribute(
        bytes memory schema,
        uint256[] calldata instances,
        uint256 step,
        uint256 size,
        uint256 start
    ) private pure {
        assembly ("memory-safe") {
            let from := instances.offset
            let end := add(add(schema, 0x20), mload(schema))
            for { let at := add(schema, 0x24) } lt(at, end) { at := add(at, 7) } {
                let run := mload(at)
                let length := mul(and(shr(200, run), 0xffffffff), 0x20)
                // The hash of the parameters is the same for all.
                let next := length
                if eq(byte(0, run), 1) { next := 0 }
                let to := start
                for { let last := add(to, size) } lt(to, last) { to := add(to, step) } {
                    calldatacopy(to, from, length)
                    from := add(from, next)
                }
                from := add(from, sub(length, next))
                start := add(start, length)
            }
        }
    }

    /// @dev From the order of a proof to the order of its predictions, run by run: `step` bytes of words for each, and
    /// `size` for all of them.
    function _distribute(
        bytes memory schema,
        uint256 words,
        uint256 step,
        uint256 size,
        uint256 start
    ) private pure {
        assembly ("memory-safe") {
            let from := words
            let end := add(add(schema, 0x20), mload(schema))
            for { let at := add(schema, 0x24) } lt(at, end) { at := add(at, 7) } {
                let run := mload(at)
                let length := mul(and(shr(200, run), 0xffffffff), 0x20)
                // The hash of the parameters is the same for all.
                let next := length
                if eq(byte(0, run), 1) { next := 0 }
                let to := start
                for { let last := add(to, size) } lt(to, last) { to := add(to, step) } {
                    mcopy(to, from, length)
                    from := add(from, next)
                }
                from := add(from, sub(length, next))
                start := add(start, length)
            }
        }
    }

    /// @dev Packs scalars at `from`, by the runs of a schema, to `to`.
    function _packRuns(
        bytes memory schema,
        uint256 from,
        uint256 to
    ) private pure returns (bool fits) {
        uint256 modulus = FixedPoint.SCALAR_MODULUS;
        assembly ("memory-safe") {
            let bad := 0
            let predictions := shr(224, mload(add(schema, 0x20)))
            let end := add(add(schema, 0x20), mload(schema))
            for { let at := add(schema, 0x24) } lt(at, end) { at := add(at, 7) } {
                let run := mload(at)
                let length := and(shr(200, run), 0xffffffff)
                if xor(byte(0, run), 1) { length := mul(length, predictions) }
                let width := byte(2, run)
                let shift := sub(256, mul(width, 8))
                for { let last := add(from, mul(length, 0x20)) } lt(from, last) { from := add(from, 0x20) } {
                    let word := mload(from)
                    bad := or(bad, iszero(lt(word, modulus)))
                    if shift {
                        // What is in the upper half of the field is negative.
                        word := sub(word, mul(gt(word, shr(1, modulus)), modulus))
                        bad := or(bad, xor(signextend(sub(width, 1), word), word))
                    }
                    mstore(to, shl(shift, word))
                    to := add(to, width)
                }
            }
            fits := iszero(bad)
        }
    }

    /// @dev Unpacks a proof's instances to `to`.
    function _unpack(
        bytes memory schema,
        bytes calldata packed,
        uint256 size,
        uint256 to
    ) private pure {
        if (packed.length != size) revert IModelVerifierErrors.PackedLengthMismatch(packed.length, size);
        uint256 predictions = SchemaLib.predictionsOf(schema);
        uint256 from;
        uint256 at;
        uint256 end;
        assembly ("memory-safe") {
            from := packed.offset
            at := add(schema, 0x24)
            end := add(add(schema, 0x20), mload(schema))
        }
        for (; at < end;) {
            uint256 width;
            uint256 length;
            assembly ("memory-safe") {
                let run := mload(at)
                width := byte(2, run)
                length := and(shr(200, run), 0xffffffff)
                if xor(byte(0, run), 1) { length := mul(length, predictions) }
                at := add(at, 7)
            }
            unchecked {
                // Within the calldata, whose length is right, and within the words.
                uint256 last = to + 32 * length;
                _unpackRun(from, width, to, last);
                from += width * length;
                to = last;
            }
        }
    }

    /// @dev Unpacks what begins at `from` in the calldata to the words from `to` to `last`.
    function _unpackRun(
        uint256 from,
        uint256 width,
        uint256 to,
        uint256 last
    ) private pure {
        uint256 modulus = FixedPoint.SCALAR_MODULUS;
        assembly ("memory-safe") {
            if eq(width, 0x20) {
                calldatacopy(to, from, sub(last, to))
                to := last
            }
            // A negative number -x is the scalar r - x. Eight at a time, then the rest.
            let shift := sub(256, mul(width, 8))
            let value
            for { let eights := sub(last, and(sub(last, to), 0xff)) } lt(to, eights) { to := add(to, 0x100) } {
                value := sar(shift, calldataload(from))
                mstore(to, add(value, and(sar(255, value), modulus)))
                from := add(from, width)
                value := sar(shift, calldataload(from))
                mstore(add(to, 0x20), add(value, and(sar(255, value), modulus)))
                from := add(from, width)
                value := sar(shift, calldataload(from))
                mstore(add(to, 0x40), add(value, and(sar(255, value), modulus)))
                from := add(from, width)
                value := sar(shift, calldataload(from))
                mstore(add(to, 0x60), add(value, and(sar(255, value), modulus)))
                from := add(from, width)
                value := sar(shift, calldataload(from))
                mstore(add(to, 0x80), add(value, and(sar(255, value), modulus)))
                from := add(from, width)
                value := sar(shift, calldataload(from))
                mstore(add(to, 0xa0), add(value, and(sar(255, value), modulus)))
                from := add(from, width)
                value := sar(shift, calldataload(from))
                mstore(add(to, 0xc0), add(value, and(sar(255, value), modulus)))
                from := add(from, width)
                value := sar(shift, calldataload(from))
                mstore(add(to, 0xe0), add(value, and(sar(255, value), modulus)))
                from := add(from, width)
            }
            for {} lt(to, last) { to := add(to, 0x20) } {
                value := sar(shift, calldataload(from))
                mstore(to, add(value, and(sar(255, value), modulus)))
                from := add(from, width)
            }
        }
    }

    /// @dev Reverts for the first whole word that is no scalar.
    function _refuse(
        bytes memory schema,
        bytes calldata packed
    ) private pure {
        uint256 predictions = SchemaLib.predictionsOf(schema);
        uint256 index = 0;
        uint256 from = 0;
        for (uint256 offset = SchemaLib.HEAD_SIZE; offset < schema.length; offset += SchemaLib.RUN_SIZE) {
            uint256 width = uint8(schema[offset + 2]);
            uint256 length = uint32(bytes4(_word(schema, offset + 3)));
            if (uint8(schema[offset]) != 1) length *= predictions;
            for (uint256 i = 0; i < length && width == 32; ++i) {
                uint256 word = uint256(bytes32(packed[from + 32 * i:]));
                if (word >= FixedPoint.SCALAR_MODULUS) {
                    revert IModelVerifierErrors.InstanceOutOfField(index + i, word);
                }
            }
            index += length;
            from += length * width;
        }
    }

    function _word(
        bytes memory data,
        uint256 offset
    ) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), offset))
        }
    }

    function _first(
        uint256[] memory words
    ) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := add(words, 0x20)
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
