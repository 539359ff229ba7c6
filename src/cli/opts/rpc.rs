//! Foundry's flags for choosing a node and for sending.

use crate::chain::{
    Mode, Result,
    node::{
        endpoint::{Endpoint, LOCAL_URL},
        rpc::{Rpc, RpcOptions},
    },
};
use std::{path::Path, time::Duration};

/// Which node to talk to.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Rpc options")]
pub(super) struct RpcFlags {
    /// The node: a URL, or a name from zkvouch.toml's `[networks]` or foundry.toml's
    /// `[rpc_endpoints]`
    #[arg(long, short, env = "ETH_RPC_URL", hide_env_values = true, value_name = "URL")]
    pub(super) rpc_url: Option<String>,
    /// The chain, by id or name, that the node must serve
    #[arg(long, alias = "chain-id", env = "CHAIN", value_name = "CHAIN",
          value_parser = parse_chain)]
    pub(super) chain: Option<u64>,
    /// Seconds to wait for an answer
    #[arg(long, env = "ETH_RPC_TIMEOUT", default_value_t = 45, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) rpc_timeout: u64,
}

impl Default for RpcFlags {
    fn default() -> Self {
        Self { rpc_url: None, chain: None, rpc_timeout: 45 }
    }
}

impl RpcFlags {
    /// Connects to the flag's node, else to a local Anvil, and checks the chain id against the
    /// flag's, else against that of the network. `networks` knows networks by name, before the
    /// foundry.toml of `folder` does: a URL, or a name there, and perhaps the chain id.
    pub(super) async fn connect<'n>(
        &self,
        folder: &Path,
        networks: impl FnOnce(&str) -> Option<(&'n str, Option<u64>)>,
    ) -> Result<Rpc> {
        let name = self.rpc_url.as_deref().unwrap_or(LOCAL_URL);
        let (url, chain_id) = networks(name).unwrap_or((name, None));
        let options = RpcOptions {
            timeout: Duration::from_secs(self.rpc_timeout),
            chain_id: self.chain.or(chain_id),
            ..RpcOptions::default()
        };
        Ok(Rpc::connect(Endpoint::resolve(url, folder)?, options).await?)
    }
}

/// Whether to send.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "Broadcast options")]
pub(super) struct BroadcastFlags {
    /// Send the transactions; without it they are only simulated
    #[arg(long)]
    pub(super) broadcast: bool,
    /// Go on with the transactions of the last run, sending what it had not sent
    #[arg(long)]
    pub(super) resume: bool,
}

impl BroadcastFlags {
    /// `--resume` sends too, as in Foundry.
    pub(super) fn mode(self) -> Mode {
        if self.broadcast || self.resume { Mode::Broadcast } else { Mode::DryRun }
    }
}

/// The chains that a Foundry user knows by name; any other goes by its id.
const CHAINS: [(&str, u64); 16] = [
    ("mainnet", 1),
    ("ethereum", 1),
    ("sepolia", 11_155_111),
    ("holesky", 17_000),
    ("hoodi", 560_048),
    ("anvil", 31_337),
    ("anvil-hardhat", 31_337),
    ("optimism", 10),
    ("optimism-sepolia", 11_155_420),
    ("base", 8_453),
    ("base-sepolia", 84_532),
    ("arbitrum", 42_161),
    ("arbitrum-sepolia", 421_614),
    ("polygon", 137),
    ("gnosis", 100),
    ("linea", 59_144),
];

/// A chain id, or the name of a well-known chain.
pub(super) fn parse_chain(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let named = CHAINS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    if let Some((_, id)) = named {
        return Ok(*id);
    }
    let id = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    id.map_err(|_| format!("{text:?} is neither a chain id nor a known name; give the chain's id"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{
        Error,
        account::SignerOptions,
        explorer::{Explorer, ExplorerOptions},
        node::{
            anvil::{AnvilNode, AnvilOptions},
            endpoint, rpc,
        },
        tx::TxOptions,
    };
    use clap::{CommandFactory, Parser};

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        rpc: RpcFlags,
        #[command(flatten)]
        broadcast: BroadcastFlags,
        #[command(flatten)]
        signer: SignerOptions,
        #[command(flatten)]
        transaction: TxOptions,
        #[command(flatten)]
        explorer: ExplorerOptions,
    }

    #[test]
    fn all_groups_fit_into_one_command() {
        Cli::command().debug_assert();
        let arguments = "x -r sepolia --account me --password-file p --gas-price 3gwei --timeout 9 \
                         --priority-gas-price 1gwei --confirmations 2 --broadcast \
                         --verifier blockscout --verifier-url http://x --retries 3";
        let cli = Cli::try_parse_from(arguments.split_whitespace()).expect("valid");
        assert_eq!(cli.rpc.rpc_url.as_deref(), Some("sepolia"));
        assert_eq!(cli.broadcast.mode(), Mode::Broadcast);
        assert_eq!(cli.signer.account.as_deref(), Some("me"));
        assert_eq!(cli.transaction.gas_price, Some(3_000_000_000));
        assert_eq!((cli.explorer.verifier, cli.explorer.retries), (Some(Explorer::Blockscout), 3));
        let defaults = Cli::try_parse_from(["x"]).expect("valid");
        assert_eq!(format!("{:?}", defaults.transaction), format!("{:?}", TxOptions::default()));
        assert_eq!(format!("{:?}", defaults.explorer), format!("{:?}", ExplorerOptions::default()));
        for bad in ["--legacy --priority-gas-price 1", "--keystore a --account b", "--gas-price x"]
        {
            let arguments = std::iter::once("x").chain(bad.split_whitespace());
            assert!(Cli::try_parse_from(arguments).is_err(), "{bad}");
        }
    }

    #[test]
    fn chains_go_by_id_or_name() {
        assert_eq!(parse_chain("sepolia"), Ok(11_155_111));
        assert_eq!(parse_chain("Mainnet"), Ok(1));
        assert_eq!(parse_chain("31337"), Ok(31_337));
        assert_eq!(parse_chain("0x7a69"), Ok(31_337));
        assert!(parse_chain("narnia").is_err());
    }

    #[test]
    fn sending_has_to_be_asked_for() {
        assert_eq!(BroadcastFlags::default().mode(), Mode::DryRun);
        let resume = BroadcastFlags { resume: true, ..Default::default() };
        assert_eq!(resume.mode(), Mode::Broadcast);
    }

    #[tokio::test]
    async fn flags_go_before_the_configuration_and_the_chain_must_match() {
        let node = AnvilNode::spawn(AnvilOptions::default()).await.expect("started");
        let here = Path::new("/");
        let flags = |rpc_url: &str, chain| {
            let rpc_url = Some(rpc_url.to_owned());
            RpcFlags { rpc_url, chain, ..Default::default() }
        };
        let url = node.url().to_string();
        let rpc = flags(&url, None).connect(here, |_| None).await.expect("the local one");
        assert_eq!(rpc.chain_id(), 31_337);
        let named = |name: &str| (name == "mine").then_some((url.as_str(), Some(31_337)));
        flags("mine", None).connect(here, named).await.expect("by its name");
        let other = |_: &str| Some((url.as_str(), Some(1)));
        let error = flags("mine", None).connect(here, other).await;
        assert!(matches!(error, Err(Error::Rpc(rpc::Error::WrongChain { .. }))), "{error:?}");
        let error = flags("mine", Some(1)).connect(here, named).await;
        assert!(matches!(error, Err(Error::Rpc(rpc::Error::WrongChain { .. }))), "{error:?}");
        flags("mine", Some(31_337)).connect(here, other).await.expect("the flag goes first");
        let error = flags("no-such-alias", None).connect(here, named).await;
        let Err(Error::Endpoint(endpoint::Error::UnknownAlias { .. })) = error else {
            panic!("{error:?}")
        };
    }
}
