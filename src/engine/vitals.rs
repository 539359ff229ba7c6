//! What the kernel knows of a running worker. Linux only; elsewhere nothing is known.

use super::error::{Error, Result};
use std::time::Duration;

/// So many times as long as it may block itself, a worker may be stopped: whoever stopped it may let it
/// go on.
const STOPPED_FACTOR: u32 = 3;

/// Watches for a worker that waits for itself: alive, and using no CPU time at all.
#[derive(Debug)]
pub(super) struct Vitals {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pid: u32,
    ticks: Option<u64>,
    idle: Duration,
    stopped: Duration,
    /// The most resident memory seen, in bytes.
    pub(super) peak_bytes: Option<u64>,
    #[cfg(target_os = "linux")]
    out_of_memory_kills: Option<u64>,
}

impl Vitals {
    pub(super) fn new(pid: u32) -> Self {
        Self {
            pid,
            ticks: None,
            idle: Duration::ZERO,
            stopped: Duration::ZERO,
            peak_bytes: None,
            #[cfg(target_os = "linux")]
            out_of_memory_kills: linux::out_of_memory_kills(),
        }
    }

    /// Looks at the process; `since` is the time since the last look. Returns for how long it has
    /// now used no CPU time with every thread asleep.
    pub(super) fn look(&mut self, since: Duration) -> Duration {
        #[cfg(target_os = "linux")]
        {
            self.peak_bytes = self.peak_bytes.max(linux::peak_bytes(self.pid));
            let ticks = linux::cpu_ticks(self.pid);
            // A thread that waits for Python's lock wakes every few milliseconds to look at it, which
            // adds up to a tick now and then; work takes a hundred a second.
            let slack = 1 + since.as_secs() * 5;
            let still = ticks.zip(self.ticks).is_some_and(|(now, then)| now <= then + slack);
            let idle = still && linux::all_asleep(self.pid);
            self.idle = if idle { self.idle + since } else { Duration::ZERO };
            self.ticks = ticks;
            let stopped = linux::is_stopped(self.pid);
            self.stopped = if stopped { self.stopped + since } else { Duration::ZERO };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (since, self.ticks);
        self.idle
    }

    /// Fails where the worker is stopped, by SIGSTOP say, and has been for far longer than the `stall`
    /// that is allowed.
    pub(super) fn check_stopped(
        &self,
        operation: &'static str,
        stall: Option<Duration>,
    ) -> Result<()> {
        match stall {
            Some(stall) if self.stopped >= STOPPED_FACTOR * stall => {
                Err(Error::Stopped { operation, time: self.stopped })
            }
            _ => Ok(()),
        }
    }

    /// Whether the kernel killed some process for want of memory since [`Vitals::new`].
    pub(super) fn out_of_memory(&self) -> bool {
        #[cfg(target_os = "linux")]
        return linux::out_of_memory_kills() > self.out_of_memory_kills;
        #[cfg(not(target_os = "linux"))]
        false
    }
}

/// Whether a process is dead but cannot be waited for yet: while its other threads still end,
/// the kernel reports it as a zombie without letting anybody reap it.
pub(super) fn is_dying(pid: u32) -> bool {
    #[cfg(target_os = "linux")]
    return std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
    });
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        false
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    /// utime + stime of all threads, in clock ticks: fields 14 and 15 of stat, counted after the
    /// name, which is in brackets and may hold anything.
    pub(super) fn cpu_ticks(pid: u32) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    }

    /// Whether every thread is in an interruptible sleep: not running, runnable, stopped, or
    /// waiting for a disk.
    pub(super) fn all_asleep(pid: u32) -> bool {
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
        tasks.flatten().all(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
        })
    }

    /// Whether a signal stopped the process. A debugger's hold on it is another state.
    pub(super) fn is_stopped(pid: u32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    }

    pub(super) fn peak_bytes(pid: u32) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
    }

    pub(super) fn out_of_memory_kills() -> Option<u64> {
        let statistics = fs::read_to_string("/proc/vmstat").ok()?;
        statistics.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
    }
}
