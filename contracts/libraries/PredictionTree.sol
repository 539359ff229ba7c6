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
    /// @return root The root.
    function rootOf(
        bytes32[] memory ids
    ) internal pure returns (bytes32 root) {
        assembly ("memory-safe") {
            // The free memory is used as scratch and stays free.
            let nodes := mload(0x40)
            let count := mload(ids)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let at := mul(i, 0x20)
                mstore(0x00, mload(add(add(ids, 0x20), at)))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(add(nodes, at), keccak256(0x00, 0x20))
            }
            for {} gt(count, 1) {} {
                let pairs := shr(1, count)
                for { let i := 0 } lt(i, pairs) { i := add(i, 1) } {
                    let left := mload(add(nodes, mul(i, 0x40)))
                    let right := mload(add(nodes, add(mul(i, 0x40), 0x20)))
                    let swapped := gt(left, right)
                    mstore(mul(swapped, 0x20), left)
                    mstore(mul(iszero(swapped), 0x20), right)
                    mstore(add(nodes, mul(i, 0x20)), keccak256(0x00, 0x40))
                }
                if and(count, 1) { mstore(add(nodes, mul(pairs, 0x20)), mload(add(nodes, mul(pairs, 0x40)))) }
                count := add(pairs, and(count, 1))
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
