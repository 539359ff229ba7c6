// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {StubVerifier} from "./Hostile.sol";
import {OpenConsumer} from "./OpenConsumer.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {Test, Vm} from "forge-std/Test.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {IPredictionConsumerErrors, Prediction} from "zkvouch/PredictionConsumer.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {IModelRouterErrors, Outcome} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifierErrors} from "zkvouch/interfaces/IModelVerifier.sol";
import {
    IPredictionLedgerErrors,
    IPredictionLedgerEvents,
    Record,
    Submission
} from "zkvouch/interfaces/IPredictionLedger.sol";
import {FeedContext} from "zkvouch/libraries/FeedContext.sol";
import {PredictionTree} from "zkvouch/libraries/PredictionTree.sol";

/// @notice Paths, worked out by recursion over halves of the list's pairs: another way than the library's.
abstract contract Paths {
    function pathOf(
        bytes32[] memory ids,
        uint256 index
    ) internal pure returns (bytes32[] memory path) {
        bytes32[] memory layer = new bytes32[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            layer[i] = keccak256(bytes.concat(keccak256(abi.encode(ids[i]))));
        }
        path = new bytes32[](0);
        while (layer.length > 1) {
            uint256 neighbour = index ^ 1;
            if (neighbour < layer.length) path = _pushed(path, layer[neighbour]);
            bytes32[] memory above = new bytes32[]((layer.length + 1) / 2);
            for (uint256 i = 0; i < above.length; ++i) {
                above[i] =
                    2 * i + 1 < layer.length ? MerkleProofPair.hash(layer[2 * i], layer[2 * i + 1]) : layer[2 * i];
            }
            (layer, index) = (above, index / 2);
        }
    }

    function _pushed(
        bytes32[] memory list,
        bytes32 item
    ) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](list.length + 1);
        for (uint256 i = 0; i < list.length; ++i) {
            longer[i] = list[i];
        }
        longer[list.length] = item;
    }
}

/// @notice OpenZeppelin's pair, got out of its verifier: the root of a leaf with one neighbour.
library MerkleProofPair {
    function hash(
        bytes32 left,
        bytes32 right
    ) internal pure returns (bytes32) {
        bytes32[] memory one = new bytes32[](1);
        one[0] = right;
        return MerkleProof.processProof(one, left);
    }
}

contract PredictionTreeTest is Test, Paths {
    using stdJson for string;

    function holds(
        bytes32 id,
        bytes32 root,
        bytes32[] calldata path
    ) external pure returns (bool) {
        return PredictionTree.holds(id, root, path);
    }

    /// @dev Every member of every size up to a few dozen, by OpenZeppelin's verifier.
    function testFuzz_EveryMemberHasAPath(
        bytes32 seed,
        uint256 size
    ) public view {
        size = bound(size, 1, 40);
        bytes32[] memory ids = _ids(seed, size);
        bytes32 before = keccak256(abi.encode(ids));
        bytes32 root = PredictionTree.rootOf(ids);
        assertEq(keccak256(abi.encode(ids)), before, "the ids were changed");
        for (uint256 i = 0; i < size; ++i) {
            bytes32[] memory path = pathOf(ids, i);
            assertTrue(MerkleProof.verify(path, root, keccak256(bytes.concat(keccak256(abi.encode(ids[i]))))));
            assertTrue(this.holds(ids[i], root, path));
            assertFalse(this.holds(keccak256(abi.encode(ids[i])), root, path));
        }
    }

    /// @dev The root of a tree of one is its leaf, and needs no path.
    function testFuzz_OneIsItsLeaf(
        bytes32 id
    ) public view {
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = id;
        bytes32 root = PredictionTree.rootOf(ids);
        assertEq(root, PredictionTree.leafOf(id));
        assertEq(root, keccak256(abi.encode(keccak256(abi.encode(id)))));
        assertTrue(this.holds(id, root, new bytes32[](0)));
    }

    /// @dev A path with a neighbour less, more, or changed, and another root.
    function testFuzz_NoOtherPathWillDo(
        bytes32 seed,
        uint256 size,
        uint256 index,
        uint256 place,
        uint256 bit
    ) public view {
        size = bound(size, 2, 40);
        index = index % size;
        bytes32[] memory ids = _ids(seed, size);
        bytes32 root = PredictionTree.rootOf(ids);
        bytes32[] memory path = pathOf(ids, index);
        bytes32 flip = bytes32(uint256(1) << (bit % 256));
        assertFalse(this.holds(ids[index], root ^ flip, path));
        assertFalse(this.holds(ids[index] ^ flip, root, path));
        path[place % path.length] ^= flip;
        assertFalse(this.holds(ids[index], root, path));
        path[place % path.length] ^= flip;
        bytes32[] memory longer = new bytes32[](path.length + 1);
        bytes32[] memory shorter = new bytes32[](path.length - 1);
        for (uint256 i = 0; i < path.length; ++i) {
            longer[i] = path[i];
            if (i < shorter.length) shorter[i] = path[i];
        }
        longer[path.length] = seed;
        assertFalse(this.holds(ids[index], root, longer));
        assertFalse(this.holds(ids[index], root, shorter));
    }

    /// @dev A node is no prediction, neither by its hash nor as the two that it was made of.
    function testFuzz_ANodeIsNoLeaf(
        bytes32 seed
    ) public view {
        bytes32[] memory ids = _ids(seed, 4);
        bytes32 root = PredictionTree.rootOf(ids);
        bytes32 left = MerkleProofPair.hash(PredictionTree.leafOf(ids[0]), PredictionTree.leafOf(ids[1]));
        bytes32 right = MerkleProofPair.hash(PredictionTree.leafOf(ids[2]), PredictionTree.leafOf(ids[3]));
        assertEq(MerkleProofPair.hash(left, right), root);
        bytes32[] memory path = new bytes32[](1);
        path[0] = right;
        assertFalse(this.holds(left, root, path));
        assertFalse(this.holds(root, root, new bytes32[](0)));
        assertFalse(this.holds(PredictionTree.leafOf(ids[0]), root, pathOf(ids, 0)));
    }

    function testFuzz_TheOrderIsPartOfTheRoot(
        bytes32 seed,
        uint256 size
    ) public pure {
        bytes32[] memory ids = _ids(seed, bound(size, 3, 40));
        bytes32 root = PredictionTree.rootOf(ids);
        (ids[1], ids[2]) = (ids[2], ids[1]);
        assertNotEq(PredictionTree.rootOf(ids), root);
    }

    /// @dev The command is tested with the same file; tests/fixtures/tree_vectors.cjs makes it.
    function test_Vectors() public view {
        string memory json = vm.readFile("tests/fixtures/prediction-trees.json");
        uint256[] memory sizes = json.readUintArray(".sizes");
        assertGt(sizes.length, 5);
        for (uint256 i = 0; i < sizes.length; ++i) {
            string memory at = string.concat(".trees[", vm.toString(i), "]");
            bytes32[] memory ids = json.readBytes32Array(string.concat(at, ".ids"));
            bytes32 root = json.readBytes32(string.concat(at, ".root"));
            assertEq(ids.length, sizes[i]);
            assertEq(PredictionTree.rootOf(ids), root);
            for (uint256 j = 0; j < ids.length; ++j) {
                bytes32[] memory path = json.readBytes32Array(string.concat(at, ".paths[", vm.toString(j), "]"));
                assertEq(abi.encode(path), abi.encode(pathOf(ids, j)));
                assertTrue(this.holds(ids[j], root, path));
            }
        }
    }

    function _ids(
        bytes32 seed,
        uint256 size
    ) private pure returns (bytes32[] memory ids) {
        ids = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            ids[i] = keccak256(abi.encode(seed, i));
        }
    }
}

/// @notice Roots and feeds, over a verifier whose proofs cost nothing.
abstract contract RootsBase is Test, Paths, IPredictionLedgerErrors, IPredictionLedgerEvents {
    StubVerifier internal model;
    StubVerifier internal sibling;
    ModelRouter internal router;
    PredictionLedger internal ledger;
    bytes32 internal ID;
    bytes32 internal SIBLING;
    address internal user = makeAddr("user");
    address internal other = makeAddr("other");

    function setUp() public virtual {
        router = new ModelRouter(address(this), address(new ModelVerifier()));
        ledger = new PredictionLedger(router);
        model = new StubVerifier("model");
        sibling = new StubVerifier("sibling");
        (bytes memory proof, uint256[] memory instances) = model.prove(0);
        (ID,) = router.addModel(model.args(7, address(0)), proof, instances);
        (proof, instances) = sibling.prove(0);
        (SIBLING,) = router.addModel(sibling.args(7, address(0)), proof, instances);
        vm.roll(1000);
        vm.warp(1_700_000_000);
        vm.startPrank(user);
    }

    function _batch(
        uint256 from,
        uint256 size
    ) internal view returns (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) {
        contexts = new bytes32[](size);
        proofs = new bytes[](size);
        instances = new uint256[][](size);
        for (uint256 i = 0; i < size; ++i) {
            (proofs[i], instances[i]) = model.prove(from + i);
        }
    }

    function _ids(
        bytes32[] memory contexts,
        uint256[][] memory instances,
        address submitter
    ) internal view returns (bytes32[] memory ids) {
        ids = new bytes32[](instances.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = ledger.idOf(ID, instances[i], submitter, contexts[i]);
        }
    }
}

contract RootsTest is RootsBase {
    /// @dev A stub's instances are packed in whole words.
    function _packed(
        uint256[][] memory instances
    ) private pure returns (bytes[] memory packed) {
        packed = new bytes[](instances.length);
        for (uint256 i = 0; i < packed.length; ++i) {
            packed[i] = abi.encodePacked(instances[i]);
        }
    }

    function _outputs(
        uint256[][] memory instances
    ) private pure returns (bytes memory outputs) {
        for (uint256 i = 0; i < instances.length; ++i) {
            outputs = abi.encodePacked(outputs, instances[i][1]);
        }
    }

    /// @dev One slot, whatever the size; each member is verified by its path, and none by itself. Packed it is the
    /// same.
    function testFuzz_OneSlotForABatch(
        uint256 size,
        bool packed
    ) public {
        size = bound(size, 1, 20);
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch(7, size);
        bytes32[] memory expected = _ids(contexts, instances, user);
        vm.record();
        vm.expectEmit(address(ledger));
        emit BatchRecorded(PredictionTree.rootOf(expected), ID, user, 0, expected, _outputs(instances));
        (bytes32[] memory ids, bytes memory schema, bytes32 root) = packed
            ? ledger.recordBatchPacked(ID, 0, size, proofs, _packed(instances))
            : ledger.recordBatch(ID, 0, size, proofs, instances);
        assertEq(_slotsWritten(), 1);
        assertEq(abi.encode(ids), abi.encode(expected));
        assertEq(root, PredictionTree.rootOf(ids));
        assertEq(schema, router.verifierOf(ID).schema());
        for (uint256 i = 0; i < size; ++i) {
            bytes32[] memory path = pathOf(ids, i);
            assertTrue(ledger.isVerified(ids[i], root, path));
            assertEq(abi.encode(ledger.recordOf(ids[i], root, path)), abi.encode(Record(user, 1_700_000_000, 1000)));
            assertEq(ledger.isVerified(ids[i]), size == 1);
        }
        assertFalse(ledger.isVerified(root));
    }

    /// @dev The ledger's slots that were written since `vm.record`. Without the optimizer one slot is written field by
    /// field.
    function _slotsWritten() private returns (uint256 count) {
        (, bytes32[] memory writes) = vm.accesses(address(ledger));
        for (uint256 i = 0; i < writes.length; ++i) {
            uint256 before = 0;
            while (before < i && writes[before] != writes[i]) ++before;
            if (before == i) ++count;
        }
    }

    /// @dev What an indexer needs: one event of a batch of one model; of many models the root first, then its leaves in
    /// order.
    function test_EventsTellTheTree() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 3);
        vm.recordLogs();
        (bytes32[] memory ids,, bytes32 root) = ledger.recordBatch(ID, "context", 3, proofs, instances);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1);
        bytes32[] memory topics = new bytes32[](4);
        (topics[0], topics[1], topics[2]) = (BatchRecorded.selector, root, ID);
        topics[3] = bytes32(uint256(uint160(user)));
        assertEq(abi.encode(logs[0].topics), abi.encode(topics));
        assertEq(logs[0].data, abi.encode(bytes32("context"), ids, _outputs(instances)));

        vm.recordLogs();
        (ids, root) = ledger.recordMany(_submissions(contexts, proofs, instances));
        logs = vm.getRecordedLogs();
        assertEq(logs.length, 4);
        assertEq(logs[0].topics[0], ManyRecorded.selector);
        assertEq(logs[0].topics[1], root);
        assertEq(logs[0].topics[2], topics[3]);
        assertEq(abi.decode(logs[0].data, (uint256)), 3);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(logs[1 + i].topics[0], PredictionRecorded.selector);
            assertEq(logs[1 + i].topics[2], ids[i]);
        }
    }

    /// @dev A batch of one and a prediction by itself are one record.
    function test_OneIsARecord() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 1);
        (bytes32[] memory ids,,) = ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
        assertTrue(ledger.isVerified(ids[0]));
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, ids[0]));
        ledger.record(ID, 0, proofs[0], instances[0]);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, ids[0]));
        ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, ids[0]));
        ledger.recordEach(ID, contexts, proofs, instances);
        // What `record` made has a root and an empty path.
        (bytes32 id,) = ledger.record(ID, "other", proofs[0], instances[0]);
        assertTrue(ledger.isVerified(id, PredictionTree.leafOf(id), new bytes32[](0)));
    }

    function test_RevertTheSameBatch() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 3);
        (,, bytes32 root) = ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
        Record memory made = _recordOf(contexts, instances, root);
        skip(100);
        vm.expectRevert(abi.encodeWithSelector(BatchAlreadyRecorded.selector, root));
        ledger.recordBatch(ID, 0, 3, proofs, instances);
        vm.expectRevert(abi.encodeWithSelector(BatchAlreadyRecorded.selector, root));
        ledger.recordBatchPacked(ID, 0, 3, proofs, _packed(instances));
        vm.expectRevert(abi.encodeWithSelector(BatchAlreadyRecorded.selector, root));
        ledger.recordMany(_submissions(contexts, proofs, instances));
        assertEq(abi.encode(_recordOf(contexts, instances, root)), abi.encode(made), "a root changed");
        // Another order, context, or account makes another batch of it.
        (proofs[0], proofs[2]) = (proofs[2], proofs[0]);
        (instances[0], instances[2]) = (instances[2], instances[0]);
        ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
        contexts[0] = "context";
        ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
        vm.stopPrank();
        vm.prank(other);
        ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
    }

    /// @dev A batch's record says that it was verified, not that it is new: that is what the two modes are for.
    function test_ABatchUsesUpNoPrediction() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 2);
        ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
        (bytes32[] memory ids,) = ledger.recordEach(ID, contexts, proofs, instances);
        for (uint256 i = 0; i < 2; ++i) {
            assertTrue(ledger.isVerified(ids[i]));
            vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, ids[i]));
            ledger.record(ID, 0, proofs[i], instances[i]);
        }
    }

    /// @dev Of several models under one root.
    function test_ManyUnderOneRoot() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 3);
        Submission[] memory all = _submissions(contexts, proofs, instances);
        (all[1].proof, all[1].instances) = sibling.prove(9);
        all[1].modelId = SIBLING;
        vm.record();
        (bytes32[] memory ids, bytes32 root) = ledger.recordMany(all);
        assertEq(_slotsWritten(), 1);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(ids[i], ledger.idOf(all[i].modelId, all[i].instances, user, 0));
            assertTrue(ledger.isVerified(ids[i], root, pathOf(ids, i)));
        }
        vm.expectRevert(abi.encodeWithSelector(BatchAlreadyRecorded.selector, root));
        ledger.recordMany(all);
        all[2].proof = abi.encode(bytes32(0));
        all[2].context = "other";
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, ID));
        ledger.recordMany(all);
    }

    function test_NoneHasNoRoot() public {
        vm.record();
        vm.recordLogs();
        (bytes32[] memory ids, bytes32 root) = ledger.recordMany(new Submission[](0));
        assertEq(ids.length + _slotsWritten() + vm.getRecordedLogs().length, 0);
        assertEq(root, 0);
        assertFalse(ledger.isVerified(0, 0, new bytes32[](0)));
        vm.expectRevert(IModelVerifierErrors.EmptyBatch.selector);
        ledger.recordFeed(ID, 0, 0, new bytes[](0), new uint256[][](0));
    }

    /// @dev Whatever id, root and path somebody thinks of.
    function testFuzz_NothingIsVerifiedThatWasNot(
        bytes32 id,
        bytes32 root,
        bytes32[] calldata path
    ) public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 4);
        (,, bytes32 recorded) = ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
        assertFalse(ledger.isVerified(id, root, path));
        assertFalse(ledger.isVerified(id, recorded, path));
        vm.expectRevert(abi.encodeWithSelector(NotRecorded.selector, id));
        ledger.recordOf(id, recorded, path);
        vm.expectRevert(abi.encodeWithSelector(NotRecorded.selector, id));
        ledger.recordOf(id, MerkleProof.processProof(path, PredictionTree.leafOf(id)), path);
    }

    function test_RevertAMutantInAnyPlace() public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 5);
        for (uint256 i = 0; i < 5; ++i) {
            bytes memory good = proofs[i];
            proofs[i] = abi.encode(bytes32(uint256(model.KEY()) ^ 1));
            _refuses(contexts, proofs, instances);
            proofs[i] = good;
            instances[i][1] ^= 1;
            _refuses(contexts, proofs, instances);
            instances[i][1] ^= 1;
        }
        assertEq(ledger.nextPosition(user, ID), 0);
        ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
    }

    // ------------------------------------------------------------------------------------------ feeds

    function test_FeedsCount() public {
        (, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 3);
        bytes32[] memory contexts = new bytes32[](3);
        for (uint64 i = 0; i < 3; ++i) {
            contexts[i] = FeedContext.at(i);
        }
        assertEq(contexts[2], bytes32(bytes24("zkvouch.feed")) | bytes32(uint256(2)));
        (bytes32[] memory ids, bytes memory schema, bytes32 root) =
            ledger.recordFeed(ID, 0, proofs.length, proofs, instances);
        assertEq(abi.encode(ids), abi.encode(_ids(contexts, instances, user)));
        assertEq(schema, router.verifierOf(ID).schema());
        assertEq(ledger.nextPosition(user, ID), 3);
        for (uint256 i = 0; i < 3; ++i) {
            assertTrue(ledger.isVerified(ids[i], root, pathOf(ids, i)));
        }
        // The same instances at the next positions are other predictions; two slots are written.
        vm.record();
        (bytes32[] memory more,,) = ledger.recordFeed(ID, 3, proofs.length, proofs, instances);
        assertEq(_slotsWritten(), 2);
        assertNotEq(more[0], ids[0]);
        assertEq(ledger.nextPosition(user, ID), 6);
    }

    function testFuzz_RevertAtAnyOtherPosition(
        uint64 first,
        uint8 used
    ) public {
        uint256 size = bound(used, 1, 8);
        (, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, size);
        ledger.recordFeed(ID, 0, proofs.length, proofs, instances);
        vm.assume(first != size);
        vm.expectRevert(abi.encodeWithSelector(WrongPosition.selector, first, size));
        ledger.recordFeed(ID, first, proofs.length, proofs, instances);
    }

    /// @dev Each account and each model counts for itself.
    function test_FeedsAreApart() public {
        (, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 2);
        ledger.recordFeed(ID, 0, proofs.length, proofs, instances);
        assertEq(ledger.nextPosition(other, ID), 0);
        assertEq(ledger.nextPosition(user, SIBLING), 0);
        vm.stopPrank();
        vm.prank(other);
        ledger.recordFeed(ID, 0, proofs.length, proofs, instances);
        (proofs[0],) = sibling.prove(0);
        (proofs[1],) = sibling.prove(1);
        vm.prank(user);
        ledger.recordFeed(SIBLING, 0, proofs.length, proofs, instances);
        assertEq(ledger.nextPosition(user, ID), 2);
    }

    /// @dev A feed's contexts can't be had by any other way, so that no position is filled but by the feed.
    function testFuzz_RevertAFeedsContextElsewhere(
        uint64 position
    ) public {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 2);
        contexts[1] = FeedContext.at(position);
        bytes memory reserved = abi.encodeWithSelector(ContextReserved.selector, contexts[1]);
        vm.expectRevert(reserved);
        ledger.record(ID, contexts[1], proofs[0], instances[0]);
        vm.expectRevert(reserved);
        ledger.recordBatch(ID, contexts[1], 2, proofs, instances);
        vm.expectRevert(reserved);
        ledger.recordBatchPacked(ID, contexts[1], 2, proofs, _packed(instances));
        vm.expectRevert(reserved);
        ledger.recordPacked(ID, contexts[1], proofs[1], _packed(instances)[1]);
        vm.expectRevert(reserved);
        ledger.recordEachPacked(ID, contexts, proofs, _packed(instances));
        vm.expectRevert(reserved);
        ledger.recordEach(ID, contexts, proofs, instances);
        Submission[] memory all = _submissions(contexts, proofs, instances);
        vm.expectRevert(reserved);
        ledger.recordMany(all);
        Outcome[] memory outcomes = ledger.tryRecordMany(all, 1_200_000);
        assertTrue(outcomes[0].ok);
        assertFalse(outcomes[1].ok);
        assertEq(bytes32(outcomes[1].reason), bytes32(ContextReserved.selector));
        assertFalse(ledger.isVerified(outcomes[1].id));
    }

    function testFuzz_OtherContextsAreFree(
        bytes32 context
    ) public {
        vm.assume(bytes24(context) != bytes24("zkvouch.feed"));
        (, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 1);
        ledger.record(ID, context, proofs[0], instances[0]);
    }

    /// @dev Neither a position nor a root is used up by a batch that fails.
    function test_RevertLeavesTheFeedAlone() public {
        (, bytes[] memory proofs, uint256[][] memory instances) = _batch(0, 2);
        bytes memory good = proofs[1];
        proofs[1] = abi.encode(bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, ID));
        ledger.recordFeed(ID, 0, proofs.length, proofs, instances);
        proofs[1] = good;
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.BatchLengthMismatch.selector, 1, 2));
        ledger.recordFeed(ID, 0, 2, new bytes[](1), instances);
        vm.stopPrank();
        router.retireModel(ID);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelRetired.selector, ID));
        ledger.recordFeed(ID, 0, proofs.length, proofs, instances);
        assertEq(ledger.nextPosition(user, ID), 0);
    }

    // ------------------------------------------------------------------------------------------ a consumer

    function test_ConsumesAFeed() public {
        OpenConsumer consumer = new OpenConsumer(ledger);
        (, bytes[] memory proofs, uint256[][] memory instances) = _batch(5, 3);
        Prediction[] memory predictions = consumer.consumeFeed(ID, 0, proofs.length, proofs, instances);
        bytes32[] memory ids = new bytes32[](3);
        for (uint64 i = 0; i < 3; ++i) {
            ids[i] = ledger.idOf(ID, instances[i], address(consumer), FeedContext.at(i));
            assertEq(predictions[i].id, ids[i]);
            assertEq(predictions[i].modelId, ID);
            assertEq(predictions[i].input(0), int256(uint256(5 + i)) * 1e18);
        }
        // Anybody may call this consumer, and nobody makes it act on a position again.
        vm.expectRevert(abi.encodeWithSelector(WrongPosition.selector, 0, 3));
        consumer.consumeFeed(ID, 0, proofs.length, proofs, instances);

        bytes32 root = PredictionTree.rootOf(ids);
        skip(50);
        for (uint64 i = 0; i < 3; ++i) {
            Prediction memory again = consumer.recallFeed(ID, i, instances[i], root, pathOf(ids, i), 50);
            assertEq(abi.encode(again), abi.encode(predictions[i]));
            vm.expectRevert(
                abi.encodeWithSelector(IPredictionConsumerErrors.StalePrediction.selector, 1_700_000_000, 49)
            );
            consumer.recallFeed(ID, i, instances[i], root, pathOf(ids, i), 49);
        }
        // Another position, and another account's feed.
        bytes32[] memory path = pathOf(ids, 0);
        bytes32 wrong = ledger.idOf(ID, instances[0], address(consumer), FeedContext.at(1));
        vm.expectRevert(abi.encodeWithSelector(NotRecorded.selector, wrong));
        consumer.recallFeed(ID, 1, instances[0], root, path, 50);
        OpenConsumer second = new OpenConsumer(ledger);
        wrong = ledger.idOf(ID, instances[0], address(second), FeedContext.at(0));
        vm.expectRevert(abi.encodeWithSelector(NotRecorded.selector, wrong));
        second.recallFeed(ID, 0, instances[0], root, path, 50);
        vm.stopPrank();
        router.retireModel(ID);
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelRetired.selector, ID));
        consumer.recallFeed(ID, 0, instances[0], root, path, 50);
    }

    function _refuses(
        bytes32[] memory contexts,
        bytes[] memory proofs,
        uint256[][] memory instances
    ) private {
        bytes memory invalid = abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, ID);
        vm.expectRevert(invalid);
        ledger.recordBatch(ID, contexts[0], proofs.length, proofs, instances);
        vm.expectRevert(invalid);
        ledger.recordEach(ID, contexts, proofs, instances);
        vm.expectRevert(invalid);
        ledger.recordFeed(ID, 0, proofs.length, proofs, instances);
        vm.expectRevert(invalid);
        ledger.recordMany(_submissions(contexts, proofs, instances));
        bytes[] memory packed = _packed(instances);
        vm.expectRevert(invalid);
        ledger.recordBatchPacked(ID, 0, proofs.length, proofs, packed);
        vm.expectRevert(invalid);
        ledger.recordEachPacked(ID, contexts, proofs, packed);
        vm.expectRevert(invalid);
        ledger.recordFeedPacked(ID, 0, proofs.length, proofs, packed);
    }

    function _recordOf(
        bytes32[] memory contexts,
        uint256[][] memory instances,
        bytes32 root
    ) private view returns (Record memory) {
        bytes32[] memory ids = _ids(contexts, instances, user);
        return ledger.recordOf(ids[0], root, pathOf(ids, 0));
    }

    function _submissions(
        bytes32[] memory contexts,
        bytes[] memory proofs,
        uint256[][] memory instances
    ) private view returns (Submission[] memory all) {
        all = new Submission[](proofs.length);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = Submission(ID, contexts[i], proofs[i], instances[i]);
        }
    }
}
