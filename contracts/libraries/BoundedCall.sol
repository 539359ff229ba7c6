// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelRouterErrors} from "../interfaces/IModelRouter.sol";
import {IModelVerifier} from "../interfaces/IModelVerifier.sol";
import {SchemaLib} from "./SchemaLib.sol";

/// @title Calls of verifiers that nobody needs to trust
/// @notice Each gets exactly the gas that it was promised, so that whoever sends the transaction can't make one fail by
/// sending little, and none can use up another's or hand back more than it costs to ignore.
library BoundedCall {
    /// @dev What is spent between the check of the gas left and the call, with room to spare, beyond a cold account.
    uint256 private constant _CALL_OVERHEAD = 5000;

    /// @dev For reading a schema: an adapter behind a stop takes some 8,000, with cold accounts.
    uint256 private constant _SCHEMA_GAS = 50_000;

    /// @dev Four words of runs, with the ABI's offset and length before them.
    uint256 private constant _SCHEMA_ANSWER = 0xc0;

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
        _requireGas(stipend);
        assembly ("memory-safe") {
            // The scratch word takes the start of an error, and no more than that is copied.
            mstore(0x00, 0)
            ok := staticcall(stipend, verifier, add(data, 0x20), mload(data), 0x00, 0x04)
            if iszero(ok) { reason := mload(0x00) }
        }
        // Nothing can be learnt from an account without code.
        if (ok && address(verifier).code.length == 0) ok = false;
    }

    /// @notice Asks a verifier what its instances stand for, with a gas limit, and never reverts for what it answers.
    /// @param verifier The verifier.
    /// @param count The number of instances.
    /// @return ok Whether it answered with whole runs that make `count` instances together.
    /// @return schema The runs, in the form of `SchemaLib`.
    function trySchema(
        IModelVerifier verifier,
        uint256 count
    ) internal view returns (bool ok, bytes memory schema) {
        _requireGas(_SCHEMA_GAS);
        bytes memory data = abi.encodeCall(IModelVerifier.schema, ());
        assembly ("memory-safe") {
            // The answer's offset and length come before the runs, which then lie where a `bytes` has them.
            let answer := mload(0x40)
            mstore(0x40, add(answer, _SCHEMA_ANSWER))
            ok := staticcall(_SCHEMA_GAS, verifier, add(data, 0x20), mload(data), answer, _SCHEMA_ANSWER)
            let size := returndatasize()
            schema := add(answer, 0x20)
            let length := mload(schema)
            ok := and(ok, and(gt(size, 0x3f), and(iszero(gt(size, _SCHEMA_ANSWER)), eq(mload(answer), 0x20))))
            ok := and(ok, iszero(gt(length, sub(size, 0x40))))
            if iszero(ok) { mstore(schema, 0) }
        }
        ok = ok && SchemaLib.describes(schema, count);
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
