//! An SRS out of another tool's file: snarkjs' `.ptau`, or points one after the other.
//!
//! A `.ptau` is `ptau` ‖ u32 version ‖ u32 number of sections ‖ sections, each u32 kind ‖ u64 length ‖ content, little endian.
//! Kind 1 is the header: u32 32 ‖ q ‖ u32 power ‖ u32 the ceremony's power. Kind 2 has the 2^(power+1) − 1 powers `[τⁱ]₁`, kind
//! 3 the 2^power `[τⁱ]₂`, in the very form of halo2's file (see [`points`](crate::points)). A prepared file has in kind 12 the
//! Lagrange points of each size 2^j, j from 0 to power + 1, one size after the other, in the order of another root of unity.

use super::{
    Error, MAX_K, Result, SrsFile,
    file::{check_powers, for_points, points_of, write, wrong_lagrange},
    sums::{LagrangeSum, PowerSum, lagrange_basis, root_from, root_of_unity},
};
use crate::{
    field::BASE_MODULUS,
    files,
    points::{G1_BYTES, G2_BYTES, g1_to_raw, g2_from_raw},
};
use ark_bn254::{Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr as _;
use ark_ff::{BigInteger as _, One as _, PrimeField as _};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek as _, SeekFrom},
    path::Path,
};

/// What to take of a file.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The size to make; all that is there if none is given.
    pub k: Option<u32>,
    /// `[τ]₂`, 128 bytes in any of the usual orders, for a file that has points of G1 alone.
    pub tau_g2: Option<Vec<u8>>,
    /// Where in such a file the first point, the generator, is; in bytes.
    pub offset: u64,
}

/// Writes another tool's SRS as halo2's. Every point is checked, whoever made the file: it has the powers
/// of the τ in its `[τ]₂`, and the Lagrange points are taken over only if they belong to them.
///
/// Takes 128 bytes of memory for a point, twice that where Lagrange points have to be worked out.
///
/// # Errors
/// A file of no kind that is known, one that is damaged or too small, and one whose points are wrong.
pub fn import(source: &Path, options: &Import, destination: &Path) -> Result<SrsFile> {
    let mut file = File::open(source).map_err(files::Error::at("read", source))?;
    let mut head = Vec::new();
    (&mut file).take(4).read_to_end(&mut head).map_err(files::Error::at("read", source))?;
    let found = match (&head[..], &options.tau_g2) {
        (b"ptau", _) => Ptau::read(source, file)?.points(options.k)?,
        (_, Some(tau_g2)) => bare_points(source, file, options, tau_g2)?,
        _ => {
            let whole = SrsFile::open(source)?;
            return whole.truncate_to(options.k.unwrap_or(whole.k()), destination);
        }
    };
    let Found { k, powers, lagrange, tau_g2 } = found;
    let mut sum = PowerSum::new();
    sum.add(&powers);
    check_powers(source, &sum, &tau_g2)?;
    let lagrange = match lagrange {
        Some(points) => {
            let mut check = LagrangeSum::new(k, &sum);
            check.add(&points);
            check.belongs_to(&sum).then_some(points).ok_or_else(|| wrong_lagrange(source))?
        }
        None => lagrange_basis(k, &powers),
    };
    write(destination, k, &powers, &lagrange, &tau_g2)?;
    SrsFile::open(destination)
}

/// What a file has, with nothing checked but that its points are points.
struct Found {
    k: u32,
    /// `[τⁱ]₁`, 2^k of them.
    powers: Vec<G1Affine>,
    /// The Lagrange points, in halo2's order.
    lagrange: Option<Vec<G1Affine>>,
    tau_g2: G2Affine,
}

/// The k to take of a file that has powers for `most`.
fn size(path: &Path, wanted: Option<u32>, most: u32) -> Result<u32> {
    let k = wanted.unwrap_or(most.min(MAX_K));
    match k {
        0 => Err(Error::invalid(path, "there is no SRS of k=0; use --logrows 1 or more".into())),
        _ if k > most => Err(Error::TooSmall { path: path.to_owned(), found: most, needed: k }),
        _ if k > MAX_K => Err(Error::NoCeremony { k }),
        _ => Ok(k),
    }
}

fn first_is_generator(path: &Path, powers: &[G1Affine]) -> Result<()> {
    match powers.first() {
        Some(first) if *first == G1Affine::generator() => Ok(()),
        _ => Err(Error::invalid(path, "its first point is not the generator".into())),
    }
}

const HEADER: u32 = 1;
const TAU_G1: u32 = 2;
const TAU_G2: u32 = 3;
const LAGRANGE_G1: u32 = 12;

/// A `.ptau` whose sections were found.
struct Ptau<'a> {
    path: &'a Path,
    file: File,
    power: u32,
    /// Where the content of each kind begins, and its length.
    sections: BTreeMap<u32, (u64, u64)>,
}

impl<'a> Ptau<'a> {
    /// `file` stands behind the first four bytes.
    fn read(path: &'a Path, mut file: File) -> Result<Self> {
        let fault = |message: String| Error::invalid(path, message);
        let end = file.metadata().map_err(files::Error::at("read", path))?.len();
        let [version, count] = words(path, &mut file)?;
        if version != 1 {
            return Err(fault(format!("a .ptau of version {version}; version 1 is known")));
        }
        let mut sections = BTreeMap::new();
        let mut at = 12;
        for _ in 0..count {
            let [kind, low, high] = words(path, &mut file)?;
            let length = u64::from(low) | u64::from(high) << 32;
            at += 12;
            if length > end - at.min(end) {
                let message = format!("cut short: its section {kind} has {length} bytes");
                return Err(fault(message));
            }
            sections.insert(kind, (at, length));
            at += length;
            file.seek(SeekFrom::Start(at)).map_err(files::Error::at("read", path))?;
        }
        let mut ptau = Self { path, file, power: 0, sections };
        ptau.power = ptau.header()?;
        for (kind, points, bytes) in
            [(TAU_G1, (2u64 << ptau.power) - 1, G1_BYTES), (TAU_G2, 1 << ptau.power, G2_BYTES)]
        {
            let expected = points * bytes as u64;
            let found = ptau.sections.get(&kind).map(|(_, length)| *length);
            if found != Some(expected) {
                let found = found.map_or("missing".into(), |found| format!("{found} bytes long"));
                let message =
                    format!("its section {kind} is {found}; power {} has {expected}", ptau.power);
                return Err(fault(message));
            }
        }
        Ok(ptau)
    }

    fn header(&mut self) -> Result<u32> {
        let path = self.path;
        let fault = |message: &str| Error::invalid(path, message.to_owned());
        let Some((at, 44)) = self.sections.get(&HEADER).copied() else {
            return Err(fault("a .ptau without a header of 44 bytes"));
        };
        self.seek(at)?;
        let header: [u32; 11] = words(path, &mut self.file)?;
        let modulus = BASE_MODULUS.as_limbs().map(|limb| [limb as u32, (limb >> 32) as u32]);
        if header[0] != 32 || header[1..9] != modulus.as_flattened()[..] {
            return Err(fault("a .ptau of another curve; only BN254 (bn128) serves"));
        }
        match header[9] {
            power @ 1..=MAX_K => Ok(power),
            power => Err(fault(&format!("a .ptau of power {power}; 1 to {MAX_K} are possible"))),
        }
    }

    fn points(&mut self, wanted: Option<u32>) -> Result<Found> {
        let k = size(self.path, wanted, self.power)?;
        let n = 1usize << k;
        let powers = self.g1(TAU_G1, 0, n, "g")?;
        first_is_generator(self.path, &powers)?;
        let (at, _) = self.sections[&TAU_G2];
        self.seek(at + G2_BYTES as u64)?;
        let mut bytes = [0; G2_BYTES];
        self.file.read_exact(&mut bytes).map_err(files::Error::at("read", self.path))?;
        let tau_g2 = g2_from_raw(&bytes)
            .map_err(|error| Error::invalid(self.path, format!("its [τ]₂ {error}")))?;
        if tau_g2.is_zero() {
            return Err(Error::invalid(self.path, "τ is zero".into()));
        }
        // The sizes below this one have 2^k − 1 points together.
        let begins = n as u64 - 1;
        let enough = (begins + n as u64) * G1_BYTES as u64;
        let prepared = self.sections.get(&LAGRANGE_G1).is_some_and(|(_, length)| *length >= enough);
        let lagrange = match prepared {
            true => Some(reordered(k, &self.g1(LAGRANGE_G1, begins, n, "g_lagrange")?)),
            false => None,
        };
        Ok(Found { k, powers, lagrange, tau_g2 })
    }

    fn g1(&mut self, kind: u32, from: u64, count: usize, name: &str) -> Result<Vec<G1Affine>> {
        let (at, _) = self.sections[&kind];
        self.seek(at + from * G1_BYTES as u64)?;
        let mut points = Vec::with_capacity(count);
        let mut reader = BufReader::with_capacity(1 << 20, &self.file);
        for_points(&mut reader, self.path, name, count, |some| points.extend_from_slice(some))?;
        Ok(points)
    }

    fn seek(&mut self, at: u64) -> Result<()> {
        let moved = self.file.seek(SeekFrom::Start(at));
        Ok(moved.map(drop).map_err(files::Error::at("read", self.path))?)
    }
}

fn words<const N: usize>(path: &Path, file: &mut File) -> Result<[u32; N]> {
    let mut words = [0; N];
    for word in &mut words {
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes)
            .map_err(|_| Error::invalid(path, "a .ptau that is cut short".into()))?;
        *word = u32::from_le_bytes(bytes);
    }
    Ok(words)
}

/// snarkjs' order is that of the powers of another root of unity of the same order, so that halo2's i-th point
/// is its point number e·i mod n, where halo2's root is the e-th power of the other.
fn reordered(k: u32, points: &[G1Affine]) -> Vec<G1Affine> {
    /// The least quadratic non-residue, whose power is snarkjs' root.
    const NON_RESIDUE: u64 = 5;
    let (theirs, ours) = (root_from(NON_RESIDUE, k), root_of_unity(k));
    let powers = std::iter::successors(Some(Fr::one()), |power| Some(*power * theirs));
    let exponent = powers.take(points.len()).position(|power| power == ours).unwrap_or(1);
    let mask = points.len() - 1;
    (0..points.len()).map(|i| points[exponent.wrapping_mul(i) & mask]).collect()
}

/// How coordinates are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// The number, most significant byte first.
    BigEndian,
    /// The number, least significant byte first.
    LittleEndian,
    /// Times 2^256 mod q, least significant byte first.
    Montgomery,
}

const FORMS: [Form; 3] = [Form::BigEndian, Form::LittleEndian, Form::Montgomery];

impl Form {
    /// The coordinate; nothing if it isn't below q.
    fn read(self, bytes: &[u8]) -> Option<Fq> {
        let mut bytes: [u8; 32] = bytes.try_into().ok()?;
        if self == Self::BigEndian {
            bytes.reverse();
        }
        let mut limbs = [0; 4];
        for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *limb = u64::from_le_bytes(*bytes);
        }
        let number = ark_ff::BigInt(limbs);
        match self {
            Self::Montgomery => (number < Fq::MODULUS).then(|| Fq::new_unchecked(number)),
            _ => Fq::from_bigint(number),
        }
    }

    /// The bytes of the generator (1, 2).
    fn generator(self) -> Vec<u8> {
        let (one, two) = (Fq::from(1u64), Fq::from(2u64));
        let bytes = |coordinate: Fq| match self {
            Self::BigEndian => coordinate.into_bigint().to_bytes_be(),
            Self::LittleEndian => coordinate.into_bigint().to_bytes_le(),
            Self::Montgomery => coordinate.0.to_bytes_le(),
        };
        [bytes(one), bytes(two)].concat()
    }
}

/// Points of G1 of 64 bytes, x and y, without anything between them.
fn bare_points(path: &Path, mut file: File, options: &Import, tau_g2: &[u8]) -> Result<Found> {
    let error = || files::Error::at("read", path);
    let fault = |message: String| Error::invalid(path, message);
    let len = file.metadata().map_err(error())?.len();
    let count = len.saturating_sub(options.offset) / G1_BYTES as u64;
    let k = size(path, options.k, count.max(1).ilog2())?;
    file.seek(SeekFrom::Start(options.offset)).map_err(error())?;
    let mut raw = vec![0; G1_BYTES << k];
    file.read_exact(&mut raw).map_err(error())?;
    let form =
        FORMS.into_iter().find(|form| raw.starts_with(&form.generator())).ok_or_else(|| {
            let at = options.offset;
            fault(format!("no generator of G1 at byte {at}; say where it is with --offset"))
        })?;
    if form != Form::Montgomery {
        for (index, point) in raw.chunks_exact_mut(G1_BYTES).enumerate() {
            let (x, y) = point.split_at(32);
            let (Some(x), Some(y)) = (form.read(x), form.read(y)) else {
                let message = "has a coordinate that is not below the base field's modulus";
                return Err(fault(format!("point g[{index}] {message}")));
            };
            point.copy_from_slice(&g1_to_raw(&G1Affine::new_unchecked(x, y)));
        }
    }
    let powers = points_of(&raw, path, "g", 0)?;
    let tau_g2 = any_g2(tau_g2).ok_or_else(|| {
        fault("--tau-g2 is no point of G2: 128 bytes, or 256 hexadecimal digits".into())
    })?;
    Ok(Found { k, powers, lagrange: None, tau_g2 })
}

/// A point of G2 in whichever form and order of coordinates it is one: in the others its coordinates
/// are on no curve.
fn any_g2(bytes: &[u8]) -> Option<G2Affine> {
    let read = |form: Form, imaginary_first: bool| {
        let mut coordinates = [Fq::from(0u64); 4];
        for (coordinate, bytes) in coordinates.iter_mut().zip(bytes.chunks_exact(32)) {
            *coordinate = form.read(bytes)?;
        }
        let [a, b, c, d] = coordinates;
        let (x, y) = match imaginary_first {
            true => (Fq2::new(b, a), Fq2::new(d, c)),
            false => (Fq2::new(a, b), Fq2::new(c, d)),
        };
        let point = G2Affine::new_unchecked(x, y);
        let sound = point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve();
        (sound && !point.is_zero()).then_some(point)
    };
    let ways = FORMS.into_iter().flat_map(|form| [(form, true), (form, false)]);
    (bytes.len() == G2_BYTES)
        .then(|| ways.into_iter().find_map(|(form, first)| read(form, first)))
        .flatten()
}

#[cfg(test)]
mod tests;
