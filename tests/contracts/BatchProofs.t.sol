// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, ILeanVerifier, Model, Proof} from "./Fixtures.sol";
import {HostileVerifier} from "./Hostile.sol";
import {OpenConsumer} from "./OpenConsumer.sol";
import {Paths} from "./Roots.t.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {Prediction} from "zkvouch/PredictionConsumer.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {IModelRouter, Outcome} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifierErrors} from "zkvouch/interfaces/IModelVerifier.sol";
import {IPredictionLedgerErrors, IPredictionLedgerEvents, Submission} from "zkvouch/interfaces/IPredictionLedger.sol";
import {FeedContext} from "zkvouch/libraries/FeedContext.sol";
import {PredictionTree} from "zkvouch/libraries/PredictionTree.sol";
import {SchemaLib} from "zkvouch/libraries/SchemaLib.sol";

/// @title Proofs that are about several predictions each: a real one of four
contract BatchProofsTest is Fixtures, Paths, IPredictionLedgerErrors, IPredictionLedgerEvents {
    Model internal model;
    Proof internal last;
    ModelRouter internal router;
    ModelVerifier internal adapter;
    PredictionLedger internal ledger;
    bytes32 internal modelId;

    function setUp() public {
        model = loadLean("batch");
        last = loadProof("batch", "proof-1");
        (router, adapter) = deployRouter(model);
        modelId = adapter.modelId();
        ledger = new PredictionLedger(router);
    }

    function test_SaysHowManyThereAre() public view {
        assertEq(adapter.predictions(), 4);
        assertEq(adapter.INSTANCE_COUNT(), 20);
        assertEq(adapter.schema(), hex"000000040207020000000403070200000001");
        router.gate(modelId, model.again.proof, model.again.instances);
    }

    /// @dev The i-th prediction's instances are the i-th rows of both tensors.
    function test_RecordsEachPredictionOfAProof() public {
        bytes32[] memory expected = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            expected[i] = ledger.idOf(modelId, _part(model.first, i), address(this), "context");
        }
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(model.first.proof, model.first.instances);
        bytes memory outputs = _outputs(packedOf(model, instances)[0], 4);
        vm.expectEmit(address(ledger));
        emit BatchRecorded(PredictionTree.rootOf(expected), modelId, address(this), "context", expected, outputs);
        (bytes32[] memory ids, bytes memory schema, bytes32 root) =
            ledger.recordBatch(modelId, "context", 4, proofs, instances);
        assertEq(abi.encode(ids), abi.encode(expected));
        assertEq(schema, adapter.schema());
        for (uint256 i = 0; i < 4; ++i) {
            assertTrue(ledger.isVerified(ids[i], root, pathOf(ids, i)));
        }
        vm.expectRevert(abi.encodeWithSelector(BatchAlreadyRecorded.selector, root));
        ledger.recordBatchPacked(modelId, "context", 4, proofs, packedOf(model, instances));
        vm.expectRevert(abi.encodeWithSelector(BatchAlreadyRecorded.selector, root));
        proofs[0] = model.again.proof;
        ledger.recordBatch(modelId, "context", 4, proofs, instances);
    }

    /// @dev All of every proof but the last; what is beyond the count is padding.
    function test_PaddingIsNeverRecorded() public {
        (bytes[] memory proofs, uint256[][] memory instances) = _two();
        bytes[] memory packed = packedOf(model, instances);
        for (uint256 count = 0; count < 11; ++count) {
            if (count >= 5 && count <= 8) {
                // The last proof has three, and a fourth that is padding.
                bytes32[] memory expected = new bytes32[](count);
                for (uint256 i = 0; i < count; ++i) {
                    Proof memory of_ = i < 4 ? model.first : last;
                    expected[i] = ledger.idOf(modelId, _part(of_, i % 4), address(this), bytes32(count));
                }
                uint256 before = vm.snapshotState();
                vm.recordLogs();
                (bytes32[] memory ids,, bytes32 root) =
                    ledger.recordBatch(modelId, bytes32(count), count, proofs, instances);
                assertEq(abi.encode(ids), abi.encode(expected));
                bytes memory data = vm.getRecordedLogs()[0].data;
                bytes memory outputs = bytes.concat(_outputs(packed[0], 4), _outputs(packed[1], count - 4));
                assertEq(data, abi.encode(count, ids, outputs));
                assertEq(root, PredictionTree.rootOf(expected));
                vm.revertToState(before);
                (ids,, root) = ledger.recordBatchPacked(modelId, bytes32(count), count, proofs, packed);
                assertEq(abi.encode(ids, root), abi.encode(expected, PredictionTree.rootOf(expected)));
                continue;
            }
            bytes memory reason = abi.encodeWithSelector(PredictionCountMismatch.selector, count, 2, 4);
            vm.expectRevert(reason);
            ledger.recordBatch(modelId, 0, count, proofs, instances);
            vm.expectRevert(reason);
            ledger.recordBatchPacked(modelId, 0, count, proofs, packed);
            vm.expectRevert(reason);
            ledger.recordFeed(modelId, 0, count, proofs, instances);
            vm.expectRevert(reason);
            ledger.recordFeedPacked(modelId, 0, count, proofs, packed);
            vm.expectRevert(reason);
            ledger.recordEach(modelId, new bytes32[](count), proofs, instances);
            vm.expectRevert(reason);
            ledger.recordEachPacked(modelId, new bytes32[](count), proofs, packed);
        }
    }

    function test_RevertCountsBeyondReason() public {
        (bytes[] memory proofs, uint256[][] memory instances) = _two();
        uint256[3] memory counts = [type(uint64).max, uint256(1) << 64, type(uint256).max];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(PredictionCountMismatch.selector, counts[i], 2, 4));
            ledger.recordBatch(modelId, 0, counts[i], proofs, instances);
            vm.expectRevert(abi.encodeWithSelector(PredictionCountMismatch.selector, counts[i], 2, 4));
            ledger.recordFeed(modelId, 0, counts[i], proofs, instances);
        }
        assertEq(ledger.nextPosition(address(this), modelId), 0);
    }

    /// @dev Whoever wants one prediction for ever gets a slot for each.
    function test_StrictlyOnceEach() public {
        (bytes[] memory proofs, uint256[][] memory instances) = _two();
        bytes32[] memory contexts = new bytes32[](7);
        (bytes32[] memory ids,) = ledger.recordEach(modelId, contexts, proofs, instances);
        for (uint256 i = 0; i < 7; ++i) {
            assertTrue(ledger.isVerified(ids[i]));
        }
        (bytes[] memory alone, uint256[][] memory words) = batchOf(last.proof, last.instances);
        bytes memory reason = abi.encodeWithSelector(AlreadyRecorded.selector, ids[4]);
        vm.expectRevert(reason);
        ledger.recordEach(modelId, new bytes32[](1), alone, words);
        vm.expectRevert(reason);
        ledger.recordEachPacked(modelId, new bytes32[](1), alone, packedOf(model, words));
        vm.expectRevert(reason);
        ledger.recordBatch(modelId, 0, 1, alone, words);
        // The padding is the third observation again, which was recorded: but in a context of its own it is free.
        contexts = new bytes32[](4);
        (contexts[0], contexts[1], contexts[2], contexts[3]) = ("a", "b", "c", "d");
        (ids,) = ledger.recordEachPacked(modelId, contexts, alone, packedOf(model, words));
        assertEq(ids[3], ledger.idOf(modelId, _part(last, 2), address(this), "d"));
    }

    function test_AFeedGoesOnBehindThePadding() public {
        (bytes[] memory proofs, uint256[][] memory instances) = _two();
        (bytes32[] memory ids,,) = ledger.recordFeed(modelId, 0, 7, proofs, instances);
        assertEq(ids.length, 7);
        assertEq(ids[6], ledger.idOf(modelId, _part(last, 2), address(this), FeedContext.at(6)));
        assertEq(ledger.nextPosition(address(this), modelId), 7);
        (ids,,) = ledger.recordFeedPacked(modelId, 7, 8, proofs, packedOf(model, instances));
        assertEq(ids[0], ledger.idOf(modelId, _part(model.first, 0), address(this), FeedContext.at(7)));
        assertEq(ledger.nextPosition(address(this), modelId), 15);
    }

    /// @dev Such a proof is not one prediction, whatever somebody calls it.
    function test_RevertOnePrediction() public {
        bytes memory reason = abi.encodeWithSelector(NotOnePrediction.selector, 4);
        vm.expectRevert(reason);
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        vm.expectRevert(reason);
        ledger.recordPacked(modelId, 0, model.first.proof, packedOf(model, model.first.instances));
        Submission[] memory all = new Submission[](1);
        all[0] = Submission(modelId, 0, model.first.proof, model.first.instances);
        vm.expectRevert(reason);
        ledger.recordMany(all);
        Outcome[] memory outcomes = ledger.tryRecordMany(all, 3_000_000);
        assertFalse(outcomes[0].ok);
        assertEq(bytes32(outcomes[0].reason), bytes32(NotOnePrediction.selector));
        assertFalse(ledger.isVerified(outcomes[0].id));
    }

    function test_RevertAChangedOutputOfAny() public {
        (bytes[] memory proofs, uint256[][] memory instances) = _two();
        bytes memory invalid = abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId);
        for (uint256 i = 0; i < 4; ++i) {
            uint256[] memory good = instances[1];
            instances[1] = copyOf(good);
            instances[1][16 + i] = addmod(good[16 + i], 1, R);
            bytes[] memory packed = packedOf(model, instances);
            vm.expectRevert(invalid);
            ledger.recordBatch(modelId, 0, 7, proofs, instances);
            vm.expectRevert(invalid);
            ledger.recordBatchPacked(modelId, 0, 7, proofs, packed);
            instances[1] = good;
        }
    }

    // ------------------------------------------------------------------------------------------ a consumer

    /// @dev All at once, and any one of them later.
    function test_ConsumesThem() public {
        OpenConsumer consumer = new OpenConsumer(ledger);
        (bytes[] memory proofs, uint256[][] memory instances) = _two();
        bytes[] memory packed = packedOf(model, instances);
        Prediction[] memory p = consumer.consumeBatch(modelId, 7, proofs, instances);
        bytes32[] memory contexts = new bytes32[](7);
        for (uint256 i = 0; i < 7; ++i) {
            contexts[i] = "other";
        }
        Prediction[] memory q = consumer.consumeBatchPacked(modelId, contexts, proofs, packed);
        assertEq(p.length, 7);
        for (uint256 i = 0; i < 7; ++i) {
            Proof memory of_ = i < 4 ? model.first : last;
            assertEq(abi.encode(p[i].instances), abi.encode(_part(of_, i % 4)));
            assertEq(abi.encode(q[i].instances), abi.encode(p[i].instances));
            assertEq(p[i].inputCount(), 4);
            assertEq(p[i].outputCount(), 1);
            assertEq(p[i].output(0), parseDecimal(of_.outputs[i % 4]));
            assertEq(consumer.recall(modelId, p[i].instances, 100).id, p[i].id);
        }
        Prediction[] memory fed = consumer.consumeFeed(modelId, 0, 5, proofs, instances);
        Prediction[] memory more = consumer.consumeFeedPacked(modelId, 5, 6, proofs, packed);
        bytes32[] memory ids = new bytes32[](6);
        for (uint256 i = 0; i < 6; ++i) {
            ids[i] = more[i].id;
        }
        assertEq(fed.length, 5);
        Prediction memory again =
            consumer.recallFeed(modelId, 9, _part(last, 0), PredictionTree.rootOf(ids), pathOf(ids, 4), 100);
        assertEq(abi.encode(again), abi.encode(more[4]));
    }

    function _two() private view returns (bytes[] memory proofs, uint256[][] memory instances) {
        Proof[] memory items = new Proof[](2);
        (items[0], items[1]) = (model.first, last);
        return batchOf(items);
    }

    /// @dev Row i of the inputs [4, 4], and of the outputs [4, 1].
    function _part(
        Proof memory proof,
        uint256 i
    ) private pure returns (uint256[] memory part) {
        part = new uint256[](5);
        for (uint256 j = 0; j < 4; ++j) {
            part[j] = proof.instances[4 * i + j];
        }
        part[4] = proof.instances[16 + i];
    }

    /// @dev The first `count` of the outputs, which are the last four pairs of bytes.
    function _outputs(
        bytes memory packed,
        uint256 count
    ) private pure returns (bytes memory outputs) {
        outputs = new bytes(2 * count);
        for (uint256 i = 0; i < outputs.length; ++i) {
            outputs[i] = packed[32 + i];
        }
    }
}

/// @title Ids, records and events of proofs with any tensors, over a bare verifier that accepts everything
contract AnyBatchProofsTest is Fixtures, IPredictionLedgerEvents {
    PredictionLedger internal ledger;
    Model internal model;
    bytes32 internal constant ID = "model";
    address internal constant ROUTER = address(uint160(0xB0B));

    function setUp() public {
        model = loadLean("tree");
        model.bare = ILeanVerifier(address(new HostileVerifier(HostileVerifier.Mode.True)));
        model.proofLength = 32;
        ledger = new PredictionLedger(IModelRouter(ROUTER));
    }

    /// @dev Against slices that are cut in the plainest way.
    /// forge-config: default.fuzz.runs = 96
    /// forge-config: deep.fuzz.runs = 4000
    function testFuzz_EachPredictionHasItsOwnInstances(
        uint256 seed
    ) public {
        uint256 predictions = 1 + seed % 5;
        uint256 proofs = 1 + (seed >> 8) % 3;
        uint256 count = proofs * predictions - (seed >> 16) % predictions;
        bytes[] memory zeros = new bytes[](proofs);
        for (uint256 i = 0; i < proofs; ++i) {
            zeros[i] = new bytes(32);
        }
        uint256[][] memory instances = _describe(seed, predictions, proofs);
        uint256 before = vm.snapshotState();
        (bytes32[] memory ids,, bytes32 root) = ledger.recordFeed(ID, 0, count, zeros, instances);
        vm.revertToState(before);
        (bytes32[] memory same,, bytes32 sameRoot) =
            ledger.recordFeedPacked(ID, 0, count, zeros, packedOf(model, instances));
        assertEq(abi.encode(ids, root), abi.encode(same, sameRoot));
        bytes32[] memory contexts = new bytes32[](count);
        for (uint64 i = 0; i < count; ++i) {
            contexts[i] = FeedContext.at(i);
        }
        assertEq(abi.encode(ids), abi.encode(_expected(instances, predictions, contexts)));
        vm.revertToState(before);
        for (uint256 i = 0; i < count; ++i) {
            contexts[i] = bytes32(i);
        }
        (same,) = ledger.recordEach(ID, contexts, zeros, instances);
        assertEq(abi.encode(same), abi.encode(_expected(instances, predictions, contexts)));
    }

    function _expected(
        uint256[][] memory instances,
        uint256 predictions,
        bytes32[] memory contexts
    ) private view returns (bytes32[] memory ids) {
        (bytes memory schema,) = SchemaLib.fromDescriptor(model.descriptor);
        ids = new bytes32[](contexts.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256[] memory part = _partOf(schema, instances[i / predictions], predictions, i % predictions);
            ids[i] = ledger.idOf(ID, part, address(this), contexts[i]);
        }
    }

    /// @dev Packed where all fit, by any entry; as words as soon as one does not.
    function test_OutputsInTheEvent() public {
        model.descriptor = hex"02000000020200010100000002030002010000000404002001000000020300010100000002";
        _route();
        uint256[] memory words = new uint256[](10);
        (words[0], words[1]) = (1, 2);
        (words[2], words[3], words[4], words[5]) = (3, R - 4, 0x7fff, R - 0x8000);
        (words[6], words[7]) = (R - 1, 9);
        (words[8], words[9]) = (127, R - 128);
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(new bytes(32), words);
        bytes memory outputs = abi.encodePacked(hex"0003fffc", R - 1, hex"7f", hex"7fff8000", uint256(9), hex"80");
        assertEq(_event(2, proofs, instances, false), outputs);
        assertEq(_event(2, proofs, instances, true), outputs);
        assertEq(_event(1, proofs, instances, false), abi.encodePacked(hex"0003fffc", R - 1, hex"7f"));
        words[4] = 0x8000;
        outputs = abi.encodePacked(uint256(3), R - 4, R - 1, uint256(127), uint256(0x8000), R - 0x8000, uint256(9));
        assertEq(_event(2, proofs, instances, false), abi.encodePacked(outputs, R - 128));
        // The second prediction's, which is padding now, does not matter.
        assertEq(_event(1, proofs, instances, false), abi.encodePacked(hex"0003fffc", R - 1, hex"7f"));
    }

    /// @dev A model that shows inputs only.
    function test_NoOutputs() public {
        model.descriptor = hex"02000000020200010100000002";
        _route();
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(new bytes(32), new uint256[](2));
        instances[0][1] = 5;
        assertEq(_event(2, proofs, instances, false), "");
    }

    function _event(
        uint256 count,
        bytes[] memory proofs,
        uint256[][] memory instances,
        bool packed
    ) private returns (bytes memory outputs) {
        uint256 before = vm.snapshotState();
        vm.recordLogs();
        if (packed) ledger.recordBatchPacked(ID, 0, count, proofs, packedOf(model, instances));
        else ledger.recordBatch(ID, 0, count, proofs, instances);
        (,, outputs) = abi.decode(vm.getRecordedLogs()[0].data, (bytes32, bytes32[], bytes));
        vm.revertToState(before);
    }

    /// @dev Describes a model, and invents the instances of some of its proofs.
    function _describe(
        uint256 seed,
        uint256 predictions,
        uint256 proofs
    ) private returns (uint256[][] memory instances) {
        bytes memory descriptor = bytes.concat(hex"02", bytes4(uint32(predictions)));
        for (uint8 kind = 0; kind < 5; ++kind) {
            for (uint256 i = 0; i < 2; ++i) {
                descriptor =
                    bytes.concat(descriptor, _tensor(kind, predictions, uint256(keccak256(abi.encode(seed, kind, i)))));
            }
        }
        // Something that tells the predictions apart.
        model.descriptor = abi.encodePacked(descriptor, hex"04002001", uint32(predictions));
        _route();
        (bytes memory schema, uint256 total) = SchemaLib.fromDescriptor(model.descriptor);
        instances = new uint256[][](proofs);
        for (uint256 i = 0; i < proofs; ++i) {
            instances[i] = _instances(schema, predictions, total, seed >> i);
        }
    }

    function _tensor(
        uint8 kind,
        uint256 predictions,
        uint256 random
    ) private pure returns (bytes memory) {
        if (random % 3 == 0) return "";
        uint8[5] memory widths = [2, 4, 8, 16, 32];
        bool number = kind == 2 || kind == 3;
        uint8 width = number ? widths[(random >> 8) % 5] : 32;
        uint256 count = kind == 1 ? 1 : predictions * (number ? 1 + (random >> 16) % 9 : 1);
        return abi.encodePacked(kind, uint8(0), width, uint8(1), uint32(count));
    }

    function _route() private {
        ModelVerifier adapter = deployAdapter(model);
        vm.mockCall(ROUTER, abi.encodeCall(IModelRouter.verifierOf, (ID)), abi.encode(adapter));
    }

    function _instances(
        bytes memory schema,
        uint256 predictions,
        uint256 total,
        uint256 seed
    ) private pure returns (uint256[] memory instances) {
        instances = new uint256[](total);
        uint256 at = 0;
        for (uint256 offset = 4; offset < schema.length; offset += 7) {
            uint256 count = _count(schema, offset) * (uint8(schema[offset]) == 1 ? 1 : predictions);
            bool whole = uint8(schema[offset + 2]) == 32;
            for (uint256 i = 0; i < count; ++i) {
                uint256 random = uint256(keccak256(abi.encode(seed, at)));
                uint256 small = random % 0x8000;
                instances[at++] = whole ? random % R : random >> 255 == 1 ? small : (R - small) % R;
            }
        }
    }

    function _partOf(
        bytes memory schema,
        uint256[] memory instances,
        uint256 predictions,
        uint256 index
    ) private pure returns (uint256[] memory part) {
        uint256 start = 0;
        for (uint256 offset = 4; offset < schema.length; offset += 7) {
            uint256 count = _count(schema, offset);
            bool shared = uint8(schema[offset]) == 1;
            uint256[] memory longer = new uint256[](part.length + count);
            for (uint256 i = 0; i < longer.length; ++i) {
                longer[i] =
                    i < part.length ? part[i] : instances[start + (shared ? 0 : index * count) + i - part.length];
            }
            part = longer;
            start += count * (shared ? 1 : predictions);
        }
    }

    function _count(
        bytes memory schema,
        uint256 offset
    ) private pure returns (uint256 count) {
        for (uint256 i = 3; i < 7; ++i) {
            count = 256 * count + uint8(schema[offset + i]);
        }
    }
}
