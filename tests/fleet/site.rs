//! A project, a queue, and the processes that work on it.

use crate::{
    postgres::Postgres,
    support::{Outcome, Sandbox, zkvouch},
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use zkvouch::fleet::{
    Store, StoreOptions,
    job::{Job, JobId, State},
    store::Filter,
};

/// Seconds of a lease here.
const LEASE: &str = "2";
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

/// A project with the smallest circuit, and a queue for it.
pub struct Site {
    pub project: Sandbox,
    pub store: Store,
    pub url: String,
    pub server: Option<Postgres>,
}

impl Site {
    pub async fn sqlite() -> Self {
        let project = Sandbox::tiny();
        let url = format!("sqlite:{}", project.file("fleet/queue.db").display());
        Self::new(project, url, None).await
    }

    pub async fn postgres() -> Self {
        let server = Postgres::start();
        Self::new(Sandbox::tiny(), server.url(), Some(server)).await
    }

    async fn new(project: Sandbox, url: String, server: Option<Postgres>) -> Self {
        let store = Store::open(&url, StoreOptions::default()).await.expect("opened");
        Self { project, store, url, server }
    }

    /// The command in the project's folder, with the queue.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = zkvouch();
        command
            .args(arguments)
            .current_dir(self.project.path())
            .env("ZKVOUCH_DATABASE", &self.url)
            .env("ZKVOUCH_LEASE", LEASE)
            .env("ZKVOUCH_THREADS", "1")
            .env_remove("ZKVOUCH_STORE");
        command
    }

    /// Runs it to its end and returns its data.
    pub fn data(&self, arguments: &[&str]) -> Value {
        let all = [arguments, &["--json"]].concat();
        let mut envelope = Outcome::of(&mut self.command(&all)).envelope();
        assert_eq!(envelope["success"], true, "{arguments:?}: {envelope:#}");
        envelope["data"].take()
    }

    /// Submits so many different inputs.
    pub fn submit(&self, count: usize, arguments: &[&str]) -> Vec<JobId> {
        let line = |number: usize| {
            let value = |by: f64| ((number as f64 * by).sin() * 100.0).round() / 100.0;
            json!({ "input_data": [[value(1.3), value(0.7), value(2.1)]] }).to_string()
        };
        let text: Vec<_> = (1..=count).map(line).collect();
        self.submit_text(&text.join("\n"), arguments)
    }

    /// Submits the observations in JSON lines.
    pub fn submit_text(&self, text: &str, arguments: &[&str]) -> Vec<JobId> {
        fs::write(self.project.file("many.jsonl"), text).expect("written");
        let data = self.data(&[&["fleet", "submit", "many.jsonl"], arguments].concat());
        let jobs = data["jobs"].as_array().expect("jobs");
        let id = |it: &Value| it["job"]["id"].as_str().expect("an id").parse().expect("an id");
        jobs.iter().map(id).collect()
    }

    /// Starts a process of the fleet.
    pub fn start(&self, name: &str, arguments: &[&str]) -> Process {
        let file = |what: &str| {
            let path = self.project.file(&format!("{name}.{what}"));
            File::options().create(true).append(true).open(path).expect("opened")
        };
        let child = self
            .command(arguments)
            .stdout(file("out"))
            .stderr(file("err"))
            .stdin(Stdio::null())
            .spawn()
            .expect("it runs");
        Process(child)
    }

    /// A worker, which works until it is ended.
    pub fn worker(&self, name: &str) -> Process {
        let circuits = self.project.file("circuits").display().to_string();
        let options =
            ["--poll", "0.1", "--grace", "0", "--backoff", "0.1", "--circuits", &circuits];
        self.start(name, &[&["worker"], &options[..]].concat())
    }

    /// What a process said.
    pub fn said(&self, name: &str) -> String {
        let read = |what: &str| fs::read_to_string(self.project.file(&format!("{name}.{what}")));
        read("err").unwrap_or_default() + &read("out").unwrap_or_default()
    }

    pub async fn job(&self, id: JobId) -> Job {
        self.store.job(id).await.expect("there")
    }

    pub async fn all(&self) -> Vec<Job> {
        let filter = Filter { limit: 100_000, ..Filter::default() };
        self.store.jobs(&filter).await.expect("listed")
    }

    /// Waits until a job is so.
    pub async fn until(&self, what: &str, is_so: impl Fn(&[Job]) -> bool) -> Vec<Job> {
        let started = Instant::now();
        loop {
            // A database that is away is no answer.
            let filter = Filter { limit: 100_000, ..Filter::default() };
            let jobs = self.store.jobs(&filter).await.unwrap_or_default();
            if !jobs.is_empty() && is_so(&jobs) {
                return jobs;
            }
            assert!(started.elapsed() < PATIENCE, "still not {what}: {jobs:#?}");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    /// Waits until each job is done.
    pub async fn until_done(&self) -> Vec<Job> {
        let all = self.until("ended", |jobs| jobs.iter().all(|job| job.state.is_final())).await;
        for job in &all {
            assert_eq!(job.state, State::Done, "{job:#?}");
        }
        all
    }

    /// Asserts that every job's proof is there and holds.
    pub fn check_proofs(&self, jobs: &[Job]) {
        for job in jobs {
            let hash = format!("{:x}", job.proof.expect("a proof"));
            let path = format!("fleet/blobs/sha256/{}/{hash}", &hash[..2]);
            assert_eq!(self.data(&["verify", &path])["valid"], true, "{job:?}");
        }
    }
}

/// A process that is killed on drop.
pub struct Process(Child);

impl Process {
    pub fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    pub fn signal(&self, signal: i32) {
        // A process that ended by itself needs none.
        unsafe { libc::kill(self.pid(), signal) };
    }

    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        let _ = self.0.wait();
    }

    /// Whether it goes on.
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Waits for its end and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let started = Instant::now();
        while self.is_running() {
            assert!(started.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.0.wait().expect("waited for").code()
    }

    /// The processes that it started, and theirs.
    pub fn descendants(&self) -> Vec<i32> {
        descendants(self.pid())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(libc::SIGCONT);
        self.kill();
    }
}

fn descendants(of: i32) -> Vec<i32> {
    let parent = |pid: i32| -> Option<i32> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may hold anything.
        text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let all = fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let children: Vec<_> = all.filter(|pid| parent(*pid) == Some(of)).collect();
    children.iter().flat_map(|pid| [vec![*pid], descendants(*pid)].concat()).collect()
}

/// Whether a process is there.
pub fn is_there(pid: i32) -> bool {
    unsafe { libc::kill(pid, 0) == 0 }
}

/// A request over HTTP: the status and the body.
pub fn http(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    // An answer may come before all of a large request is taken.
    let _ = stream.write_all(format!("{text}\r\n{body}").as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or_default(), body.to_owned())
}

/// A question to a node.
pub fn rpc(url: &str, method: &str, params: Value) -> Value {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let headers = [("Content-Type", "application/json")];
    let (_, answer) = http(address, "POST", "/", &headers, &body.to_string());
    let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert!(answer["error"].is_null(), "{method}: {answer}");
    answer["result"].take()
}
