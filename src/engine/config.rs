//! What an engine needs to know, and where a user may say so.

use super::{error::Error, release::DEFAULT_VERSION};
use crate::toolchain;
use std::{path::PathBuf, time::Duration};

/// How much of what ezkl logs is passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLevel {
    /// Warnings and errors. Calibration's report is a warning.
    Warn,
    /// Also the phases of an operation.
    #[default]
    Info,
    /// Everything. ezkl logs while it holds Python's lock, and a log line from one of its threads
    /// may then block it for good; a finer level makes that likelier.
    Debug,
}

impl LogLevel {
    /// Python's number for the level.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Warn => 30,
            Self::Info => 20,
            Self::Debug => 10,
        }
    }
}

/// How ezkl is found, run and bounded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineConfig {
    /// ezkl's version; see [`versions`](super::versions).
    pub version: String,
    /// The Python interpreter: a path or a name on PATH. By default `python3`, else `python`.
    pub python: Option<PathBuf>,
    /// A folder with ezkl's wheel, used instead of the package index. The hash is checked all the
    /// same.
    pub wheels: Option<PathBuf>,
    /// The folder for what can be fetched again. By default [`toolchain::cache_dir`].
    pub cache_dir: Option<PathBuf>,
    /// The longest that one operation may take; installing, starting Python and waiting for the
    /// engine's other operations do not count. `None`: no bound.
    pub deadline: Option<Duration>,
    /// How long a busy worker may use no CPU time at all, on Linux. ezkl blocks itself for good in
    /// some cases (see [`Error::Stalled`]). Three times as long it may be stopped by a signal. `None`: no
    /// bound.
    pub stall: Option<Duration>,
    /// The threads that ezkl computes with. By default one for each CPU.
    pub threads: Option<usize>,
    /// How much of what ezkl logs is passed on.
    pub log: LogLevel,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            version: DEFAULT_VERSION.to_owned(),
            python: None,
            wheels: None,
            cache_dir: None,
            deadline: Some(Duration::from_secs(12 * 3600)),
            stall: Some(Duration::from_secs(20)),
            threads: None,
            log: LogLevel::default(),
        }
    }
}

impl EngineConfig {
    /// The defaults, changed by the environment:
    ///
    /// - `ZKVOUCH_PYTHON`: the interpreter;
    /// - `ZKVOUCH_WHEELS`: a folder with ezkl's wheel, and ONNX Runtime's;
    /// - `ZKVOUCH_EZKL_VERSION`: ezkl's version;
    /// - `ZKVOUCH_DEADLINE`: seconds that one operation may take, 0 for no bound;
    /// - `ZKVOUCH_THREADS`: the threads of one worker;
    /// - `ZKVOUCH_EZKL_LOG`: `warn`, `info` or `debug`.
    ///
    /// # Errors
    /// [`Error::Config`] where a number or a level is none.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_lookup(|name| std::env::var_os(name).and_then(|value| value.into_string().ok()))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let get = |name: &'static str| lookup(name).filter(|value| !value.is_empty());
        let bad = |variable, value: &str, expected| Error::Config {
            variable,
            value: value.to_owned(),
            expected,
        };
        let mut config = Self {
            python: get("ZKVOUCH_PYTHON").map(PathBuf::from),
            wheels: get("ZKVOUCH_WHEELS").map(PathBuf::from),
            ..Self::default()
        };
        if let Some(version) = get("ZKVOUCH_EZKL_VERSION") {
            config.version = version;
        }
        if let Some(value) = get("ZKVOUCH_DEADLINE") {
            let seconds: u64 = value
                .parse()
                .map_err(|_| bad("ZKVOUCH_DEADLINE", &value, "a number of seconds, or 0"))?;
            config.deadline = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        if let Some(value) = get("ZKVOUCH_THREADS") {
            let threads = value.parse().ok().filter(|threads| *threads > 0);
            config.threads = Some(threads.ok_or_else(|| {
                bad("ZKVOUCH_THREADS", &value, "a number of threads, at least 1")
            })?);
        }
        if let Some(value) = get("ZKVOUCH_EZKL_LOG") {
            config.log = match value.to_ascii_lowercase().as_str() {
                "warn" | "warning" => LogLevel::Warn,
                "info" => LogLevel::Info,
                "debug" => LogLevel::Debug,
                _ => return Err(bad("ZKVOUCH_EZKL_LOG", &value, "warn, info or debug")),
            };
        }
        Ok(config)
    }

    /// The folder under which environments and scratch folders live.
    pub(super) fn folder(&self) -> Result<PathBuf, toolchain::Error> {
        let cache = match &self.cache_dir {
            Some(folder) => folder.clone(),
            None => toolchain::cache_dir()?,
        };
        let folder = cache.join("engine");
        // The worker has a working folder of its own.
        Ok(std::path::absolute(&folder).unwrap_or(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_changes_the_defaults() {
        let config = EngineConfig::from_lookup(|name| {
            let value = match name {
                "ZKVOUCH_PYTHON" => "/opt/python",
                "ZKVOUCH_WHEELS" => "wheels",
                "ZKVOUCH_DEADLINE" => "0",
                "ZKVOUCH_THREADS" => "3",
                "ZKVOUCH_EZKL_LOG" => "WARN",
                _ => "",
            };
            Some(value.to_owned())
        })
        .expect("valid");
        assert_eq!(config.python, Some("/opt/python".into()));
        assert_eq!(config.wheels, Some("wheels".into()));
        assert_eq!((config.deadline, config.threads), (None, Some(3)));
        assert_eq!((config.log, config.version.as_str()), (LogLevel::Warn, DEFAULT_VERSION));
    }

    #[test]
    fn a_value_that_is_no_number_is_refused_by_name() {
        for name in ["ZKVOUCH_DEADLINE", "ZKVOUCH_THREADS", "ZKVOUCH_EZKL_LOG"] {
            let error = EngineConfig::from_lookup(|asked| (asked == name).then(|| "-1".to_owned()))
                .expect_err("no such value");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
