// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model} from "./Fixtures.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {IModelVerifierErrors, ModelArgs} from "zkvouch/interfaces/IModelVerifier.sol";

contract GuardianTest is Fixtures {
    Model internal model;
    ModelRouter internal router;
    ModelVerifier internal adapter;
    bytes32 internal modelId;
    bytes internal stopped;

    function setUp() public {
        model = loadLean("tree");
        router = deployRouter();
        ModelArgs memory args = argsOf(model);
        args.guardian = guardian;
        adapter = addTo(router, args, model.first);
        modelId = adapter.modelId();
        stopped = abi.encodeWithSelector(IModelVerifierErrors.ModelStopped.selector, modelId);
    }

    function test_VerifiesUntilItIsStopped() public view {
        assertEq(adapter.guardian(), guardian);
        assertFalse(adapter.stopped());
        adapter.verify(model.first.proof, model.first.instances);
        router.verify(modelId, model.first.proof, model.first.instances);
    }

    function test_StopsForGood() public {
        vm.expectEmit(address(adapter));
        emit ModelVerifier.ModelStoppedForGood(modelId, guardian);
        vm.prank(guardian);
        adapter.stop();
        assertTrue(adapter.stopped());
        _refusesAll();
        vm.expectRevert(stopped);
        vm.prank(guardian);
        adapter.stop();
    }

    /// @dev None of its functions lifts it: the guardian's calls with every selector in its ABI, and with those that a
    /// stop which lifts would have.
    function test_NothingLiftsTheStop() public {
        vm.startPrank(guardian);
        adapter.stop();
        string memory json = vm.readFile("out/ModelVerifier.sol/ModelVerifier.json");
        string[] memory signatures = vm.parseJsonKeys(json, ".methodIdentifiers");
        assertEq(signatures.length, 23, "its ABI has changed: look at what is new");
        uint256 succeeded;
        for (uint256 i = 0; i < signatures.length; ++i) {
            // Enough words for any of its arguments: an address, or two empty arrays.
            bytes4 selector = bytes4(keccak256(bytes(signatures[i])));
            (bool success,) = address(adapter).call(abi.encodeWithSelector(selector, uint256(0x40), uint256(0x40), 0));
            if (success) ++succeeded;
            assertTrue(adapter.stopped(), signatures[i]);
        }
        // The views that stay, and offering the guardian's part.
        assertEq(succeeded, 14);
        string[6] memory usual = ["unpause()", "start()", "resume()", "pause()", "setPaused(bool)", "initialize()"];
        for (uint256 i = 0; i < usual.length; ++i) {
            (bool success,) = address(adapter).call(abi.encodeWithSignature(usual[i], false));
            assertFalse(success, usual[i]);
        }
        vm.stopPrank();
        _refusesAll();
    }

    /// @dev Nor its next guardian.
    function test_NobodyElseLiftsTheStop() public {
        vm.startPrank(guardian);
        adapter.stop();
        adapter.transferGuardian(owner);
        vm.stopPrank();
        vm.prank(owner);
        adapter.acceptGuardian();
        assertEq(adapter.guardian(), owner);
        _refusesAll();
    }

    /// @dev What it is remains known.
    function test_AStoppedModelSaysWhatItWas() public {
        vm.prank(guardian);
        adapter.stop();
        assertEq(adapter.modelId(), modelId);
        assertEq(abi.encode(adapter.modelParts()), abi.encode(model.parts));
        assertEq(adapter.VERIFIER(), address(model.bare));
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_RevertWhenNotTheGuardian(
        address caller
    ) public {
        vm.assume(caller != guardian);
        bytes memory reason = abi.encodeWithSelector(ModelVerifier.NotTheGuardian.selector, caller);
        vm.startPrank(caller);
        vm.expectRevert(reason);
        adapter.stop();
        vm.expectRevert(reason);
        adapter.transferGuardian(caller);
        vm.expectRevert(reason);
        adapter.acceptGuardian();
    }

    function test_GuardianChangesInTwoSteps() public {
        vm.expectEmit(address(adapter));
        emit ModelVerifier.GuardianOffered(guardian, owner);
        vm.prank(guardian);
        adapter.transferGuardian(owner);
        assertEq(adapter.guardian(), guardian);
        assertEq(adapter.pendingGuardian(), owner);
        vm.expectEmit(address(adapter));
        emit ModelVerifier.GuardianChanged(guardian, owner);
        vm.prank(owner);
        adapter.acceptGuardian();
        assertEq(adapter.guardian(), owner);
        assertEq(adapter.pendingGuardian(), address(0));
        vm.expectRevert(abi.encodeWithSelector(ModelVerifier.NotTheGuardian.selector, guardian));
        vm.prank(guardian);
        adapter.stop();
        vm.prank(owner);
        adapter.stop();
        _refusesAll();
    }

    function test_AnOfferCanBeTakenBack() public {
        vm.startPrank(guardian);
        adapter.transferGuardian(owner);
        adapter.transferGuardian(address(0));
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(ModelVerifier.NotTheGuardian.selector, owner));
        vm.prank(owner);
        adapter.acceptGuardian();
    }

    /// @dev Another model's clone has storage of its own.
    function test_StopsOneModelOnly() public {
        Model memory sibling = loadLean("sibling");
        ModelArgs memory args = argsOf(sibling);
        args.guardian = guardian;
        ModelVerifier other = addTo(router, args, sibling.first);
        vm.prank(guardian);
        adapter.stop();
        assertFalse(other.stopped());
        other.verify(sibling.first.proof, sibling.first.instances);
    }

    /// @dev Without a guardian nobody can stop it: not even a call from zero, were there one, and no slot is read.
    function test_NobodyStopsAModelWithoutAGuardian() public {
        ModelVerifier free = deployAdapter(model);
        assertEq(free.guardian(), address(0));
        address[3] memory callers = [owner, guardian, address(router)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ModelVerifier.NotTheGuardian.selector, callers[i]));
            vm.prank(callers[i]);
            free.stop();
        }
        vm.record();
        free.verify(model.first.proof, model.first.instances);
        (bytes32[] memory reads,) = vm.accesses(address(free));
        assertEq(reads.length, 0);
        for (uint256 slot = 0; slot < 4; ++slot) {
            vm.store(address(free), bytes32(slot), bytes32(type(uint256).max));
        }
        free.verify(model.first.proof, model.first.instances);
    }

    function _refusesAll() private {
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(model.first.proof, model.first.instances);
        bytes[] memory packed = packedOf(model, instances);
        vm.expectRevert(stopped);
        adapter.verify(proofs[0], instances[0]);
        vm.expectRevert(stopped);
        adapter.verifyMany(proofs, instances);
        vm.expectRevert(stopped);
        adapter.verifyPacked(proofs[0], packed[0]);
        vm.expectRevert(stopped);
        adapter.verifyManyPacked(proofs, packed);
        vm.expectRevert(stopped);
        adapter.schema();
        vm.expectRevert(stopped);
        adapter.tensors();
        vm.expectRevert(stopped);
        adapter.descriptor();
        vm.expectRevert(stopped);
        router.verify(modelId, proofs[0], instances[0]);
        vm.expectRevert(stopped);
        router.verifyBatchPacked(modelId, proofs, packed);
        vm.expectRevert(stopped);
        router.gate(modelId, proofs[0], instances[0]);
    }
}
