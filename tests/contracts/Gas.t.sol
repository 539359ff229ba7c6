// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, ILeanVerifier, Model, Proof} from "./Fixtures.sol";
import {HostileVerifier} from "./Hostile.sol";
import {OpenConsumer} from "./OpenConsumer.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {Claim} from "zkvouch/interfaces/IModelRouter.sol";
import {ModelArgs} from "zkvouch/interfaces/IModelVerifier.sol";
import {Submission} from "zkvouch/interfaces/IPredictionLedger.sol";

/// @title What each layer costs, as transactions of their own
/// @notice `npm run gas` runs it isolated, so that each call pays for its calldata and cold accounts, and compares with
/// snapshots/ within the tolerance that the script states. Real proofs; the bare verifier is ezkl's, guarded, or the
/// lean one.
abstract contract GasBase is Fixtures {
    using stdJson for string;

    Model internal model;
    ModelVerifier internal adapter;
    ModelRouter internal router;
    PredictionLedger internal ledger;
    bytes32 internal modelId;
    bytes internal packed;

    function _fixture() internal pure virtual returns (string memory);

    function _lean() internal pure virtual returns (bool) {
        return false;
    }

    function setUp() public {
        model = _lean() ? loadLean(_fixture()) : loadModel(_fixture());
        (router, adapter) = deployRouter(model);
        modelId = adapter.modelId();
        ledger = new PredictionLedger(router);
        packed = packedOf(model, model.first.instances);
    }

    function test_GasBare() public {
        _transaction(address(model.bare), _bareCall());
        _snapshot("bare verifier");
        if (!_lean()) return;
        _transaction(address(model.bare), abi.encodeCall(model.bare.verifyPacked, (model.first.proof, packed)));
        _snapshot("bare verifier, packed");
    }

    function test_GasAdapter() public {
        _transaction(address(adapter), abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances)));
        _snapshot("adapter");
        _transaction(address(adapter), abi.encodeCall(adapter.verifyPacked, (model.first.proof, packed)));
        _snapshot("adapter, packed");
    }

    function test_GasRouter() public {
        _transaction(
            address(router), abi.encodeCall(router.verify, (modelId, model.first.proof, model.first.instances))
        );
        _snapshot("router");
        _transaction(address(router), abi.encodeCall(router.verifyPacked, (modelId, model.first.proof, packed)));
        _snapshot("router, packed");
    }

    function test_GasLedger() public {
        ledger.record(modelId, 0, model.first.proof, model.first.instances);
        uint256 recorded = _snapshot("record");
        _transaction(address(model.bare), _bareCall());
        uint256 overhead = recorded - vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue(_group(), "record, all but the bare verifier", overhead);
        assertLt(overhead, 60_000, "ledger, router and adapter cost too much");
        new PredictionLedger(router).recordPacked(modelId, 0, model.first.proof, packed);
        _snapshot("record, packed");
    }

    function test_GasGuardian() public {
        ModelRouter other = deployRouter();
        ModelArgs memory args = argsOf(model);
        args.guardian = guardian;
        addTo(other, args, model.first);
        new PredictionLedger(other).record(modelId, 0, model.first.proof, model.first.instances);
        _snapshot("record, with a guardian");
    }

    function test_GasConsumer() public {
        OpenConsumer consumer = new OpenConsumer(ledger);
        consumer.consume(modelId, model.first.proof, model.first.instances);
        _snapshot("consume");
        consumer.consumePacked(modelId, "packed", model.first.proof, packed);
        _snapshot("consume, packed");
    }

    function test_GasMany() public {
        Proof memory second = loadProof(_fixture(), "proof-1");
        Claim[] memory claims = new Claim[](2);
        claims[0] = Claim(modelId, model.first.proof, model.first.instances);
        claims[1] = Claim(modelId, second.proof, second.instances);
        _transaction(address(router), abi.encodeCall(router.verifyMany, (claims)));
        _snapshot("verifyMany of two claims");
        Submission[] memory submissions = new Submission[](2);
        submissions[0] = Submission(modelId, 0, model.first.proof, model.first.instances);
        submissions[1] = Submission(modelId, 0, second.proof, second.instances);
        ledger.recordMany(submissions);
        _snapshot("recordMany of two submissions");
    }

    /// @dev Predictions of one model in one transaction: a prediction's part of the whole transaction's gas.
    function test_GasLedgerBatches() public {
        for (uint256 size = 1; size <= 16; size *= 2) {
            (bytes[] memory proofs, uint256[][] memory instances) = _batch(size);
            bytes[] memory small = packedOf(model, instances);
            ledger.recordBatch(modelId, bytes32(0), size, proofs, instances);
            _each("recordBatch", size);
            ledger.recordBatchPacked(modelId, "packed", size, proofs, small);
            _each("recordBatch, packed", size);
        }
    }

    function test_GasLedgerStrict() public {
        bytes32[] memory contexts = new bytes32[](16);
        for (uint256 i = 0; i < 16; ++i) {
            // There are two predictions, so that they need contexts to be sixteen.
            contexts[i] = bytes32(i / 2);
        }
        (bytes[] memory proofs, uint256[][] memory instances) = _batch(16);
        ledger.recordEach(modelId, contexts, proofs, instances);
        _each("recordEach", 16);
        new PredictionLedger(router).recordEachPacked(modelId, contexts, proofs, packedOf(model, instances));
        _each("recordEach, packed", 16);
    }

    function test_GasLedgerFeed() public {
        (bytes[] memory proofs, uint256[][] memory instances) = _batch(16);
        ledger.recordFeed(modelId, 0, 16, proofs, instances);
        // The slot of the position is there from the second batch on.
        ledger.recordFeed(modelId, 16, 16, proofs, instances);
        _each("recordFeed", 16);
        ledger.recordFeedPacked(modelId, 32, 16, proofs, packedOf(model, instances));
        _each("recordFeed, packed", 16);
    }

    function test_GasBareBatches() public {
        if (!_lean()) return;
        for (uint256 size = 1; size <= 16; size *= 2) {
            (bytes[] memory proofs, uint256[][] memory instances) = _batch(size);
            _transaction(address(model.bare), abi.encodeCall(model.bare.verifyMany, (proofs, instances)));
            _each("bare verifier's verifyMany", size);
            bytes[] memory small = packedOf(model, instances);
            _transaction(address(model.bare), abi.encodeCall(model.bare.verifyManyPacked, (proofs, small)));
            _each("bare verifier's verifyManyPacked", size);
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
        string memory bare = string.concat("tests/fixtures/generated/", _fixture(), _lean() ? "-lean" : "", ".json");
        uint256 sum = _deploy(vm.readFile(bare).readBytes(".bytecode"), "deploy bare verifier");
        ModelRouter other = deployRouter();
        ModelArgs memory args = argsOf(model);
        vm.prank(owner);
        other.addModel(args, model.first.proof, model.first.instances);
        sum += _snapshot("addModel");
        vm.snapshotValue(_group(), "a model's own deployment", sum);
        _deploy(type(ModelVerifier).creationCode, "deploy implementation");
        bytes memory code = abi.encodePacked(type(ModelRouter).creationCode, abi.encode(owner, other.IMPLEMENTATION()));
        _deploy(code, "deploy router");
        _deploy(abi.encodePacked(type(PredictionLedger).creationCode, abi.encode(router)), "deploy ledger");
    }

    function _deploy(
        bytes memory code,
        string memory name
    ) private returns (uint256) {
        _transaction(CREATE2_FACTORY, abi.encodePacked(bytes32(0), code));
        return _snapshot(name);
    }

    function _bareCall() private view returns (bytes memory) {
        return abi.encodeCall(model.bare.verifyProof, (model.first.proof, model.first.instances));
    }

    function _batch(
        uint256 size
    ) private view returns (bytes[] memory proofs, uint256[][] memory instances) {
        Proof memory second = loadProof(_fixture(), "proof-1");
        Proof[] memory items = new Proof[](size);
        for (uint256 i = 0; i < size; ++i) {
            items[i] = i % 2 == 0 ? model.first : second;
        }
        return batchOf(items);
    }

    /// @dev A call that may write is isolated as a transaction; a static one is not.
    function _transaction(
        address to,
        bytes memory data
    ) private {
        (bool success,) = to.call(data);
        assertTrue(success);
    }

    function _snapshot(
        string memory name
    ) private returns (uint256 used) {
        used = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue(_group(), name, used);
    }

    function _each(
        string memory name,
        uint256 size
    ) private {
        uint256 used = vm.lastCallGas().gasTotalUsed;
        string memory number = string.concat(size < 10 ? " " : "", vm.toString(size));
        vm.snapshotValue(_group(), string.concat(name, ", of ", number, ", each"), used / size);
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

/// @notice The ledger's own part of a proof about many predictions of a model with four inputs and an output, over a
/// bare verifier that accepts everything.
contract GasBatchTest is Fixtures {
    PredictionLedger internal ledger;
    ModelRouter internal router;
    Model internal model;
    bytes32 internal constant ID = "model";

    function setUp() public {
        model = loadLean("batch");
        model.bare = ILeanVerifier(address(new HostileVerifier(HostileVerifier.Mode.True)));
        router = deployRouter();
        ledger = new PredictionLedger(router);
    }

    function test_GasOfAPrediction() public {
        for (uint256 predictions = 8; predictions <= 128; predictions *= 4) {
            _measure(predictions);
        }
    }

    function _measure(
        uint256 predictions
    ) private {
        uint256[] memory words = new uint256[](5 * predictions);
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 number = uint256(keccak256(abi.encode(i))) % 0x8000;
            words[i] = i % 2 == 0 ? number : R - 1 - number;
        }
        model.descriptor = abi.encodePacked(
            hex"02",
            uint32(predictions),
            hex"02070202",
            uint32(predictions),
            uint32(4),
            hex"03070202",
            uint32(predictions),
            uint32(1)
        );
        // A route as the router keeps it, without the golden proof that this verifier can't pass.
        vm.store(
            address(router), keccak256(abi.encode(ID, 2)), bytes32(uint256(uint160(address(deployAdapter(model)))))
        );
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(model.first.proof, words);
        bytes[] memory packed = packedOf(model, instances);
        ledger.recordBatch(ID, bytes32(predictions), predictions, proofs, instances);
        uint256 used = vm.lastCallGas().gasTotalUsed;
        _snapshot("recordBatch", predictions, used, abi.encodeCall(model.bare.verifyMany, (proofs, instances)));
        ledger.recordBatchPacked(ID, bytes32(predictions + 1), predictions, proofs, packed);
        used = vm.lastCallGas().gasTotalUsed;
        _snapshot(
            "recordBatch, packed", predictions, used, abi.encodeCall(model.bare.verifyManyPacked, (proofs, packed))
        );
    }

    function _snapshot(
        string memory name,
        uint256 predictions,
        uint256 used,
        bytes memory bareCall
    ) private {
        (bool success,) = address(model.bare).call(bareCall);
        assertTrue(success);
        string memory row = string.concat(name, ", N = ", vm.toString(predictions));
        vm.snapshotValue("gas-batch-lean", row, (used - vm.lastCallGas().gasTotalUsed) / predictions);
    }
}
