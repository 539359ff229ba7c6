// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {StubVerifier} from "./Hostile.sol";
import {OpenConsumer} from "./OpenConsumer.sol";
import {Paths} from "./Roots.t.sol";
import {Test} from "forge-std/Test.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {Record, Submission} from "zkvouch/interfaces/IPredictionLedger.sol";
import {FeedContext} from "zkvouch/libraries/FeedContext.sol";
import {PredictionTree} from "zkvouch/libraries/PredictionTree.sol";

/// @notice Records and consumes batches in every way there is, in any mixture, and keeps a model of what must be true.
/// @dev Two models, few inputs and few contexts, so that the same predictions come again in other batches.
contract RootHandler is Test, Paths {
    /// @dev What was recorded under a root, and how.
    struct Batch {
        bytes32 root;
        bytes32[] ids;
        Record made;
    }

    PredictionLedger public immutable LEDGER;
    OpenConsumer public immutable CONSUMER;
    bytes32 public immutable FIRST;
    bytes32 public immutable SECOND;

    /// @dev Whether the call that is being made packs its instances.
    bool public packed;

    Batch[] internal _batches;
    mapping(bytes32 root => bool) public seen;

    // How often each prediction was used up in the strict mode, by anybody, and each position of a feed.
    bytes32[] public strictIds;
    mapping(bytes32 id => uint256) public timesUsed;
    mapping(address submitter => mapping(bytes32 modelId => mapping(uint256 position => uint256))) public timesFed;
    mapping(address submitter => mapping(bytes32 modelId => uint256)) public fed;

    constructor(
        PredictionLedger ledger,
        bytes32 first,
        bytes32 second
    ) {
        LEDGER = ledger;
        CONSUMER = new OpenConsumer(ledger);
        (FIRST, SECOND) = (first, second);
    }

    function modelId(
        uint256 seed
    ) public view returns (bytes32) {
        return seed % 2 == 0 ? FIRST : SECOND;
    }

    function actor(
        uint256 seed
    ) public pure returns (address) {
        return address(uint160(0xA000 + seed % 2));
    }

    function batchCount() external view returns (uint256) {
        return _batches.length;
    }

    function batchAt(
        uint256 index
    ) external view returns (Batch memory) {
        return _batches[index];
    }

    function strictCount() external view returns (uint256) {
        return strictIds.length;
    }

    function pathAt(
        uint256 batch,
        uint256 index
    ) external view returns (bytes32[] memory) {
        return pathOf(_batches[batch].ids, index);
    }

    // ------------------------------------------------------------------------------------------ roots

    function recordBatch(
        uint256 callerSeed,
        uint256 model,
        uint256 seed,
        uint256 size
    ) external {
        packed = seed >> 255 == 1;
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances, bool valid) =
            _batch(model, seed, size % 4);
        address caller = actor(callerSeed);
        for (uint256 i = 1; i < contexts.length; ++i) {
            contexts[i] = contexts[0];
        }
        bytes32[] memory expected = _ids(model, contexts, instances, caller);
        bool new_ = expected.length != 0 && !seen[PredictionTree.rootOf(expected)];
        try this.ledgerBatch(model, proofs.length == 0 ? bytes32(0) : contexts[0], proofs, instances, caller) returns (
            bytes32[] memory ids, bytes32 root
        ) {
            require(valid && new_, "an invalid batch, or one again");
            _noteRoot(root, ids, expected, caller);
            if (ids.length == 1) _noteStrict(ids[0]);
        } catch {
            require(!valid || !new_, "a valid batch was refused");
        }
    }

    function recordMany(
        uint256 callerSeed,
        uint256 model,
        uint256 seed,
        uint256 size
    ) external {
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances, bool valid) =
            _batch(model, seed, size % 4);
        address caller = actor(callerSeed);
        bytes32[] memory expected = _ids(model, contexts, instances, caller);
        Submission[] memory all = new Submission[](proofs.length);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = Submission(modelId(model), contexts[i], proofs[i], instances[i]);
        }
        bool new_ = expected.length == 0 || !seen[PredictionTree.rootOf(expected)];
        vm.prank(caller);
        try LEDGER.recordMany(all) returns (bytes32[] memory ids, bytes32 root) {
            require((valid || all.length == 0) && new_, "an invalid batch, or one again");
            if (ids.length == 0) return;
            _noteRoot(root, ids, expected, caller);
            if (ids.length == 1) _noteStrict(ids[0]);
        } catch {
            require(!valid || !new_, "a valid batch was refused");
        }
    }

    // ------------------------------------------------------------------------------------------ strict

    function record(
        uint256 callerSeed,
        uint256 model,
        uint256 seed
    ) external {
        packed = seed >> 255 == 1;
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances, bool valid) =
            _batch(model, seed, 1);
        address caller = actor(callerSeed);
        bytes32[] memory expected = _ids(model, contexts, instances, caller);
        try this.ledgerRecord(model, contexts[0], proofs[0], instances[0], caller) returns (bytes32 id) {
            require(valid, "an invalid proof was recorded");
            _noteStrict(id);
            bytes32[] memory ids = new bytes32[](1);
            ids[0] = id;
            _noteRoot(PredictionTree.leafOf(id), ids, expected, caller);
        } catch {
            require(!valid || timesUsed[expected[0]] != 0, "a valid prediction was refused");
        }
    }

    function recordEach(
        uint256 callerSeed,
        uint256 model,
        uint256 seed,
        uint256 size
    ) external {
        packed = seed >> 255 == 1;
        address caller = actor(callerSeed);
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances, bool valid) =
            _batch(model, seed, size % 4);
        bytes32[] memory expected = _ids(model, contexts, instances, caller);
        bool fresh = valid && !_anyUsed(expected);
        try this.ledgerEach(model, contexts, proofs, instances, caller) {
            require(fresh, "an invalid batch was recorded, or one again");
            _noteEach(expected, caller);
        } catch {
            require(!fresh, "a valid batch was refused");
        }
    }

    function consumeBatch(
        uint256 model,
        uint256 seed,
        uint256 size
    ) external {
        packed = seed >> 255 == 1;
        (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances, bool valid) =
            _batch(model, seed, size % 4);
        bytes32[] memory expected = _ids(model, contexts, instances, address(CONSUMER));
        bool fresh = valid && !_anyUsed(expected);
        try this.consumerBatch(model, contexts, proofs, instances) {
            require(fresh, "an invalid batch was consumed, or one again");
            _noteEach(expected, address(CONSUMER));
        } catch {
            require(!fresh, "a valid batch was not consumed");
        }
    }

    // ------------------------------------------------------------------------------------------ feeds

    /// @dev At the next position, or at one nearby.
    function recordFeed(
        uint256 callerSeed,
        uint256 model,
        uint256 seed,
        uint256 size,
        uint64 off
    ) external {
        packed = seed >> 255 == 1;
        address caller = actor(callerSeed);
        (uint64 first, bool next) = _position(caller, model, off);
        (, bytes[] memory proofs, uint256[][] memory instances, bool valid) = _batch(model, seed, size % 4);
        try this.ledgerFeed(model, first, proofs, instances, caller) returns (bytes32[] memory ids, bytes32 root) {
            require(valid && next, "an invalid batch was recorded, or at another position");
            _noteFeed(model, first, instances, caller);
            require(root == PredictionTree.rootOf(ids), "another root");
        } catch {
            require(!valid || !next, "a feed's next batch was refused");
        }
    }

    function consumeFeed(
        uint256 model,
        uint256 seed,
        uint256 size,
        uint64 off
    ) external {
        packed = seed >> 255 == 1;
        (uint64 first, bool next) = _position(address(CONSUMER), model, off);
        (, bytes[] memory proofs, uint256[][] memory instances, bool valid) = _batch(model, seed, size % 4);
        try this.consumerFeed(model, first, proofs, instances) {
            require(valid && next, "an invalid batch was consumed, or at another position");
            _noteFeed(model, first, instances, address(CONSUMER));
        } catch {
            require(!valid || !next, "a feed's next batch was not consumed");
        }
    }

    // ------------------------------------------------------------------------------------------ either entry

    function ledgerRecord(
        uint256 model,
        bytes32 context,
        bytes calldata proof,
        uint256[] calldata instances,
        address caller
    ) external returns (bytes32 id) {
        bytes32 of_ = modelId(model);
        vm.prank(caller);
        if (packed) (id,) = LEDGER.recordPacked(of_, context, proof, abi.encodePacked(instances));
        else (id,) = LEDGER.record(of_, context, proof, instances);
    }

    function ledgerBatch(
        uint256 model,
        bytes32 context,
        bytes[] calldata proofs,
        uint256[][] calldata instances,
        address caller
    ) external returns (bytes32[] memory ids, bytes32 root) {
        bytes32 id = modelId(model);
        bytes[] memory small = _packed(instances);
        vm.prank(caller);
        if (packed) (ids,, root) = LEDGER.recordBatchPacked(id, context, proofs.length, proofs, small);
        else (ids,, root) = LEDGER.recordBatch(id, context, proofs.length, proofs, instances);
    }

    function ledgerEach(
        uint256 model,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances,
        address caller
    ) external {
        bytes32 id = modelId(model);
        bytes[] memory small = _packed(instances);
        vm.prank(caller);
        if (packed) LEDGER.recordEachPacked(id, contexts, proofs, small);
        else LEDGER.recordEach(id, contexts, proofs, instances);
    }

    function ledgerFeed(
        uint256 model,
        uint64 first,
        bytes[] calldata proofs,
        uint256[][] calldata instances,
        address caller
    ) external returns (bytes32[] memory ids, bytes32 root) {
        bytes32 id = modelId(model);
        bytes[] memory small = _packed(instances);
        vm.prank(caller);
        if (packed) (ids,, root) = LEDGER.recordFeedPacked(id, first, proofs.length, proofs, small);
        else (ids,, root) = LEDGER.recordFeed(id, first, proofs.length, proofs, instances);
    }

    function consumerBatch(
        uint256 model,
        bytes32[] calldata contexts,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external {
        if (packed) CONSUMER.consumeBatchPacked(modelId(model), contexts, proofs, _packed(instances));
        else CONSUMER.consumeBatchIn(modelId(model), contexts, proofs, instances);
    }

    function consumerFeed(
        uint256 model,
        uint64 first,
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external {
        bytes32 id = modelId(model);
        if (packed) CONSUMER.consumeFeedPacked(id, first, proofs.length, proofs, _packed(instances));
        else CONSUMER.consumeFeed(id, first, proofs.length, proofs, instances);
    }

    /// @dev A stub's instances are packed in whole words.
    function _packed(
        uint256[][] calldata instances
    ) private pure returns (bytes[] memory small) {
        small = new bytes[](instances.length);
        for (uint256 i = 0; i < small.length; ++i) {
            small[i] = abi.encodePacked(instances[i]);
        }
    }

    function pass(
        uint256 time
    ) external {
        skip(time % 1 days);
        vm.roll(vm.getBlockNumber() + 1 + time % 40);
    }

    function _noteRoot(
        bytes32 root,
        bytes32[] memory ids,
        bytes32[] memory expected,
        address caller
    ) private {
        require(keccak256(abi.encode(ids)) == keccak256(abi.encode(expected)), "other ids");
        require(root == PredictionTree.rootOf(ids), "another root");
        require(!seen[root], "a root was recorded twice");
        seen[root] = true;
        _batches.push();
        Batch storage batch = _batches[_batches.length - 1];
        (batch.root, batch.ids) = (root, ids);
        batch.made = Record(caller, uint48(vm.getBlockTimestamp()), uint48(vm.getBlockNumber()));
    }

    function _noteStrict(
        bytes32 id
    ) private {
        if (timesUsed[id]++ == 0) strictIds.push(id);
    }

    /// @dev Used up before, or twice among these.
    function _anyUsed(
        bytes32[] memory ids
    ) private view returns (bool) {
        for (uint256 i = 0; i < ids.length; ++i) {
            if (timesUsed[ids[i]] != 0) return true;
            for (uint256 j = 0; j < i; ++j) {
                if (ids[i] == ids[j]) return true;
            }
        }
        return false;
    }

    function _noteEach(
        bytes32[] memory ids,
        address caller
    ) private {
        for (uint256 i = 0; i < ids.length; ++i) {
            _noteStrict(ids[i]);
            bytes32[] memory one = new bytes32[](1);
            one[0] = ids[i];
            _noteRoot(PredictionTree.leafOf(ids[i]), one, one, caller);
        }
    }

    function _noteFeed(
        uint256 model,
        uint64 first,
        uint256[][] memory instances,
        address caller
    ) private {
        bytes32[] memory contexts = new bytes32[](instances.length);
        for (uint64 i = 0; i < contexts.length; ++i) {
            contexts[i] = FeedContext.at(first + i);
            ++timesFed[caller][modelId(model)][first + i];
        }
        fed[caller][modelId(model)] += contexts.length;
        bytes32[] memory ids = _ids(model, contexts, instances, caller);
        _noteRoot(PredictionTree.rootOf(ids), ids, ids, caller);
    }

    function _position(
        address caller,
        uint256 model,
        uint64 off
    ) private view returns (uint64 first, bool next) {
        uint256 position = fed[caller][modelId(model)];
        first = uint64(off % 4 == 0 ? (position + off) % 8 : position);
        next = first == position;
    }

    function _ids(
        uint256 model,
        bytes32[] memory contexts,
        uint256[][] memory instances,
        address caller
    ) private view returns (bytes32[] memory ids) {
        ids = new bytes32[](instances.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = LEDGER.idOf(modelId(model), instances[i], caller, contexts[i]);
        }
    }

    /// @dev Seldom invalid, so that whole batches are recorded.
    function _batch(
        uint256 model,
        uint256 seed,
        uint256 size
    )
        private
        pure
        returns (bytes32[] memory contexts, bytes[] memory proofs, uint256[][] memory instances, bool valid)
    {
        (contexts, proofs, instances) = (new bytes32[](size), new bytes[](size), new uint256[][](size));
        valid = size != 0;
        for (uint256 i = 0; i < size; ++i) {
            uint256 random = seed >> (24 * i);
            bool good = random % 64 >= 6;
            valid = valid && good;
            proofs[i] = abi.encode(good ? bytes32(1 + model % 2) : bytes32(0));
            uint256 input = (random >> 8) % 4;
            instances[i] = new uint256[](2);
            instances[i][0] = input;
            instances[i][1] = uint256(keccak256(abi.encode(input))) >> 8;
            contexts[i] = bytes32((random >> 16) % 2);
        }
    }
}

contract RootInvariantsTest is Test {
    RootHandler internal handler;
    PredictionLedger internal ledger;

    function setUp() public {
        ModelRouter router = new ModelRouter(address(this), address(new ModelVerifier()));
        ledger = new PredictionLedger(router);
        bytes32[2] memory models;
        for (uint256 i = 0; i < 2; ++i) {
            StubVerifier stub = new StubVerifier(bytes32(1 + i));
            (bytes memory proof, uint256[] memory instances) = stub.prove(0);
            (models[i],) = router.addModel(stub.args(i == 0 ? 7 : 0, address(0)), proof, instances);
        }
        handler = new RootHandler(ledger, models[0], models[1]);
        targetContract(address(handler));
        bytes4[] memory selectors = new bytes4[](8);
        selectors[0] = RootHandler.recordBatch.selector;
        selectors[1] = RootHandler.recordMany.selector;
        selectors[2] = RootHandler.record.selector;
        selectors[3] = RootHandler.recordEach.selector;
        selectors[4] = RootHandler.recordFeed.selector;
        selectors[5] = RootHandler.pass.selector;
        selectors[6] = RootHandler.consumeBatch.selector;
        selectors[7] = RootHandler.consumeFeed.selector;
        targetSelector(FuzzSelector(address(handler), selectors));
    }

    /// @dev Strict: in its submitter's context a prediction is used up once, by whichever function.
    function invariant_NothingIsUsedTwiceStrictly() public view {
        for (uint256 i = 0; i < handler.strictCount(); ++i) {
            bytes32 id = handler.strictIds(i);
            assertEq(handler.timesUsed(id), 1);
            assertTrue(ledger.isVerified(id));
        }
    }

    /// @dev Feed: every position below the next was used once, and none from there on.
    function invariant_NoPositionIsUsedTwice() public view {
        address[3] memory submitters = [handler.actor(0), handler.actor(1), address(handler.CONSUMER())];
        for (uint256 i = 0; i < submitters.length; ++i) {
            for (uint256 model = 0; model < 2; ++model) {
                bytes32 id = handler.modelId(model);
                uint256 next = ledger.nextPosition(submitters[i], id);
                assertEq(next, handler.fed(submitters[i], id));
                for (uint256 position = 0; position < next + 4; ++position) {
                    assertEq(handler.timesFed(submitters[i], id, position), position < next ? 1 : 0);
                }
            }
        }
    }

    /// @dev As it was recorded the first time, forever, and good for each of its members and nobody else.
    function invariant_ARootNeverChanges() public view {
        for (uint256 i = 0; i < handler.batchCount(); ++i) {
            RootHandler.Batch memory batch = handler.batchAt(i);
            for (uint256 j = 0; j < batch.ids.length; ++j) {
                bytes32[] memory path = handler.pathAt(i, j);
                assertTrue(ledger.isVerified(batch.ids[j], batch.root, path));
                assertEq(abi.encode(ledger.recordOf(batch.ids[j], batch.root, path)), abi.encode(batch.made));
                assertFalse(ledger.isVerified(bytes32(uint256(batch.ids[j]) ^ 1), batch.root, path));
            }
        }
    }
}
