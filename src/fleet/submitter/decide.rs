//! What to do about an error of the chain's.

use crate::chain::{Error, contracts::is_already_recorded, tx};

/// What to do with a submission that did not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The ledger has it, or some of it.
    Recorded,
    /// Try the same again later: it may be on its way, or somebody has to mend something.
    Wait,
    /// Nothing of it is in the chain or on its way: put it together anew.
    Anew,
    /// The chain refuses it: each prediction by itself, and where there is one alone, no more.
    Refused,
}

pub(super) fn decide(error: &Error) -> Decision {
    use tx::Error as Tx;
    if is_already_recorded(error) {
        return Decision::Recorded;
    }
    match error {
        Error::ProofLength { .. } | Error::InstanceCount { .. } | Error::SamePrediction { .. } => {
            Decision::Refused
        }
        Error::Transaction(error) => match &**error {
            Tx::WouldRevert { .. } | Tx::Failed { .. } | Tx::TooMuchGas { .. } => Decision::Refused,
            Tx::Replaced { .. } | Tx::NonceTaken { .. } => Decision::Anew,
            _ => Decision::Wait,
        },
        _ => Decision::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::tx::revert::RevertDecoder;
    use alloy::primitives::{Address, B256, Bytes};

    #[test]
    fn what_may_be_on_its_way_is_never_put_together_anew() {
        let (label, hash, account) = (String::new(), B256::ZERO, Address::ZERO);
        let on_its_way = [
            Tx::NoReceipt { label: label.clone(), hash, block: 1 },
            Tx::NonceUsed { label: label.clone(), account, nonce: 1, hash },
            Tx::Waiting { label: label.clone(), account, nonce: 2, next: 1, hash },
            Tx::Refused { label: label.clone(), message: "insufficient funds".into(), hash },
        ];
        use tx::Error as Tx;
        for error in on_its_way {
            let error = Error::from(error);
            assert_eq!(decide(&error), Decision::Wait, "{error}");
        }
        let replaced = Tx::Replaced { label: label.clone(), account, nonce: 1, by: hash };
        assert_eq!(decide(&replaced.into()), Decision::Anew);
        let revert = |selector: &str| {
            let id = B256::repeat_byte(1);
            let data = [&alloy::primitives::keccak256(selector)[..4], &id[..]].concat();
            let decoder = crate::chain::contracts::decoder();
            let revert = Box::new(decoder.decode(&Bytes::from(data)));
            Error::from(Tx::WouldRevert { label: String::new(), revert })
        };
        assert_eq!(decide(&revert("AlreadyRecorded(bytes32)")), Decision::Recorded);
        assert_eq!(decide(&revert("BatchAlreadyRecorded(bytes32)")), Decision::Recorded);
        assert_eq!(decide(&revert("NotRecorded(bytes32)")), Decision::Refused);
        let empty = Box::new(RevertDecoder::new().decode(&Bytes::new()));
        assert_eq!(decide(&Tx::WouldRevert { label, revert: empty }.into()), Decision::Refused);
    }
}
