//! Who may know the secret of an SRS.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is known about who knows τ. Kept with everything that is made from the SRS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Provenance {
    /// A known ceremony, by name.
    Ceremony(String),
    /// A well-formed file of the user's own with a τ that is in no table.
    #[serde(alias = "custom")]
    Unrecognized,
    /// zkvouch's own for development, or a known test file: τ is known to somebody.
    UnsafeDev,
}

impl Provenance {
    /// Whether somebody is known to have been able to keep τ, so that no proof means anything off a
    /// local chain.
    pub fn is_unsafe(&self) -> bool {
        matches!(self, Self::UnsafeDev)
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ceremony(name) => f.write_str(name),
            Self::Unrecognized => f.write_str("unrecognized"),
            Self::UnsafeDev => f.write_str("unsafe-dev"),
        }
    }
}
