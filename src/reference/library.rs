//! The library `libonnxruntime`, out of the wheel that holds it.
//!
//! ```text
//! <cache>/onnxruntime/<version>-<system>-<machine>-<lock hash>/
//!   libonnxruntime.so   (.dylib, onnxruntime.dll)
//!   seal.json           what it was when it was unpacked, with which it is compared at each start
//! ```

use super::{Error, Result};
use crate::{
    files::{self, Scratch},
    task::blocking,
    toolchain::{
        cache_dir, lock_cache,
        seal::{self, State},
        wheel::{
            Fetched, Foreign, Platform, Release, System, Wheel,
            python::{candidates, probe_all},
        },
    },
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};
use tokio::sync::OnceCell;

/// The library is the same in the wheels for every Python; these are for one of them.
const fn wheel(
    file: &'static str,
    sha256: &'static str,
    (system, machine): (System, &'static str),
    (pip, uv): (&'static str, &'static str),
) -> Wheel {
    Wheel { file, sha256, system, machine, foreign: Some(Foreign { python: "3.13", pip, uv }) }
}

static RELEASE: Release = Release {
    package: "onnxruntime",
    version: "1.32.0",
    python: (3, 7),
    wheels: &[
        wheel(
            "onnxruntime-1.32.0-cp313-cp313-manylinux_2_28_x86_64.whl",
            "02ea12a28c069ea8510093d95a7f6ff8126bfd9fc5c0d3381c03b80fb2b424ba",
            (System::LinuxGnu, "x86_64"),
            ("manylinux_2_28_x86_64", "x86_64-manylinux_2_28"),
        ),
        wheel(
            "onnxruntime-1.32.0-cp313-cp313-manylinux_2_28_aarch64.whl",
            "54d02baff2df38777b4c3cc7af326406fe8b8a48f54720f4c446d2d327920a79",
            (System::LinuxGnu, "aarch64"),
            ("manylinux_2_28_aarch64", "aarch64-manylinux_2_28"),
        ),
        wheel(
            "onnxruntime-1.32.0-cp313-cp313-macosx_14_0_arm64.whl",
            "27bf5dad46355a8a435c9c4e1556464d99ca834ea44e0f452909712068b8821b",
            (System::MacOs, "aarch64"),
            ("macosx_14_0_arm64", "aarch64-apple-darwin"),
        ),
        wheel(
            "onnxruntime-1.32.0-cp313-cp313-win_amd64.whl",
            "c7f9aa98036ba2a47aa041a4a8c6d0a1f7bfe1bde44c131dcd15ce334f2f148d",
            (System::Windows, "x86_64"),
            ("win_amd64", "x86_64-pc-windows-msvc"),
        ),
        wheel(
            "onnxruntime-1.32.0-cp313-cp313-win_arm64.whl",
            "29e4b0fdd3bea834ace358bd8c48641266ec327f730363ab0ab5d0ca574d38fe",
            (System::Windows, "aarch64"),
            ("win_arm64", "aarch64-pc-windows-msvc"),
        ),
    ],
};

const REMEDY: &str = "install ONNX Runtime 1.22 or newer from your system's packages (Alpine Linux: `apk add \
                      onnxruntime`; macOS: `brew install onnxruntime`) and set ZKVOUCH_ONNXRUNTIME to its \
                      libonnxruntime";

/// Changes when what lies in the cache must be made anew.
const LAYOUT: &str = "1";

/// One for the process: the library can be loaded once.
static ENVIRONMENT: OnceCell<(ort::environment::Environment, PathBuf)> = OnceCell::const_new();

/// Makes ONNX Runtime ready for use: fetches it unless it is cached, and loads it. Returns its version
/// and where it lies.
///
/// # Errors
/// If it can't be fetched, is not what is pinned, or does not load.
pub async fn prepare() -> Result<(&'static str, &'static Path)> {
    let (_, path) = loaded().await?;
    Ok((RELEASE.version, path))
}

pub(super) async fn environment() -> Result<&'static ort::environment::Environment> {
    Ok(&loaded().await?.0)
}

async fn loaded() -> Result<&'static (ort::environment::Environment, PathBuf)> {
    ENVIRONMENT
        .get_or_try_init(async || {
            let path = match variable("ZKVOUCH_ONNXRUNTIME") {
                Some(path) => path,
                None => install(&cache_dir()?, variable("ZKVOUCH_WHEELS")).await?,
            };
            blocking(move || load(path)).await
        })
        .await
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn load(path: PathBuf) -> Result<(ort::environment::Environment, PathBuf)> {
    let error = |message: String| Error::Library { path: path.clone(), message };
    let environment = ort::init_from(&path).map_err(|it| error(it.to_string()))?;
    let environment =
        environment.with_telemetry(false).build().map_err(|it| error(it.message().to_owned()))?;
    // What goes wrong comes back as an error; the rest is talk.
    environment.set_log_level(ort::logging::LogLevel::Fatal);
    Ok((environment, path))
}

/// Finds the library in the cache, or fetches the wheel and takes it out.
async fn install(cache: &Path, wheels: Option<PathBuf>) -> Result<PathBuf> {
    let wheel = RELEASE.wheel(&Platform::of_this_program(), REMEDY)?;
    let hash = format!("{:x}", files::sha256(format!("{LAYOUT}\n{}", wheel.sha256).as_bytes()));
    let name = format!("{}-{}", wheel.file.trim_end_matches(".whl"), &hash[..12]);
    let parent = cache.join("onnxruntime");
    let parent = std::path::absolute(&parent).unwrap_or(parent);
    let folder = parent.join(&name);
    let library = folder.join(library_name());
    if check(&folder).await == State::Whole {
        return Ok(library);
    }
    let _lock = lock_cache(parent.join(format!("{name}.lock"))).await?;
    match check(&folder).await {
        State::Whole => return Ok(library),
        State::Damaged(path) => {
            tracing::warn!(path = %path.display(), "a cached file is damaged; fetching it again");
        }
        State::Absent => {}
    }
    let asked = variable("ZKVOUCH_PYTHON");
    let python = match &wheels {
        // Unpacked here, so that a folder of wheels needs no Python.
        Some(_) => PathBuf::new(),
        None => {
            let candidates = candidates(asked.as_deref(), RELEASE.python)?;
            tracing::info!("fetching ONNX Runtime {} (28 MB, once)", RELEASE.version);
            probe_all(&candidates, RELEASE.package, RELEASE.python).await?.1.executable
        }
    };
    let scratch = Scratch::within(&parent)?;
    let unpacked = scratch.path().join("unpacked");
    let fetched =
        RELEASE.fetch(wheel, wheels.as_deref(), &python, scratch.path(), &unpacked).await?;
    blocking(move || put(&fetched, &unpacked, &scratch, &folder)).await?;
    Ok(library)
}

async fn check(folder: &Path) -> State {
    let folder = folder.to_owned();
    blocking(move || seal::check(&folder)).await
}

fn library_name() -> &'static str {
    match std::env::consts::OS {
        "windows" => "onnxruntime.dll",
        "macos" => "libonnxruntime.dylib",
        _ => "libonnxruntime.so",
    }
}

/// Whether that is the library's path in the wheel; it has the version in its name but on Windows.
fn is_library(path: &str) -> bool {
    let Some(name) = path.strip_prefix("onnxruntime/capi/") else { return false };
    let version = RELEASE.version;
    name == "onnxruntime.dll"
        || name == format!("libonnxruntime.so.{version}")
        || name == format!("libonnxruntime.{version}.dylib")
}

/// Puts the library in place, and nothing else of the wheel.
fn put(fetched: &Fetched, unpacked: &Path, scratch: &Scratch, folder: &Path) -> Result<()> {
    let made = scratch.path().join("made");
    files::create_dir_all(&made)?;
    let target = made.join(library_name());
    let place = match fetched {
        Fetched::File(wheel) => wheel.clone(),
        Fetched::Unpacked => unpacked.join("onnxruntime/capi"),
    };
    let failed = files::Error::at("unpack", &place);
    let found = match fetched {
        Fetched::File(wheel) => from_wheel(wheel, &target),
        Fetched::Unpacked => from_folder(&place, &target),
    };
    found.map_err(failed)?;
    seal::seal(&made)?;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(files::Error::at("replace", folder))?;
    }
    fs::rename(&made, folder).map_err(files::Error::at("write", folder))?;
    Ok(())
}

fn from_wheel(wheel: &Path, target: &Path) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        if is_library(&entry.name()?) {
            return io::copy(&mut entry, &mut File::create(target)?).map(drop);
        }
    }
    Err(io::Error::other("it holds no libonnxruntime"))
}

fn from_folder(folder: &Path, target: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_library(&format!("onnxruntime/capi/{}", entry.file_name().to_string_lossy())) {
            return fs::copy(entry.path(), target).map(drop);
        }
    }
    Err(io::Error::other("it holds no libonnxruntime"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchain::wheel;

    #[test]
    fn every_wheel_is_pinned_and_what_has_none_is_told_what_to_do() {
        let lock = RELEASE.lock();
        assert_eq!(lock.matches("--hash=sha256:").count(), RELEASE.wheels.len());
        assert!(RELEASE.wheels.iter().all(|wheel| wheel.sha256.len() == 64
            && wheel.file.starts_with("onnxruntime-1.32.0-cp313-")
            && wheel.file.ends_with(&format!("{}.whl", wheel.foreign.expect("foreign").pip))));
        let musl = Platform { libc: String::new(), ..Platform::of_this_program() };
        let musl = Platform { system: "linux".into(), ..musl };
        let error = RELEASE.wheel(&musl, REMEDY).expect_err("none").to_string();
        assert!(error.contains("linux musl") && error.contains("ZKVOUCH_ONNXRUNTIME"), "{error}");
    }

    #[tokio::test]
    async fn the_library_is_fetched_once_checked_and_healed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = folder.path().join("cache");
        let library = install(&cache, None).await.expect("fetched");
        let right = files::sha256_file(&library).expect("readable");
        let made = fs::metadata(&library).expect("there").modified().expect("known");
        assert_eq!(install(&cache, None).await.expect("cached"), library);
        assert_eq!(fs::metadata(&library).expect("there").modified().expect("known"), made);

        // Offline, with another byte in the cache: refused by name, and nothing of it is loaded.
        let mut bytes = files::read(&library).expect("readable");
        bytes[1 << 20] ^= 1;
        fs::write(&library, &bytes).expect("written");
        let wheels = folder.path().join("wheels");
        fs::create_dir_all(&wheels).expect("made");
        let error = install(&cache, Some(wheels.clone())).await.expect_err("no wheel there");
        assert!(matches!(error, Error::Wheel(wheel::Error::Missing { .. })), "{error}");
        let wheel = RELEASE.wheel(&Platform::of_this_program(), REMEDY).expect("one");
        fs::write(wheels.join(wheel.file), "PK").expect("written");
        let error = install(&cache, Some(wheels)).await.expect_err("another file");
        assert!(matches!(error, Error::Wheel(wheel::Error::Integrity { .. })), "{error}");
        install(&cache, None).await.expect("fetched again");
        assert_eq!(files::sha256_file(&library).expect("readable"), right);
    }
}
