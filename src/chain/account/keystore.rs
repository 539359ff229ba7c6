//! Encrypted keystores, where Foundry has them.

use super::{Error, Result, Secret, Wallet};
use crate::task::blocking;
use alloy::signers::local::PrivateKeySigner;
use std::{
    fs,
    path::{Path, PathBuf},
};

pub(super) fn foundry_keystores() -> Result<PathBuf> {
    let home = std::env::var_os("FOUNDRY_DIR")
        .map(PathBuf::from)
        .or_else(|| dirs::home_dir().map(|home| home.join(".foundry")));
    home.map(|folder| folder.join("keystores")).ok_or_else(|| Error::Keystore {
        path: "~/.foundry/keystores".into(),
        message: "no home folder is known; give --keystore".into(),
    })
}

pub(super) fn keystore_of(name: &str, folder: PathBuf) -> Result<PathBuf> {
    let path = folder.join(name);
    // A name with a separator would leave the folder.
    if Path::new(name).components().count() == 1 && path.is_file() {
        return Ok(path);
    }
    let known = files_in(&folder).iter().filter_map(|path| file_name(path)).collect();
    Err(Error::UnknownAccount { name: name.into(), folder, known })
}

pub(super) fn keystore_in(path: &Path) -> Result<PathBuf> {
    let fail = |message: String| Error::Keystore { path: path.to_owned(), message };
    if !path.exists() {
        return Err(fail("there is no such file".into()));
    }
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let mut files = files_in(path);
    match files.len() {
        1 => Ok(files.remove(0)),
        count => Err(fail(format!("the folder holds {count} files; name the one to use"))),
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

pub(super) async fn open_keystore(path: PathBuf, password: Secret) -> Result<Wallet> {
    let file = path.clone();
    // Deriving the key takes a noticeable time by design.
    let opened = blocking(move || {
        PrivateKeySigner::decrypt_keystore(file, password.expose())
            .map_err(|error| error.to_string())
    });
    match opened.await {
        Ok(signer) => Ok(signer.into()),
        Err(message) if message.to_lowercase().contains("mac mismatch") => {
            Err(Error::WrongPassword { path })
        }
        Err(message) => Err(Error::Keystore { path, message }),
    }
}
