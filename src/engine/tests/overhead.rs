//! What the engine costs over the same calls made by a Python script.
//!
//! `cargo test --lib engine::tests::overhead -- --ignored --nocapture`

use super::*;
use std::process::Command;

const ROUNDS: usize = 9;

type Get = fn(&Clock) -> f64;

const SCRIPT: &str = "\
import os, sys, time
start = time.perf_counter()
sys.path.insert(0, sys.argv[1])
import ezkl
os.chdir(sys.argv[2])
for _ in range(int(sys.argv[4])):
    ezkl.gen_witness(sys.argv[3], 'model.ezkl', 'w.json', None, None)
    ezkl.prove('w.json', 'model.ezkl', 'pk.key', 'p.json', 'kzg.srs')
print(time.perf_counter() - start, flush=True)
os._exit(0)
";

/// Wall-clock seconds, and CPU seconds of this process and of those that it has waited for. On a busy
/// machine the latter say more.
#[derive(Clone, Copy, Debug)]
struct Clock {
    wall: f64,
    cpu: f64,
}

impl Clock {
    fn now(start: Instant) -> Self {
        let cpu = [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(|who| {
            // SAFETY: the structure is plain data, which the call fills.
            let usage = unsafe {
                let mut usage: libc::rusage = std::mem::zeroed();
                libc::getrusage(who, &mut usage);
                usage
            };
            let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
            seconds(usage.ru_utime) + seconds(usage.ru_stime)
        });
        Self { wall: start.elapsed().as_secs_f64(), cpu: cpu.iter().sum() }
    }

    fn since(start: Instant, before: Self) -> Self {
        let now = Self::now(start);
        Self { wall: now.wall - before.wall, cpu: now.cpu - before.cpu }
    }
}

/// A fresh engine for `times` witnesses and proofs, its worker's start and end included.
async fn by_engine(circuit: &Circuit, times: usize) -> Clock {
    let start = Instant::now();
    let before = Clock::now(start);
    let engine = Engine::new(config());
    let (data, compiled) = (fixture("input.json"), circuit.at("model.ezkl"));
    for _ in 0..times {
        let witness = circuit.at("w.json");
        engine.gen_witness(&data, &compiled, &witness, None, None).await.expect("a witness");
        circuit.prove(&engine, "w.json", "p.json").await.expect("a proof");
    }
    engine.shutdown().await;
    Clock::since(start, before)
}

/// A fresh Python process for the same.
async fn by_script(circuit: &Circuit, times: usize) -> Clock {
    let environment = circuit.engine.prepare().await.expect("installed");
    let start = Instant::now();
    let before = Clock::now(start);
    let output = Command::new(&environment.python)
        .args(["-c", SCRIPT])
        .arg(environment.site())
        .arg(circuit.folder.path())
        .arg(fixture("input.json"))
        .arg(times.to_string())
        .env("HOME", circuit.folder.path())
        .output()
        .expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Clock::since(start, before)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "its result")]
async fn engine_against_script() {
    for (model, logrows, times) in
        [("model.onnx", 8, 1), ("model.onnx", 8, 20), ("sigmoid.onnx", 9, 1), ("model.onnx", 13, 1)]
    {
        let circuit = Circuit::make(model, logrows).await;
        let mut engine = Vec::new();
        let mut script = Vec::new();
        for _ in 0..ROUNDS {
            engine.push(by_engine(&circuit, times).await);
            script.push(by_script(&circuit, times).await);
        }
        let of =
            |clocks: &[Clock], get: fn(&Clock) -> f64| median(clocks.iter().map(get).collect());
        let (wall, cpu): (Get, Get) = (|it| it.wall, |it| it.cpu);
        let ratio =
            |get: Get| median(engine.iter().zip(&script).map(|(a, b)| get(a) / get(b)).collect());
        eprintln!(
            "{model} k={logrows} {times}x: wall {:.3} s against {:.3} s, ratio {:.3}; \
             CPU {:.3} s against {:.3} s, ratio {:.3}",
            of(&engine, wall),
            of(&script, wall),
            ratio(wall),
            of(&engine, cpu),
            of(&script, cpu),
            ratio(cpu)
        );
    }
}
