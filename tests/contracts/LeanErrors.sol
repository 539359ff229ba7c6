// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title Errors of the lean verifiers, which are generated
interface ILeanErrors {
    error CalldataNotCanonical();
    error InputNotCanonical();
    error DegenerateChallenge();
    error InvalidPoint();
    error ProofRejected();
}
