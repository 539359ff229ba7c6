//! The file: halo2's raw `ParamsKZG`.
//!
//! `k` as u32 LE ‖ 2^k G1 `[τⁱ]₁` ‖ 2^k G1 `[Lᵢ(τ)]₁` ‖ G2 ‖ `[τ]₂`: 4 + 128·2^k + 256 bytes, points
//! as [`points`](crate::points) has them. `Lᵢ` is the Lagrange polynomial that is one at `ωⁱ`, where
//! ω is halo2's root of unity of order 2^k.

use super::{
    Error, Result,
    ceremony::{self, Ceremony},
    sums::{LagrangeSum, PowerSum, lagrange_basis},
};
use crate::{
    files::{self, Pending},
    model::provenance::Provenance,
    points::{self, G1_BYTES, G2_BYTES, g1_from_raw, g1_to_raw, g2_from_raw},
};
use alloy::primitives::U256;
use ark_bn254::{Bn254, G1Affine, G2Affine};
use ark_ec::{AffineRepr as _, pairing::Pairing as _};
use ark_ff::PrimeField as _;
use rayon::prelude::*;
use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// The largest k that ezkl and the field allow.
pub const MAX_K: u32 = 28;

const K_BYTES: u64 = 4;
/// Points that are read and summed at a time: 4 MiB of them on disk.
const CHUNK: usize = 1 << 16;

/// The length of the file for a k, in bytes.
pub const fn file_len(k: u32) -> u64 {
    K_BYTES + ((2 * G1_BYTES as u64) << k) + 2 * G2_BYTES as u64
}

/// An SRS on disk, of which the header, the first and the last points were looked at.
#[derive(Clone, Debug)]
pub struct SrsFile {
    path: PathBuf,
    k: u32,
    tau_g2: G2Affine,
}

impl SrsFile {
    /// Opens a file and checks its length, `[1]₁`, and the two G2 points.
    ///
    /// # Errors
    /// What is wrong with the file and what to do.
    pub fn open(path: &Path) -> Result<Self> {
        let error = || files::Error::at("read", path);
        let fault = |message: String| Err(Error::invalid(path, message));
        let mut file = File::open(path).map_err(error())?;
        let len = file.metadata().map_err(error())?.len();
        let mut head = Vec::new();
        (&mut file).take(K_BYTES + G1_BYTES as u64).read_to_end(&mut head).map_err(error())?;
        let Some((k, first)) = head.split_first_chunk::<4>() else {
            return fault(format!("{len} bytes are too few"));
        };
        let k = u32::from_le_bytes(*k);
        if let Some(message) = files::lfs_pointer(&head) {
            return fault(message.to_owned());
        }
        if head.starts_with(b"ptau") {
            return fault(
                "a .ptau file of snarkjs; `zkvouch srs import` makes an SRS of it".into(),
            );
        }
        if !(1..=MAX_K).contains(&k) {
            return fault(format!("it does not begin with a possible k (read {k})"));
        }
        if len != file_len(k) {
            let problem = if len < file_len(k) { "cut short" } else { "too long" };
            let expected = file_len(k);
            return fault(format!("{problem}: {len} bytes, but k={k} has {expected}"));
        }
        if g1_from_raw(first) != Ok(G1Affine::generator()) {
            return fault("its first point is not the generator".into());
        }
        file.seek(SeekFrom::Start(len - 2 * G2_BYTES as u64)).map_err(error())?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).map_err(error())?;
        let (g2, tau_g2) = tail.split_at(G2_BYTES.min(tail.len()));
        let point = |bytes, name: &str| {
            g2_from_raw(bytes).map_err(|error| Error::invalid(path, format!("{name} {error}")))
        };
        let (g2, tau_g2) = (point(g2, "its G2 generator")?, point(tau_g2, "its [τ]₂")?);
        if g2 != G2Affine::generator() {
            return fault("its G2 generator is not the usual one".into());
        }
        if tau_g2.is_zero() {
            return fault("τ is zero".into());
        }
        Ok(Self { path: path.to_owned(), k, tau_g2 })
    }

    /// The path that the file was opened at.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// log2 of the number of points.
    pub fn k(&self) -> u32 {
        self.k
    }

    /// `[τ]₂`, which tells one ceremony from another; never zero.
    pub fn tau_g2(&self) -> &G2Affine {
        &self.tau_g2
    }

    /// `−[τ]₂` as a verifier embeds it, in the pairing precompile's order: x imaginary, x real, y
    /// imaginary, y real.
    pub fn neg_tau_g2_words(&self) -> [U256; 4] {
        let point = -self.tau_g2;
        // τ is not zero, so the point has coordinates.
        let (x, y) = point.xy().unwrap_or_default();
        [x.c1, x.c0, y.c1, y.c0].map(|c| U256::from_limbs(c.into_bigint().0))
    }

    /// The ceremony that τ is from, if it is a known one. An SRS is that ceremony's only if
    /// [`verify`](Self::verify) holds, too.
    pub fn ceremony(&self) -> Option<&'static Ceremony> {
        ceremony::by_tau_g2(&self.tau_g2)
    }

    /// Who may know τ, as far as `[τ]₂` tells. An SRS is what it says only if
    /// [`verify`](Self::verify) holds, too.
    pub fn provenance(&self) -> Provenance {
        ceremony::provenance(self.ceremony())
    }

    /// Fails if the file is too small for a circuit of 2^k rows.
    ///
    /// # Errors
    /// [`Error::TooSmall`].
    pub fn check_k(&self, needed: u32) -> Result<()> {
        if self.k >= needed {
            return Ok(());
        }
        Err(Error::TooSmall { path: self.path.clone(), found: self.k, needed })
    }

    /// Checks all of it: coordinates are canonical and on the curve, the points are powers of the
    /// τ in `[τ]₂`, and the Lagrange points belong to them. That is two sums of 2^k points, so call
    /// it off the async threads.
    ///
    /// For a random z, `S = Σ zⁱ gᵢ`. That `gᵢ₊₁ = τ gᵢ` for all i is
    /// `e((S − g₀)/z, G2) = e(S − zⁿ⁻¹ gₙ₋₁, [τ]₂)`; and S is also `Σ f(ωⁱ) Lᵢ` for `f(X) = Σ zⁱ Xⁱ`,
    /// with `f(ωⁱ) = (zⁿ − 1)/(z ωⁱ − 1)`. A wrong point passes with probability below n/r.
    ///
    /// # Errors
    /// Which of the points or equations is wrong.
    pub fn verify(&self) -> Result<()> {
        let mut reader = self.reader()?;
        let mut powers = PowerSum::new();
        let n = 1 << self.k;
        for_points(&mut reader, &self.path, "g", n, |points| powers.add(points))?;
        self.check_powers(&powers)?;
        let mut lagrange = LagrangeSum::new(self.k, &powers);
        for_points(&mut reader, &self.path, "g_lagrange", n, |points| lagrange.add(points))?;
        lagrange.belongs_to(&powers).then_some(()).ok_or_else(|| wrong_lagrange(&self.path))
    }

    fn check_powers(&self, powers: &PowerSum) -> Result<()> {
        check_powers(&self.path, powers, &self.tau_g2)
    }

    /// Writes the SRS of a smaller k with the same τ: the first 2^k powers, and their Lagrange
    /// points by an inverse FFT over the curve (about 7 CPU seconds at k = 14, doubling with k). The
    /// result for a ceremony is the very file that the ceremony's publisher made for that k. What
    /// is written is right even if this file was never verified: the powers are checked here, and
    /// nothing else of it is used.
    ///
    /// # Errors
    /// If `k` is over this file's, its powers are wrong, or a file cannot be read or written.
    pub fn truncate_to(&self, k: u32, destination: &Path) -> Result<Self> {
        if !(1..=self.k).contains(&k) {
            let message = format!("it has k={}, so nothing for k={k} can be made from it", self.k);
            return Err(Error::invalid(&self.path, message));
        }
        let n = 1usize << k;
        let mut reader = self.reader()?;
        let mut powers = Vec::with_capacity(n);
        let mut sum = PowerSum::new();
        for_points(&mut reader, &self.path, "g", n, |points| {
            sum.add(points);
            powers.extend_from_slice(points);
        })?;
        self.check_powers(&sum)?;
        let lagrange = lagrange_basis(k, &powers);
        write(destination, k, &powers, &lagrange, &self.tau_g2)?;
        Self::open(destination)
    }

    /// Writes the 516-byte file for k = 1, which is enough to verify proofs of any k.
    pub fn reduced(&self, destination: &Path) -> Result<Self> {
        self.truncate_to(1, destination)
    }

    /// From the first point on.
    fn reader(&self) -> Result<BufReader<File>> {
        let error = || files::Error::at("read", &self.path);
        let mut file = File::open(&self.path).map_err(error())?;
        file.seek(SeekFrom::Start(K_BYTES)).map_err(error())?;
        Ok(BufReader::with_capacity(1 << 20, file))
    }
}

/// Fails unless the points are the powers of the τ in `[τ]₂`.
pub(super) fn check_powers(path: &Path, powers: &PowerSum, tau_g2: &G2Affine) -> Result<()> {
    let (shifted, unshifted) = powers.pair();
    if Bn254::pairing(shifted, G2Affine::generator()) == Bn254::pairing(unshifted, tau_g2) {
        return Ok(());
    }
    let message = "its points are not the powers of the τ in its [τ]₂";
    Err(Error::invalid(path, message.to_owned()))
}

/// That the points of the Lagrange basis are wrong.
pub(super) fn wrong_lagrange(path: &Path) -> Error {
    Error::invalid(path, "its Lagrange points do not belong to its powers of τ".to_owned())
}

/// Reads `count` points, a chunk at a time; checks that they are canonical and on the curve.
pub(super) fn for_points(
    reader: &mut impl Read,
    path: &Path,
    name: &str,
    count: usize,
    mut visit: impl FnMut(&[G1Affine]),
) -> Result<()> {
    let mut raw = vec![0; CHUNK.min(count) * G1_BYTES];
    for at in (0..count).step_by(CHUNK) {
        let raw = &mut raw[..CHUNK.min(count - at) * G1_BYTES];
        reader.read_exact(raw).map_err(files::Error::at("read", path))?;
        visit(&points_of(raw, path, name, at)?);
    }
    Ok(())
}

/// Decodes points on all cores; the first of them is number `at` of those that messages call `name`.
pub(super) fn points_of(raw: &[u8], path: &Path, name: &str, at: usize) -> Result<Vec<G1Affine>> {
    let read = |(index, bytes): (usize, &[u8])| {
        g1_from_raw(bytes)
            .map_err(|error| Error::invalid(path, format!("point {name}[{}] {error}", at + index)))
    };
    raw.par_chunks_exact(G1_BYTES).enumerate().map(read).collect()
}

/// Writes an SRS file atomically.
pub(super) fn write(
    destination: &Path,
    k: u32,
    powers: &[G1Affine],
    lagrange: &[G1Affine],
    tau_g2: &G2Affine,
) -> Result<()> {
    let mut pending = Pending::new(destination)?;
    let write_all = |file: &mut File| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&k.to_le_bytes())?;
        for point in powers.iter().chain(lagrange) {
            file.write_all(&g1_to_raw(point))?;
        }
        for point in [&G2Affine::generator(), tau_g2] {
            file.write_all(&points::g2_to_raw(point))?;
        }
        file.flush()
    };
    write_all(pending.file()).map_err(files::Error::at("write", destination))?;
    Ok(pending.commit()?)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{dev, sums::random_scalar},
        *,
    };
    use proptest::prelude::*;

    fn srs(k: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kzg.srs");
        dev::generate_with(random_scalar(), k, &path).expect("made");
        (folder, path)
    }

    #[test]
    fn a_whole_file_passes_and_its_truncations_do() {
        let (folder, path) = srs(5);
        let file = SrsFile::open(&path).expect("opens");
        file.verify().expect("holds");
        assert!(file.ceremony().is_none());
        for k in 1..=5 {
            let smaller = file.truncate_to(k, &folder.path().join("small")).expect("truncated");
            smaller.verify().expect("holds");
            assert_eq!((smaller.k(), smaller.tau_g2()), (k, file.tau_g2()));
        }
        // Computed from the powers here, and from τ when it was made.
        let again = folder.path().join("small");
        assert_eq!(files::read(&again).expect("read"), files::read(&path).expect("read"));
        assert!(file.truncate_to(6, &again).is_err());
        assert!(file.truncate_to(0, &again).is_err());
        let reduced = file.reduced(&folder.path().join("k1")).expect("reduced");
        assert_eq!(files::read(reduced.path()).expect("read").len(), 516);
    }

    #[test]
    fn every_kind_of_damage_is_found() {
        let (_folder, path) = srs(3);
        let whole = files::read(&path).expect("read");
        let other = {
            let (_folder, path) = srs(3);
            files::read(&path).expect("read")
        };
        let check = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            SrsFile::open(&path).and_then(|file| file.verify()).expect_err("damaged").to_string()
        };
        let point = |index: usize| 4 + 64 * index..4 + 64 * (index + 1);
        let mut off_curve = whole.clone();
        off_curve[point(3).start] ^= 1;
        assert!(check(&off_curve).contains("point g[3] is not on the curve"));
        let mut swapped = whole.clone();
        swapped.copy_within(point(3), point(4).start);
        assert!(check(&swapped).contains("not the powers of the τ"));
        let file = SrsFile::open(&path).expect("opens");
        let cut = path.with_extension("cut");
        assert!(file.truncate_to(3, &cut).is_err() && !cut.exists());
        file.truncate_to(2, &cut).expect("the damage is behind").verify().expect("holds");
        let mut last = whole.clone();
        last.copy_within(point(3), point(7).start);
        assert!(check(&last).contains("not the powers of the τ"));
        let mut lagrange = whole.clone();
        lagrange.copy_within(point(8), point(9).start);
        assert!(check(&lagrange).contains("Lagrange points"));
        let mut infinity = whole.clone();
        infinity[point(15)].fill(0);
        assert!(check(&infinity).contains("Lagrange points"));
        let mut generator = whole.clone();
        generator.copy_within(point(1), point(0).start);
        assert!(check(&generator).contains("first point is not the generator"));
        let tail = whole.len() - 128;
        let mut tau = whole.clone();
        tau[tail..].copy_from_slice(&other[tail..]);
        assert!(check(&tau).contains("not the powers of the τ"));
        let mut tau = whole.clone();
        tau[tail] ^= 1;
        assert!(check(&tau).contains("[τ]₂ is not on the curve"));
        let mut tau = whole.clone();
        tau[tail..].fill(0);
        assert!(check(&tau).contains("τ is zero"));
        let mut g2 = whole.clone();
        g2.copy_within(tail.., tail - 128);
        assert!(check(&g2).contains("G2 generator is not the usual one"));
        assert!(check(&whole[..whole.len() - 1]).contains("cut short: 1283 bytes"));
        assert!(check(&[&whole[..], b"\n"].concat()).contains("too long"));
        assert!(check(b"ptau\x01\x00\x00\x00").contains(".ptau"));
        assert!(check(b"<html><body>404</body></html>").contains("possible k"));
        assert!(check(b"").contains("0 bytes are too few"));
        std::fs::write(&path, &whole).expect("written");
        SrsFile::open(&path).and_then(|file| file.verify()).expect("whole again");
    }

    #[test]
    fn points_of_two_ceremonies_do_not_mix() {
        let ((_a, one), (_b, two)) = (srs(2), srs(2));
        let (one_bytes, two_bytes) =
            (files::read(&one).expect("read"), files::read(&two).expect("read"));
        // All powers from one and all Lagrange points from the other.
        let half = 4 + 64 * 4;
        let end = half + 64 * 4;
        let mixed = [&one_bytes[..half], &two_bytes[half..end], &one_bytes[end..]].concat();
        std::fs::write(&one, mixed).expect("written");
        let error = SrsFile::open(&one).and_then(|file| file.verify()).expect_err("mixed");
        assert!(error.to_string().contains("Lagrange"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(k in 0u8..4, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("x");
            std::fs::write(&path, [&[k, 0, 0, 0][..], &bytes].concat()).expect("written");
            prop_assert!(SrsFile::open(&path).is_err());
        }
    }
}
