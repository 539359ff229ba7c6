//! The beginning of a verifying or proving key, all that can be told without the circuit.
//!
//! `u8 3 ‖ u8 k ‖ u8 compress_selectors ‖ u32 LE n_fixed ‖ n_fixed G1 points ‖ …`, each point x then
//! y, 32 bytes little endian in Montgomery form. There is no magic, version or model hash.

use super::{Error, Result, invalid, settings::Settings};
use crate::{
    files,
    points::{G1_BYTES, g1_from_raw},
};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

const HEADER_BYTES: usize = 7;
const FORMAT: u8 = 3;
const REMEDY: &str = "make it again with `zkvouch setup`";

/// What a key file says about its circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VkHeader {
    /// log2 of the number of rows.
    pub k: u32,
    /// Whether selectors were compressed (ezkl's default).
    pub compress_selectors: bool,
    /// The number of fixed columns.
    pub n_fixed: usize,
    /// The length of the file in bytes.
    pub len: u64,
    path: PathBuf,
}

impl VkHeader {
    /// Reads the header of `vk.key` or `pk.key`, and checks that the commitments to fixed columns
    /// which follow it are points of the curve.
    ///
    /// # Errors
    /// If the file cannot be read or does not begin like a key that ezkl wrote in its default
    /// format (`EZKL_KEY_FORMAT=raw-bytes`).
    pub fn read(path: &Path) -> Result<Self> {
        let error = || files::Error::at("read", path);
        let mut file = File::open(path).map_err(error())?;
        let len = file.metadata().map_err(error())?.len();
        let mut header = [0; HEADER_BYTES];
        let mut head = Vec::new();
        (&mut file).take(HEADER_BYTES as u64).read_to_end(&mut head).map_err(error())?;
        let fault = |message: String| invalid(path, "", format!("{message}; {REMEDY}"));
        if head.len() < HEADER_BYTES {
            return Err(fault(format!("{len} bytes are too few for a verifying key")));
        }
        header.copy_from_slice(&head);
        let [format, k, compress, fixed @ ..] = header;
        if format != FORMAT || compress > 1 || !(1..=28).contains(&k) {
            return Err(fault("does not begin like an ezkl key".into()));
        }
        let n_fixed = u32::from_le_bytes(fixed);
        let points = u64::from(n_fixed) * G1_BYTES as u64;
        if n_fixed == 0 || len < HEADER_BYTES as u64 + points {
            return Err(fault(format!(
                "{len} bytes are too few for its {n_fixed} fixed columns; the file is cut short or \
                 no ezkl key"
            )));
        }
        // Long enough, as was just seen, unless somebody is writing to it.
        let mut bytes = vec![0; points as usize];
        file.read_exact(&mut bytes).map_err(error())?;
        for (column, point) in bytes.chunks_exact(G1_BYTES).enumerate() {
            if let Err(error) = g1_from_raw(point) {
                return Err(fault(format!("the commitment to fixed column {column} {error}")));
            }
        }
        Ok(Self {
            k: k.into(),
            compress_selectors: compress == 1,
            n_fixed: n_fixed as usize,
            len,
            path: path.to_owned(),
        })
    }

    /// The file that the header came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks what of a key can be compared with settings: the number of rows. That a key of the
    /// same size is another model's shows when a proof is verified.
    ///
    /// # Errors
    /// If the key is of another circuit.
    pub fn check(&self, settings: &Settings) -> Result<(), Error> {
        let expected = settings.run_args.logrows;
        if self.k != expected {
            return Err(invalid(
                &self.path,
                "k",
                format!(
                    "the key is for 2^{} rows, but {} says 2^{expected}; run `zkvouch setup` with \
                     these settings",
                    self.k,
                    settings.path().display()
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::settings::tests::{parse, sample},
        *,
    };
    use crate::points::{g1_generator, g1_to_raw};
    use proptest::prelude::*;

    fn key(k: u8, points: usize) -> Vec<u8> {
        let mut bytes = vec![3, k, 1];
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(g1_to_raw(&g1_generator()).repeat(points));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<VkHeader> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vk.key");
        std::fs::write(&path, bytes).expect("written");
        VkHeader::read(&path)
    }

    #[test]
    fn a_header_is_read_and_compared_with_settings() {
        let header = read(&key(9, 5)).expect("valid");
        assert_eq!((header.k, header.n_fixed, header.compress_selectors), (9, 2, true));
        header.check(&parse(&sample()).expect("valid")).expect("fits");
        let error = read(&key(10, 5)).expect("valid").check(&parse(&sample()).expect("valid"));
        let error = error.expect_err("other rows").to_string();
        assert!(error.contains("for 2^10 rows, but settings.json says 2^9"), "{error}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let mut off_curve = key(9, 2);
        off_curve[20] ^= 1;
        let cut = &key(9, 2)[..100];
        for (bytes, expected) in [
            (&b""[..], "0 bytes are too few"),
            (b"\x03\x09\x01", "3 bytes are too few"),
            (b"{\"run_args\": 1}", "does not begin like"),
            (cut, "100 bytes are too few for its 2 fixed"),
            (&[3, 9, 1, 255, 255, 255, 255], "too few for its 4294967295"),
            (&off_curve, "fixed column 0 is not on the curve"),
        ] {
            let error = read(bytes).expect_err(expected).to_string();
            assert!(error.contains(expected) && error.contains("zkvouch setup"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[&[3, 9, 1, 1, 0, 0, 0][..], &bytes].concat());
        }
    }
}
