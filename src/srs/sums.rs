//! Sums over the points of an SRS, by which all of it is checked at once.

use crate::field::TWO_ADICITY;
use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr as _, CurveGroup as _, VariableBaseMSM as _};
use ark_ff::{AdditiveGroup as _, Field as _, One as _, PrimeField as _};
use ark_poly::{EvaluationDomain as _, Radix2EvaluationDomain};
use rand::{RngCore as _, rngs::OsRng};

/// `Σ zⁱ gᵢ` for a random z that is not zero, and what else the check of powers needs.
pub(super) struct PowerSum {
    z: Fr,
    z_inverse: Fr,
    /// zⁿ after n points.
    power: Fr,
    sum: G1Projective,
    first: Option<G1Affine>,
    last: G1Affine,
}

impl PowerSum {
    pub(super) fn new() -> Self {
        let (z, z_inverse) = loop {
            let z = random_scalar();
            if let Some(inverse) = z.inverse() {
                break (z, inverse);
            }
        };
        let (power, sum, last) = (Fr::one(), G1Projective::ZERO, G1Affine::identity());
        Self { z, z_inverse, power, sum, first: None, last }
    }

    pub(super) fn add(&mut self, points: &[G1Affine]) {
        let mut scalars = Vec::with_capacity(points.len());
        for _ in points {
            scalars.push(self.power);
            self.power *= self.z;
        }
        self.sum += G1Projective::msm_unchecked(points, &scalars);
        self.first = self.first.or(points.first().copied());
        self.last = points.last().copied().unwrap_or(self.last);
    }

    /// `Σ zⁱ gᵢ₊₁` and `Σ zⁱ gᵢ`, both for i from 0 to n − 2.
    pub(super) fn pair(&self) -> (G1Projective, G1Projective) {
        let shifted = (self.sum - self.first.unwrap_or_default()) * self.z_inverse;
        let unshifted = self.sum - self.last * (self.power * self.z_inverse);
        (shifted, unshifted)
    }
}

/// `Σ Lᵢ / (z ωⁱ − 1)` over the points of a Lagrange basis, for the z of a [`PowerSum`].
pub(super) struct LagrangeSum {
    omega: Fr,
    /// z ωⁱ after i points.
    z_omega: Fr,
    sum: G1Projective,
}

impl LagrangeSum {
    pub(super) fn new(k: u32, powers: &PowerSum) -> Self {
        Self { omega: root_of_unity(k), z_omega: powers.z, sum: G1Projective::ZERO }
    }

    pub(super) fn add(&mut self, points: &[G1Affine]) {
        let mut scalars = Vec::with_capacity(points.len());
        for _ in points {
            scalars.push(self.z_omega - Fr::one());
            self.z_omega *= self.omega;
        }
        ark_ff::batch_inversion(&mut scalars);
        self.sum += G1Projective::msm_unchecked(points, &scalars);
    }

    /// Whether these are the Lagrange points of those powers, after as many of the one as of the other.
    pub(super) fn belongs_to(&self, powers: &PowerSum) -> bool {
        self.sum * (powers.power - Fr::one()) == powers.sum
    }
}

/// halo2's primitive root of unity of order 2^k: 7 generates the multiplicative group, and
/// r − 1 = 2^28 · t with odd t.
pub(super) fn root_of_unity(k: u32) -> Fr {
    root_from(7, k)
}

/// The root of unity of order 2^k that another generator, or another non-residue, gives.
pub(super) fn root_from(base: u64, k: u32) -> Fr {
    let mut t = Fr::MODULUS;
    t.0[0] -= 1;
    t >>= TWO_ADICITY;
    Fr::from(base).pow(t).pow([1u64 << (TWO_ADICITY - k)])
}

/// `[Lᵢ(τ)]₁` from `[τⁱ]₁`, in halo2's order of the roots of unity.
pub(super) fn lagrange_basis(k: u32, powers: &[G1Affine]) -> Vec<G1Affine> {
    let omega = root_of_unity(k);
    let size = Fr::from(1u64 << k);
    let inverse = |scalar: Fr| scalar.inverse().unwrap_or(Fr::ZERO);
    // arkworks' own domain has another root of unity, which would permute the result.
    let domain = Radix2EvaluationDomain {
        size: 1 << k,
        log_size_of_group: k,
        size_as_field_element: size,
        size_inv: inverse(size),
        group_gen: omega,
        group_gen_inv: inverse(omega),
        offset: Fr::one(),
        offset_inv: Fr::one(),
        offset_pow_size: Fr::one(),
    };
    let powers: Vec<_> = powers.iter().map(|point| point.into_group()).collect();
    G1Projective::normalize_batch(&domain.ifft(&powers))
}

/// A scalar from the operating system's randomness, uniform to within 2^-128.
pub(super) fn random_scalar() -> Fr {
    let mut bytes = [0; 48];
    OsRng.fill_bytes(&mut bytes);
    Fr::from_le_bytes_mod_order(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_unity_is_halo2s() {
        // ROOT_OF_UNITY of halo2curves' bn256::Fr.
        let hex = "0x03ddb9f5166d18b798865ea93dd31f743215cf6dd39329c8d34f1ed960c37c9c";
        let expected: alloy::primitives::U256 = hex.parse().expect("hex");
        assert_eq!(root_of_unity(28).into_bigint().0, expected.into_limbs());
        assert_eq!(root_of_unity(1), -Fr::one());
    }
}
