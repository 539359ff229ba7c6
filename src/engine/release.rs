//! The versions of ezkl that zkvouch can drive, and the hash of every wheel of each.

use crate::toolchain::wheel::{Release, System, Wheel};

/// The version that is used unless another one is asked for.
pub const DEFAULT_VERSION: &str = "23.0.5";

/// The release of that version, where zkvouch knows it.
pub(super) fn find(version: &str) -> Option<&'static Release> {
    RELEASES.iter().find(|release| release.version == version)
}

/// Every version that zkvouch knows.
pub fn versions() -> impl Iterator<Item = &'static str> {
    RELEASES.iter().map(|release| release.version)
}

static RELEASES: &[Release] = &[Release {
    package: "ezkl",
    version: "23.0.5",
    python: (3, 7),
    wheels: &[
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            sha256: "1c7f59745fcdd2270be7eabe9d11e6821253275eb6a23709ba19b30d28815b3e",
            system: System::LinuxGnu,
            machine: "x86_64",
            foreign: None,
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-musllinux_1_2_x86_64.whl",
            sha256: "bdae7f9756d864396c3a764b9322edbc8c61f07d7df1047c72dee1aaf1318009",
            system: System::LinuxMusl,
            machine: "x86_64",
            foreign: None,
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-musllinux_1_2_aarch64.whl",
            sha256: "5f54bad52521c59ac2cbae9a69c9026861da124b76f5b632d529d2bebb36453f",
            system: System::LinuxMusl,
            machine: "aarch64",
            foreign: None,
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-macosx_10_12_x86_64.whl",
            sha256: "a1d8e1930372419a655ddad9b888bb3d9ffba7fb88d941c31b2d706708327531",
            system: System::MacOs,
            machine: "x86_64",
            foreign: None,
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-macosx_10_12_x86_64.macosx_11_0_arm64.macosx_10_12_universal2.whl",
            sha256: "a457f2b1930ceb6a2d73c24e874edf4e197107ded8f97a86d38b13045e7ffe44",
            system: System::MacOs,
            machine: "aarch64",
            foreign: None,
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-win_amd64.whl",
            sha256: "a7690d3cc441716866910ff13e6746381afb352f860712f4577e1a7dd1b5a9d1",
            system: System::Windows,
            machine: "x86_64",
            foreign: None,
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-win32.whl",
            sha256: "61e621e97fabc5c5a4f9b2e8e5499fc8c37c4265158ebbe3e74fff434c08b091",
            system: System::Windows,
            machine: "x86",
            foreign: None,
        },
    ],
}];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchain::wheel::Platform;

    fn platform(system: &str, machine: &str, libc: &str, bits: u32) -> Platform {
        Platform { system: system.into(), machine: machine.into(), libc: libc.into(), bits }
    }

    #[test]
    fn each_platform_has_its_wheel_or_none() {
        let release = find(DEFAULT_VERSION).expect("the default is known");
        let file = |platform: Platform| release.wheel(&platform, "").ok().map(|wheel| wheel.file);
        let ends = |platform, end: &str| file(platform).is_some_and(|file| file.ends_with(end));
        assert!(ends(platform("linux", "x86_64", "glibc", 64), "manylinux2014_x86_64.whl"));
        assert!(ends(platform("linux", "x86_64", "", 64), "musllinux_1_2_x86_64.whl"));
        assert!(ends(platform("linux", "aarch64", "", 64), "musllinux_1_2_aarch64.whl"));
        assert!(ends(platform("darwin", "arm64", "", 64), "universal2.whl"));
        assert!(ends(platform("darwin", "x86_64", "", 64), "macosx_10_12_x86_64.whl"));
        assert!(ends(platform("win32", "AMD64", "", 64), "win_amd64.whl"));
        assert!(ends(platform("win32", "AMD64", "", 32), "win32.whl"));
        assert_eq!(file(platform("linux", "aarch64", "glibc", 64)), None);
        assert_eq!(file(platform("linux", "x86_64", "glibc", 32)), None);
        assert_eq!(file(platform("freebsd14", "amd64", "", 64)), None);
    }

    #[test]
    fn the_lock_has_every_hash() {
        for version in versions() {
            let release = find(version).expect("listed");
            let lock = release.lock();
            assert_eq!(lock.matches("--hash=sha256:").count(), release.wheels.len());
            assert!(release.wheels.iter().all(|wheel| wheel.sha256.len() == 64
                && lock.contains(wheel.sha256)
                && wheel.file.starts_with(&format!("ezkl-{version}-"))));
        }
    }
}
