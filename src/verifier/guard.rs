//! The guard: ezkl's Solidity, made to accept the canonical ABI encoding of its arguments only.
//!
//! A generated verifier must read the very proof and instances that its caller passed, and so
//! nothing but `verifyProof`'s one canonical encoding is let through: both offsets, both lengths
//! and the size of the calldata are compared before anything else.

use super::{
    calldata::Shape,
    lexer::{self, Token},
};
use crate::error::ErrorKind;
use alloy::primitives::U256;
use std::ops::Range;

/// The contract that ezkl generates.
pub const CONTRACT: &str = "Halo2Verifier";

/// What stands between the function's first brace and the place of the guard.
const SIGNATURE: &str = "function verifyProof(bytes calldata proof, uint256[] calldata instances) \
                         public returns (bool) { assembly {";

/// The source is not the one that the guard is made for, so nothing was produced.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A comment or string that does not end, or not Solidity at all.
    #[error("the verifier's source is not Solidity; generate it again")]
    NotSolidity,
    /// It has a guard.
    #[error("the verifier's source compares the calldata's size already; give ezkl's own output")]
    AlreadyGuarded,
    /// Something is missing, there more than once, or in another form.
    #[error(
        "the verifier's source is not laid out as ezkl 23.0.5 writes it: {0}; it was not used, \
         because the guard could not be placed with certainty"
    )]
    Template(String),
    /// The source belongs to another circuit.
    #[error(
        "the verifier takes {what} of {found}, but the artefacts say {expected}; generate the \
         verifier again from the same verifying key and settings"
    )]
    Mismatch {
        /// `a proof` (bytes) or `instances`.
        what: &'static str,
        /// The number that the source checks against.
        found: usize,
        /// The number that the proof or the settings have.
        expected: usize,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotSolidity
            | Self::AlreadyGuarded
            | Self::Template(_)
            | Self::Mismatch { .. } => ErrorKind::Tool,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Solidity of a verifier with the guard in it. There is no other way to make one than
/// [`insert`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedSource {
    text: String,
    shape: Shape,
}

impl GuardedSource {
    /// ezkl's Solidity with the guard, ready for the compiler.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the verifier takes.
    pub fn shape(&self) -> Shape {
        self.shape
    }
}

/// Puts the guard into the Solidity that ezkl generated. The lengths are read from the source and
/// compared with `proof_len` (in bytes) and `n_instances` where those are known.
///
/// # Errors
/// [`Error::Template`] unless the source is, token for token where it matters, what ezkl writes;
/// [`Error::Mismatch`] if its lengths are not the expected ones.
pub fn insert(
    solidity: &str,
    proof_len: Option<usize>,
    n_instances: Option<usize>,
) -> Result<GuardedSource> {
    let tokens = lexer::tokens(solidity).ok_or(Error::NotSolidity)?;
    if tokens.iter().any(|token| token.text == "calldatasize") {
        return Err(Error::AlreadyGuarded);
    }
    let body = assembly_body(&tokens)?;
    let shape = lengths(&tokens, &tokens[body.clone()])?;
    let checks =
        [("a proof", shape.proof_len, proof_len), ("instances", shape.n_instances, n_instances)];
    for (what, found, expected) in checks {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(Error::Mismatch { what, found, expected });
        }
    }
    let place = tokens[body.start - 1].span.end;
    let text = format!("{}{}{}", &solidity[..place], guard(shape), &solidity[place..]);
    Ok(GuardedSource { text, shape })
}

/// Yul that reverts unless the calldata is canonical; each literal is a consequence of the two
/// lengths.
fn guard(shape: Shape) -> String {
    let Shape { proof_len, n_instances } = shape;
    format!(
        "
            // Inserted by zkvouch: only the canonical ABI encoding is accepted.
            if iszero(
                and(
                    and(eq(calldatasize(), {size:#06x}), eq(calldataload(0x04), 0x40)),
                    and(
                        eq(calldataload(0x24), {offset:#06x}),
                        and(
                            eq(calldataload(0x44), {proof_len:#06x}),
                            eq(calldataload({count:#06x}), {n_instances:#06x})
                        )
                    )
                )
            ) {{
                revert(0, 0)
            }}
",
        size = shape.calldata_len(),
        offset = shape.instances_offset(),
        count = 4 + shape.instances_offset(),
    )
}

fn template<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Template(message.into()))
}

/// The one index of `pattern`.
fn once(tokens: &[Token<'_>], pattern: &str) -> Result<usize> {
    match lexer::find(tokens, pattern)[..] {
        [index] => Ok(index),
        ref found => template(format!("`{pattern}` stands {} times in it, not once", found.len())),
    }
}

/// Checks everything around the assembly: `pragma …; contract Halo2Verifier { constants…;
/// function verifyProof(…) … { assembly { … } } }` and nothing else, so that the guard covers the
/// whole of the contract. Returns the range of the assembly's tokens.
fn assembly_body(tokens: &[Token<'_>]) -> Result<Range<usize>> {
    let text = |index: usize| tokens.get(index).map_or("the end", |token| token.text);
    if text(0) != "pragma" {
        return template(format!("it begins with `{}`, not with a pragma", text(0)));
    }
    let mut at = match tokens.iter().position(|token| token.text == ";") {
        Some(end) => end + 1,
        None => return template("its pragma does not end"),
    };
    let expect = |at: &mut usize, pattern: &str| {
        for wanted in lexer::texts(pattern) {
            if text(*at) != wanted {
                let found = text(*at);
                return template(format!("`{found}` stands where `{wanted}` is due"));
            }
            *at += 1;
        }
        Ok(())
    };
    expect(&mut at, "contract Halo2Verifier {")?;
    while text(at) != "function" {
        expect(&mut at, "uint256 internal constant")?;
        at += 1;
        expect(&mut at, "=")?;
        at += 1;
        expect(&mut at, ";")?;
    }
    expect(&mut at, SIGNATURE)?;
    let start = at;
    let mut depth = 1;
    while depth > 0 {
        match text(at) {
            "{" => depth += 1,
            "}" => depth -= 1,
            "the end" => return template("its braces are not balanced"),
            _ => {}
        }
        at += 1;
    }
    let body = start..at - 1;
    expect(&mut at, "} }")?;
    if at != tokens.len() {
        return template(format!("`{}` follows the contract", text(at)));
    }
    Ok(body)
}

/// The proof's length and the number of instances that the verifier itself checks.
fn lengths(all: &[Token<'_>], body: &[Token<'_>]) -> Result<Shape> {
    once(body, "proof.length")?;
    once(body, "instances.length")?;
    let proof = once(body, "success := and(success, eq(?, proof.length))")?;
    let proof_len = number(body[proof + 9].text)?;
    once(body, "success := and(success, eq(num_instances, instances.length))")?;
    once(body, "let num_instances := mload(NUM_INSTANCES_MPTR)")?;
    let pointer = once(all, "constant NUM_INSTANCES_MPTR = ? ;")?;
    let pointer = all[pointer + 3].text;
    // Once for the check and once more when the whole key is loaded.
    let mut counts = lexer::find(body, &format!("mstore({pointer}, ?)"))
        .into_iter()
        .map(|index| number(body[index + 4].text))
        .collect::<Result<Vec<_>>>()?;
    counts.dedup();
    let [n_instances] = counts[..] else {
        return template(format!("it states {} numbers of instances", counts.len()));
    };
    if proof_len == 0 || !proof_len.is_multiple_of(32) {
        return template(format!("its proof's length {proof_len} is not a number of words"));
    }
    Ok(Shape { proof_len, n_instances })
}

/// A decimal or hexadecimal literal that could be a length of calldata.
fn number(text: &str) -> Result<usize> {
    text.parse::<U256>()
        .ok()
        .filter(|value| *value < U256::from(1 << 24))
        .map(|value| value.to::<usize>())
        .ok_or_else(|| Error::Template(format!("`{text}` is not a length")))
}

#[cfg(test)]
mod tests;
