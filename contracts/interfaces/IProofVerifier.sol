// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title The bare verifier of one circuit, as generated from its verifying key
/// @notice Returns true or reverts. It knows no model, no length that a caller should have used and no replay, so it
/// is meant to be called by a `ModelVerifier` alone.
/// @dev Some generated verifiers lack `view` in their ABI though they write nothing; a `staticcall` suits both.
interface IProofVerifier {
    /// @notice Checks a proof against its public instances.
    /// @param proof The proof, a multiple of 32 bytes long.
    /// @param instances Scalars of BN254, each below the modulus.
    /// @return True; anything else is a revert.
    function verifyProof(
        bytes calldata proof,
        uint256[] calldata instances
    ) external view returns (bool);
}

/// @title The bare verifier of many proofs of one circuit, as generated from its verifying key
/// @notice Returns true or reverts, as `IProofVerifier` does, for all of them at once.
interface IBatchProofVerifier {
    /// @notice Checks proofs against their public instances, the i-th proof against the i-th instances.
    /// @param proofs The proofs, at least one, each a multiple of 32 bytes long.
    /// @param instances Scalars of BN254, each below the modulus.
    /// @return True; anything else is a revert.
    function verifyMany(
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view returns (bool);
}

/// @title A bare verifier that takes packed instances, as generated from its verifying key
/// @notice Returns true or reverts, as `IProofVerifier` does.
interface IPackedProofVerifier {
    /// @notice Checks a proof against its public instances.
    /// @param proof The proof, a multiple of 32 bytes long.
    /// @param packed The instances in the form that `IModelVerifier` describes.
    /// @return True; anything else is a revert.
    function verifyPacked(
        bytes calldata proof,
        bytes calldata packed
    ) external view returns (bool);
}

/// @title A bare verifier of many proofs that takes packed instances, as generated from its verifying key
/// @notice Returns true or reverts, as `IProofVerifier` does, for all of them at once.
interface IPackedBatchProofVerifier {
    /// @notice Checks proofs against their public instances, the i-th proof against the i-th instances.
    /// @param proofs The proofs, at least one, each a multiple of 32 bytes long.
    /// @param packed The instances of each in the form that `IModelVerifier` describes.
    /// @return True; anything else is a revert.
    function verifyManyPacked(
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external view returns (bool);
}
