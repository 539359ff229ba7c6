// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model, Proof} from "./Fixtures.sol";
import {ILeanErrors} from "./LeanErrors.sol";
import {IModelVerifierErrors} from "zkvouch/interfaces/IModelVerifier.sol";
import {IProofVerifier} from "zkvouch/interfaces/IProofVerifier.sol";

/// @notice Calls of the lean verifiers below the ABI: one encoding only is let in.
contract LeanEncodingTest is Fixtures, ILeanErrors {
    Model internal model;
    // Of the arrays' lengths in the canonical calldata of a batch of two.
    uint256 internal constant PROOFS_AT = 0x44;
    uint256 internal instancesAt;
    uint256 internal proofSize;
    uint256 internal instancesSize;

    function setUp() public {
        model = loadLean("tree");
        proofSize = 0x20 + model.proofLength;
        instancesSize = 0x20 + 0x20 * model.first.instances.length;
        instancesAt = PROOFS_AT + 0x60 + 2 * proofSize;
    }

    function test_SelectorsAreStable() public view {
        assertEq(bytes32(model.bare.verifyProof.selector), bytes32(bytes4(0x1e8e1e13)));
        assertEq(bytes32(model.bare.verifyMany.selector), bytes32(bytes4(0x71ff65ff)));
    }

    function test_OneRefusesNonCanonicalEncodings() public {
        bytes memory canonical = abi.encodeCall(model.bare.verifyProof, (model.first.proof, model.first.instances));
        uint256 length = model.proofLength;
        address one = address(model.bare);
        _accepted(one, canonical);
        _refused(one, bytes.concat(canonical, bytes32(0)));
        _refused(one, bytes.concat(canonical, bytes1(0)));
        _refused(one, _cut(canonical, 1));
        _refused(one, _cut(canonical, 32));
        _refused(one, _cut(canonical, canonical.length - 4));
        _refused(one, _with(canonical, 0x04, 0x20));
        _refused(one, _with(canonical, 0x24, 0x40));
        _refused(one, _with(canonical, 0x44, length - 1));
        _refused(one, _with(canonical, 0x44, length + 32));
        _refused(one, _with(canonical, 0x64 + length, model.first.instances.length - 1));
        for (uint256 bit = 32; bit < 256; bit += 7) {
            uint256 dirt = 1 << bit;
            _refused(one, _with(canonical, 0x04, 0x40 | dirt));
            _refused(one, _with(canonical, 0x24, (0x60 + length) | dirt));
            _refused(one, _with(canonical, 0x44, length | dirt));
            _refused(one, _with(canonical, 0x64 + length, model.first.instances.length | dirt));
        }
    }

    function test_ManyRefusesNonCanonicalEncodings() public {
        bytes memory canonical = _twice();
        address many = address(model.bare);
        _accepted(many, canonical);

        _refused(many, bytes.concat(canonical, bytes32(0)));
        _refused(many, bytes.concat(canonical, bytes1(0)));
        _refused(many, _cut(canonical, 1));
        _refused(many, _cut(canonical, 32));
        // Each offset and length too small and too great, and with a bit that an address has not.
        uint256[10] memory places = [
            uint256(0x04),
            0x24,
            PROOFS_AT,
            PROOFS_AT + 0x20,
            PROOFS_AT + 0x40,
            PROOFS_AT + 0x60 + proofSize,
            instancesAt,
            instancesAt + 0x20,
            instancesAt + 0x40,
            instancesAt + 0x60 + instancesSize
        ];
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 word = _wordAt(canonical, places[i]);
            _refused(many, _with(canonical, places[i], word - 1));
            _refused(many, _with(canonical, places[i], word + 1));
            _refused(many, _with(canonical, places[i], word + 0x20));
            for (uint256 bit = 32; bit < 256; bit += 7) {
                _refused(many, _with(canonical, places[i], word | (1 << bit)));
            }
        }
    }

    /// @dev Each decodes to the very same arguments.
    function test_ManyRefusesOtherLayouts() public {
        bytes memory canonical = _twice();
        address many = address(model.bare);
        bytes memory other = _with(canonical, PROOFS_AT + 0x20, 0x40 + proofSize);
        _refusedThoughDecodable(many, _with(other, PROOFS_AT + 0x40, 0x40));
        other = _with(canonical, instancesAt + 0x20, 0x40 + instancesSize);
        _refusedThoughDecodable(many, _with(other, instancesAt + 0x40, 0x40));
        // One element for both.
        _refusedThoughDecodable(many, _with(canonical, PROOFS_AT + 0x40, 0x40));
        _refusedThoughDecodable(many, _with(canonical, instancesAt + 0x40, 0x40));
        other = _with(_cut(canonical, instancesSize), instancesAt + 0x40, 0x40);
        _refusedThoughDecodable(many, other);
        // A gap between the arrays.
        other = bytes.concat(_cut(canonical, canonical.length - instancesAt), bytes32(0), _from(canonical, instancesAt));
        _refusedThoughDecodable(many, _with(other, 0x24, instancesAt + 0x20 - 4));
    }

    function test_ManyRefusesArraysOfDifferentLength() public {
        bytes[] memory proofs = new bytes[](2);
        (proofs[0], proofs[1]) = (model.first.proof, model.first.proof);
        uint256[][] memory instances = new uint256[][](1);
        instances[0] = model.first.instances;
        address many = address(model.bare);
        _refused(many, abi.encodeCall(model.bare.verifyMany, (proofs, instances)));
        instances = new uint256[][](3);
        (instances[0], instances[1], instances[2]) =
        (model.first.instances, model.first.instances, model.first.instances);
        _refused(many, abi.encodeCall(model.bare.verifyMany, (proofs, instances)));
        _refused(many, abi.encodeCall(model.bare.verifyMany, (proofs, new uint256[][](0))));
    }

    function test_ManyRefusesAnEmptyBatch() public {
        bytes4 empty = IModelVerifierErrors.EmptyBatch.selector;
        address many = address(model.bare);
        bytes memory call = abi.encodeCall(model.bare.verifyMany, (new bytes[](0), new uint256[][](0)));
        _refusedBy(many, call, empty);
        _refusedBy(many, _cut(call, 1), 0);
        call = abi.encodeCall(model.bare.verifyMany, (new bytes[](0), new uint256[][](1)));
        _refusedBy(many, call, empty);
        _refusedBy(many, abi.encodePacked(model.bare.verifyMany.selector), 0);
    }

    /// @dev More proofs than the calldata can have, where sums of offsets would wrap around.
    function testFuzz_ManyRefusesAWrongCount(
        uint256 count
    ) public {
        vm.assume(count > 2);
        bytes memory call = _with(_twice(), PROOFS_AT, count);
        _refused(address(model.bare), call);
        _refused(address(model.bare), _with(call, instancesAt, count));
    }

    /// @dev Neither knows another function, nor takes Ether.
    function test_KnowNothingElse() public {
        address[2] memory both = [address(model.bare), address(model.bare)];
        for (uint256 i = 0; i < 2; ++i) {
            (bool success,) = both[i].call("");
            assertFalse(success);
            (success,) = both[i].call(abi.encodeWithSelector(0x3409fc9f, 1));
            assertFalse(success);
            vm.deal(address(this), 1);
            bytes memory call =
                i == 0 ? abi.encodeCall(model.bare.verifyProof, (model.first.proof, model.first.instances)) : _twice();
            (success,) = both[i].call{value: 1}(call);
            assertFalse(success);
        }
    }

    function _twice() private view returns (bytes memory) {
        Proof[] memory items = new Proof[](2);
        (items[0], items[1]) = (model.first, model.first);
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
        return abi.encodeCall(model.bare.verifyMany, (proofs, instances));
    }

    function _accepted(
        address target,
        bytes memory data
    ) private view {
        (bool accepted, bytes memory answer) = target.staticcall(data);
        assertTrue(accepted);
        assertEq(answer, abi.encode(true));
    }

    /// @dev By its own error, or by nothing where the compiler's decoder finds an argument out of the calldata.
    function _refused(
        address target,
        bytes memory data
    ) private view {
        (bool accepted, bytes memory reason) = target.staticcall(data);
        assertFalse(accepted);
        if (reason.length != 0) assertEq(reason, abi.encodeWithSelector(CalldataNotCanonical.selector));
    }

    function _refusedBy(
        address target,
        bytes memory data,
        bytes4 expected
    ) private view {
        (bool accepted, bytes memory reason) = target.staticcall(data);
        assertFalse(accepted);
        assertEq(reason, expected == 0 ? bytes("") : abi.encodeWithSelector(expected));
    }

    function _refusedThoughDecodable(
        address target,
        bytes memory call
    ) private view {
        _refusedBy(target, call, CalldataNotCanonical.selector);
        (bytes[] memory proofs, uint256[][] memory instances) = abi.decode(_from(call, 4), (bytes[], uint256[][]));
        assertEq(abi.encodeCall(model.bare.verifyMany, (proofs, instances)), _twice());
    }

    function _with(
        bytes memory data,
        uint256 offset,
        uint256 word
    ) private pure returns (bytes memory copy) {
        copy = copyOf(data);
        assembly ("memory-safe") {
            mstore(add(add(copy, 0x20), offset), word)
        }
    }

    function _wordAt(
        bytes memory data,
        uint256 offset
    ) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), offset))
        }
    }

    function _cut(
        bytes memory data,
        uint256 by
    ) private pure returns (bytes memory copy) {
        copy = copyOf(data);
        assembly ("memory-safe") {
            mstore(copy, sub(mload(copy), by))
        }
    }

    function _from(
        bytes memory data,
        uint256 start
    ) private pure returns (bytes memory part) {
        part = new bytes(data.length - start);
        for (uint256 i = 0; i < part.length; ++i) {
            part[i] = data[start + i];
        }
    }
}

/// @notice What batches of several must refuse, and what they must not.
contract LeanBatchTest is Fixtures, ILeanErrors {
    Model internal model;
    Proof internal other;

    function setUp() public {
        model = loadLean("tree");
        other = loadProof("tree", "proof-1");
    }

    function test_AcceptsAnyOrderAndDuplicates() public view {
        Proof[] memory items = _four();
        _accepted(items);
        (items[0], items[2]) = (items[2], items[0]);
        _accepted(items);
        (items[1], items[3]) = (items[0], items[0]);
        _accepted(items);
    }

    /// @dev As many as one transaction has gas for.
    function test_AcceptsMany() public view {
        Proof[] memory items = new Proof[](32);
        for (uint256 i = 0; i < items.length; ++i) {
            items[i] = i % 3 == 0 ? model.first : i % 3 == 1 ? model.again : other;
        }
        _accepted(items);
        items[17].instances = model.first.instances;
        items[17].proof = other.proof;
        _refused(items, ProofRejected.selector);
    }

    /// @dev Wherever the bad one stands, and whatever is wrong with it.
    function test_RefusesOneBadProofAtEachPlace() public view {
        for (uint256 place = 0; place < 4; ++place) {
            Proof[] memory items = _four();
            items[place].instances = copyOf(items[place].instances);
            items[place].instances[0] = addmod(items[place].instances[0], 1, R);
            _refused(items, ProofRejected.selector);

            items = _four();
            items[place].instances = copyOf(items[place].instances);
            items[place].instances[6] += R;
            _refused(items, InputNotCanonical.selector);

            items = _four();
            items[place].proof = copyOf(items[place].proof);
            items[place].proof[31] ^= 0x01;
            _refused(items, InvalidPoint.selector);

            // The last point, W', which the proof's own transcript does not absorb.
            items = _four();
            items[place].proof = _moved(items[place].proof, 1);
            _refused(items, ProofRejected.selector);

            items = _four();
            items[place].proof = bytes.concat(items[place].proof, bytes32(0));
            _refused(items, CalldataNotCanonical.selector);
        }
    }

    function test_RefusesExchangedInstances() public view {
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 j = 0; j < i; ++j) {
                Proof[] memory items = _four();
                (items[i].instances, items[j].instances) = (items[j].instances, items[i].instances);
                // Two proofs of one prediction have the same ones.
                bool same = keccak256(abi.encode(items[i].instances)) == keccak256(abi.encode(items[j].instances));
                if (same) _accepted(items);
                else _refused(items, ProofRejected.selector);
            }
        }
    }

    function test_RefusesExchangedProofs() public view {
        Proof[] memory items = _four();
        (items[0].proof, items[2].proof) = (items[2].proof, items[0].proof);
        _refused(items, ProofRejected.selector);
    }

    /// @dev Errors that would cancel if the proofs were simply added: what one has too much, the other has too little.
    /// forge-config: default.fuzz.runs = 64
    /// forge-config: deep.fuzz.runs = 2000
    function testFuzz_RefusesErrorsThatCancel(
        uint256 factor
    ) public view {
        factor = bound(factor, 1, R - 1);
        Proof[] memory items = new Proof[](2);
        // Of two predictions, of one by two proofs, and of one proof.
        Proof[3] memory partners = [other, model.again, model.first];
        for (uint256 i = 0; i < 3; ++i) {
            items[0] = Proof(_moved(model.first.proof, factor), model.first.instances, new string[](0));
            items[1] = Proof(_moved(partners[i].proof, R - factor), partners[i].instances, new string[](0));
            _refused(items, ProofRejected.selector);
            (items[0], items[1]) = (items[1], items[0]);
            _refused(items, ProofRejected.selector);
            // Unmoved they are fine together.
            (items[0], items[1]) = (model.first, partners[i]);
            _accepted(items);
        }
    }

    function test_RefusesASiblingsProof() public view {
        Proof[] memory items = _four();
        items[3] = loadProof("sibling", "proof-0");
        _refused(items, ProofRejected.selector);
    }

    /// @dev One bad point costs a batch no more than its precompile's cap; even a proof of nothing but bad points is
    /// bounded by the caps of the calls that its points go through.
    function test_RefusalsAreBoundedByTheCaps() public view {
        Proof[] memory items = _four();
        uint256 valid = _gasOf(items);
        uint256 points;
        bytes memory proof = items[0].proof;
        for (uint256 i = 0; i + 64 <= proof.length; i += 32) {
            if (!_isPoint(proof, i)) continue;
            ++points;
            items = _four();
            items[1].proof = copyOf(proof);
            items[1].proof[i + 63] ^= 0x01;
            assertLe(_gasOf(items), valid + 33_000, "a point off the curve");
            i += 32;
        }
        assertGt(points, 10);
        items = _four();
        items[1].proof = copyOf(proof);
        for (uint256 i = 0; i + 64 <= proof.length; i += 32) {
            if (!_isPoint(proof, i)) continue;
            items[1].proof[i + 63] ^= 0x01;
            i += 32;
        }
        assertLe(_gasOf(items), valid + 2 * points * 33_000, "all points off the curve");
    }

    function _isPoint(
        bytes memory proof,
        uint256 offset
    ) private pure returns (bool) {
        uint256 x;
        uint256 y;
        assembly ("memory-safe") {
            x := mload(add(add(proof, 0x20), offset))
            y := mload(add(add(proof, 0x40), offset))
        }
        return x < Q && y < Q && mulmod(y, y, Q) == addmod(mulmod(x, mulmod(x, x, Q), Q), 3, Q);
    }

    function _gasOf(
        Proof[] memory items
    ) private view returns (uint256 used) {
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
        bytes memory data = abi.encodeCall(model.bare.verifyMany, (proofs, instances));
        address target = address(model.bare);
        uint256 before = gasleft();
        assembly ("memory-safe") {
            pop(staticcall(gas(), target, add(data, 0x20), mload(data), 0x00, 0x00))
        }
        return before - gasleft();
    }

    function _four() private view returns (Proof[] memory items) {
        items = new Proof[](4);
        (items[0], items[1], items[2], items[3]) = (model.first, model.again, other, model.first);
    }

    /// @dev The last point plus a multiple of the generator.
    function _moved(
        bytes memory proof,
        uint256 factor
    ) private view returns (bytes memory moved) {
        moved = copyOf(proof);
        uint256 x;
        uint256 y;
        assembly ("memory-safe") {
            let at := add(moved, sub(mload(moved), 0x20))
            x := mload(at)
            y := mload(add(at, 0x20))
        }
        (, bytes memory product) = address(7).staticcall(abi.encode(1, 2, factor));
        (, bytes memory sum) = address(6).staticcall(bytes.concat(abi.encode(x, y), product));
        (x, y) = abi.decode(sum, (uint256, uint256));
        assembly ("memory-safe") {
            let at := add(moved, sub(mload(moved), 0x20))
            mstore(at, x)
            mstore(add(at, 0x20), y)
        }
    }

    function _accepted(
        Proof[] memory items
    ) private view {
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
        assertTrue(model.bare.verifyMany(proofs, instances));
    }

    function _refused(
        Proof[] memory items,
        bytes4 expected
    ) private view {
        (bytes[] memory proofs, uint256[][] memory instances) = batchOf(items);
        try model.bare.verifyMany(proofs, instances) returns (bool) {
            revert("a bad batch was accepted");
        } catch (bytes memory reason) {
            assertEq(reason, abi.encodeWithSelector(expected));
        }
    }
}

/// @notice The lean verifiers accept exactly what ezkl's accepts.
abstract contract DifferentialBase is Fixtures {
    Model internal model;
    IProofVerifier internal ezkl;
    Proof[] internal valid;

    function _fixture() internal pure virtual returns (string memory);

    function setUp() public {
        model = loadLean(_fixture());
        ezkl = IProofVerifier(deployBare(_fixture()));
        valid.push(model.first);
        valid.push(model.again);
    }

    /// @dev One to three changes, of any kind, some of which change nothing.
    function testFuzz_LeanAcceptsWhatEzklAccepts(
        uint256 seed
    ) public view {
        Proof memory item = valid[seed % 2];
        bytes memory proof = copyOf(item.proof);
        uint256[] memory instances = copyOf(item.instances);
        uint256 changes = (seed >> 8) % 4;
        for (uint256 i = 0; i < changes; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            if (random % 4 == 0) _changeInstance(instances, random >> 2);
            else proof = _changeProof(proof, random >> 2);
        }
        bool expected = _accepts(abi.encodeCall(ezkl.verifyProof, (proof, instances)), address(ezkl));
        if (changes == 0) assertTrue(expected);
        bool one = _accepts(abi.encodeCall(model.bare.verifyProof, (proof, instances)), address(model.bare));
        assertEq(one, expected, "the lean verifier differs");

        Proof[] memory items = new Proof[](2);
        items[(seed >> 16) % 2] = Proof(proof, instances, new string[](0));
        items[1 - (seed >> 16) % 2] = valid[(seed >> 17) % 2];
        (bytes[] memory proofs, uint256[][] memory batch) = batchOf(items);
        bool many = _accepts(abi.encodeCall(model.bare.verifyMany, (proofs, batch)), address(model.bare));
        assertEq(many, expected, "the lean batch verifier differs");
    }

    function _changeInstance(
        uint256[] memory instances,
        uint256 random
    ) private view {
        uint256 index = (random >> 8) % instances.length;
        uint256 kind = random % 7;
        uint256 value = instances[index];
        if (kind == 0) value = addmod(value, 1, R);
        if (kind == 1) value = addmod(R - 1, value, R);
        if (kind == 2 && value != 0 && value < R) value = R - value;
        // It may be any word after an earlier change.
        if (kind == 3) {
            unchecked {
                value += R;
            }
        }
        if (kind == 4) value = random;
        if (kind == 5) value = valid[random % 2].instances[index];
        if (kind == 6) {
            uint256 second = (random >> 16) % instances.length;
            (value, instances[second]) = (instances[second], value);
        }
        instances[index] = value;
    }

    function _changeProof(
        bytes memory proof,
        uint256 random
    ) private view returns (bytes memory) {
        uint256 kind = random % 10;
        uint256 words = proof.length / 32;
        uint256 at = 32 * ((random >> 8) % words);
        uint256 value = _get(proof, at);
        if (kind == 0) value = addmod(value, 1, R);
        if (kind == 1) value = value < R ? R - value : value;
        if (kind == 2) value = value < Q ? Q - value : value;
        if (kind == 3) {
            unchecked {
                value += R;
            }
        }
        if (kind == 4) {
            unchecked {
                value += Q;
            }
        }
        if (kind == 5) value = random;
        // Another valid proof's word, or the very same.
        if (kind == 6) value = _get(valid[random % 2].proof, at);
        if (kind == 7) value = 0;
        if (kind == 8) value ^= 1 << (random >> 248);
        if (kind == 9) {
            uint256 second = 32 * ((random >> 16) % words);
            uint256 word = _get(proof, second);
            _set(proof, second, value);
            value = word;
        }
        _set(proof, at, value);
        // Rarely another length.
        if ((random >> 24) % 32 == 0) proof = bytes.concat(proof, bytes32(random));
        return proof;
    }

    function _accepts(
        bytes memory call,
        address target
    ) private view returns (bool accepted) {
        bytes memory answer;
        (accepted, answer) = target.staticcall(call);
        if (accepted) assertEq(answer, abi.encode(true));
    }

    function _get(
        bytes memory data,
        uint256 offset
    ) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), offset))
        }
    }

    function _set(
        bytes memory data,
        uint256 offset,
        uint256 word
    ) private pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 0x20), offset), word)
        }
    }
}

/// forge-config: default.fuzz.runs = 128
/// forge-config: deep.fuzz.runs = 5000
contract TreeDifferentialTest is DifferentialBase {
    function _fixture() internal pure override returns (string memory) {
        return "tree";
    }
}

/// forge-config: default.fuzz.runs = 128
/// forge-config: deep.fuzz.runs = 5000
contract CreditDifferentialTest is DifferentialBase {
    function _fixture() internal pure override returns (string memory) {
        return "credit";
    }
}

/// forge-config: default.fuzz.runs = 128
/// forge-config: deep.fuzz.runs = 5000
contract HashedDifferentialTest is DifferentialBase {
    function _fixture() internal pure override returns (string memory) {
        return "hashed";
    }
}
