// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Deployer} from "./lib/Deployer.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @title Gives a router to another account, in two steps
/// @notice A dry run unless --broadcast is given. The owner runs it first, and then the new owner, who accepts:
///
///     ZKVOUCH_OWNED=0x… ZKVOUCH_NEW_OWNER=0x… forge script script/TransferOwnership.s.sol --rpc-url …
/// [--broadcast]
contract TransferOwnership is Deployer {
    /// @notice The sender is neither the owner nor the one to whom the contract was offered.
    error NothingToDo(address sender);

    /// @notice Reads the environment and does the step that is the sender's.
    function run() external {
        vm.startBroadcast();
        step(Ownable2Step(vm.envAddress("ZKVOUCH_OWNED")), vm.envAddress("ZKVOUCH_NEW_OWNER"), broadcaster());
        vm.stopBroadcast();
    }

    /// @notice Offers or accepts, within a broadcast.
    /// @param owned The contract.
    /// @param next The new owner.
    /// @param sender The account that broadcasts.
    function step(
        Ownable2Step owned,
        address next,
        address sender
    ) public {
        if (sender == owned.pendingOwner()) owned.acceptOwnership();
        else if (sender == owned.owner()) owned.transferOwnership(next);
        else revert NothingToDo(sender);
    }
}
