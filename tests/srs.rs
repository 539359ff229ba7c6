//! `zkvouch srs`: files of other tools in, checked files out.

mod support;

use std::{fs, path::Path};
use support::{Outcome, repository, schema, zkvouch};

fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    let output = zkvouch()
        .current_dir(folder)
        .env("ZKVOUCH_CACHE_DIR", folder.join("cache"))
        .args(arguments)
        .output()
        .expect("run");
    Outcome::new(output, arguments)
}

fn data(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let all = [&["--json"], arguments].concat();
    let document = run(folder, &all).success().envelope();
    schema::check(&arguments[..2].join("-"), &document);
    document["data"].clone()
}

#[test]
fn a_ptau_becomes_an_srs_that_can_be_checked_and_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let ptau = |name: &str| {
        let path = repository().join("tests/fixtures/ptau").join(name);
        path.to_str().expect("UTF-8").to_owned()
    };
    let imported = data(at, &["srs", "import", &ptau("power-4-prepared.ptau"), "--out", "a.srs"]);
    assert_eq!(imported["logrows"], 4);
    assert_eq!(imported["provenance"]["kind"], "unrecognized");
    let plain = data(at, &["srs", "import", &ptau("power-4.ptau"), "--out", "b.srs"]);
    assert_eq!(plain["sha256"], imported["sha256"]);
    let verified = data(at, &["srs", "verify", "a.srs"]);
    assert_eq!(verified["sha256"], imported["sha256"]);
    assert_eq!(verified["published"], false);
    let cut = data(at, &["srs", "derive", "a.srs", "--logrows", "3", "--out", "c.srs"]);
    assert_eq!(
        (cut["logrows"].as_u64(), fs::read(at.join("c.srs")).expect("made").len()),
        (Some(3), 1284)
    );

    let text = run(at, &["srs", "verify", "a.srs"]).success();
    assert!(text.stderr().contains("no known ceremony has this SRS"), "{text:?}");
    let mut damaged = fs::read(at.join("a.srs")).expect("read");
    damaged.copy_within(68..132, 132);
    fs::write(at.join("d.srs"), damaged).expect("written");
    run(at, &["srs", "verify", "d.srs"]).failure(3, &["d.srs", "not the powers of the τ"]);
    run(at, &["srs", "derive", "d.srs", "--logrows", "3", "--out", "e.srs"]).failure(3, &["d.srs"]);
    run(at, &["srs", "derive", "a.srs", "--logrows", "9", "--out", "e.srs"]).failure(3, &["k=4"]);
    run(at, &["srs", "import", "a.srs", "--out", "e.srs", "--tau-g2", "zz"])
        .failure(3, &["--tau-g2", "neither hexadecimal digits nor a file"]);
    assert!(!at.join("e.srs").exists());
    let error = run(at, &["get-srs", "--logrows", "4", "--srs", &ptau("power-4.ptau")]);
    error.failure(3, &["zkvouch srs import"]);
}

#[test]
fn what_is_fetched_is_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let before = data(at, &["srs", "ls"]);
    assert_eq!(before["files"].as_array().map(Vec::len), Some(0));
    assert!(before["ceremonies"].as_array().is_some_and(|all| all.len() > 5));
    let fetch = ["srs", "fetch", "--logrows", "5", "--srs", "unsafe-dev", "--srs-path", "x.srs"];
    assert_eq!(data(at, &fetch)["provenance"]["kind"], "unsafe-dev");
    let listed = data(at, &["srs", "ls"]);
    assert_eq!(listed["files"][0]["logrows"], 5);
    let text = run(at, &["srs", "ls"]).success().stdout();
    assert!(text.contains("k = 5") && text.contains("unsafe-dev"), "{text}");
    assert!(text.contains("ppot-0071"), "{text}");
}
