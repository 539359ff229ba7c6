//! The engine against the real ezkl, on the tiny models of `tests/fixtures/tiny`.

mod failures;
mod flow;
mod installation;
#[cfg(unix)]
mod overhead;
mod refusals;

use super::*;
use serde_json::{Map, json};
use std::path::{Path, PathBuf};

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny").join(name)
}

pub(super) fn config() -> EngineConfig {
    EngineConfig::from_env().expect("a valid environment")
}

pub(super) fn run_args() -> Map<String, Value> {
    let args = json!({
        "input_scale": 7, "param_scale": 7, "logrows": 8, "decomp_base": 64, "decomp_legs": 4,
        "num_inner_cols": 1, "input_visibility": "public", "output_visibility": "public",
        "param_visibility": "fixed", "lookup_range": [-128, 128], "variables": [["batch_size", 1]],
    });
    args.as_object().expect("an object").clone()
}

/// A folder with a circuit, its keys and a witness.
#[derive(Debug)]
pub(super) struct Circuit {
    pub(super) folder: tempfile::TempDir,
    pub(super) engine: Engine,
    pub(super) report: CalibrationReport,
}

impl Circuit {
    pub(super) async fn make(model: &str, logrows: u32) -> Self {
        Self::try_make(model, logrows).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_make(model: &str, logrows: u32) -> Result<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Engine::new(config());
        let mut it = Self { folder, engine, report: CalibrationReport::default() };
        let (model, data) = (fixture(model), fixture("input.json"));
        let mut args = run_args();
        args.insert("logrows".into(), logrows.into());
        let engine = &it.engine;
        engine.gen_settings(&model, &it.at("raw.json"), &args).await?;
        let request = CalibrateRequest {
            settings_in: it.at("raw.json"),
            scales: Some(vec![7]),
            max_logrows: Some(logrows),
            ..CalibrateRequest::new(&data, &model, &it.at("settings.json"))
        };
        it.report = engine.calibrate(&request).await?;
        engine.compile_circuit(&model, &it.at("settings.json"), &it.at("model.ezkl")).await?;
        engine.gen_unsafe_srs(logrows, &it.at("kzg.srs")).await?;
        let (vk, pk) = (it.at("vk.key"), it.at("pk.key"));
        let (compiled, srs) = (it.at("model.ezkl"), it.at("kzg.srs"));
        engine
            .setup(SetupRequest {
                compiled: &compiled,
                srs: &srs,
                vk: &vk,
                pk: &pk,
                witness: None,
                compress_selectors: true,
            })
            .await?;
        engine.gen_witness(&data, &compiled, &it.at("witness.json"), None, None).await?;
        Ok(it)
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) async fn prove(&self, engine: &Engine, witness: &str, proof: &str) -> Result<()> {
        let (compiled, pk) = (self.at("model.ezkl"), self.at("pk.key"));
        let (srs, proof) = (self.at("kzg.srs"), self.at(proof));
        engine.prove(&self.at(witness), &compiled, &pk, &srs, &proof).await.map(drop)
    }

    pub(super) async fn verify(&self, proof: &str) -> Result<bool> {
        let (settings, vk) = (self.at("settings.json"), self.at("vk.key"));
        self.engine.verify(&self.at(proof), &settings, &vk, &self.at("kzg.srs")).await
    }

    /// A request that never ends: a witness outside the lookup range of the sigmoid model.
    pub(super) async fn witness_that_blocks(&self) -> &'static str {
        let far = json!({"input_data": [[900.0, -900.0, 900.0]]});
        let (compiled, witness) = (self.at("model.ezkl"), self.at("far.json"));
        self.engine.gen_witness(&far, &compiled, &witness, None, None).await.expect("a witness");
        "far.json"
    }

    /// What is in the folder besides the artefacts.
    pub(super) fn litter(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).expect("readable").flatten();
        names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with('.'))
            .collect()
    }
}

pub(super) fn write(path: &Path, value: &Value) {
    crate::files::write_atomic(path, value.to_string().as_bytes()).expect("written");
}

pub(super) fn read(path: &Path) -> Value {
    serde_json::from_slice(&crate::files::read(path).expect("readable")).expect("JSON")
}

/// Whether a process is there and not just waiting to be reaped.
#[cfg(target_os = "linux")]
pub(super) fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
}

#[cfg(target_os = "linux")]
pub(super) async fn wait_until_gone(pid: u32) {
    for _ in 0..200 {
        if !is_running(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("process {pid} is still there");
}
