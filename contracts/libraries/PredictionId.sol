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

    /// @notice keccak256 of instances, 32 bytes each, most significant byte first.
    /// @param instances The instances.
    /// @return hash The hash.
    function hashMemory(
        uint256[] memory instances
    ) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            hash := keccak256(add(instances, 0x20), mul(mload(instances), 0x20))
        }
    }

    /// @notice keccak256(abi.encode(modelId, keccak256(instances), chain id, submitter, context)): no byte of the
    /// proof, of which there can be many for one prediction.
    /// @param modelId The model.
    /// @param instancesHash keccak256 of the prediction's instances.
    /// @param submitter Who records it.
    /// @param context The submitter's context.
    /// @return id The id on this chain.
    function compute(
        bytes32 modelId,
        bytes32 instancesHash,
        address submitter,
        bytes32 context
    ) internal view returns (bytes32 id) {
        assembly ("memory-safe") {
            // The free memory is used as scratch and stays free.
            let free := mload(0x40)
            mstore(free, modelId)
            mstore(add(free, 0x20), instancesHash)
            mstore(add(free, 0x40), chainid())
            mstore(add(free, 0x60), submitter)
            mstore(add(free, 0x80), context)
            id := keccak256(free, 0xa0)
        }
    }
}
