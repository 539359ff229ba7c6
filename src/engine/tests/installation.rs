//! How ezkl gets onto a machine, and what may be in the way.

use super::*;
use crate::toolchain::{find_on_path, wheel};

fn in_folder(cache: &Path) -> EngineConfig {
    EngineConfig { cache_dir: Some(cache.to_owned()), wheels: None, ..config() }
}

async fn refused(config: EngineConfig) -> EnvironmentError {
    match Engine::new(config).prepare().await {
        Err(Error::Environment(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// No version of ezkl may be left half installed.
fn is_clean(cache: &Path) -> bool {
    let entries = std::fs::read_dir(cache.join("engine")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).all(|path| path.extension().is_some_and(|it| it == "lock"))
}

#[tokio::test]
async fn an_unknown_version_names_the_known_ones() {
    let error = refused(EngineConfig { version: "1.2.3".into(), ..config() }).await;
    assert!(matches!(error, EnvironmentError::UnknownVersion { .. }), "{error}");
    assert!(error.to_string().contains("23.0.5"), "{error}");
}

#[tokio::test]
async fn a_missing_python_is_reported() {
    let error = refused(EngineConfig { python: Some("/no/python".into()), ..config() }).await;
    assert!(
        matches!(error, EnvironmentError::Wheel(wheel::Error::PythonMissing { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("/no/python"), "{error}");
}

#[cfg(unix)]
pub(super) fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("python");
    crate::files::write_executable(&path, format!("#!/bin/sh\n{text}\n").as_bytes())
        .expect("written");
    path
}

#[cfg(unix)]
#[tokio::test]
async fn a_python_that_will_not_do_is_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let with = |text: &str| EngineConfig {
        python: Some(script(folder.path(), text)),
        ..in_folder(folder.path())
    };
    let error = refused(with("echo 2.7.18")).await;
    assert!(
        matches!(&error, EnvironmentError::Wheel(wheel::Error::PythonTooOld { found, .. }) if found == "2.7.18")
    );
    assert!(error.to_string().contains("3.7 or newer"), "{error}");
    let error = refused(with("echo oops >&2; exit 3")).await;
    assert!(
        matches!(&error, EnvironmentError::Wheel(wheel::Error::PythonBroken { message, .. }) if message == "oops")
    );
    let error = refused(with("echo hello")).await;
    assert!(matches!(error, EnvironmentError::Wheel(wheel::Error::PythonBroken { .. })), "{error}");
    let platform = r#"{"executable": "/x", "version": "3.11.2", "system": "linux",
                       "machine": "aarch64", "libc": "glibc", "bits": 64}"#;
    let error =
        refused(with(&format!("[ \"$1\" = -c ] && echo 3.11.2 || echo '{platform}'"))).await;
    assert!(matches!(error, EnvironmentError::Wheel(wheel::Error::Platform { .. })), "{error}");
    assert!(error.to_string().contains("linux glibc aarch64"), "{error}");
    assert!(is_clean(folder.path()));
}

#[cfg(unix)]
#[tokio::test]
async fn a_python_without_pip_is_reported_unless_uv_is_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // It answers for itself whatever it is asked, except for pip.
    let real = find_on_path("python3").expect("Python is installed");
    let text = format!(
        "case \"$*\" in *pip*) echo no pip >&2; exit 1;; *PROBE*|*executable*) {} \"$@\" | sed \
         's|\"executable\": \"[^\"]*\"|\"executable\": \"'\"$0\"'\"|';; *) exec {} \"$@\";; esac",
        real.display(),
        real.display()
    );
    let python = Some(script(folder.path(), &text));
    let config = EngineConfig { python, ..in_folder(folder.path()) };
    if find_on_path("uv").is_some() {
        Engine::new(config).prepare().await.expect("installed by uv");
        return;
    }
    let error = refused(config).await;
    assert!(matches!(error, EnvironmentError::Wheel(wheel::Error::PipMissing { .. })), "{error}");
    assert!(error.to_string().contains("ZKVOUCH_WHEELS"), "{error}");
    assert!(is_clean(folder.path()));
}

#[tokio::test]
async fn a_wheel_folder_is_used_offline_and_its_hash_is_checked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wheels = folder.path().join("wheels");
    let output = tokio::process::Command::new(find_on_path("python3").expect("installed"))
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"])
        .args(["--disable-pip-version-check", "ezkl==23.0.5", "--dest"])
        .arg(&wheels)
        .output()
        .await
        .expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cache = folder.path().join("cache");
    let offline = EngineConfig { wheels: Some(wheels.clone()), ..in_folder(&cache) };

    // Several at once install it once.
    let engines = [0; 3].map(|_| Engine::new(offline.clone()));
    let [a, b, c] = &engines;
    let (a, b, c) = tokio::join!(a.prepare(), b.prepare(), c.prepare());
    let (a, b, c) = (a.expect("installed"), b.expect("installed"), c.expect("installed"));
    assert!(a.folder == b.folder && b.folder == c.folder);
    let engine = &engines[0];
    engine.gen_unsafe_srs(4, &folder.path().join("srs")).await.expect("it works");
    let installed: Vec<_> = std::fs::read_dir(cache.join("engine"))
        .expect("readable")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "run" && !name.ends_with(".lock"))
        .collect();
    assert_eq!(installed.len(), 1, "{installed:?}");

    // What is not as it was installed is installed again, before anything of it runs.
    let site = a.folder.join("site/ezkl");
    let library = std::fs::read_dir(&site).expect("readable").flatten().map(|entry| entry.path());
    let library = library.max_by_key(|path| path.metadata().map_or(0, |it| it.len())).expect("one");
    let right = crate::files::sha256_file(&library).expect("readable");
    let flip = |at: u64| {
        use std::io::{Read, Seek, SeekFrom, Write};
        let mut file =
            std::fs::File::options().read(true).write(true).open(&library).expect("opened");
        let modified = file.metadata().expect("there").modified().expect("known");
        let mut byte = [0];
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut byte)).expect("read");
        file.seek(SeekFrom::Start(at)).expect("found");
        file.write_all(&[byte[0] ^ 1]).expect("written");
        file.set_modified(modified).expect("set");
    };
    flip(1 << 20);
    Engine::new(offline.clone()).prepare().await.expect("repaired");
    assert_eq!(crate::files::sha256_file(&library).expect("readable"), right);
    std::fs::remove_file(site.join("__init__.py")).expect("removed");
    std::fs::write(a.folder.join("site/json.py"), "raise SystemExit").expect("written");
    let again = Engine::new(offline.clone());
    again.gen_unsafe_srs(4, &folder.path().join("srs")).await.expect("repaired");
    assert!(!a.folder.join("site/json.py").exists());

    let wheel = std::fs::read_dir(&wheels).expect("readable").flatten().next().expect("a wheel");
    let mut bytes = crate::files::read(&wheel.path()).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    crate::files::write_atomic(&wheel.path(), &bytes).expect("written");
    let other = folder.path().join("other-cache");
    let config = EngineConfig { wheels: Some(wheels.clone()), ..in_folder(&other) };
    let error = refused(config.clone()).await;
    assert!(matches!(error, EnvironmentError::Wheel(wheel::Error::Integrity { .. })), "{error}");
    std::fs::remove_file(wheel.path()).expect("removed");
    let error = refused(config).await;
    assert!(matches!(error, EnvironmentError::Wheel(wheel::Error::Missing { .. })), "{error}");
    // Damaged, and nothing to repair it with: the file is named, and not used.
    flip(1 << 20);
    let error = refused(offline).await;
    assert!(matches!(error, EnvironmentError::Damaged { .. }), "{error}");
    let name = library.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(error.to_string().contains(&name), "{error}");
    assert!(is_clean(&other));
}

/// Nobody is to be sent after a folder that is whole.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_without_memory_to_load_is_told_as_that() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ready = Engine::new(config()).prepare().await.expect("installed");
    let real = ready.python.display();
    for (text, word) in [
        (format!("ulimit -v 35000; exec {real} \"$@\""), "memory"),
        ("kill -9 $$".to_owned(), "memory"),
        ("echo 'memory allocation of 99 bytes failed' >&2; kill -ABRT $$".to_owned(), "99 bytes"),
    ] {
        let environment = Environment { python: script(folder.path(), &text), ..ready.clone() };
        let engine = Engine::new(config());
        engine.shared.environment.set(environment).expect("unset");
        let error = engine.gen_unsafe_srs(4, &folder.path().join("srs")).await.expect_err(&text);
        assert!(
            matches!(error, Error::Environment(EnvironmentError::Memory { .. })),
            "{text}: {error:?}"
        );
        let error = error.to_string();
        assert!(error.contains(word) && !error.contains("delete"), "{error}");
    }
}
