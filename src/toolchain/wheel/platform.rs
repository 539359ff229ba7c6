//! What a wheel runs on.

use serde::Deserialize;
use std::fmt;

/// What a Python interpreter, or this program, runs on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    LinuxGnu,
    LinuxMusl,
    MacOs,
    Windows,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinuxGnu => "linux glibc",
            Self::LinuxMusl => "linux musl",
            Self::MacOs => "macOS",
            Self::Windows => "windows",
        })
    }
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
    /// What this program was compiled for, which is what it can load.
    pub fn of_this_program() -> Self {
        let system = match std::env::consts::OS {
            "macos" => "darwin",
            "windows" => "win32",
            other => other,
        };
        Self {
            system: system.to_owned(),
            machine: std::env::consts::ARCH.to_owned(),
            libc: if cfg!(target_env = "gnu") { "glibc" } else { "" }.to_owned(),
            bits: usize::BITS,
        }
    }

    pub(super) fn system(&self) -> Option<System> {
        match self.system.as_str() {
            "linux" if self.libc == "glibc" => Some(System::LinuxGnu),
            "linux" => Some(System::LinuxMusl),
            "darwin" => Some(System::MacOs),
            "win32" => Some(System::Windows),
            _ => None,
        }
    }

    /// The machine in the wheels' words: a 32-bit Python on a 64-bit machine needs a 32-bit wheel.
    pub(super) fn machine(&self) -> &str {
        match (self.machine.as_str(), self.bits) {
            ("x86_64" | "AMD64" | "amd64", 64) => "x86_64",
            ("x86_64" | "AMD64" | "amd64" | "x86" | "i386" | "i686", 32) => "x86",
            ("aarch64" | "arm64" | "ARM64", 64) => "aarch64",
            _ => "other",
        }
    }
}
