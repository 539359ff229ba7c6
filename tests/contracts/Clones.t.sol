// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model, Proof} from "./Fixtures.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";

contract SliceTest is Fixtures {
    function test_slice() public {
        Model memory model = loadLean("tree");
        (ModelRouter router, ModelVerifier adapter) = deployRouter(model);
        PredictionLedger ledger = new PredictionLedger(router);
        bytes32 id = adapter.modelId();
        ledger.record(id, 0, model.first.proof, model.first.instances);
        ledger.recordPacked(id, bytes32(uint256(1)), model.first.proof, packedOf(model, model.first.instances));
        Proof memory second = loadProof("tree", "proof-1");
        bytes[] memory proofs = new bytes[](2);
        uint256[][] memory instances = new uint256[][](2);
        (proofs[0], proofs[1]) = (model.first.proof, second.proof);
        (instances[0], instances[1]) = (model.first.instances, second.instances);
        bytes[] memory packed = packedOf(model, instances);
        (bytes32[] memory a,, bytes32 r1) = ledger.recordBatch(id, bytes32(uint256(2)), 2, proofs, instances);
        PredictionLedger other = new PredictionLedger(router);
        (bytes32[] memory b,, bytes32 r2) = other.recordBatchPacked(id, bytes32(uint256(2)), 2, proofs, packed);
        assertEq(abi.encode(a, r1), abi.encode(b, r2));
    }

    function test_Gate() public {
        Model memory model = loadLean("tree");
        (ModelRouter router, ModelVerifier adapter) = deployRouter(model);
        router.gate(adapter.modelId(), model.first.proof, model.first.instances);
    }
}
