//! What kind of failure an error is, whichever module says it.

/// The kinds of failure: what a caller decides by, and what the command's exit codes follow.
///
/// Every public error has a `kind()` that matches each of its variants by name, so that a new variant can't
/// be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or value that the caller gave is missing, malformed or does not fit: change it.
    BadInput,
    /// A proof does not verify, or a check found what it looked for.
    Invalid,
    /// The chain, the node or a transaction failed.
    Chain,
    /// ezkl, solc, npm, Python or another tool is missing or failed.
    Tool,
    /// The caller or a signal stopped it.
    Interrupted,
    /// The machine or zkvouch itself failed: a full disk, a bug.
    Failure,
}
