//! What the tests of verifiers share: ezkl's Solidity for the models in `tests/fixtures/models`,
//! their proofs, and a real Anvil.

use super::{
    Sample,
    solc::{Compiler, SolcRequest, resolve},
};
use crate::{evm::Hardfork, field::Felt, files, toolchain::NpmPackage};
use alloy::node_bindings::{Anvil, AnvilInstance};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

const SCRIPT: &str = "
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
import ezkl
vk, settings, srs, out = sys.argv[2:]
async def main():
    try:
        await ezkl.create_evm_verifier(vk, settings, out, out + '.abi', srs, False)
    except RuntimeError as error:
        # It wants the ABI from solc after it has written the source.
        if not os.path.exists(out):
            raise error
asyncio.run(main())
sys.stdout.flush()
os._exit(0)
";

/// A model of `tests/fixtures/models`.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) solidity: String,
    pub(crate) proof: Vec<u8>,
    pub(crate) instances: Vec<Felt>,
}

impl Fixture {
    /// Reads it and lets ezkl generate its verifier, once for a key and a settings file.
    pub(crate) async fn load(name: &str) -> Self {
        let folder = repository().join("tests/fixtures/models").join(name);
        Self::read(&ezkl_solidity(&folder).await, &folder.join("proof-0.json"))
    }

    /// From a generated verifier and a proof.
    pub(crate) fn read(solidity: &Path, proof: &Path) -> Self {
        #[derive(Deserialize)]
        struct Proof {
            proof: Vec<u8>,
            instances: [Vec<String>; 1],
        }
        let Proof { proof, instances: [instances] } =
            serde_json::from_slice(&files::read(proof).expect("a proof")).expect("its JSON");
        let scalar = |text: &String| Felt::from_le_hex(text).expect("a scalar");
        let instances = instances.iter().map(scalar).collect();
        let solidity = files::read_to_string(solidity).expect("a verifier");
        Self { solidity, proof, instances }
    }

    pub(crate) fn sample(&self) -> Sample<'_> {
        Sample { proof: &self.proof, instances: &self.instances }
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The unguarded Solidity of the model in `folder`, kept in the build folder.
async fn ezkl_solidity(folder: &Path) -> PathBuf {
    let input = |name: &str| folder.join(name);
    let mut bytes = files::read(&input("vk.key")).expect("a key");
    bytes.extend(files::read(&input("settings.json")).expect("settings"));
    let cache = std::env::temp_dir().join("zkvouch-test-verifiers");
    let path = cache.join(format!("{:x}.sol", files::sha256(&bytes)));
    let _lock = crate::toolchain::lock(cache.join("lock")).await.expect("locked");
    if path.is_file() {
        return path;
    }
    // ezkl looks for a solc in its home; this one fails, which is all that is needed.
    let home = tempfile::tempdir().expect("a folder");
    let stub = home.path().join(".svm/0.8.20/solc-0.8.20");
    files::create_dir_all(stub.parent().expect("a folder")).expect("made");
    fs::write(&stub, "#!/bin/sh\nexit 1\n").expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).expect("executable");
    }
    let written = home.path().join("verifier.sol");
    let output = Command::new("python3")
        .args(["-I", "-c", SCRIPT])
        .arg(ezkl_wheel().await)
        .args([input("vk.key"), input("settings.json"), input("kzg-verify.srs"), written.clone()])
        .env("HOME", home.path())
        .env_remove("XDG_DATA_HOME")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    files::write_atomic(&path, &fs::read(written).expect("written")).expect("kept");
    path
}

/// The folder of ezkl's Python package: `ZKVOUCH_EZKL`, or `cache/ezkl` filled by pip.
async fn ezkl_wheel() -> PathBuf {
    if let Some(folder) = std::env::var_os("ZKVOUCH_EZKL") {
        return folder.into();
    }
    let folder = repository().join("cache/ezkl");
    if !folder.join("ezkl").is_dir() {
        let status = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--target"])
            .arg(&folder)
            .arg("-r")
            .arg(repository().join("tests/fixtures/requirements.txt"))
            .status()
            .await
            .expect("python3 runs");
        assert!(status.success(), "pip could not fetch ezkl");
    }
    folder
}

/// The compiler of this machine.
pub(crate) async fn compiler() -> Compiler {
    Compiler::new(resolve(&SolcRequest::Default).await.expect("a compiler"))
}

/// A fresh Anvil with the rules of `hardfork`; stopped on drop.
pub(crate) async fn anvil(hardfork: Hardfork) -> AnvilInstance {
    // reqwest is built without a TLS provider of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = match crate::toolchain::find_on_path("anvil") {
        Some(path) => path,
        None => {
            let package = NpmPackage::new(
                "@foundry-rs/anvil-linux-amd64",
                "1.7.1",
                "sha512-+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
            );
            let cache = crate::toolchain::cache_dir().expect("a cache folder");
            package.install(&cache).await.expect("anvil's package").join("bin/anvil")
        }
    };
    Anvil::at(path).arg("--hardfork").arg(hardfork.name()).spawn()
}
