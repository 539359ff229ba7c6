use super::*;
use alloy::primitives::Bytes;
use foundry_compilers::{artifacts::EvmVersion, solc::Solc};
use std::fs;

/// A program that states `version` and answers a compilation with `answer`.
#[cfg(unix)]
fn fake(path: &Path, version: &str, answer: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--version*) echo 'Version: {version}+commit.00000000';; \
         *) cat >/dev/null; {answer};; esac\n"
    );
    fs::write(path, script).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

fn nowhere() -> Places {
    Places { svm: Vec::new(), on_path: None, cache: None }
}

async fn npm_compiler() -> Compiler {
    let cache = toolchain::cache_dir().expect("a cache folder");
    let places = Places { cache: Some(cache), ..nowhere() };
    Compiler::new(resolve_in(&SolcRequest::Default, &places).await.expect("npm's compiler"))
}

#[test]
fn requests_are_versions_or_paths() {
    let version = |text: &str| SolcRequest::Version(text.parse().expect("a version"));
    assert_eq!("0.8.30".parse::<SolcRequest>().ok(), Some(version("0.8.30")));
    assert_eq!("v0.8.30+commit.73712a01".parse::<SolcRequest>().ok(), Some(version("0.8.30")));
    assert_eq!("".parse::<SolcRequest>().ok(), Some(SolcRequest::Default));
    let path = SolcRequest::Path("./bin/solc".into());
    assert_eq!("./bin/solc".parse::<SolcRequest>().ok(), Some(path.clone()));
    for text in ["0.8", "^0.8.20", ">=0.8.0 <0.9.0"] {
        assert!(matches!(text.parse::<SolcRequest>(), Err(Error::Request(_))), "{text}");
    }
    let json = serde_json::to_string(&path).expect("a string");
    assert_eq!(serde_json::from_str::<SolcRequest>(&json).expect("parses"), path);
}

#[cfg(unix)]
#[tokio::test]
async fn places_are_tried_in_order_and_only_the_exact_version_will_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let svm = folder.path().join("svm");
    let on_path = folder.path().join("bin/solc");
    fake(&on_path, "0.8.21", "true");
    let places = Places { svm: vec![svm.clone()], on_path: Some(on_path.clone()), ..nowhere() };

    let wanted = SolcRequest::Version(Version::new(0, 8, 21));
    let solc = resolve_in(&wanted, &places).await.expect("on PATH");
    assert_eq!((solc.origin, &solc.path), (Origin::Path, &on_path));
    assert_eq!(solc.sha256, files::sha256_file(&on_path).expect("read"));

    let in_svm = svm.join("0.8.21/solc-0.8.21");
    fake(&in_svm, "0.8.21", "exit 0");
    let solc = resolve_in(&wanted, &places).await.expect("in svm's folder");
    assert_eq!((solc.origin, solc.path), (Origin::Svm, in_svm));

    let other = SolcRequest::Version(Version::new(0, 8, 22));
    fake(&svm.join("0.8.22/solc-0.8.22"), "0.8.9", "true");
    let error = resolve_in(&other, &places).await.expect_err("nowhere").to_string();
    assert!(error.contains("0.8.22") && error.contains("is 0.8.21"), "{error}");
    assert!(error.contains("is 0.8.9") && error.contains("--solc"), "{error}");

    let named = SolcRequest::Path(on_path.clone());
    let solc = resolve_in(&named, &nowhere()).await.expect("named");
    assert_eq!((solc.origin, solc.version), (Origin::Explicit, Version::new(0, 8, 21)));

    let missing = SolcRequest::Path(folder.path().join("none/solc"));
    assert!(matches!(resolve_in(&missing, &places).await, Err(Error::Broken { .. })));
    let old = SolcRequest::Version(Version::new(0, 7, 6));
    assert!(matches!(resolve_in(&old, &places).await, Err(Error::TooOld(_))));
}

#[cfg(unix)]
#[tokio::test]
async fn the_pinned_compiler_goes_before_one_that_merely_states_its_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let (svm, on_path) = (folder.path().join("svm"), folder.path().join("bin/solc"));
    let places = |version: &str| {
        fake(&on_path, version, "true");
        fake(&svm.join(format!("{version}/solc-{version}")), version, "true");
        let cache = Some(toolchain::cache_dir().expect("a cache folder"));
        Places { svm: vec![svm.clone()], on_path: Some(on_path.clone()), cache }
    };
    let default = DEFAULT_VERSION.to_string();
    let solc = resolve_in(&SolcRequest::Default, &places(&default)).await.expect("npm's");
    assert_eq!(solc.origin, Origin::Npm);

    // npm's 0.8.99 would be anything; an installed one is the user's own.
    let unknown = SolcRequest::Version(Version::new(0, 8, 99));
    let only_npm = Places { svm: vec![], on_path: None, ..places("0.8.99") };
    let error = resolve_in(&unknown, &only_npm).await.expect_err("unknown").to_string();
    assert!(error.contains("hash") && error.contains("--solc PATH"), "{error}");
    let solc = resolve_in(&unknown, &places("0.8.99")).await.expect("installed");
    assert_eq!(solc.origin, Origin::Svm);
}

#[cfg(unix)]
#[tokio::test]
async fn a_compiler_that_misbehaves_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let sources = SourceSet::solidity("A.sol", "contract A {}");
    let cases = [
        ("echo broken >&2; exit 3", "broken"),
        ("echo '<html>'", "not the expected JSON"),
        ("kill -9 $$", "signal: 9"),
        ("echo '{\"contracts\":{\"A.sol\":{\"A\":{\"abi\":[],\"evm\":{}}}}}'", "no bytecode"),
        (
            "echo '{\"contracts\":{\"A.sol\":{\"A\":{\"abi\":[],\"evm\":{\"bytecode\":{\"object\":\
             \"\"},\"deployedBytecode\":{\"object\":\"\"}}}}}}'",
            "no bytecode",
        ),
    ];
    for (number, (answer, expected)) in cases.into_iter().enumerate() {
        let path = folder.path().join(format!("{number}/solc"));
        fake(&path, "0.8.21", answer);
        let solc =
            resolve_in(&SolcRequest::Path(path), &nowhere()).await.expect("states a version");
        let error = Compiler::new(solc)
            .compile(&sources, &CompilerOptions::default())
            .await
            .expect_err(answer)
            .to_string();
        assert!(error.contains(expected), "{answer}: {error}");
    }
}

#[tokio::test]
async fn the_npm_compiler_compiles_solidity_and_yul() {
    let compiler = npm_compiler().await;
    assert_eq!(compiler.solc().version, DEFAULT_VERSION);
    assert_eq!(compiler.solc().origin, Origin::Npm);
    let text = "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.0;\n\
        interface I { function f() external; }\n\
        contract A is I { event E(uint256 x); function f() external { emit E(7); } }";
    let sources = SourceSet::solidity("A.sol", text);
    let options = CompilerOptions::default();
    let contract = compiler.compile_contract(&sources, &options, "A").await.expect("compiles");
    assert!(contract.abi.function("f").is_some() && contract.abi.event("E").is_some());
    let mut evm = crate::evm::Evm::default();
    let deployed = evm.deploy(contract.init_code.clone()).expect("deploys");
    assert_eq!(deployed.runtime_code, contract.runtime_code);
    let selector = contract.abi.function("f").expect("there")[0].selector();
    let result = evm.call(deployed.address, selector.to_vec().into(), 100_000).expect("runs");
    assert_eq!(result.logs.len(), 1);

    // Neither a comment nor the file's name shows in the code.
    let sources = SourceSet::solidity("other/B.sol", format!("// a comment\n{text}"));
    let again = compiler.compile_contract(&sources, &options, "A").await.expect("compiles");
    assert_eq!(again.runtime_code, contract.runtime_code);
    let error = compiler.compile_contract(&sources, &options, "B").await.expect_err("no B");
    assert!(error.to_string().contains("they hold A"), "{error}");

    let yul = "object \"V\" { code { datacopy(0, dataoffset(\"R\"), datasize(\"R\")) \
        return(0, datasize(\"R\")) } object \"R\" { code { mstore(0, 42) return(0, 32) } } }";
    let options = CompilerOptions { optimizer: true, via_ir: false, ..options };
    let contracts =
        compiler.compile(&SourceSet::yul("v.yul", yul), &options).await.expect("compiles");
    let deployed = evm.deploy(contracts[0].init_code.clone()).expect("deploys");
    let result = evm.call(deployed.address, Bytes::new(), 100_000).expect("runs");
    assert_eq!(result.output.last(), Some(&42));
}

#[tokio::test]
async fn errors_carry_the_compilers_words() {
    let compiler = npm_compiler().await;
    let options = CompilerOptions::default();
    let compile = async |text: &str| {
        compiler.compile(&SourceSet::solidity("A.sol", text), &options).await.expect_err(text)
    };
    let error = compile("contract A { uint256 x = \"no\"; }").await.to_string();
    assert!(error.contains("A.sol") && error.contains("literal_string"), "{error}");
    let error = compile("import \"./B.sol\"; contract A {}").await.to_string();
    assert!(error.contains("B.sol"), "{error}");
    let error = compile("interface I { function f() external; }").await;
    assert!(matches!(error, Error::EmptyBytecode { .. }), "{error}");
    let linked =
        "library L { function f() external {} } contract A { function g() external { L.f(); } }";
    assert!(matches!(compile(linked).await, Error::Unlinked { .. }));
}

#[tokio::test]
async fn the_shim_takes_what_foundry_gives_it() {
    let cache = toolchain::cache_dir().expect("a cache folder");
    let path = shim(&DEFAULT_VERSION, &cache).await.expect("installed");
    let folder = tempfile::tempdir().expect("a folder");
    // Node would read an extensionless program below this as an ES module, were it not prevented.
    fs::write(folder.path().join("package.json"), "{\"type\":\"module\"}").expect("written");
    let mut solc = Solc::new(&path).expect("states its version");
    assert_eq!(solc.version_short(), DEFAULT_VERSION);
    assert!(!solc.version.build.is_empty());
    solc.base_path = Some(folder.path().to_owned());
    solc.allow_paths.insert(folder.path().to_owned());
    solc.include_paths.insert("/nonexistent".into());
    // Far more than a pipe's buffer in both directions.
    let body: String = (0..3_000)
        .map(|i| format!("event AnEventWithALongName{i}(uint256 indexed value);"))
        .collect();
    let mut input = foundry_compilers::artifacts::SolcInput::default();
    let text =
        format!("// SPDX-License-Identifier: MIT\npragma solidity ^0.8.0; contract A {{ {body} }}");
    input.sources.insert("A.sol".into(), foundry_compilers::artifacts::Source::new(text));
    input.settings.evm_version = Some(EvmVersion::Cancun);
    let output = solc.compile_exact(&input).expect("compiles");
    assert!(!output.has_error(), "{:?}", output.errors);
    assert_eq!(output.find("A").and_then(|a| Some(a.abi?.events.len())), Some(3_000));
    let status = std::process::Command::new(&path).arg("--gas").output().expect("runs");
    assert_eq!(status.status.code(), Some(1));

    // The shim given by path is known for what it is, and an altered one is not.
    let named = SolcRequest::Path(path.clone());
    let hash = resolve_in(&named, &nowhere()).await.expect("works").sha256;
    let npm = Places { cache: Some(cache), ..nowhere() };
    assert_eq!(resolve_in(&SolcRequest::Default, &npm).await.expect("works").sha256, hash);
}

#[cfg(unix)]
#[tokio::test]
async fn what_was_compiled_once_is_not_compiled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (program, runs) = (folder.path().join("solc"), folder.path().join("runs"));
    let code = r#"{"object":"6001"}"#;
    let answer = format!(
        r#"{{"contracts":{{"v.sol":{{"V":{{"abi":[],"evm":{{"bytecode":{code},"deployedBytecode":{code}}}}}}}}}}}"#
    );
    fake(&program, "0.8.37", &format!("echo run >>{}; echo '{answer}'", runs.display()));
    let solc = ResolvedSolc {
        path: program,
        version: DEFAULT_VERSION,
        sha256: B256::ZERO,
        origin: Origin::Npm,
    };
    let count = || fs::read_to_string(&runs).expect("runs").lines().count();
    let (sources, options) = (SourceSet::solidity("v.sol", "contract V {}"), <_>::default());
    let compiler = Compiler::keeping(solc.clone(), folder.path().join("kept"));
    let first = compiler.compile(&sources, &options).await.expect("compiled");
    let second = compiler.compile(&sources, &options).await.expect("kept");
    assert_eq!((first[0].init_code.len(), &first, count()), (2, &second, 1));
    // Other options, another text and another program are other inputs.
    let other = CompilerOptions { runs: 7, ..options.clone() };
    compiler.compile(&sources, &other).await.expect("compiled");
    let text = SourceSet::solidity("v.sol", "contract V { }");
    compiler.compile(&text, &options).await.expect("compiled");
    let solc = ResolvedSolc { sha256: B256::repeat_byte(1), ..solc };
    let compiler = Compiler::keeping(solc, folder.path().join("kept"));
    compiler.compile(&sources, &options).await.expect("compiled");
    assert_eq!(count(), 4);
}
