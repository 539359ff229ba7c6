//! The build graph's memory: which step made which file from what, so that an unchanged step is
//! skipped and a changed one runs again, with what depends on it and nothing else.

use super::{Error, Event, Observer, Result};
use crate::files;
use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    future::Future,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The version of [`Manifest`]'s layout.
pub const MANIFEST_VERSION: u32 = 1;

/// The manifest's name in the build folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// One step's record: the inputs it ran on and the files it made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// SHA-256 of each input file, or the value itself where the input is a setting.
    pub inputs: BTreeMap<String, Value>,
    /// The files made, relative to the build folder.
    pub outputs: BTreeMap<PathBuf, Stamp>,
    /// What the step had to say, such as the compiler's version.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub notes: Value,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// When it ended, in seconds since 1970.
    pub finished_at: u64,
}

/// A file's content hash, with what tells cheaply that the file was not touched since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// SHA-256 of the content.
    pub sha256: B256,
    /// Length in bytes.
    pub size: u64,
    /// Modification time, in nanoseconds since 1970.
    pub modified_ns: u64,
}

impl Stamp {
    /// Hashes a file, or takes over `known`'s hash if size and modification time are the same.
    fn of(path: &Path, known: Option<&Self>) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(files::Error::at("read", path))?;
        let modified_ns = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |age| age.as_nanos() as u64);
        let size = metadata.len();
        if let Some(known) = known
            && (known.size, known.modified_ns) == (size, modified_ns)
            && modified_ns != 0
        {
            return Ok(known.clone());
        }
        Ok(Self { sha256: files::sha256_file(path)?, size, modified_ns })
    }
}

/// What the build folder's `manifest.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub schema_version: u32,
    /// The steps that have run, by name.
    pub steps: BTreeMap<String, StepRecord>,
    /// Input files last seen, by absolute path, so that they are not hashed again and again.
    #[serde(default)]
    pub files: BTreeMap<PathBuf, Stamp>,
    /// True once any step used an SRS whose secret somebody may know. Never reset but by `clean`.
    #[serde(default)]
    pub unsafe_srs: bool,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            schema_version: MANIFEST_VERSION,
            steps: BTreeMap::new(),
            files: BTreeMap::new(),
            unsafe_srs: false,
        }
    }
}

/// An input of a step.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A file, by what is in it.
    File(&'static str, PathBuf),
    /// A setting.
    Value(&'static str, Value),
}

/// What a step reads and writes.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) inputs: Vec<Input>,
    /// Paths relative to the build folder.
    pub(crate) outputs: Vec<PathBuf>,
}

/// The build folder, locked for one build at a time.
pub(crate) struct Graph {
    folder: PathBuf,
    manifest: Mutex<Manifest>,
    observer: Observer,
    force: bool,
    _lock: File,
}

impl Graph {
    /// Opens the folder, waiting while another process builds in it.
    pub(crate) async fn open(folder: &Path, observer: Observer, force: bool) -> Result<Self> {
        files::create_dir_all(folder)?;
        let lock = lock(folder, &observer).await?;
        let manifest = Mutex::new(read_manifest(folder)?);
        Ok(Self { folder: folder.to_owned(), manifest, observer, force, _lock: lock })
    }

    fn manifest(&self) -> MutexGuard<'_, Manifest> {
        // The manifest is valid between any two statements, so a panic elsewhere loses nothing.
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the manifest as it stands.
    pub(crate) fn snapshot(&self) -> Manifest {
        self.manifest().clone()
    }

    /// Runs `work` unless the step's inputs and outputs are as its record says. What `work`
    /// returns is kept as the record's notes; a skipped step returns the notes of old.
    pub(crate) async fn step<F>(&self, spec: Spec, work: impl FnOnce() -> F) -> Result<Value>
    where
        F: Future<Output = Result<Value>>,
    {
        let inputs = self.describe(&spec.inputs)?;
        match self.reason_to_run(&spec, &inputs)? {
            None => {
                (self.observer)(Event::Skipped { step: spec.name });
                let notes = self.manifest().steps[spec.name].notes.clone();
                return Ok(notes);
            }
            Some(reason) => (self.observer)(Event::Started { step: spec.name, reason }),
        }
        // Until the step ends, its outputs are nobody's: a killed build must run it again.
        if self.manifest().steps.remove(spec.name).is_some() {
            self.save()?;
        }
        let clock = Instant::now();
        let notes = match work().await {
            Ok(notes) => notes,
            Err(error) => {
                (self.observer)(Event::Failed { step: spec.name });
                return Err(error);
            }
        };
        let elapsed = clock.elapsed();
        let mut outputs = BTreeMap::new();
        for output in spec.outputs {
            let stamp = Stamp::of(&self.folder.join(&output), None)?;
            outputs.insert(output, stamp);
        }
        let record = StepRecord {
            inputs,
            outputs,
            notes: notes.clone(),
            elapsed_ms: elapsed.as_millis() as u64,
            finished_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs()),
        };
        self.manifest().steps.insert(spec.name.to_owned(), record);
        self.save()?;
        (self.observer)(Event::Finished { step: spec.name, elapsed });
        Ok(notes)
    }

    /// Marks the build as made with an SRS whose secret somebody may know.
    pub(crate) fn mark_unsafe_srs(&self) -> Result<()> {
        self.manifest().unsafe_srs = true;
        self.save()
    }

    fn save(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&*self.manifest())
            .map_err(|error| broken(self.folder.join(MANIFEST_FILE), error))?;
        Ok(files::write_atomic(&self.folder.join(MANIFEST_FILE), &text)?)
    }

    fn describe(&self, inputs: &[Input]) -> Result<BTreeMap<String, Value>> {
        let mut described = BTreeMap::new();
        for input in inputs {
            match input {
                Input::Value(name, value) => {
                    described.insert((*name).to_owned(), value.clone());
                }
                Input::File(name, path) => {
                    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                    let known = self.known(&path);
                    let stamp = Stamp::of(&path, known.as_ref())?;
                    described.insert((*name).to_owned(), Value::from(stamp.sha256.to_string()));
                    self.manifest().files.insert(path, stamp);
                }
            }
        }
        Ok(described)
    }

    /// What is remembered of a file, be it an input or a step's output.
    fn known(&self, path: &Path) -> Option<Stamp> {
        let manifest = self.manifest();
        if let Some(stamp) = manifest.files.get(path) {
            return Some(stamp.clone());
        }
        let relative = path.strip_prefix(&self.folder).ok()?;
        manifest.steps.values().find_map(|record| record.outputs.get(relative).cloned())
    }

    fn reason_to_run(
        &self,
        spec: &Spec,
        inputs: &BTreeMap<String, Value>,
    ) -> Result<Option<String>> {
        if self.force {
            return Ok(Some("forced".to_owned()));
        }
        let Some(record) = self.manifest().steps.get(spec.name).cloned() else {
            return Ok(Some("not built yet".to_owned()));
        };
        let changed: Vec<_> = inputs
            .iter()
            .filter(|(name, value)| record.inputs.get(*name) != Some(value))
            .map(|(name, _)| name.as_str())
            .chain(record.inputs.keys().filter(|name| !inputs.contains_key(*name)).map(|n| &**n))
            .collect();
        if !changed.is_empty() {
            return Ok(Some(format!("{} changed", changed.join(", "))));
        }
        for output in &spec.outputs {
            let path = self.folder.join(output);
            let Some(stamp) = record.outputs.get(output) else {
                return Ok(Some(format!("{} is new", output.display())));
            };
            if !path.exists() {
                return Ok(Some(format!("{} is missing", output.display())));
            }
            if Stamp::of(&path, Some(stamp))?.sha256 != stamp.sha256 {
                return Ok(Some(format!("{} was changed by hand", output.display())));
            }
        }
        Ok(None)
    }
}

/// Reads `manifest.json` of a build folder; a missing one is an empty one.
pub fn read_manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join(MANIFEST_FILE);
    if !path.exists() {
        return Ok(Manifest::default());
    }
    let manifest: Manifest = serde_json::from_slice(&files::read(&path)?)
        .map_err(|error| broken(path.clone(), error))?;
    if manifest.schema_version != MANIFEST_VERSION {
        let message = format!(
            "schema_version is {}, this zkvouch writes {MANIFEST_VERSION}",
            manifest.schema_version
        );
        return Err(broken(path, message));
    }
    Ok(manifest)
}

pub(super) fn broken(path: PathBuf, message: impl ToString) -> Error {
    Error::Manifest { path, message: message.to_string() }
}

async fn lock(folder: &Path, observer: &Observer) -> Result<File> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(files::Error::at("write", &path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    (observer)(Event::Waiting { path: path.clone() });
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(TryLockError::Error(error)) => {
                return Err(files::Error::at("lock", &path)(error).into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    struct Bench {
        folder: tempfile::TempDir,
        runs: AtomicUsize,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            fs::write(folder.path().join("in"), "1").expect("written");
            Self { folder, runs: AtomicUsize::new(0) }
        }

        /// One build of one step; true if it ran.
        async fn build(&self, setting: u32, force: bool) -> bool {
            let before = self.runs.load(Ordering::SeqCst);
            let build = self.folder.path().join("build");
            let graph = Graph::open(&build, Arc::new(|_| {}), force).await.expect("opened");
            let spec = Spec {
                name: "copy",
                inputs: vec![
                    Input::File("in", self.folder.path().join("in")),
                    Input::Value("setting", setting.into()),
                ],
                outputs: vec!["out".into()],
            };
            let notes = graph
                .step(spec, || async {
                    self.runs.fetch_add(1, Ordering::SeqCst);
                    files::write_atomic(&build.join("out"), b"made")?;
                    Ok(Value::from("note"))
                })
                .await
                .expect("built");
            assert_eq!(notes, "note");
            self.runs.load(Ordering::SeqCst) > before
        }
    }

    #[tokio::test]
    async fn a_step_runs_when_something_changed_and_only_then() {
        let bench = Bench::new();
        assert!(bench.build(1, false).await, "first");
        assert!(!bench.build(1, false).await, "unchanged");
        assert!(bench.build(2, false).await, "a setting changed");
        assert!(bench.build(2, true).await, "forced");
        fs::write(bench.folder.path().join("in"), "22").expect("written");
        assert!(bench.build(2, false).await, "an input changed");
        fs::remove_file(bench.folder.path().join("build/out")).expect("removed");
        assert!(bench.build(2, false).await, "the output is missing");
        fs::write(bench.folder.path().join("build/out"), "forged").expect("written");
        assert!(bench.build(2, false).await, "the output was changed");
        assert!(!bench.build(2, false).await, "unchanged again");
        // The same bytes with a new modification time are the same file.
        fs::write(bench.folder.path().join("in"), "22").expect("written");
        assert!(!bench.build(2, false).await, "touched only");
    }

    #[tokio::test]
    async fn a_failed_step_leaves_no_record() {
        let bench = Bench::new();
        bench.build(1, false).await;
        let build = bench.folder.path().join("build");
        {
            let graph = Graph::open(&build, Arc::new(|_| {}), true).await.expect("opened");
            let spec = Spec { name: "copy", inputs: vec![], outputs: vec!["out".into()] };
            let failed =
                graph.step(spec, || async { Err(Error::NoProject(PathBuf::from("x"))) }).await;
            assert!(failed.is_err());
        }
        assert!(read_manifest(&build).expect("readable").steps.is_empty());
        assert!(bench.build(1, false).await);
    }

    #[tokio::test]
    async fn two_builds_do_not_meet() {
        let bench = Bench::new();
        let build = bench.folder.path().join("build");
        let first = Graph::open(&build, Arc::new(|_| {}), false).await.expect("opened");
        let waiting = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&waiting);
        let observer: Observer = Arc::new(move |event| {
            if matches!(event, Event::Waiting { .. }) {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        let second = tokio::spawn({
            let build = build.clone();
            async move { Graph::open(&build, observer, false).await.map(|_| ()) }
        });
        while waiting.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!second.is_finished());
        drop(first);
        second.await.expect("joined").expect("opened");
    }

    #[test]
    fn a_broken_manifest_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("manifest.json"), "{").expect("written");
        let error = read_manifest(folder.path()).expect_err("broken").to_string();
        assert!(error.contains("manifest.json"), "{error}");
        assert!(error.contains("zkvouch clean"), "{error}");
    }
}
