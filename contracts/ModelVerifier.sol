// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelVerifier, ModelParts, PROOF_SELECTOR, Tensor} from "./interfaces/IModelVerifier.sol";
import {IBatchProofVerifier, IProofVerifier} from "./interfaces/IProofVerifier.sol";
import {FixedPoint} from "./libraries/FixedPoint.sol";
import {ModelId} from "./libraries/ModelId.sol";
import {SchemaLib} from "./libraries/SchemaLib.sol";
import {ShortString, ShortStrings} from "@openzeppelin/contracts/utils/ShortStrings.sol";

/// @title The adapter between a bare verifier and everybody else
/// @notice Names the model, refuses whatever has the wrong shape before the bare verifier sees it, encodes the call
/// anew, and tells apart the ways in which it can fail. Immutable, without an owner.
/// @dev The bare verifiers, of one proof and of many, are pinned by address and by code hash. They get a limited amount
/// of gas, and at most one word of what they return is read. `InvalidProof` never depends on how much gas the caller
/// sent.
contract ModelVerifier is IModelVerifier {
    /// @notice A constructor argument cannot be right.
    /// @param argument Its name.
    error InvalidArgument(string argument);

    /// @notice The bare verifier.
    IProofVerifier public immutable VERIFIER;

    /// @notice The hash of the bare verifier's code.
    bytes32 public immutable VERIFIER_CODE_HASH;

    /// @notice The bare verifier of many proofs at once; zero if there is none, and many are verified one by one.
    IBatchProofVerifier public immutable BATCH_VERIFIER;

    /// @notice The hash of the batch verifier's code; zero if there is none.
    bytes32 public immutable BATCH_VERIFIER_CODE_HASH;

    /// @notice The exact length of a proof in bytes.
    uint256 public immutable PROOF_LENGTH;

    /// @notice The exact number of instances.
    uint256 public immutable INSTANCE_COUNT;

    /// @notice The most gas that the bare verifier gets, for each proof.
    uint256 public immutable GAS_CAP;

    /// @inheritdoc IModelVerifier
    bytes32 public immutable override modelId;

    bytes32 private immutable _ONNX_HASH;
    bytes32 private immutable _SETTINGS_HASH;
    bytes32 private immutable _SRS_HASH;
    bytes32 private immutable _VK_HASH;
    ShortString private immutable _ENGINE;

    // The schema, at most 126 bytes: in the code, since every consumer reads it.
    uint256 private immutable _SCHEMA_LENGTH;
    bytes32 private immutable _SCHEMA_0;
    bytes32 private immutable _SCHEMA_1;
    bytes32 private immutable _SCHEMA_2;
    bytes32 private immutable _SCHEMA_3;

    /// @dev With shapes; written once, by the constructor, and read off chain.
    bytes private _descriptor;

    /// @param parts What the model's identity is made of.
    /// @param verifier The bare verifier, deployed already.
    /// @param verifierCodeHash keccak256 of its code.
    /// @param batchVerifier The bare verifier of many proofs, deployed already, or zero for none.
    /// @param batchVerifierCodeHash keccak256 of its code; zero for none.
    /// @param proofLength The length of a proof in bytes, a multiple of 32.
    /// @param gasCap The most gas that they get for a proof; leave some room over what a verification takes, for
    /// repricings, and for a batch of one, which takes a little more.
    /// @param tensorDescriptor The instances' tensors, in the form of `SchemaLib`.
    constructor(
        ModelParts memory parts,
        IProofVerifier verifier,
        bytes32 verifierCodeHash,
        IBatchProofVerifier batchVerifier,
        bytes32 batchVerifierCodeHash,
        uint256 proofLength,
        uint256 gasCap,
        bytes memory tensorDescriptor
    ) {
        _requireCode(address(verifier), verifierCodeHash);
        if (address(batchVerifier) != address(0) || batchVerifierCodeHash != 0) {
            _requireCode(address(batchVerifier), batchVerifierCodeHash);
        }
        // A proof that needs no padding has one canonical encoding.
        if (proofLength == 0 || proofLength % 32 != 0) revert InvalidArgument("proofLength");
        if (gasCap == 0 || gasCap > type(uint64).max) revert InvalidArgument("gasCap");
        if (bytes(parts.engine).length == 0) revert InvalidArgument("engine");

        VERIFIER = verifier;
        VERIFIER_CODE_HASH = verifierCodeHash;
        BATCH_VERIFIER = batchVerifier;
        BATCH_VERIFIER_CODE_HASH = batchVerifierCodeHash;
        PROOF_LENGTH = proofLength;
        GAS_CAP = gasCap;

        modelId = ModelId.compute(parts, keccak256(tensorDescriptor));
        _ONNX_HASH = parts.onnxHash;
        _SETTINGS_HASH = parts.settingsHash;
        _SRS_HASH = parts.srsHash;
        _VK_HASH = parts.vkHash;
        _ENGINE = ShortStrings.toShortString(parts.engine);

        (bytes memory runs, uint256 count) = SchemaLib.fromDescriptor(tensorDescriptor);
        INSTANCE_COUNT = count;
        _SCHEMA_LENGTH = runs.length;
        _SCHEMA_0 = _wordOf(runs, 0);
        _SCHEMA_1 = _wordOf(runs, 1);
        _SCHEMA_2 = _wordOf(runs, 2);
        _SCHEMA_3 = _wordOf(runs, 3);
        _descriptor = tensorDescriptor;
    }

    /// @inheritdoc IModelVerifier
    function verify(
        bytes calldata proof,
        uint256[] calldata instances
    ) external view override {
        _requireShape(proof, instances);
        _verify(proof, instances);
    }

    /// @inheritdoc IModelVerifier
    function verifyMany(
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view override {
        uint256 count = instances.length;
        if (proofs.length != count) revert BatchLengthMismatch(proofs.length, count);
        if (count == 0) revert EmptyBatch();
        for (uint256 i = 0; i < count; ++i) {
            _requireShape(proofs[i], instances[i]);
        }
        address target = address(BATCH_VERIFIER);
        if (target != address(0)) {
            bytes memory data = abi.encodeCall(IBatchProofVerifier.verifyMany, (proofs, instances));
            _ask(target, BATCH_VERIFIER_CODE_HASH, data, count * GAS_CAP);
            return;
        }
        for (uint256 i = 0; i < count; ++i) {
            _verify(proofs[i], instances[i]);
        }
    }

    /// @inheritdoc IModelVerifier
    function selector() external pure override returns (bytes4) {
        return PROOF_SELECTOR;
    }

    /// @inheritdoc IModelVerifier
    function schema() external view override returns (bytes memory runs) {
        runs = abi.encodePacked(_SCHEMA_0, _SCHEMA_1, _SCHEMA_2, _SCHEMA_3);
        uint256 length = _SCHEMA_LENGTH;
        assembly ("memory-safe") {
            mstore(runs, length)
        }
    }

    /// @inheritdoc IModelVerifier
    function tensors() external view override returns (Tensor[] memory) {
        return SchemaLib.toTensors(_descriptor);
    }

    /// @notice The instances' tensors as they were given to the constructor.
    function descriptor() external view returns (bytes memory) {
        return _descriptor;
    }

    /// @notice What the model's identity is made of.
    function modelParts() external view returns (ModelParts memory) {
        return ModelParts(_ONNX_HASH, _SETTINGS_HASH, _SRS_HASH, _VK_HASH, ShortStrings.toString(_ENGINE));
    }

    function _verify(
        bytes calldata proof,
        uint256[] calldata instances
    ) private view {
        bytes memory data = abi.encodeCall(IProofVerifier.verifyProof, (proof, instances));
        _ask(address(VERIFIER), VERIFIER_CODE_HASH, data, GAS_CAP);
    }

    /// @dev Returns if the code that was pinned says true.
    function _ask(
        address target,
        bytes32 codeHash,
        bytes memory data,
        uint256 cap
    ) private view {
        bytes32 found = target.codehash;
        if (found != codeHash) revert VerifierCodeMismatch(target, found, codeHash);
        uint256 before;
        bool success;
        uint256 size;
        uint256 answer;
        assembly ("memory-safe") {
            before := gas()
            // Only the scratch word takes an answer, however much is returned.
            success := staticcall(cap, target, add(data, 0x20), mload(data), 0x00, 0x20)
            size := returndatasize()
            answer := mload(0x00)
        }
        if (!success) _refuse(before, before - gasleft(), cap);
        if (size != 32 || answer > 1) revert UnexpectedVerifierReturn(size);
        if (answer == 0) revert InvalidProof(modelId);
    }

    /// @dev An invalid proof is called so only if gas had no part in it, whatever the caller sent. A verifier that runs
    /// dry uses up all it was given; if it is a precompile that runs dry, all but a 64th part; with another call in
    /// between, all but a 32nd.
    function _refuse(
        uint256 available,
        uint256 used,
        uint256 cap
    ) private view {
        // A call is given at most 63/64 of what is left.
        uint256 given = available - available / 64;
        if (given > cap) given = cap;
        if (used < given - given / 32) revert InvalidProof(modelId);
        if (given == cap) revert VerifierOutOfGas(cap);
        revert InsufficientGas(available, cap + cap / 63 + 1);
    }

    function _wordOf(
        bytes memory data,
        uint256 index
    ) private pure returns (bytes32 word) {
        uint256 offset = 32 * index;
        if (offset >= data.length) return 0;
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), offset))
        }
        uint256 rest = data.length - offset;
        // What follows the data in memory is not part of it.
        if (rest < 32) word &= ~(bytes32(type(uint256).max) >> (8 * rest));
    }

    function _requireShape(
        bytes calldata proof,
        uint256[] calldata instances
    ) private view {
        if (proof.length != PROOF_LENGTH) revert ProofLengthMismatch(proof.length, PROOF_LENGTH);
        if (instances.length != INSTANCE_COUNT) revert InstanceCountMismatch(instances.length, INSTANCE_COUNT);
        _requireInField(instances);
    }

    function _requireCode(
        address verifier,
        bytes32 expected
    ) private view {
        bytes32 found = verifier.codehash;
        if (found != expected || verifier.code.length == 0) revert VerifierCodeMismatch(verifier, found, expected);
    }

    /// @dev One comparison an instance and no branch, since a model can have hundreds; only a refusal looks for the
    /// culprit.
    function _requireInField(
        uint256[] calldata instances
    ) private pure {
        uint256 last = FixedPoint.SCALAR_MODULUS - 1;
        uint256 bad;
        assembly ("memory-safe") {
            let at := instances.offset
            let end := add(at, mul(instances.length, 0x20))
            // Four at a time, then the rest.
            let fours := add(at, mul(and(instances.length, not(3)), 0x20))
            for {} lt(at, fours) { at := add(at, 0x80) } {
                bad := or(
                    bad,
                    or(
                        or(gt(calldataload(at), last), gt(calldataload(add(at, 0x20)), last)),
                        or(gt(calldataload(add(at, 0x40)), last), gt(calldataload(add(at, 0x60)), last))
                    )
                )
            }
            for {} lt(at, end) { at := add(at, 0x20) } { bad := or(bad, gt(calldataload(at), last)) }
        }
        if (bad == 0) return;
        for (uint256 i = 0; i < instances.length; ++i) {
            if (instances[i] > last) revert InstanceOutOfField(i, instances[i]);
        }
    }
}
