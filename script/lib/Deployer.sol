// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Script} from "forge-std/Script.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {console} from "forge-std/console.sol";
import {IModelRouter} from "zkvouch/interfaces/IModelRouter.sol";

/// @title What the scripts share: deployment by CREATE2 from the committed bytecode
/// @notice The creation code is that of contracts/artifacts, which the command carries too, and the salt is fixed, so a
/// contract has one address for its constructor's arguments, whichever of the two deploys it and from which account.
abstract contract Deployer is Script {
    using stdJson for string;

    /// @notice The common CREATE2 proxy: calldata is the salt and the creation code.
    address internal constant PROXY = 0x4e59b44847b379578588920cA78FbF26c0B4956C;

    /// @notice The salt of every deployment.
    bytes32 internal constant SALT = keccak256("zkvouch.v3");

    /// @notice The chain lacks the common CREATE2 proxy.
    error NoCreate2Proxy(uint256 chainId);

    /// @notice The deployment failed, or left code nowhere.
    error DeploymentFailed(string name);

    /// @dev The creation code of one of our contracts with its constructor's arguments.
    function creationCode(
        string memory name,
        bytes memory arguments
    ) internal view returns (bytes memory) {
        string memory json = vm.readFile(string.concat("contracts/artifacts/", name, ".json"));
        return bytes.concat(json.readBytes(".bytecode.object"), arguments);
    }

    /// @dev Where a creation code's contract is or will be.
    function predict(
        bytes memory code
    ) internal pure returns (address) {
        return vm.computeCreate2Address(SALT, keccak256(code), PROXY);
    }

    /// @dev Deploys unless it is there; must stand within a broadcast.
    function deploy(
        string memory name,
        bytes memory code
    ) internal returns (address where) {
        where = predict(code);
        if (where.code.length != 0) {
            console.log(name, where, "(there already)");
            return where;
        }
        if (PROXY.code.length == 0) revert NoCreate2Proxy(block.chainid);
        (bool success,) = PROXY.call(bytes.concat(SALT, code));
        if (!success || where.code.length == 0) revert DeploymentFailed(name);
        console.log(name, where);
    }

    /// @dev Makes an owner's call, or prints it for a timelock or multisig if the owner is another account.
    function asOwner(
        address owner,
        address sender,
        address target,
        bytes memory call
    ) internal returns (bool made) {
        if (owner != sender) {
            console.log("the owner must call", target, "itself; owner:", owner);
            console.logBytes(call);
            return false;
        }
        (bool success, bytes memory reason) = target.call(call);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
        return true;
    }

    /// @dev The account that broadcasts.
    function broadcaster() internal returns (address sender) {
        (, sender,) = vm.readCallers();
    }

    /// @dev The router that ZKVOUCH_ROUTER names.
    function routerFromEnv() internal view returns (IModelRouter) {
        return IModelRouter(vm.envAddress("ZKVOUCH_ROUTER"));
    }
}
