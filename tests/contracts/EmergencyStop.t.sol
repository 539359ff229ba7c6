// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model} from "./Fixtures.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {EmergencyStop} from "zkvouch/EmergencyStop.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";

contract EmergencyStopTest is Fixtures {
    Model internal model;
    ModelVerifier internal adapter;
    EmergencyStop internal stop;

    function setUp() public {
        model = loadModel("tree");
        adapter = deployAdapter(model);
        stop = new EmergencyStop(adapter, guardian);
    }

    function test_StandsForItsVerifier() public view {
        assertEq(address(stop.VERIFIER()), address(adapter));
        assertEq(stop.modelId(), adapter.modelId());
        assertEq(bytes32(stop.selector()), bytes32(adapter.selector()));
        assertEq(stop.schema(), adapter.schema());
        assertEq(abi.encode(stop.tensors()), abi.encode(adapter.tensors()));
        assertEq(stop.owner(), guardian);
        assertFalse(stop.paused());
    }

    function test_PassesOnToItsVerifierOnly() public {
        vm.expectCall(address(adapter), abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances)), 1);
        stop.verify(model.first.proof, model.first.instances);
    }

    function test_StopsForGood() public {
        vm.expectEmit(address(stop));
        emit Pausable.Paused(guardian);
        vm.prank(guardian);
        stop.stop();
        assertTrue(stop.paused());
        vm.expectRevert(Pausable.EnforcedPause.selector);
        stop.verify(model.first.proof, model.first.instances);
        // What the verifier itself says has not changed.
        adapter.verify(model.first.proof, model.first.instances);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        vm.prank(guardian);
        stop.stop();
    }

    /// @dev None of its functions lifts it: the owner's calls with every selector in its ABI, in the order in which
    /// they can succeed, and with those that a stop which lifts would have.
    function test_NothingLiftsTheStop() public {
        vm.startPrank(guardian);
        stop.stop();
        string memory json = vm.readFile("out/EmergencyStop.sol/EmergencyStop.json");
        string[] memory signatures = vm.parseJsonKeys(json, ".methodIdentifiers");
        assertEq(signatures.length, 14, "its ABI has changed: look at what is new");
        uint256 succeeded;
        for (uint256 i = 0; i < signatures.length; ++i) {
            // Enough words for any of its arguments: an address, or two empty arrays.
            bytes4 selector = bytes4(keccak256(bytes(signatures[i])));
            (bool success,) = address(stop).call(abi.encodeWithSelector(selector, uint256(0x40), uint256(0x40), 0));
            if (success) ++succeeded;
            assertTrue(stop.paused(), signatures[i]);
        }
        // The views that stay, and giving the stop up, after which nobody can transfer it.
        assertEq(succeeded, 7);
        string[6] memory usual = ["unpause()", "start()", "resume()", "pause()", "setPaused(bool)", "initialize()"];
        for (uint256 i = 0; i < usual.length; ++i) {
            (bool success,) = address(stop).call(abi.encodeWithSignature(usual[i], false));
            assertFalse(success, usual[i]);
        }
        vm.stopPrank();
    }

    /// @dev Nor its next owner.
    function test_NobodyElseLiftsTheStop() public {
        vm.startPrank(guardian);
        stop.stop();
        stop.transferOwnership(owner);
        vm.stopPrank();
        vm.prank(owner);
        stop.acceptOwnership();
        assertTrue(stop.paused());
        vm.prank(owner);
        stop.renounceOwnership();
        assertTrue(stop.paused());
    }

    /// @dev What was verified before can't be read any more, and so not acted on.
    function test_AStoppedVerifierHasNoSchema() public {
        vm.prank(guardian);
        stop.stop();
        vm.expectRevert(Pausable.EnforcedPause.selector);
        stop.schema();
        vm.expectRevert(Pausable.EnforcedPause.selector);
        stop.tensors();
        assertEq(stop.modelId(), adapter.modelId());
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_RevertStopWhenNotTheGuardian(
        address caller
    ) public {
        vm.assume(caller != guardian);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        vm.prank(caller);
        stop.stop();
    }

    function test_GuardianChangesInTwoSteps() public {
        vm.prank(guardian);
        stop.transferOwnership(owner);
        assertEq(stop.owner(), guardian);
        vm.prank(owner);
        stop.acceptOwnership();
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, guardian));
        vm.prank(guardian);
        stop.stop();
        vm.prank(owner);
        stop.stop();
    }

    function test_StopsARoute() public {
        ModelRouter router = new ModelRouter(owner);
        vm.prank(owner);
        router.addModel(stop, model.first.proof, model.first.instances);
        router.verify(adapter.modelId(), model.first.proof, model.first.instances);
        vm.prank(guardian);
        stop.stop();
        bytes32 id = adapter.modelId();
        vm.expectRevert(Pausable.EnforcedPause.selector);
        router.verify(id, model.first.proof, model.first.instances);
    }
}
