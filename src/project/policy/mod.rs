//! What is wrong with a project, or with where it is to be deployed, by rules that have names.
//!
//! docs/policy.md has a section on each rule: what may happen, and what to do.

mod chain;
mod rules;
mod sarif;

pub use self::{
    chain::{Target, of_chain},
    rules::{RULES, Rule, Severity},
    sarif::sarif,
};

use super::{Error, Result, caveat::Caveat};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// What `[policy]` in zkvouch.toml says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Rules that are waived, by their ids, with the reason of each.
    #[serde(default)]
    pub waive: BTreeMap<String, String>,
}

/// A rule that a project or a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong here, and what to do.
    pub message: String,
    /// Why zkvouch.toml waives it, if it does.
    pub waived: Option<String>,
}

impl Finding {
    /// Whether it keeps others from relying on the proofs, and nobody has said why it may.
    pub fn is_fatal(&self) -> bool {
        self.severity == Severity::Error && self.waived.is_none()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.rule)?;
        match &self.waived {
            Some(reason) => write!(f, " (waived: {reason})"),
            None => Ok(()),
        }
    }
}

impl Policy {
    /// Checks that each waiver is of a rule and has a reason.
    ///
    /// # Errors
    /// [`Error::Waiver`] for the first that isn't or hasn't.
    pub fn validate(&self) -> Result<()> {
        for (rule, reason) in &self.waive {
            let wrong = |message: String| Error::Waiver { rule: rule.clone(), message };
            if !RULES.iter().any(|known| known.id == rule) {
                let ids: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
                return Err(wrong(format!("no rule has this id; there are {}", ids.join(", "))));
            }
            if reason.trim().is_empty() {
                return Err(wrong("a waiver needs a reason, which others will read".into()));
            }
        }
        Ok(())
    }

    /// What was found, with the waivers.
    pub fn judge(&self, caveats: impl IntoIterator<Item = Caveat>) -> Vec<Finding> {
        let mut findings: Vec<_> = caveats
            .into_iter()
            .map(|caveat| {
                let rule = caveat.rule();
                Finding {
                    rule: rule.id,
                    severity: rule.severity,
                    message: caveat.to_string(),
                    waived: self.waive.get(rule.id).cloned(),
                }
            })
            .collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }

    /// Waivers of what was not found.
    pub fn unused<'a>(&'a self, findings: &'a [Finding]) -> impl Iterator<Item = &'a str> {
        let found = |rule: &str| findings.iter().any(|finding| finding.rule == rule);
        self.waive.keys().map(String::as_str).filter(move |rule| !found(rule))
    }
}

#[cfg(test)]
mod tests;
