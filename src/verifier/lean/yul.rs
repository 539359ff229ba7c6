//! A strict parser for the assembly that halo2-KZG verifiers are written in.
//!
//! It reads one Solidity file with one contract, constants, one function and one assembly block,
//! and nothing else: neither `switch`, nor `break`, nor strings, nor a second function. What it does
//! not know it refuses with the line, because a verifier that is understood by halves is worse
//! than one that is not understood.

use alloy::primitives::U256;

/// Blocks and calls may nest this deep; the parser recurses, and its input may be anybody's text.
const MAX_DEPTH: usize = 48;

/// Text that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found {found:?}")]
pub struct SyntaxError {
    /// Line in the text, from 1.
    pub line: usize,
    /// What would have been understood.
    pub expected: String,
    /// The token or text that stands there instead.
    pub found: String,
}

type Result<T> = std::result::Result<T, SyntaxError>;

/// A token and the line on which it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) line: usize,
    pub(crate) text: &'a str,
}

/// The statements between two braces, a scope of their own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
}

/// A statement and the line on which it begins.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) line: usize,
    pub(crate) kind: StatementKind<'a>,
}

#[derive(Clone, Debug)]
pub(crate) enum StatementKind<'a> {
    Block(Block<'a>),
    /// `let a, b := e`; without a value the variables are zero.
    Let(Vec<&'a str>, Option<Expr<'a>>),
    Assign(Vec<&'a str>, Expr<'a>),
    Expr(Expr<'a>),
    If(Expr<'a>, Block<'a>),
    For(Box<For<'a>>),
    Function(Function<'a>),
}

#[derive(Clone, Debug)]
pub(crate) struct For<'a> {
    pub(crate) init: Block<'a>,
    pub(crate) condition: Expr<'a>,
    pub(crate) post: Block<'a>,
    pub(crate) body: Block<'a>,
}

#[derive(Clone, Debug)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) parameters: Vec<&'a str>,
    pub(crate) returns: Vec<&'a str>,
    pub(crate) body: Block<'a>,
}

#[derive(Clone, Debug)]
pub(crate) struct Expr<'a> {
    pub(crate) line: usize,
    pub(crate) kind: ExprKind<'a>,
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind<'a> {
    Literal(U256),
    Name(&'a str),
    Call(&'a str, Vec<Expr<'a>>),
}

/// The one contract of a file.
#[derive(Clone, Debug)]
pub(crate) struct Contract<'a> {
    pub(crate) name: &'a str,
    /// `uint256 internal constant`s in order.
    pub(crate) constants: Vec<(&'a str, U256)>,
    pub(crate) assembly: Block<'a>,
    /// The tokens of the assembly block, braces included.
    pub(crate) tokens: Vec<Token<'a>>,
}

/// Splits `text` into names, numbers and punctuation, and drops blanks and comments.
pub(crate) fn tokenize(text: &str) -> Result<Vec<Token<'_>>> {
    let bytes = text.as_bytes();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'\n' => {
                line += 1;
                at += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' => {
                at += 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = text[at..].find('\n').map_or(text.len(), |length| at + length);
                continue;
            }
            b'0'..=b'9' => {
                // Digits, or 0x and hexadecimal digits; what may follow is for the parser to say.
                at += 1;
                if byte == b'0' && bytes.get(at) == Some(&b'x') {
                    at += 1;
                }
                while bytes.get(at).is_some_and(u8::is_ascii_hexdigit) {
                    at += 1;
                }
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'$' => {
                while bytes
                    .get(at)
                    .is_some_and(|&b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.'))
                {
                    at += 1;
                }
            }
            b':' | b'-' if matches!(&bytes[at..], [b':', b'=', ..] | [b'-', b'>', ..]) => at += 2,
            b'{' | b'}' | b'(' | b')' | b',' | b';' | b'=' | b'[' | b']' | b'^' | b'.' | b'<'
            | b'>' => at += 1,
            _ => {
                return Err(SyntaxError {
                    line,
                    expected: "Solidity or Yul".into(),
                    found: text[at..].chars().take(20).collect(),
                });
            }
        }
        tokens.push(Token { line, text: &text[start..at] });
    }
    Ok(tokens)
}

/// Parses a Solidity file of the form `pragma solidity …; contract Name { constants function
/// verifyProof(bytes calldata proof, uint256[] calldata instances) public returns (bool) {
/// assembly { … } } }`.
pub(crate) fn parse_contract(text: &str) -> Result<Contract<'_>> {
    let tokens = tokenize(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    parser.expect_all("pragma solidity")?;
    while parser.peek() != ";" {
        parser.next()?;
    }
    parser.expect_all("; contract")?;
    let name = parser.name()?;
    parser.expect("{")?;
    let mut constants = Vec::new();
    while parser.accept("uint256") {
        parser.expect_all("internal constant")?;
        let name = parser.name()?;
        parser.expect("=")?;
        let value = parser.number()?;
        parser.expect(";")?;
        constants.push((name, value));
    }
    parser.expect_all(
        "function verifyProof ( bytes calldata proof , uint256 [ ] calldata instances ) \
         public returns ( bool ) { assembly",
    )?;
    let start = parser.at;
    let assembly = parser.block()?;
    let end = parser.at;
    parser.expect_all("} }")?;
    if parser.at != tokens.len() {
        return Err(parser.error("the end of the file"));
    }
    Ok(Contract { name, constants, assembly, tokens: tokens[start..end].to_vec() })
}

/// Parses one block `{ … }` of Yul that is all of `text`.
pub(crate) fn parse_block(text: &str) -> Result<Block<'_>> {
    let tokens = tokenize(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let block = parser.block()?;
    if parser.at != tokens.len() {
        return Err(parser.error("the end of the assembly"));
    }
    Ok(block)
}

struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
    depth: usize,
}

impl<'a> Parser<'_, 'a> {
    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.line)
    }

    fn error(&self, expected: &str) -> SyntaxError {
        let found = match self.peek() {
            "" => "the end of the text".into(),
            text => text.chars().take(80).collect(),
        };
        SyntaxError { line: self.line(), expected: expected.into(), found }
    }

    fn next(&mut self) -> Result<&'a str> {
        let text = self.tokens.get(self.at).ok_or_else(|| self.error("more text"))?.text;
        self.at += 1;
        Ok(text)
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.peek() == text;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        if self.accept(text) { Ok(()) } else { Err(self.error(&format!("`{text}`"))) }
    }

    fn expect_all(&mut self, texts: &str) -> Result<()> {
        texts.split_whitespace().try_for_each(|text| self.expect(text))
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("less nesting"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn name(&mut self) -> Result<&'a str> {
        match self.peek().as_bytes() {
            [b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'$', ..] => self.next(),
            _ => Err(self.error("a name")),
        }
    }

    fn names(&mut self) -> Result<Vec<&'a str>> {
        let mut names = vec![self.name()?];
        while self.accept(",") {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn number(&mut self) -> Result<U256> {
        let text = self.peek();
        let number = match text.strip_prefix("0x") {
            Some(digits) => U256::from_str_radix(digits, 16).ok().filter(|_| !digits.is_empty()),
            None => U256::from_str_radix(text, 10)
                .ok()
                .filter(|_| text.starts_with(|digit: char| digit.is_ascii_digit())),
        };
        let number = number.ok_or_else(|| self.error("a number below 2^256"))?;
        self.at += 1;
        Ok(number)
    }

    fn block(&mut self) -> Result<Block<'a>> {
        self.deeper(|parser| {
            parser.expect("{")?;
            let mut block = Block::default();
            while !parser.accept("}") {
                block.statements.push(parser.statement()?);
            }
            Ok(block)
        })
    }

    fn statement(&mut self) -> Result<Statement<'a>> {
        let line = self.line();
        let kind = match self.peek() {
            "{" => StatementKind::Block(self.block()?),
            "let" => {
                self.at += 1;
                let names = self.names()?;
                let value = if self.accept(":=") { Some(self.expr()?) } else { None };
                StatementKind::Let(names, value)
            }
            "if" => {
                self.at += 1;
                StatementKind::If(self.expr()?, self.block()?)
            }
            "for" => {
                self.at += 1;
                StatementKind::For(Box::new(For {
                    init: self.block()?,
                    condition: self.expr()?,
                    post: self.block()?,
                    body: self.block()?,
                }))
            }
            "function" => {
                self.at += 1;
                let name = self.name()?;
                self.expect("(")?;
                let parameters = if self.peek() == ")" { Vec::new() } else { self.names()? };
                self.expect(")")?;
                let returns = if self.accept("->") { self.names()? } else { Vec::new() };
                StatementKind::Function(Function { name, parameters, returns, body: self.block()? })
            }
            keyword @ ("switch" | "case" | "default" | "break" | "continue" | "leave") => {
                return Err(self.error(&format!("a statement other than `{keyword}`")));
            }
            _ => {
                let start = self.at;
                let names = self.names()?;
                if self.accept(":=") {
                    StatementKind::Assign(names, self.expr()?)
                } else {
                    self.at = start;
                    StatementKind::Expr(self.expr()?)
                }
            }
        };
        Ok(Statement { line, kind })
    }

    fn expr(&mut self) -> Result<Expr<'a>> {
        let line = self.line();
        if self.peek().starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(Expr { line, kind: ExprKind::Literal(self.number()?) });
        }
        let name = self.name()?;
        if !self.accept("(") {
            return Ok(Expr { line, kind: ExprKind::Name(name) });
        }
        self.deeper(|parser| {
            let mut arguments = Vec::new();
            while !parser.accept(")") {
                if !arguments.is_empty() {
                    parser.expect(",")?;
                }
                arguments.push(parser.expr()?);
            }
            Ok(Expr { line, kind: ExprKind::Call(name, arguments) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statements_are_read() {
        let block = parse_block(
            "{ let a, b := f(1, 0x20) // comment\n for { let i := 0 } lt(i, 3) { i := add(i, 1) } \
             { a := i } function g(x) -> y, z { } if a { pop(b) } }",
        )
        .expect("Yul");
        assert_eq!(block.statements.len(), 4);
        assert_eq!(block.statements[1].line, 2);
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_line() {
        for (text, line) in [
            ("{\n switch x case 0 { } }", 2),
            ("{ let a := \"text\" }", 1),
            ("{ \n\n a := }", 3),
            ("{ } }", 1),
            ("{ a := 0x }", 1),
            ("{ a := 0x1234567890123456789012345678901234567890123456789012345678901234567 }", 1),
            ("{ leave }", 1),
            ("", 1),
        ] {
            assert_eq!(parse_block(text).expect_err(text).line, line, "{text}");
        }
        assert!(parse_block(&"{".repeat(100_000)).is_err());
        assert!(parse_block(&format!("{{ {} }}", "f(".repeat(100_000))).is_err());
        assert!(parse_contract("pragma solidity ^0.8.0; contract C { uint8 x; }").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse_contract(&text);
            let _ = parse_block(&text);
        }

        #[test]
        fn no_likely_text_panics(words in proptest::collection::vec(
            prop::sample::select(vec![
                "{", "}", "(", ")", ",", ":=", "->", "let", "if", "for", "function", "add", "x",
                "0x20", "7", "0x", "é", "//", "\n", "pragma", "solidity", ";", "contract",
            ]), 0..60)) {
            let text = words.join(" ");
            let _ = parse_contract(&text);
            let _ = parse_block(&format!("{{ {text} }}"));
        }
    }
}
