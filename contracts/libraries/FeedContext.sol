// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title The contexts of a feed
/// @notice A feed's contexts are its positions, under a prefix that no other record may use: what was recorded in one
/// way of counting can't be taken for the other's.
library FeedContext {
    /// @dev The upper 24 bytes of a position's context.
    bytes24 internal constant PREFIX = "zkvouch.feed";

    /// @notice The context of a position.
    /// @param position The position, counted from zero.
    /// @return bytes24("zkvouch.feed") ‖ uint64(position).
    function at(
        uint64 position
    ) internal pure returns (bytes32) {
        return bytes32(PREFIX) | bytes32(uint256(position));
    }

    /// @notice Whether a context is a feed's.
    /// @param context The context.
    /// @return Whether it has the prefix.
    function isOne(
        bytes32 context
    ) internal pure returns (bool) {
        // The upper 24 bytes are what is compared.
        // forge-lint: disable-next-line(unsafe-typecast)
        return bytes24(context) == PREFIX;
    }
}
