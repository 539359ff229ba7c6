// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model, Proof} from "./Fixtures.sol";
import {OpenConsumer} from "./PredictionConsumer.t.sol";
import {EmergencyStop} from "zkvouch/EmergencyStop.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {Claim} from "zkvouch/interfaces/IModelRouter.sol";
import {Submission} from "zkvouch/interfaces/IPredictionLedger.sol";

/// @title What each layer costs, as transactions of their own
/// @notice `npm run gas` runs it isolated, so that each call pays for its calldata and cold accounts, and compares with
/// snapshots/ within the tolerance that the script states. Real proofs; the bare verifier is ezkl's, guarded, or the
/// lean one.
abstract contract GasBase is Fixtures {
    Model internal model;
    ModelVerifier internal adapter;
    ModelRouter internal router;
    PredictionLedger internal ledger;
    bytes32 internal modelId;

    function _fixture() internal pure virtual returns (string memory);

    function _lean() internal pure virtual returns (bool) {
        return false;
    }

    function setUp() public {
        model = _lean() ? loadLean(_fixture()) : loadModel(_fixture());
        adapter = deployAdapter(model);
        modelId = adapter.modelId();
        router = deployRouter(model, adapter);
        ledger = new PredictionLedger(router);
    }

    function test_GasBare() public {
        _transaction(address(model.bare), _bareCall());
        _snapshot("1 bare verifier");
    }

    function test_GasAdapter() public {
        _transaction(address(adapter), abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances)));
        _snapshot("2 adapter");
    }

    function test_GasStop() public {
        EmergencyStop stop = new EmergencyStop(adapter, guardian);
        _transaction(address(stop), abi.encodeCall(stop.verify, (model.first.proof, model.first.instances)));
        _snapshot("3 stop and adapter");
    }

    function test_GasRouter() public {
        _transaction(address(router), _routerCall());
        _snapshot("4 router and adapter");
    }

    function test_GasRouterStop() public {
        _transaction(address(_stopped()), _routerCall());
        _snapshot("5 router, stop and adapter");
    }

    function test_GasLedger() public {
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        uint256 recorded = _snapshot("6 ledger, router and adapter");
        _transaction(address(model.bare), _bareCall());
        uint256 overhead = recorded - vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue(_group(), "overhead of ledger, router and adapter", overhead);
        assertLt(overhead, 60_000, "ledger, router and adapter cost too much");
    }

    function test_GasLedgerStop() public {
        PredictionLedger other = new PredictionLedger(_stopped());
        other.record(modelId, 0, model.first.proof, model.first.instances);
        _snapshot("7 ledger, router, stop and adapter");
    }

    function test_GasConsumer() public {
        OpenConsumer consumer = new OpenConsumer(ledger);
        consumer.consume(modelId, model.first.proof, model.first.instances);
        _snapshot("8 consumer, ledger, router and adapter");
    }

    function test_GasBatch() public {
        Proof memory second = loadProof(_fixture(), "proof-1");
        Claim[] memory claims = new Claim[](2);
        claims[0] = Claim(modelId, model.first.proof, model.first.instances);
        claims[1] = Claim(modelId, second.proof, second.instances);
        _transaction(address(router), abi.encodeCall(router.verifyMany, (claims)));
        _snapshot("9 batch of two, router");
        Submission[] memory submissions = new Submission[](2);
        submissions[0] = Submission(modelId, 0, model.first.proof, model.first.instances);
        submissions[1] = Submission(modelId, 0, second.proof, second.instances);
        ledger.recordMany(submissions);
        _snapshot("9 batch of two, ledger");
    }

    /// @dev Predictions of one model in one transaction; the whole transaction's gas, and in `each` a prediction's.
    function test_GasLedgerBatches() public {
        Proof memory second = loadProof(_fixture(), "proof-1");
        for (uint256 size = 1; size <= 16; size *= 2) {
            Proof[] memory items = new Proof[](size);
            bytes32[] memory contexts = new bytes32[](size);
            for (uint256 i = 0; i < size; ++i) {
                items[i] = i % 2 == 0 ? model.first : second;
                // There are two predictions, so that they need contexts to be sixteen.
                contexts[i] = bytes32(i / 2);
            }
            (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
            PredictionLedger fresh = new PredictionLedger(router);
            fresh.recordBatch(modelId, contexts, proofs, instances);
            uint256 used = vm.lastCallGas().gasTotalUsed;
            string memory number = string.concat(size < 10 ? " " : "", vm.toString(size));
            vm.snapshotValue(_group(), string.concat("ledger batch of ", number, ", each"), used / size);
            if (size != 16) continue;
            fresh.recordEach(modelId, contexts, proofs, instances);
            used = vm.lastCallGas().gasTotalUsed;
            vm.snapshotValue(_group(), "ledger batch of 16, strict, each", used / size);
            // The slot of the position is there from the second batch on.
            fresh.recordFeed(modelId, 0, proofs, instances);
            fresh.recordFeed(modelId, 16, proofs, instances);
            used = vm.lastCallGas().gasTotalUsed;
            vm.snapshotValue(_group(), "ledger batch of 16, feed, each", used / size);
        }
    }

    function test_GasBareBatches() public {
        if (!_lean()) return;
        for (uint256 size = 1; size <= 16; size *= 2) {
            Proof[] memory items = new Proof[](size);
            for (uint256 i = 0; i < size; ++i) {
                items[i] = model.first;
            }
            (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
            _transaction(address(model.batch), abi.encodeCall(model.batch.verifyMany, (proofs, instances)));
            string memory number = string.concat(size < 10 ? " " : "", vm.toString(size));
            uint256 used = vm.lastCallGas().gasTotalUsed;
            vm.snapshotValue(_group(), string.concat("bare batch of ", number, ", each"), used / size);
        }
    }

    function test_GasRefusals() public {
        bytes memory proof = copyOf(model.first.proof);
        proof[0] ^= 0x01;
        (bool success,) = address(adapter).call(abi.encodeCall(adapter.verify, (proof, model.first.instances)));
        assertFalse(success);
        _snapshot("refusal of a point off the curve");
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        (success,) =
            address(ledger).call(abi.encodeCall(ledger.record, (modelId, 0, model.first.proof, model.first.instances)));
        assertFalse(success);
        _snapshot("refusal of a replay");
    }

    /// @dev As the command and the scripts deploy: by the common proxy.
    function test_GasDeployment() public {
        _deploy(
            abi.encodePacked(
                type(ModelVerifier).creationCode,
                abi.encode(
                    model.parts,
                    model.bare,
                    address(model.bare).codehash,
                    model.batch,
                    batchHash(model),
                    model.proofLength,
                    GAS_CAP,
                    model.descriptor
                )
            ),
            "deploy adapter"
        );
        _deploy(abi.encodePacked(type(EmergencyStop).creationCode, abi.encode(adapter, guardian)), "deploy stop");
        _deploy(abi.encodePacked(type(ModelRouter).creationCode, abi.encode(owner)), "deploy router");
        _deploy(abi.encodePacked(type(PredictionLedger).creationCode, abi.encode(router)), "deploy ledger");
        ModelRouter other = new ModelRouter(owner);
        vm.prank(owner);
        other.addModel(adapter, model.first.proof, model.first.instances);
        _snapshot("add model, with the golden proof");
    }

    function _deploy(
        bytes memory code,
        string memory name
    ) private {
        _transaction(CREATE2_FACTORY, abi.encodePacked(bytes32(0), code));
        _snapshot(name);
    }

    function _bareCall() private view returns (bytes memory) {
        return abi.encodeCall(model.bare.verifyProof, (model.first.proof, model.first.instances));
    }

    function _routerCall() private view returns (bytes memory) {
        return abi.encodeCall(router.verify, (modelId, model.first.proof, model.first.instances));
    }

    /// @dev A call that may write is isolated as a transaction; a static one is not.
    function _transaction(
        address to,
        bytes memory data
    ) private {
        (bool success,) = to.call(data);
        assertTrue(success);
    }

    function _stopped() private returns (ModelRouter other) {
        EmergencyStop stop = new EmergencyStop(adapter, guardian);
        other = new ModelRouter(owner);
        vm.prank(owner);
        other.addModel(stop, model.first.proof, model.first.instances);
    }

    function _snapshot(
        string memory name
    ) private returns (uint256 used) {
        used = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue(_group(), name, used);
    }

    function _group() private pure returns (string memory) {
        return string.concat("gas-", _fixture(), _lean() ? "-lean" : "");
    }
}

contract GasTreeTest is GasBase {
    function _fixture() internal pure override returns (string memory) {
        return "tree";
    }
}

contract GasCreditTest is GasBase {
    function _fixture() internal pure override returns (string memory) {
        return "credit";
    }
}

contract GasLeanTreeTest is GasTreeTest {
    function _lean() internal pure override returns (bool) {
        return true;
    }
}

contract GasLeanCreditTest is GasCreditTest {
    function _lean() internal pure override returns (bool) {
        return true;
    }
}
