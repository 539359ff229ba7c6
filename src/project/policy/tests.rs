use super::*;
use crate::{
    artifacts::{run_args::Visibility, settings::Settings},
    evm::Hardfork,
    model::provenance::Provenance,
    project::{
        caveat,
        graph::{Manifest, Step, StepRecord},
    },
    verifier::{ForkGas, GasReport},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};

fn settings() -> Settings {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Settings::read(&root.join("tests/data/tune/credit.settings.json")).expect("settings")
}

fn manifest(notes: &[(Step, Value)]) -> Manifest {
    let record = |notes: &Value| StepRecord {
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        notes: notes.clone(),
        elapsed_ms: 0,
        finished_at: 0,
    };
    let steps = notes.iter().map(|(step, notes)| (*step, record(notes))).collect();
    Manifest { steps, ..Manifest::default() }
}

fn rules(caveats: &[Caveat]) -> Vec<&'static str> {
    caveats.iter().map(|caveat| caveat.rule().id).collect()
}

const ENGINE: &str = crate::engine::DEFAULT_VERSION;

#[test]
fn each_visibility_breaks_its_rule() {
    let of = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings();
        settings.run_args.param_visibility = Visibility::Fixed;
        change(&mut settings);
        rules(&caveat::of(&settings, &manifest(&[]), ENGINE))
    };
    assert_eq!(of(&|_| {}), [""; 0]);
    assert_eq!(
        of(&|it| it.run_args.param_visibility = Visibility::Private),
        ["unbound-parameters"]
    );
    assert_eq!(of(&|it| it.run_args.param_visibility = Visibility::Public), ["unbound-parameters"]);
    assert_eq!(of(&|it| it.run_args.param_visibility = Visibility::KzgCommit), ["committed"]);
    assert_eq!(of(&|it| it.run_args.input_visibility = Visibility::Private), ["private-input"]);
    assert_eq!(of(&|it| it.run_args.input_visibility = Visibility::KzgCommit), ["committed"]);
    assert_eq!(of(&|it| it.run_args.output_visibility = Visibility::Private), ["private-output"]);
    assert_eq!(of(&|it| it.run_args.output_visibility = Visibility::KzgCommit), ["committed"]);
    assert_eq!(of(&|it| it.run_args.input_visibility = Visibility::hashed()), ["hashed"]);
}

#[test]
fn how_it_was_built_breaks_rules() {
    let mut settings = settings();
    settings.run_args.param_visibility = Visibility::Fixed;
    let of = |notes: &[(Step, Value)], engine: &str| {
        rules(&caveat::of(&settings, &manifest(notes), engine))
    };
    assert_eq!(of(&[], "22.0.0"), ["engine"]);
    let calibrated = |observations: usize| {
        (Step::Calibrate, json!({ "observations": observations, "more_gas": null, "how": {} }))
    };
    assert_eq!(of(&[calibrated(1)], ENGINE), ["one-observation"]);
    assert_eq!(of(&[calibrated(2)], ENGINE), [""; 0]);
    let judged = |unanswered: usize, max_error: f64| {
        let output = json!({ "name": "score", "max_error": max_error, "range": 10.0 });
        let judgement = json!({
            "observations": 20, "drawn": 190, "unanswered": unanswered, "ties": 0, "bound": "0.5",
            "outputs": [output],
        });
        (Step::Judge, judgement)
    };
    assert_eq!(of(&[judged(0, 0.2)], ENGINE), [""; 0]);
    assert_eq!(of(&[judged(3, 0.2)], ENGINE), ["unprovable"]);
    assert_eq!(of(&[judged(0, 0.3)], ENGINE), ["inaccurate"]);
    let prepared = crate::prepare::Notes::default();
    let prepared = json!({ "weights": [], "prepared": prepared, "unbound": ["age", "name"] });
    assert_eq!(of(&[(Step::Prepare, prepared)], ENGINE), ["unbound-input", "unbound-input"]);
}

#[test]
fn an_srs_breaks_a_rule_unless_it_is_of_a_ceremony() {
    let of = |provenance| rules(&Vec::from_iter(caveat::of_srs(&provenance)));
    assert_eq!(of(Provenance::UnsafeDev), ["test-srs"]);
    assert_eq!(of(Provenance::Unrecognized), ["unknown-srs"]);
    assert_eq!(of(Provenance::Ceremony("ppot-0071".into())), [""; 0]);
}

#[test]
fn what_is_near_a_limit_breaks_a_rule_under_each_fork() {
    let report = |size: usize, gas: u64, calldata: usize| GasReport {
        hardfork: Hardfork::Osaka,
        verify_gas: Some(gas),
        refusal_gas: None,
        calldata_gas: None,
        deploy_gas: 0,
        runtime_size: size,
        init_size: size,
        calldata_len: calldata,
        packed_calldata_len: None,
        forks: Hardfork::REPORTED
            .map(|hardfork| ForkGas {
                hardfork,
                verify_gas: Some(gas),
                packed_gas: None,
                deploy_gas: 0,
                deploy_state_gas: 0,
                deployable: true,
            })
            .to_vec(),
    };
    let of = |report: &GasReport| rules(&caveat::of_verifier(report));
    assert_eq!(of(&report(8_000, 500_000, 4_000)), [""; 0]);
    assert_eq!(of(&report(24_000, 500_000, 4_000)), ["code-size"]);
    assert_eq!(of(&report(60_000, 500_000, 4_000)), ["code-size", "code-size"]);
    assert_eq!(of(&report(8_000, 16_000_000, 4_000)), ["transaction-gas", "transaction-gas"]);
    assert_eq!(of(&report(8_000, 500_000, 125_000)), ["calldata"]);
}

#[test]
fn waivers_need_a_rule_and_a_reason() {
    let policy = |rule: &str, reason: &str| Policy {
        waive: BTreeMap::from([(rule.to_owned(), reason.to_owned())]),
    };
    policy("guardian", "nobody is to be able to").validate().expect("both are there");
    let error = policy("gardian", "x").validate().expect_err("no rule").to_string();
    assert!(error.contains("gardian") && error.contains("guardian"), "{error}");
    let error = policy("guardian", "  ").validate().expect_err("no reason").to_string();
    assert!(error.contains("reason"), "{error}");

    let caveats = || [Caveat::NoGuardian, Caveat::TestSrs];
    let waived = policy("guardian", "on purpose").judge(caveats());
    assert_eq!(waived[0].rule, "test-srs", "errors first");
    assert!(waived[0].is_fatal() && !waived[1].is_fatal());
    assert_eq!(waived[1].waived.as_deref(), Some("on purpose"));
    assert!(waived[1].to_string().ends_with("[guardian] (waived: on purpose)"), "{}", waived[1]);
    let unused = policy("engine", "why not");
    assert_eq!(unused.unused(&waived).collect::<Vec<_>>(), ["engine"]);
}

#[test]
fn every_rule_has_its_section() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/policy.md")).expect("the page");
    let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let ids = RULES.map(|rule| rule.id);
    assert_eq!(sections, ids);
    for rule in RULES {
        let row = format!("| [{0}](#{0}) | {1} | {2} |", rule.id, rule.severity, rule.title);
        assert!(page.contains(&row), "{row}");
    }
    assert_eq!(BTreeSet::from(ids).len(), ids.len());
}

#[test]
fn sarif_names_rules_places_and_waivers() {
    let waive = BTreeMap::from([("guardian".to_owned(), "on purpose".to_owned())]);
    let findings = Policy { waive }.judge([Caveat::TestSrs, Caveat::NoGuardian]);
    let document = sarif(&findings, "models/credit/zkvouch.toml");
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), RULES.len());
    let results = run["results"].as_array().expect("results");
    for (result, (id, level)) in
        results.iter().zip([("test-srs", "error"), ("guardian", "warning")])
    {
        assert_eq!((&result["ruleId"], &result["level"]), (&json!(id), &json!(level)));
        let index = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(rules[index]["id"], id);
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(place, "models/credit/zkvouch.toml");
    }
    assert_eq!(results[0]["suppressions"], json!([]));
    assert_eq!(results[1]["suppressions"][0]["justification"], "on purpose");
}

#[tokio::test]
async fn a_chain_that_lacks_something_breaks_a_rule() {
    use crate::chain::{
        ChainClass,
        node::anvil::{AnvilNode, AnvilOptions},
    };
    use alloy::primitives::Address;
    let local = |class| Target { class, owner: None, guardian: None, routed: true };
    for (hardfork, broken) in [
        ("osaka", &[][..]),
        ("shanghai", &["chain-opcode"]),
        ("london", &["chain-opcode", "chain-opcode"]),
    ] {
        let options = AnvilOptions { hardfork: hardfork.to_owned(), ..AnvilOptions::default() };
        let node = AnvilNode::spawn(options).await.expect("Anvil");
        let found = of_chain(node.rpc(), &local(ChainClass::Local)).await.expect("asked");
        assert_eq!(rules(&found), broken, "{hardfork}: {found:?}");
        if hardfork != "osaka" {
            continue;
        }
        let public = ChainClass::Public { unknown_srs: false };
        let (owner, guardian) = (Some(Address::repeat_byte(7)), Some(Address::repeat_byte(8)));
        let found = of_chain(node.rpc(), &Target { owner, ..local(public) }).await.expect("asked");
        assert_eq!(rules(&found), ["owner", "guardian"]);
        // One that lends itself code acts at once, too.
        let lent =
            ("0x0707070707070707070707070707070707070707", format!("0xef0100{}", "11".repeat(20)));
        let set: Value = node.rpc().request("anvil_setCode", lent).await.expect("set");
        assert_eq!(set, Value::Null);
        let found = of_chain(node.rpc(), &Target { owner, ..local(public) }).await.expect("asked");
        assert_eq!(rules(&found), ["owner", "guardian"]);
        let target = Target { owner: None, guardian, ..local(public) };
        assert_eq!(of_chain(node.rpc(), &target).await.expect("asked"), []);
        let target = Target { owner, routed: false, ..local(public) };
        assert_eq!(of_chain(node.rpc(), &target).await.expect("asked"), []);
    }
}
