// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelArgs, ModelParts} from "../interfaces/IModelVerifier.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";

/// @notice What a clone needs for every verification.
/// @param verifier The bare verifier.
/// @param verifierCodeHash keccak256 of its code.
/// @param capabilities What it can do besides `verifyProof`.
/// @param proofLength The length of a proof in bytes.
/// @param gasCap The most gas that it gets for a proof.
/// @param guardian The first guardian; zero for none.
/// @param instanceCount The number of a proof's instances.
/// @param schema What they stand for, in the form of `SchemaLib`.
struct Terms {
    address verifier;
    bytes32 verifierCodeHash;
    uint256 capabilities;
    uint256 proofLength;
    uint256 gasCap;
    address guardian;
    uint256 instanceCount;
    bytes schema;
}

/// @title The immutable arguments of a model's clone, which stand behind the code of a proxy
/// @notice Big endian, without padding:
///
///     onnx 32 ‖ settings 32 ‖ srs 32 ‖ vk 32 ‖ verifier 20 ‖ verifierCodeHash 32 ‖ capabilities 1 ‖ proofLength 4 ‖
///     gasCap 8 ‖ guardian 20 ‖ instanceCount 4 ‖ engineLength 1 ‖ engine ‖ schemaLength 2 ‖ schema ‖ descriptor
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
        return abi.encodePacked(
            parts.onnxHash, parts.settingsHash, parts.srsHash, parts.vkHash, terms, args.descriptor
        );
    }

    /// @notice What this clone needs for every verification.
    /// @return terms The terms.
    function ofClone() internal view returns (Terms memory terms) {
        assembly ("memory-safe") {
            // The longest schema ends within these bytes, and beyond the code there are zeros.
            let at := mload(0x40)
            extcodecopy(address(), at, add(_ARGS, _HASHES), 0x140)
            mstore(terms, shr(96, mload(at)))
            mstore(add(terms, 0x20), mload(add(at, 0x14)))
            mstore(add(terms, 0x40), shr(248, mload(add(at, 0x34))))
            mstore(add(terms, 0x60), shr(224, mload(add(at, 0x35))))
            mstore(add(terms, 0x80), shr(192, mload(add(at, 0x39))))
            mstore(add(terms, 0xa0), shr(96, mload(add(at, 0x41))))
            mstore(add(terms, 0xc0), shr(224, mload(add(at, 0x55))))
            // The schema takes its place over the bytes before it, with its length in a word of its own.
            let schema := add(at, add(add(_FIXED, 2), shr(248, mload(add(at, 0x59)))))
            let length := shr(240, mload(sub(schema, 2)))
            schema := sub(schema, 0x20)
            mstore(schema, length)
            mstore(add(terms, 0xe0), schema)
            mstore(0x40, add(at, 0x140))
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
