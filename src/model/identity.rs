//! Which model a proof is about.

use alloy::{
    primitives::{B256, keccak256},
    sol_types::SolValue,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What names a model: the hash of everything that its verifier depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(pub B256);

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelId({})", self.0)
    }
}

impl FromStr for ModelId {
    type Err = <B256 as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What a model's identity is made of. Two builds of the same model differ here if anything that
/// a verifier depends on differs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// SHA-256 of the ONNX file.
    pub onnx_sha256: B256,
    /// SHA-256 of settings.json as the circuit was compiled with it.
    pub settings_sha256: B256,
    /// SHA-256 of the SRS file that the keys were made with.
    pub srs_sha256: B256,
    /// SHA-256 of the verifying key file.
    pub vk_sha256: B256,
    /// The version of ezkl that made the keys, such as `23.0.5`.
    pub engine_version: String,
}

impl ModelIdentity {
    /// `keccak256(abi.encode(onnx, settings, srs, vk, engine version))`: four `bytes32` and a
    /// `string`.
    pub fn model_id(&self) -> ModelId {
        let fields = (
            self.onnx_sha256,
            self.settings_sha256,
            self.srs_sha256,
            self.vk_sha256,
            self.engine_version.clone(),
        );
        ModelId(keccak256(fields.abi_encode_params()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::U256;

    #[test]
    fn the_encoding_is_soliditys() {
        let word = B256::repeat_byte;
        let identity = ModelIdentity {
            onnx_sha256: word(1),
            settings_sha256: word(2),
            srs_sha256: word(3),
            vk_sha256: word(4),
            engine_version: "23.0.5".into(),
        };
        let mut encoded = Vec::new();
        for byte in 1..=4 {
            encoded.extend([byte; 32]);
        }
        encoded.extend(U256::from(5 * 32).to_be_bytes::<32>());
        encoded.extend(U256::from(6).to_be_bytes::<32>());
        encoded.extend(b"23.0.5");
        encoded.resize(7 * 32, 0);
        assert_eq!(identity.model_id(), ModelId(keccak256(encoded)));
        assert_ne!(
            ModelIdentity { engine_version: "23.0.6".into(), ..identity.clone() }.model_id(),
            identity.model_id()
        );
    }
}
