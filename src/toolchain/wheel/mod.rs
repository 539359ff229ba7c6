//! Wheels of the Python package index, pinned by version and hash.
//!
//! They are fetched by the machine's own pip or uv, or taken from the folder in `ZKVOUCH_WHEELS`. Nothing of
//! a wheel runs before its hash was checked.

mod error;
mod platform;
pub(crate) mod python;

pub use error::Error;
pub use platform::Platform;
pub(crate) use platform::System;
pub(crate) use python::Python;

use super::find_on_path;
use crate::files;
use python::{PROBE_TIME, command, run};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::process::Command;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) const FETCH_TIME: Duration = Duration::from_secs(1800);

/// A published version of a package.
#[derive(Debug)]
pub struct Release {
    /// The package's name in the index.
    pub package: &'static str,
    /// The version.
    pub version: &'static str,
    /// The oldest Python that will do.
    pub python: (u32, u32),
    pub(crate) wheels: &'static [Wheel],
}

/// One wheel of a release: what it runs on, and the SHA-256 that it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// The file's name in the package index.
    pub file: &'static str,
    /// 64 hexadecimal digits.
    pub sha256: &'static str,
    pub(crate) system: System,
    pub(crate) machine: &'static str,
    /// Where the wheel is not for the Python that fetches it: that version of Python, and the platform
    /// in pip's words and in uv's.
    pub(crate) foreign: Option<Foreign>,
}

/// See [`Wheel::foreign`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) python: &'static str,
    pub(crate) pip: &'static str,
    pub(crate) uv: &'static str,
}

/// What was fetched.
pub(crate) enum Fetched {
    /// The wheel itself, its hash checked.
    File(PathBuf),
    /// Its content, which uv checked and unpacked.
    Unpacked,
}

impl Release {
    /// The wheel for a platform.
    ///
    /// # Errors
    /// [`Error::Platform`] where there is none; `remedy` tells what to do then.
    pub(crate) fn wheel(
        &self,
        platform: &Platform,
        remedy: &'static str,
    ) -> Result<&'static Wheel> {
        let (system, machine) = (platform.system(), platform.machine());
        let fits = |wheel: &&Wheel| Some(wheel.system) == system && wheel.machine == machine;
        self.wheels.iter().find(fits).ok_or_else(|| Error::Platform {
            package: self.package,
            version: self.version,
            platform: Box::new(platform.clone()),
            available: self.platforms(),
            remedy,
        })
    }

    /// What the wheels run on, for an error.
    fn platforms(&self) -> String {
        let names: Vec<_> =
            self.wheels.iter().map(|it| format!("{} {}", it.system, it.machine)).collect();
        names.join(", ")
    }

    /// A requirements file that admits these wheels and nothing else.
    pub fn lock(&self) -> String {
        let mut hashes: Vec<_> = self.wheels.iter().map(|wheel| wheel.sha256).collect();
        hashes.dedup();
        let hashes: String =
            hashes.iter().map(|hash| format!(" \\\n    --hash=sha256:{hash}")).collect();
        format!("{}=={}{hashes}\n", self.package, self.version)
    }

    /// Takes the wheel from the folder `wheels`, where one is given, else fetches it into `scratch` by pip,
    /// which leaves a file, or by uv, which unpacks into `unpacked`.
    pub(crate) async fn fetch(
        &self,
        wheel: &'static Wheel,
        wheels: Option<&Path>,
        python: &Path,
        scratch: &Path,
        unpacked: &Path,
    ) -> Result<Fetched> {
        let fetched = match wheels {
            Some(folder) => Some(local_wheel(folder, wheel)?),
            None => self.download(wheel, scratch, unpacked, python).await?,
        };
        let Some(file) = fetched else { return Ok(Fetched::Unpacked) };
        check_wheel(&file, wheel)?;
        Ok(Fetched::File(file))
    }

    async fn download(
        &self,
        wheel: &'static Wheel,
        scratch: &Path,
        unpacked: &Path,
        python: &Path,
    ) -> Result<Option<PathBuf>> {
        let lock = scratch.join("wheel.lock");
        files::write_atomic(&lock, self.lock().as_bytes())?;
        let (package, version) = (self.package, self.version);
        let failed = |program, message: String| {
            if message.contains("DO NOT MATCH THE HASHES") || message.contains("Hash mismatch") {
                let (wheel, expected) = (wheel.file.to_owned(), wheel.sha256.to_owned());
                return Error::Integrity { wheel, expected, found: message };
            }
            Error::Fetch { program, package, version, message, wheel: wheel.file }
        };
        let asks = ["-m", "pip", "--version"];
        if run(command(python).args(asks), PROBE_TIME).await.is_ok() {
            let folder = scratch.join("wheel");
            let foreign = wheel
                .foreign
                .map(|foreign| ["--python-version", foreign.python, "--platform", foreign.pip]);
            run(
                command(python)
                    .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
                    .args([
                        "--require-hashes",
                        "--no-input",
                        "--disable-pip-version-check",
                        "--quiet",
                    ])
                    .args(foreign.iter().flatten())
                    .args([OsStr::new("--dest"), folder.as_os_str()])
                    .args([OsStr::new("--requirement"), lock.as_os_str()])
                    // A virtual environment is not needed to download a file.
                    .env("PIP_REQUIRE_VIRTUALENV", "0")
                    .current_dir(scratch),
                FETCH_TIME,
            )
            .await
            .map_err(|message| failed("pip", message))?;
            let file = folder.join(wheel.file);
            return if file.is_file() {
                Ok(Some(file))
            } else {
                Err(failed("pip", "it chose a wheel for another platform; is it very old?".into()))
            };
        }
        let uv = find_on_path("uv").ok_or_else(|| Error::PipMissing {
            path: python.to_owned(),
            package,
            wheel: wheel.file,
        })?;
        let foreign = wheel
            .foreign
            .map(|foreign| ["--python-version", foreign.python, "--python-platform", foreign.uv]);
        run(
            Command::new(uv)
                .args(["pip", "install", "--no-deps", "--only-binary=:all:", "--require-hashes"])
                .args(["--quiet", "--link-mode=copy"])
                .args(foreign.iter().flatten())
                .args([OsStr::new("--python"), python.as_os_str()])
                .args([OsStr::new("--target"), unpacked.as_os_str()])
                .args([OsStr::new("--requirement"), lock.as_os_str()])
                .current_dir(scratch),
            FETCH_TIME,
        )
        .await
        .map_err(|message| failed("uv", message))?;
        Ok(None)
    }
}

fn local_wheel(folder: &Path, wheel: &Wheel) -> Result<PathBuf> {
    let path = folder.join(wheel.file);
    let path = std::path::absolute(&path).unwrap_or(path);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::Missing { folder: folder.to_owned(), wheel: wheel.file })
}

fn check_wheel(file: &Path, wheel: &Wheel) -> Result<()> {
    let found = format!("{:x}", files::sha256_file(file)?);
    if found == wheel.sha256 {
        return Ok(());
    }
    let (file, expected) = (file.display().to_string(), wheel.sha256.to_owned());
    Err(Error::Integrity { wheel: file, expected, found })
}
