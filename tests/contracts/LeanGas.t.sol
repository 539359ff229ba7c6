// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model, Proof} from "./Fixtures.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {IModelVerifierErrors} from "zkvouch/interfaces/IModelVerifier.sol";

/// @notice Gas decides nothing about a proof, with the lean verifiers too: alone, in batches, at the cap that the
/// command works out.
contract LeanGasTest is Fixtures {
    Model internal model;
    ModelVerifier internal adapter;

    function setUp() public {
        model = loadLean("tree");
        adapter = deployAdapter(model);
    }

    /// forge-config: default.fuzz.runs = 512
    function testFuzz_NoAmountOfGasMakesAProofInvalid(
        uint256 gas
    ) public view {
        gas = bound(gas, 25_000, 2_000_000);
        _neverInvalid(abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances)), gas, 520_000);
    }

    /// forge-config: default.fuzz.runs = 256
    function testFuzz_NoAmountOfGasMakesABatchInvalid(
        uint256 gas
    ) public view {
        gas = bound(gas, 25_000, 6_000_000);
        _neverInvalid(_batch(), gas, 1_000_000);
    }

    /// @dev Gas by gas around the least that does, where the pairing runs dry.
    function test_NoneAroundTheLeastThatDoes() public view {
        bytes[2] memory calls = [abi.encodeCall(adapter.verify, (model.first.proof, model.first.instances)), _batch()];
        for (uint256 i = 0; i < 2; ++i) {
            (uint256 low, uint256 high) = (50_000, 6_000_000);
            while (high - low > 1) {
                uint256 middle = (low + high) / 2;
                (bool ok,) = address(adapter).staticcall{gas: middle}(calls[i]);
                if (ok) high = middle;
                else low = middle;
            }
            for (uint256 gas = high - 1200; gas < high; gas += 7) {
                _neverInvalid(calls[i], gas, type(uint256).max);
            }
        }
    }

    /// @dev A proof of ever more points off the curve is called invalid, and not a lack of gas, at the cap that the
    /// command works out: five quarters of the dearest refusal, as a whole transaction, in steps of 50,000.
    function test_BadPointsAreInvalidAtTheDefaultCap() public {
        string[2] memory names = ["tree", "credit"];
        for (uint256 i = 0; i < names.length; ++i) {
            for (uint256 lean = 0; lean < 2; ++lean) {
                Model memory m = lean == 1 ? loadLean(names[i]) : loadModel(names[i]);
                _badPoints(m);
            }
        }
    }

    function _badPoints(
        Model memory m
    ) private {
        bytes[] memory bad = _withBadPoints(m.first.proof);
        assertGt(bad.length, 10);
        uint256 dearest;
        for (uint256 i = 0; i < bad.length; ++i) {
            (bool ok, uint256 used) =
                _gasOf(address(m.bare), abi.encodeCall(m.bare.verifyProof, (bad[i], m.first.instances)));
            assertFalse(ok);
            if (used > dearest) dearest = used;
        }
        (, uint256 valid) =
            _gasOf(address(m.bare), abi.encodeCall(m.bare.verifyProof, (m.first.proof, m.first.instances)));
        uint256 cap = valid * 3 / 2 > dearest * 5 / 4 ? valid * 3 / 2 : dearest * 5 / 4;
        cap = (cap + 49_999) / 50_000 * 50_000;
        ModelVerifier tight = deployAdapter(m, cap, m.descriptor);
        bytes memory invalid = abi.encodeWithSelector(IModelVerifierErrors.InvalidProof.selector, tight.modelId());
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(invalid);
            tight.verify(bad[i], m.first.instances);
            for (uint256 size = 1; size < 4; size += 2) {
                bytes[] memory proofs = new bytes[](size);
                uint256[][] memory instances = new uint256[][](size);
                for (uint256 k = 0; k < size; ++k) {
                    (proofs[k], instances[k]) = (bad[i], m.first.instances);
                }
                vm.expectRevert(invalid);
                tight.verifyMany(proofs, instances);
            }
        }
    }

    /// @dev The proof with its first point off the curve, with its first two, and so on.
    function _withBadPoints(
        bytes memory proof
    ) private pure returns (bytes[] memory list) {
        list = new bytes[](proof.length / 64);
        bytes memory bad = copyOf(proof);
        uint256 count;
        for (uint256 i = 0; i + 64 <= proof.length; i += 32) {
            uint256 x;
            uint256 y;
            assembly ("memory-safe") {
                x := mload(add(add(proof, 0x20), i))
                y := mload(add(add(proof, 0x40), i))
            }
            if (x >= Q || y >= Q || mulmod(y, y, Q) != addmod(mulmod(x, mulmod(x, x, Q), Q), 3, Q)) continue;
            bad[i + 63] ^= 0x01;
            list[count++] = copyOf(bad);
            i += 32;
        }
        assembly ("memory-safe") {
            mstore(list, count)
        }
    }

    function _batch() private view returns (bytes memory) {
        Proof[] memory items = new Proof[](3);
        (items[0], items[1], items[2]) = (model.first, model.again, model.first);
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
        return abi.encodeCall(adapter.verifyMany, (proofs, instances));
    }

    function _neverInvalid(
        bytes memory data,
        uint256 gas,
        uint256 enough
    ) private view {
        (bool success, bytes memory reason) = address(adapter).staticcall{gas: gas}(data);
        if (success) return;
        assertNotEq(bytes32(bytes4(reason)), bytes32(IModelVerifierErrors.InvalidProof.selector));
        // The adapter promises its whole cap, so it asks for more than the verification takes.
        if (gas > enough && gas - enough > adapter.GAS_CAP() * 3) revert("enough gas, and refused");
    }

    function _gasOf(
        address target,
        bytes memory data
    ) private view returns (bool ok, uint256 used) {
        uint256 before = gasleft();
        assembly ("memory-safe") {
            ok := staticcall(gas(), target, add(data, 0x20), mload(data), 0x00, 0x00)
        }
        used = before - gasleft();
    }
}
