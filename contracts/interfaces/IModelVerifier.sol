// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @notice What identifies a model: everything that its verifying key was made from.
/// @param onnxHash SHA-256 of the ONNX file.
/// @param settingsHash SHA-256 of settings.json, which is not reproducible from the model and hence part of it.
/// @param srsHash SHA-256 of the structured reference string's file.
/// @param vkHash SHA-256 of the verifying key's file.
/// @param engine The proving engine's version, for example "23.0.5"; 1 to 31 bytes.
struct ModelParts {
    bytes32 onnxHash;
    bytes32 settingsHash;
    bytes32 srsHash;
    bytes32 vkHash;
    string engine;
}

/// @notice What a run of instances stands for. The numbers are part of the descriptor's encoding: never renumber.
enum TensorKind {
    // The Poseidon hash or KZG commitment of an input that is not public itself.
    ProcessedInput,
    // The hash or commitment of the parameters.
    ProcessedParam,
    // A public input, in fixed point.
    Input,
    // A public output, in fixed point.
    Output,
    // The hash or commitment of an output.
    ProcessedOutput
}

/// @notice One tensor among a proof's instances.
/// @param kind What it stands for.
/// @param scale Its fixed-point scale: a scalar n is the number n / 2^scale. Zero for hashes and commitments.
/// @param width The bytes of one of its instances when they are packed: 1, 2, 4, 8, 16 or 32.
/// @param shape Its dimensions; no dimension means one element.
struct Tensor {
    TensorKind kind;
    int8 scale;
    uint8 width;
    uint32[] shape;
}

/// @notice What a model is added with: all that its clone of `ModelVerifier` is made from.
/// @param parts What its verifying key was made from.
/// @param verifier The bare verifier, deployed already.
/// @param verifierCodeHash keccak256 of the bare verifier's code.
/// @param capabilities What the bare verifier can do besides `verifyProof`: the sum of `CAN_VERIFY_MANY`,
/// `CAN_VERIFY_PACKED` and `CAN_VERIFY_MANY_PACKED`.
/// @param proofLength The length of a proof in bytes, a multiple of 32.
/// @param gasCap The most gas that the bare verifier gets for a proof; leave some room over what a verification takes,
/// for repricings, and for a batch of one, which takes a little more.
/// @param guardian Who may stop the model for good; zero for nobody, ever.
/// @param descriptor What the instances stand for, in the form of `SchemaLib`.
struct ModelArgs {
    ModelParts parts;
    address verifier;
    bytes32 verifierCodeHash;
    uint8 capabilities;
    uint32 proofLength;
    uint64 gasCap;
    address guardian;
    bytes descriptor;
}

/// @title Errors of every model verifier
interface IModelVerifierErrors {
    /// @notice The proof has the wrong length. Usually it was made with another model's key.
    error ProofLengthMismatch(uint256 received, uint256 expected);

    /// @notice There are too few or too many instances. Usually the proof is another model's, or its inputs and
    /// outputs were flattened differently.
    error InstanceCountMismatch(uint256 received, uint256 expected);

    /// @notice An instance is not below the scalar modulus. Usually its bytes were read in the wrong order: proof.json
    /// has them least significant byte first.
    error InstanceOutOfField(uint256 index, uint256 value);

    /// @notice The packed instances have the wrong length. Usually they were packed by another model's widths.
    error PackedLengthMismatch(uint256 received, uint256 expected);

    /// @notice The proof does not show these instances for this model. Usually an instance was changed, or the proof
    /// was made with another verifying key.
    error InvalidProof(bytes32 modelId);

    /// @notice The gas ran out before the verification was over; nothing is known about the proof. Send the transaction
    /// with more: `required`, at this point, is certain to do.
    error InsufficientGas(uint256 available, uint256 required);

    /// @notice The bare verifier used up all the gas that it is ever given, or nearly: the cap was set too low for this
    /// chain, or the proof makes a precompile burn its gas.
    error VerifierOutOfGas(uint256 cap);

    /// @notice The bare verifier's code is not the code that was pinned.
    error VerifierCodeMismatch(address verifier, bytes32 found, bytes32 expected);

    /// @notice The bare verifier returned without a revert something other than one word that is a boolean.
    error UnexpectedVerifierReturn(uint256 size);

    /// @notice There is no proof in the batch.
    error EmptyBatch();

    /// @notice The arrays of a batch differ in length: each proof needs its instances.
    /// @param received The length of the other array.
    /// @param expected The number of instances' arrays.
    error BatchLengthMismatch(uint256 received, uint256 expected);

    /// @notice The model's guardian stopped it for good: a flaw was found. The way on is another build of the model.
    error ModelStopped(bytes32 modelId);
}

/// @title Checks proofs of one named model
/// @notice Behind an `IModelRouter` these are clones of `ModelVerifier`, and nothing else.
///
/// A proof's instances are given as words, or packed: all of them one after the other, big endian, each in its tensor's
/// width, without padding. In 1 to 16 bytes stands a signed number in two's complement, a negative -x being the scalar
/// r - x, and in 32 bytes the scalar itself. What does not fit goes as words.
interface IModelVerifier is IModelVerifierErrors {
    /// @notice Returns if the proof shows that the model computed these instances, and reverts otherwise.
    /// @param proof The proof.
    /// @param instances The scalars in a proof's order: hashed inputs and parameters, public inputs, outputs.
    /// @return schema What they stand for, as `schema()` returns it.
    function verify(
        bytes calldata proof,
        uint256[] calldata instances
    ) external view returns (bytes memory schema);

    /// @notice Returns if each proof shows that the model computed the instances at the same place, and reverts if one
    /// of them does not, by the error that `verify` has for it. The same proof may stand there several times.
    /// @param proofs The proofs, at least one.
    /// @param instances The scalars of each, as many arrays as there are proofs.
    /// @return schema What the instances of each stand for.
    function verifyMany(
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view returns (bytes memory schema);

    /// @notice As `verify`, with the instances packed.
    /// @param proof The proof.
    /// @param packed The instances, packed.
    /// @return schema What they stand for.
    function verifyPacked(
        bytes calldata proof,
        bytes calldata packed
    ) external view returns (bytes memory schema);

    /// @notice As `verifyMany`, with the instances packed.
    /// @param proofs The proofs, at least one.
    /// @param packed The instances of each, packed.
    /// @return schema What the instances of each stand for.
    function verifyManyPacked(
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external view returns (bytes memory schema);

    /// @notice The model's identity: keccak256(abi.encode(onnx sha256, settings sha256, srs sha256, vk sha256, engine
    /// version, keccak256(descriptor))).
    function modelId() external view returns (bytes32);

    /// @notice What kind of verifier this is: `PROOF_SELECTOR` for one that checks proofs, `MOCK_SELECTOR` for one
    /// that does not.
    function selector() external view returns (bytes4);

    /// @notice What the instances of one prediction stand for, in the compact form of `SchemaLib`, and how many
    /// predictions a proof is about.
    function schema() external view returns (bytes memory);

    /// @notice What the instances of a proof stand for, tensor by tensor, with shapes.
    function tensors() external view returns (Tensor[] memory);
}

/// @dev bytes4(keccak256("zkvouch.proof.v2")).
bytes4 constant PROOF_SELECTOR = bytes4(keccak256("zkvouch.proof.v2"));

/// @dev Never a selector that a production router takes.
bytes4 constant MOCK_SELECTOR = 0xffffffff;

/// @dev The bare verifier is an `IBatchProofVerifier`.
uint8 constant CAN_VERIFY_MANY = 1;

/// @dev The bare verifier is an `IPackedProofVerifier`.
uint8 constant CAN_VERIFY_PACKED = 2;

/// @dev The bare verifier is an `IPackedBatchProofVerifier`.
uint8 constant CAN_VERIFY_MANY_PACKED = 4;
