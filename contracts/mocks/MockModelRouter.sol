// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelRouter} from "../ModelRouter.sol";
import {MOCK_SELECTOR} from "../interfaces/IModelVerifier.sol";
import {IModelVerifier} from "../interfaces/IModelVerifier.sol";

/// @title A router for the tests of a dApp, which takes mocks and nothing else
contract MockModelRouter is ModelRouter {
    /// @param owner Who may add and retire models.
    constructor(
        address owner
    ) ModelRouter(owner) {}

    /// @dev No golden proof, and no real verifier by mistake.
    function _admit(
        IModelVerifier verifier,
        bytes32,
        bytes calldata,
        uint256[] calldata
    ) internal view override {
        bytes4 kind = verifier.selector();
        if (kind != MOCK_SELECTOR) revert SelectorRefused(kind);
    }
}
