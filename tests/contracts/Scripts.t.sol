// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {AddModel} from "../../script/AddModel.s.sol";
import {DeployCore} from "../../script/DeployCore.s.sol";
import {RetireModel} from "../../script/RetireModel.s.sol";
import {StopModel} from "../../script/StopModel.s.sol";
import {TransferOwnership} from "../../script/TransferOwnership.s.sol";
import {Deployer} from "../../script/lib/Deployer.sol";
import {Fixtures, Model} from "./Fixtures.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {VmSafe} from "forge-std/Vm.sol";
import {EmergencyStop} from "zkvouch/EmergencyStop.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {IModelRouterErrors, ModelStatus} from "zkvouch/interfaces/IModelRouter.sol";

contract ScriptsTest is Fixtures {
    using stdJson for string;

    string internal constant MODEL = "tests/fixtures/models/tree/model.json";
    string internal constant PROOF = "tests/fixtures/models/tree/proof-0.json";
    string internal constant VERIFIER = "tests/fixtures/generated/tree.json";
    string internal constant LEAN = "tests/fixtures/generated/tree-lean.json";
    string internal constant LEAN_BATCH = "tests/fixtures/generated/tree-lean-batch.json";

    // ------------------------------------------------------------------------------------------ addresses

    /// @dev The vector is computed by script/artifacts.cjs from the definition of CREATE2; the command is tested on it
    /// too.
    function test_AddressesAreThoseOfTheVector() public {
        string memory vector = vm.readFile("contracts/artifacts/addresses.json");
        (address router, address ledger) = new DeployCore().core(vector.readAddress(".owner"), 0);
        assertEq(router, vector.readAddress(".ModelRouter"));
        assertEq(ledger, vector.readAddress(".PredictionLedger"));
        assertEq(keccak256("zkvouch.v2"), vector.readBytes32(".salt"));
        assertEq(ModelRouter(router).owner(), vector.readAddress(".owner"));
        assertEq(address(PredictionLedger(ledger).router()), router);
    }

    /// @dev The committed bytecode is that of the sources, and so is what the scripts put on the chain. (Not under the
    /// coverage profile, which compiles otherwise.)
    function test_DeploysTheSourcesBytecode() public {
        (address router, address ledger) = new DeployCore().core(owner, 0);
        if (vm.isContext(VmSafe.ForgeContext.Coverage)) return;
        assertEq(router.code, address(new ModelRouter(owner)).code);
        assertEq(ledger.code, address(new PredictionLedger(ModelRouter(router))).code);
    }

    function test_DeployingAgainChangesNothing() public {
        DeployCore script = new DeployCore();
        (address router, address ledger) = script.core(owner, 0);
        vm.prank(makeAddr("somebody else"));
        (address sameRouter, address sameLedger) = script.core(owner, 0);
        assertEq(router, sameRouter);
        assertEq(ledger, sameLedger);
        (address other,) = script.core(guardian, 0);
        assertNotEq(other, router);
    }

    function test_RevertWithoutTheProxy() public {
        vm.etch(CREATE2_FACTORY, "");
        DeployCore script = new DeployCore();
        vm.expectRevert(abi.encodeWithSelector(Deployer.NoCreate2Proxy.selector, block.chainid));
        script.core(owner, 0);
    }

    function test_RevertWhenADeploymentFails() public {
        AddModel script = new AddModel();
        string memory model = vm.readFile(MODEL);
        vm.expectRevert(abi.encodeWithSelector(Deployer.DeploymentFailed.selector, "bare verifier"));
        script.place(model, hex"fe", "", GAS_CAP, address(0));
    }

    // ------------------------------------------------------------------------------------------ steps

    function test_TimelockOwnsTheRouter() public {
        (address router,) = new DeployCore().core(owner, 2 days);
        TimelockController timelock = TimelockController(payable(ModelRouter(router).owner()));
        assertEq(timelock.getMinDelay(), 2 days);
        assertTrue(timelock.hasRole(timelock.PROPOSER_ROLE(), owner));
        assertTrue(timelock.hasRole(timelock.EXECUTOR_ROLE(), owner));
        assertTrue(timelock.hasRole(timelock.CANCELLER_ROLE(), owner));
        assertFalse(timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), owner));
    }

    /// @dev The sender isn't the owner: the contracts are deployed, the call is printed, and nothing is added.
    function test_AddLeavesTheOwnersCallToTheOwner() public {
        (address router,) = new DeployCore().core(owner, 0);
        AddModel script = new AddModel();
        AddModel.Placed memory placed =
            script.place(vm.readFile(MODEL), vm.readFile(VERIFIER).readBytes(".bytecode"), "", GAS_CAP, address(0));
        script.add(ModelRouter(router), placed.routed, vm.readFile(PROOF), guardian);
        bytes32 id = ModelVerifier(placed.adapter).modelId();
        assertEq(uint8(ModelRouter(router).statusOf(id)), uint8(ModelStatus.Unknown));
        assertEq(placed.routed, placed.adapter);
        assertEq(placed.batch, address(0));
        assertEq(address(ModelVerifier(placed.adapter).VERIFIER()), placed.bare);
        new RetireModel().retire(ModelRouter(router), id, guardian);
    }

    function test_TransfersInTwoSteps() public {
        TransferOwnership script = new TransferOwnership();
        ModelRouter router = new ModelRouter(address(script));
        script.step(router, guardian, address(script));
        assertEq(router.pendingOwner(), guardian);
        vm.expectRevert(abi.encodeWithSelector(TransferOwnership.NothingToDo.selector, owner));
        script.step(router, guardian, owner);
        router = new ModelRouter(owner);
        vm.prank(owner);
        router.transferOwnership(address(script));
        script.step(router, address(script), address(script));
        assertEq(router.owner(), address(script));
    }

    /// @dev All of them as they are run, by the environment, from deployment to the end of a model. One test, since the
    /// environment is one.
    function test_TheWholeLifeOfAModel() public {
        vm.setEnv("ZKVOUCH_MODEL", MODEL);
        vm.setEnv("ZKVOUCH_PROOF", PROOF);
        vm.setEnv("ZKVOUCH_VERIFIER", LEAN);
        vm.setEnv("ZKVOUCH_BATCH_VERIFIER", LEAN_BATCH);
        vm.setEnv("ZKVOUCH_GAS_CAP", "1500000");
        (address at, address ledger) = new DeployCore().run();
        ModelRouter router = ModelRouter(at);
        assertEq(router.owner(), DEFAULT_SENDER, "the sender owns it");
        vm.setEnv("ZKVOUCH_ROUTER", vm.toString(at));
        vm.setEnv("ZKVOUCH_GUARDIAN", vm.toString(DEFAULT_SENDER));

        AddModel.Placed memory placed = new AddModel().run();
        Model memory model = loadModel("tree");
        bytes32 id = ModelVerifier(placed.adapter).modelId();
        assertEq(address(router.verifierOf(id)), placed.routed);
        assertEq(ModelVerifier(placed.adapter).GAS_CAP(), 1_500_000);
        assertEq(address(ModelVerifier(placed.adapter).BATCH_VERIFIER()), placed.batch);
        assertEq(ModelVerifier(placed.adapter).BATCH_VERIFIER_CODE_HASH(), placed.batch.codehash);
        PredictionLedger(ledger).record(id, 0, model.first.proof, model.first.instances);

        vm.setEnv("ZKVOUCH_MODEL_ID", vm.toString(id));
        new StopModel().run();
        assertTrue(EmergencyStop(placed.routed).paused());
        new RetireModel().run();
        assertEq(uint8(router.statusOf(id)), uint8(ModelStatus.Retired));
        RetireModel again = new RetireModel();
        vm.expectRevert(abi.encodeWithSelector(IModelRouterErrors.ModelRetired.selector, id));
        again.run();
        vm.stopBroadcast();

        vm.setEnv("ZKVOUCH_OWNED", vm.toString(at));
        vm.setEnv("ZKVOUCH_NEW_OWNER", vm.toString(guardian));
        new TransferOwnership().run();
        assertEq(router.pendingOwner(), guardian);
    }
}
