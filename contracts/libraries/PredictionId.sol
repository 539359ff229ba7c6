// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title A prediction's id
library PredictionId {
    /// @notice keccak256 of instances, 32 bytes each, most significant byte first.
    /// @param instances The instances.
    /// @return hash The hash.
    function hashInstances(
        uint256[] calldata instances
    ) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            // The free memory is used as scratch and stays free.
            let free := mload(0x40)
            let size := mul(instances.length, 0x20)
            calldatacopy(free, instances.offset, size)
            hash := keccak256(free, size)
        }
    }

    /// @notice keccak256(abi.encode(modelId, keccak256(instances), chain id, submitter, context)): no byte of the
    /// proof, of which there can be many for one prediction.
    /// @param modelId The model.
    /// @param instances The instances.
    /// @param submitter Who records it.
    /// @param context The submitter's context.
    /// @return The id on this chain.
    function compute(
        bytes32 modelId,
        uint256[] calldata instances,
        address submitter,
        bytes32 context
    ) internal view returns (bytes32) {
        return keccak256(abi.encode(modelId, hashInstances(instances), block.chainid, submitter, context));
    }
}
