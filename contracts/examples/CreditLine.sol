// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Prediction, PredictionConsumer} from "../PredictionConsumer.sol";
import {IPredictionLedger} from "../interfaces/IPredictionLedger.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";

/// @title A credit line that a model grants
/// @notice An example. The model of examples/credit reads 41 features of an application and gives two logits, "repaid"
/// and "default"; a line is opened if the first exceeds the second by a margin.
///
/// A proof says that the model computed this output from these inputs, and nothing about where the inputs come from: a
/// borrower would choose those that please the model. So an attester who knows the borrower registers the hash of the
/// features, without showing them, and the proof must be about exactly these.
contract CreditLine is PredictionConsumer {
    /// @notice The model finds this margin too small.
    error Declined(int256 margin);

    /// @notice The features in the proof are not the ones that were attested for the caller.
    error FeaturesNotAttested(bytes32 inputsHash);

    /// @notice Only the attester may do this.
    error NotTheAttester(address caller);

    /// @notice More than the line allows.
    error LimitExceeded(uint256 requested, uint256 available);

    /// @notice A borrower's features were attested.
    event FeaturesAttested(address indexed borrower, bytes32 inputsHash);

    /// @notice A line was opened.
    event LineOpened(address indexed borrower, uint256 limit, bytes32 indexed predictionId);

    /// @notice The least margin between the logits, with 18 decimals: odds of about e^1 to one.
    int256 public constant MIN_MARGIN = 1e18;

    /// @notice The limit for each whole unit of margin.
    uint256 public constant LIMIT_PER_UNIT = 1 ether;

    /// @notice The model that decides.
    bytes32 public immutable MODEL;

    /// @notice Who vouches for the borrowers' features.
    address public immutable ATTESTER;

    /// @notice The hash of a borrower's attested features, to be used once.
    mapping(address borrower => bytes32 inputsHash) public attestedFeatures;

    /// @notice What a borrower may still draw, in wei.
    mapping(address borrower => uint256 amount) public available;

    /// @param ledger The ledger of predictions.
    /// @param model The model's identity.
    /// @param attester Who vouches for the features.
    constructor(
        IPredictionLedger ledger,
        bytes32 model,
        address attester
    ) PredictionConsumer(ledger) {
        MODEL = model;
        // Without an attester nothing is ever attested, and no line opened.
        // slither-disable-next-line missing-zero-check
        ATTESTER = attester;
    }

    /// @notice Lenders fund the lines, borrowers pay back.
    receive() external payable {}

    /// @notice Registers a borrower's features.
    /// @param borrower The borrower.
    /// @param inputsHash keccak256 of the features' scalars, 32 bytes each.
    function attest(
        address borrower,
        bytes32 inputsHash
    ) external {
        if (msg.sender != ATTESTER) revert NotTheAttester(msg.sender);
        attestedFeatures[borrower] = inputsHash;
        emit FeaturesAttested(borrower, inputsHash);
    }

    /// @notice Opens the caller's line.
    /// @param proof The model's proof about the caller's features.
    /// @param instances The scalars that it shows: 41 features, two logits.
    function open(
        bytes calldata proof,
        uint256[] calldata instances
    ) external {
        // The caller as context: two borrowers may have equal features, and each of them gets one line for them.
        Prediction memory p = _consume(MODEL, bytes32(uint256(uint160(msg.sender))), proof, instances);
        bytes32 inputsHash = p.inputsHash();
        if (attestedFeatures[msg.sender] != inputsHash) revert FeaturesNotAttested(inputsHash);
        delete attestedFeatures[msg.sender];

        int256 margin = p.output(0) - p.output(1);
        if (margin < MIN_MARGIN) revert Declined(margin);
        // The margin is positive here, and whole units are what counts.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 limit = uint256(margin / 1e18) * LIMIT_PER_UNIT;
        available[msg.sender] += limit;
        emit LineOpened(msg.sender, limit, p.id);
    }

    /// @notice Draws from the caller's line.
    /// @param amount The amount in wei.
    function draw(
        uint256 amount
    ) external {
        uint256 limit = available[msg.sender];
        if (amount > limit) revert LimitExceeded(amount, limit);
        available[msg.sender] = limit - amount;
        Address.sendValue(payable(msg.sender), amount);
    }
}
