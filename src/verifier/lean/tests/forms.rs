//! The form that is cheap to deploy beside the one that is cheap to call.

use super::*;

#[tokio::test]
async fn less_code_costs_a_little_more_a_call() {
    for name in MODELS {
        let mut sizes = Vec::new();
        let mut gas = Vec::new();
        for form in FORMS {
            let mut d = Deployed::of(name, form).await;
            assert_eq!(d.lean.optimized_for(), form);
            let (proof, words) = (d.fixture.proof.clone(), d.words());
            let result = d.call(d.at, equivalence::calldata_one(&proof, &words));
            assert!(result.success, "{name} {form}");
            gas.push(result.gas_used);
            sizes.push(d.evm.code(d.at).len());
        }
        let (calls, deployment) = (gas[0] as f64, gas[1] as f64);
        assert!(deployment > calls && deployment < 1.03 * calls, "{name}: {gas:?}");
        assert!(sizes[1] * 100 < sizes[0] * 90, "{name}: {sizes:?}");
    }
}
