// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {TensorKind} from "./interfaces/IModelVerifier.sol";
import {FixedPoint} from "./libraries/FixedPoint.sol";
import {SchemaLib} from "./libraries/SchemaLib.sol";

/// @notice A verified prediction. Read it by its functions: `p.output(0)`, `p.input(3)`, `p.inputsHash()`.
/// @param modelId The model.
/// @param id Its id in the ledger.
/// @param schema What the instances stand for, in the form of `SchemaLib`.
/// @param instances Its scalars: of a proof about several predictions the part that is this one's.
struct Prediction {
    bytes32 modelId;
    bytes32 id;
    bytes schema;
    uint256[] instances;
}

using PredictionLib for Prediction global;

/// @title Reading a prediction
/// @notice Numbers have 18 decimals and are rounded down; elements are counted over all tensors of their kind, row by
/// row. An index beyond the last reverts with `NoSuchElement`.
library PredictionLib {
    /// @notice The public input number `index`.
    function input(
        Prediction memory self,
        uint256 index
    ) internal pure returns (int256) {
        return _number(self, TensorKind.Input, index);
    }

    /// @notice The public output number `index`.
    function output(
        Prediction memory self,
        uint256 index
    ) internal pure returns (int256) {
        return _number(self, TensorKind.Output, index);
    }

    /// @notice The number of public inputs.
    function inputCount(
        Prediction memory self
    ) internal pure returns (uint256) {
        return SchemaLib.countOf(self.schema, TensorKind.Input);
    }

    /// @notice The number of public outputs.
    function outputCount(
        Prediction memory self
    ) internal pure returns (uint256) {
        return SchemaLib.countOf(self.schema, TensorKind.Output);
    }

    /// @notice The index of the greatest public output: the class that a classifier chose. The first, if several are
    /// equal.
    function argmax(
        Prediction memory self
    ) internal pure returns (uint256 best) {
        uint256 count = outputCount(self);
        int256 greatest = output(self, 0);
        for (uint256 i = 1; i < count; ++i) {
            int256 value = output(self, i);
            if (value > greatest) (best, greatest) = (i, value);
        }
    }

    /// @notice The hash or commitment number `index` of inputs, parameters or outputs that are not public.
    function processed(
        Prediction memory self,
        TensorKind kind,
        uint256 index
    ) internal pure returns (uint256) {
        (uint256 position,) = SchemaLib.locate(self.schema, kind, index);
        return self.instances[position];
    }

    /// @notice keccak256 of all instances before the outputs, 32 bytes each: what the ledger's event has too. Compare
    /// it with a hash from a source that you trust, since whoever proves chooses the inputs.
    function inputsHash(
        Prediction memory self
    ) internal pure returns (bytes32 hash) {
        uint256 count = self.instances.length - SchemaLib.outputCount(self.schema);
        uint256[] memory instances = self.instances;
        assembly ("memory-safe") {
            hash := keccak256(add(instances, 0x20), mul(count, 0x20))
        }
    }

    function _number(
        Prediction memory self,
        TensorKind kind,
        uint256 index
    ) private pure returns (int256) {
        (uint256 position, int8 scale) = SchemaLib.locate(self.schema, kind, index);
        return FixedPoint.decode(self.instances[position], scale);
    }
}
