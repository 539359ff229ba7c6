use super::*;
use crate::{points::g2_to_raw, srs::dev};
use proptest::prelude::*;
use std::{fs, path::PathBuf};

/// Written by snarkjs 0.7.5: `powersoftau new bn128 4`, one contribution, and `prepare phase2` of that.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ptau").join(name)
}

fn all() -> Import {
    Import::default()
}

#[test]
fn a_ptau_gives_one_srs_prepared_or_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let plain = import(&fixture("power-4.ptau"), &all(), &at("plain")).expect("imported");
    let prepared =
        import(&fixture("power-4-prepared.ptau"), &all(), &at("prepared")).expect("imported");
    plain.verify().expect("sound");
    assert_eq!((plain.k(), prepared.k()), (4, 4));
    let bytes = fs::read(plain.path()).expect("read");
    assert_eq!(fs::read(prepared.path()).expect("read"), bytes);
    for k in 1..4 {
        let options = Import { k: Some(k), ..all() };
        let name = format!("prepared-{k}");
        let small = import(&fixture("power-4-prepared.ptau"), &options, &at(&name));
        let small = small.unwrap_or_else(|error| panic!("{k}: {error}"));
        let cut = plain.truncate_to(k, &at("cut")).expect("cut");
        assert_eq!(
            fs::read(small.path()).expect("read"),
            fs::read(cut.path()).expect("read"),
            "{k}"
        );
    }
    let options = Import { k: Some(5), ..all() };
    let error = import(&fixture("power-4.ptau"), &options, &at("large")).expect_err("too large");
    assert!(matches!(error, Error::TooSmall { found: 4, needed: 5, .. }), "{error}");
    assert!(!at("large").exists());
    let options = Import { k: Some(0), ..all() };
    assert!(import(&fixture("power-4.ptau"), &options, &at("none")).is_err());
}

#[test]
fn a_damaged_ptau_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let (damaged, out) = (folder.path().join("x.ptau"), folder.path().join("out"));
    let whole = fs::read(fixture("power-4-prepared.ptau")).expect("read");
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&damaged, bytes).expect("written");
        let error = import(&damaged, &all(), &out).expect_err("damaged");
        assert!(!out.exists());
        error.to_string()
    };
    // Sections: 1 at 24, 2 at 80, 3 at 2076, 12 at 7871, where size 16 begins at point 15.
    assert!(refused(&|bytes| bytes[4] = 2).contains("version 2"));
    assert!(refused(&|bytes| bytes[28] ^= 1).contains("another curve"));
    assert!(refused(&|bytes| bytes[60] = 5).contains("power 5 has 4032"));
    assert!(refused(&|bytes| bytes[60] = 0).contains("power 0"));
    assert!(refused(&|bytes| bytes[60] = 29).contains("power 29"));
    assert!(refused(&|bytes| bytes.truncate(5000)).contains("cut short"));
    assert!(refused(&|bytes| bytes.truncate(9)).contains("cut short"));
    assert!(refused(&|bytes| bytes[16] = 0xff).contains("cut short"));
    assert!(refused(&|bytes| bytes[80] ^= 1).contains("g[0] is not on the curve"));
    let swap =
        |from: usize, to: usize| move |bytes: &mut Vec<u8>| bytes.copy_within(from..from + 64, to);
    assert!(refused(&swap(80 + 64, 80)).contains("first point is not the generator"));
    assert!(refused(&swap(80 + 64, 80 + 128)).contains("not the powers"));
    assert!(refused(&|bytes| bytes.copy_within(2076..2204, 2204)).contains("not the powers"));
    assert!(refused(&|bytes| bytes[2204] ^= 1).contains("[τ]₂ is not on the curve"));
    assert!(refused(&swap(7871 + 64 * 15, 7871 + 64 * 16)).contains("Lagrange points"));
}

#[test]
fn bare_points_are_taken_in_every_usual_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let srs = folder.path().join("srs");
    dev::generate(3, &srs).expect("made");
    let bytes = fs::read(&srs).expect("read");
    let whole = SrsFile::open(&srs).expect("opens");
    let raw = &bytes[4..4 + 64 * 8];
    let tau = g2_to_raw(whole.tau_g2());
    let number = |bytes: &[u8]| Form::Montgomery.read(bytes).expect("canonical").into_bigint();
    let little = |bytes: &[u8]| bytes.chunks(32).flat_map(|it| number(it).to_bytes_le()).collect();
    let big = |bytes: &[u8]| -> Vec<u8> {
        bytes.chunks(32).flat_map(|it| number(it).to_bytes_be()).collect()
    };
    let evm = |bytes: &[u8]| {
        let words = big(bytes);
        [&words[32..64], &words[..32], &words[96..], &words[64..96]].concat()
    };
    let forms: [(Vec<u8>, Vec<u8>); 4] = [
        (raw.to_vec(), tau.to_vec()),
        (little(raw), little(&tau)),
        (big(raw), big(&tau)),
        (big(raw), evm(&tau)),
    ];
    let (points, out) = (folder.path().join("points"), folder.path().join("out"));
    for (number, (mut g1, g2)) in forms.into_iter().enumerate() {
        // A header of somebody's, and half a point behind.
        g1.splice(0..0, [7; 5]);
        g1.extend([1; 32]);
        fs::write(&points, &g1).expect("written");
        let options = Import { tau_g2: Some(g2.clone()), offset: 5, k: None };
        import(&points, &options, &out).unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(fs::read(&out).expect("read"), bytes, "{number}");
        let wrong = Import { offset: 6, ..options.clone() };
        let error = import(&points, &wrong, &out).expect_err("no generator").to_string();
        assert!(error.contains("byte 6"), "{error}");
        let other = g2_to_raw(&G2Affine::generator()).to_vec();
        let wrong = Import { tau_g2: Some(other), ..options.clone() };
        assert!(
            import(&points, &wrong, &out).expect_err("another τ").to_string().contains("powers")
        );
        let wrong = Import { tau_g2: Some(g2[1..].to_vec()), ..options };
        assert!(import(&points, &wrong, &out).expect_err("cut").to_string().contains("--tau-g2"));
    }
}

#[test]
fn halo2s_own_file_is_taken_and_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let (srs, out) = (folder.path().join("srs"), folder.path().join("out"));
    dev::generate(3, &srs).expect("made");
    let cut = import(&srs, &Import { k: Some(2), ..all() }, &out).expect("cut");
    assert_eq!(cut.k(), 2);
    cut.verify().expect("sound");
    import(&srs, &all(), &out).expect("whole");
    assert_eq!(fs::read(&out).expect("read"), fs::read(&srs).expect("read"));
    fs::write(&srs, b"nothing").expect("written");
    assert!(import(&srs, &all(), &out).is_err());
}

proptest! {
    /// Whatever stands in a file, it is refused or gives a sound SRS.
    #[test]
    fn no_bytes_panic(at in 4usize..7871, byte in any::<u8>(), cut in 0usize..20_000) {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, out) = (folder.path().join("x"), folder.path().join("out"));
        let mut bytes = fs::read(fixture("power-4-prepared.ptau")).expect("read");
        bytes[at] = byte;
        bytes.truncate(cut.max(4));
        fs::write(&path, bytes).expect("written");
        if let Ok(made) = import(&path, &all(), &out) {
            prop_assert!(made.verify().is_ok());
        }
    }
}
