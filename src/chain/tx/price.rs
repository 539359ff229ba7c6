//! Amounts of wei as users write and read them.

use alloy::primitives::utils::{ParseUnits, format_units, parse_units};

/// The amount in gwei without trailing zeros, as in `12.5 gwei`.
pub fn gwei(wei: u128) -> String {
    let text = format_units(wei, "gwei").unwrap_or_else(|_| wei.to_string());
    format!("{} gwei", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Reads a price: wei, `0x…` wei, or a number with a unit such as `10gwei` or `0.01ether`.
pub fn parse_price(text: &str) -> Result<u128, String> {
    let text = text.trim();
    let hint = || format!("{text:?} is no price; write wei, or a number with a unit as in 10gwei");
    if let Some(digits) = text.strip_prefix("0x") {
        return u128::from_str_radix(digits, 16).map_err(|_| hint());
    }
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = if unit.is_empty() { "wei" } else { unit };
    match parse_units(number.trim(), unit) {
        Ok(ParseUnits::U256(wei)) if !number.trim().is_empty() => {
            wei.try_into().map_err(|_| hint())
        }
        _ => Err(hint()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_as_foundry_reads_them() {
        assert_eq!(parse_price("1500"), Ok(1500));
        assert_eq!(parse_price("10gwei"), Ok(10_000_000_000));
        assert_eq!(parse_price("0.5 gwei"), Ok(500_000_000));
        assert_eq!(parse_price("1ether"), Ok(10u128.pow(18)));
        assert_eq!(parse_price("0x10"), Ok(16));
        for bad in ["", "gwei", "-1gwei", "1furlong", "1e9", "0xzz", &"9".repeat(60)] {
            assert!(parse_price(bad).is_err(), "{bad}");
        }
        assert_eq!(gwei(12_500_000_000), "12.5 gwei");
        assert_eq!(gwei(100_000_000_000), "100 gwei");
    }
}
