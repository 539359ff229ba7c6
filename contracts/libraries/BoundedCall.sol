// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelRouterErrors} from "../interfaces/IModelRouter.sol";
import {IModelVerifier} from "../interfaces/IModelVerifier.sol";

/// @title Verifications of a best-effort batch
/// @notice Each gets exactly the gas that it was promised, so that whoever sends the transaction can't make one fail by
/// sending little, and none can use up another's or hand back more than it costs to ignore.
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
    function tryVerify(
        IModelVerifier verifier,
        bytes calldata proof,
        uint256[] calldata instances,
        uint256 stipend
    ) internal view returns (bool ok, bytes4 reason) {
        bytes memory data = abi.encodeCall(IModelVerifier.verify, (proof, instances));
        uint256 required = stipend + stipend / 63 + _CALL_OVERHEAD;
        if (gasleft() < required) revert IModelRouterErrors.StipendUnavailable(gasleft(), required);
        assembly ("memory-safe") {
            // The scratch word takes the start of an error, and no more than that is copied.
            mstore(0x00, 0)
            ok := staticcall(stipend, verifier, add(data, 0x20), mload(data), 0x00, 0x04)
            if iszero(ok) { reason := mload(0x00) }
        }
        // Nothing can be learnt from an account without code.
        if (ok && address(verifier).code.length == 0) ok = false;
    }
}
