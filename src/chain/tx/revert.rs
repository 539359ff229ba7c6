//! What a contract said when it reverted.

use alloy::{
    dyn_abi::{DynSolValue, ErrorExt},
    json_abi::{self, JsonAbi},
    primitives::{Bytes, U256, hex},
    sol_types::{Panic, Revert as RevertString, SolError},
};
use std::{collections::HashMap, fmt};

/// The longest revert data that is shown in full, in bytes.
const SHOWN_BYTES: usize = 68;

/// A revert, decoded as far as the known ABIs allow.
#[derive(Clone, Debug, PartialEq)]
pub struct Revert {
    /// The bytes that came back.
    pub data: Bytes,
    /// What the bytes say, read as Solidity's revert data.
    pub kind: RevertKind,
    /// What it means for the user, if known.
    pub explanation: Option<String>,
}

/// The kinds of revert data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RevertKind {
    /// No data at all.
    Empty,
    /// `revert("…")` or `require(…, "…")`.
    Message(String),
    /// The compiler's own checks.
    Panic(u64),
    /// A custom error of a known ABI.
    Custom {
        /// The error's name in its ABI.
        name: String,
        /// Its arguments: name (may be empty) and value.
        arguments: Vec<(String, DynSolValue)>,
    },
    /// Data of an unknown shape.
    Unknown,
}

impl Revert {
    /// The name of the custom error, if it is one.
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            RevertKind::Custom { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The data as an error of alloy's `sol!`.
    pub fn decode<E: SolError>(&self) -> Option<E> {
        E::abi_decode(&self.data).ok()
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            RevertKind::Empty => f.write_str("reverted without data")?,
            RevertKind::Message(message) => write!(f, "reverted: {message}")?,
            RevertKind::Panic(code) => {
                write!(f, "reverted with panic 0x{code:02x} ({})", panic_text(*code))?;
            }
            RevertKind::Custom { name, arguments } => {
                write!(f, "reverted with {name}(")?;
                for (index, (label, value)) in arguments.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    let label = if label.is_empty() { "" } else { &format!("{label}: ") };
                    write!(f, "{comma}{label}{}", show(value))?;
                }
                f.write_str(")")?;
            }
            RevertKind::Unknown => {
                let shown = &self.data[..self.data.len().min(SHOWN_BYTES)];
                let more = if shown.len() < self.data.len() { "…" } else { "" };
                write!(f, "reverted with the data {}{more}", hex::encode_prefixed(shown))?;
            }
        }
        match &self.explanation {
            Some(explanation) => write!(f, ": {explanation}"),
            None => Ok(()),
        }
    }
}

fn show(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Bytes(bytes) => hex::encode_prefixed(bytes),
        DynSolValue::FixedBytes(word, size) => hex::encode_prefixed(&word[..*size]),
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::Bool(flag) => flag.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::Uint(number, _) => number.to_string(),
        // A contract chooses this text; it must not be able to write to the terminal.
        DynSolValue::String(text) => format!("{text:?}"),
        DynSolValue::Function(function) => function.to_string(),
        DynSolValue::Array(values)
        | DynSolValue::FixedArray(values)
        | DynSolValue::Tuple(values) => {
            format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        #[allow(unreachable_patterns)]
        other => format!("{other:?}"),
    }
}

/// The meanings in Solidity's documentation, "Panic via assert and Error via require".
fn panic_text(code: u64) -> &'static str {
    match code {
        0x01 => "assertion failed",
        0x11 => "arithmetic overflow or underflow",
        0x12 => "division by zero",
        0x21 => "no such enum value",
        0x22 => "a badly encoded storage array",
        0x31 => "pop from an empty array",
        0x32 => "index out of bounds",
        0x41 => "too much memory",
        0x51 => "a call of an uninitialised function",
        _ => "generic",
    }
}

/// Knows the custom errors of some contracts and what they mean to a user.
#[derive(Clone, Debug, Default)]
pub struct RevertDecoder {
    errors: HashMap<[u8; 4], Vec<json_abi::Error>>,
    explanations: HashMap<String, String>,
    when_empty: Option<String>,
}

impl RevertDecoder {
    /// Knows `Error(string)` and `Panic(uint256)` only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the errors of an ABI.
    #[must_use]
    pub fn with_abi(mut self, abi: &JsonAbi) -> Self {
        for error in abi.errors() {
            self.errors.entry(error.selector().0).or_default().push(error.clone());
        }
        self
    }

    /// Adds what an error means and what to do about it.
    #[must_use]
    pub fn explain(mut self, error: &str, text: &str) -> Self {
        self.explanations.insert(error.into(), text.into());
        self
    }

    /// Adds what a revert without data means.
    #[must_use]
    pub fn explain_empty(mut self, text: &str) -> Self {
        self.when_empty = Some(text.into());
        self
    }

    /// Decodes revert data by Solidity's own errors, then by the known ABIs.
    pub fn decode(&self, data: &Bytes) -> Revert {
        let kind = self.kind(data);
        let explanation = match &kind {
            RevertKind::Empty => self.when_empty.clone(),
            RevertKind::Custom { name, .. } => self.explanations.get(name).cloned(),
            _ => None,
        };
        Revert { data: data.clone(), kind, explanation }
    }

    fn kind(&self, data: &[u8]) -> RevertKind {
        let Some(selector) = data.first_chunk::<4>() else {
            return if data.is_empty() { RevertKind::Empty } else { RevertKind::Unknown };
        };
        if let Ok(RevertString { reason }) = RevertString::abi_decode(data) {
            // As above: control characters are somebody else's.
            return RevertKind::Message(reason.escape_debug().to_string());
        }
        if let Ok(Panic { code }) = Panic::abi_decode(data) {
            return RevertKind::Panic(code.min(U256::from(u64::MAX)).to());
        }
        let known = self.errors.get(selector).into_iter().flatten();
        known
            .filter_map(|error| {
                let decoded = error.decode_error(data).ok()?;
                let names = error.inputs.iter().map(|input| input.name.clone());
                let arguments = names.zip(decoded.body).collect();
                Some(RevertKind::Custom { name: error.name.clone(), arguments })
            })
            .next()
            .unwrap_or(RevertKind::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::sol;

    sol! {
        #[derive(Debug, PartialEq)]
        error AlreadyRecorded(bytes32 id, address by);
        error Nested((uint256, int8)[] pairs, string text);
    }

    fn decoder() -> RevertDecoder {
        let abi = JsonAbi::parse([
            "error AlreadyRecorded(bytes32 id, address by)",
            "error Nested((uint256,int8)[] pairs, string text)",
        ])
        .expect("an ABI");
        RevertDecoder::new()
            .with_abi(&abi)
            .explain("AlreadyRecorded", "this prediction is on record")
            .explain_empty("the proof is not valid")
    }

    #[test]
    fn custom_errors_show_names_values_and_meaning() {
        let error = AlreadyRecorded { id: [1; 32].into(), by: [2; 20].into() };
        let revert = decoder().decode(&error.abi_encode().into());
        assert_eq!(revert.name(), Some("AlreadyRecorded"));
        assert_eq!(revert.decode::<AlreadyRecorded>(), Some(error));
        let text = revert.to_string();
        assert!(text.starts_with("reverted with AlreadyRecorded(id: 0x0101"), "{text}");
        assert!(text.ends_with("): this prediction is on record"), "{text}");
    }

    #[test]
    fn text_from_a_contract_cannot_drive_the_terminal() {
        let error = Nested { pairs: vec![(U256::from(7), -3)], text: "\u{1b}[2Jx".into() };
        let text = decoder().decode(&error.abi_encode().into()).to_string();
        assert_eq!(text, r#"reverted with Nested(pairs: [[7, -3]], text: "\u{1b}[2Jx")"#);
        let message = RevertString { reason: "no\u{1b}".into() }.abi_encode();
        assert_eq!(decoder().decode(&message.into()).to_string(), r"reverted: no\u{1b}");
    }

    #[test]
    fn the_rest() {
        let text = |data: Vec<u8>| decoder().decode(&data.into()).to_string();
        assert_eq!(text(vec![]), "reverted without data: the proof is not valid");
        let panic = Panic { code: U256::from(0x11) }.abi_encode();
        assert_eq!(text(panic), "reverted with panic 0x11 (arithmetic overflow or underflow)");
        assert_eq!(text(vec![1, 2]), "reverted with the data 0x0102");
        let truncated = AlreadyRecorded::SELECTOR.to_vec();
        assert!(text(truncated).starts_with("reverted with the data 0x"));
        assert!(text(vec![9; 500]).ends_with("09…"));
    }
}
