// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title The Merkle tree over the predictions of one call
/// @notice In OpenZeppelin's form, so that its `MerkleProof` verifies a path: a leaf is the hash of the hash of an id,
/// and a node the hash of its two children, the lesser first. Neighbours are paired, layer by layer, in the order of
/// the ids, and a node without a neighbour moves up as it is. The tree of one prediction is its leaf.
library PredictionTree {
    /// @notice The leaf of an id. It is hashed twice, so that no node can be taken for an id.
    /// @param id A prediction's id.
    /// @return leaf keccak256(keccak256(id)).
    function leafOf(
        bytes32 id
    ) internal pure returns (bytes32 leaf) {
        assembly ("memory-safe") {
            mstore(0x00, id)
            mstore(0x00, keccak256(0x00, 0x20))
            leaf := keccak256(0x00, 0x20)
        }
    }

    /// @notice The root over ids.
    /// @param ids The ids in their order, at least one.
    /// @return The root.
    function rootOf(
        bytes32[] memory ids
    ) internal pure returns (bytes32) {
        bytes32[] memory leaves = new bytes32[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            leaves[i] = leafOf(ids[i]);
        }
        return rootOfLeaves(leaves);
    }

    /// @notice The root over leaves.
    /// @param leaves The leaves in their order, at least one. They are overwritten.
    /// @return root The root.
    function rootOfLeaves(
        bytes32[] memory leaves
    ) internal pure returns (bytes32 root) {
        assembly ("memory-safe") {
            let nodes := add(leaves, 0x20)
            for { let count := mload(leaves) } gt(count, 1) { count := sub(count, shr(1, count)) } {
                let from := nodes
                let to := nodes
                for { let end := add(nodes, mul(shr(1, count), 0x20)) } lt(to, end) { to := add(to, 0x20) } {
                    let left := mload(from)
                    let right := mload(add(from, 0x20))
                    // The lesser goes first.
                    let swapped := mul(gt(left, right), 0x20)
                    mstore(swapped, left)
                    mstore(xor(swapped, 0x20), right)
                    mstore(to, keccak256(0x00, 0x40))
                    from := add(from, 0x40)
                }
                if and(count, 1) { mstore(to, mload(from)) }
            }
            root := mload(nodes)
        }
    }

    /// @notice Whether an id is in the tree of a root.
    /// @param id The id.
    /// @param root The root.
    /// @param path The neighbours from the leaf up to the root; none in a tree of one.
    /// @return Whether it is.
    function holds(
        bytes32 id,
        bytes32 root,
        bytes32[] calldata path
    ) internal pure returns (bool) {
        return MerkleProof.verifyCalldata(path, root, leafOf(id));
    }
}
