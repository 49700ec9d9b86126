"""How long the first answer takes where nothing is compiled yet, and what compiling costs, in fresh processes.

Run: python benchmarks/first_answer.py [--only WORD] [--json]. Writes results/first_answer.json. CPU seconds are those
of all processes, until everything that was asked for is compiled; of Python without the import, of the others with it.
`cold` is with an empty folder of compiled code, `warm` the median of three runs with what that one left there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from machine import machine

RESULT = Path(__file__).resolve().parent / "results" / "first_answer.json"
ARMS = 'policy="{}", arms=["a", "b", "c"]'
NUMBERS = [0.5, -1.0, 0.25, 2.0]
ARM = "d = e.decide({}); first(); e.learn(d, reward=1.0)"
PYTHON = {  # name: (what is opened, what is done with it)
    "the default": ('e = onearm.open(arms=["a", "b", "c"])', ARM.format("")),
    "the default with contexts": ('e = onearm.open(arms=["a", "b", "c"], context=4)', ARM.format(NUMBERS)),
    "ucb1": (f"e = onearm.open({ARMS.format('ucb1')})", ARM.format("")),
    "thompson_beta": (f"e = onearm.open({ARMS.format('thompson_beta')})", ARM.format("")),
    **{
        name: (f"e = onearm.open({ARMS.format(name)}, context=4)", ARM.format(NUMBERS))
        for name in ("linucb", "fourier_ucb", "squarecb")
    },
    "a vector": (
        'e = onearm.open(domain={"kind": "ball", "dimension": 3})',
        "d = e.decide(); first(); e.learn(d, gradient=[1.0, 0.0, -1.0])",
    ),
    "a stream": (
        "from onearm.api import arms_once; e = arms_once.Stream(trials=10_000, arms=3)",
        'e.offer("a"); arm, n = e.ask(); first(); e.tell(arm, total=0.5 * n, n=n)',
    ),
    "a query": ("e = onearm.open(task=onearm.best_arm(5), horizon=15)", "q = e.ask(); first(); e.tell(q, 1.0)"),
}
CHILD = """
import json, resource, threading, time
import onearm
from onearm.engine.compiled import background
onearm.open
background.LINGER_S = 1.0

def cpu():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

def first():
    global answered
    answered = time.perf_counter() - start

before, start = cpu(), time.perf_counter()
{opened}
{done}
for thread in threading.enumerate():
    if thread.name == "onearm-compiling":
        thread.join()
print(json.dumps([cpu() - before, answered * 1e3]))
"""
WORLD = 'bernoulli:{"mean":[0.1,0.5,0.9]}', 'linear:{"arms":3,"dimension":4}'
SIMULATED = {"ucb1": WORLD[0], "linucb": WORLD[1], "fourier_ucb": WORLD[1], "fourier_softmax": WORLD[1]}
SIMULATED |= {"thompson_any": WORLD[0]}
SIMULATED |= {f'adaptive:{{"policy": "{name}"}}': SIMULATED[name] for name in ("fourier_softmax", "thompson_any")}
Measured = tuple[float, float | None]  # CPU seconds; milliseconds to the first decision


def python(opened: str, done: str, environment: dict[str, str]) -> Measured:
    """Open something in Python, decide and learn once."""
    code = CHILD.format(opened=opened, done=done)
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    cpu, answered = json.loads(ran.stdout)
    return cpu, answered


def command(arguments: list[str], environment: dict[str, str]) -> Measured:
    """Run a command to its end."""
    before = children_cpu()
    subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)
    return children_cpu() - before, None


def service(environment: dict[str, str]) -> Measured:
    """Create an experiment in a real server, decide and reward once; end it when it has compiled everything."""
    before = children_cpu()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-m", "onearm", "serve", "--port", "0", "--database", f"sqlite:///{folder}/run.db"]
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            answered = first_answer(address_of(process))
            wait_until(lambda: not children_of(process.pid))
        finally:
            process.terminate()
            process.communicate()
    return children_cpu() - before, answered


def first_answer(address: str) -> float:
    """Return the milliseconds that creating and the first decision took."""
    body = {"experiment_id": "first", "policy": {"name": "linucb"}, "arms": [{"id": "a"}, {"id": "b"}]}
    body |= {"problem": {"context": {"kind": "dense", "length": 4}}}
    with httpx.Client(base_url=address, timeout=60.0) as client:
        start = time.perf_counter()
        client.post("/v1/experiments", json=body).raise_for_status()
        decided = client.post("/v1/experiments/first/decisions", json={"context": NUMBERS})
        answered = (time.perf_counter() - start) * 1e3
        decision = decided.raise_for_status().json()["decision_id"]
        client.post(f"/v1/experiments/first/decisions/{decision}/reward", json={"value": 1.0}).raise_for_status()
    return answered


def address_of(process: subprocess.Popen[str]) -> str:
    """Return where a server says that it listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            return "http://" + line.split("http://")[1].split()[0].rstrip("/")
    raise RuntimeError("the server ended")


def children_of(pid: int) -> str:
    """Return the processes that a process started and that are not over."""
    return "".join(task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children"))


def wait_until(is_so: Callable[[], bool], seconds: float = 2.0) -> None:
    """Wait until something has been so for a while."""
    since = time.monotonic()
    while time.monotonic() - since < seconds:
        if not is_so():
            since = time.monotonic()
        time.sleep(0.05)


def children_cpu() -> float:
    """Return the CPU seconds of all processes that this one waited for, and of those that these did."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(what: str, run: Callable[[dict[str, str]], Measured]) -> dict[str, Any]:
    """Run something with an empty folder of compiled code, and again with a full one: the median of three."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"ONEARM_CACHE_DIR": folder, "NUMBA_DISABLE_JIT": "0"}
        cold, answered = run(environment)
        warm = statistics.median(run(environment)[0] for _ in range(3))
    row = {"what": what, "cold_cpu_s": cold, "warm_cpu_s": warm, "first_decision_ms": answered}
    print(row, file=sys.stderr)
    return row


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="measure rows with this word, and write no results")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs: dict[str, Callable[[dict[str, str]], Measured]] = {
        "import numba": lambda environment: command(["-c", "import numba"], environment),
        **{
            f"onearm.open: {name}": lambda environment, steps=steps: python(*steps, environment)
            for name, steps in PYTHON.items()
        },
        "a service: linucb": service,
    }
    for name, env in SIMULATED.items():
        arguments = ["-m", "onearm", "simulate", "--env", env, "--policy", name, "--horizon", "1000", "--json"]
        runs[f"simulate: {name}"] = lambda environment, arguments=arguments: command(arguments, environment)
    rows = [measured(what, run) for what, run in runs.items() if options.only in what]
    result = {"machine": machine(), "rows": rows}
    if not options.only:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
