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
/// verifier's `bytecode`, ZKVOUCH_PROOF is a proof of ezkl's format, the golden one. ZKVOUCH_BATCH_VERIFIER is as
/// ZKVOUCH_VERIFIER for the lean verifier of many proofs; without it, batches are verified one by one. ZKVOUCH_GAS_CAP
/// is the gas that a bare verifier gets for a proof, 3,000,000 by default. With ZKVOUCH_GUARDIAN an emergency stop
/// stands in
/// front. If the sender is not the router's owner, the owner's call is printed instead of made.
contract AddModel is Deployer {
    using stdJson for string;

    /// @notice Where a model's contracts are.
    struct Placed {
        address bare;
        address batch;
        address adapter;
        address routed;
    }

    /// @notice Reads the environment, deploys and adds.
    /// @return placed The contracts.
    function run() external returns (Placed memory placed) {
        vm.startBroadcast();
        string memory model = vm.readFile(vm.envString("ZKVOUCH_MODEL"));
        bytes memory verifier = _code(vm.envString("ZKVOUCH_VERIFIER"));
        bytes memory batchVerifier = _code(vm.envOr("ZKVOUCH_BATCH_VERIFIER", string("")));
        string memory proof = vm.readFile(vm.envString("ZKVOUCH_PROOF"));
        uint256 gasCap = vm.envOr("ZKVOUCH_GAS_CAP", uint256(3_000_000));
        placed = place(model, verifier, batchVerifier, gasCap, vm.envOr("ZKVOUCH_GUARDIAN", address(0)));
        add(routerFromEnv(), placed.routed, proof, broadcaster());
        vm.stopBroadcast();
    }

    /// @notice Deploys the bare verifiers, their adapter and, if there is a guardian, the stop in front.
    /// @param model The model's JSON.
    /// @param verifierCode The bare verifier's creation code.
    /// @param batchVerifierCode The bare batch verifier's creation code; empty for none.
    /// @param gasCap The gas that they get for a proof.
    /// @param guardian Who may stop it; zero for no stop.
    /// @return placed The contracts.
    function place(
        string memory model,
        bytes memory verifierCode,
        bytes memory batchVerifierCode,
        uint256 gasCap,
        address guardian
    ) public returns (Placed memory placed) {
        placed.bare = deploy("bare verifier", verifierCode);
        if (batchVerifierCode.length != 0) placed.batch = deploy("bare batch verifier", batchVerifierCode);
        placed.adapter = deploy("ModelVerifier", creationCode("ModelVerifier", _arguments(model, placed, gasCap)));
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

    /// @dev What the adapter's constructor takes.
    function _arguments(
        string memory model,
        Placed memory placed,
        uint256 gasCap
    ) private view returns (bytes memory) {
        ModelParts memory parts = ModelParts(
            model.readBytes32(".parts.onnxHash"),
            model.readBytes32(".parts.settingsHash"),
            model.readBytes32(".parts.srsHash"),
            model.readBytes32(".parts.vkHash"),
            model.readString(".parts.engine")
        );
        bytes32 batchHash = placed.batch == address(0) ? bytes32(0) : placed.batch.codehash;
        return abi.encode(
            parts,
            placed.bare,
            placed.bare.codehash,
            placed.batch,
            batchHash,
            model.readUint(".proofLength"),
            gasCap,
            model.readBytes(".descriptor")
        );
    }

    /// @dev A verifier's creation code; none without a file.
    function _code(
        string memory file
    ) private view returns (bytes memory) {
        return bytes(file).length == 0 ? bytes("") : vm.readFile(file).readBytes(".bytecode");
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
