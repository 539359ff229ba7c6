// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Deployer} from "./lib/Deployer.sol";

/// @title Deploys the models' implementation, the router and the ledger, and a timelock to own the router if one is
/// wanted @notice A dry run unless --broadcast is given:
///
///     ZKVOUCH_OWNER=0x… forge script script/DeployCore.s.sol --rpc-url … --account … [--broadcast]
///
/// ZKVOUCH_OWNER owns the router; without it, the sender. With ZKVOUCH_TIMELOCK_DELAY, in seconds, a timelock owns the
/// router, and ZKVOUCH_OWNER proposes to it and executes. Anything that is there already is left alone.
contract DeployCore is Deployer {
    /// @notice Reads the environment and deploys.
    /// @return router The router.
    /// @return ledger The ledger.
    function run() external returns (address router, address ledger) {
        vm.startBroadcast();
        address owner = vm.envOr("ZKVOUCH_OWNER", broadcaster());
        (router, ledger) = core(owner, vm.envOr("ZKVOUCH_TIMELOCK_DELAY", uint256(0)));
        vm.stopBroadcast();
    }

    /// @notice Deploys, within a broadcast.
    /// @param owner The owner, or with a delay the timelock's proposer and executor.
    /// @param delay The timelock's delay in seconds; zero for none.
    /// @return router The router.
    /// @return ledger The ledger.
    function core(
        address owner,
        uint256 delay
    ) public returns (address router, address ledger) {
        if (delay != 0) {
            address[] memory accounts = new address[](1);
            accounts[0] = owner;
            owner = deploy(
                "TimelockController",
                creationCode("TimelockController", abi.encode(delay, accounts, accounts, address(0)))
            );
        }
        address implementation = deploy("ModelVerifier", creationCode("ModelVerifier", ""));
        router = deploy("ModelRouter", creationCode("ModelRouter", abi.encode(owner, implementation)));
        ledger = deploy("PredictionLedger", creationCode("PredictionLedger", abi.encode(router)));
    }
}
