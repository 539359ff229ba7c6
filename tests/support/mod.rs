//! What the end-to-end tests share: a project of their own in a temporary folder, and the command.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

pub mod schema;

use serde_json::Value;
use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// The repository's folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of `examples/`.
pub fn example(path: &str) -> PathBuf {
    repository().join("examples").join(path)
}

/// The command, not looking at this machine's settings.
pub fn zkvouch() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkvouch"));
    for name in ["ZKVOUCH_JSON", "ZKVOUCH_PROJECT", "ZKVOUCH_LOG", "ETH_RPC_URL", "ETH_FROM"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A folder with a project in it.
pub struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// A folder with nothing in it.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A copy of an example's model and data.
    pub fn of(example_name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in ["model.onnx", "input.json", "data.json"] {
            fs::copy(example(example_name).join(file), folder.path().join(file)).expect("copied");
        }
        Self { folder }
    }

    /// A project that `zkvouch init` has made of an example.
    pub fn project(example_name: &str) -> Self {
        let sandbox = Self::of(example_name);
        sandbox
            .run(["init", "model.onnx", "--no-inspect", "--data", "input.json", "data.json"])
            .success();
        calibrate_only(sandbox.path());
        sandbox
    }

    /// A built project. The build is shared between tests and kept between runs: it is made once in
    /// cargo's folder for tests and copied from there. What another zkvouch built is built again.
    pub fn built(example_name: &str) -> Self {
        Self::shared(example_name, |folder| {
            for file in ["model.onnx", "input.json", "data.json"] {
                fs::copy(example(example_name).join(file), folder.join(file)).expect("copied");
            }
            let arguments = [
                "init",
                "model.onnx",
                "--no-inspect",
                "--data",
                "input.json",
                "data.json",
                "--force",
            ];
            Outcome::of(zkvouch().args(arguments).current_dir(folder)).success();
            calibrate_only(folder);
        })
    }

    /// The smallest circuit that there is, whose proof takes a tenth of a CPU second, built.
    pub fn tiny() -> Self {
        Self::shared("tiny", |folder| {
            let of = repository().join("tests/fixtures/tiny");
            for file in ["model.onnx", "input.json"] {
                fs::copy(of.join(file), folder.join(file)).expect("copied");
            }
            let text = "[model]\npath = \"model.onnx\"\ndata = [\"input.json\"]\n[circuit]\ninput_scale = 7\n\
                        param_scale = 7\nlogrows = 8\nnum_inner_cols = 1\ndecomp_base = 120\ndecomp_legs = 3\n\
                        [calibration]\ntarget = \"manual\"\n[srs]\nsource = \"unsafe-dev\"\n";
            fs::write(folder.join("zkvouch.toml"), text).expect("written");
        })
    }

    fn shared(name: &str, make: impl Fn(&Path)) -> Self {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("built").join(name);
        fs::create_dir_all(&shared).expect("created");
        let lock = fs::File::create(shared.with_extension("lock")).expect("created");
        lock.lock().expect("locked");
        let (stamp, made_by) = (shared.with_extension("stamp"), stamp());
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&made_by) {
            fs::remove_dir_all(&shared).expect("removed");
            fs::create_dir_all(&shared).expect("created");
            fs::write(&stamp, made_by).expect("written");
        }
        make(&shared);
        Outcome::of(zkvouch().arg("build").current_dir(&shared)).success();
        let sandbox = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        copy_folder(&shared, sandbox.path());
        sandbox
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the command in it.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Outcome {
        Outcome::of(zkvouch().args(arguments).current_dir(self.path()))
    }

    /// Runs the command with `--json` and returns the envelope.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(arguments.iter().copied().chain(["--json"])).envelope()
    }

    /// Like [`json`](Self::json), but the command must succeed; returns its data.
    pub fn data(&self, arguments: &[&str]) -> Value {
        let mut envelope = self.json(arguments);
        assert_eq!(envelope["success"], true, "{arguments:?}: {envelope:#}");
        assert_eq!(envelope["schema_version"], 1);
        assert_eq!(envelope["errors"], Value::Array(vec![]));
        envelope["data"].take()
    }
}

/// What tells one build of the command from another.
fn stamp() -> String {
    let program = fs::metadata(env!("CARGO_BIN_EXE_zkvouch")).expect("the command");
    format!("{} {:?}", program.len(), program.modified().expect("a time"))
}

/// Leaves the tuner out: ezkl's own calibration takes seconds.
pub fn calibrate_only(project: &Path) {
    let file = project.join("zkvouch.toml");
    let text = fs::read_to_string(&file).expect("read");
    fs::write(&file, text.replace("target = \"tune\"", "target = \"resources\"")).expect("written");
}

/// Copies a folder; modification times go along, so that the build does not hash everything anew.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("created");
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("read").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

/// What a command ended with, and its arguments.
#[derive(Debug)]
pub struct Outcome(pub Output, Vec<OsString>);

impl Outcome {
    /// Runs zkvouch to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().expect("zkvouch runs");
        Self(output, command.get_args().map(OsStr::to_owned).collect())
    }

    /// Of one that ran with these arguments.
    pub fn new(output: Output, arguments: &[&str]) -> Self {
        Self(output, arguments.iter().map(OsString::from).collect())
    }

    /// Standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    /// Standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// The only document on standard output, which has the form that `docs/schema` gives it.
    #[track_caller]
    pub fn envelope(&self) -> Value {
        let document = serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| {
            panic!("{error}: stdout {:?}, stderr {}", self.stdout(), self.stderr())
        });
        let name = schema::of_command(&self.1).expect("the command line of a document");
        schema::check(&name, &document);
        document
    }

    /// Asserts success.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.0.status.success(), "{}{}", self.stdout(), self.stderr());
        self
    }

    /// Asserts a clean failure: the exit code, the words, nothing on stdout, no panic.
    #[track_caller]
    pub fn failure(self, code: i32, words: &[&str]) -> Self {
        let stderr = self.stderr();
        assert_eq!(self.0.status.code(), Some(code), "{}{stderr}", self.stdout());
        assert_eq!(self.stdout(), "", "a failure prints no result");
        assert!(!stderr.contains("panicked"), "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in {stderr}");
        }
        self
    }
}

/// `zkvouch anvil` on a free port, stopped on drop.
pub struct Node {
    child: Child,
    /// Its URL.
    pub url: String,
}

impl Node {
    /// Starts it and waits until it listens.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = zkvouch()
            .args(["anvil", "--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("zkvouch runs");
        let stdout = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        Self { child, url: line.trim().to_owned() }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // SIGTERM, so that it takes Anvil with it.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}
