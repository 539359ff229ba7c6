//! CREATE2 through the common proxy: one code and one salt give one address on every chain.

use alloy::primitives::{Address, B256, Bytes, address, b256, hex, keccak256};

/// The proxy that Foundry and others deploy through. Its calldata is the salt and then the init
/// code; it answers with the 20 bytes of the new address.
pub const PROXY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// The proxy's runtime code.
pub const PROXY_CODE: &[u8] = &hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe036"
    "01600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// The salt that everything of ours is deployed with: keccak256("zkvouch.v3").
pub const SALT: B256 = b256!("b8e61edcab90dcd55aa5eada7fbd98ffd1a5efeccb77724b19cf3a291bfddbab");

/// The salt of the contracts before models were clones: keccak256("zkvouch.v2").
pub const FORMER_SALT: B256 =
    b256!("23b6e2159acb3d825c914cf19b227cdce6d9cc3763bd9960641408b0f5e9d812");

/// The address at which `init_code` lands: `keccak256(0xff ‖ proxy ‖ salt ‖ keccak256(init_code))`,
/// its last 20 bytes (EIP-1014).
pub fn address(salt: B256, init_code: &[u8]) -> Address {
    PROXY.create2(salt, keccak256(init_code))
}

/// What to send to the proxy.
pub fn calldata(salt: B256, init_code: &[u8]) -> Bytes {
    [salt.as_slice(), init_code].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_forge_predicts() {
        let run: super::super::tx::run_file::Run =
            serde_json::from_str(include_str!("testdata/forge-run-latest.json")).expect("a run");
        let deployed = &run.transactions[0];
        let (salt, init_code) = deployed.transaction.input.split_at(32);
        let salt = B256::from_slice(salt);
        assert_eq!(Some(address(salt, init_code)), deployed.contract_address);
        assert_eq!(calldata(salt, init_code), deployed.transaction.input);
        assert_eq!(keccak256("zkvouch.v3"), SALT);
        assert_eq!(keccak256("zkvouch.v2"), FORMER_SALT);
        assert_eq!(
            keccak256(PROXY_CODE),
            b256!("2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989")
        );
    }
}
