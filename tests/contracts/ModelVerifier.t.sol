// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model} from "./Fixtures.sol";
import {HostileVerifier} from "./Hostile.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {
    IModelVerifierErrors,
    MOCK_SELECTOR,
    ModelArgs,
    ModelParts,
    PROOF_SELECTOR,
    Tensor,
    TensorKind
} from "zkvouch/interfaces/IModelVerifier.sol";
import {IProofVerifier} from "zkvouch/interfaces/IProofVerifier.sol";
import {ModelArgsLib} from "zkvouch/libraries/ModelArgsLib.sol";
import {ModelId} from "zkvouch/libraries/ModelId.sol";
import {SchemaLib} from "zkvouch/libraries/SchemaLib.sol";

contract ModelVerifierTest is Fixtures, IModelVerifierErrors {
    Model internal model;
    ModelVerifier internal adapter;

    function setUp() public {
        model = loadModel("tree");
        adapter = deployAdapter(model);
    }

    // ------------------------------------------------------------------------------------------ what it says

    function test_SaysWhatItIs() public view {
        assertEq(address(adapter.VERIFIER()), address(model.bare));
        assertEq(adapter.VERIFIER_CODE_HASH(), address(model.bare).codehash);
        assertEq(adapter.CAPABILITIES(), 0);
        assertEq(adapter.predictions(), 1);
        assertEq(adapter.guardian(), address(0));
        assertFalse(adapter.stopped());
        assertEq(adapter.PROOF_LENGTH(), model.first.proof.length);
        assertEq(adapter.INSTANCE_COUNT(), 7);
        assertEq(adapter.GAS_CAP(), GAS_CAP);
        assertEq(adapter.descriptor(), model.descriptor);
        assertEq(adapter.schema(), hex"000000010207020000000403070200000003");
        ModelParts memory parts = adapter.modelParts();
        assertEq(abi.encode(parts), abi.encode(model.parts));
    }

    function test_IdentityIsTheHashOfTheParts() public view {
        ModelParts memory p = model.parts;
        bytes32 expected = keccak256(
            abi.encode(p.onnxHash, p.settingsHash, p.srsHash, p.vkHash, p.engine, keccak256(model.descriptor))
        );
        assertEq(adapter.modelId(), expected);
    }

    function test_SelectorIsStable() public view {
        assertEq(bytes32(adapter.selector()), bytes32(PROOF_SELECTOR));
        assertEq(bytes32(PROOF_SELECTOR), bytes32(bytes4(keccak256("zkvouch.proof.v2"))));
        assertEq(bytes32(PROOF_SELECTOR), bytes32(bytes4(0x32c749ef)), "the selector is part of deployed routers");
        assertNotEq(bytes32(PROOF_SELECTOR), bytes32(MOCK_SELECTOR));
    }

    function test_TensorsHaveTheirShapes() public view {
        Tensor[] memory tensors = adapter.tensors();
        assertEq(tensors.length, 2);
        assertEq(uint8(tensors[0].kind), uint8(TensorKind.Input));
        assertEq(tensors[0].scale, 7);
        assertEq(tensors[0].width, 2);
        assertEq(tensors[0].shape.length, 2);
        assertEq(tensors[0].shape[0], 1);
        assertEq(tensors[0].shape[1], 4);
        assertEq(uint8(tensors[1].kind), uint8(TensorKind.Output));
        assertEq(tensors[1].shape[1], 3);
    }

    /// @dev Any part that differs is another model.
    function testFuzz_IdentityBindsEveryPart(
        ModelParts memory parts,
        bytes32 descriptorHash,
        uint8 which,
        bytes32 other
    ) public pure {
        bytes32 id = ModelId.compute(parts, descriptorHash);
        which = which % 6;
        if (which == 0) (parts.onnxHash, other) = (other, parts.onnxHash);
        if (which == 1) (parts.settingsHash, other) = (other, parts.settingsHash);
        if (which == 2) (parts.srsHash, other) = (other, parts.srsHash);
        if (which == 3) (parts.vkHash, other) = (other, parts.vkHash);
        if (which == 4) parts.engine = string.concat(parts.engine, "x");
        if (which == 5) (descriptorHash, other) = (other, descriptorHash);
        bool same = which == 0
            ? parts.onnxHash == other
            : which == 1
                ? parts.settingsHash == other
                : which == 2
                    ? parts.srsHash == other
                    : which == 3 ? parts.vkHash == other : which == 5 && descriptorHash == other;
        assertEq(ModelId.compute(parts, descriptorHash) == id, same);
    }

    /// @dev The command's tests read the same file.
    function test_IdsAreTheCommands() public {
        string memory ids = vm.readFile("tests/fixtures/model-ids.json");
        string[3] memory names = ["tree", "credit", "hashed"];
        for (uint256 i = 0; i < names.length; ++i) {
            Model memory m = loadModel(names[i]);
            assertEq(deployAdapter(m).modelId(), stdJson.readBytes32(ids, string.concat(".", names[i])), names[i]);
        }
    }

    /// @dev Outputs scaled by 128, and inputs called outputs: other models, which no route of the honest one has.
    function test_AnotherDescriptorIsAnotherModel() public {
        bytes32 honest = adapter.modelId();
        bytes memory scaled = hex"0200000001020702020000000100000004030002020000000100000003";
        bytes memory allOutputs = hex"0200000001030702020000000100000004030702020000000100000003";
        bytes32 first = deployAdapter(model, GAS_CAP, scaled).modelId();
        bytes32 second = deployAdapter(model, GAS_CAP, allOutputs).modelId();
        assertTrue(first != honest && second != honest && first != second);
    }

    /// @dev All of the arguments are read back as they were encoded, whatever they are.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_ReadsItsArgumentsBack(
        ModelArgs memory args,
        uint8 runs,
        uint8 engine
    ) public {
        bytes memory version = new bytes(bound(engine, 1, 31));
        for (uint256 i = 0; i < version.length; ++i) {
            version[i] = bytes1(uint8(33 + i));
        }
        args.parts.engine = string(version);
        runs = uint8(bound(runs, 0, 21));
        args.descriptor = hex"0200000001";
        bytes memory expected = hex"00000001";
        uint256 count = 0;
        for (uint8 i = 0; i < runs; ++i) {
            args.descriptor = abi.encodePacked(args.descriptor, uint8(2), int8(i), uint8(4), uint8(1), uint32(i) + 1);
            expected = abi.encodePacked(expected, uint8(2), int8(i), uint8(4), uint32(i) + 1);
            count += i + 1;
        }
        ModelVerifier other = deployAdapter(args);
        assertEq(abi.encode(other.modelParts()), abi.encode(args.parts));
        assertEq(other.modelId(), ModelId.compute(args.parts, keccak256(args.descriptor)));
        assertEq(other.VERIFIER(), args.verifier);
        assertEq(other.VERIFIER_CODE_HASH(), args.verifierCodeHash);
        assertEq(other.CAPABILITIES(), args.capabilities);
        assertEq(other.PROOF_LENGTH(), args.proofLength);
        assertEq(other.GAS_CAP(), args.gasCap);
        assertEq(other.guardian(), args.guardian);
        assertEq(other.INSTANCE_COUNT(), count);
        assertEq(other.schema(), expected);
        assertEq(other.descriptor(), args.descriptor);
        assertEq(other.tensors().length, runs);
    }

    /// @dev The encoding that contracts/README.md describes, written down by hand.
    function test_TheArgumentsAreThoseOfTheReadme() public view {
        ModelArgs memory args = ModelArgs(
            ModelParts(bytes32(uint256(1)), bytes32(uint256(2)), bytes32(uint256(3)), bytes32(uint256(4)), "23.0.5"),
            address(5),
            bytes32(uint256(6)),
            7,
            2976,
            3_000_000,
            address(8),
            hex"0200000001020702020000000100000003030702020000000100000004"
        );
        bytes memory expected = bytes.concat(
            abi.encode(1, 2, 3, 4),
            bytes20(address(5)),
            abi.encode(6),
            hex"0700000ba000000000002dc6c0",
            bytes20(address(8)),
            hex"0000000706",
            "23.0.5",
            hex"0012000000010207020000000303070200000004",
            args.descriptor
        );
        assertEq(this.immutablesOf(args), expected);
    }

    /// @dev A prefix of OpenZeppelin's, the implementation in it, then the arguments.
    function test_IsACloneWithArguments() public view {
        assertEq(Clones.fetchCloneArgs(address(adapter)), this.immutablesOf(argsOf(model)));
        bytes memory code = address(adapter).code;
        assertEq(bytes10(code), bytes10(hex"363d3d373d3d3d363d73"));
    }

    /// @dev The implementation is no model, and nobody can make it one.
    function test_TheImplementationIsNoModel() public {
        ModelVerifier bare = new ModelVerifier();
        bytes4 no = ModelVerifier.NotAClone.selector;
        vm.expectRevert(no);
        bare.verify(model.first.proof, model.first.instances);
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(model.first.proof, model.first.instances);
        vm.expectRevert(no);
        bare.verifyMany(proofs, instances);
        vm.expectRevert(no);
        bare.verifyPacked(model.first.proof, "");
        vm.expectRevert(no);
        bare.verifyManyPacked(proofs, new bytes[](1));
        string[14] memory views = [
            "modelId()",
            "schema()",
            "tensors()",
            "descriptor()",
            "modelParts()",
            "predictions()",
            "VERIFIER()",
            "VERIFIER_CODE_HASH()",
            "CAPABILITIES()",
            "PROOF_LENGTH()",
            "INSTANCE_COUNT()",
            "GAS_CAP()",
            "guardian()",
            "stopped()"
        ];
        for (uint256 i = 0; i < views.length; ++i) {
            (bool success, bytes memory reason) = address(bare).staticcall(abi.encodeWithSignature(views[i]));
            assertFalse(success, views[i]);
            assertEq(bytes32(reason), bytes32(no), views[i]);
        }
        vm.expectRevert(no);
        bare.stop();
        vm.expectRevert(no);
        bare.transferGuardian(address(this));
        vm.expectRevert(abi.encodeWithSelector(ModelVerifier.NotTheGuardian.selector, address(this)));
        bare.acceptGuardian();
    }

    // ------------------------------------------------------------------------------------------ refusals in full

    function test_RevertsWithWhatItGotAndWhatItExpects() public {
        bytes memory proof = model.first.proof;
        uint256[] memory instances = copyOf(model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(ProofLengthMismatch.selector, proof.length + 1, proof.length));
        adapter.verify(bytes.concat(proof, bytes1(0)), instances);
        vm.expectRevert(abi.encodeWithSelector(InstanceCountMismatch.selector, 2, 7));
        adapter.verify(proof, new uint256[](2));
        instances[5] = R;
        instances[6] = R + 1;
        vm.expectRevert(abi.encodeWithSelector(InstanceOutOfField.selector, 5, R));
        adapter.verify(proof, instances);
        vm.expectRevert(abi.encodeWithSelector(InvalidProof.selector, adapter.modelId()));
        adapter.verify(proof, new uint256[](7));
    }

    /// @dev An instance out of the field is found wherever it stands, and the last one below it passes the check.
    function testFuzz_FindsTheFirstInstanceOutOfTheField(
        uint8 count,
        uint256 seed
    ) public {
        count = uint8(bound(count, 1, 40));
        HostileVerifier yes = new HostileVerifier(HostileVerifier.Mode.True);
        ModelVerifier open = _adapterOf(yes, abi.encodePacked(hex"020000000102002001", uint32(count)));
        uint256[] memory instances = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            instances[i] = R - 1 - i;
        }
        open.verify(new bytes(32), instances);
        uint256 first = seed % count;
        uint256 second = bound(seed >> 8, first, count - 1);
        instances[second] = bound(seed, R, type(uint256).max);
        instances[first] = R;
        vm.expectRevert(abi.encodeWithSelector(InstanceOutOfField.selector, first, R));
        open.verify(new bytes(32), instances);
    }

    // ------------------------------------------------------------------------------------------ the call

    /// @dev Whatever the encoding that came in, one goes out.
    function test_EncodesCanonically() public {
        bytes memory canonical = abi.encodeCall(IProofVerifier.verifyProof, (model.first.proof, model.first.instances));
        vm.expectCall(address(model.bare), canonical, 2);
        adapter.verify(model.first.proof, model.first.instances);
        // Decodes to the same: the instances first, a gap before each, and a tail.
        uint256[] memory instances = model.first.instances;
        bytes memory other = bytes.concat(
            adapter.verify.selector,
            abi.encode(0xa0 + 32 * instances.length, 0x60, uint256(1), instances.length),
            abi.encodePacked(instances),
            abi.encode(uint256(2), model.first.proof.length),
            model.first.proof,
            bytes32(uint256(3))
        );
        (bool success,) = address(adapter).staticcall(other);
        assertTrue(success);
    }

    /// @dev Arguments that reach beyond the calldata are no arguments.
    function test_RevertWhenAnArgumentIsCutOff() public view {
        bytes memory data = abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances));
        for (uint256 i = 0; i < 8; ++i) {
            assembly ("memory-safe") {
                mstore(data, sub(mload(data), 0x17))
            }
            (bool success,) = address(adapter).staticcall(data);
            assertFalse(success);
        }
    }

    function test_CallsTheVerifierWithTheCap() public {
        vm.expectCall(
            address(model.bare),
            0,
            uint64(GAS_CAP),
            abi.encodeCall(IProofVerifier.verifyProof, (model.first.proof, model.first.instances))
        );
        adapter.verify(model.first.proof, model.first.instances);
    }

    /// @dev From too little gas to enough: the proof is accepted, or there was too little gas. No amount makes a valid
    /// proof look invalid.
    /// forge-config: default.fuzz.runs = 128
    function testFuzz_NoAmountOfGasMakesAProofInvalid(
        uint256 gas
    ) public view {
        gas = bound(gas, 40_000, 700_000);
        (bool success, bytes memory reason) = address(adapter).staticcall{gas: gas}(
            abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances))
        );
        if (success) assertGt(gas, 400_000);
        else _outOfGas(gas, reason);
        if (gas > 550_000) assertTrue(success);
    }

    /// @dev An invalid proof is called invalid as soon as there was enough gas to find out, and never valid.
    /// forge-config: default.fuzz.runs = 128
    function testFuzz_NoAmountOfGasMakesAnInvalidProofValid(
        uint256 gas
    ) public view {
        gas = bound(gas, 40_000, 700_000);
        uint256[] memory instances = copyOf(model.first.instances);
        instances[6] = 5;
        (bool success, bytes memory reason) =
            address(adapter).staticcall{gas: gas}(abi.encodeCall(adapter.verify, (model.first.proof, instances)));
        assertFalse(success);
        bytes32 selector = bytes32(bytes4(reason));
        if (selector == bytes32(InvalidProof.selector)) assertGt(gas, 400_000);
        else _outOfGas(gas, reason);
        if (gas > 550_000) assertEq(selector, bytes32(InvalidProof.selector));
    }

    /// @dev By name, unless so little was sent that none is left to say it.
    function _outOfGas(
        uint256 gas,
        bytes memory reason
    ) private pure {
        if (gas < 200_000 && reason.length == 0) return;
        assertEq(bytes32(bytes4(reason)), bytes32(InsufficientGas.selector));
    }

    /// @dev Nor does a cap that is too low.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_NoCapMakesAProofInvalid(
        uint256 cap
    ) public {
        cap = bound(cap, 1, 600_000);
        ModelVerifier tight = deployAdapter(model, cap, model.descriptor);
        (bool success, bytes memory reason) =
            address(tight).staticcall(abi.encodeCall(tight.verify, (model.first.proof, model.first.instances)));
        if (success) assertGt(cap, 400_000);
        else assertEq(reason, abi.encodeWithSelector(VerifierOutOfGas.selector, cap));
        if (cap > 500_000) assertTrue(success);
    }

    function test_RevertInsufficientGasSaysHowMuch() public {
        (bool success, bytes memory reason) = address(adapter).staticcall{gas: 300_000}(
            abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances))
        );
        assertFalse(success);
        assembly ("memory-safe") {
            mstore(add(reason, 4), sub(mload(reason), 4))
            reason := add(reason, 4)
        }
        (uint256 available, uint256 required) = abi.decode(reason, (uint256, uint256));
        assertLt(available, 300_000);
        assertGt(required, GAS_CAP);
    }

    /// @dev The proof is valid and the cap is what is wrong, and it says so.
    function test_RevertOutOfGasWhenTheCapIsTooLow() public {
        ModelVerifier tight = deployAdapter(model, 200_000, model.descriptor);
        vm.expectRevert(abi.encodeWithSelector(VerifierOutOfGas.selector, 200_000));
        tight.verify(model.first.proof, model.first.instances);
    }

    function test_RevertWhenTheCodeChanges() public {
        bytes32 expected = adapter.VERIFIER_CODE_HASH();
        vm.etch(address(model.bare), hex"600160005260206000f3");
        vm.expectRevert(
            abi.encodeWithSelector(
                VerifierCodeMismatch.selector, address(model.bare), keccak256(hex"600160005260206000f3"), expected
            )
        );
        adapter.verify(model.first.proof, model.first.instances);
    }

    // ------------------------------------------------------------------------------------------ hostile verifiers

    function test_HostileTrueIsTrue() public {
        _hostile(HostileVerifier.Mode.True, "");
    }

    function test_RevertHostileFalse() public {
        _hostile(HostileVerifier.Mode.False, _invalid());
    }

    function test_RevertHostileAnswers() public {
        _hostile(HostileVerifier.Mode.Two, abi.encodeWithSelector(UnexpectedVerifierReturn.selector, 32));
        _hostile(HostileVerifier.Mode.Nothing, abi.encodeWithSelector(UnexpectedVerifierReturn.selector, 0));
        _hostile(HostileVerifier.Mode.HalfAWord, abi.encodeWithSelector(UnexpectedVerifierReturn.selector, 16));
        _hostile(HostileVerifier.Mode.TwoWords, abi.encodeWithSelector(UnexpectedVerifierReturn.selector, 64));
    }

    function test_RevertHostileReverts() public {
        _hostile(HostileVerifier.Mode.Revert, _invalid());
    }

    /// @dev What it returns is its own expense: nothing of it is copied.
    function test_RevertHostileBombs() public {
        _hostile(HostileVerifier.Mode.ReturnBomb, abi.encodeWithSelector(UnexpectedVerifierReturn.selector, 200_000));
        _hostile(HostileVerifier.Mode.RevertBomb, _invalid());
    }

    /// @dev It gets the cap and no more of what is left.
    function test_RevertHostileBurnsTheCapAtMost() public {
        bytes memory outOfGas = abi.encodeWithSelector(VerifierOutOfGas.selector, GAS_CAP);
        _hostile(HostileVerifier.Mode.BurnGas, outOfGas);
        _hostile(HostileVerifier.Mode.Invalid, outOfGas);
        // A precompile that burned its gas can't be told from one that had too little.
        _hostile(HostileVerifier.Mode.BurnThenRevert, outOfGas);
    }

    function _hostile(
        HostileVerifier.Mode mode,
        bytes memory expected
    ) private {
        ModelVerifier hostile = _adapterOf(new HostileVerifier(mode), model.descriptor);
        bytes memory proof = new bytes(32);
        uint256[] memory instances = model.first.instances;
        uint256 before = gasleft();
        (bool success, bytes memory reason) =
            address(hostile).staticcall(abi.encodeCall(hostile.verify, (proof, instances)));
        assertLt(before - gasleft(), GAS_CAP + 60_000, "it cost more than the cap");
        assertEq(success, expected.length == 0);
        if (!success) assertEq(reason, expected);
    }

    function _invalid() private view returns (bytes memory) {
        return abi.encodeWithSelector(InvalidProof.selector, adapter.modelId());
    }

    function _adapterOf(
        HostileVerifier verifier,
        bytes memory descriptor
    ) private returns (ModelVerifier) {
        ModelArgs memory args = argsOf(model);
        (args.verifier, args.verifierCodeHash) = (address(verifier), address(verifier).codehash);
        (args.proofLength, args.descriptor) = (32, descriptor);
        return deployAdapter(args);
    }
}
