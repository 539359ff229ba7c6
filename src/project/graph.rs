//! The build's memory: which step made which file from what, so that an unchanged step is
//! skipped and a changed one runs again, with what depends on it and nothing else.

pub use super::step::{Change, Step};

use super::{Error, Event, Observer, Result};
use crate::files;
use alloy::primitives::B256;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    future::Future,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The version of [`Manifest`]'s layout. What an older zkvouch built is built again.
pub const MANIFEST_VERSION: u32 = 3;

/// The manifest's name in the build folder.
pub const MANIFEST_FILE: &str = "manifest.json";

pub(super) const LOCK_FILE: &str = ".lock";

/// One step's record: the inputs it ran on and the files it made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// What it ran on, by name.
    pub inputs: BTreeMap<String, InputRecord>,
    /// The files made, relative to the build folder.
    pub outputs: BTreeMap<PathBuf, Stamp>,
    /// What the step had to say, such as the tuner's reasons.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub notes: Value,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// When it ended, in seconds since 1970.
    pub finished_at: u64,
}

/// An input of a step as it was when the step ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputRecord {
    /// SHA-256 of a file.
    Sha256(B256),
    /// SHA-256 of each of several files, in order.
    Files(Vec<B256>),
    /// SHA-256 of each sample, in order.
    Samples(Vec<B256>),
    /// An option's value itself, compared as JSON.
    Option(Value),
}

/// A file's content hash, with what tells cheaply that the file was not touched since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// SHA-256 of the content.
    pub sha256: B256,
    /// The file's length in bytes.
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
    /// [`MANIFEST_VERSION`]; an older manifest counts as empty, a newer one is refused.
    pub schema_version: u32,
    /// The steps that have run.
    pub steps: BTreeMap<Step, StepRecord>,
    /// Input files last seen, by absolute path, so that they are not hashed again and again.
    #[serde(default)]
    pub files: BTreeMap<PathBuf, Stamp>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { schema_version: MANIFEST_VERSION, steps: BTreeMap::new(), files: BTreeMap::new() }
    }
}

/// An input of a step.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A file, by what is in it.
    File(&'static str, PathBuf),
    /// Several files, by what is in them.
    Files(&'static str, Vec<PathBuf>),
    /// Sample inputs: they decide what a build makes, but what is built stands whatever becomes of
    /// them.
    Samples(&'static str, Vec<PathBuf>),
    /// An option or a group of them, by its name in messages.
    Option(&'static str, Value),
    /// An option of one command. As with samples, what is built under it stands.
    Given(&'static str, Value),
}

/// What a step reads and writes.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) step: Step,
    pub(crate) inputs: Vec<Input>,
    /// Paths relative to the build folder.
    pub(crate) outputs: Vec<PathBuf>,
}

impl Manifest {
    /// Reads a build folder's manifest; a missing one, or one of an older zkvouch, is an empty one.
    pub fn read(folder: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let path = folder.join(MANIFEST_FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = files::read(&path)?;
        let broken = |error| Error::broken_manifest(&path, error);
        let Version { schema_version } = serde_json::from_slice(&bytes).map_err(broken)?;
        if schema_version > MANIFEST_VERSION {
            let message = format!(
                "schema_version is {schema_version}, this zkvouch writes {MANIFEST_VERSION}"
            );
            return Err(Error::broken_manifest(&path, message));
        }
        if schema_version < MANIFEST_VERSION {
            return Ok(Self::default());
        }
        serde_json::from_slice(&bytes).map_err(broken)
    }

    /// The hash of a file that a step made, as it was when the step ended.
    pub(crate) fn output(&self, step: Step, file: &str) -> Option<B256> {
        Some(self.steps.get(&step)?.outputs.get(Path::new(file))?.sha256)
    }

    /// The hash of a file that a step ran on.
    pub(crate) fn input(&self, step: Step, name: &str) -> Option<B256> {
        match self.steps.get(&step)?.inputs.get(name)? {
            InputRecord::Sha256(hash) => Some(*hash),
            _ => None,
        }
    }

    /// What is remembered of a file, be it an input or a step's output.
    fn known(&self, folder: &Path, path: &Path) -> Option<&Stamp> {
        self.files.get(path).or_else(|| {
            let relative = path.strip_prefix(folder).ok()?;
            self.steps.values().find_map(|record| record.outputs.get(relative))
        })
    }

    /// The inputs as they are now. Files whose stamps are known are not read.
    fn describe(&self, folder: &Path, inputs: &[Input]) -> Result<Described> {
        let mut described = Described::default();
        let mut hash = |path: &Path| -> Result<B256> {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let stamp = Stamp::of(&path, self.known(folder, &path))?;
            let hash = stamp.sha256;
            described.files.push((path, stamp));
            Ok(hash)
        };
        let mut records = BTreeMap::new();
        for input in inputs {
            let (name, record) = match input {
                Input::Option(name, value) | Input::Given(name, value) => {
                    (name, InputRecord::Option(value.clone()))
                }
                Input::File(name, path) => (name, InputRecord::Sha256(hash(path)?)),
                Input::Files(name, paths) => {
                    let hashes = paths.iter().map(|path| hash(path)).collect::<Result<_>>()?;
                    (name, InputRecord::Files(hashes))
                }
                Input::Samples(name, paths) => {
                    let hashes = paths.iter().map(|path| hash(path)).collect::<Result<_>>()?;
                    (name, InputRecord::Samples(hashes))
                }
            };
            records.insert((*name).to_owned(), record);
        }
        described.records = records;
        Ok(described)
    }

    /// What keeps a step from being up to date; nothing if it is.
    fn change(
        &self,
        folder: &Path,
        spec: &Spec,
        inputs: &BTreeMap<String, InputRecord>,
    ) -> Result<Option<Change>> {
        let Some(record) = self.steps.get(&spec.step) else {
            return Ok(Some(Change::NotBuilt(spec.step)));
        };
        let changed = inputs
            .iter()
            .find(|(name, now)| record.inputs.get(*name) != Some(now))
            .map(|(name, _)| name)
            .or_else(|| record.inputs.keys().find(|name| !inputs.contains_key(*name)));
        if let Some(name) = changed {
            let path = spec.inputs.iter().find_map(|input| match input {
                Input::File(known, path) if known == name => Some(path.clone()),
                Input::Files(known, paths) if known == name => paths.first().cloned(),
                _ => None,
            });
            let name = name.clone();
            return Ok(Some(match path {
                Some(path) => Change::File { name, path },
                None => Change::Option { name },
            }));
        }
        for output in &spec.outputs {
            let path = folder.join(output);
            let Some(stamp) = record.outputs.get(output) else {
                return Ok(Some(Change::Missing(path)));
            };
            if !path.exists() {
                return Ok(Some(Change::Missing(path)));
            }
            if Stamp::of(&path, Some(stamp))?.sha256 != stamp.sha256 {
                return Ok(Some(Change::Altered(path)));
            }
        }
        Ok(None)
    }

    /// What keeps what a step made from standing for what it was made from; nothing if it does.
    /// Samples may have changed.
    pub(crate) fn stale(&self, folder: &Path, spec: &Spec) -> Result<Option<Change>> {
        let is_samples = |input: &Input| matches!(input, Input::Samples(..) | Input::Given(..));
        let samples = spec.inputs.iter().filter(|input| is_samples(input));
        let fixed: Vec<_> =
            spec.inputs.iter().filter(|input| !is_samples(input)).cloned().collect();
        if let Some((name, path)) = fixed.iter().find_map(|input| match input {
            Input::File(name, path) if !path.exists() => Some((name, path)),
            Input::Files(name, paths) => Some((name, paths.iter().find(|path| !path.exists())?)),
            _ => None,
        }) {
            return Ok(Some(match self.steps.contains_key(&spec.step) {
                true => Change::File { name: (*name).to_owned(), path: path.clone() },
                false => Change::NotBuilt(spec.step),
            }));
        }
        let mut inputs = self.describe(folder, &fixed)?.records;
        for input in samples {
            let (Input::Samples(name, _) | Input::Given(name, _)) = input else { continue };
            let then = self.steps.get(&spec.step).and_then(|record| record.inputs.get(*name));
            if let Some(then) = then {
                inputs.insert((*name).to_owned(), then.clone());
            }
        }
        self.change(folder, spec, &inputs)
    }
}

/// A step's inputs, and the stamps of the files among them.
#[derive(Default)]
struct Described {
    records: BTreeMap<String, InputRecord>,
    files: Vec<(PathBuf, Stamp)>,
}

/// The build folder, locked for one build at a time.
pub(crate) struct Graph {
    folder: PathBuf,
    manifest: Mutex<Manifest>,
    observer: Observer,
    force: bool,
    lock: File,
}

impl Graph {
    /// Opens the folder, waiting while another process builds in it or uses what is built.
    pub(crate) async fn open(folder: &Path, observer: Observer, force: bool) -> Result<Self> {
        files::create_dir_all(folder)?;
        let lock = lock(folder, &observer).await?;
        files::sweep(folder);
        let manifest = Mutex::new(Manifest::read(folder)?);
        Ok(Self { folder: folder.to_owned(), manifest, observer, force, lock })
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
    /// returns is kept with the record; a skipped step returns what it returned when it ran.
    pub(crate) async fn step<T, F>(&self, spec: Spec, work: impl FnOnce() -> F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T>>,
    {
        self.step_anew(false, spec, work).await
    }

    /// As [`step`](Self::step), or in any case.
    pub(crate) async fn step_anew<T, F>(
        &self,
        anew: bool,
        spec: Spec,
        work: impl FnOnce() -> F,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T>>,
    {
        let manifest = self.snapshot();
        let Described { records: inputs, files } = manifest.describe(&self.folder, &spec.inputs)?;
        self.manifest().files.extend(files);
        let name = spec.step.name();
        let change = match self.force || anew {
            true => Some(Change::Forced),
            false => manifest.change(&self.folder, &spec, &inputs)?,
        };
        let path = || self.folder.join(MANIFEST_FILE);
        match change {
            None => {
                (self.observer)(Event::Skipped { step: name });
                let notes = &manifest.steps[&spec.step].notes;
                return T::deserialize(notes)
                    .map_err(|error| Error::broken_manifest(&path(), error));
            }
            Some(change) => {
                (self.observer)(Event::Started { step: name, reason: change.to_string() });
            }
        }
        // Until the step ends, its outputs are nobody's: a killed build must run it again.
        if self.manifest().steps.remove(&spec.step).is_some() {
            self.save()?;
        }
        let clock = Instant::now();
        let notes = match work().await {
            Ok(notes) => notes,
            Err(error) => {
                (self.observer)(Event::Failed { step: name });
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
            notes: serde_json::to_value(&notes)
                .map_err(|error| Error::broken_manifest(&path(), error))?,
            elapsed_ms: elapsed.as_millis() as u64,
            finished_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs()),
        };
        self.manifest().steps.insert(spec.step, record);
        self.save()?;
        (self.observer)(Event::Finished { step: name, elapsed });
        Ok(notes)
    }

    /// Ends the build; the folder stays held against other builds while the file is open.
    pub(crate) fn finish(self) -> File {
        self.lock
    }

    fn save(&self) -> Result<()> {
        let path = self.folder.join(MANIFEST_FILE);
        let text = serde_json::to_vec_pretty(&*self.manifest())
            .map_err(|error| Error::broken_manifest(&path, error))?;
        Ok(files::write_atomic(&path, &text)?)
    }
}

/// Whether a build made the folder: its manifest is one of ours, or a build was interrupted before it
/// wrote one, and only its lock is there.
pub(super) fn is_build_folder(folder: &Path) -> bool {
    let read = |text: Vec<u8>| {
        let manifest: Value = serde_json::from_slice(&text).ok()?;
        Some(manifest["schema_version"].is_u64() && manifest["steps"].is_object())
    };
    match files::read(&folder.join(MANIFEST_FILE)) {
        Ok(text) => read(text).unwrap_or_default(),
        Err(_) => folder.join(LOCK_FILE).is_file(),
    }
}

/// Holds the build folder for a build.
pub(super) async fn lock(folder: &Path, observer: &Observer) -> Result<File> {
    let path = folder.join(LOCK_FILE);
    let file = File::create(&path).map_err(files::Error::at("write", &path))?;
    wait_for(&path, &file, File::try_lock, observer).await?;
    Ok(file)
}

/// Holds what is built in a folder, with others, against the next build.
///
/// # Errors
/// [`Error::NotBuilt`] where nothing ever was.
pub(crate) async fn lock_shared(folder: &Path, observer: &Observer) -> Result<File> {
    let path = folder.join(LOCK_FILE);
    // For reading, so that a project on a read-only disk can be used.
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotBuilt(folder.to_owned()));
        }
        Err(error) => return Err(files::Error::at("read", &path)(error).into()),
    };
    wait_for(&path, &file, File::try_lock_shared, observer).await?;
    Ok(file)
}

async fn wait_for(
    path: &Path,
    file: &File,
    try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    observer: &Observer,
) -> Result<()> {
    let mut told = false;
    loop {
        match try_lock(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    (observer)(Event::Waiting { path: path.to_owned() });
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(TryLockError::Error(error)) => {
                return Err(files::Error::at("lock", path)(error).into());
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
                step: Step::Compile,
                inputs: vec![
                    Input::File("in", self.folder.path().join("in")),
                    Input::Option("setting", setting.into()),
                ],
                outputs: vec!["out".into()],
            };
            let notes = graph
                .step(spec, || async {
                    self.runs.fetch_add(1, Ordering::SeqCst);
                    files::write_atomic(&build.join("out"), b"made")?;
                    Ok("note".to_owned())
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
            let spec = Spec { step: Step::Compile, inputs: vec![], outputs: vec!["out".into()] };
            let failed =
                graph.step(spec, || async { Err::<(), _>(Error::NoProject("x".into())) }).await;
            assert!(failed.is_err());
        }
        assert!(Manifest::read(&build).expect("readable").steps.is_empty());
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
        let error = Manifest::read(folder.path()).expect_err("broken").to_string();
        assert!(error.contains("manifest.json"), "{error}");
        assert!(error.contains("zkvouch clean"), "{error}");
    }
}
