use super::*;
use alloy::primitives::{b256, bytes, hex};

/// Init code that returns `runtime`, which must be shorter than 256 bytes.
fn returning(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).expect("short");
    let mut code = vec![0x60, length, 0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3, 0x00];
    code.extend_from_slice(runtime);
    code.into()
}

/// Init code that returns `length` zero bytes.
fn zeros(length: usize) -> Bytes {
    let mut code = vec![0x62];
    code.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    code.extend_from_slice(&hex!("5ff3"));
    code.into()
}

#[test]
fn a_transaction_costs_what_the_yellow_paper_says() {
    // `calldataload(0)` returned: 3 + 2 + 2 + 3 (+3 memory) + 2 + 3.
    let runtime = hex!("5f355f5260205ff3");
    for hardfork in Hardfork::ALL {
        let mut evm = Evm::new(hardfork);
        let deployed = evm.deploy(returning(&runtime)).expect("created");
        assert_eq!(deployed.runtime_code[..], runtime);
        assert_eq!(deployed.address, SENDER.create(0));
        let word = b256!("00000000000000000000000000000000000000000000000000000000000000ff");
        let result = evm.call(deployed.address, word.into(), evm.gas_limit()).expect("accepted");
        assert!(result.success);
        assert_eq!(result.output[..], word[..]);
        // 31 zero bytes and another: 4 and 16 gas, or at least 10 and 40 from Prague on.
        let execution = 2 + 3 + 2 + 3 + 3 + 3 + 2;
        let floor = if hardfork >= Hardfork::Prague { 21_000 + 31 * 10 + 40 } else { 0 };
        assert_eq!(result.gas_used, (21_000 + 31 * 4 + 16 + execution).max(floor), "{hardfork}");
    }
}

#[test]
fn a_call_forgets_and_a_transaction_keeps() {
    // sstore(0, add(sload(0), 1)), return sload(0).
    let runtime = hex!("60015f54015f555f545f5260205ff3");
    let mut evm = Evm::default();
    let address = evm.deploy(returning(&runtime)).expect("created").address;
    let gas = evm.gas_limit();
    let last = |result: CallResult| result.output.last().copied();
    for _ in 0..2 {
        assert_eq!(last(evm.call(address, Bytes::new(), gas).expect("accepted")), Some(1));
    }
    assert_eq!(last(evm.transact(address, Bytes::new(), gas).expect("accepted")), Some(1));
    assert_eq!(last(evm.transact(address, Bytes::new(), gas).expect("accepted")), Some(2));
}

#[test]
fn reverts_and_halts_are_results() {
    let mut evm = Evm::default();
    let reverting = SENDER.create(100);
    evm.set_code(reverting, bytes!("60aa5f5260205ffd"));
    let result = evm.call(reverting, Bytes::new(), 100_000).expect("accepted");
    assert!(!result.success && result.halt.is_none());
    assert_eq!(result.output.last(), Some(&0xaa));
    let invalid = SENDER.create(101);
    evm.set_code(invalid, bytes!("fe"));
    let result = evm.call(invalid, Bytes::new(), 100_000).expect("accepted");
    assert!(!result.success && result.halt.is_some());
    assert_eq!(result.gas_used, 100_000);
    let constructor = evm.deploy(bytes!("60aa5f5260205ffd")).expect_err("reverts");
    assert!(constructor.to_string().contains("000000aa"), "{constructor}");
}

#[test]
fn limits_hold_and_can_be_lifted() {
    let mut evm = Evm::new(Hardfork::Osaka);
    assert!(evm.deploy(zeros(RUNTIME_CODE_LIMIT)).is_ok());
    let error = evm.deploy(zeros(RUNTIME_CODE_LIMIT + 1)).expect_err("too long");
    assert!(error.to_string().contains("CreateContractSizeLimit"), "{error}");
    assert!(evm.deploy(vec![0; INIT_CODE_LIMIT].into()).is_ok());
    let error = evm.deploy(vec![0; INIT_CODE_LIMIT + 1].into()).expect_err("too long");
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let error = evm.call(SENDER, Bytes::new(), TRANSACTION_GAS_LIMIT + 1).expect_err("over");
    assert!(matches!(error, Error::Refused { .. }), "{error}");

    let mut evm = evm.without_limits();
    let deployed = evm.deploy(zeros(3 * RUNTIME_CODE_LIMIT)).expect("no limit");
    assert_eq!(deployed.runtime_code.len(), 3 * RUNTIME_CODE_LIMIT);
    assert!(evm.deploy(vec![0; 3 * INIT_CODE_LIMIT].into()).is_ok());
}

#[test]
fn hardforks_have_names() {
    for hardfork in Hardfork::ALL {
        assert_eq!(hardfork.to_string().to_uppercase().parse::<Hardfork>().ok(), Some(hardfork));
        let json = serde_json::to_string(&hardfork).expect("a string");
        assert_eq!(json, format!("\"{hardfork}\""));
    }
    let error = "london".parse::<Hardfork>().expect_err("too old");
    assert!(error.to_string().contains("cancun"));
}
