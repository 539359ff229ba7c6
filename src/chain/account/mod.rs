//! Accounts that sign, chosen by Foundry's flags and variables.

mod dev;
mod keystore;

pub use dev::{ANVIL_ADDRESSES, check_test_key};

use super::node::anvil::ANVIL_CHAIN_ID;
use crate::error::ErrorKind;
use alloy::{
    network::EthereumWallet,
    primitives::{Address, B256, Signature},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use dev::ANVIL_KEYS;
use keystore::{foundry_keystores, keystore_in, keystore_of, open_keystore};
use std::{
    convert::Infallible,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};
use zeroize::Zeroizing;

/// No account could be made from the options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key is no key. It is not shown.
    #[error("the private key is not valid: 64 hexadecimal digits below the curve's order are")]
    PrivateKey,
    /// One of Anvil's keys, which everybody knows, on a chain that others use.
    #[error(
        "{address} is one of Anvil's public test accounts: anybody can take what it holds, so it \
         is refused on chain {chain_id} (only {ANVIL_CHAIN_ID} is local); use --account with a \
         keystore"
    )]
    PublicTestKey {
        /// The account, one of the first twenty of Anvil's mnemonic.
        address: Address,
        /// The id of the chain, which isn't Anvil's.
        chain_id: u64,
    },
    /// `--from` names another account than the signer's.
    #[error("--from (or ETH_FROM) is {from} but the signer is {signer}; drop one or correct it")]
    FromMismatch {
        /// The account asked for.
        from: Address,
        /// The account that the key, keystore or device has.
        signer: Address,
    },
    /// There is no such keystore.
    #[error(
        "no keystore {name} in {}; make one with `cast wallet import {name}`{}",
        folder.display(),
        known_accounts(known)
    )]
    UnknownAccount {
        /// The name asked for.
        name: String,
        /// Foundry's keystore folder, by default `~/.foundry/keystores`.
        folder: PathBuf,
        /// The names that are there.
        known: Vec<String>,
    },
    /// The keystore is not usable.
    #[error("cannot use the keystore {}: {message}", path.display())]
    Keystore {
        /// The keystore's file, or the folder that was to hold one.
        path: PathBuf,
        /// Why it can't be found, read or decrypted.
        message: String,
    },
    /// The password does not open the keystore.
    #[error("the password is wrong for the keystore {}", path.display())]
    WrongPassword {
        /// The keystore that it was tried on.
        path: PathBuf,
    },
    /// The password file is not readable.
    #[error("cannot read the password file {}: {source}", path.display())]
    PasswordFile {
        /// The file that `--password-file` or `ETH_PASSWORD` names.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something has to be typed and there is no terminal.
    #[error("cannot ask for the {what}: {message}; {remedy}")]
    Prompt {
        /// What was to be typed.
        what: String,
        /// Why the terminal gave nothing, in the system's words.
        message: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// This build lacks that signer.
    #[error("this zkvouch is built without {flag}; `cargo install zkvouch --features {feature}`")]
    NotBuilt {
        /// The flag, as in `--ledger`.
        flag: &'static str,
        /// The cargo feature that brings the signer.
        feature: &'static str,
    },
    /// The hardware wallet or the key service failed.
    #[error("{device}: {message}")]
    Device {
        /// `Ledger` or `AWS KMS`.
        device: &'static str,
        /// What it said; for a Ledger also what to do.
        message: String,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::PrivateKey
            | Self::PublicTestKey { .. }
            | Self::FromMismatch { .. }
            | Self::UnknownAccount { .. }
            | Self::Keystore { .. }
            | Self::WrongPassword { .. }
            | Self::PasswordFile { .. }
            | Self::Prompt { .. }
            | Self::NotBuilt { .. }
            | Self::Device { .. } => ErrorKind::BadInput,
        }
    }
}

fn known_accounts(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; there are {}", known.join(", ")) }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A text that is wiped from memory when dropped and never printed.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself; it must not get into a message or a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Which account signs: Foundry's flags and environment variables. Where several are given the
/// order is private key, prompt, hardware, key service, keystore file, keystore account.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Wallet options"))]
pub struct SignerOptions {
    /// The sender; enough for a dry run, and checked against the signer otherwise
    #[cfg_attr(feature = "cli", arg(long, env = "ETH_FROM", value_name = "ADDRESS"))]
    pub from: Option<Address>,
    /// Ask for the private key on the terminal
    #[cfg_attr(feature = "cli", arg(long, short, conflicts_with_all = ["private_key", "ledger", "aws"]))]
    pub interactive: bool,
    /// Use this private key (shell histories keep it: prefer --account)
    #[cfg_attr(feature = "cli", arg(long, value_name = "RAW_PRIVATE_KEY", conflicts_with_all = ["ledger", "aws"]))]
    pub private_key: Option<Secret>,
    /// Use the keystore of this name in ~/.foundry/keystores
    #[cfg_attr(
        feature = "cli",
        arg(long, env = "ETH_KEYSTORE_ACCOUNT", value_name = "ACCOUNT_NAME")
    )]
    pub account: Option<String>,
    /// Use the keystore in this file, or in this folder if it holds one only
    #[cfg_attr(
        feature = "cli",
        arg(long, env = "ETH_KEYSTORE", value_name = "PATH", conflicts_with = "account")
    )]
    pub keystore: Option<PathBuf>,
    /// The keystore's password (prefer --password-file)
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "PASSWORD", conflicts_with = "password_file")
    )]
    pub password: Option<Secret>,
    /// The file that holds the keystore's password
    #[cfg_attr(feature = "cli", arg(long, env = "ETH_PASSWORD", value_name = "PASSWORD_FILE"))]
    pub password_file: Option<PathBuf>,
    /// Use a Ledger
    #[cfg_attr(feature = "cli", arg(long, short, conflicts_with = "aws"))]
    pub ledger: bool,
    /// The derivation path on the Ledger
    #[cfg_attr(feature = "cli", arg(long, value_name = "PATH", requires = "ledger"))]
    pub mnemonic_derivation_path: Option<String>,
    /// The index of the account on the Ledger
    #[cfg_attr(feature = "cli", arg(long, value_name = "INDEX", default_value_t = 0))]
    pub mnemonic_index: u32,
    /// Use the key AWS_KMS_KEY_ID of AWS Key Management Service
    #[cfg_attr(feature = "cli", arg(long))]
    pub aws: bool,
}

/// Asks the user for something secret; the argument says for what.
pub type Prompt<'a> = &'a (dyn Fn(&str) -> io::Result<Secret> + Send + Sync);

/// Asks on the terminal without echo.
#[cfg(feature = "cli")]
pub fn terminal_prompt(what: &str) -> io::Result<Secret> {
    rpassword::prompt_password(format!("Enter {what}: ")).map(Secret::new)
}

/// The account that transactions come from.
#[derive(Clone, Debug)]
pub enum Account {
    /// A key, a keystore or a device is there to sign with.
    Signer(Wallet),
    /// Only its address is known: good for a dry run.
    Watched(Address),
}

impl Account {
    /// The address, of a signer or as given by `--from`.
    pub fn address(&self) -> Address {
        match self {
            Self::Signer(wallet) => wallet.address,
            Self::Watched(address) => *address,
        }
    }
}

/// An account that signs.
#[derive(Clone)]
pub struct Wallet {
    address: Address,
    wallet: EthereumWallet,
    /// The key, where it is here and not in a device.
    key: Option<Arc<PrivateKeySigner>>,
}

impl Wallet {
    /// An account from any signer of alloy's.
    pub fn new(address: Address, wallet: EthereumWallet) -> Self {
        Self { address, wallet, key: None }
    }

    /// The account of a private key: 64 hexadecimal digits, with or without `0x`.
    pub fn from_private_key(key: &Secret) -> Result<Self> {
        let text = key.expose().trim();
        let mut bytes = Zeroizing::new([0u8; 32]);
        alloy::hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), bytes.as_mut_slice())
            .map_err(|_| Error::PrivateKey)?;
        let signer =
            PrivateKeySigner::from_slice(bytes.as_slice()).map_err(|_| Error::PrivateKey)?;
        Ok(signer.into())
    }

    /// One of Anvil's first ten accounts.
    pub fn anvil(index: usize) -> Option<Self> {
        let key = Secret::new((*ANVIL_KEYS.get(index)?).to_owned());
        Self::from_private_key(&key).ok()
    }

    /// The address that it signs for.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a hash that is no transaction's, such as one of EIP-712.
    ///
    /// # Errors
    /// [`Error::Device`] for a hardware wallet or a key service, which are asked for transactions only.
    pub fn sign_hash(&self, hash: &B256) -> Result<Signature> {
        let fail = |message: String| Error::Device { device: "the signer", message };
        let key = self.key.as_ref().ok_or_else(|| {
            fail("it signs transactions only; use --account with a keystore".into())
        })?;
        key.sign_hash_sync(hash).map_err(|error| fail(error.to_string()))
    }

    pub(crate) fn inner(&self) -> &EthereumWallet {
        &self.wallet
    }
}

impl From<PrivateKeySigner> for Wallet {
    fn from(signer: PrivateKeySigner) -> Self {
        Self {
            address: signer.address(),
            wallet: EthereumWallet::new(signer.clone()),
            key: Some(Arc::new(signer)),
        }
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({})", self.address)
    }
}

impl SignerOptions {
    /// The account to use on that chain. Without any option it is Anvil's first account on Anvil's
    /// own chain and nothing elsewhere.
    ///
    /// # Errors
    /// Anvil's accounts are refused on other chains, and `--from` must agree with the signer.
    pub async fn resolve(&self, chain_id: u64, prompt: Prompt<'_>) -> Result<Option<Account>> {
        let Some(wallet) = self.wallet(chain_id, prompt).await? else {
            return Ok(self.from.map(Account::Watched));
        };
        check_test_key(wallet.address, chain_id)?;
        match self.from {
            Some(from) if from != wallet.address => {
                Err(Error::FromMismatch { from, signer: wallet.address })
            }
            _ => Ok(Some(Account::Signer(wallet))),
        }
    }

    /// Whether any option names a signer.
    pub fn names_signer(&self) -> bool {
        self.interactive
            || self.private_key.is_some()
            || self.account.is_some()
            || self.keystore.is_some()
            || self.ledger
            || self.aws
    }

    async fn wallet(&self, chain_id: u64, prompt: Prompt<'_>) -> Result<Option<Wallet>> {
        if let Some(key) = &self.private_key {
            if chain_id != ANVIL_CHAIN_ID {
                tracing::warn!("--private-key stays in shell histories; --account does not");
            }
            return Wallet::from_private_key(key).map(Some);
        }
        if self.interactive {
            let key = ask(prompt, "private key", "give --account or --private-key")?;
            return Wallet::from_private_key(&key).map(Some);
        }
        if self.ledger {
            return self.ledger(chain_id).await.map(Some);
        }
        if self.aws {
            return aws(chain_id).await.map(Some);
        }
        let keystore = match (&self.keystore, &self.account) {
            (Some(path), _) => Some(keystore_in(path)?),
            (None, Some(name)) => Some(keystore_of(name, foundry_keystores()?)?),
            (None, None) => None,
        };
        if let Some(path) = keystore {
            let password = self.password(&path, prompt)?;
            return open_keystore(path, password).await.map(Some);
        }
        if chain_id == ANVIL_CHAIN_ID {
            let index = match self.from {
                Some(from) => ANVIL_ADDRESSES.iter().position(|address| *address == from),
                None => Some(0),
            };
            return Ok(index.and_then(Wallet::anvil));
        }
        Ok(None)
    }

    fn password(&self, keystore: &Path, prompt: Prompt<'_>) -> Result<Secret> {
        if let Some(password) = &self.password {
            return Ok(password.clone());
        }
        if let Some(path) = &self.password_file {
            let text = fs::read_to_string(path)
                .map(Zeroizing::new)
                .map_err(|source| Error::PasswordFile { path: path.clone(), source })?;
            return Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        let what = format!("password of the keystore {}", keystore.display());
        ask(prompt, &what, "give --password-file or set ETH_PASSWORD")
    }

    #[cfg(feature = "ledger")]
    async fn ledger(&self, chain_id: u64) -> Result<Wallet> {
        use alloy::signers::ledger::{HDPath, LedgerSigner};
        let path = match &self.mnemonic_derivation_path {
            Some(path) => HDPath::Other(path.clone()),
            None => HDPath::LedgerLive(self.mnemonic_index as usize),
        };
        let signer = LedgerSigner::new(path, Some(chain_id)).await.map_err(|error| {
            let message = format!("{error}; connect it, unlock it and open the Ethereum app");
            Error::Device { device: "Ledger", message }
        })?;
        let address = alloy::signers::Signer::address(&signer);
        Ok(Wallet::new(address, EthereumWallet::new(signer)))
    }

    #[cfg(not(feature = "ledger"))]
    async fn ledger(&self, _chain_id: u64) -> Result<Wallet> {
        Err(Error::NotBuilt { flag: "--ledger", feature: "ledger" })
    }
}

#[cfg(feature = "aws")]
async fn aws(chain_id: u64) -> Result<Wallet> {
    use alloy::signers::aws::{AwsSigner, aws_config, aws_sdk_kms};
    let fail = |message: String| Error::Device { device: "AWS KMS", message };
    let key = std::env::var("AWS_KMS_KEY_ID")
        .map_err(|_| fail("AWS_KMS_KEY_ID is not set; set it to the key's id".into()))?;
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let client = aws_sdk_kms::Client::new(&config);
    let signer = AwsSigner::new(client, key, Some(chain_id))
        .await
        .map_err(|error| fail(error.to_string()))?;
    let address = alloy::signers::Signer::address(&signer);
    Ok(Wallet::new(address, EthereumWallet::new(signer)))
}

#[cfg(not(feature = "aws"))]
async fn aws(_chain_id: u64) -> Result<Wallet> {
    Err(Error::NotBuilt { flag: "--aws", feature: "aws" })
}

fn ask(prompt: Prompt<'_>, what: &str, remedy: &'static str) -> Result<Secret> {
    prompt(what).map_err(|error| Error::Prompt {
        what: what.into(),
        message: error.to_string(),
        remedy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::node::anvil::{AnvilNode, AnvilOptions};
    use alloy::primitives::address;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        signer: SignerOptions,
    }

    fn parse(arguments: &[&str]) -> SignerOptions {
        let arguments = std::iter::once(&"x").chain(arguments);
        Cli::try_parse_from(arguments).expect("valid arguments").signer
    }

    fn no_prompt(_: &str) -> io::Result<Secret> {
        Err(io::Error::other("no terminal"))
    }

    const KEY: &str = "0x4646464646464646464646464646464646464646464646464646464646464646";
    const ADDRESS: Address = address!("9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");

    #[tokio::test]
    async fn a_private_key_signs_and_is_never_shown() {
        let options = parse(&["--private-key", KEY]);
        assert!(!format!("{options:?}").contains("4646"), "{options:?}");
        let account = options.resolve(1, &no_prompt).await.expect("a key").expect("an account");
        assert_eq!(account.address(), ADDRESS);
        assert!(!format!("{account:?}").contains("4646"), "{account:?}");
        for bad in ["0x12", "zz", &"ff".repeat(32), &"0".repeat(64), "0x🦀"] {
            let error = parse(&["--private-key", bad]).resolve(1, &no_prompt).await;
            let error = error.expect_err("no key").to_string();
            assert!(!error.contains(bad), "{error}");
        }
    }

    #[tokio::test]
    async fn the_prompt_is_used_where_asked_for() {
        let options = parse(&["-i"]);
        let typed = |_: &str| Ok(Secret::new(KEY.into()));
        let account = options.resolve(1, &typed).await.expect("typed").expect("an account");
        assert_eq!(account.address(), ADDRESS);
        let error = options.resolve(1, &no_prompt).await.expect_err("no terminal");
        assert!(matches!(error, Error::Prompt { .. }), "{error}");
    }

    #[tokio::test]
    async fn anvils_accounts_serve_on_anvils_chain_only() {
        let none = SignerOptions::default();
        let account = none.resolve(ANVIL_CHAIN_ID, &no_prompt).await.expect("local");
        assert_eq!(account.map(|account| account.address()), Some(ANVIL_ADDRESSES[0]));
        assert!(none.resolve(1, &no_prompt).await.expect("nothing").is_none());
        let second = ANVIL_ADDRESSES[1].to_string();
        let from = parse(&["--from", &second]);
        let account = from.resolve(ANVIL_CHAIN_ID, &no_prompt).await.expect("local");
        assert!(
            matches!(account, Some(Account::Signer(wallet)) if wallet.address == ANVIL_ADDRESSES[1])
        );
        assert!(matches!(from.resolve(1, &no_prompt).await, Ok(Some(Account::Watched(_)))));
        for key in ANVIL_KEYS {
            let error = parse(&["--private-key", key]).resolve(11155111, &no_prompt).await;
            assert!(matches!(error, Err(Error::PublicTestKey { .. })), "{error:?}");
        }
    }

    #[tokio::test]
    async fn the_known_accounts_are_those_that_anvil_makes() {
        let options =
            AnvilOptions { extra: vec!["--accounts".into(), "20".into()], ..Default::default() };
        let node = AnvilNode::spawn(options).await.expect("started");
        let accounts: Vec<Address> = node.rpc().read("eth_accounts", ()).await.expect("answered");
        assert_eq!(accounts, ANVIL_ADDRESSES);
        for (index, address) in ANVIL_ADDRESSES.iter().take(10).enumerate() {
            assert_eq!(Wallet::anvil(index).map(|wallet| wallet.address), Some(*address));
        }
    }

    #[tokio::test]
    async fn keystores_open_with_their_password_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut rng = rand::thread_rng();
        let key = alloy::hex::decode(KEY).expect("hex");
        PrivateKeySigner::encrypt_keystore(folder.path(), &mut rng, key, "öpen", Some("deployer"))
            .expect("written");
        let passwords = tempfile::tempdir().expect("a folder");
        let (right, wrong) = (passwords.path().join("right"), passwords.path().join("wrong"));
        fs::write(&right, "öpen\r\n").expect("written");
        fs::write(&wrong, "shut").expect("written");
        let options = |keystore: &Path, password: &Path| SignerOptions {
            keystore: Some(keystore.to_owned()),
            password_file: Some(password.to_owned()),
            ..Default::default()
        };
        let account = options(folder.path(), &right).resolve(1, &no_prompt).await;
        assert_eq!(account.expect("opened").map(|account| account.address()), Some(ADDRESS));
        let error = options(&folder.path().join("deployer"), &wrong).resolve(1, &no_prompt).await;
        assert!(matches!(error, Err(Error::WrongPassword { .. })), "{error:?}");
        let error = options(passwords.path(), &right).resolve(1, &no_prompt).await;
        assert!(error.expect_err("two files").to_string().contains("2 files"));
        let error = options(&right, &right).resolve(1, &no_prompt).await;
        assert!(matches!(error, Err(Error::Keystore { .. })), "{error:?}");
        let error = options(folder.path(), Path::new("/nowhere")).resolve(1, &no_prompt).await;
        assert!(matches!(error, Err(Error::PasswordFile { .. })), "{error:?}");
        let found = keystore_of("deployer", folder.path().into());
        assert_eq!(found.expect("there"), folder.path().join("deployer"));
        for name in ["other", "../x", "/etc/passwd"] {
            let error = keystore_of(name, folder.path().into()).expect_err("no such account");
            assert!(error.to_string().contains("there are deployer"), "{error}");
        }
    }

    #[tokio::test]
    async fn from_must_agree_with_the_signer() {
        let other = Address::repeat_byte(1).to_string();
        let error = parse(&["--private-key", KEY, "--from", &other]).resolve(1, &no_prompt).await;
        assert!(matches!(error, Err(Error::FromMismatch { .. })), "{error:?}");
    }

    #[cfg(not(feature = "ledger"))]
    #[tokio::test]
    async fn a_signer_that_is_not_built_in_says_how_to_get_it() {
        let error = parse(&["--ledger"]).resolve(1, &no_prompt).await.expect_err("not built");
        assert!(error.to_string().contains("--features ledger"), "{error}");
    }
}
