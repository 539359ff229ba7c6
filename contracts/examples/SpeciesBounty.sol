// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Prediction, PredictionConsumer} from "../PredictionConsumer.sol";
import {IPredictionLedger} from "../interfaces/IPredictionLedger.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";

/// @title A game: bounties on flowers of a species
/// @notice An example. The model of examples/decision_tree tells three species of iris apart by four measurements in
/// centimetres. Whoever first shows a flower of the wanted species, one that was never shown, gets the bounty.
///
/// The measurements and the proof are worth money to whoever sends them, and everybody sees them in the mempool. So a
/// finder commits to them first; a copied claim has no commitment, and by the time that it had one the flower is taken.
contract SpeciesBounty is PredictionConsumer {
    /// @notice The model sees another species.
    error WrongSpecies(uint256 found, uint256 wanted);

    /// @notice No flower has such a measurement.
    error ImplausibleMeasurement(uint256 index, int256 centimetres);

    /// @notice There is no such bounty, or it was paid or withdrawn.
    error NoBounty(uint256 number);

    /// @notice Only its sponsor may withdraw a bounty, and not before its end.
    error NotWithdrawable(uint256 number);

    /// @notice A bounty was offered.
    event BountyOffered(uint256 indexed number, uint256 indexed species, uint256 reward);

    /// @notice A bounty was paid for a flower.
    event BountyPaid(uint256 indexed number, address indexed finder, bytes32 indexed predictionId);

    /// @dev What is offered for which species; a sponsor of zero marks a bounty that is gone.
    struct Bounty {
        address sponsor;
        uint96 end;
        uint256 species;
        uint256 reward;
    }

    /// @notice The greatest plausible measurement, with 18 decimals.
    int256 public constant MAX_CENTIMETRES = 30e18;

    /// @notice How long a sponsor's offer holds.
    uint256 public constant OFFER_LIFETIME = 7 days;

    /// @notice The model that tells the species.
    bytes32 public immutable MODEL;

    /// @notice The bounties, by number.
    Bounty[] public bounties;

    /// @param ledger The ledger of predictions.
    /// @param model The model's identity.
    constructor(
        IPredictionLedger ledger,
        bytes32 model
    ) PredictionConsumer(ledger) {
        MODEL = model;
    }

    /// @notice Offers the value sent for a flower of a species.
    /// @param species The model's class.
    /// @return number The bounty's number.
    function offer(
        uint256 species
    ) external payable returns (uint256 number) {
        number = bounties.length;
        // 2^96 seconds are not to come.
        // forge-lint: disable-next-line(unsafe-typecast)
        bounties.push(Bounty(msg.sender, uint96(block.timestamp + OFFER_LIFETIME), species, msg.value));
        emit BountyOffered(number, species, msg.value);
    }

    /// @notice Claims a bounty with a flower that the caller committed to.
    /// @param number The bounty.
    /// @param proof The model's proof about the flower.
    /// @param instances The scalars that it shows: four measurements, three class scores.
    /// @param salt The commitment's salt.
    function claim(
        uint256 number,
        bytes calldata proof,
        uint256[] calldata instances,
        bytes32 salt
    ) external {
        Bounty memory bounty = _take(number);
        Prediction memory p = _consumeCommitted(MODEL, proof, instances, salt);
        for (uint256 i = 0; i < p.inputCount(); ++i) {
            int256 centimetres = p.input(i);
            if (centimetres <= 0 || centimetres > MAX_CENTIMETRES) revert ImplausibleMeasurement(i, centimetres);
        }
        uint256 found = p.argmax();
        if (found != bounty.species) revert WrongSpecies(found, bounty.species);
        emit BountyPaid(number, msg.sender, p.id);
        Address.sendValue(payable(msg.sender), bounty.reward);
    }

    /// @notice Takes an offer back after its end.
    /// @param number The bounty.
    function withdraw(
        uint256 number
    ) external {
        Bounty memory bounty = _take(number);
        if (msg.sender != bounty.sponsor || block.timestamp < bounty.end) revert NotWithdrawable(number);
        Address.sendValue(payable(msg.sender), bounty.reward);
    }

    function _take(
        uint256 number
    ) private returns (Bounty memory bounty) {
        if (number >= bounties.length) revert NoBounty(number);
        bounty = bounties[number];
        if (bounty.sponsor == address(0)) revert NoBounty(number);
        delete bounties[number];
    }
}
