// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";
import {Prediction} from "zkvouch/Prediction.sol";
import {Tensor, TensorKind} from "zkvouch/interfaces/IModelVerifier.sol";
import {SchemaLib} from "zkvouch/libraries/SchemaLib.sol";

contract SchemaLibTest is Test {
    bytes internal constant EXAMPLE = hex"02070200000001000000030307020000000100000004";

    // ------------------------------------------------------------------------------------------ descriptors

    /// @dev The example in contracts/README.md.
    function test_ExampleOfTheReadme() public view {
        (bytes memory schema, uint256 total) = this.fromDescriptor(EXAMPLE);
        assertEq(schema, hex"020700000003030700000004");
        assertEq(total, 7);
    }

    function test_EmptyDescriptorIsAModelWithoutInstances() public view {
        (bytes memory schema, uint256 total) = this.fromDescriptor("");
        assertEq(schema.length, 0);
        assertEq(total, 0);
        assertEq(this.toTensors("").length, 0);
    }

    function test_JoinsTensorsOfOneKindAndScale() public view {
        bytes memory descriptor = bytes.concat(
            _tensor(0, 0, 1), _tensor(0, 0, 1), _tensor(2, 7, 3), _tensor(2, 7, 4), _tensor(2, -1, 5), _tensor(3, 14, 2)
        );
        (bytes memory schema, uint256 total) = this.fromDescriptor(descriptor);
        assertEq(schema, hex"00000000000202070000000702ff00000005030e00000002");
        assertEq(total, 16);
        assertEq(this.outputCount(schema), 2);
        assertEq(this.countOf(schema, TensorKind.Input), 12);
    }

    function test_ScalarTensorIsOneElement() public view {
        (bytes memory schema, uint256 total) = this.fromDescriptor(hex"030700");
        assertEq(schema, hex"030700000001");
        assertEq(total, 1);
    }

    function test_ReadsTensorsBack() public view {
        Tensor[] memory tensors = this.toTensors(bytes.concat(hex"000001000000010207030000000200000003", hex"00000004"));
        assertEq(tensors.length, 2);
        assertEq(uint8(tensors[0].kind), uint8(TensorKind.ProcessedInput));
        assertEq(tensors[0].shape.length, 1);
        assertEq(uint8(tensors[1].kind), uint8(TensorKind.Input));
        assertEq(tensors[1].scale, 7);
        assertEq(tensors[1].shape.length, 3);
        assertEq(tensors[1].shape[0], 2);
        assertEq(tensors[1].shape[1], 3);
        assertEq(tensors[1].shape[2], 4);
    }

    /// @dev Every cut that is not the end of a tensor.
    function test_RevertTruncated() public {
        for (uint256 length = 1; length < EXAMPLE.length; ++length) {
            if (length == EXAMPLE.length / 2) continue;
            bytes memory cut = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                cut[i] = EXAMPLE[i];
            }
            uint256 start = length < EXAMPLE.length / 2 ? 0 : EXAMPLE.length / 2;
            vm.expectRevert(abi.encodeWithSelector(SchemaLib.DescriptorTruncated.selector, start));
            this.fromDescriptor(cut);
        }
    }

    function testFuzz_RevertUnknownKind(
        uint8 kind
    ) public {
        kind = uint8(bound(kind, 5, 255));
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.UnknownTensorKind.selector, 0, kind));
        this.fromDescriptor(_tensor(kind, 0, 1));
    }

    function testFuzz_RevertScaleOfAHash(
        int8 scale
    ) public {
        vm.assume(scale != 0);
        uint8[3] memory kinds = [0, 1, 4];
        for (uint256 i = 0; i < kinds.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(SchemaLib.ScaleOfProcessedTensor.selector, 0));
            this.fromDescriptor(_tensor(kinds[i], scale, 1));
        }
    }

    function test_RevertElementCounts() public {
        bytes4 selector = SchemaLib.ElementCountOutOfRange.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, 0));
        this.fromDescriptor(_tensor(2, 7, 0));
        vm.expectRevert(abi.encodeWithSelector(selector, 0));
        this.fromDescriptor(hex"0207020001000000010000");
        // The greatest number of elements is fine in one tensor; one more in the same run is not.
        (, uint256 total) = this.fromDescriptor(_tensor(2, 7, type(uint32).max));
        assertEq(total, type(uint32).max);
        vm.expectRevert(abi.encodeWithSelector(selector, 7));
        this.fromDescriptor(bytes.concat(_tensor(2, 7, type(uint32).max), _tensor(2, 7, 1)));
    }

    function test_RevertTensorAfterOutput() public {
        for (uint8 last = 3; last <= 4; ++last) {
            for (uint8 kind = 0; kind <= 2; ++kind) {
                vm.expectRevert(abi.encodeWithSelector(SchemaLib.TensorAfterOutput.selector, 7));
                this.fromDescriptor(bytes.concat(_tensor(last, 0, 1), _tensor(kind, 0, 1)));
            }
        }
        this.fromDescriptor(bytes.concat(_tensor(3, 0, 1), _tensor(4, 0, 1), _tensor(3, 1, 1)));
    }

    function test_RevertTooManyRuns() public {
        bytes memory descriptor;
        for (uint256 i = 0; i < 21; ++i) {
            descriptor = bytes.concat(descriptor, _tensor(2, int8(uint8(i)), 1));
        }
        (bytes memory schema,) = this.fromDescriptor(descriptor);
        assertEq(schema.length, 126);
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.TooManyRuns.selector, 21));
        this.fromDescriptor(bytes.concat(descriptor, _tensor(2, -1, 1)));
    }

    /// @dev A random descriptor reads back as the tensors it was made of, and its runs cover them in order.
    function testFuzz_DescriptorRoundTrip(
        uint256 seed
    ) public view {
        uint256 count = bound(seed, 1, 12);
        bytes memory descriptor;
        uint256 total = 0;
        uint256 outputs = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            // Kinds never fall, so outputs come last.
            uint8 kind = uint8((5 * i) / count);
            int8 scale = kind == 2 || kind == 3 ? int8(uint8(random % 3)) : int8(0);
            uint32 first = uint32(1 + (random >> 8) % 5);
            uint32 second = uint32(1 + (random >> 16) % 5);
            descriptor = abi.encodePacked(descriptor, kind, scale, uint8(2), first, second);
            total += first * second;
            if (kind >= 3) outputs += first * second;
        }
        (bytes memory schema, uint256 found) = this.fromDescriptor(descriptor);
        assertEq(found, total);
        assertEq(this.outputCount(schema), outputs);
        Tensor[] memory tensors = this.toTensors(descriptor);
        assertEq(tensors.length, count);
        // Each element, counted by its kind over the tensors, is where the schema says, with the tensor's scale.
        uint256[5] memory seen;
        uint256 position = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 size = uint256(tensors[i].shape[0]) * tensors[i].shape[1];
            for (uint256 j = 0; j < size; ++j) {
                (uint256 place, int8 scale) = this.locate(schema, tensors[i].kind, seen[uint8(tensors[i].kind)]++);
                assertEq(place, position++);
                assertEq(scale, tensors[i].scale);
            }
        }
    }

    /// @dev Whatever the bytes, it is a descriptor or a revert, never a total that its runs don't add up to.
    function testFuzz_AnyBytes(
        bytes calldata descriptor
    ) public view {
        try this.fromDescriptor(descriptor) returns (bytes memory schema, uint256 total) {
            uint256 sum = 0;
            for (uint8 kind = 0; kind < 5; ++kind) {
                sum += this.countOf(schema, TensorKind(kind));
            }
            assertEq(sum, total);
            this.toTensors(descriptor);
        } catch {}
    }

    // ------------------------------------------------------------------------------------------ predictions

    function test_ReadsAPrediction() public view {
        Prediction memory p = _prediction();
        assertEq(this.input(p, 0), 1e18);
        assertEq(this.input(p, 1), -0.5e18);
        assertEq(this.input(p, 2), 3e18);
        assertEq(this.output(p, 0), -2e18);
        assertEq(this.output(p, 1), 0.25e18);
        assertEq(p.inputCount(), 3);
        assertEq(p.outputCount(), 2);
        assertEq(p.argmax(), 1);
        assertEq(p.processed(TensorKind.ProcessedInput, 0), 4242);
        assertEq(p.processed(TensorKind.ProcessedOutput, 0), 777);
        assertEq(p.inputsHash(), keccak256(abi.encode(4242, 128, _negative(64), 3)));
    }

    function test_ArgmaxTakesTheFirstOfEquals() public pure {
        Prediction memory p;
        p.schema = hex"030000000003";
        p.instances = new uint256[](3);
        p.instances[1] = 5;
        p.instances[2] = 5;
        assertEq(p.argmax(), 1);
        p.instances[0] = 5;
        assertEq(p.argmax(), 0);
    }

    function test_RevertNoSuchElement() public {
        Prediction memory p = _prediction();
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.NoSuchElement.selector, TensorKind.Input, 3));
        this.input(p, 3);
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.NoSuchElement.selector, TensorKind.Output, 2));
        this.output(p, 2);
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.NoSuchElement.selector, TensorKind.ProcessedParam, 0));
        this.processed(p, TensorKind.ProcessedParam, 0);
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.NoSuchElement.selector, TensorKind.Input, type(uint256).max));
        this.input(p, type(uint256).max);
    }

    function input(
        Prediction memory p,
        uint256 index
    ) external pure returns (int256) {
        return p.input(index);
    }

    function output(
        Prediction memory p,
        uint256 index
    ) external pure returns (int256) {
        return p.output(index);
    }

    function processed(
        Prediction memory p,
        TensorKind kind,
        uint256 index
    ) external pure returns (uint256) {
        return p.processed(kind, index);
    }

    function fromDescriptor(
        bytes memory descriptor
    ) external pure returns (bytes memory, uint256) {
        return SchemaLib.fromDescriptor(descriptor);
    }

    function toTensors(
        bytes memory descriptor
    ) external pure returns (Tensor[] memory) {
        return SchemaLib.toTensors(descriptor);
    }

    function outputCount(
        bytes memory schema
    ) external pure returns (uint256) {
        return SchemaLib.outputCount(schema);
    }

    function countOf(
        bytes memory schema,
        TensorKind kind
    ) external pure returns (uint256) {
        return SchemaLib.countOf(schema, kind);
    }

    function locate(
        bytes memory schema,
        TensorKind kind,
        uint256 index
    ) external pure returns (uint256, int8) {
        return SchemaLib.locate(schema, kind, index);
    }

    /// @dev A hash, two inputs at scale 7 and one at 0, two outputs at scale 2, a hash.
    function _prediction() private pure returns (Prediction memory p) {
        p.schema = hex"000000000001020700000002020000000001030200000002040000000001";
        p.instances = new uint256[](7);
        p.instances[0] = 4242;
        p.instances[1] = 128;
        p.instances[2] = _negative(64);
        p.instances[3] = 3;
        p.instances[4] = _negative(8);
        p.instances[5] = 1;
        p.instances[6] = 777;
    }

    function _negative(
        uint256 magnitude
    ) private pure returns (uint256) {
        return 21_888_242_871_839_275_222_246_405_745_257_275_088_548_364_400_416_034_343_698_204_186_575_808_495_617
            - magnitude;
    }

    function _tensor(
        uint8 kind,
        int8 scale,
        uint32 count
    ) private pure returns (bytes memory) {
        return abi.encodePacked(kind, scale, uint8(1), count);
    }
}
