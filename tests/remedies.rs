//! Whatever command, flag or key a message, a help text or a page names is there.

use clap::{CommandFactory, error::ErrorKind};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use zkvouch::{cli::Cli, project::config::Config};

/// The text of every source file of ours and of the pages that users read, with strings that are
/// continued on the next line in one piece.
fn texts() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, texts: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("read") {
            let path = entry.expect("read").path();
            if path.is_dir() {
                collect(&path, texts);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                texts.push((path.clone(), fs::read_to_string(&path).expect("text")));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    collect(&root.join("src"), &mut texts);
    for page in ["README.md", "contracts/README.md", "CONTRIBUTING.md", "SECURITY.md"] {
        texts.push((root.join(page), fs::read_to_string(root.join(page)).expect("text")));
    }
    for (_, text) in &mut texts {
        let mut joined = String::new();
        for line in text.lines() {
            match line.strip_suffix('\\') {
                Some(start) if !line.trim_start().starts_with("//") => {
                    joined.push_str(if joined.ends_with('\n') {
                        start
                    } else {
                        start.trim_start()
                    });
                    joined.push('\u{1}');
                }
                _ => {
                    joined.push_str(line);
                    joined.push('\n');
                }
            }
        }
        // What follows a continuation begins where the line before ended.
        let mut pieces = joined.split('\u{1}');
        let mut whole = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            whole.push_str(piece.trim_start());
        }
        *text = whole.replace("\\\"", "\"").replace("\n/// ", "\n").replace("\n//! ", "\n");
    }
    texts
}

/// What stands between backticks, on one line or over two.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    let spans = text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2));
    spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn commands_that_are_quoted_exist() {
    let mut seen = BTreeSet::new();
    for (path, text) in texts() {
        for command in quoted(&text).filter(|span| span.starts_with("zkvouch ")) {
            // `zkvouch … | head`, `zkvouch help COMMAND`, `model …`: a place to fill in.
            let words: Vec<_> =
                command.split_whitespace().take_while(|word| !word.contains(['…', '|'])).collect();
            if words.len() < 2 || words[1] == "help" {
                continue;
            }
            seen.insert(command.clone());
            let Err(error) = Cli::command().try_get_matches_from(&words) else { continue };
            let incomplete = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    | ErrorKind::ValueValidation
                    | ErrorKind::DisplayHelp
                    | ErrorKind::DisplayVersion
            );
            assert!(incomplete, "{} quotes `{command}`: {error}", path.display());
        }
    }
    assert!(seen.len() > 25, "{seen:?}");
    assert!(seen.contains("zkvouch build --force") && seen.contains("zkvouch clean --cache"));
}

#[test]
fn flags_that_messages_name_exist() {
    let mut flags = BTreeSet::new();
    fn collect(command: &clap::Command, flags: &mut BTreeSet<String>) {
        for argument in command.get_arguments() {
            flags.extend(
                argument.get_long_and_visible_aliases().into_iter().flatten().map(String::from),
            );
        }
        command.get_subcommands().for_each(|command| collect(command, flags));
    }
    let mut command = Cli::command();
    command.build();
    collect(&command, &mut flags);
    // clap's own, and those of programs that pages tell how to run.
    flags.extend(["help", "version", "path", "test", "open", "features", "hash"].map(String::from));
    let mut missing = Vec::new();
    for (path, text) in texts() {
        // Messages: what stands in string literals of the code, and in pages between backticks.
        let is_page = path.extension().is_some_and(|ending| ending == "md");
        let spans: Vec<String> = match is_page {
            true => quoted(&text).collect(),
            false => text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .flat_map(|line| {
                    line.split('"').skip(1).step_by(2).map(String::from).collect::<Vec<_>>()
                })
                .collect(),
        };
        // A string that is a flag and nothing else is an argument of some program.
        for span in spans.iter().filter(|span| span.contains(' ') || is_page) {
            for word in span.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
                let Some(flag) = word.strip_prefix("--") else { continue };
                if flag.is_empty() || flag.starts_with('-') {
                    continue;
                }
                if !flags.contains(flag) {
                    missing.push(format!("{} names --{flag} in {span:?}", path.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn keys_that_are_quoted_are_valid() {
    const MINIMAL: &str = "[model]\npath = \"m.onnx\"\ndata = [\"i.json\"]\n";
    const SECTIONS: [&str; 7] = [
        "circuit",
        "calibration",
        "srs",
        "engine",
        "verifier",
        "verifier.compiler",
        "verifier.matrix",
    ];
    let mut seen = 0;
    for (path, text) in texts() {
        for span in quoted(&text) {
            let Some((key, value)) = span.split_once(" = ") else { continue };
            let is_key = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.');
            if key.is_empty() || !key.chars().all(is_key) || value.is_empty() || value.contains('<')
            {
                continue;
            }
            seen += 1;
            let at_top = Config::parse(&format!("{span}\n{MINIMAL}"));
            let in_model = Config::parse(&format!("{MINIMAL}{span}\n"));
            let in_one = SECTIONS
                .iter()
                .any(|section| Config::parse(&format!("{MINIMAL}[{section}]\n{span}\n")).is_ok());
            let is_valid = at_top.is_ok() || in_model.is_ok() || in_one;
            assert!(is_valid, "{} quotes `{span}`", path.display());
        }
    }
    assert!(seen > 4, "{seen}");
}
