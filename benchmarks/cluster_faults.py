"""Several nodes and PostgreSQL with faults, and clients that retry: nothing acknowledged is lost or done twice.

Run: python benchmarks/cluster_faults.py [--nodes 3] [--faults 100] [--clients 64] [--lease 2] [--seed 1]
[--seeded ERROR] [--out FILE] [--json].
Needs PostgreSQL. A fault is one of: a node killed, a node stopped for longer than its lease, a cut between a node and
the database, a cut between nodes, a restart of the database, a node added, a node that ends, a node's date set by an
hour, the shards of a node taken from it in the database. After each it waits until all experiments answer again, and
measures for how long one of them was answered by nobody, from the beginning of the fault on; where the database is
restarted, from its end on. Clients wait before they try again as onearm's own do, for as long as an answer asks them to
and more each time. In the end a checker that knows no onearm (`cluster_histories.py`) looks at what all clients were
told and at the log, and `onearm verify` folds the log. Exits with 1 where something is wrong, as it must be with an
error that is seeded on purpose (`cluster_seeded.py`); where such a gap is too long; and where the fence refused
nothing, as it was not tried then.
The result is written to results/cluster_faults.json where nothing is seeded.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
from cluster_gaps import Gap, Watch
from cluster_histories import DECIDE, LEARN, Row, Told, faults
from cluster_running import Database, Lines, Process, database
from cluster_seeded import SEEDED
from machine import machine

from onearm.api.client.patience import Patience

ARMS = [{"id": name} for name in "abc"]
EXPERIMENTS: dict[str, dict[str, Any]] = {
    **{f"u{i}": {"policy": {"name": "ucb1"}} for i in range(4)},
    **{f"x{i}": {"policy": {"name": "exp3_ix"}} for i in range(4)},
    **{f"w{i}": {"policy": {"name": "ucb1"}, "reward": {"wait_time": "30m", "default": 0}} for i in range(2)},
}
GAP_SECONDS = 2.0  # above the lease, until a shard without an owner answers again
RESULT = Path(__file__).parent / "results" / "cluster_faults.json"
PATIENCE_SECONDS = 180.0  # a busy machine is no bug
THINK_SECONDS = 0.5  # between two calls of a client, at most: who never rests measures how busy the machine is
HOUR = 3600.0
OUTCOME = 4  # the kind of a row
TRACEBACK = re.compile(r"^Traceback .*\n(?:[ |].*\n|\n)*.*", re.MULTILINE)


class Client(threading.Thread):
    """Decides, rewards, repeats itself and reads reports; retries at any node, as patiently as onearm's own client."""

    def __init__(self, me: int, seed: int, urls: Callable[[], list[str]], over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(1000 * seed + me)
        self.me, self.urls, self.over = me, urls, over
        self.told: list[Told] = []
        self.retries: Counter[str] = Counter()
        self.error: BaseException | None = None
        self._http: dict[str, tuple[int, httpx.Client]] = {}
        self._lines = 0
        self._decided: list[Told] = []
        self._rewarded: dict[str | None, float] = {}

    def run(self) -> None:
        """Go on until all is over."""
        try:
            while not self.over.is_set():
                self.random.choice([self.decide, self.decide, self.reward, self.reward, self.repeat, self.report])()
                self.over.wait(self.random.uniform(0.0, THINK_SECONDS))
        except BaseException as error:
            self.error = error
        finally:
            for _, http in self._http.values():
                http.close()

    def decide(self) -> None:
        """Ask for a decision of a new id."""
        decision = f"{self.me}-{len(self._decided)}"
        one = self.ask("decide", self.random.choice(list(EXPERIMENTS)), decision, None)
        self._decided.append(one)

    def reward(self) -> None:
        """Tell what came of a decision, once."""
        if self._decided and (one := self.random.choice(self._decided)).decision not in self._rewarded:
            value = self.random.choice([0.0, 0.25, 1.0])
            self._rewarded[one.decision] = value
            self.ask("reward", one.experiment, one.decision, value)

    def repeat(self) -> None:
        """Ask again what was answered."""
        if self._decided:
            one = self.random.choice(self._decided)
            self.ask("decide", one.experiment, one.decision, None)
            if one.decision in self._rewarded:
                self.ask("reward", one.experiment, one.decision, self._rewarded[one.decision])

    def report(self) -> None:
        """Read how many events there are."""
        self.ask("report", self.random.choice(list(EXPERIMENTS)), None, None)

    def ask(self, what: str, experiment: str, decision: str | None, said: float | None) -> Told:
        """Ask until there is an answer, and keep it."""
        patience = Patience(PATIENCE_SECONDS)
        while True:
            url = self.random.choice(self.urls())
            line, http = self._connected(url)
            at = f"{url}/v1/experiments/{experiment}"
            asked = time.monotonic()
            try:
                if what == "report":
                    answer = http.get(at)
                elif what == "decide":
                    answer = http.post(f"{at}/decisions", json={"decision_id": decision})
                else:
                    answer = http.post(f"{at}/decisions/{decision}/reward", json={"value": said})
            except httpx.TransportError as error:
                self.retries[type(error).__name__] += 1
                self._http.pop(url)[1].close()
                wait = patience.after_loss(error)
            else:
                if answer.status_code < 300:
                    break
                if answer.status_code != 503:
                    raise AssertionError(f"{answer.request.method} {at} {decision}: {answer.text}")
                self.retries[answer.json()["code"]] += 1
                wait = patience.after_answer(answer)
            time.sleep(wait)
        self.told.append(Told(self.me, line, asked, time.monotonic(), what, experiment, decision, said, answer.json()))
        return self.told[-1]

    def _connected(self, url: str) -> tuple[int, httpx.Client]:
        if url not in self._http:
            self._lines += 1
            limits = httpx.Limits(max_connections=1)  # so that a client is a connection
            self._http[url] = self._lines, httpx.Client(timeout=10, limits=limits, trust_env=False)
        return self._http[url]


class Storm:
    """The nodes, and what happens to them."""

    def __init__(self, database: Database, n_nodes: int, lease: float, seed: int, seeded: str) -> None:
        self.database, self.lease, self._seeded = database, lease, seeded
        self.random = random.Random(seed)
        self.lines = Lines()
        self.nodes: list[Process] = []
        self.made = 0
        self.n_nodes = n_nodes
        self.gaps: dict[str, list[Gap]] = {}
        self.watches: list[Watch] = []
        self.what: dict[str, Callable[[Process], None]] = {
            "killed": self.killed,
            "stopped": self.stopped,
            "cut_from_database": self.cut_from_database,
            "cut_from_nodes": self.cut_from_nodes,
            "database_restarted": self.database_restarted,
            "added": self.added,
            "ended": self.ended,
            "date_set": self.date_set,
            "taken": self.taken,
        }

    def add(self) -> Process:
        """Start one more node."""
        node = Process(f"n{self.made}", self.database, self.lines, self.lease, self._seeded)
        self.made += 1
        node.start()
        self.nodes.append(node)
        return node

    def urls(self) -> list[str]:
        """Return where clients may ask."""
        return [node.url for node in self.nodes]

    def watch(self, over: threading.Event) -> None:
        """From now on, see for how long each experiment is answered by nobody."""
        self.watches = [Watch(name, self.urls, over) for name in EXPERIMENTS]
        for one in self.watches:
            one.start()

    def strike(self, name: str) -> Gap:
        """Let something happen to some node, and return the longest time in which nobody answered of an experiment."""
        for node in self.nodes:
            node.revive()
        self._begin_to_count()
        self.what[name](self.random.choice(self.nodes))
        self.wait()
        gap = max((one.gap for one in self.watches), key=lambda one: one.seconds)
        self.gaps.setdefault(name, []).append(gap)
        return gap

    def wait(self) -> None:
        """Wait until each experiment answers at some node."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        left = set(EXPERIMENTS)
        with httpx.Client(timeout=5, trust_env=False) as http:
            while left:
                for name in sorted(left):
                    with suppress(httpx.TransportError):
                        url = f"{self.random.choice(self.urls())}/v1/experiments/{name}"
                        if http.get(url).status_code == 200:
                            left.discard(name)
                if time.monotonic() > deadline:
                    raise AssertionError(f"{sorted(left)} do not answer")

    def _begin_to_count(self) -> None:
        for one in self.watches:
            one.begin()

    def killed(self, node: Process) -> None:
        """Kill a node; it starts again, and waits until its lease is over."""
        node.signal(signal.SIGKILL)
        node.process.wait()
        node.start()

    def stopped(self, node: Process) -> None:
        """Stop a node for longer than its lease."""
        node.signal(signal.SIGSTOP)
        time.sleep(self.lease + self.random.uniform(0.2, 2.0))
        node.signal(signal.SIGCONT)

    def cut_from_database(self, node: Process) -> None:
        """Cut a node from the database, shorter or longer than its lease."""
        node.to_database.cut()
        time.sleep(self.random.uniform(0.2, 2 * self.lease))
        node.to_database.mend()

    def cut_from_nodes(self, node: Process) -> None:
        """Let other nodes not reach a node."""
        node.from_nodes.cut()
        time.sleep(self.random.uniform(0.2, self.lease))
        node.from_nodes.mend()

    def database_restarted(self, node: Process) -> None:
        """Restart the database as after a crash; without it nobody can answer."""
        self.database.restart()
        self._begin_to_count()

    def added(self, node: Process) -> None:
        """Add a node."""
        self.add().wait()

    def ended(self, node: Process) -> None:
        """Tell a node to end; where too few would be left another one comes."""
        node.wait()
        self.nodes.remove(node)
        node.signal(signal.SIGTERM)
        if node.process.wait(60) != 0:
            raise AssertionError(f"node {node.name} did not end well: {node.log.read_text()[-2000:]}")
        node.end()
        if len(self.nodes) < self.n_nodes:
            self.add().wait()

    def date_set(self, node: Process) -> None:
        """Set the date of a node by an hour."""
        node.set_clock(self.random.choice([-HOUR, HOUR]))
        time.sleep(1.0)

    def taken(self, node: Process) -> None:
        """Take the shards of a node from it in the database: what it writes before it knows of that is refused."""
        with psycopg.connect(self.database.url) as connection:
            connection.execute("UPDATE shard SET owner = NULL, epoch = epoch + 1 WHERE owner = %s", [node.name])

    def end(self) -> str:
        """End all nodes; return what was written to their logs."""
        for node in self.nodes:
            node.end()
        self.lines.close()
        return "".join(file.read_text() for file in self.database.folder.glob("n*/log"))


def measure(n_nodes: int, n_faults: int, n_clients: int, lease: float, seed: int, seeded: str = "") -> dict[str, Any]:
    """Let faults happen, and return what came of it."""
    over = threading.Event()
    with database() as server:
        storm = Storm(server, n_nodes, lease, seed, seeded)
        clients: list[Client] = []
        try:
            for _ in range(n_nodes):
                storm.add()
            for node in storm.nodes:
                node.wait()
            _create(storm)
            clients = [Client(me, seed, storm.urls, over) for me in range(n_clients)]
            for client in clients:
                client.start()
            storm.watch(over)
            happened = _happen(storm, clients, n_faults)
            over.set()
            for client in clients:
                client.join(PATIENCE_SECONDS)
            storm.wait()
            digests = {name: _asked(storm, name)["digest"] for name in EXPERIMENTS}
            for node in storm.nodes:
                node.wait()
        finally:
            over.set()
            said = storm.end()
        told = [one for client in clients for one in client.told]
        wrong = [repr(client.error) for client in clients if client.error is not None or client.is_alive()]
        wrong += faults(told, _log(server))
        verified = _verified(server)
        wrong += [f"the digest of {name} is another one" for name in EXPERIMENTS if digests[name] != verified.get(name)]
        wrong += [f"a node wrote: {error}" for error in TRACEBACK.findall(said)]
        return {
            "faults": dict(happened),
            "answers": dict(Counter(one.what for one in told)),
            "retries": dict(sum((client.retries for client in clients), Counter[str]())),
            "writes_refused_by_the_fence": said.count("belongs to another node by now"),
            "seconds_without_an_answer": {name: told_of(gaps) for name, gaps in sorted(storm.gaps.items())},
            "wrong": wrong[:20],
            "n_wrong": len(wrong),
        }


def told_of(gaps: Sequence[Gap]) -> dict[str, Any]:
    """Return how long times without an answer were, and what was heard in the longest of them."""
    longest = max(gaps, key=lambda one: one.seconds)
    median = statistics.median(one.seconds for one in gaps)
    heard = {what: round(seconds, 2) for what, seconds in longest.heard.items()}
    return {"median": round(median, 2), "most": round(longest.seconds, 2), "heard": heard}


def _create(storm: Storm) -> None:
    """Make the experiments, as soon as their shards have owners."""
    with httpx.Client(timeout=20, trust_env=False) as http:
        for name, fields in EXPERIMENTS.items():
            body = {"experiment_id": name, "arms": ARMS, "seed": 7, **fields}
            for _ in range(200):
                answer = http.post(f"{storm.random.choice(storm.urls())}/v1/experiments", json=body)
                if answer.status_code != 503:
                    break
                time.sleep(0.1)
            answer.raise_for_status()


def _happen(storm: Storm, clients: list[Client], n_faults: int) -> Counter[str]:
    """Let faults happen while clients go on; in each round of them all sorts, in any order."""
    happened: Counter[str] = Counter()
    left: list[str] = []
    for number in range(n_faults):
        left = left or storm.random.sample(list(storm.what), len(storm.what))
        name = left.pop()
        time.sleep(storm.random.uniform(0.3, 1.0))
        gap = storm.strike(name)
        happened[name] += 1
        print(
            f"{number + 1:3} {name:20} {gap.seconds:6.2f} s  {sum(len(one.told) for one in clients)} {gap.heard}",
            file=sys.stderr,
        )
        if any(not client.is_alive() for client in clients):
            break
    return happened


def _asked(storm: Storm, name: str) -> dict[str, Any]:
    """Return an experiment as a node shows it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(httpx.TransportError):
            answer = httpx.get(f"{storm.random.choice(storm.urls())}/v1/experiments/{name}", timeout=20)
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{name} does not answer")
        time.sleep(0.1)


def _log(server: Database) -> list[Row]:
    """Return the log as the database has it."""
    sql = (
        "SELECT experiment.id, seq, kind, number, action, decision_id, reward, reward_id FROM event "
        "JOIN experiment ON experiment.key = event.experiment ORDER BY 1, 2"
    )
    with psycopg.connect(server.url) as connection:
        rows = connection.execute(sql).fetchall()
    found = []
    for name, seq, kind, number, action, decision, reward, reward_id in rows:
        detail = "closed" if kind == LEARN and reward_id is None else None
        if kind == OUTCOME and reward_id is not None:  # a reward that is learned when its window closes
            kind = LEARN
        label = "abc"[action] if kind == DECIDE else None
        found.append(Row(name, seq, kind, number, label, decision, reward, detail))
    return found


def _verified(server: Database) -> dict[str, str]:
    """Return the digests of folds of the log, where it is in order."""
    done = subprocess.run(
        [sys.executable, "-m", "onearm", "verify", "--database", server.url, "--json"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return {one["id"]: one["digest"] for one in json.loads(done.stdout)["experiments"]}


def missed(found: dict[str, Any]) -> list[str]:
    """Return in words what was not reached, or not tried."""
    limit = found["lease"] + GAP_SECONDS
    said = [
        f"{name}: an experiment was answered by nobody for {of['most']:.1f} s, where {limit:g} s are the limit"
        for name, of in found["seconds_without_an_answer"].items()
        if of["most"] > limit
    ]
    if not found["writes_refused_by_the_fence"]:
        said.append("the fence refused no write, so it was not tried: let more faults happen")
    return said


def main() -> int:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeded", choices=SEEDED, default="", help="an error that all nodes make")
    parser.add_argument("--out", type=Path, default=RESULT, help="where the result is written")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    found = measure(options.nodes, options.faults, options.clients, options.lease, options.seed, options.seeded)
    found |= {"lease": options.lease, "nodes": options.nodes, "clients": options.clients, "machine": machine()}
    found["missed"] = missed(found)
    if not options.seeded:
        options.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{key}: {value}" for key, value in found.items()))
    return 1 if found["n_wrong"] or found["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
