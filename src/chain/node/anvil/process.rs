//! Anvil's process: started, followed and ended.

use super::{AnvilOptions, Error, Result, STOP_LIMIT, run_error};
use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

const TAIL_LINES: usize = 20;

/// The child process and the last lines of its output.
pub(super) struct Process {
    child: Arc<Mutex<Child>>,
    pub(super) pid: u32,
    tail: Arc<Mutex<VecDeque<String>>>,
    /// It has something to write when it ends, so it is asked before it is killed.
    saves_state: bool,
}

impl Process {
    /// Starts the process from a thread of its own that lives as long as the process: Linux sends
    /// the death signal when the *thread* that started a child ends, and a runtime's threads come
    /// and go. The receiver yields the address once Anvil listens and fails when it ends first.
    pub(super) async fn start(
        path: &Path,
        options: &AnvilOptions,
    ) -> Result<(Self, oneshot::Receiver<String>)> {
        let mut command = Command::new(path);
        command
            .args(options.arguments())
            // Variables of Anvil's own would override what was asked for.
            .env_remove("ANVIL_IP_ADDR")
            .env("NO_COLOR", "1")
            // Of its last words few are kept: those of a backtrace are none of them.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        own_lifetime(&mut command);
        let saves_state = options.state.is_some();
        let path = path.to_owned();
        let (started, start) = oneshot::channel();
        let (listens, listening) = oneshot::channel();
        thread::Builder::new()
            .name("anvil".into())
            .spawn(move || {
                let mut child = match command.spawn() {
                    Ok(child) => child,
                    Err(error) => {
                        let _ = started.send(Err(run_error(&path, error.to_string())));
                        return;
                    }
                };
                let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
                let process = Self {
                    pid: child.id(),
                    child: Arc::new(Mutex::new(child)),
                    tail: Arc::default(),
                    saves_state,
                };
                let (child, tail) = (process.child.clone(), process.tail.clone());
                let errors = process.tail.clone();
                // If nobody waits any more, the process comes back here and is dropped, so killed.
                let _ = started.send(Ok(process));
                let errors = thread::spawn(move || {
                    stderr.into_iter().for_each(|pipe| follow(pipe, &errors, |_| {}));
                });
                let mut listens = Some(listens);
                if let Some(pipe) = stdout {
                    follow(pipe, &tail, |line| {
                        if let Some(address) = line.trim().strip_prefix("Listening on ")
                            && let Some(listens) = listens.take()
                        {
                            let _ = listens.send(address.to_owned());
                        }
                    });
                }
                let _ = errors.join();
                drop(listens);
                while matches!(guard(&child).try_wait(), Ok(None)) {
                    thread::sleep(Duration::from_millis(20));
                }
            })
            .map_err(|error| Error::Start { message: error.to_string(), tail: Vec::new() })?;
        let lost = || Error::Start { message: "its thread ended".into(), tail: Vec::new() };
        Ok((start.await.map_err(|_| lost())??, listening))
    }

    pub(super) fn tail(&self) -> Vec<String> {
        guard(&self.tail).iter().cloned().collect()
    }

    /// Waits for the end, but not longer than `limit`, and describes it.
    pub(super) async fn wait(&self, limit: Duration) -> String {
        let start = Instant::now();
        loop {
            match guard(&self.child).try_wait() {
                Ok(Some(status)) => return format!("it ended with {status}"),
                Ok(None) if start.elapsed() < limit => {}
                Ok(None) => return "it is still running".into(),
                Err(error) => return error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks the process to end.
    pub(super) fn interrupt(&self) {
        let mut child = guard(&self.child);
        // Only an unreaped child still owns its process id.
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        #[cfg(unix)]
        if self.saves_state {
            // SAFETY: kill(2) on a child that we have not reaped.
            unsafe { libc::kill(self.pid as libc::pid_t, libc::SIGINT) };
            return;
        }
        let _ = child.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.interrupt();
        let start = Instant::now();
        while self.saves_state && start.elapsed() < STOP_LIMIT {
            if !matches!(guard(&self.child).try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let mut child = guard(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads lines to the end, keeps the last ones and hands each to `each`.
fn follow(pipe: impl Read, tail: &Mutex<VecDeque<String>>, mut each: impl FnMut(&str)) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        each(&text);
        if text.trim().is_empty() {
            continue;
        }
        tracing::trace!(target: "zkvouch::anvil", "{text}");
        let mut tail = guard(tail);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(text);
    }
}

/// The child does not get our terminal's Ctrl-C (we stop it ourselves) and on Linux dies with us.
fn own_lifetime(command: &mut Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let parent = std::process::id();
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                // The parent may have died before the call above.
                if libc::getppid() as u32 != parent {
                    libc::_exit(1);
                }
                Ok(())
            });
        }
    }
}
