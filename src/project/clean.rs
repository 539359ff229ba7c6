//! Removing what a build made, and nothing else.

use super::{Artifacts, Error, Observer, Project, Result, graph, names};
use crate::files;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What became of a build folder.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Cleaned {
    /// The folder, if it is gone.
    pub removed: Option<PathBuf>,
    /// What is in it that no build made, and so is left.
    pub kept: Vec<PathBuf>,
}

/// The contracts whose files lie in the verifier's folder.
const CONTRACTS: [&str; 3] = ["Halo2Verifier", "LeanVerifier", "LeanBatchVerifier"];

impl Project {
    /// Removes what builds made in the build folder, and the folder where nothing else is in it.
    ///
    /// # Errors
    /// [`Error::NotOurs`] unless the folder lies below the project's own and a build made it.
    pub async fn clean(&self, observer: &Observer) -> Result<Cleaned> {
        let folder = self.artifacts().folder;
        let Ok(real) = folder.canonicalize() else { return Ok(Cleaned::default()) };
        let root = self.root().canonicalize().map_err(files::Error::at("read", self.root()))?;
        let not_ours = |why: &'static str| Error::NotOurs { folder: folder.clone(), why };
        if !real.starts_with(&root) || real == root {
            return Err(not_ours("it does not lie below the project's folder"));
        }
        if !graph::is_build_folder(&folder) {
            return Err(not_ours("it holds no manifest.json of a build"));
        }
        let lock = graph::lock(&folder, observer).await?;
        let mut kept = Vec::new();
        for path in entries(&folder)? {
            match is_made(&path) {
                true => remove(&path)?,
                false if path.file_name().is_some_and(|name| name == names::VERIFIER) => {
                    clean_verifier(&path, &mut kept)?;
                }
                false => kept.push(path),
            }
        }
        drop(lock);
        match fs::remove_dir(&folder) {
            Ok(()) => Ok(Cleaned { removed: Some(folder), kept }),
            Err(_) if !kept.is_empty() => Ok(Cleaned { removed: None, kept }),
            Err(error) => Err(files::Error::at("remove", &folder)(error).into()),
        }
    }
}

fn clean_verifier(folder: &Path, kept: &mut Vec<PathBuf>) -> Result<()> {
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let endings = ["sol", "yul", "json", "abi.json", "input.json"];
        let of_contract = CONTRACTS.iter().any(|contract| {
            name.strip_prefix(contract)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| endings.contains(&rest))
        });
        let metadata = ["verifier.json", "batch.json"].contains(&name.as_str());
        match of_contract || metadata || files::is_temporary(&path) {
            true => remove(&path)?,
            false => kept.push(path),
        }
    }
    // What is left in it keeps it.
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// Whether a build, a proof or the demo writes a file or folder of that name.
fn is_made(path: &Path) -> bool {
    let names = Artifacts::new(PathBuf::new());
    // All of them by name, so that none is forgotten here.
    let Artifacts {
        folder: _,
        raw_settings,
        prepared,
        settings,
        compiled,
        widths,
        srs,
        vk,
        pk,
        witness,
        proof,
        verifier: _,
    } = names;
    let made = [raw_settings, prepared, settings, compiled, widths, srs, vk, pk, witness, proof];
    let Some(name) = path.file_name().map(Path::new) else { return false };
    let ours = made.iter().any(|made| made == name)
        || [graph::MANIFEST_FILE, graph::LOCK_FILE, names::INPUT, "demo.proof.json"]
            .map(Path::new)
            .contains(&name);
    (ours && path.is_file()) || files::is_temporary(path)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    Ok(read().map_err(files::Error::at("read", folder))?)
}

fn remove(path: &Path) -> Result<()> {
    let removed = match path.is_dir() && !path.is_symlink() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    Ok(removed.map_err(files::Error::at("remove", path))?)
}
