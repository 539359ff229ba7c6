// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Deployer} from "./lib/Deployer.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {IModelRouter} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifier, ModelParts} from "zkvouch/interfaces/IModelVerifier.sol";

/// @title Deploys a model's verifier and adapter and adds it to the router
/// @notice A dry run unless --broadcast is given:
///
///     ZKVOUCH_ROUTER=0x… ZKVOUCH_MODEL=model.json ZKVOUCH_VERIFIER=verifier.json ZKVOUCH_PROOF=proof.json \
///         forge script script/AddModel.s.sol --rpc-url … --account … [--broadcast]
///
/// ZKVOUCH_MODEL has `parts`, `descriptor` and `proofLength` (contracts/README.md), ZKVOUCH_VERIFIER the bare
/// verifier's `bytecode`, ZKVOUCH_PROOF is a proof of ezkl's format, the golden one. ZKVOUCH_GAS_CAP is the gas that
/// the bare verifier gets, 3,000,000 by default. With ZKVOUCH_GUARDIAN an emergency stop stands in front. If the sender
/// is
/// not the router's owner, the owner's call is printed instead of made.
contract AddModel is Deployer {
    using stdJson for string;

    /// @notice Where a model's contracts are.
    struct Placed {
        address bare;
        address adapter;
        address routed;
    }

    /// @notice Reads the environment, deploys and adds.
    /// @return placed The contracts.
    function run() external returns (Placed memory placed) {
        vm.startBroadcast();
        string memory model = vm.readFile(vm.envString("ZKVOUCH_MODEL"));
        string memory verifier = vm.readFile(vm.envString("ZKVOUCH_VERIFIER"));
        string memory proof = vm.readFile(vm.envString("ZKVOUCH_PROOF"));
        uint256 gasCap = vm.envOr("ZKVOUCH_GAS_CAP", uint256(3_000_000));
        placed = place(model, verifier.readBytes(".bytecode"), gasCap, vm.envOr("ZKVOUCH_GUARDIAN", address(0)));
        add(routerFromEnv(), placed.routed, proof, broadcaster());
        vm.stopBroadcast();
    }

    /// @notice Deploys the bare verifier, its adapter and, if there is a guardian, the stop in front.
    /// @param model The model's JSON.
    /// @param verifierCode The bare verifier's creation code.
    /// @param gasCap The gas that it gets.
    /// @param guardian Who may stop it; zero for no stop.
    /// @return placed The contracts.
    function place(
        string memory model,
        bytes memory verifierCode,
        uint256 gasCap,
        address guardian
    ) public returns (Placed memory placed) {
        ModelParts memory parts = ModelParts(
            model.readBytes32(".parts.onnxHash"),
            model.readBytes32(".parts.settingsHash"),
            model.readBytes32(".parts.srsHash"),
            model.readBytes32(".parts.vkHash"),
            model.readString(".parts.engine")
        );
        placed.bare = deploy("bare verifier", verifierCode);
        bytes memory arguments = abi.encode(
            parts,
            placed.bare,
            placed.bare.codehash,
            model.readUint(".proofLength"),
            gasCap,
            model.readBytes(".descriptor")
        );
        placed.adapter = deploy("ModelVerifier", creationCode("ModelVerifier", arguments));
        placed.routed = guardian == address(0)
            ? placed.adapter
            : deploy("EmergencyStop", creationCode("EmergencyStop", abi.encode(placed.adapter, guardian)));
    }

    /// @notice Adds a verifier to the router with a golden proof.
    /// @param router The router.
    /// @param verifier The model's verifier.
    /// @param proofJson The golden proof.
    /// @param sender The account that broadcasts.
    function add(
        IModelRouter router,
        address verifier,
        string memory proofJson,
        address sender
    ) public {
        bytes memory proof = proofJson.readBytes(".hex_proof");
        string[] memory words = proofJson.readStringArray(".instances[0]");
        uint256[] memory instances = new uint256[](words.length);
        for (uint256 i = 0; i < words.length; ++i) {
            instances[i] = _reversed(vm.parseUint(string.concat("0x", words[i])));
        }
        asOwner(
            Ownable(address(router)).owner(),
            sender,
            address(router),
            abi.encodeCall(IModelRouter.addModel, (IModelVerifier(verifier), proof, instances))
        );
    }

    /// @dev ezkl writes scalars least significant byte first.
    function _reversed(
        uint256 word
    ) private pure returns (uint256 swapped) {
        for (uint256 i = 0; i < 32; ++i) {
            swapped = (swapped << 8) | (word & 0xff);
            word >>= 8;
        }
    }
}
