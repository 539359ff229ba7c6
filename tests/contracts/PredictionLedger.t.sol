// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model, Proof} from "./Fixtures.sol";
import {StubVerifier} from "./Hostile.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {IModelRouterErrors, Outcome} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifierErrors, ModelArgs} from "zkvouch/interfaces/IModelVerifier.sol";
import {
    IPredictionLedgerErrors,
    IPredictionLedgerEvents,
    Record,
    Submission
} from "zkvouch/interfaces/IPredictionLedger.sol";
import {PredictionTree} from "zkvouch/libraries/PredictionTree.sol";

contract PredictionLedgerTest is Fixtures, IPredictionLedgerErrors, IPredictionLedgerEvents {
    Model internal model;
    ModelRouter internal router;
    PredictionLedger internal ledger;
    bytes32 internal modelId;
    address internal user = makeAddr("user");

    function setUp() public {
        model = loadModel("tree");
        ModelVerifier adapter;
        (router, adapter) = deployRouter(model);
        modelId = adapter.modelId();
        ledger = new PredictionLedger(router);
        vm.roll(1000);
        vm.warp(1_700_000_000);
    }

    // ------------------------------------------------------------------------------------------ recording

    function test_RecordsAPrediction() public {
        bytes32 id = _id(user, 0);
        assertFalse(ledger.isVerified(id));
        uint256[] memory outputs = new uint256[](3);
        outputs[1] = 128;
        bytes memory inputs = abi.encodePacked(_slice(model.first.instances, 0, 4));
        vm.expectEmit(address(ledger));
        emit PredictionRecorded(modelId, id, user, 0, keccak256(inputs), outputs);
        vm.prank(user);
        (bytes32 returned, bytes memory schema) = ledger.record(modelId, 0, model.first.proof, model.first.instances);
        assertEq(returned, id);
        assertEq(schema, hex"000000010207020000000403070200000003");
        assertTrue(ledger.isVerified(id));
        Record memory record = ledger.recordOf(id);
        assertEq(record.submitter, user);
        assertEq(record.timestamp, 1_700_000_000);
        assertEq(record.blockNumber, 1000);
        assertEq(address(ledger.router()), address(router));
    }

    /// @dev A hash of an input is among the inputs, and not among the outputs.
    function test_RecordsAModelWithHashedInputs() public {
        Model memory hashed = loadModel("hashed");
        ModelVerifier adapter = addTo(router, hashed);
        bytes32 hashedId = adapter.modelId();
        bytes32 id = ledger.idOf(hashedId, hashed.first.instances, user, 0);
        vm.expectEmit(address(ledger));
        emit PredictionRecorded(
            hashedId,
            id,
            user,
            0,
            keccak256(abi.encode(hashed.first.instances[0])),
            _slice(hashed.first.instances, 1, 4)
        );
        vm.prank(user);
        ledger.record(hashedId, 0, hashed.first.proof, hashed.first.instances);
    }

    function test_RevertTwice() public {
        vm.startPrank(user);
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, _id(user, 0)));
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
    }

    /// @dev Other bytes of proof, the same prediction.
    function test_RevertAnotherProofOfTheSame() public {
        vm.startPrank(user);
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, _id(user, 0)));
        ledger.record(modelId, 0, model.again.proof, model.again.instances);
        // It need not even be a proof: the id comes first, and costs the sender least.
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, _id(user, 0)));
        ledger.record(modelId, 0, "", model.first.instances);
    }

    function test_OncePerContextAndSubmitter() public {
        vm.prank(user);
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        // Somebody else, first or second, takes nothing from the user.
        vm.prank(owner);
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        vm.prank(user);
        ledger.record(modelId, bytes32(uint256(1)), model.first.proof, model.first.instances);
        assertTrue(ledger.isVerified(_id(user, 0)));
        assertTrue(ledger.isVerified(_id(owner, 0)));
        assertTrue(ledger.isVerified(_id(user, bytes32(uint256(1)))));
    }

    function test_RevertInvalidUnknownRetired() public {
        uint256[] memory instances = copyOf(model.first.instances);
        instances[4] += 1;
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        ledger.record(modelId, 0, model.first.proof, instances);
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelUnknown.selector, bytes32("x")));
        ledger.record("x", 0, model.first.proof, model.first.instances);
        vm.prank(owner);
        router.retireModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelRetired.selector, modelId));
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
    }

    function testFuzz_RevertRecordOfWhatIsNot(
        bytes32 id
    ) public {
        assertFalse(ledger.isVerified(id));
        vm.expectRevert(abi.encodeWithSelector(NotRecorded.selector, id));
        ledger.recordOf(id);
    }

    /// @dev A record made before its model was retired stays readable.
    function test_RecordsOutliveTheModel() public {
        vm.prank(user);
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        vm.prank(owner);
        router.retireModel(modelId);
        assertTrue(ledger.isVerified(_id(user, 0)));
    }

    // ------------------------------------------------------------------------------------------ packed

    /// @dev The same id, record and event as by words, and once for both.
    function test_RecordsPackedAsTheSame() public {
        bytes32 id = _id(user, 0);
        bytes memory packed = packedOf(model, model.first.instances);
        bytes memory inputs = abi.encodePacked(_slice(model.first.instances, 0, 4));
        vm.expectEmit(address(ledger));
        emit PredictionRecorded(modelId, id, user, 0, keccak256(inputs), _slice(model.first.instances, 4, 7));
        vm.startPrank(user);
        (bytes32 returned, bytes memory schema) = ledger.recordPacked(modelId, 0, model.first.proof, packed);
        assertEq(returned, id);
        assertEq(schema, hex"000000010207020000000403070200000003");
        assertTrue(ledger.isVerified(id));
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, id));
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, id));
        ledger.recordPacked(modelId, 0, model.first.proof, packed);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, id));
        ledger.recordPacked(modelId, 0, model.again.proof, packed);
    }

    function test_RevertPackedInvalidUnknownRetired() public {
        bytes memory packed = packedOf(model, model.first.instances);
        packed[13] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        ledger.recordPacked(modelId, 0, model.first.proof, packed);
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.PackedLengthMismatch.selector, 13, 14));
        ledger.recordPacked(modelId, 0, model.first.proof, new bytes(13));
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelUnknown.selector, bytes32("x")));
        ledger.recordPacked("x", 0, model.first.proof, packed);
        vm.prank(owner);
        router.retireModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelRetired.selector, modelId));
        ledger.recordPacked(modelId, 0, model.first.proof, packed);
    }

    // ------------------------------------------------------------------------------------------ ids

    function testFuzz_IdIsTheHashOfItsParts(
        bytes32 id,
        uint256[] calldata instances,
        address submitter,
        bytes32 context,
        uint64 chain
    ) public {
        vm.assume(chain != 0);
        vm.chainId(chain);
        bytes32 hash = keccak256(abi.encodePacked(instances));
        bytes32 expected = keccak256(abi.encode(id, hash, uint256(chain), submitter, context));
        assertEq(ledger.idOf(id, instances, submitter, context), expected);
    }

    function testFuzz_IdBindsEveryInstance(
        uint256[] memory instances,
        uint256 index,
        uint256 value
    ) public view {
        vm.assume(instances.length != 0);
        index = index % instances.length;
        vm.assume(value != instances[index]);
        bytes32 before = ledger.idOf(modelId, instances, user, 0);
        instances[index] = value;
        assertNotEq(ledger.idOf(modelId, instances, user, 0), before);
    }

    /// @dev On another chain it is another prediction: a fork has its own ids.
    function test_IdBindsTheChain() public {
        bytes32 here = _id(user, 0);
        vm.chainId(999);
        assertNotEq(_id(user, 0), here);
    }

    // ------------------------------------------------------------------------------------------ batches

    function test_RecordsMany() public {
        Submission[] memory submissions = _submissions();
        vm.prank(user);
        (bytes32[] memory ids, bytes32 root) = ledger.recordMany(submissions);
        assertEq(ids.length, 2);
        bytes32[] memory path = new bytes32[](1);
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(ids[i], ledger.idOf(modelId, submissions[i].instances, user, 0));
            path[0] = PredictionTree.leafOf(ids[1 - i]);
            assertTrue(ledger.isVerified(ids[i], root, path));
        }
    }

    function test_RevertManyLeavesNothing() public {
        Submission[] memory submissions = _submissions();
        // In a context of its own, so that it is the proof that is wrong.
        submissions[1].instances = submissions[0].instances;
        submissions[1].context = "other";
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        vm.prank(user);
        ledger.recordMany(submissions);
        assertFalse(ledger.isVerified(_id(user, 0)));
    }

    function test_TriesMany() public {
        StubVerifier stub = new StubVerifier("stub");
        (bytes memory stubProof, uint256[] memory stubInstances) = stub.prove(1);
        ModelArgs memory args = stub.args(7, address(0));
        vm.startPrank(owner);
        (bytes32 retired,) = router.addModel(args, stubProof, stubInstances);
        router.retireModel(retired);
        vm.stopPrank();

        Submission[] memory pair = _submissions();
        Submission[] memory all = new Submission[](7);
        all[0] = pair[0];
        all[1] = Submission(modelId, "other", pair[1].proof, pair[0].instances);
        all[2] = pair[0];
        all[3] = Submission("x", 0, "", new uint256[](0));
        all[4] = Submission(retired, 0, stubProof, stubInstances);
        all[5] = Submission(modelId, 0, "", pair[1].instances);
        all[6] = pair[1];
        vm.prank(user);
        Outcome[] memory outcomes = ledger.tryRecordMany(all, 2_000_000);
        _outcome(outcomes[0], true, 0);
        _outcome(outcomes[1], false, IModelVerifierErrors.InvalidProof.selector);
        _outcome(outcomes[2], false, AlreadyRecorded.selector);
        _outcome(outcomes[3], false, IModelRouterErrors.ModelUnknown.selector);
        _outcome(outcomes[4], false, IModelRouterErrors.ModelRetired.selector);
        _outcome(outcomes[5], false, IModelVerifierErrors.ProofLengthMismatch.selector);
        _outcome(outcomes[6], true, 0);
        for (uint256 i = 0; i < all.length; ++i) {
            assertEq(outcomes[i].id, ledger.idOf(all[i].modelId, all[i].instances, user, all[i].context));
            // The third is a twin of the first, and recorded as such.
            assertEq(ledger.isVerified(outcomes[i].id), i == 0 || i == 2 || i == 5 || i == 6);
        }
    }

    /// @dev From too little to enough: the batch reverts as a whole, and never records less than it could.
    /// forge-config: default.fuzz.runs = 32
    function testFuzz_RevertTryManyWhenTheStipendIsNotThere(
        uint256 gas
    ) public {
        gas = bound(gas, 300_000, 5_000_000);
        vm.prank(user);
        (bool success, bytes memory answer) =
            address(ledger).call{gas: gas}(abi.encodeCall(ledger.tryRecordMany, (_submissions(), 2_000_000)));
        if (!success) {
            assertEq(bytes32(bytes4(answer)), bytes32(IModelRouterErrors.StipendUnavailable.selector));
            assertFalse(ledger.isVerified(_id(user, 0)));
            return;
        }
        Outcome[] memory outcomes = abi.decode(answer, (Outcome[]));
        assertTrue(outcomes[0].ok && outcomes[1].ok);
    }

    /// @dev A bare verifier that goes bad after it got its route takes nobody else's prediction with it, and nothing of
    /// its own is recorded; all or nothing, it is refused by name.
    function test_OneBadModelHurtsItselfOnly() public {
        StubVerifier stub = new StubVerifier("stub");
        (bytes memory proof, uint256[] memory instances) = stub.prove(1);
        ModelArgs memory args = stub.args(0, address(0));
        vm.prank(owner);
        (bytes32 id,) = router.addModel(args, proof, instances);
        bytes4[2] memory reasons =
            [IModelVerifierErrors.InvalidProof.selector, IModelVerifierErrors.VerifierCodeMismatch.selector];
        for (uint256 i = 0; i < reasons.length; ++i) {
            if (i == 0) stub.set(StubVerifier.Flaw.RefusesAll, 0);
            else vm.etch(address(stub), hex"00");
            Submission[] memory all = new Submission[](3);
            all[0] = Submission(modelId, bytes32(i), model.first.proof, model.first.instances);
            all[1] = Submission(id, bytes32(i), proof, instances);
            all[2] = Submission(modelId, bytes32(100 + i), model.again.proof, model.again.instances);
            vm.prank(user);
            Outcome[] memory outcomes = ledger.tryRecordMany{gas: 8_000_000}(all, 2_000_000);
            _outcome(outcomes[0], true, 0);
            _outcome(outcomes[1], false, reasons[i]);
            _outcome(outcomes[2], true, 0);
            assertFalse(ledger.isVerified(outcomes[1].id));
            vm.expectPartialRevert(reasons[i]);
            ledger.record{gas: 2_000_000}(id, 0, proof, instances);
        }
    }

    /// @dev No stipend panics, however large.
    function testFuzz_LargeStipendsAreNoPanic(
        uint256 gasEach
    ) public {
        gasEach = bound(gasEach, type(uint64).max, type(uint256).max);
        (bool success, bytes memory answer) =
            address(ledger).call(abi.encodeCall(ledger.tryRecordMany, (_submissions(), gasEach)));
        assertFalse(success);
        assertEq(bytes32(bytes4(answer)), bytes32(IModelRouterErrors.StipendUnavailable.selector));
    }

    function test_NoneIsFine() public {
        (bytes32[] memory ids,) = ledger.recordMany(new Submission[](0));
        assertEq(ids.length, 0);
        assertEq(ledger.tryRecordMany(new Submission[](0), 1).length, 0);
    }

    // ------------------------------------------------------------------------------------------ helpers

    function _submissions() private view returns (Submission[] memory submissions) {
        Proof memory second = loadProof("tree", "proof-1");
        submissions = new Submission[](2);
        submissions[0] = Submission(modelId, 0, model.first.proof, model.first.instances);
        submissions[1] = Submission(modelId, 0, second.proof, second.instances);
    }

    function _id(
        address submitter,
        bytes32 context
    ) private view returns (bytes32) {
        return ledger.idOf(modelId, model.first.instances, submitter, context);
    }

    function _outcome(
        Outcome memory outcome,
        bool ok,
        bytes4 reason
    ) private pure {
        assertEq(outcome.ok, ok);
        assertEq(bytes32(outcome.reason), bytes32(reason));
    }

    function _slice(
        uint256[] memory words,
        uint256 start,
        uint256 end
    ) private pure returns (uint256[] memory part) {
        part = new uint256[](end - start);
        for (uint256 i = start; i < end; ++i) {
            part[i - start] = words[i];
        }
    }
}
