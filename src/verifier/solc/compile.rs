//! Running the compiler.

use super::{
    Error, Origin, ResolvedSolc, Result,
    contract::{CompiledContract, CompilerOptions},
    kept::{Kept, Store},
};
use crate::toolchain;
use alloy::primitives::Bytes;
use foundry_compilers::{
    artifacts::{CompilerOutput, Severity, SolcInput, SolcLanguage, Source, Sources},
    solc::Solc,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};
use tokio::{io::AsyncWriteExt, process::Command};

/// A verifier takes a second or two; this only ends a compiler that hangs.
const DEADLINE: Duration = Duration::from_secs(900);

/// The language of a set of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Solidity, any number of files.
    #[default]
    Solidity,
    /// Yul, one object; it has no ABI.
    Yul,
}

/// Sources that are compiled together, by file name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceSet {
    /// The language that all of them are in.
    pub language: Language,
    /// File name to text.
    pub files: BTreeMap<PathBuf, String>,
}

impl SourceSet {
    /// One Solidity file; `name` is the path that messages and explorers see.
    pub fn solidity(name: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { language: Language::Solidity, files: [(name.into(), text.into())].into() }
    }

    /// One Yul object; `name` is the file's, not the object's.
    pub fn yul(name: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { language: Language::Yul, files: [(name.into(), text.into())].into() }
    }

    /// The compiler's whole input as JSON, the form in which block explorers and Sourcify take a
    /// source for verification.
    pub fn standard_json(&self, options: &CompilerOptions) -> serde_json::Value {
        serde_json::json!(self.input(options))
    }

    fn input(&self, options: &CompilerOptions) -> SolcInput {
        let language = match self.language {
            Language::Solidity => SolcLanguage::Solidity,
            Language::Yul => SolcLanguage::Yul,
        };
        let files = self.files.iter().map(|(name, text)| (name.clone(), Source::new(text)));
        SolcInput::new(language, files.collect::<Sources>(), options.settings())
    }
}

/// A compiler, ready to use.
#[derive(Clone, Debug)]
pub struct Compiler {
    solc: ResolvedSolc,
    kept: Option<Store>,
}

impl Compiler {
    /// With the compiler that [`resolve`](super::resolve) found.
    pub fn new(solc: ResolvedSolc) -> Self {
        Self { solc, kept: None }
    }

    /// The same, which does not compile anew what the same program compiled before: what came out
    /// is kept in zkvouch's cache folder. Not for a program that the user names or that is on PATH,
    /// which may be a script that calls another.
    ///
    /// # Errors
    /// If no cache folder is known.
    pub fn cached(solc: ResolvedSolc) -> Result<Self> {
        match solc.origin {
            Origin::Explicit | Origin::Path => Ok(Self::new(solc)),
            Origin::Svm | Origin::Npm | Origin::Download => {
                Ok(Self::keeping(solc, toolchain::cache_dir()?.join("solc-output")))
            }
        }
    }

    pub(super) fn keeping(solc: ResolvedSolc, folder: PathBuf) -> Self {
        Self { solc, kept: Some(Store::new(folder)) }
    }

    /// Which compiler it is.
    pub fn solc(&self) -> &ResolvedSolc {
        &self.solc
    }

    /// Compiles and returns every contract that has code, sorted by file and name. The compiler's
    /// warnings become `tracing` events. Dropping the future stops the compiler.
    ///
    /// # Errors
    /// [`Error::Source`] with the compiler's words; [`Error::EmptyBytecode`] if nothing has code.
    pub async fn compile(
        &self,
        sources: &SourceSet,
        options: &CompilerOptions,
    ) -> Result<Vec<CompiledContract>> {
        let input = serde_json::to_vec(&sources.input(options))
            .map_err(|error| self.failed(error.to_string()))?;
        let Some(store) = &self.kept else {
            return self.compile_anew(sources, options, &input).await;
        };
        let key = Store::key(&self.solc.sha256, &input);
        match store.get(&key) {
            Some(Kept::Contracts(contracts)) => return Ok(contracts),
            Some(Kept::StackTooDeep(message)) => return Err(self.too_deep(options, message)),
            None => {}
        }
        let result = self.compile_anew(sources, options, &input).await;
        match &result {
            Ok(contracts) => store.put(&key, &Kept::Contracts(contracts.clone())),
            Err(Error::StackTooDeep { message, .. }) => {
                store.put(&key, &Kept::StackTooDeep(message.clone()));
            }
            Err(_) => {}
        }
        result
    }

    async fn compile_anew(
        &self,
        sources: &SourceSet,
        options: &CompilerOptions,
        input: &[u8],
    ) -> Result<Vec<CompiledContract>> {
        let output = self.run(input).await?;
        self.report(&output, options)?;

        let version = &self.solc.version;
        let mut contracts = Vec::new();
        for (file, named) in output.contracts {
            for (name, contract) in named {
                let unlinked = || Error::Unlinked { contract: name.clone() };
                let (init, runtime) = contract
                    .evm
                    .map(|evm| (evm.bytecode, evm.deployed_bytecode.and_then(|code| code.bytecode)))
                    .unwrap_or_default();
                let object = |code: Option<foundry_compilers::artifacts::Bytecode>| match code {
                    Some(code) => code.object.into_bytes().ok_or_else(unlinked),
                    None => Ok(Bytes::new()),
                };
                let (init_code, runtime_code) = (object(init)?, object(runtime)?);
                let abi = contract.abi.unwrap_or_default();
                if init_code.is_empty() {
                    // Interfaces and abstract contracts have none.
                    continue;
                }
                if runtime_code.is_empty() && sources.language == Language::Solidity {
                    return Err(Error::EmptyBytecode { version: version.clone(), contract: name });
                }
                let (file, options) = (file.clone(), options.clone());
                contracts.push(CompiledContract {
                    file,
                    name,
                    abi,
                    init_code,
                    runtime_code,
                    options,
                });
            }
        }
        if contracts.is_empty() {
            let files: Vec<_> = sources.files.keys().map(|f| f.display().to_string()).collect();
            return Err(Error::EmptyBytecode {
                version: version.clone(),
                contract: files.join(", "),
            });
        }
        Ok(contracts)
    }

    /// As [`compile`](Self::compile), and picks one contract by its name.
    ///
    /// # Errors
    /// [`Error::NoSuchContract`] if none or several have that name.
    pub async fn compile_contract(
        &self,
        sources: &SourceSet,
        options: &CompilerOptions,
        name: &str,
    ) -> Result<CompiledContract> {
        let contracts = self.compile(sources, options).await?;
        let found = contracts.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        let mut matching = contracts.into_iter().filter(|contract| contract.name == name);
        match (matching.next(), matching.next()) {
            (Some(contract), None) => Ok(contract),
            _ => Err(Error::NoSuchContract { wanted: name.to_owned(), found }),
        }
    }

    fn failed(&self, message: String) -> Error {
        Error::Run { path: self.solc.path.clone(), message }
    }

    fn too_deep(&self, options: &CompilerOptions, message: String) -> Error {
        let version = self.solc.version.clone();
        Error::StackTooDeep { version, options: options.to_string(), message }
    }

    async fn run(&self, input: &[u8]) -> Result<CompilerOutput> {
        let path = &self.solc.path;
        let failed = |message: String| self.failed(message);
        let solc = Solc::new_with_version(path, self.solc.version.clone());
        // foundry-compilers would block; tokio's child is killed when the future is dropped.
        let mut child = Command::from(solc.configure_cmd())
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let mut stdin = child.stdin.take();
        let conversation = async {
            let write = async {
                // A compiler that ends early says why itself; its closed pipe says nothing.
                if let Some(mut stdin) = stdin.take() {
                    let _ = stdin.write_all(input).await;
                    let _ = stdin.shutdown().await;
                }
            };
            tokio::join!(write, child.wait_with_output()).1
        };
        let output = tokio::time::timeout(DEADLINE, conversation)
            .await
            .map_err(|_| Error::Deadline { path: path.clone(), seconds: DEADLINE.as_secs() })?
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(failed(format!("{}: {}", output.status, stderr.trim())));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| failed(format!("its answer is not the expected JSON: {error}")))
    }

    fn report(&self, output: &CompilerOutput, options: &CompilerOptions) -> Result<()> {
        let text = |error: &foundry_compilers::artifacts::Error| {
            let text = error.formatted_message.as_deref().unwrap_or(&error.message);
            text.trim_end().to_owned()
        };
        let mut messages = Vec::new();
        for error in &output.errors {
            match error.severity {
                Severity::Error => messages.push(text(error)),
                Severity::Warning => tracing::info!(target: "solc", "{}", text(error)),
                Severity::Info => tracing::info!(target: "solc", "{}", text(error)),
            }
        }
        let version = self.solc.version.clone();
        // Both pipelines' words; the Yul one lists the whole stack.
        let too_deep = |text: &&String| {
            let text = text.to_lowercase();
            text.contains("stack too deep") || text.contains("too deep in the stack")
        };
        if let Some(text) = messages.iter().find(too_deep) {
            let message = text.lines().next().unwrap_or_default().chars().take(160).collect();
            return Err(self.too_deep(options, message));
        }
        if messages.is_empty() { Ok(()) } else { Err(Error::Source { version, messages }) }
    }
}
