//! Just enough of Solidity's lexical grammar to find a place in a source with certainty: tokens
//! with their position, comments and white space left out.

use std::ops::Range;

/// A name, number, string or one character of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) span: Range<usize>,
}

/// Splits `source`; `None` if a comment or a string does not end or a character is not ASCII
/// outside of both.
pub(super) fn tokens(source: &str) -> Option<Vec<Token<'_>>> {
    let bytes = source.as_bytes();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &source[at..];
        let length = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'/' if rest.starts_with("//") => {
                at += rest.find(['\n', '\r']).unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with("/*") => {
                at += 2 + rest[2..].find("*/")? + 2;
                continue;
            }
            quote @ (b'"' | b'\'') => string_length(rest.as_bytes(), quote)?,
            byte if word(byte) => rest.bytes().take_while(|byte| word(*byte)).count(),
            byte if byte.is_ascii() => 1,
            _ => return None,
        };
        tokens.push(Token { text: &source[at..at + length], span: at..at + length });
        at += length;
    }
    Some(tokens)
}

fn string_length(bytes: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'\\' => at += 2,
            b'\n' | b'\r' => return None,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The texts of the tokens of a pattern, for comparison with [`find`].
pub(super) fn texts(pattern: &str) -> Vec<&str> {
    tokens(pattern).unwrap_or_default().into_iter().map(|token| token.text).collect()
}

/// Every index at which `pattern` stands in `tokens`. A `?` in the pattern stands for any token.
pub(super) fn find(tokens: &[Token<'_>], pattern: &str) -> Vec<usize> {
    let pattern = texts(pattern);
    if pattern.is_empty() {
        return Vec::new();
    }
    let matches = |window: &[Token<'_>]| {
        window.iter().zip(&pattern).all(|(token, wanted)| *wanted == "?" || token.text == *wanted)
    };
    tokens.windows(pattern.len()).enumerate().filter(|(_, w)| matches(w)).map(|(i, _)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_hide_what_is_in_them() {
        let source = "a/*b*/c // d\n\"e \\\" f\" 'g' := 0x1F /** h */ $i";
        let found: Vec<_> = tokens(source).expect("ends").into_iter().map(|t| t.text).collect();
        assert_eq!(found, ["a", "c", "\"e \\\" f\"", "'g'", ":", "=", "0x1F", "$i"]);
        for broken in ["/* a", "\"a", "'a\n'", "a é"] {
            assert_eq!(tokens(broken), None, "{broken}");
        }
        assert!(tokens("// é\n/* é */ \"é\"").is_some());
    }

    #[test]
    fn patterns_are_found_wherever_they_stand() {
        let tokens = tokens("eq ( 1 , 2 ) eq(3,2) eq(4,5)").expect("ends");
        assert_eq!(find(&tokens, "eq(?, 2)"), [0, 6]);
        assert_eq!(find(&tokens, "eq(9, 2)"), [] as [usize; 0]);
        assert_eq!(tokens[8].text, "3");
    }
}
