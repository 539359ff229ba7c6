// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelRouter} from "../ModelRouter.sol";
import {IModelVerifier, MOCK_SELECTOR, ModelArgs, PROOF_SELECTOR} from "../interfaces/IModelVerifier.sol";

/// @title A router for the tests of a dApp, which takes mocks and nothing else
contract MockModelRouter is ModelRouter {
    /// @param owner Who may add and retire models.
    /// @param implementation The `ModelVerifier` of a real router, which makes no clones here.
    constructor(
        address owner,
        address implementation
    ) ModelRouter(owner, implementation) {}

    /// @notice Adds a mock. There is no golden proof.
    /// @param verifier The mock; it says itself which model it poses as.
    function addMock(
        IModelVerifier verifier
    ) external onlyOwner {
        bytes4 kind = verifier.selector();
        if (kind != MOCK_SELECTOR) revert SelectorRefused(kind);
        bytes32 modelId = verifier.modelId();
        _requireNew(modelId);
        _route(modelId, address(verifier));
    }

    /// @dev No real verifier by mistake.
    function addModel(
        ModelArgs calldata,
        bytes calldata,
        uint256[] calldata
    ) external pure override returns (bytes32, address) {
        revert SelectorRefused(PROOF_SELECTOR);
    }
}
