// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model} from "./Fixtures.sol";
import {BadSchemaVerifier, StubModelVerifier} from "./Hostile.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {Claim, IModelRouterErrors, IModelRouterEvents, ModelStatus, Outcome} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifier, IModelVerifierErrors, MOCK_SELECTOR} from "zkvouch/interfaces/IModelVerifier.sol";
import {MockModelRouter} from "zkvouch/mocks/MockModelRouter.sol";
import {MockModelVerifier} from "zkvouch/mocks/MockModelVerifier.sol";

contract ModelRouterTest is Fixtures, IModelRouterErrors, IModelRouterEvents {
    Model internal model;
    ModelVerifier internal adapter;
    ModelRouter internal router;
    bytes32 internal modelId;

    function setUp() public {
        model = loadModel("tree");
        adapter = deployAdapter(model);
        modelId = adapter.modelId();
        router = new ModelRouter(owner);
    }

    // ------------------------------------------------------------------------------------------ adding

    function test_AddsAModel() public {
        assertEq(uint8(router.statusOf(modelId)), uint8(ModelStatus.Unknown));
        vm.expectEmit(address(router));
        emit ModelAdded(modelId, address(adapter));
        addTo(router, model, adapter);
        assertEq(uint8(router.statusOf(modelId)), uint8(ModelStatus.Active));
        assertEq(address(router.verifierOf(modelId)), address(adapter));
        assertEq(router.modelCount(), 1);
        assertEq(router.modelAt(0), modelId);
        router.verify(modelId, model.first.proof, model.first.instances);
    }

    /// @dev Two models: each proof goes to its own verifier, and the other one is not asked.
    function test_RoutesToTheRightVerifierOnly() public {
        addTo(router, model, adapter);
        Model memory other = loadModel("hashed");
        ModelVerifier otherAdapter = deployAdapter(other);
        addTo(router, other, otherAdapter);
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
        router.addModel(adapter, model.first.proof, model.first.instances);
    }

    /// @dev Another verifier of the same model, as good as the first, is not taken either.
    function test_RevertAddTwice() public {
        addTo(router, model, adapter);
        ModelVerifier second = deployAdapter(model);
        assertEq(second.modelId(), modelId);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(ModelAlreadyAdded.selector, modelId, adapter));
        router.addModel(second, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(ModelAlreadyAdded.selector, modelId, adapter));
        router.addModel(adapter, model.first.proof, model.first.instances);
        vm.stopPrank();
        assertEq(address(router.verifierOf(modelId)), address(adapter));
    }

    function test_RevertAddRetired() public {
        addTo(router, model, adapter);
        vm.startPrank(owner);
        router.retireModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(ModelRetired.selector, modelId));
        router.addModel(adapter, model.first.proof, model.first.instances);
        vm.stopPrank();
    }

    /// @dev No golden proof, no route: the verifier's own error comes through.
    function test_RevertAddWithoutAGoldenProof() public {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.ProofLengthMismatch.selector, 0, model.proofLength));
        router.addModel(adapter, "", model.first.instances);
        bytes memory proof = copyOf(model.first.proof);
        proof[7] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        router.addModel(adapter, proof, model.first.instances);
        vm.stopPrank();
    }

    function test_RevertAddWhenMutantsAreAccepted() public {
        _refusedByTheGate(
            StubModelVerifier.Flaw.AcceptsEverything, abi.encodeWithSelector(MutantAccepted.selector, modelId, false)
        );
        _refusedByTheGate(
            StubModelVerifier.Flaw.AcceptsChangedInstance,
            abi.encodeWithSelector(MutantAccepted.selector, modelId, false)
        );
        _refusedByTheGate(
            StubModelVerifier.Flaw.AcceptsChangedProof, abi.encodeWithSelector(MutantAccepted.selector, modelId, true)
        );
    }

    /// @dev A verifier that only runs out of gas, say, on everything but its golden proof.
    function test_RevertAddWhenMutantsAreRefusedOtherwise() public {
        _refusedByTheGate(
            StubModelVerifier.Flaw.RefusesByOtherError,
            abi.encodeWithSelector(MutantRefusedOtherwise.selector, modelId, StubModelVerifier.Other.selector)
        );
        _refusedByTheGate(
            StubModelVerifier.Flaw.RefusesByNothing,
            abi.encodeWithSelector(MutantRefusedOtherwise.selector, modelId, bytes4(0))
        );
    }

    /// @dev Sound with one proof, and none with several.
    function test_RevertAddWhenBatchesAreNotVerified() public {
        bytes memory invalid = abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId);
        _refusedByTheGate(StubModelVerifier.Flaw.RefusesBatches, invalid);
        _refusedByTheGate(
            StubModelVerifier.Flaw.ChecksTheFirstOnly, abi.encodeWithSelector(MutantAccepted.selector, modelId, false)
        );
        _refusedByTheGate(
            StubModelVerifier.Flaw.ChecksTheLastOnly, abi.encodeWithSelector(MutantAccepted.selector, modelId, false)
        );
        _refusedByTheGate(
            StubModelVerifier.Flaw.ChecksTheEndsOnly, abi.encodeWithSelector(MutantAccepted.selector, modelId, false)
        );
        _refusedByTheGate(
            StubModelVerifier.Flaw.ChecksAllButTheProofInTheMiddle,
            abi.encodeWithSelector(MutantAccepted.selector, modelId, true)
        );
        _refusedByTheGate(
            StubModelVerifier.Flaw.RefusesBatchesByOtherError,
            abi.encodeWithSelector(MutantRefusedOtherwise.selector, modelId, StubModelVerifier.Other.selector)
        );
    }

    function test_TheGateTakesAStubWithoutFlaw() public {
        StubModelVerifier stub = new StubModelVerifier(modelId, StubModelVerifier.Flaw.None);
        (bytes memory proof, uint256[] memory instances) = stub.prove(5);
        vm.prank(owner);
        router.addModel(stub, proof, instances);
    }

    /// @dev The mutants that the gate tries differ from the golden proof in one place each.
    function test_TheGateTriesBothMutants() public {
        bytes memory changedProof = copyOf(model.first.proof);
        changedProof[changedProof.length / 2] ^= 0x01;
        uint256[] memory changed = copyOf(model.first.instances);
        changed[6] = addmod(changed[6], 1, R);
        vm.expectCall(address(adapter), abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances)), 1);
        vm.expectCall(address(adapter), abi.encodeCall(adapter.verify, (model.first.proof, changed)), 1);
        vm.expectCall(address(adapter), abi.encodeCall(adapter.verify, (changedProof, model.first.instances)), 1);

        bytes[] memory proofs = new bytes[](3);
        uint256[][] memory batch = new uint256[][](3);
        for (uint256 i = 0; i < 3; ++i) {
            (proofs[i], batch[i]) = (model.first.proof, model.first.instances);
        }
        vm.expectCall(address(adapter), abi.encodeCall(adapter.verifyMany, (proofs, batch)), 1);
        for (uint256 i = 0; i < 3; ++i) {
            batch[i] = changed;
            vm.expectCall(address(adapter), abi.encodeCall(adapter.verifyMany, (proofs, batch)), 1);
            (proofs[i], batch[i]) = (changedProof, model.first.instances);
            vm.expectCall(address(adapter), abi.encodeCall(adapter.verifyMany, (proofs, batch)), 1);
            proofs[i] = model.first.proof;
        }
        addTo(router, model, adapter);
    }

    function test_RevertAddMock() public {
        MockModelVerifier mock = new MockModelVerifier(modelId, model.descriptor);
        bytes memory proof = mock.mockProof(model.first.instances);
        mock.verify(proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(SelectorRefused.selector, MOCK_SELECTOR));
        vm.prank(owner);
        router.addModel(mock, proof, model.first.instances);
    }

    /// @dev A verifier that does not say what its instances are, or says it of another number.
    function test_RevertAddWithoutASchema() public {
        uint256[] memory seven = new uint256[](1);
        seven[0] = 7;
        for (uint8 mode = 1; mode <= uint8(type(BadSchemaVerifier.Mode).max); ++mode) {
            BadSchemaVerifier bad = new BadSchemaVerifier(modelId);
            bad.set(BadSchemaVerifier.Mode(mode));
            vm.expectRevert(abi.encodeWithSelector(SchemaRefused.selector, modelId, 1));
            vm.prank(owner);
            router.addModel{gas: 2_000_000}(bad, abi.encode(modelId), seven);
        }
        BadSchemaVerifier good = new BadSchemaVerifier(modelId);
        vm.prank(owner);
        router.addModel(good, abi.encode(modelId), seven);
    }

    function test_RevertAddAnAccountWithoutCode() public {
        // The compiler's own check, which has no data.
        vm.expectRevert(bytes(""));
        vm.prank(owner);
        router.addModel(IModelVerifier(makeAddr("nobody")), model.first.proof, model.first.instances);
    }

    function _refusedByTheGate(
        StubModelVerifier.Flaw flaw,
        bytes memory reason
    ) private {
        StubModelVerifier stub = new StubModelVerifier(modelId, flaw);
        (bytes memory proof, uint256[] memory instances) = stub.prove(1);
        vm.expectRevert(reason);
        vm.prank(owner);
        router.addModel(stub, proof, instances);
        assertEq(uint8(router.statusOf(modelId)), uint8(ModelStatus.Unknown));
        assertEq(router.modelCount(), 0);
    }

    // ------------------------------------------------------------------------------------------ retiring

    function test_RetiresForGood() public {
        addTo(router, model, adapter);
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
        addTo(router, model, adapter);
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
        router.addModel(adapter, model.first.proof, model.first.instances);
        vm.prank(next);
        router.acceptOwnership();
        vm.prank(next);
        router.addModel(adapter, model.first.proof, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, owner));
        vm.prank(owner);
        router.retireModel(modelId);
    }

    /// @dev Frozen, not dead: what has a route keeps it.
    function test_RenouncingFreezesTheRoutes() public {
        addTo(router, model, adapter);
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
        router.addModel(adapter, model.first.proof, model.first.instances);

        _throughTimelock(timelock, abi.encodeCall(router.addModel, (adapter, model.first.proof, model.first.instances)));
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
        addTo(router, model, adapter);
        Claim[] memory claims = _claims(3);
        router.verifyMany(claims);
        router.verifyMany(new Claim[](0));
    }

    function test_RevertManyWhenOneIsWrong() public {
        addTo(router, model, adapter);
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
        addTo(router, model, adapter);
        StubModelVerifier stub = new StubModelVerifier(keccak256("stub"), StubModelVerifier.Flaw.None);
        (bytes memory proof, uint256[] memory instances) = stub.prove(1);
        vm.startPrank(owner);
        router.addModel(stub, proof, instances);
        router.retireModel(keccak256("stub"));
        vm.stopPrank();

        Claim[] memory claims = _claims(6);
        claims[1].instances = new uint256[](7);
        claims[2].modelId = keccak256("unknown");
        claims[3].modelId = keccak256("stub");
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
        addTo(router, model, adapter);
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
        addTo(router, model, adapter);
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

    /// @dev Code that vanished, as it can on chains where SELFDESTRUCT still removes it.
    function test_TryManyRefusesAVerifierWithoutCode() public {
        addTo(router, model, adapter);
        vm.etch(address(adapter), "");
        _outcome(router.tryVerifyMany(_claims(1), 2_000_000)[0], false, 0);
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
        MockModelRouter mockRouter = new MockModelRouter(owner);
        MockModelVerifier mock = new MockModelVerifier(modelId, model.descriptor);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(SelectorRefused.selector, adapter.selector()));
        mockRouter.addModel(adapter, model.first.proof, model.first.instances);
        mockRouter.addModel(mock, "", new uint256[](0));
        vm.stopPrank();
        bytes memory proof = mock.mockProof(model.first.instances);
        mockRouter.verify(modelId, proof, model.first.instances);
        assertEq(mock.schema(), adapter.schema());
        assertEq(abi.encode(mock.tensors()), abi.encode(adapter.tensors()));
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId));
        mockRouter.verify(modelId, "", model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InstanceCountMismatch.selector, 0, 7));
        mockRouter.verify(modelId, proof, new uint256[](0));
    }
}
