//! The versions of ezkl that zkvouch can drive, and the hash of every wheel of each.

use std::fmt;

/// The version that is used unless another one is asked for.
pub const DEFAULT_VERSION: &str = "23.0.5";

/// A published version of ezkl.
#[derive(Debug)]
pub struct Release {
    /// The version on PyPI.
    pub version: &'static str,
    /// The oldest Python that loads its wheels.
    pub python: (u32, u32),
    wheels: &'static [Wheel],
}

/// One wheel of a release: what it runs on, and the SHA-256 that it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// The file's name in the package index.
    pub file: &'static str,
    /// 64 hexadecimal digits.
    pub sha256: &'static str,
    system: System,
    machine: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    LinuxGnu,
    LinuxMusl,
    MacOs,
    Windows,
}

/// What a Python interpreter runs on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Platform {
    /// `sys.platform`, such as `linux`, `darwin`, `win32`.
    pub system: String,
    /// `platform.machine()`, such as `x86_64`, `aarch64`, `arm64`, `AMD64`.
    pub machine: String,
    /// `glibc`, or nothing where the C library is another one.
    pub libc: String,
    /// The bits of a pointer.
    pub bits: u32,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let libc = match (self.system.as_str(), self.libc.as_str()) {
            ("linux", "") => " musl",
            (_, libc) if !libc.is_empty() => " glibc",
            _ => "",
        };
        write!(f, "{}{libc} {} ({} bits)", self.system, self.machine, self.bits)
    }
}

impl Platform {
    fn system(&self) -> Option<System> {
        match self.system.as_str() {
            "linux" if self.libc == "glibc" => Some(System::LinuxGnu),
            "linux" => Some(System::LinuxMusl),
            "darwin" => Some(System::MacOs),
            "win32" => Some(System::Windows),
            _ => None,
        }
    }

    /// The machine in the wheels' words: a 32-bit Python on a 64-bit machine needs a 32-bit wheel.
    fn machine(&self) -> &str {
        match (self.machine.as_str(), self.bits) {
            ("x86_64" | "AMD64" | "amd64", 64) => "x86_64",
            ("x86_64" | "AMD64" | "amd64" | "x86" | "i386" | "i686", 32) => "x86",
            ("aarch64" | "arm64" | "ARM64", 64) => "aarch64",
            _ => "other",
        }
    }
}

impl Release {
    /// The release of that version, where zkvouch knows it.
    pub fn find(version: &str) -> Option<&'static Self> {
        RELEASES.iter().find(|release| release.version == version)
    }

    /// Every version that zkvouch knows.
    pub fn versions() -> impl Iterator<Item = &'static str> {
        RELEASES.iter().map(|release| release.version)
    }

    /// The wheel for a platform, where there is one.
    pub fn wheel(&self, platform: &Platform) -> Option<&'static Wheel> {
        let (system, machine) = (platform.system()?, platform.machine());
        self.wheels.iter().find(|wheel| wheel.system == system && wheel.machine == machine)
    }

    /// What the wheels run on, for an error.
    pub fn platforms(&self) -> String {
        let names: Vec<_> = self
            .wheels
            .iter()
            .map(|wheel| {
                let system = match wheel.system {
                    System::LinuxGnu => "linux glibc",
                    System::LinuxMusl => "linux musl",
                    System::MacOs => "macOS",
                    System::Windows => "windows",
                };
                format!("{system} {}", wheel.machine)
            })
            .collect();
        names.join(", ")
    }

    /// A requirements file that admits these wheels and nothing else.
    pub fn lock(&self) -> String {
        let mut hashes: Vec<_> = self.wheels.iter().map(|wheel| wheel.sha256).collect();
        hashes.dedup();
        let hashes: String =
            hashes.iter().map(|hash| format!(" \\\n    --hash=sha256:{hash}")).collect();
        format!("ezkl=={}{hashes}\n", self.version)
    }
}

static RELEASES: &[Release] = &[Release {
    version: "23.0.5",
    python: (3, 7),
    wheels: &[
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            sha256: "1c7f59745fcdd2270be7eabe9d11e6821253275eb6a23709ba19b30d28815b3e",
            system: System::LinuxGnu,
            machine: "x86_64",
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-musllinux_1_2_x86_64.whl",
            sha256: "bdae7f9756d864396c3a764b9322edbc8c61f07d7df1047c72dee1aaf1318009",
            system: System::LinuxMusl,
            machine: "x86_64",
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-musllinux_1_2_aarch64.whl",
            sha256: "5f54bad52521c59ac2cbae9a69c9026861da124b76f5b632d529d2bebb36453f",
            system: System::LinuxMusl,
            machine: "aarch64",
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-macosx_10_12_x86_64.whl",
            sha256: "a1d8e1930372419a655ddad9b888bb3d9ffba7fb88d941c31b2d706708327531",
            system: System::MacOs,
            machine: "x86_64",
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-macosx_10_12_x86_64.macosx_11_0_arm64.macosx_10_12_universal2.whl",
            sha256: "a457f2b1930ceb6a2d73c24e874edf4e197107ded8f97a86d38b13045e7ffe44",
            system: System::MacOs,
            machine: "aarch64",
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-win_amd64.whl",
            sha256: "a7690d3cc441716866910ff13e6746381afb352f860712f4577e1a7dd1b5a9d1",
            system: System::Windows,
            machine: "x86_64",
        },
        Wheel {
            file: "ezkl-23.0.5-cp37-abi3-win32.whl",
            sha256: "61e621e97fabc5c5a4f9b2e8e5499fc8c37c4265158ebbe3e74fff434c08b091",
            system: System::Windows,
            machine: "x86",
        },
    ],
}];

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(system: &str, machine: &str, libc: &str, bits: u32) -> Platform {
        Platform { system: system.into(), machine: machine.into(), libc: libc.into(), bits }
    }

    #[test]
    fn each_platform_has_its_wheel_or_none() {
        let release = Release::find(DEFAULT_VERSION).expect("the default is known");
        let file = |platform: Platform| release.wheel(&platform).map(|wheel| wheel.file);
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
        for version in Release::versions() {
            let release = Release::find(version).expect("listed");
            let lock = release.lock();
            assert_eq!(lock.matches("--hash=sha256:").count(), release.wheels.len());
            assert!(release.wheels.iter().all(|wheel| wheel.sha256.len() == 64
                && lock.contains(wheel.sha256)
                && wheel.file.starts_with(&format!("ezkl-{version}-"))));
        }
    }
}
