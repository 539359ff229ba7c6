// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model, Proof} from "./Fixtures.sol";
import {IModelVerifierErrors} from "zkvouch/interfaces/IModelVerifier.sol";

/// @title What every way to a verifier must refuse, and by which error
/// @notice A variant says how it is set up and how it is called. Each test starts from a proof that the variant
/// accepts, so that nothing is refused for another reason. Foundry reads a function's inline configuration only where
/// the function stands, so each variant says itself how often it runs the fuzzed ones: a run is 1 to 40 verifications.
abstract contract NegativeTestBase is Fixtures, IModelVerifierErrors {
    Model internal model;
    // Where the proof has curve points; every other word is a scalar.
    uint256[] internal points;
    uint256[] internal scalars;

    /// @dev Deploys the variant for `model`.
    function _deploy() internal virtual;

    /// @dev Asks the variant, in a call of its own that reverts if the proof is refused.
    function _verify(
        bytes memory proof,
        uint256[] memory instances
    ) internal virtual;

    /// @dev The fixture to use.
    function _fixture() internal pure virtual returns (string memory) {
        return "tree";
    }

    /// @dev Whether it stands over the lean verifiers, not ezkl's.
    function _lean() internal pure virtual returns (bool) {
        return false;
    }

    /// @dev The error by which this variant refuses, given that of the adapter.
    function _expected(
        bytes4 selector,
        bytes memory,
        uint256[] memory
    ) internal view virtual returns (bytes4) {
        return selector;
    }

    /// @dev The most gas that a refusal may take: a point off the curve must not burn all of it.
    function _refusalGas() internal pure virtual returns (uint256) {
        return 800_000;
    }

    function setUp() public virtual {
        model = _lean() ? loadLean(_fixture()) : loadModel(_fixture());
        _findPoints(model.first.proof);
        _deploy();
    }

    // ------------------------------------------------------------------------------------------ the valid proofs

    function test_AcceptsTheProof() public {
        _verify(model.first.proof, model.first.instances);
    }

    function test_AcceptsAnotherProofOfTheSame() public {
        assertNotEq(keccak256(model.first.proof), keccak256(model.again.proof), "the proofs are the same bytes");
        _verify(model.again.proof, model.again.instances);
    }

    // ------------------------------------------------------------------------------------------ bytes and lengths

    /// @dev A changed byte in a coordinate leaves the curve, in a scalar it fails the pairing. One run takes every
    /// 97th byte, a number without a factor in common with 32, so that a few runs meet every byte of a word.
    function testFuzz_RefusesAChangedByte(
        uint256 lane,
        uint8 change
    ) public {
        vm.assume(change != 0);
        bytes memory proof = copyOf(model.first.proof);
        for (uint256 i = lane % 97; i < proof.length; i += 97) {
            proof[i] ^= bytes1(change);
            _refused(proof, model.first.instances, InvalidProof.selector);
            proof[i] ^= bytes1(change);
        }
    }

    function testFuzz_RefusesATruncatedProof(
        uint256 length
    ) public {
        bytes memory proof = copyOf(model.first.proof);
        length = bound(length, 0, proof.length - 1);
        assembly ("memory-safe") {
            mstore(proof, length)
        }
        _refused(proof, model.first.instances, ProofLengthMismatch.selector);
    }

    function testFuzz_RefusesAnExtendedProof(
        bytes memory tail
    ) public {
        vm.assume(tail.length != 0);
        _refused(bytes.concat(model.first.proof, tail), model.first.instances, ProofLengthMismatch.selector);
    }

    function test_RefusesAWordMoreOrLess() public {
        bytes memory proof = copyOf(model.first.proof);
        _refused(bytes.concat(proof, bytes1(0)), model.first.instances, ProofLengthMismatch.selector);
        _refused(bytes.concat(proof, bytes32(0)), model.first.instances, ProofLengthMismatch.selector);
        _refused(bytes.concat(bytes32(0), proof), model.first.instances, ProofLengthMismatch.selector);
        assembly ("memory-safe") {
            mstore(proof, sub(mload(proof), 0x20))
        }
        _refused(proof, model.first.instances, ProofLengthMismatch.selector);
    }

    function test_RefusesAnEmptyProof() public {
        _refused("", model.first.instances, ProofLengthMismatch.selector);
    }

    function testFuzz_RefusesNoise(
        uint256 seed
    ) public {
        bytes memory proof = new bytes(model.first.proof.length);
        for (uint256 i = 0; i < proof.length; i += 32) {
            bytes32 word = keccak256(abi.encode(seed, i));
            assembly ("memory-safe") {
                mstore(add(add(proof, 0x20), i), word)
            }
        }
        _refused(proof, model.first.instances, InvalidProof.selector);
        _refused(new bytes(proof.length), model.first.instances, InvalidProof.selector);
    }

    // ------------------------------------------------------------------------------------------ instances

    /// @dev A pairing each: the instance is in the field, only wrong.
    function testFuzz_RefusesAChangedInstance(
        uint256 index,
        uint256 value
    ) public {
        uint256[] memory instances = copyOf(model.first.instances);
        index = index % instances.length;
        value = bound(value, 0, R - 1);
        vm.assume(value != instances[index]);
        instances[index] = value;
        _refused(model.first.proof, instances, InvalidProof.selector);
    }

    function test_RefusesEachInstanceChanged() public {
        uint256[] memory instances = copyOf(model.first.instances);
        for (uint256 i = 0; i < instances.length; ++i) {
            uint256 value = instances[i];
            instances[i] = addmod(value, 1, R);
            _refused(model.first.proof, instances, InvalidProof.selector);
            instances[i] = addmod(value, R - 1, R);
            _refused(model.first.proof, instances, InvalidProof.selector);
            instances[i] = value;
        }
    }

    /// @dev The same residue, another word: another id for the same prediction, if it were let in.
    function test_RefusesEachInstancePlusTheModulus() public {
        uint256[] memory instances = copyOf(model.first.instances);
        for (uint256 i = 0; i < instances.length; ++i) {
            uint256 value = instances[i];
            // As often as it fits a word: up to five times.
            for (uint256 k = 1; k <= (type(uint256).max - value) / R; ++k) {
                instances[i] = value + k * R;
                _refused(model.first.proof, instances, InstanceOutOfField.selector);
            }
            instances[i] = value;
        }
    }

    function testFuzz_RefusesAnInstanceOutOfTheField(
        uint256 index,
        uint256 value
    ) public {
        uint256[] memory instances = copyOf(model.first.instances);
        instances[index % instances.length] = bound(value, R, type(uint256).max);
        _refused(model.first.proof, instances, InstanceOutOfField.selector);
    }

    function test_RefusesTheModulusAndTheGreatestWord() public {
        uint256[] memory instances = copyOf(model.first.instances);
        for (uint256 i = 0; i < instances.length; ++i) {
            uint256 value = instances[i];
            instances[i] = R;
            _refused(model.first.proof, instances, InstanceOutOfField.selector);
            instances[i] = type(uint256).max;
            _refused(model.first.proof, instances, InstanceOutOfField.selector);
            instances[i] = value;
        }
    }

    function test_RefusesSwappedInstances() public {
        uint256[] memory instances = copyOf(model.first.instances);
        (instances[0], instances[1]) = (instances[1], instances[0]);
        assertNotEq(instances[0], instances[1], "the fixture's first two instances are equal");
        _refused(model.first.proof, instances, InvalidProof.selector);
    }

    function testFuzz_RefusesAnotherNumberOfInstances(
        uint256 count
    ) public {
        count = bound(count, 0, 2 * model.first.instances.length);
        vm.assume(count != model.first.instances.length);
        uint256[] memory instances = new uint256[](count);
        for (uint256 i = 0; i < count && i < model.first.instances.length; ++i) {
            instances[i] = model.first.instances[i];
        }
        _refused(model.first.proof, instances, InstanceCountMismatch.selector);
    }

    // ------------------------------------------------------------------------------------------ points and scalars

    /// @dev The verifier checks the curve equation itself, before a precompile would burn the gas.
    function testFuzz_RefusesAPointOffTheCurve(
        uint256 which,
        uint256 x,
        uint256 y
    ) public {
        (x, y) = (bound(x, 0, Q - 1), bound(y, 0, Q - 1));
        vm.assume(!_onCurve(x, y));
        _pointRefused(points[which % points.length], x, y);
    }

    /// @dev On the curve and in the field: only the pairing can tell.
    function test_RefusesEachPointNegatedOrMoved() public {
        for (uint256 i = 0; i < points.length; ++i) {
            (uint256 x, uint256 y) = _pointAt(points[i]);
            _pointRefused(points[i], x, Q - y);
            (x, y) = _addGenerator(x, y);
            assertTrue(_onCurve(x, y));
            _pointRefused(points[i], x, y);
        }
    }

    /// @dev Another name of the same point: a second proof by changing bytes, if it were let in.
    function test_RefusesEachCoordinateOutOfTheField() public {
        for (uint256 i = 0; i < points.length; ++i) {
            (uint256 x, uint256 y) = _pointAt(points[i]);
            _pointRefused(points[i], x + Q, y);
            _pointRefused(points[i], x, y + Q);
            _pointRefused(points[i], x + 2 * Q, y + 2 * Q);
            _pointRefused(points[i], type(uint256).max, type(uint256).max);
        }
    }

    /// @dev (0, 0) is how the precompiles write it; q and 2q are other names of zero.
    function test_RefusesThePointAtInfinity() public {
        for (uint256 i = 0; i < points.length; ++i) {
            _pointRefused(points[i], 0, 0);
            _pointRefused(points[i], Q, Q);
            _pointRefused(points[i], 2 * Q, 2 * Q);
            _pointRefused(points[i], 0, 1);
        }
    }

    /// @dev A point that is used in the place of another one.
    function test_RefusesExchangedPoints() public {
        for (uint256 i = 0; i + 1 < points.length; ++i) {
            (uint256 x, uint256 y) = _pointAt(points[i]);
            (uint256 nextX,) = _pointAt(points[i + 1]);
            if (x != nextX) _pointRefused(points[i + 1], x, y);
        }
    }

    function test_RefusesEachScalarChanged() public {
        for (uint256 i = 0; i < scalars.length; ++i) {
            uint256 value = _wordAt(scalars[i]);
            _wordRefused(scalars[i], addmod(value, 1, R));
        }
    }

    function test_RefusesEachScalarOutOfTheField() public {
        for (uint256 i = 0; i < scalars.length; ++i) {
            uint256 value = _wordAt(scalars[i]);
            for (uint256 k = 1; k <= (type(uint256).max - value) / R; ++k) {
                _wordRefused(scalars[i], value + k * R);
            }
            _wordRefused(scalars[i], R);
            _wordRefused(scalars[i], type(uint256).max);
        }
    }

    // ------------------------------------------------------------------------------------------ other proofs

    /// @dev The same shape, another verifying key.
    function test_RefusesASiblingsProof() public virtual {
        Proof memory other = loadProof("sibling", "proof-0");
        assertEq(other.proof.length, model.proofLength, "the sibling's proof has another length");
        _refused(other.proof, other.instances, InvalidProof.selector);
        _refused(other.proof, model.first.instances, InvalidProof.selector);
    }

    function test_RefusesAnotherModelsProof() public {
        Proof memory other = loadProof("hashed", "proof-0");
        _refused(other.proof, other.instances, ProofLengthMismatch.selector);
        _refused(other.proof, model.first.instances, ProofLengthMismatch.selector);
    }

    function test_RefusesTheModelsOtherObservation() public {
        Proof memory other = loadProof(_fixture(), "proof-1");
        _refused(other.proof, model.first.instances, InvalidProof.selector);
        _refused(model.first.proof, other.instances, InvalidProof.selector);
        _verify(other.proof, other.instances);
    }

    // ------------------------------------------------------------------------------------------ helpers

    /// @dev For this suite's own calls, each in a context of its own.
    function attempt(
        bytes memory proof,
        uint256[] memory instances
    ) external {
        require(msg.sender == address(this), "only the suite itself");
        _verify(proof, instances);
    }

    function _refused(
        bytes memory proof,
        uint256[] memory instances,
        bytes4 selector
    ) internal {
        uint256 before = gasleft();
        try this.attempt(proof, instances) {
            revert("a mutant was accepted");
        } catch (bytes memory reason) {
            assertLe(before - gasleft(), _refusalGas(), "the refusal took too much gas");
            bytes4 expected = _expected(selector, proof, instances);
            assertEq(bytes32(bytes4(reason)), bytes32(expected), "refused by another error");
        }
    }

    function _pointRefused(
        uint256 offset,
        uint256 x,
        uint256 y
    ) internal {
        bytes memory proof = copyOf(model.first.proof);
        assembly ("memory-safe") {
            mstore(add(add(proof, 0x20), offset), x)
            mstore(add(add(proof, 0x40), offset), y)
        }
        _refused(proof, model.first.instances, InvalidProof.selector);
    }

    function _wordRefused(
        uint256 offset,
        uint256 value
    ) internal {
        bytes memory proof = copyOf(model.first.proof);
        assembly ("memory-safe") {
            mstore(add(add(proof, 0x20), offset), value)
        }
        _refused(proof, model.first.instances, InvalidProof.selector);
    }

    function _findPoints(
        bytes memory proof
    ) internal {
        for (uint256 i = 0; i < proof.length;) {
            (uint256 x, uint256 y) = i + 64 <= proof.length ? _pointAt(i) : (uint256(0), uint256(0));
            if (_onCurve(x, y)) {
                points.push(i);
                i += 64;
            } else {
                scalars.push(i);
                i += 32;
            }
        }
        assertGt(points.length, 10, "hardly a point in the proof");
        assertGt(scalars.length, 10, "hardly a scalar in the proof");
    }

    function _wordAt(
        uint256 offset
    ) internal view returns (uint256 word) {
        bytes memory proof = model.first.proof;
        assembly ("memory-safe") {
            word := mload(add(add(proof, 0x20), offset))
        }
    }

    function _pointAt(
        uint256 offset
    ) internal view returns (uint256, uint256) {
        return (_wordAt(offset), _wordAt(offset + 32));
    }

    function _onCurve(
        uint256 x,
        uint256 y
    ) internal pure returns (bool) {
        if (x >= Q || y >= Q) return false;
        return mulmod(y, y, Q) == addmod(mulmod(x, mulmod(x, x, Q), Q), 3, Q);
    }

    function _addGenerator(
        uint256 x,
        uint256 y
    ) internal view returns (uint256, uint256) {
        (bool success, bytes memory sum) = address(6).staticcall(abi.encode(x, y, 1, 2));
        require(success, "ecAdd failed");
        return abi.decode(sum, (uint256, uint256));
    }
}
