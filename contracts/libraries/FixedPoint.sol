// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title From scalars of BN254 to signed fixed-point numbers with 18 decimals
/// @notice A circuit keeps a real number x at scale s as the integer x · 2^s, and a negative integer -n as r - n.
library FixedPoint {
    /// @notice The scalar is neither in [0, 2^127) nor in (r - 2^127, r), so it is no number. Usually it is a hash.
    error NotFixedPoint(uint256 scalar);

    /// @notice The number, times 10^18, does not fit 256 bits with its sign.
    error FixedPointOverflow(int256 integer, int8 scale);

    /// @notice The order r of BN254's scalar field.
    uint256 internal constant SCALAR_MODULUS =
        21_888_242_871_839_275_222_246_405_745_257_275_088_548_364_400_416_034_343_698_204_186_575_808_495_617;

    /// @notice The largest integer that reads as positive, 2^127 - 1; its negative is the least.
    uint256 internal constant MAX_POSITIVE = (1 << 127) - 1;

    /// @notice One, with 18 decimals.
    int256 internal constant ONE = 1e18;

    /// @notice The integer that a scalar stands for.
    /// @param scalar The scalar.
    /// @return The integer, within ±(2^127 - 1).
    function toInteger(
        uint256 scalar
    ) internal pure returns (int256) {
        unchecked {
            // The casts are safe: what is cast was compared with 2^127 - 1, or is a scale of known sign.
            // forge-lint: disable-next-line(unsafe-typecast)
            if (scalar <= MAX_POSITIVE) return int256(scalar);
            // A scalar at or above r wraps to a huge magnitude here, and zero to none of them.
            uint256 magnitude = SCALAR_MODULUS - scalar;
            if (magnitude == 0 || magnitude > MAX_POSITIVE) revert NotFixedPoint(scalar);
            // forge-lint: disable-next-line(unsafe-typecast)
            return -int256(magnitude);
        }
    }

    /// @notice The number that a scalar stands for at `scale`, times 10^18, rounded down (towards minus infinity), so
    /// that comparing it with `>=` or `<` to a threshold of 18 decimals is exact.
    /// @param scalar The scalar.
    /// @param scale The scale; below zero it multiplies by a power of two.
    /// @return The number with 18 decimals.
    function decode(
        uint256 scalar,
        int8 scale
    ) internal pure returns (int256) {
        int256 integer = toInteger(scalar);
        unchecked {
            // |integer| < 2^127 and 10^18 < 2^60: the product stays below 2^187.
            int256 scaled = integer * ONE;
            // forge-lint: disable-next-line(unsafe-typecast)
            if (scale >= 0) return scaled >> uint8(scale);
            // forge-lint: disable-next-line(unsafe-typecast)
            uint256 shift = uint256(-int256(scale));
            int256 shifted = scaled << shift;
            if (shifted >> shift != scaled) revert FixedPointOverflow(integer, scale);
            return shifted;
        }
    }
}
