//! `zkvouch bundle`

use super::Context;
use crate::{
    chain::account::{Account, SignerOptions, terminal_prompt},
    files,
    task::blocking,
};
use alloy::{
    primitives::{Address, B256, Signature, keccak256},
    sol_types::SolValue as _,
};
use clap::Args;
use eyre::{Result, eyre};
use serde_json::json;
use std::path::PathBuf;

/// zkvouch bundle
#[derive(Args, Debug)]
pub(super) struct Bundle {
    /// Where to write it; NAME.zkvouch.tar.gz in the current folder if absent.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave the model out; its hash is in the bundle.
    #[arg(long)]
    hash_only: bool,
    /// Sign it by the account that the wallet options name, into FILE.sig.json.
    #[arg(long)]
    sign: bool,
    #[command(flatten)]
    signer: SignerOptions,
}

impl Bundle {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let built = project.built(&context.ui.observer()).await?;
        let out =
            self.out.clone().unwrap_or_else(|| format!("{}.zkvouch.tar.gz", built.name()).into());
        let (bundle, out) = {
            let with_model = !self.hash_only;
            blocking(move || -> Result<_> {
                let bundle = built.bundle(with_model)?;
                bundle.write(&out)?;
                Ok((bundle, out))
            })
            .await?
        };
        let mut signed = None;
        if self.sign {
            // A signature is good on every chain, and no key of Anvil's is anybody's.
            let Some(Account::Signer(wallet)) =
                self.signer.resolve(MAINNET, &terminal_prompt).await?
            else {
                return Err(eyre!("--sign takes a key; name one by --account or --keystore"));
            };
            let (signer, digest) = (wallet.address(), bundle.digest());
            let signature = wallet.sign_hash(&signing_hash(digest))?;
            let file = PathBuf::from(format!("{}.sig.json", out.display()));
            let document = json!({
                "statement_sha256": digest,
                "model_id": bundle.model_id(),
                "signer": signer,
                "signature": signature.to_string(),
            });
            files::write_atomic(&file, &serde_json::to_vec_pretty(&document)?)?;
            signed = Some((file, signer));
        }
        let mut text = format!(
            "bundle    {}\nmodel     {}\nstatement SHA-256 {}",
            out.display(),
            bundle.model_id(),
            bundle.digest()
        );
        if let Some((file, signer)) = &signed {
            text.push_str(&format!("\nsigned by {signer} in {}", file.display()));
        }
        let data = json!({
            "bundle": out,
            "model_id": bundle.model_id(),
            "statement_sha256": bundle.digest(),
            "files": bundle.names().collect::<Vec<_>>(),
            "signature": signed.as_ref().map(|(file, _)| file),
            "signer": signed.as_ref().map(|(_, signer)| signer),
        });
        context.ui.result(text, &data)
    }
}

const MAINNET: u64 = 1;

/// What is signed, by EIP-712: domain `{name: "zkvouch bundle", version: "1"}`, type `Bundle(bytes32 statement)`, so that a
/// wallet shows what it signs and nothing else has the same hash.
pub(super) fn signing_hash(statement: B256) -> B256 {
    let domain = keccak256(
        (
            keccak256("EIP712Domain(string name,string version)"),
            keccak256("zkvouch bundle"),
            keccak256("1"),
        )
            .abi_encode(),
    );
    let message = keccak256((keccak256("Bundle(bytes32 statement)"), statement).abi_encode());
    keccak256([&[0x19, 0x01], &domain[..], &message[..]].concat())
}

/// Who signed a bundle's statement.
pub(super) fn signer(statement: B256, signature: &str) -> Result<Address> {
    let signature: Signature = signature.parse()?;
    Ok(signature.recover_address_from_prehash(&signing_hash(statement))?)
}
