// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model} from "./Fixtures.sol";
import {StubVerifier} from "./Hostile.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {Claim, IModelRouterErrors, IModelRouterEvents, ModelStatus, Outcome} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifierErrors, MOCK_SELECTOR, ModelArgs, PROOF_SELECTOR} from "zkvouch/interfaces/IModelVerifier.sol";
import {SchemaLib} from "zkvouch/libraries/SchemaLib.sol";
import {MockModelRouter} from "zkvouch/mocks/MockModelRouter.sol";
import {MockModelVerifier} from "zkvouch/mocks/MockModelVerifier.sol";

contract ModelRouterTest is Fixtures, IModelRouterErrors, IModelRouterEvents {
    Model internal model;
    ModelVerifier internal adapter;
    ModelRouter internal router;
    bytes32 internal modelId;

    function setUp() public {
        model = loadModel("tree");
        router = deployRouter();
        adapter = ModelVerifier(router.addressOf(argsOf(model)));
        modelId = router.modelIdOf(argsOf(model));
    }

    // ------------------------------------------------------------------------------------------ adding

    function test_AddsAModel() public {
        assertEq(uint8(router.statusOf(modelId)), uint8(ModelStatus.Unknown));
        vm.expectEmit(address(router));
        emit ModelAdded(modelId, address(adapter));
        vm.prank(owner);
        (bytes32 id, address verifier) = router.addModel(argsOf(model), model.first.proof, model.first.instances);
        assertEq(id, modelId);
        assertEq(verifier, address(adapter), "it is elsewhere than addressOf says");
        assertEq(adapter.modelId(), modelId);
        assertEq(uint8(router.statusOf(modelId)), uint8(ModelStatus.Active));
        assertEq(address(router.verifierOf(modelId)), address(adapter));
        assertEq(router.modelCount(), 1);
        assertEq(router.modelAt(0), modelId);
        router.verify(modelId, model.first.proof, model.first.instances);
        router.verifyPacked(modelId, model.first.proof, packedOf(model, model.first.instances));
        assertEq(Clones.fetchCloneArgs(verifier), this.immutablesOf(argsOf(model)));
    }

    /// @dev The address follows from the router, its implementation, the model's id and all arguments.
    function test_TheAddressCommitsToEveryArgument() public {
        address[8] memory seen;
        ModelArgs memory args = argsOf(model);
        seen[0] = router.addressOf(args);
        args.parts.vkHash = ~args.parts.vkHash;
        seen[1] = router.addressOf(args);
        args = argsOf(model);
        args.capabilities = 1;
        seen[2] = router.addressOf(args);
        args = argsOf(model);
        args.proofLength += 32;
        seen[3] = router.addressOf(args);
        args = argsOf(model);
        args.gasCap += 1;
        seen[4] = router.addressOf(args);
        args = argsOf(model);
        args.guardian = guardian;
        seen[5] = router.addressOf(args);
        args = argsOf(model);
        args.descriptor = hex"020000000103000200";
        seen[6] = router.addressOf(args);
        args = argsOf(model);
        StubVerifier stub = new StubVerifier("x");
        (args.verifier, args.verifierCodeHash) = (address(stub), address(stub).codehash);
        seen[7] = router.addressOf(args);
        for (uint256 i = 0; i < 8; ++i) {
            for (uint256 j = 0; j < i; ++j) {
                assertTrue(seen[i] != seen[j]);
            }
        }
        assertNotEq(deployRouter().addressOf(argsOf(model)), seen[0], "another router has its own clones");
        bytes memory immutables = this.immutablesOf(argsOf(model));
        assertEq(
            seen[0],
            Clones.predictDeterministicAddressWithImmutableArgs(
                router.IMPLEMENTATION(), immutables, modelId, address(router)
            )
        );
    }

    /// @dev Two models: each proof goes to its own verifier, and the other one is not asked.
    function test_RoutesToTheRightVerifierOnly() public {
        addTo(router, model);
        Model memory other = loadModel("hashed");
        ModelVerifier otherAdapter = addTo(router, other);
        bytes32 otherId = otherAdapter.modelId();
        bytes memory call = abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances));
        bytes memory otherCall = abi.encodeCall(adapter.verify, (other.first.proof, other.first.instances));
        vm.expectCall(address(adapter), call, 1);
        vm.expectCall(address(otherAdapter), otherCall, 1);
        vm.expectCall(address(adapter), otherCall, 0);
        vm.expectCall(address(otherAdapter), call, 0);
        router.verify(modelId, model.first.proof, model.first.instances);
        router.verify(otherId, other.first.proof, other.first.instances);
        assertEq(router.modelCount(), 2);
        assertEq(router.modelAt(1), otherId);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_RevertAddWhenNotTheOwner(
        address caller
    ) public {
        vm.assume(caller != owner);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        vm.prank(caller);
        router.addModel(argsOf(model), model.first.proof, model.first.instances);
    }

    /// @dev Another clone for the same model, as good as the first, is not made either.
    function test_RevertAddTwice() public {
        addTo(router, model);
        bytes memory reason = abi.encodeWithSelector(ModelAlreadyAdded.selector, modelId, adapter);
        _refusedToAdd(argsOf(model), reason);
        ModelArgs memory other = argsOf(model);
        other.gasCap += 1;
        other.guardian = guardian;
        assertEq(router.modelIdOf(other), modelId);
        _refusedToAdd(other, reason);
        assertEq(address(router.verifierOf(modelId)), address(adapter));
    }

    function test_RevertAddRetired() public {
        addTo(router, model);
        vm.prank(owner);
        router.retireModel(modelId);
        _refusedToAdd(argsOf(model), abi.encodeWithSelector(ModelRetired.selector, modelId));
    }

    // ------------------------------------------------------------------------------------------ arguments

    function test_RevertWhenTheCodeDiffers() public {
        ModelArgs memory args = argsOf(model);
        args.verifierCodeHash = keccak256("other code");
        bytes32 found = args.verifier.codehash;
        _refused(
            args,
            abi.encodeWithSelector(
                IModelVerifierErrors.VerifierCodeMismatch.selector, args.verifier, found, args.verifierCodeHash
            )
        );
    }

    /// @dev The hash of no code, or of an account that isn't there, can't be pinned.
    function test_RevertWhenThereIsNoCode() public {
        ModelArgs memory args = argsOf(model);
        bytes4 selector = IModelVerifierErrors.VerifierCodeMismatch.selector;
        (args.verifier, args.verifierCodeHash) = (makeAddr("nobody"), 0);
        _refused(args, abi.encodeWithSelector(selector, args.verifier, bytes32(0), bytes32(0)));
        vm.deal(args.verifier, 1);
        args.verifierCodeHash = keccak256("");
        _refused(args, abi.encodeWithSelector(selector, args.verifier, keccak256(""), keccak256("")));
    }

    function test_RevertWhenAnArgumentIsWrong() public {
        uint32[3] memory lengths = [uint32(0), 31, 2975];
        for (uint256 i = 0; i < lengths.length; ++i) {
            ModelArgs memory wrong = argsOf(model);
            wrong.proofLength = lengths[i];
            _refused(wrong, abi.encodeWithSelector(InvalidArgument.selector, "proofLength"));
        }
        ModelArgs memory args = argsOf(model);
        args.gasCap = 0;
        _refused(args, abi.encodeWithSelector(InvalidArgument.selector, "gasCap"));
        args = argsOf(model);
        args.parts.engine = "";
        _refused(args, abi.encodeWithSelector(InvalidArgument.selector, "engine"));
        args.parts.engine = "a version of more than 31 bytes.";
        _refused(args, abi.encodeWithSelector(InvalidArgument.selector, "engine"));
        args = argsOf(model);
        for (uint256 bit = 3; bit < 8; ++bit) {
            args.capabilities = uint8(1 << bit);
            _refused(args, abi.encodeWithSelector(InvalidArgument.selector, "capabilities"));
        }
        args = argsOf(model);
        args.descriptor = hex"02000000010207";
        _refused(args, abi.encodeWithSelector(SchemaLib.DescriptorTruncated.selector, 5));
        args.descriptor = hex"01000000010207020000";
        _refused(args, abi.encodeWithSelector(SchemaLib.UnknownDescriptorVersion.selector));
    }

    /// @dev Half of the gas that there is on any chain is a cap as any other.
    function test_TheGreatestArgumentsAreFine() public {
        StubVerifier stub = new StubVerifier("great");
        ModelArgs memory args = stub.args(7, address(type(uint160).max));
        args.gasCap = type(uint64).max;
        args.parts.engine = "a version of just 31 bytes, ok.";
        (bytes memory proof, uint256[] memory instances) = stub.prove(5);
        vm.prank(owner);
        (, address verifier) = router.addModel(args, proof, instances);
        assertEq(ModelVerifier(verifier).GAS_CAP(), type(uint64).max);
        assertEq(ModelVerifier(verifier).modelParts().engine, args.parts.engine);
    }

    function test_RevertConstructorOverSomethingElse() public {
        vm.expectRevert(abi.encodeWithSelector(InvalidArgument.selector, "implementation"));
        new ModelRouter(owner, makeAddr("nobody"));
        MockModelVerifier mock = new MockModelVerifier(modelId, model.descriptor);
        vm.expectRevert(abi.encodeWithSelector(SelectorRefused.selector, MOCK_SELECTOR));
        new ModelRouter(owner, address(mock));
        vm.expectRevert();
        new ModelRouter(owner, address(router));
    }

    function _refused(
        ModelArgs memory args,
        bytes memory reason
    ) private {
        _refusedToAdd(args, reason);
        vm.expectRevert(reason);
        router.modelIdOf(args);
        vm.expectRevert(reason);
        router.addressOf(args);
    }

    function _refusedToAdd(
        ModelArgs memory args,
        bytes memory reason
    ) private {
        uint256 before = router.modelCount();
        vm.expectRevert(reason);
        vm.prank(owner);
        router.addModel(args, model.first.proof, model.first.instances);
        assertEq(router.modelCount(), before);
    }

    // ------------------------------------------------------------------------------------------ retiring

    function test_RetiresForGood() public {
        addTo(router, model);
        vm.expectEmit(address(router));
        emit ModelRetiredForGood(modelId, address(adapter));
        vm.prank(owner);
        router.retireModel(modelId);
        assertEq(uint8(router.statusOf(modelId)), uint8(ModelStatus.Retired));
        vm.expectRevert(abi.encodeWithSelector(ModelRetired.selector, modelId));
        router.verify(modelId, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(ModelRetired.selector, modelId));
        router.verifierOf(modelId);
        vm.expectRevert(abi.encodeWithSelector(ModelRetired.selector, modelId));
        vm.prank(owner);
        router.retireModel(modelId);
        assertEq(router.modelAt(0), modelId, "the list forgets nothing");
    }

    function testFuzz_RevertUnknownModel(
        bytes32 id
    ) public {
        vm.expectRevert(abi.encodeWithSelector(ModelUnknown.selector, id));
        router.verify(id, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(ModelUnknown.selector, id));
        router.verifierOf(id);
        vm.expectRevert(abi.encodeWithSelector(ModelUnknown.selector, id));
        vm.prank(owner);
        router.retireModel(id);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_RevertRetireWhenNotTheOwner(
        address caller
    ) public {
        vm.assume(caller != owner);
        addTo(router, model);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        vm.prank(caller);
        router.retireModel(modelId);
    }

    // ------------------------------------------------------------------------------------------ ownership

    function test_OwnerChangesInTwoSteps() public {
        address next = makeAddr("next");
        vm.prank(owner);
        router.transferOwnership(next);
        assertEq(router.owner(), owner);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, next));
        vm.prank(next);
        router.addModel(argsOf(model), model.first.proof, model.first.instances);
        vm.prank(next);
        router.acceptOwnership();
        vm.prank(next);
        router.addModel(argsOf(model), model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, owner));
        vm.prank(owner);
        router.retireModel(modelId);
    }

    /// @dev Frozen, not dead: what has a route keeps it.
    function test_RenouncingFreezesTheRoutes() public {
        addTo(router, model);
        vm.prank(owner);
        router.renounceOwnership();
        router.verify(modelId, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, owner));
        vm.prank(owner);
        router.retireModel(modelId);
    }

    function test_WorksBehindATimelock() public {
        address[] memory proposers = new address[](1);
        proposers[0] = owner;
        address[] memory executors = new address[](1);
        TimelockController timelock = new TimelockController(2 days, proposers, executors, address(0));
        vm.prank(owner);
        router.transferOwnership(address(timelock));

        _throughTimelock(timelock, abi.encodeCall(router.acceptOwnership, ()));
        assertEq(router.owner(), address(timelock));
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, owner));
        vm.prank(owner);
        router.addModel(argsOf(model), model.first.proof, model.first.instances);

        _throughTimelock(
            timelock, abi.encodeCall(router.addModel, (argsOf(model), model.first.proof, model.first.instances))
        );
        router.verify(modelId, model.first.proof, model.first.instances);
        _throughTimelock(timelock, abi.encodeCall(router.retireModel, (modelId)));
        assertEq(uint8(router.statusOf(modelId)), uint8(ModelStatus.Retired));
    }

    function _throughTimelock(
        TimelockController timelock,
        bytes memory call
    ) private {
        vm.prank(owner);
        timelock.schedule(address(router), 0, call, 0, 0, 2 days);
        bytes32 operation = timelock.hashOperation(address(router), 0, call, 0, 0);
        assertFalse(timelock.isOperationReady(operation));
        skip(2 days);
        timelock.execute(address(router), 0, call, 0, 0);
    }

    // ------------------------------------------------------------------------------------------ batches

    function test_VerifiesMany() public {
        addTo(router, model);
        Claim[] memory claims = _claims(3);
        router.verifyMany(claims);
        router.verifyMany(new Claim[](0));
    }

    function test_RevertManyWhenOneIsWrong() public {
        addTo(router, model);
        Claim[] memory claims = _claims(3);
        claims[1].instances = new uint256[](7);
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        router.verifyMany(claims);
        claims = _claims(2);
        claims[1].modelId = keccak256("unknown");
        vm.expectRevert(abi.encodeWithSelector(ModelUnknown.selector, claims[1].modelId));
        router.verifyMany(claims);
    }

    function test_TriesMany() public {
        addTo(router, model);
        StubVerifier stub = new StubVerifier("stub");
        (bytes memory proof, uint256[] memory instances) = stub.prove(1);
        ModelArgs memory args = stub.args(0, address(0));
        vm.startPrank(owner);
        (bytes32 retired,) = router.addModel(args, proof, instances);
        router.retireModel(retired);
        vm.stopPrank();

        Claim[] memory claims = _claims(6);
        claims[1].instances = new uint256[](7);
        claims[2].modelId = keccak256("unknown");
        claims[3].modelId = retired;
        claims[4].proof = "";
        Outcome[] memory outcomes = router.tryVerifyMany(claims, 2_000_000);
        assertEq(outcomes.length, 6);
        _outcome(outcomes[0], true, 0);
        _outcome(outcomes[1], false, IModelVerifierErrors.InvalidProof.selector);
        _outcome(outcomes[2], false, ModelUnknown.selector);
        _outcome(outcomes[3], false, ModelRetired.selector);
        _outcome(outcomes[4], false, IModelVerifierErrors.ProofLengthMismatch.selector);
        _outcome(outcomes[5], true, 0);
    }

    /// @dev The stipend is too small for the adapter's cap: that is the caller's doing, and says so.
    function test_TriesManyWithASmallStipend() public {
        addTo(router, model);
        Outcome[] memory outcomes = router.tryVerifyMany(_claims(1), 300_000);
        _outcome(outcomes[0], false, IModelVerifierErrors.InsufficientGas.selector);
        // Hardly enough to be called at all.
        outcomes = router.tryVerifyMany(_claims(1), 100);
        _outcome(outcomes[0], false, 0);
    }

    /// @dev Whoever relays a batch can't make a valid proof fail by sending little gas: the whole batch reverts.
    /// forge-config: default.fuzz.runs = 32
    function testFuzz_RevertTryManyWhenTheStipendIsNotThere(
        uint256 gas
    ) public {
        addTo(router, model);
        gas = bound(gas, 300_000, 4_000_000);
        (bool success, bytes memory answer) =
            address(router).staticcall{gas: gas}(abi.encodeCall(router.tryVerifyMany, (_claims(2), 2_000_000)));
        if (!success) {
            assertEq(bytes32(bytes4(answer)), bytes32(StipendUnavailable.selector));
            return;
        }
        Outcome[] memory outcomes = abi.decode(answer, (Outcome[]));
        _outcome(outcomes[0], true, 0);
        _outcome(outcomes[1], true, 0);
    }

    function _claims(
        uint256 count
    ) private view returns (Claim[] memory claims) {
        claims = new Claim[](count);
        for (uint256 i = 0; i < count; ++i) {
            claims[i] = Claim(modelId, model.first.proof, model.first.instances);
        }
    }

    function _outcome(
        Outcome memory outcome,
        bool ok,
        bytes4 reason
    ) private pure {
        assertEq(outcome.ok, ok);
        assertEq(bytes32(outcome.reason), bytes32(reason));
    }

    // ------------------------------------------------------------------------------------------ mocks

    function test_MockRouterTakesMocksOnly() public {
        MockModelRouter mockRouter = new MockModelRouter(owner, router.IMPLEMENTATION());
        MockModelVerifier mock = new MockModelVerifier(modelId, model.descriptor);
        addTo(router, model);
        ModelArgs memory args = argsOf(model);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(SelectorRefused.selector, PROOF_SELECTOR));
        mockRouter.addMock(adapter);
        vm.expectRevert(abi.encodeWithSelector(SelectorRefused.selector, PROOF_SELECTOR));
        mockRouter.addModel(args, model.first.proof, model.first.instances);
        mockRouter.addMock(mock);
        vm.expectRevert(abi.encodeWithSelector(ModelAlreadyAdded.selector, modelId, mock));
        mockRouter.addMock(mock);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(this)));
        mockRouter.addMock(mock);
        bytes memory proof = mock.mockProof(model.first.instances);
        mockRouter.verify(modelId, proof, model.first.instances);
        mockRouter.verifyPacked(modelId, proof, packedOf(model, model.first.instances));
        assertEq(mock.schema(), adapter.schema());
        assertEq(abi.encode(mock.tensors()), abi.encode(adapter.tensors()));
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        mockRouter.verify(modelId, "", model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InstanceCountMismatch.selector, 0, 7));
        mockRouter.verify(modelId, proof, new uint256[](0));
    }
}
