// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model} from "./Fixtures.sol";
import {HostileVerifier} from "./Hostile.sol";
import {ShortStrings} from "@openzeppelin/contracts/utils/ShortStrings.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {
    IModelVerifierErrors,
    MOCK_SELECTOR,
    ModelParts,
    PROOF_SELECTOR,
    Tensor,
    TensorKind
} from "zkvouch/interfaces/IModelVerifier.sol";
import {IBatchProofVerifier, IProofVerifier} from "zkvouch/interfaces/IProofVerifier.sol";
import {ModelId} from "zkvouch/libraries/ModelId.sol";
import {SchemaLib} from "zkvouch/libraries/SchemaLib.sol";

contract ModelVerifierTest is Fixtures, IModelVerifierErrors {
    IBatchProofVerifier private constant NONE = IBatchProofVerifier(address(0));

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
        assertEq(address(adapter.BATCH_VERIFIER()), address(0));
        assertEq(adapter.BATCH_VERIFIER_CODE_HASH(), 0);
        assertEq(adapter.PROOF_LENGTH(), model.first.proof.length);
        assertEq(adapter.INSTANCE_COUNT(), 7);
        assertEq(adapter.GAS_CAP(), GAS_CAP);
        assertEq(adapter.descriptor(), model.descriptor);
        assertEq(adapter.schema(), hex"020700000004030700000003");
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
        assertEq(bytes32(PROOF_SELECTOR), bytes32(bytes4(keccak256("zkvouch.proof.v1"))));
        assertEq(bytes32(PROOF_SELECTOR), bytes32(bytes4(0xae446610)), "the selector is part of deployed routers");
        assertNotEq(bytes32(PROOF_SELECTOR), bytes32(MOCK_SELECTOR));
    }

    function test_TensorsHaveTheirShapes() public view {
        Tensor[] memory tensors = adapter.tensors();
        assertEq(tensors.length, 2);
        assertEq(uint8(tensors[0].kind), uint8(TensorKind.Input));
        assertEq(tensors[0].scale, 7);
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
        bytes memory scaled = hex"02070200000001000000040300020000000100000003";
        bytes memory allOutputs = hex"03070200000001000000040307020000000100000003";
        bytes32 first = deployAdapter(model, GAS_CAP, scaled).modelId();
        bytes32 second = deployAdapter(model, GAS_CAP, allOutputs).modelId();
        assertTrue(first != honest && second != honest && first != second);
    }

    /// @dev Whatever an adapter is made with moves its deterministic address.
    function test_TheAddressCommitsToEveryArgument() public {
        bytes memory code = type(ModelVerifier).creationCode;
        bytes32 hash = address(model.bare).codehash;
        bytes32[6] memory seen;
        ModelParts memory parts = model.parts;
        seen[0] = keccak256(bytes.concat(code, _arguments(parts, hash, model.proofLength, GAS_CAP, model.descriptor)));
        parts.vkHash = ~parts.vkHash;
        seen[1] = keccak256(bytes.concat(code, _arguments(parts, hash, model.proofLength, GAS_CAP, model.descriptor)));
        parts.vkHash = ~parts.vkHash;
        seen[2] = keccak256(bytes.concat(code, _arguments(parts, ~hash, model.proofLength, GAS_CAP, model.descriptor)));
        seen[3] =
            keccak256(bytes.concat(code, _arguments(parts, hash, model.proofLength + 32, GAS_CAP, model.descriptor)));
        seen[4] =
            keccak256(bytes.concat(code, _arguments(parts, hash, model.proofLength, GAS_CAP + 1, model.descriptor)));
        seen[5] = keccak256(bytes.concat(code, _arguments(parts, hash, model.proofLength, GAS_CAP, hex"030000")));
        for (uint256 i = 0; i < 6; ++i) {
            for (uint256 j = 0; j < i; ++j) {
                assertTrue(seen[i] != seen[j]);
            }
        }
    }

    function _arguments(
        ModelParts memory parts,
        bytes32 codeHash,
        uint256 proofLength,
        uint256 gasCap,
        bytes memory tensorDescriptor
    ) private view returns (bytes memory) {
        return abi.encode(parts, model.bare, codeHash, address(0), bytes32(0), proofLength, gasCap, tensorDescriptor);
    }

    /// @dev Long schemas fill several of the four words, and nothing of the memory behind them gets in.
    function testFuzz_SchemaIsKeptWhole(
        uint8 runs
    ) public {
        runs = uint8(bound(runs, 0, 21));
        bytes memory descriptor;
        bytes memory expected;
        for (uint8 i = 0; i < runs; ++i) {
            descriptor = abi.encodePacked(descriptor, uint8(2), int8(i), uint8(1), uint32(i) + 1);
            expected = abi.encodePacked(expected, uint8(2), int8(i), uint32(i) + 1);
        }
        ModelVerifier other = deployAdapter(model, GAS_CAP, descriptor);
        assertEq(other.schema(), expected);
    }

    // ------------------------------------------------------------------------------------------ construction

    function test_RevertConstructorWhenCodeDiffers() public {
        bytes32 found = address(model.bare).codehash;
        bytes32 wrong = keccak256("other code");
        vm.expectRevert(abi.encodeWithSelector(VerifierCodeMismatch.selector, address(model.bare), found, wrong));
        new ModelVerifier(model.parts, model.bare, wrong, NONE, 0, model.proofLength, GAS_CAP, model.descriptor);
    }

    /// @dev The hash of no code, or of an account that isn't there, can't be pinned.
    function test_RevertConstructorWhenThereIsNoCode() public {
        IProofVerifier nobody = IProofVerifier(makeAddr("nobody"));
        vm.expectRevert(abi.encodeWithSelector(VerifierCodeMismatch.selector, nobody, bytes32(0), bytes32(0)));
        new ModelVerifier(model.parts, nobody, bytes32(0), NONE, 0, model.proofLength, GAS_CAP, model.descriptor);
        vm.deal(address(nobody), 1);
        bytes32 empty = keccak256("");
        vm.expectRevert(abi.encodeWithSelector(VerifierCodeMismatch.selector, nobody, empty, empty));
        new ModelVerifier(model.parts, nobody, empty, NONE, 0, model.proofLength, GAS_CAP, model.descriptor);
    }

    function test_RevertConstructorWhenAnArgumentIsWrong() public {
        bytes32 hash = address(model.bare).codehash;
        uint256[3] memory lengths = [uint256(0), 31, 2975];
        for (uint256 i = 0; i < lengths.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ModelVerifier.InvalidArgument.selector, "proofLength"));
            new ModelVerifier(model.parts, model.bare, hash, NONE, 0, lengths[i], GAS_CAP, model.descriptor);
        }
        vm.expectRevert(abi.encodeWithSelector(ModelVerifier.InvalidArgument.selector, "gasCap"));
        new ModelVerifier(model.parts, model.bare, hash, NONE, 0, model.proofLength, 0, model.descriptor);
        vm.expectRevert(abi.encodeWithSelector(ModelVerifier.InvalidArgument.selector, "gasCap"));
        new ModelVerifier(model.parts, model.bare, hash, NONE, 0, model.proofLength, 1 << 64, model.descriptor);
        ModelParts memory parts = model.parts;
        parts.engine = "";
        vm.expectRevert(abi.encodeWithSelector(ModelVerifier.InvalidArgument.selector, "engine"));
        new ModelVerifier(parts, model.bare, hash, NONE, 0, model.proofLength, GAS_CAP, model.descriptor);
        parts.engine = "a version of more than 31 bytes.";
        vm.expectRevert(abi.encodeWithSelector(ShortStrings.StringTooLong.selector, parts.engine));
        new ModelVerifier(parts, model.bare, hash, NONE, 0, model.proofLength, GAS_CAP, model.descriptor);
    }

    function test_RevertConstructorWhenTheDescriptorIsMalformed() public {
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.DescriptorTruncated.selector, 0));
        new ModelVerifier(
            model.parts, model.bare, address(model.bare).codehash, NONE, 0, model.proofLength, GAS_CAP, hex"0207"
        );
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
        ModelVerifier open = _adapterOf(yes, abi.encodePacked(uint8(2), uint8(0), uint8(1), uint32(count)));
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
        assertEq(reason, expected);
    }

    function _invalid() private view returns (bytes memory) {
        return abi.encodeWithSelector(InvalidProof.selector, adapter.modelId());
    }

    function _adapterOf(
        HostileVerifier verifier,
        bytes memory descriptor
    ) private returns (ModelVerifier) {
        return new ModelVerifier(
            model.parts, IProofVerifier(address(verifier)), address(verifier).codehash, NONE, 0, 32, GAS_CAP, descriptor
        );
    }
}
