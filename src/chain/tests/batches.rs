//! Proofs of several predictions.

use super::{fixture::*, *};
use crate::chain::{
    ChainClass, Error, Mode,
    contracts::{
        Claims, LedgerRequest, ask as ask_contract, bindings::PredictionLedger,
        is_already_recorded, list_models, prediction_id, submit_to_ledger,
    },
    deployments::Deployments,
};
use alloy::primitives::B256;

/// Two proofs of four predictions each, the second not full.
#[tokio::test]
async fn predictions_of_one_proof_are_recorded_one_by_one_under_one_root() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sender = core_sender(&node, 0);
    let (core, added) =
        deploy_fixture(&sender, folder, "batch", None, Mode::Broadcast).await.expect("deployed");
    let models = list_models(node.rpc(), core.router).await.expect("listed");
    assert_eq!((models[0].predictions, models[0].route), (4, Some(added.route)));
    let descriptor = fixture_descriptor("batch");
    let model = fixture_model("batch").id;
    let file = Deployments::read(folder, 31337).expect("written");
    let submit = async |proofs: [&str; 2], counts: [usize; 2], context, mode| {
        let claims = Claims {
            model,
            former_ids: Vec::new(),
            descriptor: descriptor.clone(),
            proofs: proofs.map(|name| fixture_proof("batch", name)).to_vec(),
            counts: counts.to_vec(),
            shape: Shape { proof_len: 3360, n_instances: 20 },
        };
        let request = LedgerRequest::for_model(&file, claims, context, ChainClass::Local)?;
        submit_to_ledger(&sender, &request, mode).await
    };
    let context = B256::ZERO;
    let error = submit(["proof-1", "proof-0"], [3, 4], context, Mode::DryRun).await;
    assert!(matches!(error, Err(Error::ShortProof { number: 1, count: 3, each: 4 })), "{error:?}");
    let error = submit(["proof-0", "proof-1"], [4, 5], context, Mode::DryRun).await;
    assert!(matches!(error, Err(Error::ShortProof { number: 2, count: 5, each: 4 })), "{error:?}");

    let dry = submit(["proof-0", "proof-1"], [4, 3], context, Mode::DryRun).await.expect("valid");
    let sent = submit(["proof-0", "proof-1"], [4, 3], context, Mode::Broadcast).await;
    let sent = sent.expect("recorded");
    assert_eq!((sent.predictions.len(), sent.root), (7, dry.root));
    let root = sent.root.expect("a root");
    let parts: Vec<_> = ["proof-0", "proof-1"]
        .into_iter()
        .flat_map(|name| descriptor.parts(&fixture_proof("batch", name).instances).expect("fits"))
        .collect();
    // The fourth of the second proof is its third again, and no prediction.
    assert_eq!(parts[7], parts[6]);
    for (prediction, part) in sent.predictions.iter().zip(&parts) {
        let id = prediction_id(model, part, 31337, sender.address(), context);
        let recorded = prediction.recorded.as_ref().expect("in the event");
        assert_eq!((prediction.id, recorded.id), (id, id));
        assert_eq!(recorded.outputs, part[part.len() - 1..]);
        let path = prediction.path.clone();
        let call = PredictionLedger::isVerified_1Call { id, root, path };
        assert!(ask_contract(node.rpc(), core.ledger, &call).await.expect("answered"));
    }
    // One event for all.
    let logs = &sent.outcome.receipt().expect("mined").logs;
    assert_eq!(logs.len(), 1);
    let error = submit(["proof-0", "proof-1"], [4, 3], context, Mode::Broadcast).await;
    assert!(is_already_recorded(&error.expect_err("recorded before")));
}
