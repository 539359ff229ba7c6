// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelVerifier, Tensor} from "./interfaces/IModelVerifier.sol";
import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// @title An emergency stop in front of one verifier
/// @notice The owner, its guardian, can stop it, and nobody can ever start it again: after a flaw was found in a
/// verifier the way on is another one. A verifier that is stopped reverts with `EnforcedPause`, and so does its schema,
/// without which nothing that it verified before can be read and acted on.
/// @dev It reports its verifier's model, selector and schema, so that a router takes it in the verifier's place.
contract EmergencyStop is IModelVerifier, Ownable2Step, Pausable {
    /// @notice The verifier behind the stop.
    IModelVerifier public immutable VERIFIER;

    /// @inheritdoc IModelVerifier
    bytes32 public immutable override modelId;

    /// @param verifier The verifier to stand in front of.
    /// @param guardian Who may stop it.
    constructor(
        IModelVerifier verifier,
        address guardian
    ) Ownable(guardian) {
        VERIFIER = verifier;
        modelId = verifier.modelId();
    }

    /// @notice Stops the verifier for good.
    function stop() external onlyOwner {
        _pause();
    }

    /// @inheritdoc IModelVerifier
    function verify(
        bytes calldata proof,
        uint256[] calldata instances
    ) external view override whenNotPaused {
        VERIFIER.verify(proof, instances);
    }

    /// @inheritdoc IModelVerifier
    function verifyMany(
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view override whenNotPaused {
        VERIFIER.verifyMany(proofs, instances);
    }

    /// @inheritdoc IModelVerifier
    function selector() external view override returns (bytes4) {
        return VERIFIER.selector();
    }

    /// @inheritdoc IModelVerifier
    function schema() external view override whenNotPaused returns (bytes memory) {
        return VERIFIER.schema();
    }

    /// @inheritdoc IModelVerifier
    function tensors() external view override whenNotPaused returns (Tensor[] memory) {
        return VERIFIER.tensors();
    }
}
