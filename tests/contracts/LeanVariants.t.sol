// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ILeanErrors} from "./LeanErrors.sol";
import {NegativeTestBase} from "./NegativeTestBase.sol";
import {
    AdapterPackedVariantTest,
    AdapterVariantTest,
    CreditAdapterVariantTest,
    LedgerPackedVariantTest,
    LedgerVariantTest,
    RouterVariantTest
} from "./Variants.t.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {ModelArgs} from "zkvouch/interfaces/IModelVerifier.sol";

/// @notice A bare lean verifier, which says why it refuses. The suite works out by itself which reason that must be.
abstract contract LeanBareBase is NegativeTestBase, ILeanErrors {
    function _deploy() internal virtual override {}

    function _lean() internal pure override returns (bool) {
        return true;
    }

    /// @dev In the order in which the verifier looks: encoding, canonical numbers, the curve, the pairing.
    function _expected(
        bytes4,
        bytes memory proof,
        uint256[] memory instances
    ) internal view override returns (bytes4) {
        if (proof.length != model.proofLength || instances.length != model.first.instances.length) {
            return CalldataNotCanonical.selector;
        }
        for (uint256 i = 0; i < instances.length; ++i) {
            if (instances[i] >= R) return InputNotCanonical.selector;
        }
        for (uint256 i = 0; i < scalars.length; ++i) {
            if (_word(proof, scalars[i]) >= R) return InputNotCanonical.selector;
        }
        bool onCurve = true;
        for (uint256 i = 0; i < points.length; ++i) {
            (uint256 x, uint256 y) = (_word(proof, points[i]), _word(proof, points[i] + 32));
            if (y == 0) return InputNotCanonical.selector;
            onCurve = onCurve && _onCurve(x, y);
        }
        return onCurve ? ProofRejected.selector : InvalidPoint.selector;
    }

    function _word(
        bytes memory proof,
        uint256 offset
    ) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(proof, 0x20), offset))
        }
    }
}

/// @notice The lean verifier alone.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanVariantTest is LeanBareBase {
    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        require(model.bare.verifyProof(proof, instances), "false");
    }

    function _refusalGas() internal pure override returns (uint256) {
        return 600_000;
    }
}

/// @notice The lean batch verifier alone, with a batch of one.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanBatchOfOneVariantTest is LeanBareBase {
    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        (bytes[] memory proofs, uint256[][] memory batch) = batchOf(proof, instances);
        require(model.bare.verifyMany(proofs, batch), "false");
    }

    function _refusalGas() internal pure override returns (uint256) {
        return 600_000;
    }
}

/// @notice The lean batch verifier alone: every mutant between two valid proofs.
/// forge-config: default.fuzz.runs = 6
/// forge-config: deep.fuzz.runs = 200
contract LeanBatchOfThreeVariantTest is LeanBareBase {
    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        bytes[] memory proofs = new bytes[](3);
        uint256[][] memory batch = new uint256[][](3);
        (proofs[0], proofs[1], proofs[2]) = (model.again.proof, proof, model.first.proof);
        (batch[0], batch[1], batch[2]) = (model.again.instances, instances, model.first.instances);
        require(model.bare.verifyMany(proofs, batch), "false");
    }

    function _refusalGas() internal pure override returns (uint256) {
        return 1_300_000;
    }
}

/// @notice The adapter over the lean verifier.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanAdapterVariantTest is AdapterVariantTest {
    function _lean() internal pure override returns (bool) {
        return true;
    }
}

/// @notice The adapter over the lean verifier of a model with many inputs.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanCreditAdapterVariantTest is CreditAdapterVariantTest {
    function _lean() internal pure override returns (bool) {
        return true;
    }
}

/// @notice The adapter over the lean verifier, which takes packed instances as they are.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanAdapterPackedVariantTest is AdapterPackedVariantTest {
    function _lean() internal pure override returns (bool) {
        return true;
    }
}

/// @notice The router over the lean verifier.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanRouterVariantTest is RouterVariantTest {
    function _lean() internal pure override returns (bool) {
        return true;
    }
}

/// @notice The ledger over the lean verifier.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanLedgerVariantTest is LedgerVariantTest {
    function _lean() internal pure override returns (bool) {
        return true;
    }
}

/// @notice The ledger over the lean verifier, with packed instances.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanLedgerPackedVariantTest is LedgerPackedVariantTest {
    function _lean() internal pure override returns (bool) {
        return true;
    }
}

/// @notice A batch of one through an adapter that has no batch verifier.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract AdapterManyVariantTest is NegativeTestBase {
    ModelVerifier internal adapter;

    function _deploy() internal override {
        adapter = deployAdapter(model);
    }

    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        (bytes[] memory proofs, uint256[][] memory batch) = batchOf(proof, instances);
        adapter.verifyMany(proofs, batch);
    }
}

/// @notice A batch of one through an adapter with the lean batch verifier.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanAdapterManyVariantTest is AdapterManyVariantTest {
    function _lean() internal pure override returns (bool) {
        return true;
    }
}

/// @notice Batches behind the router, with a guardian.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanRouterBatchVariantTest is NegativeTestBase {
    ModelRouter internal router;
    bytes32 internal modelId;

    function _lean() internal pure override returns (bool) {
        return true;
    }

    function _deploy() internal override {
        router = deployRouter();
        ModelArgs memory args = argsOf(model);
        args.guardian = guardian;
        modelId = addTo(router, args, model.first).modelId();
    }

    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal view override {
        (bytes[] memory proofs, uint256[][] memory batch) = batchOf(proof, instances);
        router.verifyBatch(modelId, proofs, batch);
    }
}

/// @notice Batches of two, the mutant first, the whole way through the ledger.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanLedgerBatchVariantTest is NegativeTestBase {
    PredictionLedger internal ledger;
    bytes32 internal modelId;
    uint256 internal nonce;

    function _lean() internal pure override returns (bool) {
        return true;
    }

    function _deploy() internal override {
        (ModelRouter router, ModelVerifier adapter) = deployRouter(model);
        modelId = adapter.modelId();
        ledger = new PredictionLedger(router);
    }

    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal override {
        bytes[] memory proofs = new bytes[](2);
        uint256[][] memory batch = new uint256[][](2);
        (proofs[0], proofs[1]) = (proof, model.again.proof);
        (batch[0], batch[1]) = (instances, model.again.instances);
        _record(bytes32(nonce++), proofs, batch);
    }

    function _record(
        bytes32 context,
        bytes[] memory proofs,
        uint256[][] memory batch
    ) internal virtual {
        ledger.recordBatch(modelId, context, 2, proofs, batch);
    }

    function _refusalGas() internal pure virtual override returns (uint256) {
        return 900_000;
    }
}

/// @notice The same with packed instances.
/// forge-config: default.fuzz.runs = 12
/// forge-config: deep.fuzz.runs = 400
contract LeanLedgerBatchPackedVariantTest is LeanLedgerBatchVariantTest {
    function _record(
        bytes32 context,
        bytes[] memory proofs,
        uint256[][] memory batch
    ) internal override {
        bytes[] memory packed = new bytes[](2);
        bool fits;
        (fits, packed[0]) = tryPacked(model, batch[0]);
        packed[1] = packedOf(model, batch[1]);
        if (fits) ledger.recordBatchPacked(modelId, context, 2, proofs, packed);
        else super._record(context, proofs, batch);
    }

    /// @dev The suite's own packing of the instances is measured, too.
    function _refusalGas() internal pure override returns (uint256) {
        return 1_500_000;
    }
}
