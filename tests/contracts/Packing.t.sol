// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model, Proof} from "./Fixtures.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {Test} from "forge-std/Test.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {IModelVerifierErrors} from "zkvouch/interfaces/IModelVerifier.sol";
import {Instances} from "zkvouch/libraries/Instances.sol";
import {SchemaLib} from "zkvouch/libraries/SchemaLib.sol";

contract InstancesTest is Test, IModelVerifierErrors {
    using stdJson for string;

    uint256 internal constant R =
        21_888_242_871_839_275_222_246_405_745_257_275_088_548_364_400_416_034_343_698_204_186_575_808_495_617;

    // ------------------------------------------------------------------------------------------ shared vectors

    /// @dev The command is tested with the same file, which tests/fixtures/descriptor_vectors.py makes.
    function test_Vectors() public view {
        string memory json = vm.readFile("tests/fixtures/descriptor-vectors.json");
        uint256[] memory predictions = json.readUintArray(".predictions");
        uint256[] memory counts = json.readUintArray(".instanceCount");
        bytes[] memory descriptors = json.readBytesArray(".descriptor");
        bytes[] memory schemas = json.readBytesArray(".schema");
        bytes[] memory instances = json.readBytesArray(".instances");
        bytes[] memory packed = json.readBytesArray(".packed");
        bytes[] memory parts = json.readBytesArray(".parts");
        assertGt(descriptors.length, 50);
        for (uint256 i = 0; i < descriptors.length; ++i) {
            (bytes memory schema, uint256 total) = this.fromDescriptor(descriptors[i]);
            assertEq(schema, schemas[i]);
            assertEq(total, counts[i]);
            assertEq(SchemaLib.predictionsOf(schema), predictions[i]);
            _agree(schema, _words(instances[i]), packed[i], _words(parts[i]));
        }
    }

    function test_RefusedVectors() public view {
        bytes[] memory refused = vm.readFile("tests/fixtures/descriptor-vectors.json").readBytesArray(".refused");
        assertGt(refused.length, 20);
        for (uint256 i = 0; i < refused.length; ++i) {
            try this.fromDescriptor(refused[i]) {
                revert(string.concat("accepted: ", vm.toString(refused[i])));
            } catch {}
        }
    }

    function _agree(
        bytes memory schema,
        uint256[] memory words,
        bytes memory packed,
        uint256[] memory parts
    ) private view {
        (uint256 count, uint256 size) = Instances.sizes(schema);
        assertEq(count, words.length);
        assertEq(size, packed.length);
        (bool fits, bytes memory found) = Instances.tryPack(schema, words);
        assertTrue(fits);
        assertEq(found, packed);
        assertEq(abi.encode(this.unpack(schema, packed)), abi.encode(words));
        this.requirePacked(schema, packed);

        // Of one proof, and of two.
        uint256[][] memory proofs = new uint256[][](2);
        bytes[] memory small = new bytes[](2);
        (proofs[0], proofs[1], small[0], small[1]) = (words, words, packed, packed);
        bytes memory both = abi.encode(_joined(parts, parts));
        assertEq(abi.encode(this.byPrediction(schema, proofs)), both);
        assertEq(abi.encode(this.byPrediction(schema, small)), both);

        uint256 length = Instances.partLength(schema);
        uint256 predictions = SchemaLib.predictionsOf(schema);
        assertEq(length * predictions, parts.length);
        for (uint256 i = 0; i < predictions; ++i) {
            uint256[] memory part = Instances.partOf(schema, parts, i);
            assertEq(part.length, length);
            for (uint256 j = 0; j < length; ++j) {
                assertEq(part[j], parts[i * length + j]);
            }
        }
    }

    // ------------------------------------------------------------------------------------------ widths

    /// @dev Both ends of each width, and the first numbers beyond them.
    function test_TheBoundsOfEachWidthAreExact() public view {
        for (uint256 width = 1; width <= 16; width *= 2) {
            bytes memory schema = _schema(uint8(width), 1);
            uint256 half = 1 << (8 * width - 1);
            uint256[5] memory inside = [uint256(0), 1, half - 1, R - 1, R - half];
            for (uint256 i = 0; i < inside.length; ++i) {
                (bool fits, bytes memory packed) = Instances.tryPack(schema, _one(inside[i]));
                assertTrue(fits);
                assertEq(packed.length, width);
                assertEq(this.unpack(schema, packed)[0], inside[i]);
            }
            uint256[5] memory outside = [half, R - half - 1, R / 2, R / 2 + 1, R];
            for (uint256 i = 0; i < outside.length; ++i) {
                (bool fits,) = Instances.tryPack(schema, _one(outside[i]));
                assertFalse(fits);
            }
        }
    }

    function test_SignsAndBytes() public view {
        assertEq(this.unpack(_schema(1, 1), hex"ff")[0], R - 1);
        assertEq(this.unpack(_schema(1, 1), hex"80")[0], R - 128);
        assertEq(this.unpack(_schema(2, 2), hex"0100fffe")[0], 256);
        assertEq(this.unpack(_schema(2, 2), hex"0100fffe")[1], R - 2);
        assertEq(this.unpack(_schema(4, 1), hex"80000000")[0], R - (1 << 31));
    }

    /// @dev One byte string for a vector of scalars: what is unpacked packs to the same bytes.
    function testFuzz_PackedIsOneToOne(
        uint256 seed,
        uint8 runs
    ) public view {
        bytes memory schema = hex"00000001";
        for (uint256 i = 0; i < 1 + runs % 5; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            uint8 width = uint8(1 << (random % 5));
            schema = abi.encodePacked(schema, uint8(2), int8(int256(i)), width, uint32(1 + (random >> 8) % 20));
        }
        (, uint256 size) = Instances.sizes(schema);
        bytes memory packed = new bytes(size);
        for (uint256 i = 0; i < size; ++i) {
            packed[i] = bytes1(uint8(uint256(keccak256(abi.encode(seed, "byte", i)))));
        }
        uint256[] memory words = this.unpack(schema, packed);
        for (uint256 i = 0; i < words.length; ++i) {
            assertLt(words[i], R);
        }
        (bool fits, bytes memory again) = Instances.tryPack(schema, words);
        assertTrue(fits);
        assertEq(again, packed);
    }

    /// @dev By a way of its own, without assembly.
    function testFuzz_UnpacksAsArithmeticDoes(
        int128 number,
        uint8 which
    ) public view {
        uint256 width = 1 << (which % 5);
        int256 half = int256(1) << (8 * width - 1);
        int256 value = number % half;
        bytes memory packed = new bytes(width);
        uint256 rest = value < 0 ? uint256(value + 2 * half) : uint256(value);
        for (uint256 i = width; i > 0; --i) {
            packed[i - 1] = bytes1(uint8(rest % 256));
            rest /= 256;
        }
        uint256 expected = value < 0 ? R - uint256(-value) : uint256(value);
        assertEq(this.unpack(_schema(uint8(width), 1), packed)[0], expected);
    }

    /// @dev A whole word is a scalar or refused, wherever it stands.
    function test_RevertAWholeWordThatIsNoScalar() public {
        bytes memory schema = hex"0000000200002000000001010020000000010200020000000203002000000001";
        (uint256 count, uint256 size) = Instances.sizes(schema);
        assertEq(count, 9);
        assertEq(size, 5 * 32 + 8);
        uint256[5] memory offsets = [uint256(0), 32, 64, 104, 136];
        uint256[5] memory indexes = [uint256(0), 1, 2, 7, 8];
        for (uint256 i = 0; i < 5; ++i) {
            bytes memory packed = new bytes(size);
            _write(packed, offsets[i], R - 1);
            this.requirePacked(schema, packed);
            assertEq(this.unpack(schema, packed)[indexes[i]], R - 1);
            _write(packed, offsets[i], R);
            vm.expectRevert(abi.encodeWithSelector(InstanceOutOfField.selector, indexes[i], R));
            this.requirePacked(schema, packed);
            if (i == 4) continue;
            _write(packed, offsets[4], type(uint256).max);
            vm.expectRevert(abi.encodeWithSelector(InstanceOutOfField.selector, indexes[i], R));
            this.requirePacked(schema, packed);
        }
    }

    function testFuzz_RevertAnyOtherLength(
        uint16 length
    ) public {
        bytes memory schema = _schema(4, 10);
        vm.assume(length != 40);
        bytes memory packed = new bytes(length);
        bytes memory reason = abi.encodeWithSelector(PackedLengthMismatch.selector, length, 40);
        vm.expectRevert(reason);
        this.unpack(schema, packed);
        vm.expectRevert(reason);
        this.requirePacked(schema, packed);
        bytes[] memory batch = new bytes[](1);
        batch[0] = packed;
        vm.expectRevert(reason);
        this.byPrediction(schema, batch);
    }

    function test_RevertAnotherNumberOfWords() public {
        bytes memory schema = _schema(4, 10);
        bytes memory reason = abi.encodeWithSelector(InstanceCountMismatch.selector, 9, 10);
        uint256[][] memory batch = new uint256[][](1);
        batch[0] = new uint256[](9);
        vm.expectRevert(reason);
        this.byPrediction(schema, batch);
        vm.expectRevert(reason);
        this.tryPack(schema, batch[0]);
    }

    // ------------------------------------------------------------------------------------------ helpers

    function fromDescriptor(
        bytes memory descriptor
    ) external pure returns (bytes memory, uint256) {
        return SchemaLib.fromDescriptor(descriptor);
    }

    function unpack(
        bytes memory schema,
        bytes calldata packed
    ) external pure returns (uint256[] memory) {
        return Instances.unpack(schema, packed);
    }

    function tryPack(
        bytes memory schema,
        uint256[] memory words
    ) external pure returns (bool, bytes memory) {
        return Instances.tryPack(schema, words);
    }

    function requirePacked(
        bytes memory schema,
        bytes calldata packed
    ) external pure {
        (, uint256 size) = Instances.sizes(schema);
        Instances.requirePacked(schema, packed, size);
    }

    function byPrediction(
        bytes memory schema,
        uint256[][] calldata instances
    ) external pure returns (uint256[] memory) {
        return Instances.byPrediction(schema, instances);
    }

    function byPrediction(
        bytes memory schema,
        bytes[] calldata packed
    ) external pure returns (uint256[] memory) {
        return Instances.byPrediction(schema, packed);
    }

    function _schema(
        uint8 width,
        uint32 count
    ) private pure returns (bytes memory) {
        return abi.encodePacked(hex"000000010200", width, count);
    }

    function _one(
        uint256 value
    ) private pure returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = value;
    }

    function _write(
        bytes memory data,
        uint256 offset,
        uint256 word
    ) private pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 0x20), offset), word)
        }
    }

    function _words(
        bytes memory data
    ) private pure returns (uint256[] memory) {
        return abi.decode(bytes.concat(abi.encode(0x20, data.length / 32), data), (uint256[]));
    }

    function _joined(
        uint256[] memory one,
        uint256[] memory other
    ) private pure returns (uint256[] memory both) {
        both = new uint256[](one.length + other.length);
        for (uint256 i = 0; i < both.length; ++i) {
            both[i] = i < one.length ? one[i] : other[i - one.length];
        }
    }
}

/// @title Packed instances through adapters of every capability
contract PackedAdapterTest is Fixtures, IModelVerifierErrors {
    Model internal model;
    Proof internal other;
    ModelVerifier[8] internal adapters;
    bytes internal packed;

    function setUp() public {
        model = loadLean("tree");
        other = loadProof("tree", "proof-1");
        packed = packedOf(model, model.first.instances);
        for (uint8 i = 0; i < 8; ++i) {
            Model memory some = model;
            some.capabilities = i;
            adapters[i] = deployAdapter(some);
        }
        model.capabilities = 7;
    }

    function test_EveryCapabilityAcceptsTheSame() public view {
        (bytes[] memory proofs, bytes[] memory batch) = _batch();
        for (uint256 i = 0; i < 8; ++i) {
            assertEq(adapters[i].verifyPacked(model.first.proof, packed), adapters[i].schema());
            assertEq(adapters[i].verifyManyPacked(proofs, batch), adapters[i].schema());
        }
    }

    /// @dev What reaches the bare verifier, by what it is said to do.
    function test_AsksByTheDensestEntry() public {
        (bytes[] memory proofs, bytes[] memory batch) = _batch();
        bytes memory one = abi.encodeCall(model.bare.verifyProof, (model.first.proof, model.first.instances));
        bytes memory onePacked = abi.encodeCall(model.bare.verifyPacked, (model.first.proof, packed));
        uint256[][] memory words = new uint256[][](2);
        (words[0], words[1]) = (model.first.instances, other.instances);
        bytes memory many = abi.encodeCall(model.bare.verifyMany, (proofs, words));
        bytes memory manyPacked = abi.encodeCall(model.bare.verifyManyPacked, (proofs, batch));
        // Alone with 0, 1, 4, 5, and as the first of a batch with 0; packed with 2, 3, 6, 7, and of a batch with 2.
        vm.expectCall(address(model.bare), one, 5);
        vm.expectCall(address(model.bare), onePacked, 5);
        vm.expectCall(address(model.bare), many, 2);
        vm.expectCall(address(model.bare), manyPacked, 4);
        for (uint256 i = 0; i < 8; ++i) {
            adapters[i].verifyPacked(model.first.proof, packed);
            adapters[i].verifyManyPacked(proofs, batch);
        }
    }

    /// @dev Every byte matters, and a wrong one is refused by all alike.
    /// forge-config: default.fuzz.runs = 32
    /// forge-config: deep.fuzz.runs = 2000
    function testFuzz_RefusesAChangedByte(
        uint8 place,
        uint8 change
    ) public {
        vm.assume(change != 0);
        bytes memory changed = copyOf(packed);
        changed[place % changed.length] ^= bytes1(change);
        (bytes[] memory proofs, bytes[] memory batch) = _batch();
        batch[0] = changed;
        for (uint256 i = 0; i < 8; ++i) {
            vm.expectRevert(abi.encodeWithSelector(InvalidProof.selector, adapters[0].modelId()));
            adapters[i].verifyPacked(model.first.proof, changed);
            vm.expectRevert(abi.encodeWithSelector(InvalidProof.selector, adapters[0].modelId()));
            adapters[i].verifyManyPacked(proofs, batch);
        }
    }

    /// @dev Short, long, or by other widths: the length tells, before any bare verifier is asked.
    function test_RevertOtherLengths() public {
        vm.expectCall(address(model.bare), "", 0);
        bytes[5] memory wrong = [
            bytes(""),
            bytes.concat(packed, hex"00"),
            bytes.concat(hex"00", packed),
            abi.encodePacked(model.first.instances),
            new bytes(packed.length - 1)
        ];
        for (uint256 i = 0; i < 8; ++i) {
            for (uint256 j = 0; j < wrong.length; ++j) {
                bytes memory reason =
                    abi.encodeWithSelector(PackedLengthMismatch.selector, wrong[j].length, packed.length);
                vm.expectRevert(reason);
                adapters[i].verifyPacked(model.first.proof, wrong[j]);
                (bytes[] memory proofs, bytes[] memory batch) = _batch();
                batch[1] = wrong[j];
                vm.expectRevert(reason);
                adapters[i].verifyManyPacked(proofs, batch);
            }
        }
    }

    function test_RevertOtherShapes() public {
        (bytes[] memory proofs, bytes[] memory batch) = _batch();
        bytes memory long = bytes.concat(model.first.proof, bytes32(0));
        bytes memory reason = abi.encodeWithSelector(ProofLengthMismatch.selector, long.length, model.proofLength);
        for (uint256 i = 0; i < 8; ++i) {
            vm.expectRevert(reason);
            adapters[i].verifyPacked(long, packed);
            proofs[1] = long;
            vm.expectRevert(reason);
            adapters[i].verifyManyPacked(proofs, batch);
            vm.expectRevert(EmptyBatch.selector);
            adapters[i].verifyManyPacked(new bytes[](0), new bytes[](0));
            vm.expectRevert(abi.encodeWithSelector(BatchLengthMismatch.selector, 1, 2));
            adapters[i].verifyManyPacked(new bytes[](1), batch);
        }
    }

    /// @dev What stands in the calldata's padding is nobody's: one canonical call goes out, whatever came in.
    function test_PaddingIsNotPassedOn() public {
        bytes memory canonical = abi.encodeCall(model.bare.verifyPacked, (model.first.proof, packed));
        bytes memory dirty = abi.encodeCall(adapters[7].verifyPacked, (model.first.proof, packed));
        for (uint256 i = dirty.length - 18; i < dirty.length; ++i) {
            dirty[i] = 0xff;
        }
        vm.expectCall(address(model.bare), canonical, 1);
        (bool success,) = address(adapters[7]).staticcall(dirty);
        assertTrue(success);
        assembly ("memory-safe") {
            mstore(dirty, sub(mload(dirty), 19))
        }
        (success,) = address(adapters[7]).staticcall(dirty);
        assertFalse(success, "the packed instances are cut off");
    }

    /// @dev By words and packed, whatever the instances are, all answers are one, error included.
    /// forge-config: default.fuzz.runs = 64
    /// forge-config: deep.fuzz.runs = 4000
    function testFuzz_PackedAndPlainAgree(
        uint256 seed
    ) public view {
        uint256[] memory instances = copyOf(seed % 2 == 0 ? model.first.instances : other.instances);
        uint256 kind = (seed >> 8) % 3;
        if (kind != 0) {
            int16 value = int16(uint16(seed >> 16));
            instances[(seed >> 32) % 7] = value < 0 ? R - uint256(-int256(value)) : uint256(int256(value));
        }
        bytes memory small = packedOf(model, instances);
        (bool first, bytes memory reason) =
            address(adapters[0]).staticcall(abi.encodeCall(ModelVerifier.verify, (model.first.proof, instances)));
        for (uint256 i = 0; i < 8; ++i) {
            (bool second, bytes memory otherReason) =
                address(adapters[i]).staticcall(abi.encodeCall(ModelVerifier.verifyPacked, (model.first.proof, small)));
            assertEq(first, second);
            assertEq(reason, otherReason);
        }
    }

    /// @dev A hash is a whole word, and one beyond the field never reaches a bare verifier.
    function test_RevertAHashOutOfTheField() public {
        Model memory hashed = loadLean("hashed");
        bytes memory small = packedOf(hashed, hashed.first.instances);
        assertEq(small.length, 32 + 3 * 2);
        for (uint8 i = 0; i < 8; ++i) {
            hashed.capabilities = i;
            ModelVerifier adapter = deployAdapter(hashed);
            adapter.verifyPacked(hashed.first.proof, small);
            bytes memory wrong = copyOf(small);
            uint256 beyond = hashed.first.instances[0] + R;
            assembly ("memory-safe") {
                mstore(add(wrong, 0x20), beyond)
            }
            bytes memory reason = abi.encodeWithSelector(InstanceOutOfField.selector, 0, beyond);
            vm.expectRevert(reason);
            adapter.verifyPacked(hashed.first.proof, wrong);
            (bytes[] memory proofs, bytes[] memory batch) = (new bytes[](1), new bytes[](1));
            (proofs[0], batch[0]) = (hashed.first.proof, wrong);
            vm.expectRevert(reason);
            adapter.verifyManyPacked(proofs, batch);
        }
    }

    function _batch() private view returns (bytes[] memory proofs, bytes[] memory batch) {
        (proofs, batch) = (new bytes[](2), new bytes[](2));
        (proofs[0], proofs[1]) = (model.first.proof, other.proof);
        (batch[0], batch[1]) = (packed, packedOf(model, other.instances));
    }
}
