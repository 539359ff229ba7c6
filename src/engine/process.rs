//! One worker process: started, asked, watched, ended.

use super::{
    config::EngineConfig,
    environment::{Environment, EnvironmentError, equip, unusable},
    error::{Error, Result},
    event::{Event, Listeners, Usage},
    protocol::{self, Done, Failure, Incoming, Kind, Message, Request},
    vitals::{Vitals, is_dying},
};
use crate::{
    files::{self, Scratch},
    toolchain::wheel,
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    task::JoinHandle,
    time::MissedTickBehavior,
};

const START_TIME: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an ending process may take to be gone; its memory has to be given back.
const END_TIME: Duration = Duration::from_secs(10);
const TAIL_LINES: usize = 20;

/// What the user's environment hands down to a worker: what programs need to be found and started.
/// Everything else stays outside, above all whatever changes Python or ezkl.
const HANDED_DOWN: &[&str] =
    &["PATH", "LD_LIBRARY_PATH", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "SystemRoot", "TZ"];

/// What an operation is called, given and allowed.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) operation: &'static str,
    pub(super) arguments: &'a Value,
    pub(super) deadline: Option<Duration>,
    pub(super) stall: Option<Duration>,
    pub(super) listeners: &'a Listeners,
}

/// A running worker. Dropping it kills the process and whatever that started.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    messages: mpsc::Receiver<Incoming>,
    tail: Tail,
    stderr: JoinHandle<()>,
    pid: u32,
    requests: u64,
    // Removed after the process is gone, as fields are dropped in order.
    _scratch: Scratch,
}

impl Worker {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process is still there, and the runtime that listens to it.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
            && !self.messages.is_closed()
            && self.child.id().is_some_and(|pid| !is_dying(pid))
    }

    /// Starts a worker and waits until ezkl is loaded.
    pub(super) async fn start(environment: &Environment, config: &EngineConfig) -> Result<Self> {
        let folder = config.folder().map_err(EnvironmentError::from)?;
        let scratch = own_folder(&folder.join("run"))?;
        let equipment = equip(scratch.path())?;
        let mut command = Command::new(&environment.python);
        command
            .args(["-I", "-S", "-B", "-X", "utf8"])
            .arg(&equipment.script)
            .arg(environment.site())
            .arg(scratch.path())
            .arg(config.log.number().to_string())
            .current_dir(scratch.path())
            .env_clear()
            .envs(HANDED_DOWN.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("HOME", &equipment.home)
            // ezkl keeps the lookup tables that it makes under a name without content hash, writes them
            // in place and trusts what it finds, so a table that another process is writing, or was
            // killed while writing, would become part of a key. Hence no two workers share them.
            .env("EZKL_REPO_PATH", scratch.path().join("tables"))
            // Reader and writer of a key must agree; this is what ezkl does by default.
            .env("EZKL_KEY_FORMAT", "raw-bytes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(threads) = config.threads {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        // A group of its own: the terminal's Ctrl-C reaches us, and we end the worker.
        #[cfg(unix)]
        command.process_group(0);
        let mut worker = Self::spawn(command, scratch).map_err(|message| {
            EnvironmentError::from(wheel::Error::PythonBroken {
                path: environment.python.clone(),
                message,
            })
        })?;
        let greeting = tokio::time::timeout(START_TIME, worker.greeting(config.stall)).await;
        let greeting = greeting.map_err(|_| EnvironmentError::Slow { limit: START_TIME })?;
        let message = match greeting? {
            Some(Ok(Message::Ready { ezkl, python, pid }))
                if ezkl == environment.version && pid == worker.pid =>
            {
                tracing::debug!(ezkl, python, pid, "worker started");
                return Ok(worker);
            }
            Some(Ok(Message::Ready { ezkl, .. })) => {
                format!("it holds version {ezkl} instead of {}", environment.version)
            }
            Some(Ok(Message::Failed { message })) => message,
            Some(Ok(other)) => format!("it greets with {other:?}"),
            Some(Err(garbage)) => garbage,
            None => {
                let (status, tail) = worker.last_words().await;
                format!("{} {tail}", status.map(|status| status.to_string()).unwrap_or_default())
            }
        };
        Err(unusable(&environment.folder, &environment.python, message).into())
    }

    /// The first message, or nothing when the worker is gone.
    async fn greeting(&mut self, stall: Option<Duration>) -> Result<Option<Incoming>> {
        let mut vitals = Vitals::new(self.pid);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = self.messages.recv() => return Ok(message),
                _ = looks.tick() => {
                    // Waiting for the disk is no stall, so only a stop counts.
                    vitals.look(LOOK_EVERY);
                    vitals.check_stopped("start", stall)?;
                }
            }
        }
    }

    fn spawn(mut command: Command, scratch: Scratch) -> Result<Self, String> {
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (Some(stdin), Some(stdout), Some(stderr), Some(pid)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take(), child.id())
        else {
            return Err("it has no pipes".to_owned());
        };
        let (to, messages) = mpsc::channel(64);
        tokio::spawn(protocol::read(stdout, to));
        let tail = Tail::default();
        let stderr = tokio::spawn(tail.clone().follow(stderr));
        let stdin = Some(stdin);
        Ok(Self { child, stdin, messages, tail, stderr, pid, requests: 0, _scratch: scratch })
    }

    /// Asks the worker. After [`Error::Python`] it is as good as before; after any other error it
    /// must be dropped, and also when the returned future was dropped before its end.
    pub(super) async fn call(&mut self, call: &Call<'_>) -> Result<(Value, Usage)> {
        let started = Instant::now();
        let mut vitals = Vitals::new(self.pid);
        let answer = self.exchange(call, &mut vitals);
        let answer = match call.deadline {
            None => answer.await,
            Some(deadline) => match tokio::time::timeout(deadline, answer).await {
                Ok(answer) => answer,
                Err(_) => return Err(Error::Deadline { operation: call.operation, deadline }),
            },
        };
        match answer? {
            Some(Done { result, cpu_seconds, peak_bytes, .. }) => {
                let cpu = Duration::try_from_secs_f64(cpu_seconds).ok();
                Ok((result, Usage { elapsed: started.elapsed(), cpu, peak_bytes }))
            }
            None => Err(self.post_mortem(call.operation, &vitals).await),
        }
    }

    /// Sends the request and returns the answer to it, or nothing when the worker is gone.
    async fn exchange(&mut self, call: &Call<'_>, vitals: &mut Vitals) -> Result<Option<Done>> {
        let operation = call.operation;
        self.requests += 1;
        self.tail.clear();
        let request = Request {
            id: self.requests,
            operation,
            arguments: call.arguments,
            seconds: call.deadline.map(|deadline| deadline.as_secs_f64()),
        };
        let mut line = serde_json::to_vec(&request)
            .map_err(|error| Error::Protocol { operation, message: error.to_string() })?;
        line.push(b'\n');
        // A long request is read only as the worker reads it, so its end is waited for below.
        let Some(stdin) = self.stdin.as_mut() else { return Ok(None) };
        if stdin.write_all(&line).await.is_err() || stdin.flush().await.is_err() {
            return Ok(None);
        }
        let mut reasons = Reasons::default();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                message = self.messages.recv() => message,
                _ = looks.tick() => {
                    let idle = vitals.look(LOOK_EVERY);
                    if call.stall.is_some_and(|stall| idle >= stall) {
                        return Err(Error::Stalled { operation, idle });
                    }
                    vitals.check_stopped(operation, call.stall)?;
                    continue;
                }
            };
            match message {
                None => return Ok(None),
                Some(Err(message)) => return Err(Error::Protocol { operation, message }),
                Some(Ok(Message::Log { level, target, message })) => {
                    reasons.note(level, &message);
                    report(call, level, target, message);
                }
                Some(Ok(Message::Done(done))) if done.id == self.requests => {
                    return Ok(Some(done));
                }
                Some(Ok(Message::Error(failure))) if failure.id == self.requests => {
                    return Err(self.failed(operation, failure, &reasons).await);
                }
                Some(Ok(other)) => {
                    let message = format!("unexpected {other:?}");
                    return Err(Error::Protocol { operation, message });
                }
            }
        }
    }

    /// What ezkl refused or stumbled over.
    async fn failed(&self, operation: &'static str, failure: Failure, reasons: &Reasons) -> Error {
        let Failure { kind, r#type: class, message, .. } = failure;
        match kind {
            Kind::Python => {
                let message = reasons.append_to(message);
                Error::Python { operation, class, message }
            }
            Kind::Panic => {
                // The report on stderr may come later than the answer.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Error::Panic { operation, message, tail: self.tail.text() }
            }
        }
    }

    /// Why the worker is gone.
    async fn post_mortem(&mut self, operation: &'static str, vitals: &Vitals) -> Error {
        let (status, tail) = self.last_words().await;
        #[cfg(unix)]
        if let Some(signal) =
            status.as_ref().and_then(std::os::unix::process::ExitStatusExt::signal)
        {
            // Rust's allocator says so before it aborts.
            let refused = tail.contains("memory allocation of");
            let out_of_memory = refused || (signal == libc::SIGKILL && vitals.out_of_memory());
            let peak_bytes = vitals.peak_bytes;
            return Error::Killed { operation, signal, out_of_memory, peak_bytes, tail };
        }
        #[cfg(not(unix))]
        let _ = vitals;
        let status = status.map_or("no exit status".to_owned(), |status| status.to_string());
        Error::Died { operation, status, tail }
    }

    async fn last_words(&mut self) -> (Option<std::process::ExitStatus>, String) {
        let status = tokio::time::timeout(END_TIME, self.child.wait()).await;
        let _ = tokio::time::timeout(Duration::from_secs(1), &mut self.stderr).await;
        (status.ok().and_then(Result::ok), self.tail.text())
    }

    /// Lets the worker end by itself; kills it when it does not.
    pub(super) async fn stop(mut self) {
        self.stdin = None;
        if self.messages.is_closed() {
            return;
        }
        if tokio::time::timeout(END_TIME, self.child.wait()).await.is_err() {
            self.kill();
            let _ = self.child.wait().await;
        }
    }

    fn kill(&mut self) {
        // The whole group, as long as its leader has not been waited for and its number is ours.
        #[cfg(unix)]
        if self.child.id().is_some() {
            // SAFETY: a system call without pointers.
            unsafe { libc::killpg(self.pid as libc::pid_t, libc::SIGKILL) };
        }
        let _ = self.child.start_kill();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last warnings and errors that ezkl logged in a request. An exception often says less than they do: which
/// operator is missing, which value is too large.
#[derive(Debug, Default)]
struct Reasons(VecDeque<String>);

impl Reasons {
    const MOST: usize = 2;

    /// `level` is Python's: 30 is a warning.
    fn note(&mut self, level: u32, message: &str) {
        let line = message.trim().lines().next().unwrap_or_default();
        // Calibration says with which scales first.
        let text = line.rsplit_once("reason: ").map_or(line, |(_, reason)| reason);
        // ezkl's reader warns of every newer operator set, also where nothing is wrong.
        let is_noise = text.contains("is only tested against operator set")
            || text.starts_with("low scale values");
        if level < 30 || text.is_empty() || text.ends_with(':') || is_noise {
            return;
        }
        self.0.retain(|known| known != text);
        self.0.push_back(text.to_owned());
        if self.0.len() > Self::MOST {
            self.0.pop_front();
        }
    }

    fn append_to(&self, message: String) -> String {
        let new: Vec<_> =
            self.0.iter().map(String::as_str).filter(|text| !message.contains(text)).collect();
        if new.is_empty() { message } else { format!("{message}; before that: {}", new.join("; ")) }
    }
}

/// Passes a log line on to `tracing` and to the listeners.
fn report(call: &Call<'_>, level: u32, target: String, message: String) {
    let operation = call.operation;
    // Calibration and tuning try circuits out: a pass that fails is an answer, which the caller gets.
    let tries = matches!(operation, "forward" | "calibrate");
    let level = if tries { level.min(10) } else { level };
    macro_rules! log {
        ($($level:literal => $name:ident,)*) => {
            match level {
                $($level.. => {
                    tracing::event!(target: "ezkl", tracing::Level::$name, operation, module = target, "{}", message.trim());
                    tracing::Level::$name
                })*
                _ => {
                    tracing::trace!(target: "ezkl", operation, module = target, "{}", message.trim());
                    tracing::Level::TRACE
                }
            }
        };
    }
    let level = log! { 40u32 => ERROR, 30u32 => WARN, 20u32 => INFO, 10u32 => DEBUG, };
    call.listeners.emit(&Event::Log { operation, level, target, message });
}

/// The last lines of a worker's stderr.
#[derive(Clone, Debug, Default)]
struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    async fn follow(self, stderr: impl AsyncRead + Unpin) {
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        while let Ok(1..) = stderr.read_until(b'\n', &mut line).await {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            tracing::debug!(target: "ezkl", "{text}");
            let mut lines = self.lines();
            if lines.len() == TAIL_LINES {
                lines.pop_front();
            }
            lines.push_back(text);
        }
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        self.lines().clear();
    }

    fn text(&self) -> String {
        let lines = self.lines();
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// A folder of one worker's own: in the cache, which has room, or where that is read-only among the
/// system's temporary files.
fn own_folder(parent: &Path) -> files::Result<Scratch> {
    Scratch::within(parent).or_else(|error| match files::is_read_only(&error.source) {
        true => Scratch::new(),
        false => Err(error),
    })
}
