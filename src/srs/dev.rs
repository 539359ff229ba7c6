//! An SRS made on this machine, for development: its maker could have kept τ and forge any proof.

use super::{
    Error, Result,
    file::{random_scalar, root_of_unity, write},
};
use ark_bn254::{Fr, G1Projective, G2Projective};
use ark_ec::{CurveGroup as _, PrimeGroup as _, scalar_mul::BatchMulPreprocessing};
use ark_ff::{Field as _, One as _};
use std::path::Path;
use zeroize::Zeroize as _;

/// The largest k that is made: 2^20 rows take about a minute.
pub const MAX_K: u32 = 20;

/// Writes an SRS with a τ from the operating system's randomness, which is wiped afterwards.
///
/// # Errors
/// If k is 0 or over [`MAX_K`], or the file cannot be written.
pub fn generate(k: u32, destination: &Path) -> Result<()> {
    if !(1..=MAX_K).contains(&k) {
        return Err(Error::DevTooLarge { k });
    }
    let n = 1usize << k;
    let mut tau = random_scalar();
    let mut powers = Vec::with_capacity(n);
    let mut power = Fr::one();
    for _ in 0..n {
        powers.push(power);
        power *= tau;
    }
    // Lᵢ(τ) = ωⁱ (τⁿ − 1) / (n (τ − ωⁱ)); `power` is τⁿ. τ is no root of unity but with
    // probability n/r.
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
    tau.zeroize();
    power.zeroize();
    powers.zeroize();
    lagrange.zeroize();
    write(destination, k, &g, &g_lagrange, &tau_g2)
}
