//! The `zkvouch` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    zkvouch::cli::main()
}
