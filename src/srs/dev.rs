//! An SRS for development. Its τ is fixed and public, so that anybody can forge a proof under it, and
//! every file and every verifier made with it is recognised by its `[τ]₂`.

use super::{Error, Result, file::write, sums::root_of_unity};
use crate::files;
use ark_bn254::{Fr, G1Projective, G2Projective};
use ark_ec::{CurveGroup as _, PrimeGroup as _, scalar_mul::BatchMulPreprocessing};
use ark_ff::{Field as _, One as _, PrimeField as _};
use std::path::Path;

/// The largest k that is made: 2^20 rows take about a minute.
pub const MAX_K: u32 = 20;

/// τ: the SHA-256 of this text, as a big-endian number modulo r.
const TAU_TEXT: &[u8] = b"zkvouch unsafe-dev SRS: this tau is public";

/// The public τ of every SRS that is made here.
pub fn tau() -> Fr {
    Fr::from_be_bytes_mod_order(files::sha256(TAU_TEXT).as_slice())
}

/// Writes the SRS of size k with the public τ. It is the same file each time.
///
/// # Errors
/// If k is 0 or over [`MAX_K`], or the file cannot be written.
pub fn generate(k: u32, destination: &Path) -> Result<()> {
    generate_with(tau(), k, destination)
}

/// As [`generate`], with another τ.
pub(super) fn generate_with(tau: Fr, k: u32, destination: &Path) -> Result<()> {
    if !(1..=MAX_K).contains(&k) {
        return Err(Error::DevTooLarge { k });
    }
    let n = 1usize << k;
    let mut powers = Vec::with_capacity(n);
    let mut power = Fr::one();
    for _ in 0..n {
        powers.push(power);
        power *= tau;
    }
    // Lᵢ(τ) = ωⁱ (τⁿ − 1) / (n (τ − ωⁱ)); `power` is τⁿ. τ is no root of unity of order
    // 2^k, which a test of the largest k would show.
    let omega = root_of_unity(k);
    let factor = (power - Fr::one()) * Fr::from(n as u64).inverse().unwrap_or_default();
    let mut root = Fr::one();
    let mut lagrange = Vec::with_capacity(n);
    for _ in 0..n {
        lagrange.push(tau - root);
        root *= omega;
    }
    ark_ff::batch_inversion(&mut lagrange);
    let mut root = factor;
    for scalar in &mut lagrange {
        *scalar *= root;
        root *= omega;
    }
    let table = BatchMulPreprocessing::new(G1Projective::generator(), 2 * n);
    let g = table.batch_mul(&powers);
    let g_lagrange = table.batch_mul(&lagrange);
    let tau_g2 = (G2Projective::generator() * tau).into_affine();
    write(destination, k, &g, &g_lagrange, &tau_g2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srs::{SrsFile, ceremony};

    #[test]
    fn its_tau_is_in_the_table_and_every_file_is_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) = (folder.path().join("1.srs"), folder.path().join("2.srs"));
        generate(4, &one).expect("made");
        generate(4, &two).expect("made");
        assert_eq!(
            files::sha256_file(&one).expect("read"),
            files::sha256_file(&two).expect("read")
        );
        let file = SrsFile::open(&one).expect("an SRS");
        file.verify().expect("sound");
        let found = file.ceremony().unwrap_or_else(|| panic!("{:?}", file.neg_tau_g2_words()));
        assert!(found.is_unsafe && found.name == ceremony::DEV, "{found:?}");
        let in_code = ceremony::by_neg_s_g2(file.neg_tau_g2_words());
        assert_eq!(in_code.map(|it| &it.name), Some(&found.name));
    }

    #[test]
    fn tau_is_no_root_of_unity() {
        for k in 1..=MAX_K {
            assert_ne!(tau().pow([1 << k]), Fr::one(), "{k}");
        }
    }
}
