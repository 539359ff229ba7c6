//! Temporary files and folders. What a killed process leaves of them, the next one removes.
//!
//! Each is locked by its maker as long as it is in use, and the system lets go of the lock when the
//! maker dies, in whatever way. So what [`sweep`] can lock is nobody's.

use super::{Error, Result, create_dir_all, parent};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const PREFIX: &str = ".zkvouch-";

/// Whether a file is called what temporary ones are.
pub(crate) fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
}

/// Who may use a file, before the umask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Shared,
    Private,
    Executable,
}

/// A temporary file beside its destination; removed on drop unless [`Pending::commit`] was called.
#[derive(Debug)]
pub struct Pending {
    file: tempfile::NamedTempFile,
    destination: PathBuf,
    mode: Mode,
}

impl Pending {
    /// Opens a temporary file in the folder of `destination`, which is created where missing. The
    /// umask says who may read it, as of any new file.
    pub fn new(destination: &Path) -> Result<Self> {
        Self::with_mode(destination, Mode::Shared)
    }

    /// As [`new`](Self::new), for its owner alone, whatever the umask.
    pub fn private(destination: &Path) -> Result<Self> {
        Self::with_mode(destination, Mode::Private)
    }

    /// As [`new`](Self::new), for a program.
    pub fn executable(destination: &Path) -> Result<Self> {
        Self::with_mode(destination, Mode::Executable)
    }

    fn with_mode(destination: &Path, mode: Mode) -> Result<Self> {
        let folder = parent(destination);
        create_dir_all(folder)?;
        sweep_once(folder);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(match mode {
                Mode::Shared => 0o666,
                Mode::Private => 0o600,
                Mode::Executable => 0o777,
            }));
        }
        loop {
            let file = builder.tempfile_in(folder).map_err(Error::at("write", destination))?;
            if is_held(file.as_file(), file.path()) {
                return Ok(Self { file, destination: destination.to_owned(), mode });
            }
        }
    }

    /// Where to write; another process may do so too.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Where it goes.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// The open temporary file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Flushes to disk and renames to the destination.
    pub fn commit(self) -> Result<()> {
        let Self { file, destination, mode } = self;
        // Reopened by path: a worker process may have replaced the file rather than written into it.
        File::open(file.path())
            .and_then(|file| file.sync_all())
            .and_then(|()| set_mode(file.path(), mode))
            .map_err(Error::at("write", &destination))?;
        // Locked until it has its name.
        let (_lock, temporary) = file.into_parts();
        temporary.persist(&destination).map_err(|error| Error {
            action: "write",
            path: destination,
            source: error.error,
        })
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: Mode) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match mode {
        Mode::Private => fs::set_permissions(path, fs::Permissions::from_mode(0o600)),
        Mode::Shared | Mode::Executable => Ok(()),
    }
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: Mode) -> io::Result<()> {
    Ok(())
}

/// A temporary folder, its owner's alone, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    // Removed while it is locked: fields are dropped in order.
    folder: tempfile::TempDir,
    _lock: Option<File>,
}

impl Scratch {
    /// One in the system's folder for temporary files.
    pub fn new() -> Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    /// One in that folder, which is created where missing.
    pub fn within(folder: &Path) -> Result<Self> {
        create_dir_all(folder)?;
        sweep_once(folder);
        loop {
            let made = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(folder)
                .map_err(Error::at("write", folder))?;
            if !cfg!(unix) {
                return Ok(Self { folder: made, _lock: None });
            }
            let lock = match File::open(made.path()) {
                Ok(lock) => lock,
                // Swept already.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::at("lock", made.path())(error)),
            };
            if is_held(&lock, made.path()) {
                return Ok(Self { folder: made, _lock: Some(lock) });
            }
        }
    }

    /// The folder, on which a lock is held as long as it lives: what locks a folder itself, as the deployments
    /// file does, takes one below it.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Locks what was just made. `false` where a sweep of another process came before.
#[cfg(unix)]
fn is_held(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match file.try_lock() {
        Ok(()) => file.metadata().is_ok_and(|mine| {
            fs::symlink_metadata(path)
                .is_ok_and(|there| (mine.dev(), mine.ino()) == (there.dev(), there.ino()))
        }),
        Err(fs::TryLockError::WouldBlock) => false,
        // Nothing can be locked on this file system, so no sweep finds it free.
        Err(fs::TryLockError::Error(_)) => true,
    }
}

/// Windows keeps others from writing to a file that is locked, the worker among them.
#[cfg(not(unix))]
fn is_held(_: &File, _: &Path) -> bool {
    true
}

fn sweep_once(folder: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    if SWEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned()) {
        sweep(folder);
    }
}

/// Removes what killed processes of this user left in a folder. A process does so by itself in each
/// folder that it first writes to.
pub fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Of a symbolic link this is the link's own.
        let Ok(metadata) = entry.metadata() else { continue };
        if !is_temporary(&entry.path()) || !(metadata.is_file() || metadata.is_dir()) {
            continue;
        }
        let path = entry.path();
        let Some(_lock) = free(&path, &metadata) else { continue };
        let removed = match metadata.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        tracing::debug!(path = %path.display(), ?removed, "left by a killed process");
    }
}

/// The lock of what is this user's and nobody uses.
#[cfg(unix)]
fn free(path: &Path, metadata: &fs::Metadata) -> Option<File> {
    use std::os::unix::fs::MetadataExt;
    // SAFETY: a system call without arguments.
    if metadata.uid() != unsafe { libc::geteuid() } {
        return None;
    }
    File::open(path).ok().filter(|file| file.try_lock().is_ok())
}

/// Without locks only its age tells.
#[cfg(not(unix))]
fn free(_: &Path, metadata: &fs::Metadata) -> Option<()> {
    const OLD: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
    let age = metadata.modified().ok()?.elapsed().ok()?;
    (age > OLD).then_some(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{
        io::Write as _,
        os::unix::fs::PermissionsExt as _,
        process::{Command, Stdio},
    };

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("readable").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Runs another test of this module in a process of its own.
    fn rerun(test: &str, folder: &Path, umask: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", umask])
            .arg(std::env::current_exe().expect("known"))
            .args(["--exact", &format!("files::temporary::tests::{test}"), "--ignored"])
            .env("ZKVOUCH_TEST_FOLDER", folder)
            .stdout(Stdio::null());
        command
    }

    fn folder_of_the_other_test() -> PathBuf {
        std::env::var_os("ZKVOUCH_TEST_FOLDER").expect("set by the other test").into()
    }

    #[test]
    #[ignore = "run by another test"]
    fn that_writes_files() {
        let folder = folder_of_the_other_test();
        crate::files::write_atomic(&folder.join("new/shared"), b"x").expect("written");
        crate::files::write_executable(&folder.join("new/program"), b"x").expect("written");
        let private = Pending::private(&folder.join("new/private")).expect("opened");
        // As a program would that doesn't write into the file that is there.
        fs::remove_file(private.path()).expect("removed");
        fs::write(private.path(), "x").expect("written");
        private.commit().expect("written");
    }

    #[test]
    fn the_umask_says_who_may_read_and_what_is_private_is_so_in_any_case() {
        for (umask, shared, program) in [
            ("022", 0o644, 0o755),
            ("077", 0o600, 0o700),
            ("002", 0o664, 0o775),
            ("0", 0o666, 0o777),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let status = rerun("that_writes_files", folder.path(), umask).status().expect("runs");
            assert!(status.success());
            let mode = |name: &str| {
                let metadata = fs::metadata(folder.path().join("new").join(name)).expect("there");
                metadata.permissions().mode() & 0o777
            };
            assert_eq!(
                (mode("shared"), mode("program"), mode("private")),
                (shared, program, 0o600)
            );
        }
    }

    #[test]
    #[ignore = "run by another test"]
    fn that_is_killed() {
        let folder = folder_of_the_other_test();
        let mut pending = Pending::new(&folder.join("a")).expect("opened");
        pending.file().write_all(b"half").expect("written");
        let scratch = Scratch::within(&folder).expect("made");
        fs::write(scratch.path().join("b"), "half").expect("written");
        fs::write(folder.join("ready"), "").expect("written");
        std::thread::sleep(std::time::Duration::from_secs(600));
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_one_uses_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut other = rerun("that_is_killed", folder.path(), "022").spawn().expect("runs");
        while !folder.path().join("ready").exists() {
            assert!(other.try_wait().expect("known").is_none(), "it ended too early");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let mine = Scratch::within(folder.path()).expect("made");
        let users = [".zkvouch", "zkvouch-a", ".other"];
        for name in users {
            fs::write(folder.path().join(name), "").expect("written");
        }
        let target = tempfile::tempdir().expect("a folder");
        fs::write(target.path().join("kept"), "").expect("written");
        std::os::unix::fs::symlink(target.path(), folder.path().join(".zkvouch-link"))
            .expect("linked");
        sweep(folder.path());
        assert_eq!(
            names(folder.path()).len(),
            3 + 1 + users.len() + 1,
            "all are in use or not ours"
        );

        other.kill().expect("killed");
        other.wait().expect("ended");
        sweep(folder.path());
        let mut left = names(folder.path());
        left.retain(|name| name.starts_with(PREFIX));
        left.sort();
        let mut expected = vec![
            ".zkvouch-link".to_owned(),
            mine.path().file_name().expect("a name").to_string_lossy().into_owned(),
        ];
        expected.sort();
        assert_eq!(left, expected);
        assert!(target.path().join("kept").exists());

        // The next run does so by itself.
        fs::write(folder.path().join(".zkvouch-old"), "half").expect("written");
        let folder = folder.path().join("deep");
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join(".zkvouch-old"), "half").expect("written");
        crate::files::write_atomic(&folder.join("new"), b"x").expect("written");
        assert_eq!(names(&folder), ["new"]);
    }
}
