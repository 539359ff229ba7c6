//! What a bundle says: an in-toto statement with a SLSA provenance.

use super::{DESCRIPTOR, MODEL, SETTINGS, VK};
use crate::{
    files,
    model::identity::{ModelId, ModelIdentity},
    project::Built,
};
use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// The form of what follows, by which a reader knows it.
const BUILD_TYPE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/bundle.md#v1");

/// Hashes by the names that in-toto gives them; lower case hexadecimal digits without a prefix.
type Digest = BTreeMap<String, String>;

fn sha256(hash: B256) -> Digest {
    [("sha256".to_owned(), alloy::hex::encode(hash))].into()
}

fn parse(digest: &Digest, kind: &str) -> Option<B256> {
    digest.get(kind)?.parse().ok()
}

/// An in-toto statement, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    statement_type: String,
    /// The files of the bundle, and the verifier's code by its keccak256.
    pub subject: Vec<Subject>,
    predicate_type: String,
    predicate: Predicate,
}

/// A file, or a contract's code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The file's name in the bundle, or `runtime code`.
    pub name: String,
    /// Its hash: `sha256` of a file, `keccak256` of code.
    pub digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Predicate {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BuildDefinition {
    build_type: String,
    external_parameters: Parameters,
    resolved_dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The model's name as its owner has it.
    model: String,
    model_id: ModelId,
    descriptor_keccak256: B256,
}

/// Something that the verifier was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// `model.onnx`, `srs`, `ezkl` or `solc`.
    pub name: String,
    /// Its hash, where it is a file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: Digest,
    /// What else is known: versions, the ceremony, the size.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunDetails {
    builder: Builder,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Builder {
    id: String,
    version: BTreeMap<String, String>,
}

impl Statement {
    pub(super) fn new(built: &Built, srs_k: u32, contents: &BTreeMap<String, Vec<u8>>) -> Self {
        let (identity, metadata) = (built.identity(), built.verifier().metadata());
        let mut subject: Vec<_> = contents
            .iter()
            .map(|(name, bytes)| Subject {
                name: name.clone(),
                digest: sha256(files::sha256(bytes)),
            })
            .collect();
        let code = alloy::hex::encode(metadata.runtime_code_hash);
        subject.push(Subject {
            name: CODE.to_owned(),
            digest: [("keccak256".to_owned(), code)].into(),
        });
        let text = |pairs: &[(&str, String)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let solc = &metadata.compiler;
        let dependencies = vec![
            Dependency {
                name: MODEL.into(),
                digest: sha256(identity.onnx_sha256),
                annotations: BTreeMap::new(),
            },
            Dependency {
                name: SRS.into(),
                digest: sha256(identity.srs_sha256),
                annotations: text(&[
                    ("k", srs_k.to_string()),
                    ("ceremony", built.provenance().to_string()),
                ]),
            },
            Dependency {
                name: ENGINE.into(),
                digest: BTreeMap::new(),
                annotations: text(&[("version", identity.engine_version.clone())]),
            },
            Dependency {
                name: "solc".into(),
                digest: sha256(solc.sha256),
                annotations: text(&[("version", solc.version.to_string())]),
            },
        ];
        Self {
            statement_type: STATEMENT_TYPE.into(),
            subject,
            predicate_type: PREDICATE_TYPE.into(),
            predicate: Predicate {
                build_definition: BuildDefinition {
                    build_type: BUILD_TYPE.into(),
                    external_parameters: Parameters {
                        model: built.name().to_owned(),
                        model_id: built.model_id(),
                        descriptor_keccak256: identity.descriptor_keccak256,
                    },
                    resolved_dependencies: dependencies,
                },
                run_details: RunDetails {
                    builder: Builder {
                        id: env!("CARGO_PKG_REPOSITORY").into(),
                        version: text(&[("zkvouch", env!("CARGO_PKG_VERSION").into())]),
                    },
                },
            },
        }
    }

    /// Its bytes, which its hash and a signature are about.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("names and numbers only");
        bytes.push(b'\n');
        bytes
    }

    /// The model's name as its owner has it.
    pub fn name(&self) -> &str {
        &self.predicate.build_definition.external_parameters.model
    }

    /// What the verifier was made from.
    pub fn dependencies(&self) -> &[Dependency] {
        &self.predicate.build_definition.resolved_dependencies
    }

    /// The version of zkvouch that wrote it.
    pub fn zkvouch_version(&self) -> Option<&str> {
        self.predicate.run_details.builder.version.get("zkvouch").map(String::as_str)
    }

    pub(super) fn model_id(&self) -> ModelId {
        self.predicate.build_definition.external_parameters.model_id
    }

    pub(super) fn identity(&self) -> Result<ModelIdentity, String> {
        let subject = |name: &str| {
            let found = self.subject.iter().find(|it| it.name == name);
            found.and_then(|it| parse(&it.digest, "sha256")).ok_or(format!("no hash of {name}"))
        };
        let dependency = |name: &str| {
            self.dependencies().iter().find(|it| it.name == name).ok_or(format!("no {name}"))
        };
        let hash = |name: &str| {
            parse(&dependency(name)?.digest, "sha256").ok_or(format!("no hash of {name}"))
        };
        let version = dependency(ENGINE)?.annotations.get("version").cloned();
        Ok(ModelIdentity {
            onnx_sha256: hash(MODEL)?,
            settings_sha256: subject(SETTINGS)?,
            srs_sha256: hash(SRS)?,
            vk_sha256: subject(VK)?,
            engine_version: version.ok_or("no version of ezkl")?,
            descriptor_keccak256: self
                .predicate
                .build_definition
                .external_parameters
                .descriptor_keccak256,
        })
    }

    /// That the files are those that it is about, each with its hash, and that it is of a form that is known.
    pub(super) fn check_files(&self, contents: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
        let build_type = &self.predicate.build_definition.build_type;
        let known = (STATEMENT_TYPE, PREDICATE_TYPE, BUILD_TYPE);
        if (&*self.statement_type, &*self.predicate_type, &**build_type) != known {
            return Err(format!("it is of another form ({build_type}); use another zkvouch"));
        }
        let mut said = BTreeSet::new();
        for subject in self.subject.iter().filter(|it| it.name != CODE) {
            let name = &subject.name;
            let bytes = contents.get(name).ok_or_else(|| format!("{name} is not in it"))?;
            if parse(&subject.digest, "sha256") != Some(files::sha256(bytes)) {
                return Err(format!("{name} is not the file that the statement is about"));
            }
            if !said.insert(name) {
                return Err(format!("the statement speaks of {name} twice"));
            }
        }
        if let Some(name) = contents.keys().find(|name| !said.contains(name)) {
            return Err(format!("{name} is in it, and the statement does not say so"));
        }
        for name in [SETTINGS, VK, DESCRIPTOR] {
            if !contents.contains_key(name) {
                return Err(format!("{name} is not in it"));
            }
        }
        // The model itself, where it is there, is the one that the identity names.
        if let Some(model) = contents.get(MODEL)
            && self.identity()?.onnx_sha256 != files::sha256(model)
        {
            return Err(format!("{MODEL} is not the model that the id is of"));
        }
        Ok(())
    }
}

const CODE: &str = "runtime code";
const SRS: &str = "srs";
const ENGINE: &str = "ezkl";
