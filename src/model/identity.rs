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
    /// keccak256 of the instances' [descriptor](crate::model::schema::descriptor), by which a
    /// prediction's numbers are read.
    pub descriptor_keccak256: B256,
}

impl ModelIdentity {
    /// `keccak256(abi.encode(onnx, settings, srs, vk, engine version, keccak256(descriptor)))`: four
    /// `bytes32`, a `string` and a `bytes32`.
    pub fn model_id(&self) -> ModelId {
        let fields = (
            self.onnx_sha256,
            self.settings_sha256,
            self.srs_sha256,
            self.vk_sha256,
            self.engine_version.clone(),
            self.descriptor_keccak256,
        );
        ModelId(keccak256(fields.abi_encode_params()))
    }

    /// The id that the first version of the contracts gave: without the descriptor.
    pub fn model_id_v1(&self) -> ModelId {
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
impl ModelIdentity {
    /// One whose hashes are the same byte throughout, five in a row.
    pub(crate) fn of_bytes(first: u8) -> Self {
        let word = |offset| B256::repeat_byte(first + offset);
        Self {
            onnx_sha256: word(0),
            settings_sha256: word(1),
            srs_sha256: word(2),
            vk_sha256: word(3),
            engine_version: "23.0.5".into(),
            descriptor_keccak256: word(4),
        }
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
            descriptor_keccak256: word(5),
        };
        let mut encoded = Vec::new();
        for byte in 1..=4 {
            encoded.extend([byte; 32]);
        }
        encoded.extend(U256::from(6 * 32).to_be_bytes::<32>());
        encoded.extend([5; 32]);
        encoded.extend(U256::from(6).to_be_bytes::<32>());
        encoded.extend(b"23.0.5");
        encoded.resize(8 * 32, 0);
        assert_eq!(identity.model_id(), ModelId(keccak256(encoded)));
        assert_ne!(
            ModelIdentity { engine_version: "23.0.6".into(), ..identity.clone() }.model_id(),
            identity.model_id()
        );
        let other = ModelIdentity { descriptor_keccak256: word(6), ..identity.clone() };
        assert_ne!(other.model_id(), identity.model_id());
    }

    /// The contracts' library is tested with the same files.
    #[test]
    fn ids_are_those_of_the_contracts() {
        let ids = include_str!("../../tests/fixtures/model-ids.json");
        let ids: serde_json::Value = serde_json::from_str(ids).expect("JSON");
        for (name, text) in [
            ("tree", include_str!("../../tests/fixtures/models/tree/model.json")),
            ("credit", include_str!("../../tests/fixtures/models/credit/model.json")),
            ("hashed", include_str!("../../tests/fixtures/models/hashed/model.json")),
        ] {
            let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
            let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
            let hash = |name: &str| text(&file["parts"][name]).parse().expect("32 bytes");
            let descriptor = alloy::hex::decode(text(&file["descriptor"])).expect("hex");
            let identity = ModelIdentity {
                onnx_sha256: hash("onnxHash"),
                settings_sha256: hash("settingsHash"),
                srs_sha256: hash("srsHash"),
                vk_sha256: hash("vkHash"),
                engine_version: text(&file["parts"]["engine"]),
                descriptor_keccak256: keccak256(descriptor),
            };
            assert_eq!(identity.model_id().to_string(), text(&ids[name]), "{name}");
        }
    }
}
