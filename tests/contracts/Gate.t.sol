// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model} from "./Fixtures.sol";
import {HostileVerifier, StubVerifier} from "./Hostile.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {IModelRouterErrors, ModelStatus} from "zkvouch/interfaces/IModelRouter.sol";
import {IModelVerifierErrors, ModelArgs} from "zkvouch/interfaces/IModelVerifier.sol";

/// @title What a golden proof keeps out: in the transaction that adds a model, and whenever anybody asks
contract GateTest is Fixtures, IModelRouterErrors {
    Model internal model;
    ModelRouter internal router;
    StubVerifier internal stub;
    bytes32 internal modelId;
    bytes internal proof;
    uint256[] internal instances;

    function setUp() public {
        model = loadLean("tree");
        router = deployRouter();
        stub = new StubVerifier("stub");
        modelId = router.modelIdOf(stub.args(7, address(0)));
        (proof, instances) = stub.prove(5);
    }

    // ------------------------------------------------------------------------------------------ adding

    /// @dev With all sets of capabilities, a real model and a stub are taken.
    function test_TakesWhatIsSound() public {
        for (uint8 capabilities = 0; capabilities < 8; ++capabilities) {
            ModelRouter fresh = deployRouter();
            Model memory some = model;
            some.capabilities = capabilities;
            ModelVerifier adapter = addTo(fresh, some);
            assertEq(adapter.CAPABILITIES(), capabilities);
            fresh.gate(adapter.modelId(), model.first.proof, model.first.instances);
            _add(fresh, capabilities);
            fresh.gate(modelId, proof, instances);
        }
    }

    /// @dev No golden proof, no route: the verifier's own error comes through.
    function test_RevertAddWithoutAGoldenProof() public {
        bytes32 id = router.modelIdOf(argsOf(model));
        ModelArgs memory args = argsOf(model);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.ProofLengthMismatch.selector, 0, model.proofLength));
        router.addModel(args, "", model.first.instances);
        bytes memory other = copyOf(model.first.proof);
        other[7] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, id));
        router.addModel(args, other, model.first.instances);
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InstanceCountMismatch.selector, 0, 7));
        router.addModel(args, model.first.proof, new uint256[](0));
        vm.stopPrank();
        assertEq(router.addressOf(args).code.length, 0, "a clone was left behind");
    }

    /// @dev By whichever entry the mutant is tried.
    function test_RevertAddWhenTheMutantIsAccepted() public {
        for (uint8 capabilities = 0; capabilities < 8; ++capabilities) {
            bytes memory reason = abi.encodeWithSelector(MutantAccepted.selector, modelId, false);
            _refusedToAdd(StubVerifier.Flaw.AcceptsEverything, capabilities, reason);
            _refusedToAdd(StubVerifier.Flaw.AcceptsChangedInstance, capabilities, reason);
            // The mutant is the last one of a batch.
            if (capabilities == 1 || capabilities & 4 != 0) {
                _refusedToAdd(StubVerifier.Flaw.ChecksTheFirstOnly, capabilities, reason);
            }
        }
    }

    /// @dev A verifier that only runs out of gas, say, on everything but its golden proof.
    function test_RevertAddWhenTheMutantIsRefusedOtherwise() public {
        for (uint8 capabilities = 0; capabilities < 8; ++capabilities) {
            bytes4 odd = IModelVerifierErrors.UnexpectedVerifierReturn.selector;
            bytes4 burned = IModelVerifierErrors.VerifierOutOfGas.selector;
            // The stub says two where one is true.
            _refusedToAdd(
                StubVerifier.Flaw.RefusesByAnOddAnswer,
                capabilities,
                abi.encodeWithSelector(MutantRefusedOtherwise.selector, modelId, odd)
            );
            _refusedToAdd(
                StubVerifier.Flaw.RefusesByBurningGas,
                capabilities,
                abi.encodeWithSelector(MutantRefusedOtherwise.selector, modelId, burned)
            );
        }
    }

    /// @dev The mutants go by the densest entry that the bare verifier is said to have, and by no other.
    function test_TheMutantGoesByTheDensestEntry() public {
        bytes4[8] memory densest = [
            model.bare.verifyProof.selector,
            model.bare.verifyMany.selector,
            model.bare.verifyPacked.selector,
            model.bare.verifyPacked.selector,
            model.bare.verifyManyPacked.selector,
            model.bare.verifyManyPacked.selector,
            model.bare.verifyManyPacked.selector,
            model.bare.verifyManyPacked.selector
        ];
        for (uint8 capabilities = 0; capabilities < 8; ++capabilities) {
            // Another contract each time, to count its calls.
            Model memory some = loadLean("tree");
            some.capabilities = capabilities;
            uint64 calls = capabilities == 1 ? 1 : 2;
            vm.expectCall(address(some.bare), abi.encodePacked(densest[capabilities]), calls);
            addTo(deployRouter(), some);
        }
    }

    /// @dev A model that shows nothing but a proof: the mutant is one of the proof.
    function test_AModelWithoutInstances() public {
        for (uint8 capabilities = 0; capabilities < 8; ++capabilities) {
            HostileVerifier yes = new HostileVerifier(HostileVerifier.Mode.True);
            ModelArgs memory args = stub.args(capabilities, address(0));
            (args.verifier, args.verifierCodeHash) = (address(yes), address(yes).codehash);
            args.descriptor = hex"0200000001";
            bytes32 id = router.modelIdOf(args);
            vm.expectRevert(abi.encodeWithSelector(MutantAccepted.selector, id, true));
            vm.prank(owner);
            router.addModel(args, proof, new uint256[](0));
        }
    }

    /// @dev What is claimed is tried: a golden proof that can't be packed does not do.
    function test_RevertAddWhenTheGoldenProofDoesNotPack() public {
        ModelArgs memory args = argsOf(model);
        // Widths of one byte, which 128 does not fit.
        args.descriptor = hex"0200000001020701020000000100000004030701020000000100000003";
        bytes32 id = router.modelIdOf(args);
        for (uint8 capabilities = 2; capabilities < 8; ++capabilities) {
            args.capabilities = capabilities;
            vm.expectRevert(abi.encodeWithSelector(GoldenNotPacked.selector, id));
            vm.prank(owner);
            router.addModel(args, model.first.proof, model.first.instances);
        }
        args.capabilities = 1;
        vm.prank(owner);
        router.addModel(args, model.first.proof, model.first.instances);
        router.gate(id, model.first.proof, model.first.instances);
    }

    /// @dev Widths that differ from the bare verifier's, of the same length in all: what it accepts would be read as
    /// something else.
    function test_RevertAddWithOtherWidths() public {
        ModelArgs memory args = argsOf(model);
        bytes[2] memory others = [
            bytes(hex"0200000001020704020000000100000004030702020000000100000003"),
            hex"02000000010207010100000001020704010000000102070202000000010000000203070101000000010307020200000001000000010307040100000001"
        ];
        for (uint256 i = 0; i < 2; ++i) {
            args.descriptor = others[i];
            bytes32 id = router.modelIdOf(args);
            for (uint8 capabilities = 2; capabilities < 8; ++capabilities) {
                args.capabilities = capabilities;
                vm.expectRevert();
                vm.prank(owner);
                router.addModel(args, model.first.proof, model.first.instances);
            }
            assertEq(uint8(router.statusOf(id)), uint8(ModelStatus.Unknown));
        }
    }

    /// @dev A bare verifier that is another model's, or one of ezkl's that is said to be lean.
    function test_RevertAddWithTheWrongVerifier() public {
        Model memory wrong = model;
        wrong.bare = loadLean("sibling").bare;
        bytes32 id = router.modelIdOf(argsOf(model));
        ModelArgs memory args = argsOf(wrong);
        vm.expectRevert(abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, id));
        vm.prank(owner);
        router.addModel(args, model.first.proof, model.first.instances);
    }

    // ------------------------------------------------------------------------------------------ the whole gate

    function test_TheGateFindsEveryFlawInEveryEntry() public {
        _add(router, 7);
        bytes4[2] memory single = [stub.verifyProof.selector, stub.verifyPacked.selector];
        bytes4[2] memory many = [stub.verifyMany.selector, stub.verifyManyPacked.selector];
        bytes memory invalid = abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, modelId);
        bytes memory odd = abi.encodeWithSelector(
            MutantRefusedOtherwise.selector, modelId, IModelVerifierErrors.UnexpectedVerifierReturn.selector
        );
        bytes memory instance = abi.encodeWithSelector(MutantAccepted.selector, modelId, false);
        bytes memory changedProof = abi.encodeWithSelector(MutantAccepted.selector, modelId, true);
        for (uint256 i = 0; i < 2; ++i) {
            _found(StubVerifier.Flaw.RefusesAll, single[i], invalid);
            _found(StubVerifier.Flaw.AcceptsEverything, single[i], instance);
            _found(StubVerifier.Flaw.AcceptsChangedInstance, single[i], instance);
            _found(StubVerifier.Flaw.AcceptsChangedProof, single[i], changedProof);
            _found(StubVerifier.Flaw.RefusesByAnOddAnswer, single[i], odd);

            _found(StubVerifier.Flaw.RefusesBatches, many[i], invalid);
            _found(StubVerifier.Flaw.AcceptsEverything, many[i], instance);
            _found(StubVerifier.Flaw.AcceptsChangedInstance, many[i], instance);
            _found(StubVerifier.Flaw.AcceptsChangedProof, many[i], changedProof);
            _found(StubVerifier.Flaw.ChecksTheFirstOnly, many[i], instance);
            _found(StubVerifier.Flaw.ChecksTheLastOnly, many[i], instance);
            _found(StubVerifier.Flaw.ChecksTheEndsOnly, many[i], instance);
            _found(StubVerifier.Flaw.ChecksAllButTheProofInTheMiddle, many[i], changedProof);
            _found(StubVerifier.Flaw.RefusesBatchesByAnOddAnswer, many[i], odd);
        }
        stub.set(StubVerifier.Flaw.None, 0);
        router.gate(modelId, proof, instances);
    }

    /// @dev Anybody may ask, with any valid proof.
    function test_AnybodyMayAsk() public {
        addTo(router, model);
        bytes32 id = router.modelIdOf(argsOf(model));
        vm.prank(makeAddr("anybody"));
        router.gate(id, model.again.proof, model.again.instances);
        vm.expectRevert(abi.encodeWithSelector(ModelUnknown.selector, modelId));
        router.gate(modelId, proof, instances);
        vm.prank(owner);
        router.retireModel(id);
        vm.expectRevert(abi.encodeWithSelector(ModelRetired.selector, id));
        router.gate(id, model.again.proof, model.again.instances);
    }

    /// @dev The mutants differ from the golden proof in one place each, and stand in each place of a batch.
    function test_TheGateTriesEveryMutant() public {
        ModelVerifier adapter = addTo(router, model);
        bytes memory changedProof = copyOf(model.first.proof);
        changedProof[changedProof.length / 2] ^= 0x01;
        uint256[] memory changed = copyOf(model.first.instances);
        changed[6] = addmod(changed[6], 1, R);
        bytes memory packed = packedOf(model, model.first.instances);
        bytes memory changedPacked = packedOf(model, changed);
        address at = address(adapter);
        vm.expectCall(at, abi.encodeCall(adapter.verify, (model.first.proof, changed)), 1);
        vm.expectCall(at, abi.encodeCall(adapter.verify, (changedProof, model.first.instances)), 1);
        vm.expectCall(at, abi.encodeCall(adapter.verifyPacked, (model.first.proof, packed)), 1);
        vm.expectCall(at, abi.encodeCall(adapter.verifyPacked, (model.first.proof, changedPacked)), 1);
        vm.expectCall(at, abi.encodeCall(adapter.verifyPacked, (changedProof, packed)), 1);

        (bytes[] memory proofs, uint256[][] memory batch, bytes[] memory small) =
            (new bytes[](3), new uint256[][](3), new bytes[](3));
        for (uint256 i = 0; i < 3; ++i) {
            (proofs[i], batch[i], small[i]) = (model.first.proof, model.first.instances, packed);
        }
        vm.expectCall(at, abi.encodeCall(adapter.verifyMany, (proofs, batch)), 1);
        vm.expectCall(at, abi.encodeCall(adapter.verifyManyPacked, (proofs, small)), 1);
        for (uint256 i = 0; i < 3; ++i) {
            (batch[i], small[i]) = (changed, changedPacked);
            vm.expectCall(at, abi.encodeCall(adapter.verifyMany, (proofs, batch)), 1);
            vm.expectCall(at, abi.encodeCall(adapter.verifyManyPacked, (proofs, small)), 1);
            (proofs[i], batch[i], small[i]) = (changedProof, model.first.instances, packed);
            vm.expectCall(at, abi.encodeCall(adapter.verifyMany, (proofs, batch)), 1);
            vm.expectCall(at, abi.encodeCall(adapter.verifyManyPacked, (proofs, small)), 1);
            proofs[i] = model.first.proof;
        }
        router.gate(adapter.modelId(), model.first.proof, model.first.instances);
    }

    /// @dev Where the last instance is the greatest of its width, the mutant is the next lesser one.
    function test_AMutantFitsItsWidthToo() public {
        HostileVerifier yes = new HostileVerifier(HostileVerifier.Mode.True);
        ModelArgs memory args = stub.args(7, address(0));
        (args.verifier, args.verifierCodeHash) = (address(yes), address(yes).codehash);
        args.descriptor = hex"020000000103000100";
        bytes32 id = router.modelIdOf(args);
        uint256[] memory greatest = new uint256[](1);
        greatest[0] = 127;
        address at = router.addressOf(args);
        (bytes[] memory proofs, bytes[] memory packed) = (new bytes[](2), new bytes[](2));
        (proofs[0], proofs[1], packed[0], packed[1]) = (proof, proof, hex"7f", hex"7e");
        vm.expectCall(at, abi.encodeCall(ModelVerifier.verifyManyPacked, (proofs, packed)), 1);
        vm.expectRevert(abi.encodeWithSelector(MutantAccepted.selector, id, false));
        vm.prank(owner);
        router.addModel(args, proof, greatest);
    }

    // ------------------------------------------------------------------------------------------ helpers

    function _add(
        ModelRouter to,
        uint8 capabilities
    ) private {
        ModelArgs memory args = stub.args(capabilities, address(0));
        vm.prank(owner);
        to.addModel(args, proof, instances);
    }

    function _refusedToAdd(
        StubVerifier.Flaw flaw,
        uint8 capabilities,
        bytes memory reason
    ) private {
        stub.set(flaw, 0);
        ModelArgs memory args = stub.args(capabilities, address(0));
        vm.expectRevert(reason);
        vm.prank(owner);
        router.addModel(args, proof, instances);
        assertEq(uint8(router.statusOf(modelId)), uint8(ModelStatus.Unknown));
        assertEq(router.modelCount(), 0);
    }

    function _found(
        StubVerifier.Flaw flaw,
        bytes4 entry,
        bytes memory reason
    ) private {
        stub.set(flaw, entry);
        vm.expectRevert(reason);
        router.gate(modelId, proof, instances);
    }
}
