// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelParts} from "../interfaces/IModelVerifier.sol";

/// @title A model's identity
library ModelId {
    /// @notice keccak256(abi.encode(onnx, settings, srs, vk, engine, keccak256(descriptor))): four words, a string and
    /// a word. The descriptor is part of it because a prediction's numbers are read by it.
    /// @param parts What the verifying key was made from.
    /// @param descriptorHash keccak256 of the instances' descriptor, in the form of `SchemaLib`.
    /// @return The identity.
    function compute(
        ModelParts memory parts,
        bytes32 descriptorHash
    ) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(parts.onnxHash, parts.settingsHash, parts.srsHash, parts.vkHash, parts.engine, descriptorHash)
        );
    }
}
