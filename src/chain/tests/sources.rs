//! Sources that are given to an explorer which does what Sourcify does: compiles them with the compiler
//! that is named, and looks at the chain.

use super::{
    fixture::{core_sender, deploy_all, tree_model},
    *,
};
use crate::chain::Entries;
use crate::{
    chain::{
        ChainClass, Mode,
        account::Secret,
        contracts::{CoreRequest, artifact, deploy_core},
        deploy::{Deployer, VerifierRequest},
        deployments::{Deployments, Entry, Role},
        explorer::{self, ExplorerOptions, SourceRequest, Verified, source_of},
    },
    model::packing::Packing,
    verifier::{
        BuildRequest, VerifierArtifact, build,
        lean::{self, Expected, OptimizeFor},
        solc::ResolvedSolc,
        testing::{Fixture, compiler},
    },
};
use alloy::primitives::{B256, keccak256};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
};

/// The tree's verifier, built from what ezkl wrote for its key.
async fn built() -> VerifierArtifact {
    let compiler = compiler().await;
    let fixture = Fixture::load("tree").await;
    let expected = Expected { num_instances: 7, k: 9, vk: None };
    let packing = Packing::words(7);
    let lean = lean::generate(&fixture.solidity, &expected, &packing, OptimizeFor::Calls)
        .expect("generated");
    build(&compiler, BuildRequest::new(lean.source())).await.expect("built")
}

async fn deploy_built(deployer: &mut Deployer<'_>, built: &VerifierArtifact, folder: &Path) {
    let request = VerifierRequest {
        contract: Contract {
            name: built.metadata().contract.clone(),
            init_code: built.init_code().clone(),
            runtime_code: Some(built.runtime_code().clone()),
            arguments: None,
            encoded_arguments: Bytes::new(),
        },
        entries: Entries::default(),
        compiler: None,
        model: tree_model(),
        method: Default::default(),
        golden: tree_proof(0),
        deployments: folder.to_owned(),
        class: ChainClass::Local,
    };
    deployer.verifier(&request).await.expect("deployed");
}

/// The compiler, with what it said to each input: it is WebAssembly and takes seconds.
#[derive(Clone)]
struct Solc {
    solc: ResolvedSolc,
    said: Arc<tokio::sync::Mutex<HashMap<String, Value>>>,
}

impl Solc {
    async fn pinned() -> Self {
        Self { solc: compiler().await.solc().clone(), said: Arc::default() }
    }

    /// Compiles a standard JSON input; what is wanted of it is said here, as explorers do.
    async fn compile(&self, input: &Value) -> Value {
        let mut input = input.clone();
        let wanted = json!({ "*": { "*": ["evm.bytecode", "evm.deployedBytecode"] } });
        input["settings"]["outputSelection"] = wanted;
        let input = input.to_string();
        let mut said = self.said.lock().await;
        if let Some(output) = said.get(&input) {
            return output.clone();
        }
        let mut child = Command::new(&self.solc.path)
            .arg("--standard-json")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("solc runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).await.expect("written");
        drop(stdin);
        let output = child.wait_with_output().await.expect("solc ends");
        let output: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        said.insert(input, output.clone());
        output
    }
}

fn code_of(value: &Value) -> Vec<u8> {
    alloy::hex::decode(value["object"].as_str().expect("code")).expect("hex")
}

/// What Sourcify's verification comes to: nothing, or the code of its error.
async fn judge(rpc: &Rpc, solc: &Solc, address: Address, body: &Value) -> Option<&'static str> {
    let stated = solc.solc.version_with_commit().await.expect("stated");
    if body["compilerVersion"] != stated {
        return Some("invalid_compiler_version");
    }
    let contract = body["contractIdentifier"].as_str().expect("text");
    let (file, name) = contract.rsplit_once(':').expect("file:Name");
    let output = solc.compile(&body["stdJsonInput"]).await;
    let compiled = &output["contracts"][file][name]["evm"]["deployedBytecode"];
    if compiled.is_null() {
        return Some("compiler_error");
    }
    let mut there = rpc.code(address).await.expect("answered").to_vec();
    let places = compiled["immutableReferences"].as_object().into_iter().flat_map(|it| it.values());
    for place in places.flat_map(|it| it.as_array().expect("a list")) {
        let at = |name: &str| place[name].as_u64().expect("a number") as usize;
        there[at("start")..at("start") + at("length")].fill(0);
    }
    (there != code_of(compiled)).then_some("no_match")
}

/// A Sourcify over one node; its URL.
async fn sourcify(rpc: Rpc, solc: Solc) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/server", listener.local_addr().expect("bound"));
    let jobs: Arc<Mutex<HashMap<String, Option<&'static str>>>> = Arc::default();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (path, body) = request(&mut stream).await;
            let (status, answer) = match path.strip_prefix("/server/v2/verify/31337/") {
                Some(address) => {
                    let body: Value = serde_json::from_str(&body).expect("JSON");
                    let judged =
                        judge(&rpc, &solc, address.parse().expect("an address"), &body).await;
                    jobs.lock().expect("free").insert(address.to_owned(), judged);
                    (202, json!({ "verificationId": address }))
                }
                None => {
                    let job = path.strip_prefix("/server/v2/verify/").expect("a job");
                    let judged = jobs.lock().expect("free")[job];
                    let mut answer =
                        json!({ "isJobCompleted": true, "contract": { "match": "match" } });
                    if let Some(code) = judged {
                        answer["error"] = json!({ "customCode": code, "message": "see the code" });
                    }
                    (200, answer)
                }
            };
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            let _ = stream.write_all((head + &answer).as_bytes()).await;
        }
    });
    url
}

/// The path and the body of a request.
async fn request(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let mut block = [0; 1 << 16];
        let read = stream.read(&mut block).await.expect("sent");
        bytes.extend_from_slice(&block[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
        });
        if body.len() >= length.unwrap_or(0) {
            let path = head.split(' ').nth(1).expect("a path");
            return (path.to_owned(), body.to_owned());
        }
    }
}

#[tokio::test]
async fn what_is_submitted_compiles_to_what_is_deployed() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sender = core_sender(&node, 0);
    // Everything that there is: implementation, router, ledger, a timelock with its own core, the verifiers, and a
    // clone, which has no source.
    deploy_all(&sender, folder, Some(account(1).address()), Mode::Broadcast)
        .await
        .expect("deployed");
    let mut deployer = Deployer::new(&sender, Mode::Broadcast);
    let request = CoreRequest {
        owner: sender.address(),
        timelock_delay: Some(60),
        deployments: folder.to_owned(),
        class: ChainClass::Local,
    };
    deploy_core(&mut deployer, &request).await.expect("deployed");
    let built = built().await;
    deploy_built(&mut deployer, &built, folder).await;
    let built = [&built];
    let file = Deployments::read(folder, 31337).expect("written");
    for role in [
        Role::Verifier,
        Role::ModelVerifier,
        Role::Implementation,
        Role::Router,
        Role::Ledger,
        Role::Timelock,
    ] {
        assert!(file.of_role(role).is_some(), "{role:?}");
    }

    let solc = Solc::pinned().await;
    let url = sourcify(node.rpc().clone(), solc.clone()).await;
    let options =
        ExplorerOptions { verifier_url: Some(Secret::new(url)), delay: 0, ..Default::default() };
    let explorer = options.connect(31337, ChainClass::Local).expect("one's own");
    let newest = |entry: &&Entry| {
        !entry.is_clone() && file.of_role(entry.role).is_some_and(|it| it == *entry)
    };
    for entry in file.contracts.iter().filter(newest) {
        let source = source_of(entry, &built).await.expect("here");
        assert_eq!(
            explorer.verify(&source).await.expect("verified"),
            Verified::Now,
            "{}",
            entry.name
        );
        assert_eq!(source.transaction, entry.transaction.as_ref().map(|it| it.hash));
        // Etherscan and Blockscout compare the init code, with the constructor's arguments.
        let (path, name) = source.contract.rsplit_once(':').expect("file:Name");
        let output = solc.compile(&source.standard_input).await;
        let creation = code_of(&output["contracts"][path][name]["evm"]["bytecode"]);
        let init_code = [&creation[..], &source.constructor_arguments].concat();
        assert_eq!(keccak256(init_code), entry.init_code_hash, "{}", entry.name);
        // Another contract's source is seen to be one.
        let other = file.contracts.iter().find(|it| it.name != entry.name).expect("several");
        let wrong = SourceRequest { address: other.address, ..source.clone() };
        let error = explorer.verify(&wrong).await.expect_err("another").to_string();
        assert!(error.contains("no_match"), "{error}");
    }
    let router = source_of(file.of_role(Role::Router).expect("there"), &[]).await.expect("here");
    let mut broken = router.clone();
    broken.standard_input["sources"]["contracts/ModelRouter.sol"]["content"] = json!("contract {");
    let error = explorer.verify(&broken).await.expect_err("no Solidity");
    assert!(matches!(&error, explorer::Error::Rejected { .. }), "{error:?}");
    assert!(error.to_string().contains("compiler_error"), "{error}");
}

#[tokio::test]
async fn a_source_that_is_not_here_is_not_made_up() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sender = core_sender(&node, 0);
    deploy_all(&sender, folder, None, Mode::Broadcast).await.expect("deployed");
    let file = Deployments::read(folder, 31337).expect("written");
    let entry = |role| file.of_role(role).expect("there").clone();
    let refused = async |entry: Entry| {
        let error = source_of(&entry, &[]).await.expect_err("not here");
        assert!(matches!(error, explorer::Error::NoSource { .. }), "{error:?}");
        error.to_string()
    };
    assert!(refused(entry(Role::Verifier)).await.contains("zkvouch build"));
    assert!(
        refused(Entry { role: Role::Other, ..entry(Role::Router) }).await.contains("did not make")
    );
    assert!(refused(entry(Role::ModelVerifier)).await.contains("name the implementation"));
    let adapter = Entry { router: None, ..entry(Role::ModelVerifier) };
    assert!(refused(adapter).await.contains("before models were clones"));
    // A file of an earlier release lacks the arguments; a lying one has others.
    for arguments in [None, Some(vec![7; 32].into())] {
        let lacking = Entry { constructor_arguments: arguments, ..entry(Role::Router) };
        assert!(refused(lacking).await.contains("zkvouch deploy --broadcast"));
    }
    let other = Entry { init_code_hash: B256::ZERO, ..entry(Role::Ledger) };
    assert!(refused(other).await.contains("the release that deployed it"));
    let arguments = entry(Role::Router).constructor_arguments.expect("written");
    let code = &artifact(crate::chain::contracts::Name::ModelRouter).creation_code;
    assert_eq!(keccak256([&code[..], &arguments].concat()), entry(Role::Router).init_code_hash);

    // Deploying again writes them down.
    let path = Deployments::path(folder, 31337);
    let text = crate::files::read_to_string(&path).expect("read");
    let lines: Vec<_> =
        text.lines().filter(|line| !line.contains("constructor_arguments")).collect();
    crate::files::write_atomic(&path, lines.join("\n").as_bytes()).expect("written");
    let before = node.rpc().block_number().await.expect("answered");
    deploy_all(&sender, folder, None, Mode::Broadcast).await.expect("nothing to do");
    assert_eq!(node.rpc().block_number().await.expect("answered"), before);
    let again = Deployments::read(folder, 31337).expect("written");
    for entry in &file.contracts {
        assert_eq!(again.at(entry.address), Some(entry));
    }
    assert!(source_of(again.of_role(Role::Router).expect("there"), &[]).await.is_ok());
}

#[tokio::test]
async fn the_contracts_compiler_is_the_pinned_one() {
    let stated = compiler().await.solc().version_with_commit().await.expect("stated");
    assert_eq!(stated, crate::chain::contracts::COMPILER);
}
