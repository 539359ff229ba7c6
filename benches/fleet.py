"""A fleet of 1 and of 2 workers beside a plain loop over ezkl, on the same inputs, in turn: wall and CPU seconds.

    zkvouch build                                       # in a project's folder
    PYTHONPATH=… python benches/fleet.py ZKVOUCH PROJECT COUNT [DATABASE]

PYTHONPATH leads to ezkl 23.0.5. The loop makes a witness, a proof and a verification of each input, as a worker does,
in one process, with as many threads as there are CPUs; so does one worker, and of two each has half of them.
"""

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time

LOOP = """
import ezkl, os, sys
build, lines, folder = sys.argv[1:]
at = lambda name: os.path.join(build, name)
data, witness, proof = (os.path.join(folder, name) for name in ("input.json", "witness.json", "proof.json"))
for line in open(lines):
    open(data, "w").write(line)
    ezkl.gen_witness(data, at("model.compiled"), witness)
    ezkl.prove(witness, at("model.compiled"), at("pk.key"), proof, at("kzg.srs"))
    assert ezkl.verify(proof, at("settings.json"), at("vk.key"), at("kzg.srs"))
"""


def timed(name, count, commands):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) for command, env in commands]
    codes = [process.wait() for process in running]
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert codes == [0] * len(codes), (name, codes)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{name:12} {wall:7.2f} s wall {cpu:7.2f} s CPU; each {wall / count:6.3f} and {cpu / count:6.3f}", flush=True)
    return wall, cpu


def main(zkvouch, project, count, database=None):
    count, cpus = int(count), os.cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        lines = os.path.join(folder, "inputs.jsonl")
        sample = json.load(open(os.path.join(project, "input.json")))["input_data"]
        with open(lines, "w") as file:
            for number in range(count):
                scaled = [[value * (1 + 0.05 * math.sin(number)) for value in tensor] for tensor in sample]
                file.write(json.dumps({"input_data": scaled}) + "\n")
        results = {}
        for workers in (0, 1, 2, 0, 1, 2):
            if workers == 0:
                env = dict(os.environ, RAYON_NUM_THREADS=str(cpus))
                command = [sys.executable, "-c", LOOP, os.path.join(project, "build"), lines, folder]
                result = timed("plain loop", count, [(command, env)])
            else:
                url = database or f"sqlite:{folder}/{time.monotonic_ns()}.db"
                env = dict(os.environ, ZKVOUCH_THREADS=str(cpus // workers), ZKVOUCH_DATABASE=url, ZKVOUCH_STORE=f"{folder}/blobs")
                command = [zkvouch, "-C", project, "fleet", "submit", lines]
                subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
                command = [zkvouch, "worker", "--until-idle", "--poll", "0.2", "--circuits", f"{folder}/circuits"]
                result = timed(f"{workers} worker(s)", count, [(command, env)] * workers)
            results.setdefault(workers, []).append(result)
        for workers in (1, 2):
            for what, at in (("wall", 0), ("CPU", 1)):
                ratio = sum(it[at] for it in results[workers]) / sum(it[at] for it in results[0])
                print(f"{workers} worker(s) / loop, {what}: {ratio:.2f}")


main(*sys.argv[1:])
