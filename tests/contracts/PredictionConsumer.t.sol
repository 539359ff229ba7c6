// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model, Proof} from "./Fixtures.sol";
import {OpenConsumer} from "./OpenConsumer.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {IPredictionConsumerErrors, IPredictionConsumerEvents, Prediction} from "zkvouch/PredictionConsumer.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {IModelRouterErrors} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifierErrors, ModelArgs} from "zkvouch/interfaces/IModelVerifier.sol";
import {IPredictionLedger, IPredictionLedgerErrors} from "zkvouch/interfaces/IPredictionLedger.sol";

/// @notice A consumer that asks for more patience.
contract SlowConsumer is OpenConsumer {
    constructor(
        IPredictionLedger ledger
    ) OpenConsumer(ledger) {}

    function _commitmentDelay() internal pure override returns (uint256) {
        return 10;
    }

    function _commitmentLifetime() internal pure override returns (uint256) {
        return 1 hours;
    }
}

/// @notice A consumer with a delay of its own, whose commitments last forever.
contract HastyConsumer is OpenConsumer {
    uint256 private immutable _DELAY;

    constructor(
        IPredictionLedger ledger,
        uint256 delay
    ) OpenConsumer(ledger) {
        _DELAY = delay;
    }

    function _commitmentDelay() internal view override returns (uint256) {
        return _DELAY;
    }

    function _commitmentLifetime() internal pure override returns (uint256) {
        return type(uint256).max;
    }
}

contract PredictionConsumerTest is
    Fixtures,
    IPredictionConsumerErrors,
    IPredictionConsumerEvents,
    IPredictionLedgerErrors
{
    Model internal model;
    ModelRouter internal router;
    PredictionLedger internal ledger;
    OpenConsumer internal consumer;
    bytes32 internal modelId;
    bytes32 internal constant SALT = keccak256("salt");
    address internal alice = makeAddr("alice");
    address internal mallory = makeAddr("mallory");

    function setUp() public {
        model = loadModel("tree");
        ModelVerifier adapter;
        (router, adapter) = deployRouter(model);
        modelId = adapter.modelId();
        ledger = new PredictionLedger(router);
        consumer = new OpenConsumer(ledger);
        vm.warp(1_700_000_000);
        vm.roll(1000);
    }

    // ------------------------------------------------------------------------------------------ consuming

    /// @dev Every number is what ezkl itself says, over all fixtures.
    function test_DecodesAsTheEngineDoes() public {
        string[4] memory names = ["tree", "sibling", "credit", "hashed"];
        for (uint256 i = 0; i < names.length; ++i) {
            Model memory m = loadModel(names[i]);
            ModelVerifier adapter = deployAdapter(m);
            if (i != 0) addTo(router, m);
            _compare(adapter.modelId(), m.first);
        }
        _compare(modelId, loadProof("tree", "proof-1"));
    }

    function _compare(
        bytes32 id,
        Proof memory proof
    ) private {
        // The first model was added in setUp, with the very code that is deployed anew here.
        Prediction memory p = consumer.consume(id, proof.proof, proof.instances);
        assertEq(p.modelId, id);
        assertTrue(ledger.isVerified(p.id));
        assertEq(p.outputCount(), proof.outputs.length);
        for (uint256 j = 0; j < proof.outputs.length; ++j) {
            assertEq(p.output(j), parseDecimal(proof.outputs[j]), proof.outputs[j]);
        }
        assertEq(ledger.recordOf(p.id).submitter, address(consumer));
    }

    function test_RevertReplay() public {
        Prediction memory p = consumer.consume(modelId, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, p.id));
        consumer.consume(modelId, model.first.proof, model.first.instances);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, p.id));
        consumer.consume(modelId, model.again.proof, model.again.instances);
        // Another contract has its own predictions.
        new OpenConsumer(ledger).consume(modelId, model.first.proof, model.first.instances);
    }

    /// @dev Decoded as each by itself, and used up as each by itself.
    function test_ConsumesBatches() public {
        Proof[] memory items = new Proof[](2);
        (items[0], items[1]) = (model.first, loadProof("tree", "proof-1"));
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
        Prediction[] memory predictions = consumer.consumeBatch(modelId, 2, proofs, instances);
        assertEq(predictions.length, 2);
        OpenConsumer other = new OpenConsumer(ledger);
        for (uint256 i = 0; i < 2; ++i) {
            Prediction memory alone = other.consume(modelId, proofs[i], instances[i]);
            assertEq(predictions[i].id, ledger.idOf(modelId, instances[i], address(consumer), 0));
            bytes32 id = predictions[i].id;
            predictions[i].id = alone.id;
            assertEq(abi.encode(predictions[i]), abi.encode(alone));
            vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, id));
            consumer.consume(modelId, proofs[i], instances[i]);
        }
        // Once in each context.
        bytes32[] memory contexts = new bytes32[](2);
        (contexts[0], contexts[1]) = ("one", "other");
        (proofs[1], instances[1]) = (proofs[0], instances[0]);
        predictions = consumer.consumeBatchIn(modelId, contexts, proofs, instances);
        assertEq(predictions[1].id, ledger.idOf(modelId, instances[1], address(consumer), "other"));
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, predictions[0].id));
        consumer.consumeBatchIn(modelId, contexts, proofs, instances);
        instances[1] = items[1].instances;
        other = new OpenConsumer(ledger);
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        other.consumeBatch(modelId, 2, proofs, instances);
    }

    /// @dev Packed, a prediction is the same, and used up by either entry.
    function test_ConsumesPacked() public {
        Prediction memory alone = new OpenConsumer(ledger).consume(modelId, model.first.proof, model.first.instances);
        bytes memory packed = packedOf(model, model.first.instances);
        Prediction memory p = consumer.consumePacked(modelId, 0, model.first.proof, packed);
        assertEq(p.id, ledger.idOf(modelId, model.first.instances, address(consumer), 0));
        alone.id = p.id;
        assertEq(abi.encode(p), abi.encode(alone));
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, p.id));
        consumer.consume(modelId, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, p.id));
        consumer.consumePacked(modelId, 0, model.again.proof, packed);
        p = consumer.consumePacked(modelId, "other", model.first.proof, packed);
        assertEq(p.id, ledger.idOf(modelId, model.first.instances, address(consumer), "other"));

        Proof[] memory items = new Proof[](2);
        (items[0], items[1]) = (model.first, loadProof("tree", "proof-1"));
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
        bytes[] memory small = packedOf(model, instances);
        OpenConsumer second = new OpenConsumer(ledger);
        Prediction[] memory batch = second.consumeBatchPacked(modelId, new bytes32[](2), proofs, small);
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(batch[i].id, ledger.idOf(modelId, instances[i], address(second), 0));
            assertEq(abi.encode(batch[i].instances), abi.encode(instances[i]));
            vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, batch[i].id));
            second.consume(modelId, proofs[i], instances[i]);
        }
        Prediction[] memory fed = second.consumeFeedPacked(modelId, 0, 2, proofs, small);
        assertEq(abi.encode(fed[1].instances), abi.encode(instances[1]));
        vm.expectRevert(abi.encodeWithSelector(WrongPosition.selector, 0, 2));
        second.consumeFeed(modelId, 0, 2, proofs, instances);
    }

    /// @dev Recording it directly, under whatever name, takes nothing from the consumer.
    function test_NobodyElseUsesUpAPrediction() public {
        vm.prank(mallory);
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        consumer.consume(modelId, model.first.proof, model.first.instances);
    }

    function test_OncePerCaller() public {
        vm.prank(alice);
        consumer.consumeOnce(modelId, model.first.proof, model.first.instances);
        vm.prank(mallory);
        consumer.consumeOnce(modelId, model.first.proof, model.first.instances);
        bytes32 id = ledger.idOf(modelId, model.first.instances, address(consumer), bytes32(uint256(uint160(alice))));
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, id));
        vm.prank(alice);
        consumer.consumeOnce(modelId, model.first.proof, model.first.instances);
    }

    function test_RevertInvalid() public {
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        consumer.consume(modelId, model.first.proof, new uint256[](7));
    }

    // ------------------------------------------------------------------------------------------ commit and reveal

    function test_CommitsAndReveals() public {
        bytes32 commitment = _commit(alice);
        vm.roll(1025);
        vm.prank(alice);
        Prediction memory p = consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
        assertEq(p.argmax(), 1);
        // It is used up.
        vm.expectRevert(abi.encodeWithSelector(NotCommitted.selector, commitment));
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
    }

    function test_CommitmentIsTheHashOfItsParts() public view {
        assertEq(
            consumer.commitmentOf(alice, modelId, model.first.instances, SALT),
            keccak256(
                abi.encode(
                    block.chainid,
                    address(consumer),
                    alice,
                    modelId,
                    keccak256(abi.encodePacked(model.first.instances)),
                    SALT
                )
            )
        );
    }

    /// @dev The attack that it is for: the reveal is seen in the mempool and sent by another first.
    function test_RevertCopiedReveal() public {
        _commit(alice);
        vm.roll(1025);
        bytes32 hers = consumer.commitmentOf(mallory, modelId, model.first.instances, SALT);
        vm.expectRevert(abi.encodeWithSelector(NotCommitted.selector, hers));
        vm.prank(mallory);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
        // Committing in the same block as seeing it doesn't help.
        vm.prank(mallory);
        consumer.commitPrediction(hers);
        vm.expectRevert(abi.encodeWithSelector(CommitmentTooYoung.selector, 1025, 1050));
        vm.prank(mallory);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
        vm.prank(alice);
        Prediction memory p = consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
        vm.roll(1050);
        vm.expectRevert(abi.encodeWithSelector(AlreadyRecorded.selector, p.id));
        vm.prank(mallory);
        consumer.reveal(modelId, model.again.proof, model.again.instances, SALT);
    }

    /// @dev Alice's reveal is sent as soon as it may be, and waits: fees rose, or a builder leaves it out. Mallory has
    /// seen it, commits at once, and pays any tip. However long it waits within the delay, she can't be first.
    function testFuzz_ARevealThatWaitsIsNotStolen(
        uint256 waits
    ) public {
        waits = bound(waits, 1, 24);
        _commit(alice);
        vm.roll(1025);
        bytes32 his = consumer.commitmentOf(mallory, modelId, model.first.instances, "own");
        vm.prank(mallory);
        consumer.commitPrediction(his);
        vm.roll(1025 + waits);
        vm.expectRevert(abi.encodeWithSelector(CommitmentTooYoung.selector, 1025 + waits, 1050));
        vm.prank(mallory);
        consumer.reveal(modelId, model.first.proof, model.first.instances, "own");
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
    }

    /// @dev A consumer that asks for no delay, or for one block, gets the least that is safe.
    function test_NoConsumerGoesBelowTheLeastDelay() public {
        for (uint256 delay = 0; delay < 5; ++delay) {
            vm.roll(1000);
            consumer = new HastyConsumer(ledger, delay);
            assertEq(consumer.MIN_COMMITMENT_DELAY(), 5);
            _commit(alice);
            vm.roll(1004);
            vm.expectRevert(abi.encodeWithSelector(CommitmentTooYoung.selector, 1004, 1005));
            vm.prank(alice);
            consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
            vm.roll(1005);
            vm.prank(alice);
            consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
        }
    }

    /// @dev The largest numbers mean never and forever, and are no panic.
    function test_TheLargestDelaysAreNoPanic() public {
        consumer = new HastyConsumer(ledger, type(uint256).max);
        _commit(alice);
        vm.roll(type(uint64).max);
        vm.expectRevert(abi.encodeWithSelector(CommitmentTooYoung.selector, type(uint64).max, type(uint256).max));
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
        vm.roll(1000);
        consumer = new HastyConsumer(ledger, 5);
        _commit(alice);
        vm.roll(1005);
        vm.warp(type(uint48).max);
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
    }

    /// @dev Copying the commitment instead neither helps the copier nor hinders its author.
    function test_CopiedCommitmentIsWorthNothing() public {
        bytes32 commitment = consumer.commitmentOf(alice, modelId, model.first.instances, SALT);
        vm.prank(mallory);
        consumer.commitPrediction(commitment);
        _commit(alice);
        vm.roll(1025);
        bytes32 hers = consumer.commitmentOf(mallory, modelId, model.first.instances, SALT);
        vm.expectRevert(abi.encodeWithSelector(NotCommitted.selector, hers));
        vm.prank(mallory);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
    }

    function test_RevertCommitTwice() public {
        bytes32 commitment = _commit(alice);
        vm.expectRevert(abi.encodeWithSelector(AlreadyCommitted.selector, commitment));
        vm.prank(alice);
        consumer.commitPrediction(commitment);
    }

    function test_RevertRevealAnotherPrediction() public {
        _commit(alice);
        vm.roll(1025);
        Proof memory second = loadProof("tree", "proof-1");
        vm.expectRevert(
            abi.encodeWithSelector(NotCommitted.selector, consumer.commitmentOf(alice, modelId, second.instances, SALT))
        );
        vm.prank(alice);
        consumer.reveal(modelId, second.proof, second.instances, SALT);
        bytes32 salt = keccak256("other salt");
        vm.expectRevert(
            abi.encodeWithSelector(
                NotCommitted.selector, consumer.commitmentOf(alice, modelId, model.first.instances, salt)
            )
        );
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, salt);
    }

    function test_RevertRevealInTheSameBlock() public {
        _commit(alice);
        vm.expectRevert(abi.encodeWithSelector(CommitmentTooYoung.selector, 1000, 1025));
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
    }

    function test_RevertRevealTooLate() public {
        _commit(alice);
        vm.roll(1025);
        uint256 end = vm.getBlockTimestamp() + 1 days;
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(CommitmentExpired.selector, end + 1, end));
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
        vm.warp(end);
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
    }

    function test_ConsumerChoosesItsDelays() public {
        consumer = new SlowConsumer(ledger);
        _commit(alice);
        vm.roll(1009);
        vm.expectRevert(abi.encodeWithSelector(CommitmentTooYoung.selector, 1009, 1010));
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
        vm.roll(1010);
        uint256 end = vm.getBlockTimestamp() + 1 hours;
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(CommitmentExpired.selector, end + 1, end));
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
    }

    /// @dev A commitment whose proof turns out invalid is not lost.
    function test_InvalidRevealKeepsTheCommitment() public {
        _commit(alice);
        vm.roll(1025);
        bytes memory wrong = copyOf(model.first.proof);
        wrong[0] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        vm.prank(alice);
        consumer.reveal(modelId, wrong, model.first.instances, SALT);
        vm.prank(alice);
        consumer.reveal(modelId, model.first.proof, model.first.instances, SALT);
    }

    // ------------------------------------------------------------------------------------------ freshness

    function test_RecallsAFreshPrediction() public {
        Prediction memory p = consumer.consume(modelId, model.first.proof, model.first.instances);
        uint256 recordedAt = vm.getBlockTimestamp();
        vm.warp(recordedAt + 100);
        Prediction memory again = consumer.recall(modelId, model.first.instances, 100);
        assertEq(abi.encode(again), abi.encode(p));
        vm.warp(recordedAt + 101);
        vm.expectRevert(abi.encodeWithSelector(StalePrediction.selector, recordedAt, 100));
        consumer.recall(modelId, model.first.instances, 100);
    }

    /// @dev However long ago.
    function testFuzz_RecallNeverPanics(
        uint256 maxAge,
        uint256 later
    ) public {
        Prediction memory p = consumer.consume(modelId, model.first.proof, model.first.instances);
        uint256 recordedAt = vm.getBlockTimestamp();
        later = bound(later, 0, type(uint64).max);
        vm.warp(recordedAt + later);
        if (later > maxAge) vm.expectRevert(abi.encodeWithSelector(StalePrediction.selector, recordedAt, maxAge));
        Prediction memory again = consumer.recall(modelId, model.first.instances, maxAge);
        if (later <= maxAge) assertEq(again.id, p.id);
        assertEq(consumer.recall(modelId, model.first.instances, type(uint256).max).id, p.id);
    }

    /// @dev What a verifier said before it was stopped is not to be acted on, and no route around the stop serves it.
    function test_RevertRecallOfAStoppedModel() public {
        router = deployRouter();
        ModelArgs memory args = argsOf(model);
        args.guardian = guardian;
        ModelVerifier guarded = addTo(router, args, model.first);
        ledger = new PredictionLedger(router);
        consumer = new OpenConsumer(ledger);
        Prediction memory p = consumer.consume(modelId, model.first.proof, model.first.instances);
        assertEq(consumer.recall(modelId, model.first.instances, 100).id, p.id);
        vm.prank(guardian);
        guarded.stop();
        bytes memory stopped = abi.encodeWithSelector(IModelVerifierErrors.ModelStopped.selector, modelId);
        vm.expectRevert(stopped);
        consumer.recall(modelId, model.first.instances, 100);
        OpenConsumer another = new OpenConsumer(ledger);
        vm.expectRevert(stopped);
        another.consume(modelId, model.first.proof, model.first.instances);
        // That it was verified once stays on record.
        assertTrue(ledger.isVerified(p.id));
    }

    function test_RevertRecallOfWhatWasNeverConsumed() public {
        // Not even if somebody else recorded it.
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        bytes32 id = ledger.idOf(modelId, model.first.instances, address(consumer), 0);
        vm.expectRevert(abi.encodeWithSelector(NotRecorded.selector, id));
        consumer.recall(modelId, model.first.instances, 100);
    }

    function test_RevertRecallOfARetiredModel() public {
        consumer.consume(modelId, model.first.proof, model.first.instances);
        vm.prank(owner);
        router.retireModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelRetired.selector, modelId));
        consumer.recall(modelId, model.first.instances, 100);
    }

    function _commit(
        address who
    ) private returns (bytes32 commitment) {
        commitment = consumer.commitmentOf(who, modelId, model.first.instances, SALT);
        vm.expectEmit(address(consumer));
        emit PredictionCommitted(who, commitment);
        vm.prank(who);
        consumer.commitPrediction(commitment);
    }
}
