// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Deployer} from "./lib/Deployer.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {console} from "forge-std/console.sol";
import {IModelRouter} from "zkvouch/interfaces/IModelRouter.sol";
import {ModelArgs, ModelParts} from "zkvouch/interfaces/IModelVerifier.sol";

/// @title Deploys a model's bare verifier and adds the model to the router, which makes its clone of `ModelVerifier`
/// @notice A dry run unless --broadcast is given:
///
///     ZKVOUCH_ROUTER=0x… ZKVOUCH_MODEL=model.json ZKVOUCH_VERIFIER=verifier.json ZKVOUCH_PROOF=proof.json \
///         forge script script/AddModel.s.sol --rpc-url … --account … [--broadcast]
///
/// ZKVOUCH_MODEL has `parts`, `descriptor` and `proofLength` (contracts/README.md), ZKVOUCH_VERIFIER the bare
/// verifier's `bytecode`, ZKVOUCH_PROOF is a proof of ezkl's format, the golden one. ZKVOUCH_CAPABILITIES is what the
/// bare verifier can do besides `verifyProof`: 7 for a lean one, else 0, the default. ZKVOUCH_GAS_CAP is the gas that
/// it gets for a proof, 3,000,000 by default. ZKVOUCH_GUARDIAN may stop the model for good; without it nobody can,
/// ever. If the sender is not the router's owner, the owner's call is printed instead of made.
contract AddModel is Deployer {
    using stdJson for string;

    /// @notice Reads the environment, deploys and adds.
    /// @return args What the model was added with; its verifier is at the router's `addressOf(args)`.
    function run() external returns (ModelArgs memory args) {
        vm.startBroadcast();
        string memory model = vm.readFile(vm.envString("ZKVOUCH_MODEL"));
        args = place(
            model,
            vm.readFile(vm.envString("ZKVOUCH_VERIFIER")).readBytes(".bytecode"),
            uint8(vm.envOr("ZKVOUCH_CAPABILITIES", uint256(0))),
            uint64(vm.envOr("ZKVOUCH_GAS_CAP", uint256(3_000_000))),
            vm.envOr("ZKVOUCH_GUARDIAN", address(0))
        );
        add(routerFromEnv(), args, vm.readFile(vm.envString("ZKVOUCH_PROOF")), broadcaster());
        vm.stopBroadcast();
    }

    /// @notice Deploys the bare verifier.
    /// @param model The model's JSON.
    /// @param verifierCode The bare verifier's creation code.
    /// @param capabilities What it can do besides `verifyProof`.
    /// @param gasCap The gas that it gets for a proof.
    /// @param guardian Who may stop the model; zero for nobody.
    /// @return What the model is to be added with.
    function place(
        string memory model,
        bytes memory verifierCode,
        uint8 capabilities,
        uint64 gasCap,
        address guardian
    ) public returns (ModelArgs memory) {
        address bare = deploy("bare verifier", verifierCode);
        ModelParts memory parts = ModelParts(
            model.readBytes32(".parts.onnxHash"),
            model.readBytes32(".parts.settingsHash"),
            model.readBytes32(".parts.srsHash"),
            model.readBytes32(".parts.vkHash"),
            model.readString(".parts.engine")
        );
        return ModelArgs(
            parts,
            bare,
            bare.codehash,
            capabilities,
            uint32(model.readUint(".proofLength")),
            gasCap,
            guardian,
            model.readBytes(".descriptor")
        );
    }

    /// @notice Adds a model to the router with a golden proof.
    /// @param router The router.
    /// @param args What the model is made from.
    /// @param proofJson The golden proof.
    /// @param sender The account that broadcasts.
    function add(
        IModelRouter router,
        ModelArgs memory args,
        string memory proofJson,
        address sender
    ) public {
        bytes memory proof = proofJson.readBytes(".hex_proof");
        string[] memory words = proofJson.readStringArray(".instances[0]");
        uint256[] memory instances = new uint256[](words.length);
        for (uint256 i = 0; i < words.length; ++i) {
            instances[i] = _reversed(vm.parseUint(string.concat("0x", words[i])));
        }
        console.log("ModelVerifier", router.addressOf(args));
        asOwner(
            Ownable(address(router)).owner(),
            sender,
            address(router),
            abi.encodeCall(IModelRouter.addModel, (args, proof, instances))
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
