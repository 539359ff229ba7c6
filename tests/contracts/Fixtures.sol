// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {Test} from "forge-std/Test.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {ModelArgs, ModelParts} from "zkvouch/interfaces/IModelVerifier.sol";
import {
    IBatchProofVerifier,
    IPackedBatchProofVerifier,
    IPackedProofVerifier,
    IProofVerifier
} from "zkvouch/interfaces/IProofVerifier.sol";
import {Instances} from "zkvouch/libraries/Instances.sol";
import {ModelArgsLib} from "zkvouch/libraries/ModelArgsLib.sol";
import {SchemaLib} from "zkvouch/libraries/SchemaLib.sol";

/// @dev All entries of the lean verifier.
interface ILeanVerifier is IProofVerifier, IBatchProofVerifier, IPackedProofVerifier, IPackedBatchProofVerifier {}

/// @notice A proof as the command wrote it.
struct Proof {
    bytes proof;
    uint256[] instances;
    // ezkl's own decoding, as decimal strings.
    string[] outputs;
}

/// @notice A model of tests/fixtures, with its bare verifier deployed, and what that can do besides `verifyProof`.
struct Model {
    string name;
    ModelParts parts;
    bytes descriptor;
    uint256 proofLength;
    ILeanVerifier bare;
    uint8 capabilities;
    // Of one observation, by two different proofs.
    Proof first;
    Proof again;
}

/// @title What every test with real proofs starts from
abstract contract Fixtures is Test {
    using stdJson for string;

    uint256 internal constant R =
        21_888_242_871_839_275_222_246_405_745_257_275_088_548_364_400_416_034_343_698_204_186_575_808_495_617;
    uint256 internal constant Q =
        21_888_242_871_839_275_222_246_405_745_257_275_088_696_311_157_297_823_662_689_037_894_645_226_208_583;
    /// @dev More than any fixture's verification takes.
    uint256 internal constant GAS_CAP = 1_500_000;

    address private _implementation;

    address internal owner = makeAddr("owner");
    address internal guardian = makeAddr("guardian");

    /// @dev With ezkl's verifier.
    function loadModel(
        string memory name
    ) internal returns (Model memory model) {
        model = _load(name);
        model.bare = ILeanVerifier(deployBare(name));
    }

    /// @dev With the lean verifier.
    function loadLean(
        string memory name
    ) internal returns (Model memory model) {
        model = _load(name);
        model.bare = ILeanVerifier(deployBare(string.concat(name, "-lean")));
        model.capabilities = 7;
    }

    function _load(
        string memory name
    ) private view returns (Model memory model) {
        string memory folder = string.concat("tests/fixtures/models/", name, "/");
        string memory json = vm.readFile(string.concat(folder, "model.json"));
        model.name = name;
        model.parts = ModelParts(
            json.readBytes32(".parts.onnxHash"),
            json.readBytes32(".parts.settingsHash"),
            json.readBytes32(".parts.srsHash"),
            json.readBytes32(".parts.vkHash"),
            json.readString(".parts.engine")
        );
        model.descriptor = json.readBytes(".descriptor");
        model.proofLength = json.readUint(".proofLength");
        model.first = loadProof(name, "proof-0");
        model.again = loadProof(name, "proof-0-again");
    }

    function loadProof(
        string memory model,
        string memory name
    ) internal view returns (Proof memory proof) {
        string memory json = vm.readFile(string.concat("tests/fixtures/models/", model, "/", name, ".json"));
        proof.proof = json.readBytes(".hex_proof");
        string[] memory words = json.readStringArray(".instances[0]");
        proof.instances = new uint256[](words.length);
        for (uint256 i = 0; i < words.length; ++i) {
            proof.instances[i] = _fromLittleEndian(vm.parseUint(string.concat("0x", words[i])));
        }
        proof.outputs = json.readStringArray(".pretty_public_inputs.rescaled_outputs[0]");
    }

    function deployBare(
        string memory name
    ) internal returns (address bare) {
        string memory file = string.concat("tests/fixtures/generated/", name, ".json");
        require(vm.exists(file), "tests/fixtures/generated is empty: run `npm run fixtures` (or `npm test`) first");
        bytes memory code = vm.readFile(file).readBytes(".bytecode");
        assembly ("memory-safe") {
            bare := create(0, add(code, 0x20), mload(code))
        }
        require(bare != address(0), "the bare verifier did not deploy");
    }

    /// @dev What the model is added with.
    function argsOf(
        Model memory model
    ) internal view returns (ModelArgs memory) {
        return ModelArgs(
            model.parts,
            address(model.bare),
            address(model.bare).codehash,
            model.capabilities,
            uint32(model.proofLength),
            uint64(GAS_CAP),
            address(0),
            model.descriptor
        );
    }

    /// @dev A clone that no router made, and nobody examined.
    function deployAdapter(
        Model memory model
    ) internal returns (ModelVerifier) {
        return deployAdapter(argsOf(model));
    }

    function deployAdapter(
        Model memory model,
        uint256 gasCap,
        bytes memory descriptor
    ) internal returns (ModelVerifier) {
        ModelArgs memory args = argsOf(model);
        (args.gasCap, args.descriptor) = (uint64(gasCap), descriptor);
        return deployAdapter(args);
    }

    function deployAdapter(
        ModelArgs memory args
    ) internal returns (ModelVerifier) {
        if (_implementation == address(0)) _implementation = address(new ModelVerifier());
        return ModelVerifier(Clones.cloneWithImmutableArgs(_implementation, this.immutablesOf(args)));
    }

    function immutablesOf(
        ModelArgs calldata args
    ) external pure returns (bytes memory) {
        (bytes memory schema, uint256 count) = SchemaLib.fromDescriptor(args.descriptor);
        return ModelArgsLib.encode(args, count, schema);
    }

    function deployRouter() internal returns (ModelRouter) {
        return new ModelRouter(owner, address(new ModelVerifier()));
    }

    /// @dev A router with this model, and the model's verifier.
    function deployRouter(
        Model memory model
    ) internal returns (ModelRouter router, ModelVerifier adapter) {
        router = deployRouter();
        adapter = addTo(router, model);
    }

    function addTo(
        ModelRouter router,
        Model memory model
    ) internal returns (ModelVerifier) {
        return addTo(router, argsOf(model), model.first);
    }

    function addTo(
        ModelRouter router,
        ModelArgs memory args,
        Proof memory golden
    ) internal returns (ModelVerifier) {
        vm.prank(owner);
        (, address verifier) = router.addModel(args, golden.proof, golden.instances);
        return ModelVerifier(verifier);
    }

    /// @dev A proof's instances in the widths of its model.
    function packedOf(
        Model memory model,
        uint256[] memory instances
    ) internal pure returns (bytes memory packed) {
        (bytes memory schema,) = SchemaLib.fromDescriptor(model.descriptor);
        bool fits;
        (fits, packed) = Instances.tryPack(schema, instances);
        require(fits, "an instance does not fit its width");
    }

    /// @dev The same, where they fit; nothing where they don't, or are no scalars, or another number.
    function tryPacked(
        Model memory model,
        uint256[] memory instances
    ) internal pure returns (bool, bytes memory) {
        (bytes memory schema, uint256 count) = SchemaLib.fromDescriptor(model.descriptor);
        if (instances.length != count) return (false, "");
        for (uint256 i = 0; i < count; ++i) {
            if (instances[i] >= R) return (false, "");
        }
        return Instances.tryPack(schema, instances);
    }

    function packedOf(
        Model memory model,
        uint256[][] memory instances
    ) internal pure returns (bytes[] memory packed) {
        packed = new bytes[](instances.length);
        for (uint256 i = 0; i < instances.length; ++i) {
            packed[i] = packedOf(model, instances[i]);
        }
    }

    /// @dev A batch of these proofs.
    function batchOf(
        Proof[] memory items
    ) internal pure returns (bytes[] memory proofs, uint256[][] memory instances) {
        proofs = new bytes[](items.length);
        instances = new uint256[][](items.length);
        for (uint256 i = 0; i < items.length; ++i) {
            (proofs[i], instances[i]) = (items[i].proof, items[i].instances);
        }
    }

    function batchOf(
        bytes memory proof,
        uint256[] memory instance
    ) internal pure returns (bytes[] memory proofs, uint256[][] memory instances) {
        proofs = new bytes[](1);
        instances = new uint256[][](1);
        (proofs[0], instances[0]) = (proof, instance);
    }

    function copyOf(
        bytes memory data
    ) internal pure returns (bytes memory) {
        return bytes.concat(data);
    }

    function copyOf(
        uint256[] memory data
    ) internal pure returns (uint256[] memory copy) {
        copy = new uint256[](data.length);
        for (uint256 i = 0; i < data.length; ++i) {
            copy[i] = data[i];
        }
    }

    /// @dev 18 decimals from ezkl's decimal string, rounded down; an independent way to the decoder's answer.
    function parseDecimal(
        string memory text
    ) internal pure returns (int256) {
        bytes memory digits = bytes(text);
        bool negative = digits[0] == "-";
        int256 value = 0;
        uint256 decimals = 0;
        bool point = false;
        for (uint256 i = negative ? 1 : 0; i < digits.length; ++i) {
            if (digits[i] == ".") {
                point = true;
                continue;
            }
            value = value * 10 + int256(uint256(uint8(digits[i]) - 48));
            if (point) ++decimals;
        }
        value *= int256(10 ** (18 - decimals));
        return negative ? -value : value;
    }

    function _fromLittleEndian(
        uint256 word
    ) private pure returns (uint256 swapped) {
        for (uint256 i = 0; i < 32; ++i) {
            swapped = (swapped << 8) | (word & 0xff);
            word >>= 8;
        }
    }
}
