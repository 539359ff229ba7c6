"""One command of zkvouch, tried on a model: how it ended, in words, how long it took and how much memory it needed."""

import dataclasses
import json
import os
import signal
import subprocess
import tempfile
import threading
import time

# The exit codes that a refusal may have: usage, bad input, a check that failed, a tool. 1 is for what nobody foresaw.
REFUSALS = (2, 3, 4, 6)


# What runs now, by process group: it is in sessions of its own, where no Ctrl-C reaches it.
RUNNING = set()


def stop_with_us():
    """Ends what runs when this program is told to end."""

    def stop(number, _frame):
        for group in list(RUNNING):
            os.killpg(group, signal.SIGTERM)
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


@dataclasses.dataclass
class Ended:
    code: int | None
    out: str
    err: str
    seconds: float
    # Of the largest of its processes.
    megabytes: float


def run(command, folder, limit):
    """The code is None where it took more than `limit` seconds. Its children go with it."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, start_new_session=True)
        RUNNING.add(process.pid)
        late = threading.Event()

        def stop():
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit, stop)
        timer.start()
        # Not Popen's own wait: only this one tells of memory.
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        RUNNING.discard(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        out.seek(0)
        err.seek(0)
        texts = [stream.read().decode("utf-8", "replace") for stream in (out, err)]
        code = None if late.is_set() else process.returncode
        return Ended(code, *texts, seconds, usage.ru_maxrss / 1024)


def reason(ended):
    """What the command said went wrong: in its JSON where it writes any, else on stderr."""
    try:
        return "; ".join(error["message"] for error in json.loads(ended.out)["errors"])
    except (ValueError, KeyError, TypeError):
        lines = [line for line in ended.err.splitlines() if line.startswith("error: ")]
        return lines[-1].removeprefix("error: ") if lines else ""


def verdict(ended, command, limit):
    """None where it went through, else `refused` or `died` and why."""
    if ended.code is None:
        return "died", f"{command} did not end within {limit:g} s"
    why = reason(ended)
    if ended.code not in (0, *REFUSALS) or (ended.code != 0 and not why):
        return "died", f"{command} ended with {ended.code}: {why or ended.err[-300:]}"
    if "crashed" in why or "panicked" in ended.err:
        return "died", f"{command}: {why or ended.err[-300:]}"
    return ("refused", f"{command}: {why}") if ended.code else None
