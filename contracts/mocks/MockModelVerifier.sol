// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelVerifier, MOCK_SELECTOR, Tensor} from "../interfaces/IModelVerifier.sol";
import {Instances} from "../libraries/Instances.sol";
import {SchemaLib} from "../libraries/SchemaLib.sol";

/// @title A verifier for the tests of a dApp, which checks no proof
/// @notice A "proof" is valid if it is `mockProof(instances)`. Its selector tells what it is, and a production router
/// refuses it.
contract MockModelVerifier is IModelVerifier {
    /// @inheritdoc IModelVerifier
    bytes32 public immutable override modelId;

    uint256 private immutable _INSTANCE_COUNT;
    bytes private _schema;
    bytes private _descriptor;

    /// @param model The model to pose as.
    /// @param tensorDescriptor Its instances' tensors, in the form of `SchemaLib`.
    constructor(
        bytes32 model,
        bytes memory tensorDescriptor
    ) {
        modelId = model;
        (_schema, _INSTANCE_COUNT) = SchemaLib.fromDescriptor(tensorDescriptor);
        _descriptor = tensorDescriptor;
    }

    /// @inheritdoc IModelVerifier
    function verify(
        bytes calldata proof,
        uint256[] calldata instances
    ) external view override returns (bytes memory) {
        _verify(proof, instances);
        return _schema;
    }

    /// @inheritdoc IModelVerifier
    function verifyMany(
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view override returns (bytes memory) {
        _requireBatch(proofs.length, instances.length);
        for (uint256 i = 0; i < proofs.length; ++i) {
            _verify(proofs[i], instances[i]);
        }
        return _schema;
    }

    /// @inheritdoc IModelVerifier
    function verifyPacked(
        bytes calldata proof,
        bytes calldata packed
    ) external view override returns (bytes memory) {
        _verify(proof, _unpacked(packed));
        return _schema;
    }

    /// @inheritdoc IModelVerifier
    function verifyManyPacked(
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external view override returns (bytes memory) {
        _requireBatch(proofs.length, packed.length);
        for (uint256 i = 0; i < proofs.length; ++i) {
            _verify(proofs[i], _unpacked(packed[i]));
        }
        return _schema;
    }

    /// @inheritdoc IModelVerifier
    function selector() external pure override returns (bytes4) {
        return MOCK_SELECTOR;
    }

    /// @inheritdoc IModelVerifier
    function schema() external view override returns (bytes memory) {
        return _schema;
    }

    /// @inheritdoc IModelVerifier
    function tensors() external view override returns (Tensor[] memory) {
        return SchemaLib.toTensors(_descriptor);
    }

    /// @notice What this mock takes for a proof of these instances.
    function mockProof(
        uint256[] memory instances
    ) public view returns (bytes memory) {
        return abi.encode(modelId, keccak256(abi.encode(instances)));
    }

    function _verify(
        bytes calldata proof,
        uint256[] memory instances
    ) private view {
        if (instances.length != _INSTANCE_COUNT) revert InstanceCountMismatch(instances.length, _INSTANCE_COUNT);
        if (keccak256(proof) != keccak256(mockProof(instances))) revert InvalidProof(modelId);
    }

    function _unpacked(
        bytes calldata packed
    ) private view returns (uint256[] memory) {
        bytes memory runs = _schema;
        (, uint256 size) = Instances.sizes(runs);
        Instances.requirePacked(runs, packed, size);
        return Instances.unpack(runs, packed);
    }

    function _requireBatch(
        uint256 proofs,
        uint256 instances
    ) private pure {
        if (proofs != instances) revert BatchLengthMismatch(proofs, instances);
        if (proofs == 0) revert EmptyBatch();
    }
}
