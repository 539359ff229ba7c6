// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {StubVerifier} from "./Hostile.sol";
import {OpenConsumer} from "./OpenConsumer.sol";
import {Test} from "forge-std/Test.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {ModelStatus, Outcome} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifier, ModelArgs, ModelParts} from "zkvouch/interfaces/IModelVerifier.sol";
import {Record, Submission} from "zkvouch/interfaces/IPredictionLedger.sol";
import {ModelId} from "zkvouch/libraries/ModelId.sol";

/// @notice Does to a router, a ledger and guarded models whatever anybody may try, and keeps a model of what must be
/// true. @dev Every call is made whoever the caller is; where it succeeds, the caller must have been entitled to it.
/// Errors
/// of the bookkeeping itself revert, which the runner counts as a failure.
contract Handler is Test {
    uint256 internal constant MODELS = 5;
    uint256 internal constant ACTORS = 4;

    bytes32 internal constant _SALT = keccak256("salt");

    /// @dev A batch for `recordEach`, and what must become of it.
    struct Each {
        bytes[] proofs;
        uint256[][] instances;
        bytes32[] contexts;
        bytes32[] ids;
        bool valid;
        bool twins;
    }

    ModelRouter public immutable ROUTER;
    PredictionLedger public immutable LEDGER;
    OpenConsumer public immutable CONSUMER;

    address public owner;
    address public pendingOwner;

    // What was seen, by model: the route of the first success, whether it was retired, its guardian.
    mapping(uint256 model => IModelVerifier) public routeOf;
    mapping(uint256 model => bytes32) public codeOf;
    mapping(uint256 model => bool) public retired;
    mapping(uint256 model => bool) public guarded;
    mapping(uint256 model => address) public guardianOf;
    mapping(uint256 model => address) public pendingGuardianOf;
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

    function key(
        uint256 model
    ) public pure returns (bytes32) {
        return bytes32(1 + model);
    }

    function modelId(
        uint256 model
    ) public pure returns (bytes32) {
        return ModelId.compute(ModelParts(key(model), 0, 0, 0, "stub"), keccak256(hex"02000000010200200003002000"));
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
        bool withGuardian,
        bool flawed
    ) public {
        uint256 model = modelSeed % MODELS;
        address caller = actor(callerSeed);
        StubVerifier stub = new StubVerifier(key(model));
        if (flawed) {
            // Those that a golden proof finds whatever the bare verifier is said to do.
            uint8[6] memory flaws = [1, 3, 4, 5, 12, 1];
            stub.set(StubVerifier.Flaw(flaws[input % 6]), 0);
        }
        (bytes memory proof, uint256[] memory instances) = stub.prove(input % 1000);
        ModelArgs memory args = stub.args(uint8(input % 8), withGuardian ? guardian() : address(0));
        vm.prank(caller);
        try ROUTER.addModel(args, proof, instances) returns (bytes32 id, address verifier) {
            require(caller == owner, "somebody else added a model");
            require(address(routeOf[model]) == address(0), "a model was added twice");
            require(!flawed, "a verifier that is none was added");
            require(id == modelId(model), "another id");
            routeOf[model] = IModelVerifier(verifier);
            codeOf[model] = keccak256(_cloneCode(args));
            (guarded[model], guardianOf[model]) = (withGuardian, args.guardian);
            ++added;
        } catch {
            require(caller != owner || address(routeOf[model]) != address(0) || flawed, "a sound model was refused");
        }
    }

    /// @dev What a clone's code must be, by ERC-1167 and the layout of the arguments.
    function _cloneCode(
        ModelArgs memory args
    ) private view returns (bytes memory) {
        bytes memory terms = abi.encodePacked(
            args.verifier,
            args.verifierCodeHash,
            args.capabilities,
            args.proofLength,
            args.gasCap,
            args.guardian,
            uint32(2),
            uint8(4),
            "stub",
            uint16(18),
            hex"000000010200200000000103002000000001"
        );
        return abi.encodePacked(
            hex"363d3d373d3d3d363d73",
            ROUTER.IMPLEMENTATION(),
            hex"5af43d82803e903d91602b57fd5bf3",
            abi.encode(args.parts.onnxHash, 0, 0, 0),
            terms,
            args.descriptor
        );
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
        if (address(routeOf[model]) == address(0)) return;
        address caller = actor(callerSeed);
        vm.prank(caller);
        try ModelVerifier(address(routeOf[model])).stop() {
            require(guarded[model] && caller == guardianOf[model], "somebody else stopped");
            stopped[model] = true;
        } catch {
            require(!guarded[model] || caller != guardianOf[model] || stopped[model], "the guardian could not stop");
        }
    }

    function transferGuardian(
        uint256 callerSeed,
        uint256 modelSeed,
        uint256 nextSeed
    ) external {
        uint256 model = modelSeed % MODELS;
        if (address(routeOf[model]) == address(0)) return;
        address caller = actor(callerSeed);
        address next = actor(nextSeed);
        vm.prank(caller);
        try ModelVerifier(address(routeOf[model])).transferGuardian(next) {
            require(guarded[model] && caller == guardianOf[model], "somebody else gave the guardian's part away");
            pendingGuardianOf[model] = next;
        } catch {
            require(!guarded[model] || caller != guardianOf[model], "the guardian could not offer its part");
        }
    }

    function acceptGuardian(
        uint256 callerSeed,
        uint256 modelSeed
    ) external {
        uint256 model = modelSeed % MODELS;
        if (address(routeOf[model]) == address(0)) return;
        address caller = actor(callerSeed);
        vm.prank(caller);
        try ModelVerifier(address(routeOf[model])).acceptGuardian() {
            require(guarded[model] && caller == pendingGuardianOf[model], "somebody else took the guardian's part");
            (guardianOf[model], pendingGuardianOf[model]) = (caller, address(0));
        } catch {
            require(caller != pendingGuardianOf[model], "the next guardian could not accept");
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
        bytes32 id = LEDGER.idOf(modelId(model), instances, caller, bytes32(context % 2));
        try this.ledgerRecord(model, context, proof, instances, caller) returns (bytes32 returned) {
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
        (uint256 model, address caller) = (modelSeed % MODELS, actor(callerSeed));
        Each memory batch = _each(model, seed, size % 4, caller);
        try this.ledgerEach(model, batch, caller, seed >> 255 == 1) returns (bytes32[] memory returned) {
            require(batch.valid, "an invalid batch was recorded");
            require(keccak256(abi.encode(returned)) == keccak256(abi.encode(batch.ids)), "other ids");
            for (uint256 i = 0; i < returned.length; ++i) {
                _note(model, returned[i], caller);
            }
        } catch {
            require(!batch.valid || !_works(model) || batch.twins, "a valid batch was refused");
        }
    }

    function _each(
        uint256 model,
        uint256 seed,
        uint256 size,
        address caller
    ) private view returns (Each memory batch) {
        (batch.proofs, batch.instances) = (new bytes[](size), new uint256[][](size));
        (batch.contexts, batch.ids) = (new bytes32[](size), new bytes32[](size));
        batch.valid = size != 0;
        for (uint256 i = 0; i < size; ++i) {
            uint256 random = seed >> (16 * i);
            // Seldom invalid, so that whole batches are recorded.
            (, batch.proofs[i], batch.instances[i]) = _prediction(model, random, random % 64 >= 8);
            batch.valid = batch.valid && random % 64 >= 8;
            batch.contexts[i] = bytes32((random >> 8) % 2);
            batch.ids[i] = LEDGER.idOf(modelId(model), batch.instances[i], caller, batch.contexts[i]);
            batch.twins = batch.twins || timesRecorded[batch.ids[i]] != 0;
            for (uint256 j = 0; j < i; ++j) {
                batch.twins = batch.twins || batch.ids[i] == batch.ids[j];
            }
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
        Outcome[] memory outcomes = LEDGER.tryRecordMany(submissions, 1_200_000);
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
        try this.consumerConsume(model, proof, instances, actor(callerSeed), input >> 255 == 1) {
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

    // ------------------------------------------------------------------------------------------ either entry

    function ledgerRecord(
        uint256 model,
        uint256 context,
        bytes calldata proof,
        uint256[] calldata instances,
        address caller
    ) external returns (bytes32 id) {
        (bytes32 of_, bytes32 ctx) = (modelId(model), bytes32(context % 2));
        vm.prank(caller);
        if (context % 4 < 2) (id,) = LEDGER.record(of_, ctx, proof, instances);
        else (id,) = LEDGER.recordPacked(of_, ctx, proof, abi.encodePacked(instances));
    }

    function ledgerEach(
        uint256 model,
        Each calldata batch,
        address caller,
        bool packed
    ) external returns (bytes32[] memory returned) {
        bytes32 of_ = modelId(model);
        bytes[] memory small = new bytes[](batch.instances.length);
        for (uint256 i = 0; i < small.length; ++i) {
            small[i] = abi.encodePacked(batch.instances[i]);
        }
        vm.prank(caller);
        if (packed) (returned,) = LEDGER.recordEachPacked(of_, batch.contexts, batch.proofs, small);
        else (returned,) = LEDGER.recordEach(of_, batch.contexts, batch.proofs, batch.instances);
    }

    function consumerConsume(
        uint256 model,
        bytes calldata proof,
        uint256[] calldata instances,
        address caller,
        bool packed
    ) external {
        bytes32 of_ = modelId(model);
        vm.prank(caller);
        if (packed) CONSUMER.consumePacked(of_, 0, proof, abi.encodePacked(instances));
        else CONSUMER.consume(of_, proof, instances);
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
        proof = abi.encode(valid ? key(model) : bytes32(0));
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
        router = new ModelRouter(address(this), address(new ModelVerifier()));
        ledger = new PredictionLedger(router);
        handler = new Handler(router, ledger);
        router.transferOwnership(address(handler));
        vm.prank(address(handler));
        router.acceptOwnership();
        // Something to begin with: a model that nobody can stop, and one with a guardian.
        handler.addModel(0, 0, 0, false, false);
        handler.addModel(0, 1, 0, true, false);
        targetContract(address(handler));
        bytes4[] memory selectors = new bytes4[](15);
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
        selectors[13] = Handler.transferGuardian.selector;
        selectors[14] = Handler.acceptGuardian.selector;
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
            try router.verify(id, abi.encode(handler.key(i)), instances) {}
            catch {
                accepted = false;
            }
            assertEq(accepted, !handler.retired(i) && !handler.stopped(i));
            bytes[] memory proofs = new bytes[](2);
            uint256[][] memory batch = new uint256[][](2);
            (proofs[0], proofs[1]) = (abi.encode(handler.key(i)), abi.encode(handler.key(i)));
            (batch[0], batch[1]) = (instances, instances);
            bytes[] memory packed = new bytes[](2);
            (packed[0], packed[1]) = (abi.encodePacked(instances), abi.encodePacked(instances));
            try router.verifyBatchPacked(id, proofs, packed) {
                assertTrue(accepted);
            } catch {
                assertFalse(accepted);
            }
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
            ModelVerifier model = ModelVerifier(address(handler.routeOf(i)));
            if (address(model) == address(0)) continue;
            assertEq(model.stopped(), handler.stopped(i));
            assertEq(model.guardian(), handler.guardianOf(i));
            assertEq(model.pendingGuardian(), handler.pendingGuardianOf(i));
        }
    }

    /// @dev Byte by byte: ERC-1167 over the one implementation, and the arguments that the model was added with.
    function invariant_EveryRouteIsAClone() public view {
        for (uint256 i = 0; i < 5; ++i) {
            address route = address(handler.routeOf(i));
            if (route != address(0)) assertEq(keccak256(route.code), handler.codeOf(i));
        }
    }
}
