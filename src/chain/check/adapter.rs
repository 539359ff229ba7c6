//! An adapter and the verifiers behind it.

use super::{claims::Topic, run::Run};
use crate::{
    chain::{
        Error, Result,
        contracts::{Name, artifact, bindings::ModelVerifier},
        create2,
    },
    field::Felt,
    model::{
        identity::{ModelId, ModelIdentity},
        proof::Proof,
        schema::{Schema, read_descriptor},
    },
    srs::ceremony,
    verifier::ceremony_words,
};
use alloy::{
    primitives::{Address, B256, Bytes, FixedBytes, U256, keccak256},
    sol_types::{SolCall, SolValue},
};

/// bytes4(keccak256("zkvouch.proof.v1")): what a contract that checks proofs calls itself.
fn proof_selector() -> FixedBytes<4> {
    FixedBytes::from_slice(&keccak256("zkvouch.proof.v1")[..4])
}

/// What an adapter of this release was made with, as far as it shows it.
struct Shown {
    verifier: (Address, B256),
    batch: (Address, B256),
    proof_length: U256,
    instance_count: U256,
}

impl Run<'_> {
    /// What the adapter shows, worked out anew.
    pub(super) async fn adapter(&mut self, adapter: Address) -> Result<()> {
        let (chain, check) = (&self.chain, &mut self.check);
        check.adapter = Some(adapter);
        check.holds(Topic::Adapter, adapter.to_string());
        let parts = chain.ask(adapter, &ModelVerifier::modelPartsCall {}).await?;
        let descriptor = chain.ask(adapter, &ModelVerifier::descriptorCall {}).await?;
        let schema = chain.ask(adapter, &ModelVerifier::schemaCall {}).await?;
        // The code is ours, but another constructor may have left it with what ours never leaves.
        let (Some(parts), Some(descriptor), Some(schema)) = (parts, descriptor, schema) else {
            check.fails(
                Topic::AdapterAddress,
                "it does not say what it was made with: no constructor of ours made it",
            );
            return Ok(());
        };
        let shown = Shown {
            verifier: (
                chain.ask_ours(adapter, &ModelVerifier::VERIFIERCall {}).await?,
                chain.ask_ours(adapter, &ModelVerifier::VERIFIER_CODE_HASHCall {}).await?,
            ),
            batch: (
                chain.ask_ours(adapter, &ModelVerifier::BATCH_VERIFIERCall {}).await?,
                chain.ask_ours(adapter, &ModelVerifier::BATCH_VERIFIER_CODE_HASHCall {}).await?,
            ),
            proof_length: chain.ask_ours(adapter, &ModelVerifier::PROOF_LENGTHCall {}).await?,
            instance_count: chain.ask_ours(adapter, &ModelVerifier::INSTANCE_COUNTCall {}).await?,
        };
        let gas_cap = chain.ask_ours(adapter, &ModelVerifier::GAS_CAPCall {}).await?;

        let identity = ModelIdentity {
            onnx_sha256: parts.onnxHash,
            settings_sha256: parts.settingsHash,
            srs_sha256: parts.srsHash,
            vk_sha256: parts.vkHash,
            engine_version: parts.engine.clone(),
            descriptor_keccak256: keccak256(&descriptor),
        };
        let found = identity.model_id();
        check.identity = Some(identity);
        let says = ModelId(chain.ask_ours(adapter, &ModelVerifier::modelIdCall {}).await?);
        match check.model_id {
            model if model != found => {
                check.fails(Topic::ModelId, format!("its parts and its descriptor give {found}"));
            }
            model if model != says => {
                check.fails(Topic::ModelId, format!("the adapter calls itself {says}"))
            }
            _ => check.holds(Topic::ModelId, "its parts and its descriptor give it"),
        }

        let arguments = (
            parts,
            shown.verifier.0,
            shown.verifier.1,
            shown.batch.0,
            shown.batch.1,
            shown.proof_length,
            gas_cap,
            descriptor.clone(),
        );
        let contract =
            artifact(Name::ModelVerifier).contract(arguments.abi_encode_params(), Vec::new());
        match create2::address(create2::SALT, &contract.init_code) {
            there if there == adapter => {
                check.holds(
                    Topic::AdapterAddress,
                    "the address commits to all that it was made with",
                );
            }
            there => check.unknown(
                Topic::AdapterAddress,
                format!("its arguments belong to {there}; something else than zkvouch put it here"),
            ),
        }

        self.descriptor(&descriptor, &schema, &shown);
        self.selector(adapter).await?;
        self.verifiers(&shown).await?;
        self.golden(adapter, &shown).await
    }

    fn descriptor(&mut self, descriptor: &[u8], schema: &[u8], shown: &Shown) {
        let Some(tensors) = read_descriptor(descriptor) else {
            return self.check.fails(Topic::Descriptor, "it is none");
        };
        let Some(expected) = Schema::of(&tensors) else {
            return self.check.fails(Topic::Descriptor, "its tensors don't fit into a schema");
        };
        if Schema::read(schema).as_ref() != Some(&expected) {
            return self.check.fails(
                Topic::Descriptor,
                "the schema that consumers read by is not the descriptor's",
            );
        }
        let count = expected.count();
        if shown.instance_count != U256::from(count) {
            let detail =
                format!("it has {count} instances, and the adapter takes {}", shown.instance_count);
            return self.check.fails(Topic::Descriptor, detail);
        }
        let tensors: Vec<_> = tensors.iter().map(ToString::to_string).collect();
        self.check.holds(Topic::Descriptor, format!("{count} instances: {}", tensors.join(", ")));
    }

    async fn selector(&mut self, adapter: Address) -> Result<()> {
        let route = self.check.route.unwrap_or(adapter);
        for contract in [adapter, route] {
            // Both have the function in the same form.
            let says = self.chain.ask(contract, &ModelVerifier::selectorCall {}).await?;
            if says != Some(proof_selector()) {
                self.check.fails(
                    Topic::Selector,
                    format!("{contract} does not say that it checks proofs"),
                );
                return Ok(());
            }
        }
        self.check.holds(Topic::Selector, proof_selector().to_string());
        Ok(())
    }

    async fn verifiers(&mut self, shown: &Shown) -> Result<()> {
        let (verifier, hash) = shown.verifier;
        self.check.verifier = Some(verifier);
        self.check.verifier_code_hash = Some(hash);
        let code = self.pinned(Topic::Verifier, verifier, hash).await?;
        let batch = match shown.batch {
            (address, hash) if address.is_zero() && hash.is_zero() => {
                self.check
                    .holds(Topic::BatchVerifier, "there is none; proofs are verified one by one");
                None
            }
            (address, hash) => {
                self.check.batch_verifier = Some(address);
                Some(self.pinned(Topic::BatchVerifier, address, hash).await?)
            }
        };
        let Some(code) = code else { return Ok(()) };
        let batch = match batch {
            None => None,
            Some(Some(code)) => Some(code),
            Some(None) => return Ok(()),
        };
        self.setup(&code, batch.as_ref());
        Ok(())
    }

    /// The code at an address, if it is what the adapter pins.
    async fn pinned(
        &mut self,
        topic: Topic,
        address: Address,
        hash: B256,
    ) -> Result<Option<Bytes>> {
        let code = self.chain.code(address).await?;
        if code.is_empty() {
            self.check.fails(topic, format!("no contract is at {address}"));
            return Ok(None);
        }
        let found = keccak256(&code);
        if found != hash {
            self.check.fails(
                topic,
                format!("the code at {address} has the hash {found}, and the adapter pins {hash}"),
            );
            return Ok(None);
        }
        self.check.holds(topic, format!("{address}, code hash {hash}"));
        Ok(Some(code))
    }

    fn setup(&mut self, verifier: &[u8], batch: Option<&Bytes>) {
        let words = match ceremony_words(verifier) {
            Ok(words) => words,
            Err(error) => return self.check.unknown(Topic::Setup, error.to_string()),
        };
        match batch.map(|code| ceremony_words(code)) {
            None => {}
            Some(Ok(other)) if other == words => {}
            Some(Ok(_)) => {
                return self.check.fails(
                    Topic::Setup,
                    "verifier and batch verifier are made with different ones",
                );
            }
            Some(Err(error)) => {
                return self.check.unknown(Topic::Setup, format!("the batch verifier: {error}"));
            }
        }
        let Some(ceremony) = ceremony::by_neg_s_g2(words) else {
            let detail = "the code holds the [tau]_2 of no ceremony that zkvouch knows; whoever made it may forge proofs";
            return self.check.unknown(Topic::Setup, detail);
        };
        let name = &ceremony.name;
        self.check.ceremony = Some(name.clone());
        match ceremony.is_unsafe {
            true => self.check.fails(
                Topic::Setup,
                format!("{name}: its secret is public, so anybody can forge proofs"),
            ),
            false => {
                self.check.holds(Topic::Setup, format!("the code holds the [tau]_2 of {name}"))
            }
        }
    }

    /// The adapter, by itself, decides the proof that the route was added with.
    async fn golden(&mut self, adapter: Address, shown: &Shown) -> Result<()> {
        let (router, model) = (self.check.router, self.check.model_id);
        let added = match self.chain.added(router, model.0).await {
            Ok(added) => added,
            Err(error) => {
                self.check.unknown(
                    Topic::GoldenProof,
                    format!("the node does not give the transaction: {error}"),
                );
                return Ok(());
            }
        };
        let Some(added) = added else {
            self.check.unknown(
                Topic::GoldenProof,
                "the node does not have the transaction that added the model",
            );
            return Ok(());
        };
        let instances = added
            .instances
            .iter()
            .map(|word| Felt::try_from(*word).ok())
            .collect::<Option<Vec<_>>>();
        let Some(instances) = instances else {
            self.check.fails(Topic::GoldenProof, "an instance of it is no scalar");
            return Ok(());
        };
        let golden = Proof { bytes: added.proof, instances };
        let lengths = (U256::from(golden.bytes.len()), U256::from(golden.instances.len()));
        if lengths != (shown.proof_length, shown.instance_count) {
            self.check.fails(Topic::GoldenProof, "it has other lengths than the adapter takes");
            return Ok(());
        }
        let accepts = async |proof: &Proof| {
            let call = ModelVerifier::verifyCall {
                proof: proof.bytes.clone(),
                instances: proof.instances.iter().map(|felt| felt.to_u256()).collect(),
            };
            Ok::<_, Error>(self.chain.call(adapter, call.abi_encode().into()).await?.is_some())
        };
        if !accepts(&golden).await? {
            self.check.fails(Topic::GoldenProof, "it is refused");
            return Ok(());
        }
        let mutants = golden.mutants();
        for mutant in &mutants {
            if accepts(mutant).await? {
                self.check.fails(Topic::GoldenProof, "a changed one is accepted, too");
                return Ok(());
            }
        }
        let detail = format!("accepted, and {} changed ones are refused", mutants.len());
        self.check.holds(Topic::GoldenProof, detail);
        Ok(())
    }
}
