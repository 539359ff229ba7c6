// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelArgs, ModelParts} from "../interfaces/IModelVerifier.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";

/// @notice What a clone needs for every verification, as it stands in its code. Read it by `TermsLib`.
type Terms is uint256;

using TermsLib for Terms global;

/// @title The immutable arguments of a model's clone, which stand behind the code of a proxy
/// @notice Big endian, without padding:
///
///     onnx 32 ‖ settings 32 ‖ srs 32 ‖ vk 32 ‖ verifier 20 ‖ verifierCodeHash 32 ‖ capabilities 1 ‖
/// proofLength 4 ‖
///     gasCap 8 ‖ guardian 20 ‖ instanceCount 4 ‖ engineLength 1 ‖ engine ‖ schemaLength 2 ‖ schema ‖
/// descriptor
///
/// `instanceCount` and the schema follow from the descriptor, which is the rest.
library ModelArgsLib {
    /// @dev Where OpenZeppelin's `Clones` has the arguments in a clone's code.
    uint256 private constant _ARGS = 0x2d;

    /// @dev The hashes that only the identity needs come first.
    uint256 private constant _HASHES = 0x80;

    /// @dev From the verifier to the engine's length, that included.
    uint256 private constant _FIXED = 0x5a;

    /// @notice The arguments of a clone.
    /// @param args What the model is made from, checked.
    /// @param instanceCount The number of a proof's instances, according to the descriptor.
    /// @param schema The descriptor's schema.
    /// @return The bytes.
    function encode(
        ModelArgs calldata args,
        uint256 instanceCount,
        bytes memory schema
    ) internal pure returns (bytes memory) {
        ModelParts calldata parts = args.parts;
        // The router has checked that the lengths and the count fit.
        // forge-lint: disable-start(unsafe-typecast)
        bytes memory terms = abi.encodePacked(
            args.verifier,
            args.verifierCodeHash,
            args.capabilities,
            args.proofLength,
            args.gasCap,
            args.guardian,
            uint32(instanceCount),
            uint8(bytes(parts.engine).length),
            parts.engine,
            uint16(schema.length),
            schema
        );
        // forge-lint: disable-end(unsafe-typecast)
        return abi.encodePacked(parts.onnxHash, parts.settingsHash, parts.srsHash, parts.vkHash, terms, args.descriptor);
    }

    /// @notice What this clone needs for every verification.
    /// @return terms The terms.
    function ofClone() internal view returns (Terms terms) {
        assembly ("memory-safe") {
            // The longest schema ends within these bytes, and beyond the code there are zeros.
            terms := mload(0x40)
            mstore(0x40, add(terms, 0x140))
            extcodecopy(address(), terms, add(_ARGS, _HASHES), 0x140)
        }
    }

    /// @notice What this clone's identity is made of.
    /// @return parts What the verifying key was made from.
    /// @return descriptor What the instances stand for, in the form of `SchemaLib`.
    function identityOfClone() internal view returns (ModelParts memory parts, bytes memory descriptor) {
        bytes memory args = Clones.fetchCloneArgs(address(this));
        uint256 engine = _HASHES + _FIXED;
        uint256 engineLength = uint8(args[engine - 1]);
        uint256 schema = engine + engineLength + 2;
        uint256 schemaLength = (uint256(uint8(args[schema - 2])) << 8) | uint8(args[schema - 1]);
        parts = ModelParts(
            _wordAt(args, 0x00),
            _wordAt(args, 0x20),
            _wordAt(args, 0x40),
            _wordAt(args, 0x60),
            string(Bytes.slice(args, engine, engine + engineLength))
        );
        descriptor = Bytes.slice(args, schema + schemaLength);
    }

    function _wordAt(
        bytes memory data,
        uint256 offset
    ) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), offset))
        }
    }
}

/// @title Reading the terms of a clone
library TermsLib {
    /// @notice The bare verifier.
    function verifier(
        Terms self
    ) internal pure returns (address value) {
        assembly ("memory-safe") {
            value := shr(96, mload(self))
        }
    }

    /// @notice keccak256 of the bare verifier's code.
    function verifierCodeHash(
        Terms self
    ) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(add(self, 0x14))
        }
    }

    /// @notice What the bare verifier can do besides `verifyProof`.
    function capabilities(
        Terms self
    ) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(0, mload(add(self, 0x34)))
        }
    }

    /// @notice The length of a proof in bytes.
    function proofLength(
        Terms self
    ) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(224, mload(add(self, 0x35)))
        }
    }

    /// @notice The most gas that the bare verifier gets for a proof.
    function gasCap(
        Terms self
    ) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(192, mload(add(self, 0x39)))
        }
    }

    /// @notice The first guardian; zero for none, ever.
    function guardian(
        Terms self
    ) internal pure returns (address value) {
        assembly ("memory-safe") {
            value := shr(96, mload(add(self, 0x41)))
        }
    }

    /// @notice The number of a proof's instances.
    function instanceCount(
        Terms self
    ) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(224, mload(add(self, 0x55)))
        }
    }

    /// @notice What the instances stand for, in the form of `SchemaLib`: a copy.
    function schema(
        Terms self
    ) internal pure returns (bytes memory value) {
        assembly ("memory-safe") {
            // Behind the engine, with its length before it.
            let at := add(add(self, 0x5c), byte(0, mload(add(self, 0x59))))
            let length := shr(240, mload(sub(at, 2)))
            value := mload(0x40)
            mstore(value, length)
            mcopy(add(value, 0x20), at, length)
            // The word behind it is cleared, as the ABI wants it.
            mstore(add(add(value, 0x20), length), 0)
            mstore(0x40, and(add(add(value, 0x5f), length), not(0x1f)))
        }
    }
}
