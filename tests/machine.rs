//! What a machine does to a command: modes of files, full and read-only disks, signals.
#![cfg(target_os = "linux")]

mod support;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use support::{Outcome, Sandbox, zkvouch};

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .permissions()
        .mode()
        & 0o777
}

/// The command, in a shell that has done something before.
fn after(setup: &str, folder: &Path, arguments: &[&str]) -> Outcome {
    let output = Command::new("sh")
        .args(["-c", &format!("{setup}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_zkvouch")])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("sh runs");
    Outcome::new(output, arguments)
}

#[test]
fn files_are_as_the_umask_says_and_witnesses_and_keys_are_private() {
    for (umask, shared) in [("022", 0o644), ("027", 0o640), ("002", 0o664)] {
        let sandbox = Sandbox::project("credit");
        let run = |arguments: &[&str]| {
            after(&format!("umask {umask}"), sandbox.path(), arguments).success();
        };
        run(&["build"]);
        run(&["prove", "input.json"]);
        run(&["witness", "-D", "input.json", "-O", "witness.json"]);
        for name in ["pk.key", "vk.key", "sample.witness.json"] {
            assert_eq!(mode(&sandbox.file("build").join(name)), 0o600, "{name}");
        }
        assert_eq!(mode(&sandbox.file("witness.json")), 0o600);
        assert_eq!(mode(&sandbox.file("proof.json")), shared);
        let mut others = vec!["settings.json", "model.compiled", "kzg.srs", "sample.proof.json"];
        others.extend(["manifest.json", "verifier/verifier.json", "verifier/LeanVerifier.sol"]);
        for name in others {
            assert_eq!(
                mode(&sandbox.file("build").join(name)),
                shared,
                "{name} with umask {umask}"
            );
        }
    }
}

/// A mount of its own, gone with the test. Only root may make one.
struct Mount(PathBuf);

impl Mount {
    fn new(arguments: &[&str], at: &Path) -> Option<Self> {
        // SAFETY: a system call without arguments.
        if unsafe { libc::geteuid() } != 0 {
            return None;
        }
        let made = Command::new("mount").args(arguments).arg(at).status().ok()?.success();
        made.then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Whoever meets with the full disk, ezkl, which often says nothing of it, or zkvouch: one code, one
/// remedy, no half file.
#[test]
fn a_full_disk_has_one_code() {
    let sandbox = Sandbox::built("credit");
    let small = sandbox.file("small");
    fs::create_dir(&small).expect("made");
    let Some(_mount) = Mount::new(&["-t", "tmpfs", "-o", "size=1m", "none"], &small) else {
        return;
    };
    let commands: [&[&str]; 7] = [
        &["gen-settings", "-O", "small/settings.json"],
        &["compile", "--compiled-circuit", "small/model.compiled"],
        &["setup", "--pk-path", "small/pk.key", "--vk-path", "small/vk.key"],
        &["witness", "-D", "input.json", "-O", "small/witness.json"],
        &["prove", "input.json", "-o", "small/proof.json"],
        &["get-srs", "--srs-path", "small/kzg.srs", "--logrows", "14"],
        &["create-verifier", "-O", "small/verifier"],
    ];
    for room in [0, 2 << 10, 24 << 10] {
        fs::write(small.join("filler"), vec![1; (1 << 20) - room]).expect("there is room");
        for command in commands {
            let outcome = sandbox.run(command);
            assert_eq!(outcome.0.status.code(), Some(1), "{command:?}: {outcome:?}");
            assert!(
                outcome.stderr().contains("No space left on device"),
                "{command:?}: {outcome:?}"
            );
            assert_eq!(outcome.stdout(), "", "{command:?}");
            let left: Vec<_> = fs::read_dir(&small).expect("read").flatten().collect();
            let is_litter = |name: &str| !["filler", "verifier"].contains(&name);
            let left: Vec<_> = left
                .iter()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|name| is_litter(name))
                .collect();
            assert!(left.is_empty(), "{command:?} with {room} bytes left {left:?}");
            let _ = fs::remove_dir_all(small.join("verifier"));
        }
    }
}

/// A cache that is complete serves where nobody can write to it, and tells what is damaged.
#[test]
fn a_read_only_cache_serves() {
    let sandbox = Sandbox::project("credit");
    let cache = sandbox.file("cache");
    let with_cache = |arguments: &[&str]| {
        let mut command = zkvouch();
        command.args(arguments).env("ZKVOUCH_CACHE_DIR", &cache).current_dir(sandbox.path());
        Outcome::of(&mut command)
    };
    with_cache(&["build"]).success();
    with_cache(&["doctor"]).success();
    let Some(mount) = Mount::new(&["--bind", &cache.to_string_lossy()], &cache) else { return };
    let status = Command::new("mount").args(["-o", "remount,ro,bind"]).arg(&cache).status();
    assert!(status.expect("mount runs").success());
    assert!(fs::write(cache.join("x"), "").is_err(), "it is read-only");
    fs::remove_dir_all(sandbox.file("build")).expect("removed");
    with_cache(&["build"]).success();
    with_cache(&["verify", "build/sample.proof.json", "--evm"]).success();
    with_cache(&["doctor"]).success();
    drop(mount);

    // As somebody who may read it only.
    let other = tempfile::tempdir().expect("a folder");
    let path = |name: &str| other.path().join(name);
    for name in ["model.onnx", "input.json", "data.json", "zkvouch.toml"] {
        fs::copy(sandbox.file(name), path(name)).expect("copied");
        std::os::unix::fs::chown(path(name), Some(65534), Some(65534)).expect("given");
    }
    std::os::unix::fs::chown(other.path(), Some(65534), Some(65534)).expect("given");
    fs::set_permissions(sandbox.path(), fs::Permissions::from_mode(0o755)).expect("set");
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let python = String::from_utf8(python.expect("Python runs").stdout).expect("a path");
    let mut command = zkvouch();
    command.arg("build").env("ZKVOUCH_CACHE_DIR", &cache).current_dir(other.path());
    command.env("HOME", other.path()).env("TMPDIR", "/tmp").uid(65534).gid(65534);
    // Where that user may run neither the command nor Python there is nothing to see.
    let reachable = |program: &str| {
        let mut command = Command::new("test");
        command.args(["-x", program]).uid(65534).gid(65534).status().is_ok_and(|it| it.success())
    };
    if reachable(env!("CARGO_BIN_EXE_zkvouch")) && reachable(python.trim()) {
        Outcome::of(&mut command).success();
    }
}

/// What is cached is looked at when it is used.
#[test]
fn a_flipped_byte_in_a_cached_tool_is_found_and_healed() {
    let sandbox = Sandbox::project("credit");
    let cache = sandbox.file("cache");
    let build = |arguments: &[&str]| {
        let mut command = zkvouch();
        command.args(arguments).env("ZKVOUCH_CACHE_DIR", &cache).current_dir(sandbox.path());
        Outcome::of(&mut command)
    };
    build(&["build"]).success();
    build(&["doctor"]).success();
    let find = |folder: &str, ending: &str| {
        let mut files = Vec::new();
        walk(&cache.join(folder), &mut files);
        let found = files.into_iter().find(|path| path.to_string_lossy().ends_with(ending));
        found.unwrap_or_else(|| panic!("no {ending} in {folder}"))
    };
    for (path, command) in [
        (find("npm", "/soljson.js"), &["doctor"][..]),
        (find("npm", "/bin/anvil"), &["doctor"]),
        (find("engine", ".so"), &["doctor"]),
        (find("solc", "/package.json"), &["doctor"]),
        (find("srs", ".srs"), &["build", "--force"]),
    ] {
        let right = fs::read(&path).expect("read");
        let mut wrong = right.clone();
        let middle = wrong.len() / 2;
        wrong[middle] ^= 1;
        let modified = fs::metadata(&path).expect("there").modified().expect("known");
        fs::write(&path, &wrong).expect("written");
        // As a damaged disk would, which changes no time.
        let file = fs::File::options().write(true).open(&path).expect("opened");
        file.set_modified(modified).expect("set");
        drop(file);
        build(command).success();
        assert!(fs::read(&path).expect("read") == right, "{} is healed", path.display());
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => walk(&path, files),
            path => files.push(path),
        }
    }
}

/// Whoever stops a search at once gets nothing of it, and the file stays.
#[test]
fn a_tune_that_is_stopped_at_once_writes_nothing() {
    let sandbox = Sandbox::project("credit");
    let file = sandbox.file("zkvouch.toml");
    let text = fs::read_to_string(&file).expect("read");
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        for milliseconds in [100, 400, 900] {
            let child = zkvouch()
                .args(["tune", "--no-cache"])
                .current_dir(sandbox.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("started");
            thread::sleep(Duration::from_millis(milliseconds));
            // SAFETY: the child has not been waited for, so the id is its own.
            unsafe { libc::kill(child.id() as i32, signal) };
            let outcome = Outcome::new(child.wait_with_output().expect("ended"), &["tune"]);
            assert_eq!(outcome.0.status.code(), Some(130), "{signal}: {outcome:?}");
            assert_eq!(outcome.stdout(), "", "{outcome:?}");
            assert_eq!(fs::read_to_string(&file).expect("read"), text);
            assert!(!sandbox.file("build/settings.json").exists());
        }
    }
}

/// What the file has stays, unless something better was found.
#[test]
fn a_tune_writes_only_what_beats_the_file() {
    let sandbox = Sandbox::project("credit");
    let file = sandbox.file("zkvouch.toml");
    let read = || fs::read_to_string(&file).expect("read");
    let before = read();
    let tune = ["tune", "--no-proof", "--budget", "20s"];
    sandbox.run(tune).success();
    let tuned = read();
    assert!(tuned.contains("manual") && tuned != before, "{tuned}");
    // The same again is no better.
    let envelope = sandbox.json(&tune);
    assert!(envelope["warnings"].to_string().contains("left as it is"), "{envelope:#}");
    assert_eq!(read(), tuned);
    // Neither is the best with so little time and so few rows.
    let outcome = sandbox.run(["tune", "--no-proof", "--no-cache", "--budget", "1s"]);
    assert_eq!(read(), tuned, "{outcome:?}");
}

/// A search that is stopped with something better in hand keeps that, and still ends by the signal.
#[test]
fn a_tune_that_is_stopped_later_keeps_the_best() {
    use std::io::{BufRead, BufReader};
    let sandbox = Sandbox::project("credit");
    let mut child = zkvouch()
        .args(["tune", "--no-cache", "--json"])
        .current_dir(sandbox.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = stderr.lines();
    let seen = lines.by_ref().map_while(Result::ok).find(|line| line.contains("circuits so far"));
    assert!(seen.is_some(), "it tells how far it is");
    // SAFETY: the child has not been waited for, so the id is its own.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    lines.for_each(drop);
    let outcome = Outcome::new(child.wait_with_output().expect("ended"), &["tune", "--json"]);
    assert_eq!(outcome.0.status.code(), Some(130));
    let envelope = outcome.envelope();
    assert_eq!(envelope["success"], false);
    assert_eq!(envelope["errors"][0]["exit_code"], 130);
    let logrows = envelope["data"]["choice"]["run_args"]["logrows"].as_u64().expect("a choice");
    assert!(logrows < 15, "better than ezkl's own");
    let text = fs::read_to_string(sandbox.file("zkvouch.toml")).expect("read");
    assert!(text.contains(&format!("logrows = {logrows}")) && text.contains("manual"), "{text}");
}

#[test]
fn a_file_that_is_no_text_is_bad_input() {
    let sandbox = Sandbox::project("credit");
    let bytes = fs::read(sandbox.file("zkvouch.toml")).expect("read");
    fs::write(sandbox.file("zkvouch.toml"), [&bytes[..], b"# \xff\xfe\n"].concat())
        .expect("written");
    for command in ["build", "doctor", "prove", "deploy", "clean", "tune", "accuracy"] {
        let arguments: &[&str] =
            if command == "prove" { &["prove", "input.json"] } else { &[command] };
        sandbox.run(arguments).failure(3, &["zkvouch.toml", "UTF-8"]);
    }
}

/// `zkvouch tune` of a model without proofs, on the first of the machine's CPUs or on all.
fn chosen_on(one_cpu: bool, folder: &Path, model: &Path, data: &Path) -> std::process::Child {
    let mut command = zkvouch();
    command.current_dir(folder).args([
        "--json",
        "tune",
        "--no-proof",
        "--no-cache",
        "-O",
        "s.json",
    ]);
    command.arg("-M").arg(model).arg("-D").arg(data).stdout(Stdio::piped()).stderr(Stdio::null());
    if one_cpu {
        // SAFETY: a system call on memory of its own, after the fork.
        unsafe {
            command.pre_exec(|| {
                let mut cpus = std::mem::zeroed();
                libc::CPU_SET(0, &mut cpus);
                match libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &cpus) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
    }
    command.spawn().expect("started")
}

/// All of them at once on one CPU, which is busy enough, and then each with the whole machine.
#[test]
fn one_busy_cpu_chooses_as_the_whole_machine_does() {
    let case = |name: &str| {
        let case = support::repository().join("tests/cases").join(name);
        (case.join("network.onnx"), case.join("input.json"))
    };
    let example = |name: &str| {
        (support::example(name).join("model.onnx"), support::example(name).join("data.json"))
    };
    let models =
        [example("credit"), example("decision_tree"), case("prelu_7ch"), case("round_half_even")];
    let folders = models.each_ref().map(|_| tempfile::tempdir().expect("a folder"));
    let choice = |child: std::process::Child| {
        let outcome = Outcome::new(child.wait_with_output().expect("ended"), &["tune", "--json"]);
        let report = &outcome.success().envelope()["data"];
        (report["choice"]["run_args"].clone(), report["complete"].clone())
    };
    let places = || models.iter().zip(&folders);
    let busy: Vec<_> = places()
        .map(|((model, data), folder)| chosen_on(true, folder.path(), model, data))
        .collect();
    let busy: Vec<_> = busy.into_iter().map(choice).collect();
    for (((model, data), folder), busy) in places().zip(busy) {
        let idle = choice(chosen_on(false, folder.path(), model, data));
        assert_eq!(idle, busy, "{}", model.display());
    }
}
