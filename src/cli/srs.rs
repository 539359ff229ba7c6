//! `zkvouch srs`

use super::{Context, steps};
use crate::{
    files,
    srs::{self, Import, SrsFile, ceremony},
    task::blocking,
    toolchain,
};
use clap::{Args, Subcommand};
use eyre::{Result, WrapErr as _};
use serde::Serialize;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// zkvouch srs
#[derive(Args, Debug)]
pub(super) struct Srs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the SRS files in the cache and the ceremonies that are known.
    Ls,
    /// Get an SRS of a size, as get-srs does.
    Fetch(steps::GetSrs),
    /// Make an SRS of a .ptau of snarkjs, of bare points, or of a larger SRS.
    Import(ImportArgs),
    /// Check every point of a file, and say which ceremony it is of.
    Verify(Verify),
    /// Make the SRS of a smaller size, with the same secret.
    Derive(Derive),
}

#[derive(Args, Debug)]
struct ImportArgs {
    /// The file: a .ptau (prepared or not), a raw ParamsKZG, or points of G1 of 64 bytes each (with --tau-g2).
    file: PathBuf,
    /// Where to write the SRS.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// The size to make, as log2 of the number of powers; all that is there if absent.
    #[arg(long)]
    logrows: Option<u32>,
    /// [tau]_2 of bare points: 256 hexadecimal digits, or a file of 128 bytes, in any of the usual orders.
    #[arg(long, value_name = "HEX|FILE")]
    tau_g2: Option<String>,
    /// The byte at which the first of bare points stands.
    #[arg(long, value_name = "BYTES", default_value_t = 0, requires = "tau_g2")]
    offset: u64,
}

#[derive(Args, Debug)]
struct Verify {
    /// The file, a raw ParamsKZG of halo2.
    file: PathBuf,
}

#[derive(Args, Debug)]
struct Derive {
    /// The larger file.
    file: PathBuf,
    /// The size to make, as log2 of the number of powers.
    #[arg(long)]
    logrows: u32,
    /// Where to write the SRS.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

/// A file that was checked.
#[derive(Debug, Serialize)]
struct Found {
    srs: PathBuf,
    logrows: u32,
    provenance: crate::model::provenance::Provenance,
    sha256: alloy::primitives::B256,
    /// Whether this very file was published by its ceremony.
    published: bool,
}

impl Found {
    fn of(file: &SrsFile) -> Result<Self> {
        let sha256 = files::sha256_file(file.path())?;
        Ok(Self {
            srs: file.path().to_owned(),
            logrows: file.k(),
            provenance: file.provenance(),
            sha256,
            published: ceremony::by_sha256(sha256).is_some_and(|(_, k)| k == file.k()),
        })
    }

    fn warn(&self, context: &Context) {
        use crate::model::provenance::Provenance;
        match &self.provenance {
            Provenance::UnsafeDev => {
                context.ui.warn("the secret of this SRS is known: anybody could forge a proof");
            }
            Provenance::Unrecognized => context.ui.warn(
                "no known ceremony has this SRS: who knows its secret could forge proofs, so deploy \
                 refuses it off a local chain unless you pass --allow-unknown-srs",
            ),
            _ => {}
        }
    }
}

/// A ceremony that is known.
#[derive(Debug, Serialize)]
struct Known {
    name: &'static str,
    note: &'static str,
    #[serde(rename = "unsafe")]
    is_unsafe: bool,
    /// The sizes whose published hash is known.
    logrows: Vec<u32>,
}

#[derive(Debug, Serialize)]
struct List {
    folder: PathBuf,
    files: Vec<Found>,
    ceremonies: Vec<Known>,
}

impl Srs {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            Command::Ls => ls(context).await,
            Command::Fetch(command) => command.run(context).await,
            Command::Import(command) => command.run(context).await,
            Command::Verify(command) => command.run(context).await,
            Command::Derive(command) => command.run(context).await,
        }
    }
}

async fn ls(context: &Context) -> Result<()> {
    let folder = toolchain::cache_dir()?.join("srs");
    let list = blocking(move || -> Result<List> {
        let mut files = Vec::new();
        // No folder: nothing was ever fetched.
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.wrap_err_with(|| format!("cannot read {}", folder.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "srs") {
                files.extend(SrsFile::open(&path).ok().map(|file| Found::of(&file)).transpose()?);
            }
        }
        files.sort_by_key(|file| (file.provenance.to_string(), file.logrows));
        let known = |it: &'static ceremony::Ceremony| Known {
            name: &it.name,
            note: &it.note,
            is_unsafe: it.is_unsafe,
            logrows: it.sha256.keys().copied().collect(),
        };
        Ok(List { folder, files, ceremonies: ceremony::all().iter().map(known).collect() })
    })
    .await?;
    let mut text = format!("cached in {}:\n", list.folder.display());
    for file in &list.files {
        let name = file.srs.file_name().unwrap_or_default().display();
        let _ =
            writeln!(text, "  k = {:<2}  {:<22} {name}", file.logrows, file.provenance.to_string());
    }
    if list.files.is_empty() {
        text.push_str("  none; `zkvouch srs fetch --logrows 14` gets one\n");
    }
    text.push_str("known ceremonies:\n");
    for ceremony in &list.ceremonies {
        let _ = writeln!(text, "  {:<22} {}", ceremony.name, ceremony.note);
    }
    context.ui.result(text.trim_end(), &list)
}

impl ImportArgs {
    async fn run(self, context: &Context) -> Result<()> {
        let tau_g2 = self.tau_g2.as_deref().map(bytes).transpose()?;
        let options = Import { k: self.logrows, tau_g2, offset: self.offset };
        made(context, "srs import", self.out, move |out| srs::import(&self.file, &options, out))
            .await
    }
}

/// 128 bytes as hexadecimal digits or in a file.
fn bytes(text: &str) -> Result<Vec<u8>> {
    match alloy::hex::decode(text) {
        Ok(bytes) => Ok(bytes),
        Err(_) => files::read(Path::new(text))
            .map_err(eyre::Report::new)
            .wrap_err("--tau-g2 is neither hexadecimal digits nor a file"),
    }
}

impl Derive {
    async fn run(self, context: &Context) -> Result<()> {
        made(context, "srs derive", self.out, move |out| {
            SrsFile::open(&self.file)?.truncate_to(self.logrows, out)
        })
        .await
    }
}

impl Verify {
    async fn run(self, context: &Context) -> Result<()> {
        made(context, "srs verify", self.file, |file| {
            let file = SrsFile::open(file)?;
            file.verify()?;
            Ok(file)
        })
        .await
    }
}

/// Runs what takes all cores for a while, and prints which file it left.
async fn made(
    context: &Context,
    name: &'static str,
    path: PathBuf,
    make: impl FnOnce(&Path) -> srs::Result<SrsFile> + Send + 'static,
) -> Result<()> {
    let spinner = context.ui.spinner(name);
    spinner.set_message("checking every point");
    let found = blocking(move || -> Result<Found> { Found::of(&make(&path)?) }).await;
    spinner.finish_and_clear();
    let found = found?;
    found.warn(context);
    let published = if found.published { ", published by its ceremony" } else { "" };
    let text = format!(
        "srs: {} (k = {}, {}{published}), every point checked, SHA-256 {}",
        found.srs.display(),
        found.logrows,
        found.provenance,
        found.sha256
    );
    context.ui.result(text, &found)
}
