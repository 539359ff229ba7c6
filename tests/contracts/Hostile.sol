// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelArgs, ModelParts} from "zkvouch/interfaces/IModelVerifier.sol";

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

/// @title A bare verifier whose proofs are one word, for the stateful tests and those of the router's gate
/// @dev It has all entries, and may go bad at any time.
contract StubVerifier {
    enum Flaw {
        None,
        AcceptsEverything,
        AcceptsChangedProof,
        AcceptsChangedInstance,
        RefusesByAnOddAnswer,
        RefusesByBurningGas,
        RefusesBatches,
        ChecksTheFirstOnly,
        ChecksTheLastOnly,
        ChecksTheEndsOnly,
        ChecksAllButTheProofInTheMiddle,
        RefusesBatchesByAnOddAnswer,
        RefusesAll
    }

    bytes internal constant DESCRIPTOR = hex"02000000010200200003002000";

    /// @dev The one proof of its model.
    bytes32 public immutable KEY;
    Flaw public flaw;

    /// @dev The entry that has the flaw; zero for all of them.
    bytes4 public where;

    error NoProof();

    constructor(
        bytes32 key
    ) {
        KEY = key;
    }

    function set(
        Flaw next,
        bytes4 entry
    ) external {
        (flaw, where) = (next, entry);
    }

    function verifyProof(
        bytes calldata proof,
        uint256[] calldata instances
    ) external view returns (bool) {
        return _one(_flaw(), proof, instances);
    }

    function verifyPacked(
        bytes calldata proof,
        bytes calldata packed
    ) external view returns (bool) {
        return _one(_flaw(), proof, abi.decode(bytes.concat(abi.encode(0x20, packed.length / 32), packed), (uint256[])));
    }

    function verifyMany(
        bytes[] calldata proofs,
        uint256[][] calldata instances
    ) external view returns (bool) {
        return _many(proofs, instances);
    }

    function verifyManyPacked(
        bytes[] calldata proofs,
        bytes[] calldata packed
    ) external view returns (bool) {
        uint256[][] memory instances = new uint256[][](packed.length);
        for (uint256 i = 0; i < packed.length; ++i) {
            instances[i] = abi.decode(bytes.concat(abi.encode(0x20, packed[i].length / 32), packed[i]), (uint256[]));
        }
        return _many(proofs, instances);
    }

    /// @dev The proof and the instances that it takes for `input`.
    function prove(
        uint256 input
    ) external view returns (bytes memory proof, uint256[] memory instances) {
        proof = abi.encode(KEY);
        instances = new uint256[](2);
        instances[0] = input;
        instances[1] = _outputOf(input);
    }

    /// @dev What a model over it is added with: an input and an output, which need whole words.
    function args(
        uint8 capabilities,
        address guardian
    ) external view returns (ModelArgs memory) {
        return ModelArgs(
            ModelParts(KEY, 0, 0, 0, "stub"),
            address(this),
            address(this).codehash,
            capabilities,
            32,
            1_000_000,
            guardian,
            DESCRIPTOR
        );
    }

    function _flaw() private view returns (Flaw) {
        return where == 0 || where == msg.sig ? flaw : Flaw.None;
    }

    function _one(
        Flaw now_,
        bytes memory proof,
        uint256[] memory instances
    ) private view returns (bool) {
        if (now_ == Flaw.RefusesAll) revert NoProof();
        if (_fits(now_, proof, instances)) return true;
        _refuse(now_);
        revert NoProof();
    }

    function _many(
        bytes[] calldata proofs,
        uint256[][] memory instances
    ) private view returns (bool) {
        Flaw now_ = _flaw();
        if (now_ == Flaw.RefusesBatches || now_ == Flaw.RefusesAll) revert NoProof();
        for (uint256 i = 0; i < proofs.length; ++i) {
            bool last = i + 1 == proofs.length;
            if (now_ == Flaw.ChecksTheFirstOnly && i != 0) continue;
            if (now_ == Flaw.ChecksTheLastOnly && !last) continue;
            if (now_ == Flaw.ChecksTheEndsOnly && i != 0 && !last) continue;
            bool middle = i == 1 && proofs.length == 3;
            bytes calldata proof = now_ == Flaw.ChecksAllButTheProofInTheMiddle && middle ? proofs[0] : proofs[i];
            if (_fits(now_, proof, instances[i])) continue;
            _refuse(now_ == Flaw.RefusesBatchesByAnOddAnswer ? Flaw.RefusesByAnOddAnswer : now_);
            revert NoProof();
        }
        return true;
    }

    function _fits(
        Flaw now_,
        bytes memory proof,
        uint256[] memory instances
    ) private view returns (bool) {
        if (now_ == Flaw.AcceptsEverything) return true;
        bool proofFits = proof.length == 32 && bytes32(proof) == KEY;
        bool instancesFit = instances.length == 2 && instances[1] == _outputOf(instances[0]);
        if (now_ == Flaw.AcceptsChangedProof) proofFits = true;
        if (now_ == Flaw.AcceptsChangedInstance) instancesFit = true;
        return proofFits && instancesFit;
    }

    function _refuse(
        Flaw now_
    ) private pure {
        assembly ("memory-safe") {
            if eq(now_, 4) {
                mstore(0x00, 2)
                return(0x00, 0x20)
            }
            if eq(now_, 5) { for {} 1 {} {} }
        }
    }

    function _outputOf(
        uint256 input
    ) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(input))) >> 8;
    }
}
