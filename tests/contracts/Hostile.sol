// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IModelVerifier, PROOF_SELECTOR, Tensor} from "zkvouch/interfaces/IModelVerifier.sol";

/// @title Bare verifiers that do something else than verify, in the adapter's tests
contract HostileVerifier {
    enum Mode {
        True,
        False,
        Two,
        Nothing,
        HalfAWord,
        TwoWords,
        ReturnBomb,
        Revert,
        RevertBomb,
        BurnGas,
        Invalid,
        BurnThenRevert
    }

    Mode internal immutable _MODE;

    constructor(
        Mode mode
    ) {
        _MODE = mode;
    }

    fallback() external {
        Mode mode = _MODE;
        assembly ("memory-safe") {
            mstore(0x00, 1)
            switch mode
            case 0 { return(0x00, 0x20) }
            case 1 {
                mstore(0x00, 0)
                return(0x00, 0x20)
            }
            case 2 {
                mstore(0x00, 2)
                return(0x00, 0x20)
            }
            case 3 { return(0x00, 0x00) }
            case 4 { return(0x10, 0x10) }
            case 5 { return(0x00, 0x40) }
            case 6 { return(0x00, 200000) }
            case 7 { revert(0x00, 0x00) }
            case 8 { revert(0x00, 200000) }
            case 9 { for {} 1 {} {} }
            case 10 { invalid() }
            case 11 {
                // As a precompile does with a bad point: all but the 64th part.
                mstore(0x00, not(0))
                let failed := iszero(staticcall(gas(), 6, 0x00, 0x80, 0x00, 0x00))
                if failed { revert(0x00, 0x00) }
            }
        }
    }
}

/// @title A model verifier whose proofs are one word, for the stateful tests and those of the router's gate
/// @dev It says that it checks proofs, which a mock must not.
contract StubModelVerifier is IModelVerifier {
    enum Flaw {
        None,
        AcceptsEverything,
        AcceptsChangedProof,
        AcceptsChangedInstance,
        RefusesByOtherError,
        RefusesByNothing,
        RefusesBatches,
        ChecksTheFirstOnly,
        ChecksTheLastOnly,
        RefusesBatchesByOtherError,
        ChecksTheEndsOnly,
        ChecksAllButTheProofInTheMiddle
    }

    error Other();

    bytes32 public immutable override modelId;
    Flaw public immutable FLAW;

    constructor(
        bytes32 model,
        Flaw flaw
    ) {
        modelId = model;
        FLAW = flaw;
    }

    function verify(
        bytes calldata proof,
        uint256[] calldata instances
    ) external view override {
        if (_fits(proof, instances)) return;
        if (FLAW == Flaw.RefusesByOtherError) revert Other();
        if (FLAW == Flaw.RefusesByNothing) {
            assembly {
                revert(0, 0)
            }
        }
        revert InvalidProof(modelId);
    }

    function verifyMany(
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view override {
        if (proofs.length != instances.length) revert BatchLengthMismatch(proofs.length, instances.length);
        if (proofs.length == 0) revert EmptyBatch();
        if (FLAW == Flaw.RefusesBatches) revert InvalidProof(modelId);
        for (uint256 i = 0; i < proofs.length; ++i) {
            if (FLAW == Flaw.ChecksTheFirstOnly && i != 0) continue;
            if (FLAW == Flaw.ChecksTheLastOnly && i + 1 != proofs.length) continue;
            if (FLAW == Flaw.ChecksTheEndsOnly && i != 0 && i + 1 != proofs.length) continue;
            bytes calldata proof =
                FLAW == Flaw.ChecksAllButTheProofInTheMiddle && i == 1 && proofs.length == 3 ? proofs[0] : proofs[i];
            if (_fits(proof, instances[i])) continue;
            if (FLAW == Flaw.RefusesBatchesByOtherError) revert Other();
            revert InvalidProof(modelId);
        }
    }

    function _fits(
        bytes calldata proof,
        uint256[] calldata instances
    ) private view returns (bool) {
        if (FLAW == Flaw.AcceptsEverything) return true;
        bool proofFits = proof.length == 32 && bytes32(proof) == modelId;
        bool instancesFit = instances.length == 2 && instances[1] == uint256(keccak256(abi.encode(instances[0]))) >> 8;
        if (FLAW == Flaw.AcceptsChangedProof) proofFits = true;
        if (FLAW == Flaw.AcceptsChangedInstance) instancesFit = true;
        return proofFits && instancesFit;
    }

    /// @dev The proof and the instances that it takes for `input`.
    function prove(
        uint256 input
    ) external view returns (bytes memory proof, uint256[] memory instances) {
        proof = abi.encode(modelId);
        instances = new uint256[](2);
        instances[0] = input;
        instances[1] = uint256(keccak256(abi.encode(input))) >> 8;
    }

    function selector() external pure override returns (bytes4) {
        return PROOF_SELECTOR;
    }

    function schema() external pure override returns (bytes memory) {
        return hex"020000000001030000000001";
    }

    function tensors() external pure override returns (Tensor[] memory) {
        return new Tensor[](0);
    }
}

    /// @title A model verifier that verifies, and whose schema goes bad once it has its route
    contract BadSchemaVerifier is IModelVerifier {
        enum Mode {
            Good,
            Reverts,
            BurnsGas,
            TooMany,
            TooFew,
            HalfARun,
            UnknownKind,
            OutputFirst,
            Bomb,
            BadOffset,
            LongerThanItIs,
            Nothing
        }

        bytes32 public immutable override modelId;
        Mode public mode;

        constructor(
            bytes32 model
        ) {
            modelId = model;
        }

        function set(
            Mode next
        ) external {
            mode = next;
        }

        function verify(
            bytes calldata proof,
            uint256[] calldata instances
        ) external view override {
            if (!_fits(proof, instances)) revert InvalidProof(modelId);
        }

        function verifyMany(
            bytes[] calldata proofs,
            uint256[][] calldata instances
        ) external view override {
            for (uint256 i = 0; i < proofs.length; ++i) {
                if (!_fits(proofs[i], instances[i])) revert InvalidProof(modelId);
            }
        }

        function _fits(
            bytes calldata proof,
            uint256[] calldata instances
        ) private view returns (bool) {
            return proof.length == 32 && bytes32(proof) == modelId && instances.length == 1 && instances[0] == 7;
        }

        function schema() external view override returns (bytes memory) {
            Mode now_ = mode;
            if (now_ == Mode.Reverts) revert("no schema");
            if (now_ == Mode.TooMany) return hex"030000000009";
            if (now_ == Mode.TooFew) return hex"";
            if (now_ == Mode.HalfARun) return hex"0300000000010300";
            if (now_ == Mode.UnknownKind) return hex"090000000001";
            if (now_ == Mode.OutputFirst) return hex"030000000001020000000000";
            assembly {
                switch now_
                case 2 { for {} 1 {} {} }
                case 8 { return(0x00, 200000) }
                case 9 {
                    mstore(0x00, 0x40)
                    mstore(0x20, 6)
                    return(0x00, 0x60)
                }
                case 10 {
                    mstore(0x00, 0x20)
                    mstore(0x20, 0x21)
                    mstore(0x40, shl(208, 0x030000000001))
                    return(0x00, 0x60)
                }
                case 11 { return(0x00, 0x00) }
            }
            return hex"030000000001";
        }

        function selector() external pure override returns (bytes4) {
            return PROOF_SELECTOR;
        }

        function tensors() external pure override returns (Tensor[] memory) {
            return new Tensor[](0);
        }
    }
