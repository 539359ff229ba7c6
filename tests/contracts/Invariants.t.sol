// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {StubModelVerifier} from "./Hostile.sol";
import {OpenConsumer} from "./PredictionConsumer.t.sol";
import {Test} from "forge-std/Test.sol";
import {EmergencyStop} from "zkvouch/EmergencyStop.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {ModelStatus, Outcome} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifier} from "zkvouch/interfaces/IModelVerifier.sol";
import {Record, Submission} from "zkvouch/interfaces/IPredictionLedger.sol";

/// @notice Does to a router, a ledger and stops whatever anybody may try, and keeps a model of what must be true.
/// @dev Every call is made whoever the caller is; where it succeeds, the caller must have been entitled to it. Errors
/// of the bookkeeping itself revert, which the runner counts as a failure.
contract Handler is Test {
    uint256 internal constant MODELS = 5;
    uint256 internal constant ACTORS = 4;

    bytes32 internal constant _SALT = keccak256("salt");

    ModelRouter public immutable ROUTER;
    PredictionLedger public immutable LEDGER;
    OpenConsumer public immutable CONSUMER;

    address public owner;
    address public pendingOwner;

    // What was seen, by model: the route of the first success, whether it was retired, its stop.
    mapping(uint256 model => IModelVerifier) public routeOf;
    mapping(uint256 model => bool) public retired;
    mapping(uint256 model => EmergencyStop) public stopOf;
    mapping(uint256 model => bool) public stopped;

    // What was recorded, by id.
    bytes32[] public ids;
    mapping(bytes32 id => Record) internal _recorded;
    mapping(bytes32 id => uint256) public timesRecorded;
    mapping(bytes32 id => uint256) public modelOfId;
    uint256 public added;

    // What was committed and not revealed, in blocks and seconds.
    mapping(address committer => mapping(bytes32 commitment => uint256)) public committedAt;
    mapping(address committer => mapping(bytes32 commitment => uint256)) public committedTime;

    constructor(
        ModelRouter router,
        PredictionLedger ledger
    ) {
        ROUTER = router;
        LEDGER = ledger;
        CONSUMER = new OpenConsumer(ledger);
        owner = address(this);
    }

    function modelId(
        uint256 model
    ) public pure returns (bytes32) {
        return keccak256(abi.encode("model", model));
    }

    function actor(
        uint256 seed
    ) public view returns (address) {
        // The owner half of the time, so that much happens.
        uint256 index = seed % (2 * ACTORS);
        return index >= ACTORS || index == 0 ? owner : address(uint160(0xA000 + index));
    }

    function guardian() public pure returns (address) {
        return address(uint160(0xA001));
    }

    // ------------------------------------------------------------------------------------------ the router

    function addModel(
        uint256 callerSeed,
        uint256 modelSeed,
        uint256 input,
        bool behindStop,
        bool flawed
    ) public {
        uint256 model = modelSeed % MODELS;
        address caller = actor(callerSeed);
        StubModelVerifier.Flaw flaw = flawed ? StubModelVerifier.Flaw(1 + input % 11) : StubModelVerifier.Flaw.None;
        IModelVerifier verifier = new StubModelVerifier(modelId(model), flaw);
        (bytes memory proof, uint256[] memory instances) = StubModelVerifier(address(verifier)).prove(input);
        if (behindStop) verifier = new EmergencyStop(verifier, guardian());
        vm.prank(caller);
        try ROUTER.addModel(verifier, proof, instances) {
            require(caller == owner, "somebody else added a model");
            require(address(routeOf[model]) == address(0), "a model was added twice");
            require(!flawed, "a verifier that is none was added");
            routeOf[model] = verifier;
            if (behindStop) stopOf[model] = EmergencyStop(address(verifier));
            ++added;
        } catch {
            require(caller != owner || address(routeOf[model]) != address(0) || flawed, "a sound model was refused");
        }
    }

    function retireModel(
        uint256 callerSeed,
        uint256 modelSeed
    ) external {
        uint256 model = modelSeed % MODELS;
        address caller = actor(callerSeed);
        vm.prank(caller);
        try ROUTER.retireModel(modelId(model)) {
            require(caller == owner, "somebody else retired a model");
            require(address(routeOf[model]) != address(0) && !retired[model], "nothing was there to retire");
            retired[model] = true;
        } catch {
            require(
                caller != owner || address(routeOf[model]) == address(0) || retired[model], "the owner could not retire"
            );
        }
    }

    function transferOwnership(
        uint256 callerSeed,
        uint256 nextSeed
    ) external {
        address caller = actor(callerSeed);
        address next = actor(nextSeed);
        vm.prank(caller);
        try ROUTER.transferOwnership(next) {
            require(caller == owner, "somebody else gave the router away");
            pendingOwner = next;
        } catch {
            require(caller != owner, "the owner could not transfer");
        }
    }

    function acceptOwnership(
        uint256 callerSeed
    ) external {
        address caller = actor(callerSeed);
        vm.prank(caller);
        try ROUTER.acceptOwnership() {
            require(caller == pendingOwner, "somebody else took the router");
            (owner, pendingOwner) = (caller, address(0));
        } catch {
            require(caller != pendingOwner || pendingOwner == address(0), "the next owner could not accept");
        }
    }

    function stop(
        uint256 callerSeed,
        uint256 modelSeed
    ) external {
        uint256 model = modelSeed % MODELS;
        if (address(stopOf[model]) == address(0)) return;
        address caller = actor(callerSeed);
        vm.prank(caller);
        try stopOf[model].stop() {
            require(caller == guardian(), "somebody else stopped");
            stopped[model] = true;
        } catch {
            require(caller != guardian() || stopped[model], "the guardian could not stop");
        }
    }

    // ------------------------------------------------------------------------------------------ the ledger

    function record(
        uint256 callerSeed,
        uint256 modelSeed,
        uint256 input,
        uint256 context,
        bool valid
    ) external {
        (uint256 model, bytes memory proof, uint256[] memory instances) = _prediction(modelSeed, input, valid);
        address caller = actor(callerSeed);
        bytes32 ctx = bytes32(context % 2);
        bytes32 id = LEDGER.idOf(modelId(model), instances, caller, ctx);
        vm.prank(caller);
        try LEDGER.record(modelId(model), ctx, proof, instances) returns (bytes32 returned, bytes memory) {
            require(returned == id, "another id");
            require(valid, "an invalid proof was recorded");
            _note(model, id, caller);
        } catch {
            require(!valid || !_works(model) || timesRecorded[id] != 0, "a valid prediction was refused");
        }
    }

    function recordEach(
        uint256 callerSeed,
        uint256 modelSeed,
        uint256 seed,
        uint256 size
    ) external {
        size = size % 4;
        address caller = actor(callerSeed);
        uint256 model = modelSeed % MODELS;
        bytes[] memory proofs = new bytes[](size);
        uint256[][] memory instances = new uint256[][](size);
        bytes32[] memory contexts = new bytes32[](size);
        bytes32[] memory expected = new bytes32[](size);
        bool valid = size != 0;
        bool twins = false;
        for (uint256 i = 0; i < size; ++i) {
            uint256 random = seed >> (16 * i);
            // Seldom invalid, so that whole batches are recorded.
            (, proofs[i], instances[i]) = _prediction(model, random, random % 64 >= 8);
            valid = valid && random % 64 >= 8;
            contexts[i] = bytes32((random >> 8) % 2);
            expected[i] = LEDGER.idOf(modelId(model), instances[i], caller, contexts[i]);
            twins = twins || timesRecorded[expected[i]] != 0;
            for (uint256 j = 0; j < i; ++j) {
                twins = twins || expected[i] == expected[j];
            }
        }
        vm.prank(caller);
        try LEDGER.recordEach(modelId(model), contexts, proofs, instances) returns (
            bytes32[] memory returned, bytes memory
        ) {
            require(valid, "an invalid batch was recorded");
            require(keccak256(abi.encode(returned)) == keccak256(abi.encode(expected)), "other ids");
            for (uint256 i = 0; i < size; ++i) {
                _note(model, returned[i], caller);
            }
        } catch {
            require(!valid || !_works(model) || twins, "a valid batch was refused");
        }
    }

    function tryRecordMany(
        uint256 callerSeed,
        uint256 seed,
        bool firstValid,
        bool secondValid
    ) external {
        address caller = actor(callerSeed);
        Submission[] memory submissions = new Submission[](2);
        uint256[2] memory models;
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory proof;
            uint256[] memory instances;
            (models[i], proof, instances) = _prediction(seed >> (8 * i), seed >> 16, i == 0 ? firstValid : secondValid);
            submissions[i] = Submission(modelId(models[i]), 0, proof, instances);
        }
        vm.prank(caller);
        Outcome[] memory outcomes = LEDGER.tryRecordMany(submissions, 100_000);
        for (uint256 i = 0; i < 2; ++i) {
            bool valid = i == 0 ? firstValid : secondValid;
            bytes32 id = LEDGER.idOf(submissions[i].modelId, submissions[i].instances, caller, 0);
            require(outcomes[i].id == id, "another id");
            if (outcomes[i].ok) {
                require(valid && outcomes[i].reason == 0, "an invalid proof was recorded");
                _note(models[i], id, caller);
            } else {
                require(outcomes[i].reason != 0, "refused for no reason");
                require(!valid || !_works(models[i]) || timesRecorded[id] != 0, "a valid prediction was refused");
            }
        }
        for (uint256 i = 0; i < 2; ++i) {
            require(LEDGER.isVerified(outcomes[i].id) == (timesRecorded[outcomes[i].id] != 0), "refused, and recorded");
        }
    }

    // ------------------------------------------------------------------------------------------ a consumer

    function commit(
        uint256 callerSeed,
        uint256 modelSeed,
        uint256 input
    ) external {
        (uint256 model,, uint256[] memory instances) = _prediction(modelSeed, input, true);
        address caller = actor(callerSeed);
        bytes32 commitment = CONSUMER.commitmentOf(caller, modelId(model), instances, _SALT);
        vm.prank(caller);
        try CONSUMER.commitPrediction(commitment) {
            require(committedAt[caller][commitment] == 0, "a commitment's clock was restarted");
            committedAt[caller][commitment] = vm.getBlockNumber();
            committedTime[caller][commitment] = vm.getBlockTimestamp();
        } catch {
            require(committedAt[caller][commitment] != 0, "a commitment was refused");
        }
    }

    function reveal(
        uint256 callerSeed,
        uint256 modelSeed,
        uint256 input,
        bool valid
    ) external {
        (uint256 model, bytes memory proof, uint256[] memory instances) = _prediction(modelSeed, input, valid);
        address caller = actor(callerSeed);
        bytes32 commitment = CONSUMER.commitmentOf(caller, modelId(model), instances, _SALT);
        bytes32 id = LEDGER.idOf(modelId(model), instances, address(CONSUMER), 0);
        uint256 made = committedAt[caller][commitment];
        bool due = made != 0 && vm.getBlockNumber() - made >= 25
            && vm.getBlockTimestamp() - committedTime[caller][commitment] <= 1 days;
        vm.prank(caller);
        try CONSUMER.reveal(modelId(model), proof, instances, _SALT) {
            require(due, "revealed without a commitment that is old enough");
            require(valid, "an invalid proof was revealed");
            committedAt[caller][commitment] = 0;
            _note(model, id, address(CONSUMER));
        } catch {
            require(!due || !valid || !_works(model) || timesRecorded[id] != 0, "a due reveal was refused");
        }
    }

    function consume(
        uint256 callerSeed,
        uint256 modelSeed,
        uint256 input,
        bool valid
    ) external {
        (uint256 model, bytes memory proof, uint256[] memory instances) = _prediction(modelSeed, input, valid);
        bytes32 id = LEDGER.idOf(modelId(model), instances, address(CONSUMER), 0);
        vm.prank(actor(callerSeed));
        try CONSUMER.consume(modelId(model), proof, instances) {
            require(valid, "an invalid proof was consumed");
            _note(model, id, address(CONSUMER));
        } catch {
            require(!valid || !_works(model) || timesRecorded[id] != 0, "a valid prediction was not consumed");
        }
    }

    /// @dev Whatever was consumed is recalled while it is fresh and its model works, and at no other time.
    function recall(
        uint256 modelSeed,
        uint256 input,
        uint256 maxAge
    ) external view {
        (uint256 model,, uint256[] memory instances) = _prediction(modelSeed, input, true);
        if (maxAge % 4 != 0) maxAge = maxAge % 3 days;
        bytes32 id = LEDGER.idOf(modelId(model), instances, address(CONSUMER), 0);
        bool fresh = timesRecorded[id] != 0 && vm.getBlockTimestamp() - _recorded[id].timestamp <= maxAge;
        try CONSUMER.recall(modelId(model), instances, maxAge) {
            require(fresh && _works(model), "stale, stopped, retired or never consumed");
        } catch {
            require(!fresh || !_works(model), "what is fresh was not recalled");
        }
    }

    function pass(
        uint256 time
    ) external {
        skip(time % 1 days);
        vm.roll(vm.getBlockNumber() + 1 + time % 40);
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    function recordedAs(
        bytes32 id
    ) external view returns (Record memory) {
        return _recorded[id];
    }

    function _note(
        uint256 model,
        bytes32 id,
        address caller
    ) private {
        require(_works(model), "a model without a working route verified");
        require(timesRecorded[id] == 0, "an id was recorded twice");
        timesRecorded[id] = 1;
        ids.push(id);
        modelOfId[id] = model;
        _recorded[id] = Record(caller, uint48(vm.getBlockTimestamp()), uint48(vm.getBlockNumber()));
    }

    function _works(
        uint256 model
    ) private view returns (bool) {
        return address(routeOf[model]) != address(0) && !retired[model] && !stopped[model];
    }

    function _prediction(
        uint256 modelSeed,
        uint256 input,
        bool valid
    ) private pure returns (uint256 model, bytes memory proof, uint256[] memory instances) {
        model = modelSeed % MODELS;
        // Few inputs, so that replays happen.
        input = input % 4;
        proof = abi.encode(valid ? modelId(model) : bytes32(0));
        instances = new uint256[](2);
        instances[0] = input;
        instances[1] = uint256(keccak256(abi.encode(input))) >> 8;
    }
}

contract InvariantsTest is Test {
    Handler internal handler;
    ModelRouter internal router;
    PredictionLedger internal ledger;

    function setUp() public {
        router = new ModelRouter(address(this));
        ledger = new PredictionLedger(router);
        handler = new Handler(router, ledger);
        router.transferOwnership(address(handler));
        vm.prank(address(handler));
        router.acceptOwnership();
        // Something to begin with: a bare model and one behind a stop.
        handler.addModel(0, 0, 0, false, false);
        handler.addModel(0, 1, 0, true, false);
        targetContract(address(handler));
        bytes4[] memory selectors = new bytes4[](13);
        selectors[0] = Handler.addModel.selector;
        selectors[1] = Handler.retireModel.selector;
        selectors[2] = Handler.transferOwnership.selector;
        selectors[3] = Handler.acceptOwnership.selector;
        selectors[4] = Handler.stop.selector;
        selectors[5] = Handler.record.selector;
        selectors[6] = Handler.tryRecordMany.selector;
        selectors[7] = Handler.pass.selector;
        selectors[8] = Handler.recordEach.selector;
        selectors[9] = Handler.commit.selector;
        selectors[10] = Handler.reveal.selector;
        selectors[11] = Handler.consume.selector;
        selectors[12] = Handler.recall.selector;
        targetSelector(FuzzSelector(address(handler), selectors));
    }

    /// @dev A route is what it was when it was added, until it is a tombstone, and then that.
    function invariant_RoutesNeverChangeTheirTarget() public view {
        for (uint256 i = 0; i < 5; ++i) {
            bytes32 id = handler.modelId(i);
            IModelVerifier route = handler.routeOf(i);
            ModelStatus status = router.statusOf(id);
            if (address(route) == address(0)) {
                assertEq(uint8(status), uint8(ModelStatus.Unknown));
            } else if (handler.retired(i)) {
                assertEq(uint8(status), uint8(ModelStatus.Retired));
            } else {
                assertEq(uint8(status), uint8(ModelStatus.Active));
                assertEq(address(router.verifierOf(id)), address(route));
            }
        }
        assertEq(router.modelCount(), handler.added());
    }

    /// @dev With a proof that its verifier takes.
    function invariant_RetiredAndStoppedModelsNeverVerify() public view {
        for (uint256 i = 0; i < 5; ++i) {
            if (address(handler.routeOf(i)) == address(0)) continue;
            bytes32 id = handler.modelId(i);
            uint256[] memory instances = new uint256[](2);
            instances[1] = uint256(keccak256(abi.encode(0))) >> 8;
            bool accepted = true;
            try router.verify(id, abi.encode(id), instances) {}
            catch {
                accepted = false;
            }
            assertEq(accepted, !handler.retired(i) && !handler.stopped(i));
            bytes[] memory proofs = new bytes[](2);
            uint256[][] memory batch = new uint256[][](2);
            (proofs[0], proofs[1]) = (abi.encode(id), abi.encode(id));
            (batch[0], batch[1]) = (instances, instances);
            try router.verifyBatch(id, proofs, batch) {
                assertTrue(accepted);
            } catch {
                assertFalse(accepted);
            }
        }
    }

    /// @dev As it was recorded the first time, forever.
    function invariant_RecordsStayAsTheyWereMade() public view {
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 id = handler.ids(i);
            assertTrue(ledger.isVerified(id));
            assertEq(abi.encode(ledger.recordOf(id)), abi.encode(handler.recordedAs(id)));
            assertEq(handler.timesRecorded(id), 1);
        }
    }

    function invariant_OwnershipMovesInTwoStepsOnly() public view {
        assertEq(router.owner(), handler.owner());
        assertEq(router.pendingOwner(), handler.pendingOwner());
    }

    function invariant_StopsNeverLift() public view {
        for (uint256 i = 0; i < 5; ++i) {
            EmergencyStop stop = handler.stopOf(i);
            if (address(stop) != address(0)) assertEq(stop.paused(), handler.stopped(i));
        }
    }
}
