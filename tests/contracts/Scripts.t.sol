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
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {IModelRouterErrors, ModelStatus} from "zkvouch/interfaces/IModelRouter.sol";
import {ModelArgs} from "zkvouch/interfaces/IModelVerifier.sol";

contract ScriptsTest is Fixtures {
    using stdJson for string;

    string internal constant MODEL = "tests/fixtures/models/tree/model.json";
    string internal constant PROOF = "tests/fixtures/models/tree/proof-0.json";
    string internal constant VERIFIER = "tests/fixtures/generated/tree.json";
    string internal constant LEAN = "tests/fixtures/generated/tree-lean.json";

    // ------------------------------------------------------------------------------------------ addresses

    /// @dev The vector is computed by script/artifacts.cjs from the definition of CREATE2; the command is tested on it
    /// too.
    function test_AddressesAreThoseOfTheVector() public {
        string memory vector = vm.readFile("contracts/artifacts/addresses.json");
        (address router, address ledger) = new DeployCore().core(vector.readAddress(".owner"), 0);
        assertEq(router, vector.readAddress(".ModelRouter"));
        assertEq(ledger, vector.readAddress(".PredictionLedger"));
        assertEq(ModelRouter(router).IMPLEMENTATION(), vector.readAddress(".ModelVerifier"));
        assertEq(keccak256("zkvouch.v3"), vector.readBytes32(".salt"));
        assertEq(ModelRouter(router).owner(), vector.readAddress(".owner"));
        assertEq(address(PredictionLedger(ledger).router()), router);
    }

    /// @dev The committed bytecode is that of the sources, and so is what the scripts put on the chain. (Not under the
    /// coverage profile, which compiles otherwise.)
    function test_DeploysTheSourcesBytecode() public {
        (address router, address ledger) = new DeployCore().core(owner, 0);
        if (vm.isContext(VmSafe.ForgeContext.Coverage)) return;
        address implementation = ModelRouter(router).IMPLEMENTATION();
        assertEq(router.code, address(new ModelRouter(owner, implementation)).code);
        // But for the address that it keeps of itself.
        bytes memory sources = type(ModelVerifier).creationCode;
        assertEq(keccak256(sources), vm.readFile("contracts/artifacts/ModelVerifier.json").readBytes32(".initCodeHash"));
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
        script.place(model, hex"fe", 0, uint64(GAS_CAP), address(0));
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
        bytes memory code = vm.readFile(VERIFIER).readBytes(".bytecode");
        ModelArgs memory args = script.place(vm.readFile(MODEL), code, 0, uint64(GAS_CAP), address(0));
        script.add(ModelRouter(router), args, vm.readFile(PROOF), guardian);
        bytes32 id = ModelRouter(router).modelIdOf(args);
        assertEq(uint8(ModelRouter(router).statusOf(id)), uint8(ModelStatus.Unknown));
        assertGt(args.verifier.code.length, 0);
        assertEq(ModelRouter(router).addressOf(args).code.length, 0);
        new RetireModel().retire(ModelRouter(router), id, guardian);
    }

    function test_TransfersInTwoSteps() public {
        TransferOwnership script = new TransferOwnership();
        address implementation = address(new ModelVerifier());
        ModelRouter router = new ModelRouter(address(script), implementation);
        script.step(router, guardian, address(script));
        assertEq(router.pendingOwner(), guardian);
        vm.expectRevert(abi.encodeWithSelector(TransferOwnership.NothingToDo.selector, owner));
        script.step(router, guardian, owner);
        router = new ModelRouter(owner, implementation);
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
        vm.setEnv("ZKVOUCH_CAPABILITIES", "7");
        vm.setEnv("ZKVOUCH_GAS_CAP", "1500000");
        (address at, address ledger) = new DeployCore().run();
        ModelRouter router = ModelRouter(at);
        assertEq(router.owner(), DEFAULT_SENDER, "the sender owns it");
        vm.setEnv("ZKVOUCH_ROUTER", vm.toString(at));
        vm.setEnv("ZKVOUCH_GUARDIAN", vm.toString(DEFAULT_SENDER));

        ModelArgs memory args = new AddModel().run();
        Model memory model = loadModel("tree");
        bytes32 id = router.modelIdOf(args);
        ModelVerifier adapter = ModelVerifier(address(router.verifierOf(id)));
        assertEq(address(adapter), router.addressOf(args));
        assertEq(adapter.GAS_CAP(), 1_500_000);
        assertEq(adapter.CAPABILITIES(), 7);
        assertEq(adapter.guardian(), DEFAULT_SENDER);
        PredictionLedger(ledger).record(id, 0, model.first.proof, model.first.instances);

        vm.setEnv("ZKVOUCH_MODEL_ID", vm.toString(id));
        new StopModel().run();
        assertTrue(adapter.stopped());
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
