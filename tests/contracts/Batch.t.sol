// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, ILeanVerifier, Model, Proof} from "./Fixtures.sol";
import {HostileVerifier} from "./Hostile.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {IModelRouterErrors} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifierErrors, ModelArgs} from "zkvouch/interfaces/IModelVerifier.sol";
import {IPredictionLedgerErrors, IPredictionLedgerEvents, Record} from "zkvouch/interfaces/IPredictionLedger.sol";
import {IBatchProofVerifier} from "zkvouch/interfaces/IProofVerifier.sol";
import {PredictionTree} from "zkvouch/libraries/PredictionTree.sol";
import {MockModelVerifier} from "zkvouch/mocks/MockModelVerifier.sol";

/// @title Several proofs of one model: what the tests of each contract start from
abstract contract BatchBase is Fixtures, IModelVerifierErrors {
    Model internal model;
    Proof internal other;
    ModelVerifier internal adapter;
    bytes32 internal modelId;

    function setUp() public virtual {
        model = loadLean("tree");
        other = loadProof("tree", "proof-1");
        adapter = deployAdapter(model);
        modelId = adapter.modelId();
    }

    function _three() internal view returns (bytes[] memory proofs, uint256[][] memory instances) {
        Proof[] memory items = new Proof[](3);
        (items[0], items[1], items[2]) = (model.first, other, model.again);
        (proofs, instances) = batchOf(items);
    }

    function _bad(
        uint256 place
    ) internal view returns (bytes[] memory proofs, uint256[][] memory instances) {
        (proofs, instances) = _three();
        instances[place] = copyOf(instances[place]);
        instances[place][6] = addmod(instances[place][6], 1, R);
    }
}

contract ModelVerifierBatchTest is BatchBase {
    ModelVerifier internal plain;

    function setUp() public override {
        super.setUp();
        Model memory without = model;
        without.capabilities = 0;
        plain = deployAdapter(without);
    }

    function test_SaysWhatItsVerifierCanDo() public view {
        assertEq(adapter.VERIFIER(), address(model.bare));
        assertEq(adapter.CAPABILITIES(), 7);
        assertEq(plain.CAPABILITIES(), 0);
        assertEq(plain.modelId(), modelId, "the capabilities are not part of the model");
    }

    /// @dev One call for all of them, with the cap for each.
    function test_AsksTheVerifierOnce() public {
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        bytes memory call = abi.encodeCall(IBatchProofVerifier.verifyMany, (proofs, instances));
        vm.expectCall(address(model.bare), 0, uint64(3 * GAS_CAP), call, 1);
        vm.expectCall(address(model.bare), "", 1);
        adapter.verifyMany(proofs, instances);
    }

    function test_AsksForEachWhereItCanNot() public {
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory call = abi.encodeCall(model.bare.verifyProof, (proofs[i], instances[i]));
            vm.expectCall(address(model.bare), 0, uint64(GAS_CAP), call, 1);
        }
        vm.expectCall(address(model.bare), "", 3);
        plain.verifyMany(proofs, instances);
    }

    /// @dev Whatever the encoding that came in, one goes out: here every proof and all instances stand there once.
    function test_EncodesCanonically() public {
        Proof[] memory items = new Proof[](2);
        (items[0], items[1]) = (model.first, model.first);
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
        bytes memory canonical = abi.encodeCall(IBatchProofVerifier.verifyMany, (proofs, instances));
        vm.expectCall(address(model.bare), canonical, 1);
        bytes memory proofPart = abi.encodePacked(model.proofLength, model.first.proof);
        bytes memory shared = bytes.concat(
            adapter.verifyMany.selector,
            abi.encode(uint256(0x40), 0x40 + 0x60 + proofPart.length, uint256(2), uint256(0x40), uint256(0x40)),
            proofPart,
            abi.encode(uint256(2), uint256(0x40), uint256(0x40), model.first.instances.length),
            abi.encodePacked(model.first.instances),
            bytes32(uint256(1))
        );
        (bool success,) = address(adapter).staticcall(shared);
        assertTrue(success);
    }

    function test_AcceptsDuplicatesAndOne() public view {
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        (proofs[1], instances[1]) = (proofs[0], instances[0]);
        adapter.verifyMany(proofs, instances);
        plain.verifyMany(proofs, instances);
        (proofs, instances) = batchOf(other.proof, other.instances);
        adapter.verifyMany(proofs, instances);
        plain.verifyMany(proofs, instances);
    }

    // ------------------------------------------------------------------------------------------ refusals

    function test_RevertEmptyOrUneven() public {
        ModelVerifier[2] memory both = [adapter, plain];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(EmptyBatch.selector);
            both[i].verifyMany(new bytes[](0), new uint256[][](0));
            vm.expectRevert(abi.encodeWithSelector(BatchLengthMismatch.selector, 1, 2));
            both[i].verifyMany(new bytes[](1), new uint256[][](2));
            vm.expectRevert(abi.encodeWithSelector(BatchLengthMismatch.selector, 2, 0));
            both[i].verifyMany(new bytes[](2), new uint256[][](0));
        }
    }

    /// @dev Nothing of a wrong shape reaches a bare verifier, wherever it stands.
    function test_RevertWhenOneHasTheWrongShape() public {
        vm.expectCall(address(model.bare), "", 0);
        ModelVerifier[2] memory both = [adapter, plain];
        for (uint256 i = 0; i < 6; ++i) {
            ModelVerifier asked = both[i % 2];
            (bytes[] memory proofs, uint256[][] memory instances) = _three();
            proofs[i / 2] = bytes.concat(proofs[i / 2], bytes1(0));
            vm.expectRevert(
                abi.encodeWithSelector(ProofLengthMismatch.selector, model.proofLength + 1, model.proofLength)
            );
            asked.verifyMany(proofs, instances);

            (proofs, instances) = _three();
            instances[i / 2] = new uint256[](8);
            vm.expectRevert(abi.encodeWithSelector(InstanceCountMismatch.selector, 8, 7));
            asked.verifyMany(proofs, instances);

            (proofs, instances) = _three();
            instances[i / 2] = copyOf(instances[i / 2]);
            instances[i / 2][4] = R;
            vm.expectRevert(abi.encodeWithSelector(InstanceOutOfField.selector, 4, R));
            asked.verifyMany(proofs, instances);
        }
    }

    function test_RevertWhenOneIsInvalid() public {
        bytes memory invalid = abi.encodeWithSelector(InvalidProof.selector, modelId);
        for (uint256 place = 0; place < 3; ++place) {
            (bytes[] memory proofs, uint256[][] memory instances) = _bad(place);
            vm.expectRevert(invalid);
            adapter.verifyMany(proofs, instances);
            vm.expectRevert(invalid);
            plain.verifyMany(proofs, instances);
        }
    }

    /// @dev With the batch verifier and without it the answer is the same, error included.
    /// forge-config: default.fuzz.runs = 64
    /// forge-config: deep.fuzz.runs = 2000
    function testFuzz_BothWaysAgree(
        uint256 seed
    ) public view {
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        uint256 place = seed % 3;
        uint256 kind = (seed >> 8) % 6;
        if (kind == 0) instances[place] = copyOf(instances[(place + 1) % 3]);
        if (kind == 1) (proofs[place], proofs[0]) = (proofs[0], proofs[place]);
        if (kind == 2) {
            proofs[place] = copyOf(proofs[place]);
            proofs[place][(seed >> 16) % proofs[place].length] ^= bytes1(uint8(seed >> 240));
        }
        if (kind == 3) {
            instances[place] = copyOf(instances[place]);
            instances[place][(seed >> 16) % 7] = seed;
        }
        if (kind == 4) instances[place] = new uint256[]((seed >> 16) % 9);
        (bool first, bytes memory firstReason) =
            address(adapter).staticcall(abi.encodeCall(adapter.verifyMany, (proofs, instances)));
        (bool second, bytes memory secondReason) =
            address(plain).staticcall(abi.encodeCall(plain.verifyMany, (proofs, instances)));
        assertEq(first, second);
        assertEq(firstReason, secondReason);
        if (kind == 5) assertTrue(first);
    }

    // ------------------------------------------------------------------------------------------ code and gas

    function test_RevertWhenTheCodeChanges() public {
        bytes memory yes = hex"600160005260206000f3";
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        bytes[] memory packed = packedOf(model, instances);
        bytes32 expected = address(model.bare).codehash;
        vm.etch(address(model.bare), yes);
        ModelVerifier[2] memory both = [adapter, plain];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory reason =
                abi.encodeWithSelector(VerifierCodeMismatch.selector, model.bare, keccak256(yes), expected);
            vm.expectRevert(reason);
            both[i].verifyMany(proofs, instances);
            vm.expectRevert(reason);
            both[i].verifyManyPacked(proofs, packed);
            vm.expectRevert(reason);
            both[i].verifyPacked(proofs[0], packed[0]);
        }
    }

    /// @dev From too little gas to enough: accepted, or there was too little gas. One by one the gas can end between
    /// two proofs, when none is left to say so.
    /// forge-config: default.fuzz.runs = 96
    /// forge-config: deep.fuzz.runs = 4000
    function testFuzz_NoAmountOfGasMakesABatchInvalid(
        uint256 gas,
        bool oneByOne
    ) public view {
        gas = bound(gas, 100_000, 2_000_000);
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        ModelVerifier asked = oneByOne ? plain : adapter;
        (bool success, bytes memory reason) =
            address(asked).staticcall{gas: gas}(abi.encodeCall(asked.verifyMany, (proofs, instances)));
        if (success) assertGt(gas, 750_000);
        else if (!oneByOne || reason.length != 0) _outOfGas(gas, reason);
        if (gas > 1_700_000) assertTrue(success);
    }

    /// forge-config: default.fuzz.runs = 96
    /// forge-config: deep.fuzz.runs = 4000
    function testFuzz_NoAmountOfGasMakesAnInvalidBatchValid(
        uint256 gas,
        uint256 place
    ) public view {
        gas = bound(gas, 100_000, 2_000_000);
        (bytes[] memory proofs, uint256[][] memory instances) = _bad(place % 3);
        (bool success, bytes memory reason) =
            address(adapter).staticcall{gas: gas}(abi.encodeCall(adapter.verifyMany, (proofs, instances)));
        assertFalse(success);
        bool invalid = bytes32(bytes4(reason)) == bytes32(InvalidProof.selector);
        if (invalid) assertGt(gas, 750_000);
        else _outOfGas(gas, reason);
        if (gas > 1_200_000) assertTrue(invalid);
    }

    /// @dev By name, unless so little was sent that none is left to say it.
    function _outOfGas(
        uint256 gas,
        bytes memory reason
    ) private pure {
        if (gas < 400_000 && reason.length == 0) return;
        assertEq(bytes32(bytes4(reason)), bytes32(InsufficientGas.selector));
    }

    /// @dev Nor does a cap that is too low.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_NoCapMakesABatchInvalid(
        uint256 cap
    ) public {
        cap = bound(cap, 1, 600_000);
        ModelVerifier tight = deployAdapter(model, cap, model.descriptor);
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        (bool success, bytes memory reason) =
            address(tight).staticcall(abi.encodeCall(tight.verifyMany, (proofs, instances)));
        if (success) assertGt(3 * cap, 700_000);
        else assertEq(reason, abi.encodeWithSelector(VerifierOutOfGas.selector, 3 * cap));
        if (cap > 400_000) assertTrue(success);
    }

    function test_RevertHostileBatchVerifiers() public {
        bytes memory invalid = abi.encodeWithSelector(InvalidProof.selector, modelId);
        bytes memory outOfGas = abi.encodeWithSelector(VerifierOutOfGas.selector, 2 * GAS_CAP);
        _hostile(HostileVerifier.Mode.True, "");
        _hostile(HostileVerifier.Mode.False, invalid);
        _hostile(HostileVerifier.Mode.Two, abi.encodeWithSelector(UnexpectedVerifierReturn.selector, 32));
        _hostile(HostileVerifier.Mode.Nothing, abi.encodeWithSelector(UnexpectedVerifierReturn.selector, 0));
        _hostile(HostileVerifier.Mode.TwoWords, abi.encodeWithSelector(UnexpectedVerifierReturn.selector, 64));
        _hostile(HostileVerifier.Mode.Revert, invalid);
        _hostile(HostileVerifier.Mode.RevertBomb, invalid);
        _hostile(HostileVerifier.Mode.ReturnBomb, abi.encodeWithSelector(UnexpectedVerifierReturn.selector, 200_000));
        _hostile(HostileVerifier.Mode.BurnGas, outOfGas);
        _hostile(HostileVerifier.Mode.Invalid, outOfGas);
    }

    function _hostile(
        HostileVerifier.Mode mode,
        bytes memory expected
    ) private {
        Model memory hostile = model;
        hostile.bare = ILeanVerifier(address(new HostileVerifier(mode)));
        ModelVerifier asked = deployAdapter(hostile);
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(new Proof[](2));
        (proofs[0], proofs[1]) = (new bytes(model.proofLength), new bytes(model.proofLength));
        (instances[0], instances[1]) = (model.first.instances, model.first.instances);
        bytes memory call = abi.encodeCall(asked.verifyMany, (proofs, instances));
        uint256 before = gasleft();
        (bool success, bytes memory reason) = address(asked).staticcall(call);
        assertLt(before - gasleft(), 2 * GAS_CAP + 60_000, "it cost more than the cap");
        assertEq(success, expected.length == 0);
        if (!success) assertEq(reason, expected);
    }
}

contract MockModelVerifierBatchTest is BatchBase {
    function test_MocksBatchesToo() public {
        MockModelVerifier mock = new MockModelVerifier(modelId, model.descriptor);
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        for (uint256 i = 0; i < 3; ++i) {
            proofs[i] = mock.mockProof(instances[i]);
        }
        mock.verifyMany(proofs, instances);
        proofs[2] = "";
        vm.expectRevert(abi.encodeWithSelector(InvalidProof.selector, modelId));
        mock.verifyMany(proofs, instances);
        vm.expectRevert(EmptyBatch.selector);
        mock.verifyMany(new bytes[](0), new uint256[][](0));
        vm.expectRevert(abi.encodeWithSelector(BatchLengthMismatch.selector, 2, 3));
        mock.verifyMany(new bytes[](2), instances);
    }
}

contract ModelRouterBatchTest is BatchBase, IModelRouterErrors {
    ModelRouter internal router;

    function setUp() public override {
        super.setUp();
        router = deployRouter();
        adapter = ModelVerifier(router.addressOf(argsOf(model)));
    }

    function test_SendsBatchesToTheModelsVerifier() public {
        addTo(router, model);
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        vm.expectCall(address(adapter), abi.encodeCall(adapter.verifyMany, (proofs, instances)), 1);
        router.verifyBatch(modelId, proofs, instances);
        (proofs, instances) = _bad(2);
        vm.expectRevert(abi.encodeWithSelector(InvalidProof.selector, modelId));
        router.verifyBatch(modelId, proofs, instances);
    }

    function test_RevertUnknownAndRetired() public {
        (bytes[] memory proofs, uint256[][] memory instances) = _three();
        vm.expectRevert(abi.encodeWithSelector(ModelUnknown.selector, modelId));
        router.verifyBatch(modelId, proofs, instances);
        addTo(router, model);
        vm.prank(owner);
        router.retireModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(ModelRetired.selector, modelId));
        router.verifyBatch(modelId, proofs, instances);
    }
}

/// @notice Strict: as if each were recorded by itself. Roots and feeds are tested in Roots.t.sol.
contract PredictionLedgerBatchTest is BatchBase, IPredictionLedgerErrors, IPredictionLedgerEvents {
    ModelRouter internal router;
    PredictionLedger internal ledger;
    address internal user = makeAddr("user");

    function setUp() public override {
        super.setUp();
        (router, adapter) = deployRouter(model);
        ledger = new PredictionLedger(router);
        vm.roll(1000);
        vm.warp(1_700_000_000);
        vm.startPrank(user);
    }

    /// @dev As if each had been recorded by itself: the same ids, records and events.
    function test_RecordsEach() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch();
        bytes32[] memory ids = new bytes32[](2);
        for (uint256 i = 0; i < 2; ++i) {
            ids[i] = ledger.idOf(modelId, instances[i], user, contexts[i]);
            vm.expectEmit(address(ledger));
            emit PredictionRecorded(
                modelId, ids[i], user, contexts[i], _hash(instances[i], 0, 4), _slice(instances[i], 4, 7)
            );
        }
        vm.expectCall(address(adapter), abi.encodeCall(adapter.verifyMany, (proofs, instances)), 1);
        (bytes32[] memory returned, bytes memory schema) = ledger.recordEach(modelId, contexts, proofs, instances);
        assertEq(abi.encode(returned), abi.encode(ids));
        assertEq(schema, adapter.schema());
        Record memory expected = Record(user, 1_700_000_000, 1000);
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(abi.encode(ledger.recordOf(ids[i])), abi.encode(expected));
        }
    }

    /// @dev Through an adapter without a batch verifier too.
    function test_RecordsOneByOne() public {
        Model memory plain = loadModel("credit");
        vm.stopPrank();
        ModelVerifier verifier = addTo(router, plain);
        Proof[] memory items = new Proof[](2);
        (items[0], items[1]) = (plain.first, loadProof("credit", "proof-1"));
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
        bytes32 id = verifier.modelId();
        (bytes32[] memory ids,) = ledger.recordEach(id, new bytes32[](2), proofs, instances);
        assertTrue(ledger.isVerified(ids[0]) && ledger.isVerified(ids[1]));
    }

    function test_RevertWhatWasRecorded() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch();
        (bytes32 id,) = ledger.record(modelId, contexts[1], proofs[1], instances[1]);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, id));
        ledger.recordEach(modelId, contexts, proofs, instances);
        contexts[1] = "other";
        ledger.recordEach(modelId, contexts, proofs, instances);
        vm.expectRevert(
            abi.encodeWithSelector(AlreadyRecorded.selector, ledger.idOf(modelId, instances[0], user, contexts[0]))
        );
        ledger.recordEach(modelId, contexts, proofs, instances);
        vm.expectRevert(
            abi.encodeWithSelector(AlreadyRecorded.selector, ledger.idOf(modelId, instances[0], user, contexts[0]))
        );
        ledger.record(modelId, contexts[0], proofs[0], instances[0]);
        // Nobody uses up another's.
        vm.stopPrank();
        ledger.recordEach(modelId, contexts, proofs, instances);
    }

    /// @dev By the same proof or by another of the same prediction; in contexts of their own they are two.
    function test_RevertTwins() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch();
        bytes32 id = ledger.idOf(modelId, instances[0], user, contexts[0]);
        instances[1] = instances[0];
        bytes[2] memory twins = [model.first.proof, model.again.proof];
        for (uint256 i = 0; i < 2; ++i) {
            proofs[1] = twins[i];
            vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, id));
            ledger.recordEach(modelId, contexts, proofs, instances);
        }
        assertFalse(ledger.isVerified(id));
        contexts[1] = "other";
        (bytes32[] memory ids,) = ledger.recordEach(modelId, contexts, proofs, instances);
        assertEq(ids[0], id);
        assertNotEq(ids[1], id);
    }

    function test_RevertInvalidLeavesNothing() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch();
        instances[1] = copyOf(instances[1]);
        instances[1][4] = addmod(instances[1][4], 1, R);
        vm.expectRevert(abi.encodeWithSelector(InvalidProof.selector, modelId));
        ledger.recordEach(modelId, contexts, proofs, instances);
        assertFalse(ledger.isVerified(ledger.idOf(modelId, instances[0], user, 0)));
        assertFalse(ledger.isVerified(ledger.idOf(modelId, instances[1], user, 0)));
    }

    function test_RevertEmptyOrUneven() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch();
        vm.expectRevert(EmptyBatch.selector);
        ledger.recordEach(modelId, new bytes32[](0), new bytes[](0), new uint256[][](0));
        for (uint256 count = 0; count < 5; ++count) {
            if (count == 2) continue;
            bytes memory reason = abi.encodeWithSelector(PredictionCountMismatch.selector, count, 2, 1);
            vm.expectRevert(reason);
            ledger.recordEach(modelId, new bytes32[](count), proofs, instances);
            vm.expectRevert(reason);
            ledger.recordBatch(modelId, 0, count, proofs, instances);
            vm.expectRevert(reason);
            ledger.recordFeed(modelId, 0, count, proofs, instances);
        }
        vm.expectRevert(abi.encodeWithSelector(BatchLengthMismatch.selector, 1, 2));
        ledger.recordEach(modelId, contexts, new bytes[](1), instances);
        vm.expectRevert(abi.encodeWithSelector(BatchLengthMismatch.selector, 2, 0));
        ledger.recordEach(modelId, new bytes32[](0), proofs, new uint256[][](0));
    }

    function test_RevertUnknownAndRetired() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch();
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelUnknown.selector, bytes32("x")));
        ledger.recordEach("x", contexts, proofs, instances);
        vm.stopPrank();
        vm.prank(owner);
        router.retireModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelRetired.selector, modelId));
        ledger.recordEach(modelId, contexts, proofs, instances);
    }

    /// @dev The same batch as one record, and as the start of a feed: with real proofs, by the same one call.
    function test_RecordsUnderARoot() public {
        (, bytes[] memory proofs, uint256[][] memory instances) = _batch();
        vm.expectCall(address(adapter), abi.encodeCall(adapter.verifyMany, (proofs, instances)), 2);
        (bytes32[] memory ids, bytes memory schema, bytes32 root) = ledger.recordBatch(modelId, 0, 2, proofs, instances);
        assertEq(schema, adapter.schema());
        bytes32[] memory path = new bytes32[](1);
        path[0] = PredictionTree.leafOf(ids[1]);
        assertTrue(ledger.isVerified(ids[0], root, path));
        (ids,, root) = ledger.recordFeed(modelId, 0, 2, proofs, instances);
        path[0] = PredictionTree.leafOf(ids[0]);
        assertTrue(ledger.isVerified(ids[1], root, path));
        instances[1] = copyOf(instances[1]);
        instances[1][4] = addmod(instances[1][4], 1, R);
        vm.expectRevert(abi.encodeWithSelector(InvalidProof.selector, modelId));
        ledger.recordBatch(modelId, 0, 2, proofs, instances);
        vm.expectRevert(abi.encodeWithSelector(InvalidProof.selector, modelId));
        ledger.recordFeed(modelId, 2, 2, proofs, instances);
    }

    function _batch()
        private
        view
        returns (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances)
    {
        Proof[] memory items = new Proof[](2);
        (items[0], items[1]) = (model.first, other);
        (proofs, instances) = batchOf(items);
        contexts = new bytes32[](2);
    }

    function _hash(
        uint256[] memory words,
        uint256 start,
        uint256 end
    ) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(_slice(words, start, end)));
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
