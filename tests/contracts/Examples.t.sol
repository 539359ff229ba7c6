// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Fixtures, Model, Proof} from "./Fixtures.sol";
import {ModelRouter} from "zkvouch/ModelRouter.sol";
import {ModelVerifier} from "zkvouch/ModelVerifier.sol";
import {IPredictionConsumerErrors} from "zkvouch/PredictionConsumer.sol";
import {PredictionLedger} from "zkvouch/PredictionLedger.sol";
import {CreditLine} from "zkvouch/examples/CreditLine.sol";
import {SpeciesBounty} from "zkvouch/examples/SpeciesBounty.sol";
import {IPredictionLedgerErrors} from "zkvouch/interfaces/IPredictionLedger.sol";
import {MockModelRouter} from "zkvouch/mocks/MockModelRouter.sol";
import {MockModelVerifier} from "zkvouch/mocks/MockModelVerifier.sol";

contract CreditLineTest is Fixtures {
    Model internal model;
    PredictionLedger internal ledger;
    CreditLine internal line;
    Proof internal risky;
    Proof internal sound;
    address internal attester = makeAddr("attester");
    address internal borrower = makeAddr("borrower");

    function setUp() public {
        model = loadModel("credit");
        (ModelRouter router, ModelVerifier adapter) = deployRouter(model);
        ledger = new PredictionLedger(router);
        line = new CreditLine(ledger, adapter.modelId(), attester);
        risky = model.first;
        sound = loadProof("credit", "proof-1");
        vm.deal(address(line), 100 ether);
    }

    function test_OpensAndDraws() public {
        _attest(borrower, sound);
        int256 margin = parseDecimal(sound.outputs[0]) - parseDecimal(sound.outputs[1]);
        uint256 limit = uint256(margin) / 1e18 * 1 ether;
        assertEq(limit, 3 ether);
        vm.expectEmit(address(line));
        emit CreditLine.LineOpened(
            borrower,
            limit,
            ledger.idOf(line.MODEL(), sound.instances, address(line), bytes32(uint256(uint160(borrower))))
        );
        vm.startPrank(borrower);
        line.open(sound.proof, sound.instances);
        line.draw(1 ether);
        assertEq(borrower.balance, 1 ether);
        assertEq(line.available(borrower), 2 ether);
        vm.expectRevert(abi.encodeWithSelector(CreditLine.LimitExceeded.selector, 3 ether, 2 ether));
        line.draw(3 ether);
    }

    function test_RevertDeclined() public {
        _attest(borrower, risky);
        int256 margin = parseDecimal(risky.outputs[0]) - parseDecimal(risky.outputs[1]);
        assertLt(margin, 0);
        vm.expectRevert(abi.encodeWithSelector(CreditLine.Declined.selector, margin));
        vm.prank(borrower);
        line.open(risky.proof, risky.instances);
    }

    /// @dev A valid proof about features that please the model, and are not the borrower's.
    function test_RevertFeaturesOfAnother() public {
        _attest(makeAddr("rich"), sound);
        bytes memory reason = abi.encodeWithSelector(CreditLine.FeaturesNotAttested.selector, _inputsHash(sound));
        vm.expectRevert(reason);
        vm.prank(borrower);
        line.open(sound.proof, sound.instances);
        _attest(borrower, risky);
        vm.expectRevert(reason);
        vm.prank(borrower);
        line.open(sound.proof, sound.instances);
    }

    function test_RevertOpenTwice() public {
        _attest(borrower, sound);
        vm.prank(borrower);
        line.open(sound.proof, sound.instances);
        _attest(borrower, sound);
        bytes32 id = ledger.idOf(line.MODEL(), sound.instances, address(line), bytes32(uint256(uint160(borrower))));
        vm.expectRevert(abi.encodeWithSelector(IPredictionLedgerErrors.AlreadyRecorded.selector, id));
        vm.prank(borrower);
        line.open(sound.proof, sound.instances);
    }

    function test_RevertAttestWhenNotTheAttester() public {
        vm.expectRevert(abi.encodeWithSelector(CreditLine.NotTheAttester.selector, borrower));
        vm.prank(borrower);
        line.attest(borrower, _inputsHash(sound));
    }

    function test_TakesFunds() public {
        vm.deal(borrower, 1 ether);
        vm.prank(borrower);
        (bool success,) = address(line).call{value: 1 ether}("");
        assertTrue(success);
        assertEq(address(line).balance, 101 ether);
    }

    function _attest(
        address who,
        Proof memory proof
    ) private {
        bytes32 hash = _inputsHash(proof);
        vm.expectEmit(address(line));
        emit CreditLine.FeaturesAttested(who, hash);
        vm.prank(attester);
        line.attest(who, hash);
    }

    function _inputsHash(
        Proof memory proof
    ) private pure returns (bytes32) {
        uint256[] memory features = new uint256[](41);
        for (uint256 i = 0; i < 41; ++i) {
            features[i] = proof.instances[i];
        }
        return keccak256(abi.encodePacked(features));
    }
}

contract SpeciesBountyTest is Fixtures {
    Model internal model;
    PredictionLedger internal ledger;
    SpeciesBounty internal bounty;
    Proof internal flower;
    address internal sponsor = makeAddr("sponsor");
    address internal finder = makeAddr("finder");
    bytes32 internal constant SALT = keccak256("salt");

    function setUp() public {
        model = loadModel("tree");
        (ModelRouter router, ModelVerifier adapter) = deployRouter(model);
        ledger = new PredictionLedger(router);
        bounty = new SpeciesBounty(ledger, adapter.modelId());
        flower = model.first;
        vm.deal(sponsor, 10 ether);
        vm.warp(1_700_000_000);
    }

    function test_PaysTheFinder() public {
        _offer(0, 1);
        _commit();
        vm.expectEmit(address(bounty));
        emit SpeciesBounty.BountyPaid(0, finder, ledger.idOf(bounty.MODEL(), flower.instances, address(bounty), 0));
        vm.prank(finder);
        bounty.claim(0, flower.proof, flower.instances, SALT);
        assertEq(finder.balance, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(SpeciesBounty.NoBounty.selector, 0));
        vm.prank(finder);
        bounty.claim(0, flower.proof, flower.instances, SALT);
    }

    function test_RevertAFlowerTwice() public {
        _offer(0, 1);
        _offer(1, 1);
        _commit();
        vm.prank(finder);
        bounty.claim(0, flower.proof, flower.instances, SALT);
        _commit();
        vm.expectRevert(
            abi.encodeWithSelector(
                IPredictionLedgerErrors.AlreadyRecorded.selector,
                ledger.idOf(bounty.MODEL(), flower.instances, address(bounty), 0)
            )
        );
        vm.prank(finder);
        bounty.claim(1, flower.proof, flower.instances, SALT);
    }

    function test_RevertWrongSpecies() public {
        _offer(0, 2);
        _commit();
        vm.expectRevert(abi.encodeWithSelector(SpeciesBounty.WrongSpecies.selector, 1, 2));
        vm.prank(finder);
        bounty.claim(0, flower.proof, flower.instances, SALT);
    }

    function test_RevertCopiedClaim() public {
        _offer(0, 1);
        _commit();
        address copier = makeAddr("copier");
        vm.expectRevert(
            abi.encodeWithSelector(
                IPredictionConsumerErrors.NotCommitted.selector,
                bounty.commitmentOf(copier, bounty.MODEL(), flower.instances, SALT)
            )
        );
        vm.prank(copier);
        bounty.claim(0, flower.proof, flower.instances, SALT);
    }

    /// @dev The model answers whatever it is asked: a flower of 42 centimetres is for the contract to refuse.
    function test_RevertImplausibleMeasurement() public {
        MockModelRouter router = new MockModelRouter(owner, address(new ModelVerifier()));
        MockModelVerifier mock = new MockModelVerifier("iris", model.descriptor);
        vm.prank(owner);
        router.addMock(mock);
        bounty = new SpeciesBounty(new PredictionLedger(router), "iris");
        _offer(0, 1);
        uint256[3] memory wrong = [uint256(42 * 128), 0, R - 128];
        int256[3] memory centimetres = [int256(42e18), 0, -1e18];
        for (uint256 i = 0; i < 3; ++i) {
            flower.instances[2] = wrong[i];
            flower.proof = mock.mockProof(flower.instances);
            _commit();
            vm.expectRevert(abi.encodeWithSelector(SpeciesBounty.ImplausibleMeasurement.selector, 2, centimetres[i]));
            vm.prank(finder);
            bounty.claim(0, flower.proof, flower.instances, SALT);
        }
    }

    function test_SponsorTakesAnOfferBack() public {
        _offer(0, 1);
        vm.expectRevert(abi.encodeWithSelector(SpeciesBounty.NotWithdrawable.selector, 0));
        vm.prank(sponsor);
        bounty.withdraw(0);
        skip(7 days);
        vm.expectRevert(abi.encodeWithSelector(SpeciesBounty.NotWithdrawable.selector, 0));
        vm.prank(finder);
        bounty.withdraw(0);
        vm.prank(sponsor);
        bounty.withdraw(0);
        assertEq(sponsor.balance, 10 ether);
    }

    function test_RevertNoBounty() public {
        vm.expectRevert(abi.encodeWithSelector(SpeciesBounty.NoBounty.selector, 0));
        bounty.claim(0, flower.proof, flower.instances, SALT);
        vm.expectRevert(abi.encodeWithSelector(SpeciesBounty.NoBounty.selector, 5));
        bounty.withdraw(5);
    }

    function _offer(
        uint256 number,
        uint256 species
    ) private {
        vm.expectEmit(address(bounty));
        emit SpeciesBounty.BountyOffered(number, species, 1 ether);
        vm.prank(sponsor);
        assertEq(bounty.offer{value: 1 ether}(species), number);
    }

    function _commit() private {
        bytes32 commitment = bounty.commitmentOf(finder, bounty.MODEL(), flower.instances, SALT);
        vm.prank(finder);
        bounty.commitPrediction(commitment);
        vm.roll(vm.getBlockNumber() + 25);
    }
}
