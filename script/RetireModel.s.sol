// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Deployer} from "./lib/Deployer.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IModelRouter} from "zkvouch/interfaces/IModelRouter.sol";

/// @title Retires a model for good
/// @notice A dry run unless --broadcast is given:
///
///     ZKVOUCH_ROUTER=0x… ZKVOUCH_MODEL_ID=0x… forge script script/RetireModel.s.sol --rpc-url … [--broadcast]
contract RetireModel is Deployer {
    /// @notice Reads the environment and retires.
    function run() external {
        vm.startBroadcast();
        retire(routerFromEnv(), vm.envBytes32("ZKVOUCH_MODEL_ID"), broadcaster());
        vm.stopBroadcast();
    }

    /// @notice Retires, within a broadcast, or prints the owner's call.
    /// @param router The router.
    /// @param modelId The model.
    /// @param sender The account that broadcasts.
    function retire(
        IModelRouter router,
        bytes32 modelId,
        address sender
    ) public {
        asOwner(
            Ownable(address(router)).owner(),
            sender,
            address(router),
            abi.encodeCall(IModelRouter.retireModel, (modelId))
        );
    }
}
