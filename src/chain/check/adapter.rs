//! A model's contract and the verifier behind it.

use super::{claims::Topic, run::Run};
use crate::{
    chain::{
        Error, Result,
        contracts::{
            ModelArgs, Name, artifact,
            bindings::{ModelRouter, ModelVerifier},
            read_clone,
        },
    },
    field::Felt,
    model::{proof::Proof, schema::Tensor},
    srs::ceremony,
    verifier::ceremony_words,
};
use alloy::{
    primitives::{Address, B256, Bytes, FixedBytes, keccak256},
    sol_types::SolCall,
};

/// bytes4(keccak256("zkvouch.proof.v2")): what a contract that checks proofs calls itself.
fn proof_selector() -> FixedBytes<4> {
    FixedBytes::from_slice(&keccak256("zkvouch.proof.v2")[..4])
}

impl Run<'_> {
    /// What the route is, by its code alone.
    pub(super) async fn model(&mut self, route: Address) -> Result<()> {
        let code = self.chain.code(route).await?;
        let Some((implementation, packed)) = read_clone(&code) else {
            let detail = format!("the code at {route} is no clone, so its word is no evidence");
            self.check.fails(Topic::Adapter, detail);
            return Ok(());
        };
        self.check.implementation = Some(implementation);
        if !artifact(Name::ModelVerifier).is_code(&self.chain.code(implementation).await?) {
            self.check.fails(
                Topic::Adapter,
                format!("{route} is a clone of {implementation}, which is not this release's ModelVerifier"),
            );
            return Ok(());
        }
        self.check.holds(Topic::Adapter, format!("a clone of {implementation}"));
        let Some(args) = ModelArgs::read(packed) else {
            self.check.fails(
                Topic::AdapterAddress,
                "the arguments in its code are none that a router of ours makes a model with",
            );
            return Ok(());
        };
        match args.address(self.check.router, implementation) {
            there if there == route => self.check.holds(
                Topic::AdapterAddress,
                "the address commits to all that the router made it with",
            ),
            there => self.check.fails(
                Topic::AdapterAddress,
                format!("its arguments belong to {there}; something else than the router made it"),
            ),
        }
        let found = args.model_id();
        self.check.identity = Some(args.identity.clone());
        match self.check.model_id {
            model if model != found => {
                let detail = format!("its parts and its descriptor give {found}");
                self.check.fails(Topic::ModelId, detail);
            }
            _ => self.check.holds(Topic::ModelId, "its parts and its descriptor give it"),
        }
        self.descriptor(&args);
        if args.guardian.is_none() {
            self.check.holds(Topic::NotStopped, "nobody can stop it");
            let detail = "nobody can stop the model; its owner can retire it";
            self.check.holds(Topic::Guardian, detail);
        } else {
            self.guardian(route).await?;
        }
        self.selector(route).await?;
        self.check.verifier = Some(args.verifier);
        self.check.verifier_code_hash = Some(args.verifier_code_hash);
        let pinned = self.pinned(args.verifier, args.verifier_code_hash).await?;
        if let Some(code) = pinned {
            self.setup(&code);
        }
        self.golden(route, &args).await
    }

    /// That it is the schema's is part of reading the arguments.
    fn descriptor(&mut self, args: &ModelArgs) {
        let descriptor = &args.descriptor;
        self.check.predictions = Some(descriptor.predictions());
        let tensors: Vec<_> = descriptor.tensors().iter().map(Tensor::to_string).collect();
        let each = match descriptor.predictions() {
            1 => String::new(),
            each => format!(" of {each} predictions"),
        };
        let count = descriptor.count();
        let detail = format!("{count} instances{each}: {}", tensors.join(", "));
        self.check.holds(Topic::Descriptor, detail);
    }

    async fn selector(&mut self, route: Address) -> Result<()> {
        let says = self.chain.ask(route, &ModelVerifier::selectorCall {}).await?;
        if says == Some(proof_selector()) {
            self.check.holds(Topic::Selector, proof_selector().to_string());
        } else {
            let detail = format!("{route} does not say that it checks proofs");
            self.check.fails(Topic::Selector, detail);
        }
        Ok(())
    }

    /// The verifier's code, if it is what the model's contract pins.
    async fn pinned(&mut self, address: Address, hash: B256) -> Result<Option<Bytes>> {
        let topic = Topic::Verifier;
        let code = self.chain.code(address).await?;
        if code.is_empty() {
            self.check.fails(topic, format!("no contract is at {address}"));
            return Ok(None);
        }
        let found = keccak256(&code);
        if found != hash {
            self.check.fails(
                topic,
                format!("the code at {address} has the hash {found}, and the model's contract pins {hash}"),
            );
            return Ok(None);
        }
        self.check.holds(topic, format!("{address}, code hash {hash}"));
        Ok(Some(code))
    }

    fn setup(&mut self, verifier: &[u8]) {
        let words = match ceremony_words(verifier) {
            Ok(words) => words,
            Err(error) => return self.check.unknown(Topic::Setup, error.to_string()),
        };
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

    /// The model's contract, by itself, decides the proof that the route was added with, and the router once more by its
    /// gate.
    async fn golden(&mut self, route: Address, args: &ModelArgs) -> Result<()> {
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
        let lengths = (golden.bytes.len() as u64, golden.instances.len() as u64);
        if lengths != (args.proof_length.into(), args.descriptor.count()) {
            self.check.fails(Topic::GoldenProof, "it has other lengths than the model takes");
            return Ok(());
        }
        let accepts = async |proof: &Proof| {
            let call = ModelVerifier::verifyCall {
                proof: proof.bytes.clone(),
                instances: proof.instances.iter().map(|felt| felt.to_u256()).collect(),
            };
            Ok::<_, Error>(self.chain.call(route, call.abi_encode().into()).await?.is_some())
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
        let call = ModelRouter::gateCall {
            modelId: model.0,
            proof: golden.bytes.clone(),
            instances: golden.instances.iter().map(|felt| felt.to_u256()).collect(),
        };
        if self.chain.call(router, call.abi_encode().into()).await?.is_none() {
            self.check.fails(Topic::GoldenProof, "the router's gate refuses the model");
            return Ok(());
        }
        let detail = format!(
            "accepted, and {} changed ones are refused; the router's gate lets the model pass",
            mutants.len()
        );
        self.check.holds(Topic::GoldenProof, detail);
        Ok(())
    }
}
