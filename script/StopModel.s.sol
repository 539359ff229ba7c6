// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Deployer} from "./lib/Deployer.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {IModelRouter} from "zkvouch/interfaces/IModelRouter.sol";

/// @title Stops a model that has a guardian, for good
/// @notice A dry run unless --broadcast is given; the sender must be the guardian:
///
///     ZKVOUCH_ROUTER=0x… ZKVOUCH_MODEL_ID=0x… forge script script/StopModel.s.sol --rpc-url … [--broadcast]
contract StopModel is Deployer {
    /// @notice Reads the environment and stops.
    function run() external {
        vm.startBroadcast();
        stop(routerFromEnv(), vm.envBytes32("ZKVOUCH_MODEL_ID"), broadcaster());
        vm.stopBroadcast();
    }

    /// @notice Stops, within a broadcast, or prints the guardian's call.
    /// @param router The router.
    /// @param modelId The model.
    /// @param sender The account that broadcasts.
    function stop(
        IModelRouter router,
        bytes32 modelId,
        address sender
    ) public {
        ModelVerifier target = ModelVerifier(address(router.verifierOf(modelId)));
        asOwner(target.guardian(), sender, address(target), abi.encodeCall(ModelVerifier.stop, ()));
    }
}
