// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

// Compiled with the rest so that it has an artefact of its own: the timelock that should own a production router.
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
