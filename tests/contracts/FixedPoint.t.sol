// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {stdJson} from "forge-std/StdJson.sol";
import {Test} from "forge-std/Test.sol";
import {FixedPoint} from "zkvouch/libraries/FixedPoint.sol";

contract FixedPointTest is Test {
    using stdJson for string;

    uint256 internal constant R = FixedPoint.SCALAR_MODULUS;
    uint256 internal constant LIMIT = FixedPoint.MAX_POSITIVE;

    /// @dev The order of the group is what the EVM's own ecMul says it is, not what we copied.
    function test_ModulusIsThePrecompiles() public view {
        assertEq(_multiply(R), abi.encode(0, 0), "r times the generator is not the point at infinity");
        assertEq(_multiply(R + 1), abi.encode(1, 2), "r + 1 times the generator is not the generator");
        bytes memory negative = _multiply(R - 1);
        (uint256 x, uint256 y) = abi.decode(negative, (uint256, uint256));
        assertEq(x, 1);
        (bool success, bytes memory sum) = address(6).staticcall(abi.encode(1, 2, x, y));
        assertTrue(success);
        assertEq(sum, abi.encode(0, 0));
        // r is odd and no smaller multiple that its half would show.
        assertNotEq(_multiply(R / 2), abi.encode(0, 0));
    }

    /// @dev The file is made by Python's big integers, and the Rust decoder is tested on it too.
    function test_AgreesWithTheVectors() public {
        string memory json = vm.readFile("tests/fixtures/decoder-vectors.json");
        string[] memory scalars = json.readStringArray(".scalar");
        int256[] memory scales = json.readIntArray(".scale");
        string[] memory integers = json.readStringArray(".integer");
        string[] memory values = json.readStringArray(".value");
        string[] memory errors = json.readStringArray(".error");
        assertGt(scalars.length, 500, "too few vectors");
        for (uint256 i = 0; i < scalars.length; ++i) {
            uint256 scalar = vm.parseUint(scalars[i]);
            bytes32 expected = keccak256(bytes(errors[i]));
            if (expected == keccak256("NotFixedPoint")) {
                vm.expectRevert(abi.encodeWithSelector(FixedPoint.NotFixedPoint.selector, scalar));
                this.toInteger(scalar);
                vm.expectRevert(abi.encodeWithSelector(FixedPoint.NotFixedPoint.selector, scalar));
                this.decode(scalar, int8(scales[i]));
                continue;
            }
            assertEq(this.toInteger(scalar), vm.parseInt(integers[i]), scalars[i]);
            if (expected == keccak256("FixedPointOverflow")) {
                vm.expectRevert(
                    abi.encodeWithSelector(FixedPoint.FixedPointOverflow.selector, vm.parseInt(integers[i]), scales[i])
                );
                this.decode(scalar, int8(scales[i]));
            } else {
                assertEq(this.decode(scalar, int8(scales[i])), vm.parseInt(values[i]), scalars[i]);
            }
        }
    }

    function testFuzz_ReadsBackEveryInteger(
        int256 integer
    ) public view {
        integer = bound(integer, -int256(LIMIT), int256(LIMIT));
        assertEq(this.toInteger(_scalarOf(integer)), integer);
    }

    function testFuzz_RefusesEveryOtherWord(
        uint256 scalar
    ) public {
        scalar = bound(scalar, LIMIT + 1, type(uint256).max);
        if (scalar < R && scalar >= R - LIMIT) scalar = R - LIMIT - 1;
        vm.expectRevert(abi.encodeWithSelector(FixedPoint.NotFixedPoint.selector, scalar));
        this.toInteger(scalar);
    }

    /// @dev Rounded down: v ≤ x·10^18 / 2^scale < v + 1, in integers.
    function testFuzz_RoundsDown(
        int256 integer,
        uint8 scale
    ) public view {
        integer = bound(integer, -int256(LIMIT), int256(LIMIT));
        scale = uint8(bound(scale, 0, 60));
        int256 value = this.decode(_scalarOf(integer), int8(scale));
        int256 unit = int256(1) << scale;
        assertLe(value * unit, integer * 1e18);
        assertGt((value + 1) * unit, integer * 1e18);
    }

    /// @dev So a comparison with a threshold of 18 decimals is that of the numbers themselves.
    function testFuzz_ComparesExactly(
        int256 integer,
        int256 threshold,
        uint8 scale
    ) public view {
        integer = bound(integer, -1e30, 1e30);
        threshold = bound(threshold, -1e40, 1e40);
        scale = uint8(bound(scale, 0, 60));
        bool above = this.decode(_scalarOf(integer), int8(scale)) >= threshold;
        assertEq(above, integer * 1e18 >= threshold * (int256(1) << scale));
    }

    function testFuzz_KeepsTheOrder(
        int256 a,
        int256 b,
        uint8 scale
    ) public view {
        a = bound(a, -int256(LIMIT), int256(LIMIT));
        b = bound(b, a, int256(LIMIT));
        scale = uint8(bound(scale, 0, 127));
        assertLe(this.decode(_scalarOf(a), int8(scale)), this.decode(_scalarOf(b), int8(scale)));
    }

    function testFuzz_NegativeScaleMultiplies(
        int256 integer,
        uint8 shift
    ) public view {
        integer = bound(integer, -int256(LIMIT), int256(LIMIT));
        shift = uint8(bound(shift, 1, 68));
        assertEq(this.decode(_scalarOf(integer), -int8(shift)), integer * 1e18 * int256(uint256(1) << shift));
    }

    function toInteger(
        uint256 scalar
    ) external pure returns (int256) {
        return FixedPoint.toInteger(scalar);
    }

    function decode(
        uint256 scalar,
        int8 scale
    ) external pure returns (int256) {
        return FixedPoint.decode(scalar, scale);
    }

    function _scalarOf(
        int256 integer
    ) private pure returns (uint256) {
        return integer >= 0 ? uint256(integer) : R - uint256(-integer);
    }

    function _multiply(
        uint256 scalar
    ) private view returns (bytes memory product) {
        bool success;
        (success, product) = address(7).staticcall(abi.encode(1, 2, scalar));
        assertTrue(success, "ecMul failed");
    }
}
