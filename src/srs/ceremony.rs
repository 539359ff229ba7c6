//! The ceremonies that are known: `[τ]₂` tells which one an SRS or a deployed verifier is from.

use crate::{field::BASE_MODULUS, model::provenance::Provenance, points::g2_to_raw};
use alloy::primitives::{B256, U256};
use ark_bn254::{Fq, Fq2, G2Affine};
use ark_ff::{BigInt, PrimeField as _};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::LazyLock};

/// The ceremony whose files ezkl publishes, for k up to 26.
pub const EZKL: &str = "ppot-0071";
/// The ceremony whose files for k from 6 to 14 are in the npm registry.
pub const NPM: &str = "ppot-challenge-0078";
/// No ceremony: the SRS of [`dev`](super::dev), whose τ is public.
pub const DEV: &str = "unsafe-zkvouch-dev";

/// A source of a structured reference string.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct Ceremony {
    /// Its short name, as in `ppot-0071`, by which a provenance names it.
    pub name: String,
    /// What it is and who uses it.
    pub note: String,
    /// Whether τ is known to somebody: not a ceremony at all, but a file made for tests.
    #[serde(rename = "unsafe")]
    pub is_unsafe: bool,
    /// `[τ]₂` as x.c0, x.c1, y.c0, y.c1.
    pub tau_g2: [U256; 4],
    /// The SHA-256 of its file for each k (halo2's raw ParamsKZG).
    pub sha256: BTreeMap<u32, B256>,
}

static CEREMONIES: LazyLock<Vec<Ceremony>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("ceremonies.json")).expect("the table is tested")
});

/// All ceremonies that are known.
pub fn all() -> &'static [Ceremony] {
    &CEREMONIES
}

/// The ceremony of that name.
pub fn by_name(name: &str) -> Option<&'static Ceremony> {
    all().iter().find(|ceremony| ceremony.name == name)
}

/// The ceremony that `[τ]₂` is from.
pub fn by_tau_g2(tau_g2: &G2Affine) -> Option<&'static Ceremony> {
    let raw = g2_to_raw(tau_g2);
    all().iter().find(|ceremony| ceremony.tau_g2().is_some_and(|point| g2_to_raw(&point) == raw))
}

/// The ceremony whose `−[τ]₂` a verifier contract embeds, in the EVM's order: x.c1, x.c0, y.c1,
/// y.c0. Only for a verifier whose other G2 point is the generator.
pub fn by_neg_s_g2(words: [U256; 4]) -> Option<&'static Ceremony> {
    let [x1, x0, y1, y0] = words;
    let negated = |y: U256| if y.is_zero() { y } else { BASE_MODULUS.wrapping_sub(y) };
    all().iter().find(|ceremony| ceremony.tau_g2 == [x0, x1, negated(y0), negated(y1)])
}

/// Who may know the τ of what was found in the table.
pub fn provenance(found: Option<&Ceremony>) -> Provenance {
    match found {
        Some(ceremony) if ceremony.is_unsafe => Provenance::UnsafeDev,
        Some(ceremony) => Provenance::Ceremony(ceremony.name.clone()),
        None => Provenance::Unrecognized,
    }
}

/// The ceremony and the k of the file with this SHA-256.
pub fn by_sha256(hash: B256) -> Option<(&'static Ceremony, u32)> {
    all().iter().find_map(|ceremony| {
        let (k, _) = ceremony.sha256.iter().find(|(_, known)| **known == hash)?;
        Some((ceremony, *k))
    })
}

impl Ceremony {
    fn tau_g2(&self) -> Option<G2Affine> {
        let [x0, x1, y0, y1] = self.tau_g2.map(|word| Fq::from_bigint(BigInt(word.into_limbs())));
        Some(G2Affine::new_unchecked(Fq2::new(x0?, x1?), Fq2::new(y0?, y1?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::g2_from_raw;

    #[test]
    fn every_ceremony_is_a_point_of_the_group_and_is_found() {
        assert_eq!(all().iter().filter(|ceremony| !ceremony.is_unsafe).count(), 6);
        for ceremony in all() {
            let point = ceremony.tau_g2().expect("canonical");
            assert_eq!(g2_from_raw(&g2_to_raw(&point)), Ok(point), "{}", ceremony.name);
            assert_eq!(by_tau_g2(&point).map(|found| &found.name), Some(&ceremony.name));
            let [x0, x1, y0, y1] = ceremony.tau_g2;
            let words = [x1, x0, BASE_MODULUS - y1, BASE_MODULUS - y0];
            assert_eq!(by_neg_s_g2(words).map(|found| &found.name), Some(&ceremony.name));
        }
        assert!(by_neg_s_g2([U256::MAX; 4]).is_none());
    }

    #[test]
    fn the_published_files_are_known() {
        let ezkl = by_name(EZKL).expect("in the table");
        assert_eq!(ezkl.sha256.keys().copied().collect::<Vec<_>>(), (1..=26).collect::<Vec<_>>());
        let npm = by_name(NPM).expect("in the table");
        assert_eq!(npm.sha256.keys().copied().collect::<Vec<_>>(), (1..=14).collect::<Vec<_>>());
        let (found, k) = by_sha256(ezkl.sha256[&17]).expect("in the table");
        assert_eq!((found.name.as_str(), k), (EZKL, 17));
    }
}
