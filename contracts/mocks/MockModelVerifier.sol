// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelVerifier, MOCK_SELECTOR, Tensor} from "../interfaces/IModelVerifier.sol";
import {SchemaLib} from "../libraries/SchemaLib.sol";

/// @title A verifier for the tests of a dApp, which checks no proof
/// @notice A "proof" is valid if it is `mockProof(instances)`. Its selector tells what it is, and a production router
/// refuses it.
contract MockModelVerifier is IModelVerifier {
    /// @inheritdoc IModelVerifier
    bytes32 public immutable override modelId;

    uint256 private immutable _INSTANCE_COUNT;
    bytes private _descriptor;

    /// @param model The model to pose as.
    /// @param tensorDescriptor Its instances' tensors, in the form of `SchemaLib`.
    constructor(
        bytes32 model,
        bytes memory tensorDescriptor
    ) {
        modelId = model;
        (, _INSTANCE_COUNT) = SchemaLib.fromDescriptor(tensorDescriptor);
        _descriptor = tensorDescriptor;
    }

    /// @inheritdoc IModelVerifier
    function verify(
        bytes calldata proof,
        uint256[] calldata instances
    ) external view override {
        _verify(proof, instances);
    }

    /// @inheritdoc IModelVerifier
    function verifyMany(
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view override {
        if (proofs.length != instances.length) revert BatchLengthMismatch(proofs.length, instances.length);
        if (proofs.length == 0) revert EmptyBatch();
        for (uint256 i = 0; i < proofs.length; ++i) {
            _verify(proofs[i], instances[i]);
        }
    }

    /// @inheritdoc IModelVerifier
    function selector() external pure override returns (bytes4) {
        return MOCK_SELECTOR;
    }

    /// @inheritdoc IModelVerifier
    function schema() external view override returns (bytes memory runs) {
        (runs,) = SchemaLib.fromDescriptor(_descriptor);
    }

    /// @inheritdoc IModelVerifier
    function tensors() external view override returns (Tensor[] memory) {
        return SchemaLib.toTensors(_descriptor);
    }

    /// @notice What this mock takes for a proof of these instances.
    function mockProof(
        uint256[] calldata instances
    ) public view returns (bytes memory) {
        return abi.encode(modelId, keccak256(abi.encode(instances)));
    }

    function _verify(
        bytes calldata proof,
        uint256[] calldata instances
    ) private view {
        if (instances.length != _INSTANCE_COUNT) revert InstanceCountMismatch(instances.length, _INSTANCE_COUNT);
        if (keccak256(proof) != keccak256(mockProof(instances))) revert InvalidProof(modelId);
    }
}
