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
        // 31 zero bytes and another.
        let execution = 2 + 3 + 2 + 3 + 3 + 3 + 2;
        let (intrinsic, floor) = hardfork.rules().calldata(&word[..]);
        assert_eq!(result.gas_used, (intrinsic + execution).max(floor), "{hardfork}");
        assert_eq!(result.state_gas, 0);
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

/// What the table says is what revm charges, for calldata of every mixture.
#[test]
fn the_table_of_rules_is_what_is_charged() {
    let stop = SENDER.create(100);
    for hardfork in Hardfork::ALL {
        let rules = hardfork.rules();
        let mut evm = Evm::new(hardfork);
        evm.set_code(stop, bytes!("00"));
        for (zeros, others) in [(0, 0), (1, 0), (0, 1), (40, 9), (1_000, 1), (7, 3_000)] {
            let calldata = [vec![0; zeros], vec![7; others]].concat();
            let (intrinsic, floor) = rules.calldata(&calldata);
            let result = evm.call(stop, calldata.into(), evm.gas_limit()).expect("accepted");
            assert_eq!(result.gas_used, intrinsic.max(floor), "{hardfork}: {zeros} and {others}");
        }
        let [shorter, longer] = [1_000, 2_000].map(|length| evm.deploy(zeros(length)).expect("ok"));
        // The longer code is in more memory: 63 words instead of 32.
        let memory = 3 * (63 - 32) + (63 * 63 / 512 - 32 * 32 / 512);
        let (gas, state) =
            (longer.gas_used - shorter.gas_used, longer.state_gas - shorter.state_gas);
        // A word of code is hashed where its state is paid apart.
        let hashed = if rules.state_gas { 6 * (63 - 32) } else { 0 };
        assert_eq!(gas, 1_000 * rules.code_byte + memory + hashed, "{hardfork}");
        assert_eq!(state, if rules.state_gas { 1_000 * rules.code_byte } else { 0 });
    }
}

#[test]
fn limits_hold_and_can_be_lifted() {
    for hardfork in [Hardfork::Osaka, Hardfork::Amsterdam] {
        let Rules { runtime_code, init_code, .. } = *hardfork.rules();
        let mut evm = Evm::new(hardfork);
        // Where a byte of state costs 1,530, no block has room for the longest code.
        let longest = runtime_code.min(30_000);
        assert!(evm.deploy(zeros(longest)).is_ok());
        let error = evm.deploy(zeros(runtime_code + 1)).expect_err("too long");
        let words = ["CreateContractSizeLimit", "OutOfGas"];
        assert!(words.iter().any(|word| error.to_string().contains(word)), "{error}");
        assert!(evm.deploy(vec![0; init_code].into()).is_ok());
        let error = evm.deploy(vec![0; init_code + 1].into()).expect_err("too long");
        assert!(matches!(error, Error::Refused { .. }), "{error}");

        let mut evm = evm.without_limits();
        let deployed = evm.deploy(zeros(3 * runtime_code)).expect("no limit");
        assert_eq!(deployed.runtime_code.len(), 3 * runtime_code);
        assert!(evm.deploy(vec![0; 3 * init_code].into()).is_ok());
    }
    let capped = Evm::new(Hardfork::Osaka).call(SENDER, Bytes::new(), (1 << 24) + 1);
    assert!(matches!(capped, Err(Error::Refused { .. })), "{capped:?}");
}

/// EIP-7825 caps what is executed; gas for state may be asked for beyond it (EIP-8037).
#[test]
fn state_may_cost_more_than_a_transaction_may_execute() {
    let mut evm = Evm::new(Hardfork::Amsterdam);
    let cap = evm.hardfork().rules().transaction_gas;
    let deployed = evm.deploy(zeros(24_000)).expect("state has a gas of its own");
    assert!(deployed.gas_used > cap && deployed.state_gas > 24_000 * 1_530, "{deployed:?}");
    assert!(deployed.gas_used - deployed.state_gas < 200_000);
    // mstore(0x2d6900, 1): memory for some 17.2 million gas.
    let hog = SENDER.create(200);
    evm.set_code(hog, bytes!("6001622d69005200"));
    let result = evm.call(hog, Bytes::new(), evm.gas_limit()).expect("accepted");
    assert!(!result.success, "{result:?}");
    assert!(evm.clone().without_limits().call(hog, Bytes::new(), 1 << 26).expect("runs").success);
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
