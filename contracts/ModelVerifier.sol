// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {
    CAN_VERIFY_MANY,
    CAN_VERIFY_MANY_PACKED,
    CAN_VERIFY_PACKED,
    IModelVerifier,
    ModelParts,
    PROOF_SELECTOR,
    Tensor
} from "./interfaces/IModelVerifier.sol";
import {
    IBatchProofVerifier,
    IPackedBatchProofVerifier,
    IPackedProofVerifier,
    IProofVerifier
} from "./interfaces/IProofVerifier.sol";
import {FixedPoint} from "./libraries/FixedPoint.sol";
import {Instances} from "./libraries/Instances.sol";
import {ModelArgsLib, Terms} from "./libraries/ModelArgsLib.sol";
import {ModelId} from "./libraries/ModelId.sol";
import {SchemaLib} from "./libraries/SchemaLib.sol";

/// @title The adapter between a bare verifier and everybody else
/// @notice Names the model, refuses whatever has the wrong shape before the bare verifier sees it, encodes the call
/// anew, and tells apart the ways in which it can fail. One contract a chain: a model is a clone of it, made by a
/// router, which keeps its arguments in its code.
///
/// Where a model has a guardian, it can stop the model for good, and nobody can ever start it again: after a flaw was
/// found in a verifier the way on is another one. What is stopped verifies nothing, and has no schema, without which
/// nothing that it verified before can be read and acted on. Without a guardian nobody can stop a model, ever.
/// @dev The bare verifier is pinned by address and by code hash. It gets a limited amount of gas, and at most one word
/// of what it returns is read. `InvalidProof` never depends on how much gas the caller sent.
contract ModelVerifier is IModelVerifier {
    /// @notice This is the implementation, which is no model.
    error NotAClone();

    /// @notice Only the model's guardian may do this.
    error NotTheGuardian(address caller);

    /// @notice The model was stopped for good.
    event ModelStoppedForGood(bytes32 indexed modelId, address indexed guardian);

    /// @notice The guardian offered its part to another account, which has to accept.
    event GuardianOffered(address indexed guardian, address indexed next);

    /// @notice Another account is guardian now.
    event GuardianChanged(address indexed guardian, address indexed next);

    address private immutable _SELF = address(this);

    /// @dev Zero as long as the guardian is the first one, who stands in the arguments.
    address private _guardian;
    bool private _stopped;

    /// @notice To whom the guardian offered its part; zero for nobody.
    address public pendingGuardian;

    /// @inheritdoc IModelVerifier
    function verify(
        bytes calldata proof,
        uint256[] calldata instances
    ) external view override returns (bytes memory) {
        Terms terms = _running();
        _requireShape(terms, proof, instances);
        _ask(terms, abi.encodeCall(IProofVerifier.verifyProof, (proof, instances)), 1);
        return terms.schema();
    }

    /// @inheritdoc IModelVerifier
    function verifyMany(
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view override returns (bytes memory) {
        Terms terms = _running();
        uint256 count = _requireBatch(proofs.length, instances.length);
        for (uint256 i = 0; i < count; ++i) {
            _requireShape(terms, proofs[i], instances[i]);
        }
        if (terms.capabilities() & CAN_VERIFY_MANY != 0) {
            _ask(terms, abi.encodeCall(IBatchProofVerifier.verifyMany, (proofs, instances)), count);
            return terms.schema();
        }
        for (uint256 i = 0; i < count; ++i) {
            _ask(terms, abi.encodeCall(IProofVerifier.verifyProof, (proofs[i], instances[i])), 1);
        }
        return terms.schema();
    }

    /// @inheritdoc IModelVerifier
    function verifyPacked(
        bytes calldata proof,
        bytes calldata packed
    ) external view override returns (bytes memory runs) {
        Terms terms = _running();
        _requireLength(terms, proof);
        runs = terms.schema();
        (, uint256 size) = Instances.sizes(runs);
        Instances.requirePacked(runs, packed, size);
        _askPacked(terms, runs, proof, packed);
    }

    /// @inheritdoc IModelVerifier
    function verifyManyPacked(
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external view override returns (bytes memory runs) {
        Terms terms = _running();
        uint256 count = _requireBatch(proofs.length, packed.length);
        runs = terms.schema();
        (, uint256 size) = Instances.sizes(runs);
        for (uint256 i = 0; i < count; ++i) {
            _requireLength(terms, proofs[i]);
            Instances.requirePacked(runs, packed[i], size);
        }
        if (terms.capabilities() & CAN_VERIFY_MANY_PACKED != 0) {
            _ask(terms, abi.encodeCall(IPackedBatchProofVerifier.verifyManyPacked, (proofs, packed)), count);
        } else if (terms.capabilities() & CAN_VERIFY_MANY != 0) {
            uint256[][] memory instances = new uint256[][](count);
            for (uint256 i = 0; i < count; ++i) {
                instances[i] = Instances.unpack(runs, packed[i]);
            }
            _ask(terms, abi.encodeCall(IBatchProofVerifier.verifyMany, (proofs, instances)), count);
        } else {
            for (uint256 i = 0; i < count; ++i) {
                _askPacked(terms, runs, proofs[i], packed[i]);
            }
        }
    }

    /// @notice Stops the model for good.
    function stop() external {
        _requireGuardian();
        _running();
        _stopped = true;
        emit ModelStoppedForGood(modelId(), msg.sender);
    }

    /// @notice Offers the guardian's part to another account, or to nobody by zero.
    /// @param next The account.
    function transferGuardian(
        address next
    ) external {
        _requireGuardian();
        pendingGuardian = next;
        emit GuardianOffered(msg.sender, next);
    }

    /// @notice Takes over the guardian's part.
    function acceptGuardian() external {
        if (msg.sender != pendingGuardian) revert NotTheGuardian(msg.sender);
        emit GuardianChanged(guardian(), msg.sender);
        _guardian = msg.sender;
        delete pendingGuardian;
    }

    /// @inheritdoc IModelVerifier
    function selector() external pure override returns (bytes4) {
        return PROOF_SELECTOR;
    }

    /// @inheritdoc IModelVerifier
    function schema() external view override returns (bytes memory) {
        return _running().schema();
    }

    /// @inheritdoc IModelVerifier
    function tensors() external view override returns (Tensor[] memory) {
        return SchemaLib.toTensors(descriptor());
    }

    /// @notice What the model's identity is made of, besides the descriptor.
    function modelParts() external view returns (ModelParts memory parts) {
        _terms();
        (parts,) = ModelArgsLib.identityOfClone();
    }

    /// @notice How many predictions a proof is about.
    function predictions() external view returns (uint256) {
        return SchemaLib.predictionsOf(_terms().schema());
    }

    /// @notice Whether the model was stopped for good.
    function stopped() external view returns (bool) {
        _terms();
        return _stopped;
    }

    /// @notice The bare verifier.
    function VERIFIER() external view returns (address) {
        return _terms().verifier();
    }

    /// @notice The hash of the bare verifier's code.
    function VERIFIER_CODE_HASH() external view returns (bytes32) {
        return _terms().verifierCodeHash();
    }

    /// @notice What the bare verifier can do besides `verifyProof`: the sum of `CAN_VERIFY_MANY`, `CAN_VERIFY_PACKED`
    /// and `CAN_VERIFY_MANY_PACKED`.
    function CAPABILITIES() external view returns (uint256) {
        return _terms().capabilities();
    }

    /// @notice The exact length of a proof in bytes.
    function PROOF_LENGTH() external view returns (uint256) {
        return _terms().proofLength();
    }

    /// @notice The exact number of a proof's instances.
    function INSTANCE_COUNT() external view returns (uint256) {
        return _terms().instanceCount();
    }

    /// @notice The most gas that the bare verifier gets, for each proof.
    function GAS_CAP() external view returns (uint256) {
        return _terms().gasCap();
    }

    /// @inheritdoc IModelVerifier
    function modelId() public view override returns (bytes32) {
        _terms();
        (ModelParts memory parts, bytes memory tensorDescriptor) = ModelArgsLib.identityOfClone();
        return ModelId.compute(parts, keccak256(tensorDescriptor));
    }

    /// @notice The instances' tensors as the model was added with them, in the form of `SchemaLib`.
    function descriptor() public view returns (bytes memory tensorDescriptor) {
        _running();
        (, tensorDescriptor) = ModelArgsLib.identityOfClone();
    }

    /// @notice Who may stop the model; zero for nobody, ever.
    function guardian() public view returns (address) {
        address first = _terms().guardian();
        return _guardian == address(0) ? first : _guardian;
    }

    function _requireGuardian() private view {
        // Without a guardian nobody is: no call comes from zero.
        if (msg.sender != guardian()) revert NotTheGuardian(msg.sender);
    }

    function _terms() private view returns (Terms) {
        if (address(this) == _SELF) revert NotAClone();
        return ModelArgsLib.ofClone();
    }

    /// @dev The terms of a model that was not stopped.
    function _running() private view returns (Terms terms) {
        terms = _terms();
        if (terms.guardian() != address(0) && _stopped) revert ModelStopped(modelId());
    }

    /// @dev Asks about packed instances of the right shape, or about their words where the bare verifier does not take
    /// them packed.
    function _askPacked(
        Terms terms,
        bytes memory runs,
        bytes calldata proof,
        bytes calldata packed
    ) private view {
        if (terms.capabilities() & CAN_VERIFY_PACKED != 0) {
            _ask(terms, abi.encodeCall(IPackedProofVerifier.verifyPacked, (proof, packed)), 1);
        } else {
            uint256[] memory instances = Instances.unpack(runs, packed);
            _ask(terms, abi.encodeCall(IProofVerifier.verifyProof, (proof, instances)), 1);
        }
    }

    /// @dev Returns if the code that was pinned says true to a call about `count` proofs.
    function _ask(
        Terms terms,
        bytes memory data,
        uint256 count
    ) private view {
        address target = terms.verifier();
        bytes32 found = target.codehash;
        if (found != terms.verifierCodeHash()) revert VerifierCodeMismatch(target, found, terms.verifierCodeHash());
        uint256 cap = count * terms.gasCap();
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
        if (answer == 0) revert InvalidProof(modelId());
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
        if (used < given - given / 32) revert InvalidProof(modelId());
        if (given == cap) revert VerifierOutOfGas(cap);
        revert InsufficientGas(available, cap + cap / 63 + 1);
    }

    function _requireBatch(
        uint256 proofs,
        uint256 instances
    ) private pure returns (uint256) {
        if (proofs != instances) revert BatchLengthMismatch(proofs, instances);
        if (instances == 0) revert EmptyBatch();
        return instances;
    }

    function _requireLength(
        Terms terms,
        bytes calldata proof
    ) private pure {
        if (proof.length != terms.proofLength()) revert ProofLengthMismatch(proof.length, terms.proofLength());
    }

    function _requireShape(
        Terms terms,
        bytes calldata proof,
        uint256[] calldata instances
    ) private pure {
        _requireLength(terms, proof);
        uint256 count = terms.instanceCount();
        if (instances.length != count) revert InstanceCountMismatch(instances.length, count);
        _requireInField(instances);
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
            // Eight at a time, then the rest.
            for { let eights := sub(end, mul(and(instances.length, 7), 0x20)) } lt(at, eights) { at := add(at, 0x100) }
            {
                bad := or(bad, gt(calldataload(at), last))
                bad := or(bad, gt(calldataload(add(at, 0x20)), last))
                bad := or(bad, gt(calldataload(add(at, 0x40)), last))
                bad := or(bad, gt(calldataload(add(at, 0x60)), last))
                bad := or(bad, gt(calldataload(add(at, 0x80)), last))
                bad := or(bad, gt(calldataload(add(at, 0xa0)), last))
                bad := or(bad, gt(calldataload(add(at, 0xc0)), last))
                bad := or(bad, gt(calldataload(add(at, 0xe0)), last))
            }
            for {} lt(at, end) { at := add(at, 0x20) } { bad := or(bad, gt(calldataload(at), last)) }
        }
        if (bad == 0) return;
        for (uint256 i = 0; i < instances.length; ++i) {
            if (instances[i] > last) revert InstanceOutOfField(i, instances[i]);
        }
    }
}
