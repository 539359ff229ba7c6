"""Runs ezkl for zkvouch in a process of its own.

One JSON object a line in each direction: requests on stdin, messages on the file descriptor that
was stdout at the start. Whatever else writes to stdout lands on stderr.

    <- {"id": 1, "operation": "prove", "arguments": {...}, "seconds": 60.0 or null}
    -> {"ready": {"ezkl": "23.0.5", "python": "3.11.7", "pid": 42}}             once, at the start
    -> {"failed": {"message": "..."}}                            instead, when ezkl does not load
    -> {"log": {"level": 20, "target": "ezkl.pfsys", "message": "..."}}         during a request
    -> {"done": {"id": 1, "result": ..., "cpu_seconds": 1.5, "peak_bytes": 1234}}
    -> {"error": {"id": 1, "kind": "python" or "panic", "type": "...", "message": "..."}}

ezkl holds Python's global lock while it works, so no thread of this script runs meanwhile; what
must happen during a call is left to the kernel and to faulthandler's own thread.

Usage: worker.py <folder with the package ezkl> <scratch folder> <log level>. Python 3.7 or newer.
"""

import os
import sys

CHANNEL = os.dup(1)
os.dup2(2, 1)

# What takes long to import and is seldom needed is imported where it is used.
import faulthandler  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import re  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

LINUX = sys.platform.startswith("linux")
SITE, SCRATCH, LEVEL = sys.argv[1], sys.argv[2], int(sys.argv[3])
# Past the deadline the other side kills this process; the margin is for when there is no other side.
ORPHAN_MARGIN = 30.0
COLOURS = re.compile("\x1b\\[[0-9;]*m")
# What a forward pass tells of a witness, and how many output elements make a message long enough.
COMPUTED = ("outputs", "max_lookup_inputs", "min_lookup_inputs", "max_range_size")
MOST_ELEMENTS = 1 << 15
sending = threading.Lock()
ezkl = None


def send(event, **fields):
    data = json.dumps({event: fields}).encode("ascii") + b"\n"
    with sending:
        try:
            while data:
                data = data[os.write(CHANNEL, data):]
        except OSError:
            os._exit(1)  # nobody listens any more


class Forward(logging.Handler):
    """Turns log records into messages, and keeps the last calibration's report."""

    report = ""

    def emit(self, record):
        text = COLOURS.sub("", record.getMessage())
        if "Fidelity Report" in text:
            Forward.report = text
        send("log", level=record.levelno, target=record.name, message=text)


def note(text):
    send("log", level=logging.WARNING, target="zkvouch.worker", message=text)


# --- operations ---------------------------------------------------------------------------------


def run_args(values):
    args = ezkl.PyRunArgs()
    for name, value in values.items():
        if name == "variables":
            value = [tuple(pair) for pair in value]
        elif isinstance(value, list):
            value = tuple(value)
        try:
            setattr(args, name, value)
        except Exception as error:
            raise ValueError("run_args.%s = %r: %s" % (name, value, error)) from None
    return args


def gen_settings(model, settings, args):
    return ezkl.gen_settings(model, settings, run_args(args))


def calibrate(data, model, settings, target, margin, scales, scale_rebase_multipliers, max_logrows):
    options = {"lookup_safety_margin": margin, "scales": scales, "max_logrows": max_logrows}
    if scale_rebase_multipliers:
        options["scale_rebase_multiplier"] = scale_rebase_multipliers
    Forward.report = ""
    if not ezkl.calibrate_settings(data, model, settings, target, **options):
        return False
    return Forward.report


def compile_circuit(model, settings, compiled):
    return ezkl.compile_circuit(model, compiled, settings)


def gen_srs(srs, logrows):
    ezkl.gen_srs(srs, logrows)


def setup(compiled, srs, vk, pk, witness, compress_selectors):
    return ezkl.setup(compiled, vk, pk, srs, witness, not compress_selectors)


def gen_witness(data, inline, compiled, witness, vk, srs):
    try:
        ezkl.gen_witness(data, compiled, witness, vk, srs)
    except RuntimeError as error:
        # Given text that is no valid input, ezkl takes it for a path and speaks of a missing file.
        if not (inline and "No such file" in str(error)):
            raise
        path = os.path.join(SCRATCH, "input.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(data)
        ezkl.gen_witness(path, compiled, witness, vk, srs)


def forward(data, compiled):
    """What the circuit computes for the first of the inputs, as many as fit into one message."""
    answers, elements = [], 0
    for text in data:
        try:
            witness = ezkl.gen_witness(text, compiled, None, None, None)
        except Exception as error:
            message = COLOURS.sub("", str(error))
            # See gen_witness.
            if "No such file" in message:
                message = "the input is none that ezkl reads"
            answers.append({"error": {"type": type(error).__name__, "message": message}})
            continue
        except BaseException:
            # After a panic this process must go, and nothing else may get lost with it.
            if not answers:
                raise
            break
        answer = {name: witness[name] for name in COMPUTED}
        answers.append(answer)
        elements += sum(map(len, answer["outputs"]))
        if elements > MOST_ELEMENTS:
            break
    return answers


def mock(witness, compiled):
    return ezkl.mock(witness, compiled)


def prove(witness, compiled, pk, srs, proof):
    ezkl.prove(witness, compiled, pk, proof, srs)


def verify(proof, settings, vk, srs):
    if not accepts(proof, settings, vk, srs):
        return False
    # ezkl stops reading where the proof should end. A proof that still passes without its last
    # byte has bytes after its end; the verifier on chain would refuse it.
    with open(proof, encoding="utf-8") as file:
        shorter = json.load(file)
    shorter["proof"].pop()
    path = os.path.join(SCRATCH, "shorter-proof.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(shorter, file)
    try:
        ezkl.verify(path, settings, vk, srs, False)
    except RuntimeError:
        return True
    finally:
        os.remove(path)
    note("the proof is invalid: there are bytes after its end")
    return False


def accepts(proof, settings, vk, srs):
    try:
        return ezkl.verify(proof, settings, vk, srs, False)
    except RuntimeError as error:
        # halo2 speaks of the proof; everything else is about a file.
        if str(error).startswith("Failed to run verify: [halo2]"):
            note("the proof is invalid: %s" % error)
            return False
        raise


def in_loop(function, *arguments):
    import asyncio

    async def call():
        return await function(*arguments)

    return asyncio.run(call())


def create_evm_verifier(vk, settings, srs, solidity):
    abi = os.path.join(SCRATCH, "verifier.abi")
    return in_loop(ezkl.create_evm_verifier, vk, settings, solidity, abi, srs, False)


OPERATIONS = {
    function.__name__: function
    for function in (
        gen_settings,
        calibrate,
        compile_circuit,
        gen_srs,
        setup,
        gen_witness,
        forward,
        mock,
        prove,
        verify,
        create_evm_verifier,
    )
}


# --- the process --------------------------------------------------------------------------------


class Watched:
    """While a call runs, ends this process when the other side is gone.

    On Linux the kernel signals a pipe whose writer has closed it; elsewhere the deadline is the
    bound. No request arrives during a call, so any signal of stdin means its end.
    """

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        if self.seconds is not None:
            faulthandler.dump_traceback_later(self.seconds + ORPHAN_MARGIN, exit=True)
        if LINUX:
            import fcntl
            import select

            self.flags = fcntl.fcntl(0, fcntl.F_GETFL)
            fcntl.fcntl(0, fcntl.F_SETFL, self.flags | os.O_ASYNC)
            poll = select.poll()
            poll.register(0, 0)
            if poll.poll(0):
                os._exit(1)

    def __exit__(self, *_):
        if LINUX:
            import fcntl

            fcntl.fcntl(0, fcntl.F_SETFL, self.flags)
        if self.seconds is not None:
            faulthandler.cancel_dump_traceback_later()


def forget_peak():
    if LINUX:
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        except OSError:
            pass


def peak_bytes():
    """The peak of the resident memory since forget_peak(), or of the process's life."""
    if LINUX:
        try:
            with open("/proc/self/status") as file:
                for line in file:
                    if line.startswith("VmHWM:"):
                        return int(line.split()[1]) * 1024
        except OSError:
            pass
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    except ImportError:
        return None


def answer(request):
    forget_peak()
    started = time.process_time()
    try:
        operation = OPERATIONS[request["operation"]]
        with Watched(request.get("seconds")):
            result = operation(**request["arguments"])
        if result is False and operation is not verify:
            raise RuntimeError("ezkl reports that it did not succeed")
    except BaseException as error:
        # ezkl saves lookup tables in place and trusts what it finds, so a half-written one would
        # silently become part of a key.
        import shutil

        shutil.rmtree(os.environ["EZKL_REPO_PATH"], ignore_errors=True)
        name = type(error).__name__
        kind = "panic" if name == "PanicException" else "python"
        message = COLOURS.sub("", str(error))
        return send("error", id=request["id"], kind=kind, type=name, message=message)
    cpu = time.process_time() - started
    send("done", id=request["id"], result=result, cpu_seconds=cpu, peak_bytes=peak_bytes())


def main():
    global ezkl
    faulthandler.enable()
    if LINUX:
        import fcntl

        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    logging.basicConfig(level=LEVEL, handlers=[Forward()])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    sys.path.insert(0, SITE)
    try:
        import ezkl as module
    except BaseException as error:
        send("failed", message="%s: %s" % (type(error).__name__, error))
        return
    ezkl = module
    python = ".".join(map(str, sys.version_info[:3]))
    send("ready", ezkl=ezkl.__version__, python=python, pid=os.getpid())
    for line in sys.stdin.buffer:
        answer(json.loads(line))


try:
    main()
finally:
    sys.stderr.flush()
    # After an asynchronous call of ezkl an ordinary exit of the interpreter may crash.
    os._exit(0)
