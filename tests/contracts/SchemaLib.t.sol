// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";
import {Prediction} from "zkvouch/Prediction.sol";
import {Tensor, TensorKind} from "zkvouch/interfaces/IModelVerifier.sol";
import {SchemaLib} from "zkvouch/libraries/SchemaLib.sol";

contract SchemaLibTest is Test {
    /// @dev The head of a descriptor of one prediction.
    bytes internal constant ONE = hex"0200000001";
    bytes internal constant EXAMPLE = hex"0200000001020702020000000100000003030702020000000100000004";

    // ------------------------------------------------------------------------------------------ descriptors

    /// @dev The example in contracts/README.md.
    function test_ExampleOfTheReadme() public view {
        (bytes memory schema, uint256 total) = this.fromDescriptor(EXAMPLE);
        assertEq(schema, hex"000000010207020000000303070200000004");
        assertEq(total, 7);
    }

    function test_ADescriptorWithoutTensorsIsAModelWithoutInstances() public view {
        (bytes memory schema, uint256 total) = this.fromDescriptor(hex"0200000001");
        assertEq(schema, hex"00000001");
        assertEq(total, 0);
        assertEq(this.toTensors(hex"0200000001").length, 0);
    }

    function test_JoinsTensorsOfOneKindScaleAndWidth() public view {
        bytes memory descriptor = bytes.concat(
            ONE,
            bytes.concat(_tensor(0, 0, 1), _tensor(0, 0, 1), _tensor(2, 7, 3), _tensor(2, 7, 4)),
            bytes.concat(_wide(2, 7, 4, 1), _tensor(2, -1, 5), _tensor(3, 14, 2))
        );
        (bytes memory schema, uint256 total) = this.fromDescriptor(descriptor);
        assertEq(schema, hex"0000000100002000000002020720000000070207040000000102ff2000000005030e2000000002");
        assertEq(total, 17);
        assertEq(this.outputCount(schema), 2);
        assertEq(this.countOf(schema, TensorKind.Input), 13);
    }

    /// @dev Each tensor is a run of its own, of one prediction's part; the parameters' hash is whole.
    function test_SharesTensorsOutAmongPredictions() public view {
        bytes memory descriptor = bytes.concat(
            hex"0200000004",
            bytes.concat(_tensor(0, 0, 4), _tensor(0, 0, 8), _tensor(1, 0, 1), _tensor(2, 7, 12)),
            bytes.concat(_tensor(2, 7, 4), _tensor(3, 7, 4), _tensor(3, 7, 4))
        );
        (bytes memory schema, uint256 total) = this.fromDescriptor(descriptor);
        assertEq(
            schema,
            hex"0000000400002000000001000020000000020100200000000102072000000003020720000000010307200000000103072000000001"
        );
        assertEq(total, 37);
        assertEq(this.outputCount(schema), 2);
        assertEq(this.countOf(schema, TensorKind.Input), 4);
    }

    function test_RevertIndivisible() public {
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.TensorIndivisible.selector, 13, 3));
        this.fromDescriptor(bytes.concat(hex"0200000003", _tensor(2, 0, 3), _tensor(3, 0, 4)));
        // But for the parameters' hash.
        this.fromDescriptor(bytes.concat(hex"0200000003", _tensor(1, 0, 1), _tensor(3, 0, 3)));
    }

    function testFuzz_RevertPredictionsOutOfRange(
        uint32 predictions
    ) public {
        if (predictions >= 1 && predictions <= 65_535) {
            (bytes memory schema, uint256 total) =
                this.fromDescriptor(bytes.concat(hex"02", bytes4(predictions), _tensor(3, 0, predictions)));
            assertEq(schema, abi.encodePacked(predictions, hex"03002000000001"));
            assertEq(total, predictions);
            predictions |= 0x10000;
        }
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.PredictionsOutOfRange.selector, predictions));
        this.fromDescriptor(bytes.concat(hex"02", bytes4(predictions), _tensor(3, 0, 1)));
    }

    function test_PredictionsEnds() public {
        this.fromDescriptor(hex"020000ffff");
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.PredictionsOutOfRange.selector, 0));
        this.fromDescriptor(hex"0200000000");
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.PredictionsOutOfRange.selector, 65_536));
        this.fromDescriptor(hex"0200010000");
    }

    function testFuzz_RevertUnknownVersion(
        uint8 version
    ) public {
        vm.assume(version != 2);
        vm.expectRevert(SchemaLib.UnknownDescriptorVersion.selector);
        this.fromDescriptor(bytes.concat(bytes1(version), hex"00000001"));
    }

    function test_RevertWidths() public {
        for (uint256 width = 0; width < 256; ++width) {
            bool known = width == 1 || width == 2 || width == 4 || width == 8 || width == 16 || width == 32;
            for (uint8 kind = 0; kind < 5; ++kind) {
                bool hash = kind != 2 && kind != 3;
                if (hash ? width != 32 : !known) {
                    vm.expectRevert(abi.encodeWithSelector(SchemaLib.WidthRefused.selector, 5, width));
                }
                this.fromDescriptor(bytes.concat(ONE, _wide(kind, 0, uint8(width), 1)));
            }
        }
    }

    function test_ScalarTensorIsOneElement() public view {
        (bytes memory schema, uint256 total) = this.fromDescriptor(hex"020000000103070100");
        assertEq(schema, hex"0000000103070100000001");
        assertEq(total, 1);
    }

    function test_ReadsTensorsBack() public view {
        Tensor[] memory tensors =
            this.toTensors(bytes.concat(ONE, hex"0000200100000001020708030000000200000003", hex"00000004"));
        assertEq(tensors.length, 2);
        assertEq(uint8(tensors[0].kind), uint8(TensorKind.ProcessedInput));
        assertEq(tensors[0].shape.length, 1);
        assertEq(tensors[0].width, 32);
        assertEq(uint8(tensors[1].kind), uint8(TensorKind.Input));
        assertEq(tensors[1].scale, 7);
        assertEq(tensors[1].width, 8);
        assertEq(tensors[1].shape.length, 3);
        assertEq(tensors[1].shape[0], 2);
        assertEq(tensors[1].shape[1], 3);
        assertEq(tensors[1].shape[2], 4);
    }

    /// @dev Every cut that is not the end of a tensor.
    function test_RevertTruncated() public {
        for (uint256 length = 0; length < EXAMPLE.length; ++length) {
            // Behind the head, and behind the first tensor, there may be an end.
            if (length == 5 || length == 17) continue;
            bytes memory cut = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                cut[i] = EXAMPLE[i];
            }
            uint256 start = length < 5 ? 0 : length < 17 ? 5 : 17;
            vm.expectRevert(abi.encodeWithSelector(SchemaLib.DescriptorTruncated.selector, start));
            this.fromDescriptor(cut);
        }
    }

    function testFuzz_RevertUnknownKind(
        uint8 kind
    ) public {
        kind = uint8(bound(kind, 5, 255));
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.UnknownTensorKind.selector, 5, kind));
        this.fromDescriptor(bytes.concat(ONE, _tensor(kind, 0, 1)));
    }

    function testFuzz_RevertScaleOfAHash(
        int8 scale
    ) public {
        vm.assume(scale != 0);
        uint8[3] memory kinds = [0, 1, 4];
        for (uint256 i = 0; i < kinds.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(SchemaLib.ScaleOfProcessedTensor.selector, 5));
            this.fromDescriptor(bytes.concat(ONE, _tensor(kinds[i], scale, 1)));
        }
    }

    function test_RevertElementCounts() public {
        bytes4 selector = SchemaLib.ElementCountOutOfRange.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, 5));
        this.fromDescriptor(bytes.concat(ONE, _tensor(2, 7, 0)));
        vm.expectRevert(abi.encodeWithSelector(selector, 5));
        this.fromDescriptor(bytes.concat(ONE, hex"020720020001000000010000"));
        // The greatest number of elements is fine; one more, of whatever kind, is not.
        (, uint256 total) = this.fromDescriptor(bytes.concat(ONE, _tensor(2, 7, type(uint32).max)));
        assertEq(total, type(uint32).max);
        vm.expectRevert(abi.encodeWithSelector(selector, 13));
        this.fromDescriptor(bytes.concat(ONE, _tensor(2, 7, type(uint32).max), _tensor(2, 7, 1)));
        vm.expectRevert(abi.encodeWithSelector(selector, 13));
        this.fromDescriptor(bytes.concat(ONE, _tensor(2, 7, type(uint32).max), _tensor(3, 0, 1)));
    }

    function test_RevertTensorAfterOutput() public {
        for (uint8 last = 3; last <= 4; ++last) {
            for (uint8 kind = 0; kind <= 2; ++kind) {
                vm.expectRevert(abi.encodeWithSelector(SchemaLib.TensorAfterOutput.selector, 13));
                this.fromDescriptor(bytes.concat(ONE, _tensor(last, 0, 1), _tensor(kind, 0, 1)));
            }
        }
        this.fromDescriptor(bytes.concat(ONE, _tensor(3, 0, 1), _tensor(4, 0, 1), _tensor(3, 1, 1)));
    }

    function test_RevertTooManyRuns() public {
        bytes memory descriptor = ONE;
        for (uint256 i = 0; i < 21; ++i) {
            descriptor = bytes.concat(descriptor, _tensor(2, int8(uint8(i)), 1));
        }
        (bytes memory schema,) = this.fromDescriptor(descriptor);
        assertEq(schema.length, 151);
        vm.expectRevert(abi.encodeWithSelector(SchemaLib.TooManyRuns.selector, 21));
        this.fromDescriptor(bytes.concat(descriptor, _tensor(2, -1, 1)));
    }

    /// @dev A random descriptor reads back as the tensors it was made of, and its runs cover them in order.
    function testFuzz_DescriptorRoundTrip(
        uint256 seed
    ) public view {
        uint256 count = bound(seed, 1, 12);
        bytes memory descriptor = ONE;
        uint256 total = 0;
        uint256 outputs = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            // Kinds never fall, so outputs come last.
            uint8 kind = uint8((5 * i) / count);
            int8 scale = kind == 2 || kind == 3 ? int8(uint8(random % 3)) : int8(0);
            uint32 first = uint32(1 + (random >> 8) % 5);
            uint32 second = uint32(1 + (random >> 16) % 5);
            descriptor = abi.encodePacked(descriptor, kind, scale, uint8(32), uint8(2), first, second);
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
        bytes memory descriptor,
        bool head
    ) public view {
        if (head) descriptor = bytes.concat(ONE, descriptor);
        try this.fromDescriptor(descriptor) returns (bytes memory schema, uint256 total) {
            uint256 predictions = SchemaLib.predictionsOf(schema);
            uint256 sum = this.countOf(schema, TensorKind.ProcessedParam);
            for (uint8 kind = 0; kind < 5; ++kind) {
                if (kind != 1) sum += predictions * this.countOf(schema, TensorKind(kind));
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
        p.schema = hex"0000000103002000000003";
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
        p.schema = hex"000000010000200000000102072000000002020020000000010302200000000204002000000001";
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
        return _wide(kind, scale, 32, count);
    }

    function _wide(
        uint8 kind,
        int8 scale,
        uint8 width,
        uint32 count
    ) private pure returns (bytes memory) {
        return abi.encodePacked(kind, scale, width, uint8(1), count);
    }
}
