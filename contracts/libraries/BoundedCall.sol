// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelRouterErrors} from "../interfaces/IModelRouter.sol";
import {IModelVerifier} from "../interfaces/IModelVerifier.sol";

/// @title Calls with a promised gas limit
/// @notice Each gets exactly the gas that it was promised, so that whoever sends the transaction can't make one fail by
/// sending little, and none can use up another's. What is called is a clone that a router made: it returns what it
/// says.
library BoundedCall {
    /// @dev What is spent between the check of the gas left and the call, with room to spare, beyond a cold account.
    uint256 private constant _CALL_OVERHEAD = 5000;

    /// @notice Asks a verifier about a proof, with a gas limit, and never reverts for what it answers.
    /// @param verifier The verifier.
    /// @param proof The proof.
    /// @param instances The instances.
    /// @param stipend The gas that the call gets.
    /// @return ok Whether the proof was accepted.
    /// @return reason The error's selector if it was not, zero if there is none.
    /// @return schema What the instances stand for, if it was accepted.
    function tryVerify(
        IModelVerifier verifier,
        bytes calldata proof,
        uint256[] calldata instances,
        uint256 stipend
    ) internal view returns (bool ok, bytes4 reason, bytes memory schema) {
        bytes memory data = abi.encodeCall(IModelVerifier.verify, (proof, instances));
        _requireGas(stipend);
        assembly ("memory-safe") {
            // The scratch word takes the start of an error, and no more than that is copied.
            mstore(0x00, 0)
            ok := staticcall(stipend, verifier, add(data, 0x20), mload(data), 0x00, 0x04)
            switch ok
            case 0 { reason := mload(0x00) }
            default {
                // A `bytes`, behind its offset.
                let size := returndatasize()
                let answer := mload(0x40)
                returndatacopy(answer, 0x00, size)
                mstore(0x40, add(answer, and(add(size, 0x1f), not(0x1f))))
                schema := add(answer, 0x20)
            }
        }
    }

    function _requireGas(
        uint256 stipend
    ) private view {
        // No block has so much gas, and sums of more could overflow.
        if (stipend > type(uint64).max) revert IModelRouterErrors.StipendUnavailable(gasleft(), stipend);
        uint256 required = stipend + stipend / 63 + _CALL_OVERHEAD;
        if (gasleft() < required) revert IModelRouterErrors.StipendUnavailable(gasleft(), required);
    }
}
