//! Findings as SARIF 2.1.0, which code hosts show beside the file.

use super::{Finding, RULES, Severity};
use serde_json::{Value, json};

/// Where a rule is explained.
const PAGE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/policy.md");

/// One run of `zkvouch check`. `file` is the project's zkvouch.toml, as a path relative to the repository, with slashes.
/// A waived finding is a suppressed result with its justification.
pub fn sarif(findings: &[Finding], file: &str) -> Value {
    let level = |severity| match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let rules: Vec<_> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.title },
                "helpUri": format!("{PAGE}#{}", rule.id),
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let results: Vec<_> = findings
        .iter()
        .map(|finding| {
            let index = RULES.iter().position(|rule| rule.id == finding.rule);
            let suppressions: Vec<_> = finding
                .waived
                .iter()
                .map(|reason| json!({ "kind": "inSource", "justification": reason }))
                .collect();
            json!({
                "ruleId": finding.rule,
                "ruleIndex": index,
                "level": level(finding.severity),
                "message": { "text": finding.message },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": file },
                        "region": { "startLine": 1 },
                    },
                }],
                "suppressions": suppressions,
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "zkvouch",
                    "version": env!("CARGO_PKG_VERSION"),
                    "informationUri": env!("CARGO_PKG_REPOSITORY"),
                    "rules": rules,
                },
            },
            "results": results,
        }],
    })
}
