//! The Merkle tree over the predictions of one call, as the ledger makes it.
//!
//! In OpenZeppelin's form: a leaf is the hash of the hash of an id, a node the hash of its two
//! children, the lesser first. Neighbours are paired layer by layer in the order of the ids, and one
//! without a neighbour moves up as it is. The tree of one prediction is its leaf.

use alloy::primitives::{B256, keccak256};

/// The leaf of an id, and the root of the tree that has it alone.
pub fn leaf(id: B256) -> B256 {
    keccak256(keccak256(id))
}

/// The root over ids; none over none.
pub fn root(ids: &[B256]) -> Option<B256> {
    climb(ids, 0).map(|(root, _)| root)
}

/// The neighbours from the leaf of the id number `index` up to the root, with which the ledger's `isVerified` and
/// OpenZeppelin's `MerkleProof` find it in the tree.
pub fn path(ids: &[B256], index: usize) -> Option<Vec<B256>> {
    ids.get(index)?;
    climb(ids, index).map(|(_, path)| path)
}

fn climb(ids: &[B256], mut index: usize) -> Option<(B256, Vec<B256>)> {
    let mut layer: Vec<_> = ids.iter().copied().map(leaf).collect();
    let mut path = Vec::new();
    while layer.len() > 1 {
        path.extend(layer.get(index ^ 1));
        layer = layer
            .chunks(2)
            .map(|pair| match *pair {
                [left, right] => node(left, right),
                _ => pair[0],
            })
            .collect();
        index /= 2;
    }
    Some((*layer.first()?, path))
}

fn node(left: B256, right: B256) -> B256 {
    let (lesser, greater) = if left < right { (left, right) } else { (right, left) };
    keccak256([lesser, greater].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// The contracts are tested with the same file.
    #[test]
    fn trees_are_those_of_the_contracts() {
        #[derive(Deserialize)]
        struct File {
            sizes: Vec<usize>,
            trees: Vec<Tree>,
        }
        #[derive(Deserialize)]
        struct Tree {
            ids: Vec<B256>,
            root: B256,
            paths: Vec<Vec<B256>>,
        }
        let text = include_str!("../../../tests/fixtures/prediction-trees.json");
        let file: File = serde_json::from_str(text).expect("JSON");
        assert!(file.sizes.len() > 5);
        for (size, tree) in file.sizes.into_iter().zip(file.trees) {
            assert_eq!(tree.ids.len(), size);
            assert_eq!(root(&tree.ids), Some(tree.root));
            let paths: Vec<_> = (0..size).map(|index| path(&tree.ids, index)).collect();
            assert_eq!(paths, tree.paths.into_iter().map(Some).collect::<Vec<_>>());
            assert_eq!(path(&tree.ids, size), None);
        }
    }

    #[test]
    fn one_is_its_leaf_and_none_has_no_root() {
        let id = B256::repeat_byte(7);
        assert_eq!((root(&[id]), path(&[id], 0)), (Some(leaf(id)), Some(Vec::new())));
        assert_eq!(root(&[]), None);
    }
}
