// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelParts} from "../interfaces/IModelVerifier.sol";

/// @title A model's identity
library ModelId {
    /// @notice keccak256(abi.encode(onnx, settings, srs, vk, engine)), four words and a string.
    /// @param parts What the verifying key was made from.
    /// @return The identity.
    function compute(
        ModelParts memory parts
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(parts.onnxHash, parts.settingsHash, parts.srsHash, parts.vkHash, parts.engine));
    }
}
