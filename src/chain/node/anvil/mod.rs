//! A local node: Anvil, found on PATH or fetched from the npm registry, stopped when its handle
//! goes away.

mod process;

use super::{
    endpoint::Endpoint,
    rpc::{self, Rpc, RpcOptions},
};
use crate::chain::create2;
use crate::{
    error::ErrorKind,
    toolchain::{self, NpmPackage},
};
use process::Process;
use std::{
    ffi::OsString,
    fmt,
    io::Read,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use url::Url;

/// The version that is fetched where PATH has none.
pub const ANVIL_VERSION: &str = "1.7.1";
/// The oldest version that knows the Osaka hardfork.
pub const OLDEST_ANVIL: semver::Version = semver::Version::new(1, 4, 0);
/// Anvil's own chain id.
pub const ANVIL_CHAIN_ID: u64 = 31337;
/// The environment variable that names the Anvil binary to use.
pub const ANVIL_VARIABLE: &str = "ZKVOUCH_ANVIL";

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Anvil could not be found, started or prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No package is published for this machine.
    #[error(
        "no Anvil is published for {os}-{arch}; install Foundry so that `anvil` is on PATH, or set \
         {ANVIL_VARIABLE}"
    )]
    Platform {
        /// The operating system, as in [`std::env::consts::OS`].
        os: &'static str,
        /// The processor, as in [`std::env::consts::ARCH`].
        arch: &'static str,
    },
    /// The program does not run here.
    #[error("cannot run {}: {message}; {remedy}", path.display())]
    Run {
        /// The Anvil binary that was tried.
        path: PathBuf,
        /// What the system said.
        message: String,
        /// What to do; it differs where glibc is too old or missing.
        remedy: &'static str,
    },
    /// The version is unknown or too old.
    #[error("{} is Anvil {version}, but {OLDEST_ANVIL} or newer is needed; run `foundryup`", path.display())]
    Version {
        /// The Anvil binary that was asked.
        path: PathBuf,
        /// What it called itself.
        version: String,
    },
    /// It ended, or said nothing, instead of listening.
    #[error("anvil did not start: {message}{}", tail_text(tail))]
    Start {
        /// How it ended, or what else kept it from listening.
        message: String,
        /// The end of its output.
        tail: Vec<String>,
    },
    /// It is older than the hardfork that it was asked for.
    #[error(
        "Anvil {version} ({}) does not know the hardfork {hardfork}; use an older one, or a newer Anvil: \
         run `foundryup`, or name it with {ANVIL_VARIABLE}", path.display()
    )]
    Hardfork {
        /// The Anvil binary.
        path: PathBuf,
        /// Its version.
        version: semver::Version,
        /// What it was asked for.
        hardfork: String,
    },
    /// It runs and cannot be talked to.
    #[error(transparent)]
    Rpc(#[from] rpc::Error),
    /// The package could not be fetched.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Toolchain(inner) => inner.kind(),
            Self::Platform { .. }
            | Self::Run { .. }
            | Self::Version { .. }
            | Self::Start { .. }
            | Self::Hardfork { .. }
            | Self::Rpc(..) => ErrorKind::Tool,
        }
    }
}

/// Anvil knows some names of hardforks without their rules, and panics.
fn lacks_hardfork(tail: &[String]) -> bool {
    let words = ["unknown hardfork", "not implemented", "unimplemented"];
    tail.iter().any(|line| {
        let line = line.to_lowercase();
        words.iter().any(|word| line.contains(word))
    })
}

fn tail_text(tail: &[String]) -> String {
    if tail.is_empty() { String::new() } else { format!("; it said: {}", tail.join(" | ")) }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How to start Anvil.
#[derive(Clone, Debug)]
pub struct AnvilOptions {
    /// The binary; otherwise `ZKVOUCH_ANVIL`, PATH, the npm package, in this order.
    pub binary: Option<PathBuf>,
    /// The address to listen on.
    pub host: String,
    /// The port; 0 for any free one.
    pub port: u16,
    /// The chain id, given as `--chain-id`.
    pub chain_id: u64,
    /// The hardfork by name. Gas differs between hardforks, so it is always given.
    pub hardfork: String,
    /// Seconds between blocks; without it every transaction gets a block at once.
    pub block_time: Option<f64>,
    /// A file to load the chain from, if it exists, and to save it to when stopped.
    pub state: Option<PathBuf>,
    /// Further arguments, as Anvil has them.
    pub extra: Vec<OsString>,
}

impl Default for AnvilOptions {
    /// Any free port of the loopback interface, chain 31337, Osaka.
    fn default() -> Self {
        Self {
            binary: None,
            host: "127.0.0.1".into(),
            port: 0,
            chain_id: ANVIL_CHAIN_ID,
            hardfork: "osaka".into(),
            block_time: None,
            state: None,
            extra: Vec::new(),
        }
    }
}

impl AnvilOptions {
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![
            "--host".into(),
            self.host.clone().into(),
            "--port".into(),
            self.port.to_string().into(),
            "--chain-id".into(),
            self.chain_id.to_string().into(),
            "--hardfork".into(),
            self.hardfork.clone().into(),
        ];
        if let Some(seconds) = self.block_time {
            arguments.extend(["--block-time".into(), seconds.to_string().into()]);
        }
        if let Some(state) = &self.state {
            arguments.extend(["--state".into(), state.clone().into()]);
        }
        arguments.extend(self.extra.iter().cloned());
        arguments
    }
}

/// A native Anvil binary.
#[derive(Clone, Debug)]
pub struct AnvilBinary {
    /// The program's path, as it was given or found.
    pub path: PathBuf,
    /// The version that it states when asked.
    pub version: semver::Version,
    /// `given`, `PATH` or `npm`.
    pub origin: &'static str,
}

impl AnvilBinary {
    /// The given binary, `ZKVOUCH_ANVIL`'s, the one on PATH if it is new enough, else the pinned
    /// npm package's, which is fetched into the cache folder when it is not there.
    pub async fn resolve(given: Option<&Path>) -> Result<Self> {
        let variable = std::env::var_os(ANVIL_VARIABLE).filter(|value| !value.is_empty());
        if let Some(path) = given.map(Path::to_owned).or(variable.map(PathBuf::from)) {
            return Self::check(path, "given").await;
        }
        if let Some(path) = toolchain::find_on_path("anvil") {
            // npm's own `anvil` is a script that starts a second process and would outlive us.
            if is_script(&path) {
                tracing::debug!(path = %path.display(), "passing over a wrapper script");
            } else {
                match Self::check(path, "PATH").await {
                    Ok(found) => return Ok(found),
                    Err(error) => tracing::warn!(%error, "using the npm package's Anvil instead"),
                }
            }
        }
        let folder = package()?.install(&toolchain::cache_dir()?).await?;
        let name = if cfg!(windows) { "bin/anvil.exe" } else { "bin/anvil" };
        Self::check(folder.join(name), "npm").await
    }

    async fn check(path: PathBuf, origin: &'static str) -> Result<Self> {
        let output = tokio::process::Command::new(&path)
            .arg("--version")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| run_error(&path, error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(run_error(&path, String::from_utf8_lossy(&output.stderr).trim().into()));
        }
        // "anvil Version: 1.7.1", older ones "anvil 0.2.0 (…)"; nightlies carry a suffix.
        let version = text.split_whitespace().find_map(|word| semver::Version::parse(word).ok());
        match version {
            Some(version)
                if (version.major, version.minor) >= (OLDEST_ANVIL.major, OLDEST_ANVIL.minor) =>
            {
                Ok(Self { path, version, origin })
            }
            _ => {
                let version = text.lines().next().unwrap_or("of unknown version").to_owned();
                Err(Error::Version { path, version })
            }
        }
    }
}

fn run_error(path: &Path, message: String) -> Error {
    let remedy = if message.contains("GLIBC") {
        "it needs glibc 2.35 or newer: use a newer system, or build Foundry from source, and put \
         `anvil` on PATH"
    } else if message.contains("No such file") && path.exists() {
        "its loader is missing: it is built for glibc, not for musl; put an `anvil` for this \
         system on PATH"
    } else {
        "put an `anvil` for this system on PATH"
    };
    Error::Run { path: path.to_owned(), message, remedy }
}

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"#!"
}

/// By operating system and processor as Rust calls them: the package's name after `anvil-`, and its
/// hash for [`ANVIL_VERSION`].
const PACKAGES: [(&str, &str, &str, &str); 5] = [
    (
        "linux",
        "x86_64",
        "linux-amd64",
        "sha512-+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
    ),
    (
        "linux",
        "aarch64",
        "linux-arm64",
        "sha512-ykHJmFOGdBR8+9smOKBm9ZZDCCCkLQctiHOAddLvmYx9mPeBDMfq6jP51hKYsO5MG8ClPLSlWe+JpiXPjoXgBQ==",
    ),
    (
        "macos",
        "x86_64",
        "darwin-amd64",
        "sha512-OgwzwY+FsGrsPyDv4mmbhOwARO8s37YHrm2qaNzgSH4VlKnXgJCrnoT7bpgOhLyBPtxXjBT8L2E3b79deesXRg==",
    ),
    (
        "macos",
        "aarch64",
        "darwin-arm64",
        "sha512-JNeu3+A3f/npXLn8SR8EahVcqE7BpO9VQZMcPvSIy27/RNc1GsoEBvSLR99aSvt8sGKWAgNg/EzrtjAPq6mxcA==",
    ),
    (
        "windows",
        "x86_64",
        "win32-amd64",
        "sha512-IeuBcmQ+AQKUxXA77czSVIfpST+KLBdXaL71JlK/h6e0DoP2CYnmVZn8WE/fuQfjAU2zaWw7PDXmq1kedbIUGA==",
    ),
];

/// The pinned package for this machine.
fn package() -> Result<NpmPackage> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let found = PACKAGES.iter().find(|package| (package.0, package.1) == (os, arch));
    let (_, _, platform, integrity) = found.ok_or(Error::Platform { os, arch })?;
    Ok(NpmPackage::new(format!("@foundry-rs/anvil-{platform}"), ANVIL_VERSION, integrity))
}

/// A running Anvil. It is stopped when this is dropped; on Linux also when the process that
/// started it dies in whatever way.
pub struct AnvilNode {
    process: Process,
    rpc: Rpc,
    address: String,
    binary: AnvilBinary,
}

impl AnvilNode {
    /// Finds Anvil, starts it, waits until it listens and sees to it that the common CREATE2 proxy
    /// is there. Dropping the future stops what it started.
    pub async fn spawn(options: AnvilOptions) -> Result<Self> {
        let binary = AnvilBinary::resolve(options.binary.as_deref()).await?;
        tracing::debug!(path = %binary.path.display(), version = %binary.version, "starting anvil");
        let (process, listening) = Process::start(&binary.path, &options).await?;
        let address = match tokio::time::timeout(START_LIMIT, listening).await {
            Ok(Ok(address)) => address,
            Ok(Err(_)) => {
                let message = process.wait(STOP_LIMIT).await;
                let tail = process.tail();
                if lacks_hardfork(&tail) {
                    let (AnvilBinary { path, version, .. }, hardfork) = (binary, options.hardfork);
                    return Err(Error::Hardfork { path, version, hardfork });
                }
                return Err(Error::Start { message, tail });
            }
            Err(_) => {
                let message = format!("it did not listen within {} s", START_LIMIT.as_secs());
                return Err(Error::Start { message, tail: process.tail() });
            }
        };
        // Listening on every interface is no address to connect to.
        let reachable = address.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]");
        let url = Url::parse(&format!("http://{reachable}"))
            .ok()
            .and_then(|url| Endpoint::new(url).ok())
            .ok_or_else(|| Error::Start {
                message: format!("it listens on the strange address {address}"),
                tail: process.tail(),
            })?;
        let rpc = Rpc::connect(
            url,
            RpcOptions { chain_id: Some(options.chain_id), ..Default::default() },
        )
        .await?;
        if rpc.code(create2::PROXY).await?.is_empty() {
            let set = (create2::PROXY, alloy::primitives::Bytes::from_static(create2::PROXY_CODE));
            let _: serde_json::Value = rpc.request("anvil_setCode", set).await?;
        }
        Ok(Self { process, rpc, address, binary })
    }

    /// A connection to it.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Where it can be reached, such as `http://127.0.0.1:8545/`.
    pub fn url(&self) -> &Url {
        self.rpc.endpoint().url()
    }

    /// The address and port that it listens on.
    pub fn listens_on(&self) -> &str {
        &self.address
    }

    /// The binary that runs.
    pub fn binary(&self) -> &AnvilBinary {
        &self.binary
    }

    /// Its process id, also after its end.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// The last lines that it wrote.
    pub fn tail(&self) -> Vec<String> {
        self.process.tail()
    }

    /// Waits until it ends by itself and says how.
    pub async fn ended(&self) -> String {
        self.process.wait(Duration::MAX).await
    }

    /// Stops it and waits for that, so that a state file is complete. Dropping does the same,
    /// blocking for that long.
    pub async fn stop(self) {
        self.process.interrupt();
        self.process.wait(STOP_LIMIT).await;
    }
}

impl fmt::Debug for AnvilNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnvilNode({}, pid {})", self.address, self.process.pid)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{
        io::{BufRead, BufReader},
        process::Command,
        thread,
        time::Instant,
    };

    /// A zombie that its new parent has not reaped yet does not run any more.
    fn is_running(pid: u32) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if cfg!(target_os = "linux") {
            let state = state.rsplit_once(") ").map(|(_, rest)| rest.starts_with('Z'));
            return state == Some(false);
        }
        // SAFETY: signal 0 only asks.
        unsafe { libc::kill(pid as libc::pid_t, 0) == 0 }
    }

    #[test]
    fn every_platform_has_a_pinned_package_of_its_own() {
        use base64::Engine as _;
        let mut names = std::collections::BTreeSet::new();
        let mut hashes = std::collections::BTreeSet::new();
        for (_, _, name, integrity) in PACKAGES {
            let digest = integrity.strip_prefix("sha512-").expect("npm's form");
            let digest = base64::engine::general_purpose::STANDARD.decode(digest).expect("base64");
            assert_eq!(digest.len(), 64, "{name}");
            names.insert(name);
            hashes.insert(digest);
        }
        assert_eq!((names.len(), hashes.len()), (PACKAGES.len(), PACKAGES.len()));
    }

    #[tokio::test]
    async fn it_listens_has_the_proxy_and_is_gone_after_drop() {
        let options = AnvilOptions {
            chain_id: 1234,
            extra: vec!["--disable-default-create2-deployer".into()],
            ..Default::default()
        };
        let node = AnvilNode::spawn(options).await.expect("started");
        assert_eq!(node.rpc().chain_id(), 1234);
        let code = node.rpc().code(create2::PROXY).await.expect("answered");
        assert_eq!(*code, *create2::PROXY_CODE);
        let pid = node.pid();
        assert!(is_running(pid));
        drop(node);
        assert!(!is_running(pid));
    }

    #[tokio::test]
    async fn a_taken_port_and_a_wrong_option_are_told_in_anvils_words() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = taken.local_addr().expect("bound").port();
        let options = AnvilOptions { port, ..Default::default() };
        let error = AnvilNode::spawn(options).await.expect_err("the port is taken").to_string();
        assert!(error.contains("in use"), "{error}");
        let options = AnvilOptions { hardfork: "narnia".into(), ..Default::default() };
        let error = AnvilNode::spawn(options).await.expect_err("no such fork").to_string();
        assert!(error.contains("does not know the hardfork narnia"), "{error}");
        // Known by name, without its rules, until an Anvil comes that has them.
        let options = AnvilOptions { hardfork: "amsterdam".into(), ..Default::default() };
        match AnvilNode::spawn(options).await {
            Err(error) => assert!(matches!(error, Error::Hardfork { .. }), "{error}"),
            Ok(node) => {
                let found = node.rpc().hardfork().await.expect("answered");
                assert_eq!(found, crate::evm::Hardfork::Amsterdam);
            }
        }
    }

    #[tokio::test]
    async fn the_state_outlives_the_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let options =
            AnvilOptions { state: Some(folder.path().join("state.json")), ..Default::default() };
        let node = AnvilNode::spawn(options.clone()).await.expect("started");
        let account = alloy::primitives::Address::repeat_byte(7);
        let set = (account, alloy::primitives::U256::from(5));
        let _: serde_json::Value = node.rpc().request("anvil_setBalance", set).await.expect("set");
        let _: serde_json::Value = node.rpc().request("evm_mine", ()).await.expect("mined");
        node.stop().await;
        let node = AnvilNode::spawn(options).await.expect("started again");
        let balance = node.rpc().balance(account).await.expect("answered");
        assert_eq!(balance, alloy::primitives::U256::from(5));
    }

    #[tokio::test]
    async fn programs_that_are_not_anvil_are_refused() {
        let error = AnvilBinary::resolve(Some(Path::new("/nonexistent/anvil"))).await;
        assert!(matches!(error, Err(Error::Run { .. })), "{error:?}");
        let error = AnvilBinary::resolve(Some(Path::new("/bin/echo"))).await;
        assert!(matches!(error, Err(Error::Version { .. })), "{error:?}");
        let error = run_error(Path::new("/bin/sh"), "version `GLIBC_2.38' not found".into());
        assert!(error.to_string().contains("glibc 2.35"), "{error}");
    }

    /// Not a test: the process that `it_dies_with_us_however_we_die` kills.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    #[ignore = "run by another test"]
    async fn hold_a_node() {
        use std::io::Write;
        let node = AnvilNode::spawn(AnvilOptions::default()).await.expect("started");
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "pid {}", node.pid());
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_dies_with_us_however_we_die() {
        let mut holder = Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", "chain::node::anvil::tests::hold_a_node", "--ignored", "--nocapture"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(holder.stderr.take().expect("piped")).lines();
        let pid = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("pid ")?.parse::<u32>().ok())
            .expect("a node");
        assert!(is_running(pid));
        holder.kill().expect("killed without a chance to clean up");
        holder.wait().expect("reaped");
        let start = Instant::now();
        while is_running(pid) && start.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(50));
        }
        assert!(!is_running(pid), "the node is an orphan");
    }

    #[tokio::test]
    async fn a_cancelled_start_leaves_nothing_behind() {
        let marker = tempfile::tempdir().expect("a folder");
        let state = marker.path().join("marker.json");
        let options = AnvilOptions { state: Some(state.clone()), ..Default::default() };
        let binary = AnvilBinary::resolve(None).await.expect("found");
        let (process, listening) = Process::start(&binary.path, &options).await.expect("started");
        let pid = process.pid;
        drop(listening);
        drop(process);
        assert!(!is_running(pid));
    }
}
