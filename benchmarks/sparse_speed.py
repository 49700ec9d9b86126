"""How fast named features are read and learned, beside Vowpal Wabbit's own pass: `measure`, for sparse.py.

Logs of 50,000 events of 77 words and two actions: in Vowpal Wabbit's text with words of a language (some 20,000, of
which few are frequent), or with names of which none comes twice; and in dsjson. Then 2,000 events of 100 actions with
32 features each, of which nothing is shared. Both sides read and learn once, on one core: seconds of CPU, the least of
some rounds that take turns. Ours is done in this process, where all is compiled, and what reading takes of it is told
as well. Ours multiplies what is shared with what actions have, where nothing else is asked for. Vowpal Wabbit does so
with `-q`, so it is driven twice: without, which is half of the work, and with the same products.
Then decisions in Python and what the features of one over HTTP take, in microseconds.
"""

from __future__ import annotations

import json
import random
import string
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import machine

import onearm
from onearm.api.log_files import module_of
from onearm.engine import draws as keyed
from onearm.engine.features import Encoder
from onearm.engine.featuriser.desk import desk
from onearm.engine.replay.folding import fold
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import LEARN
from onearm.policies import catalog

HERE = Path(__file__).resolve().parent
EVENTS, WORDS, VOCABULARY = 50_000, 77, 20_000
POLICY = "squarecb"
FLAGS = "--cb_explore_adf --squarecb -b 18"
PRODUCTS = "-q da"
ARMS, FEATURES, FEW_EVENTS, FEW_NAMES = 100, 32, 2_000, 5_000


class Log(NamedTuple):
    """A log, and what is asked for."""

    form: str
    events: int
    write: Callable[[], Iterator[str]]
    flags: str  # that Vowpal Wabbit reads it by
    asked: float  # the share of its speed


ASKED_US = {"62 features": 30.0, "10 x 32 features": 100.0, "10 x 32 features over HTTP": 35.0}


def measure(vw: Path | None, rounds: int, step: Callable[[], None]) -> dict[str, Any]:
    """Return events per second of each log, and what a decision takes.

    `read` is to read them, `learned` to read and learn, `from_slots` to learn what was read; `vw` is Vowpal Wabbit's
    pass, `vw_products` that with the same products as ours. `asked` is the share of `vw` that is asked of `learned`.

    `vw` is the Python of its environment, None where that is missing; `step` is called once a round of each log.
    """
    found: dict[str, Any] = {"machine": machine(), "logs": {}, "microseconds": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, log in LOGS.items():
            file = Path(folder) / name.replace(" ", "_")
            file.write_text("".join(log.write()))
            replayed(file, log.form)  # compiles
            taken: dict[str, list[float]] = {}
            for _ in range(rounds):
                read, learn = replayed(file, log.form)
                now = {"read": read, "learned": read + learn, "from_slots": learn}
                if vw is not None:
                    flags = f"{FLAGS} {log.flags} -d {file}"
                    now |= {"vw": driven(vw, flags), "vw_products": driven(vw, f"{flags} {PRODUCTS}")}
                for way, seconds in now.items():
                    taken.setdefault(way, []).append(seconds)
                step()
            rates = {way: log.events / min(seconds) for way, seconds in taken.items()}
            found["logs"][name] = rates | {"asked": log.asked}
    found["microseconds"] = {name: [microseconds(call), ASKED_US[name]] for name, call in calls().items()}
    return found


def words() -> Iterator[list[str]]:
    """Yield the words of events: those of a language, the n-th as frequent as 1 / n."""
    draws = random.Random(3)
    known = ["".join(draws.choices(string.ascii_lowercase, k=draws.randint(2, 8))) for _ in range(VOCABULARY)]
    weights = [1 / (n + 1) for n in range(VOCABULARY)]
    for _ in range(EVENTS):
        yield draws.choices(known, weights, k=WORDS)


def new_names() -> Iterator[list[str]]:
    """Yield words of which none comes twice."""
    for event in range(EVENTS):
        yield [f"w{WORDS * event + word}" for word in range(WORDS)]


def as_text(events: Iterator[list[str]]) -> Iterator[str]:
    """Yield events in Vowpal Wabbit's text."""
    draws = random.Random(4)
    for event in events:
        chosen, cost = draws.randrange(2), -float(draws.random() < 0.4)
        lines = [f"{f'0:{cost}:0.5 ' if a == chosen else ''}|a t{a}" for a in range(2)]
        yield "\n".join([f"shared |d {' '.join(event)}", *lines, "", ""])


def as_dsjson(events: Iterator[list[str]]) -> Iterator[str]:
    """Yield events as lines of dsjson, with a weight for each word."""
    draws = random.Random(4)
    for number, event in enumerate(events):
        chosen, cost = draws.randrange(2), -float(draws.random() < 0.4)
        line = {
            "_label_cost": cost,
            "_label_probability": 0.5,
            "_label_Action": chosen + 1,
            "_labelIndex": chosen,
            "o": [{"v": -cost, "EventId": f"e{number}"}],
            "Timestamp": "2020-01-01T00:00:00.0000000Z",
            "EventId": f"e{number}",
            "a": [chosen + 1, 2 - chosen],
            "c": {"d": {word: round(draws.uniform(0.03, 0.1), 4) for word in event}, "_multi": ACTIONS},
            "p": [0.5, 0.5],
        }
        yield json.dumps(line, separators=(",", ":")) + "\n"


def many_actions() -> Iterator[str]:
    """Yield events of many actions with features of their own, in Vowpal Wabbit's text."""
    draws = random.Random(7)
    known = [f"x{number}" for number in range(FEW_NAMES)]
    for _ in range(FEW_EVENTS):
        chosen, cost = draws.randrange(ARMS), -float(draws.random() < 0.4)
        for a in range(ARMS):
            row = " ".join(f"{name}:{draws.uniform(0.03, 1.0):.4f}" for name in draws.sample(known, FEATURES))
            yield f"{f'{a}:{cost}:{1 / ARMS} ' if a == chosen else ''}|a {row}\n"
        yield "\n"


ACTIONS = [{"a": {"id": f"t{a}"}} for a in range(2)]
LOGS = {
    "words": Log("vw", EVENTS, lambda: as_text(words()), "", 0.5),
    "new names": Log("vw", EVENTS, lambda: as_text(new_names()), "", 0.25),
    "dsjson": Log("dsjson", EVENTS, lambda: as_dsjson(words()), "--dsjson", 1.0),
    "100 x 32": Log("vw", FEW_EVENTS, many_actions, "", 1.5),
}


def replayed(file: Path, form: str) -> tuple[float, float]:
    """Return the seconds of CPU in which a log is read, and those in which what was read is learned."""
    start = time.process_time()
    with module_of(form).read_rows(Source(file), Wanted()) as rows:
        read = time.process_time()
        learned(rows)
    return read - start, time.process_time() - read


def learned(rows: Rows) -> Any:
    """Return the state of a policy that learned all rows of a log."""
    policy = catalog.make(POLICY)
    state = policy.init(policy.params, rows.problem)
    run = keyed.run_key(0, 0, keyed.POLICY)
    for page in rows.pages():
        fold(policy.params, state, run, page.columns._replace(kind=np.full(len(page.line), LEARN, np.int8)))
    return state


def driven(vw: Path, flags: str) -> float:
    """Return the seconds of CPU of Vowpal Wabbit's own driver."""
    command = [str(vw), str(HERE / "peers" / "contextual" / "vw.py")]
    job = json.dumps({"drive": flags, "examples": 1})
    done = subprocess.run(command, input=job, capture_output=True, text=True, check=True)
    return 1.0 / float(json.loads(done.stdout)["per_second"])


def calls() -> dict[str, Callable[[int], Any]]:
    """Return what is called for each decision, with its number."""
    draws = np.random.default_rng(1)
    contexts = [{"doc": dict(zip(NAMES, draws.random(62).tolist(), strict=True))} for _ in range(100)]
    actions = [
        [{"id": f"a{a}", "x": dict(zip(NAMES, draws.random(32).tolist(), strict=False))} for a in range(10)]
        for _ in range(100)
    ]
    bodies = [json.dumps(each, separators=(",", ":")).encode() for each in actions]
    named = {"kind": "features"}
    shop = onearm.open(arms=2, policy=POLICY, context=named, seed=1)
    listed = onearm.open(policy=POLICY, context=named, actions={"max": 50}, seed=1)
    encoder = Encoder()
    for entry in desk().entries():
        entry.wait()
    return {
        "62 features": lambda n: shop.learn(shop.decide(contexts[n % 100]), reward=1.0),
        "10 x 32 features": lambda n: listed.learn(listed.decide(None, actions=actions[n % 100]), reward=1.0),
        "10 x 32 features over HTTP": lambda n: encoder.encode_sent(None, bodies[n % 100]),
    }


NAMES = [f"word{n}" for n in range(62)]
AS_PYTHON_S = 1e-3  # a call that takes longer is not compiled yet


def microseconds(call: Callable[[int], Any], calls: int = 2000) -> float:
    """Return what a call takes of CPU, the least of some hundred calls, once it is compiled."""
    until = time.monotonic() + 300
    best = np.inf
    while time.monotonic() < until:
        start = time.process_time()
        for n in range(calls // 10):
            call(n)
        taken = (time.process_time() - start) / (calls // 10)
        until = min(until, time.monotonic() + 5) if 0.9 * best < taken < AS_PYTHON_S else until
        best = min(best, taken)
    return float(best * 1e6)


if __name__ == "__main__":
    from speed import peer_python

    python = peer_python(HERE / "peers" / "contextual" / "vowpalwabbit.txt")
    print(json.dumps(measure(python, 3, lambda: None), indent=1))
