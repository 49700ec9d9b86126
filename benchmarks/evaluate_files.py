"""SNIPS from files: from a file's first byte to the value, beside what others read such files with.

One simulated log lies in every file, so that all find the same value: 34 arms, of which a policy draws with a law that
changes, and rewards of 0 and 1. The files of dsjson are of another shape: a shared context, and four actions with
features of their own.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from evaluate_peers import Peer, Way, peer, timed, turns
from pyarrow import csv

import onearm
from onearm.engine.columns import concat, take
from onearm.engine.simulation import Simulation
from onearm.engine.storage.formats import csv_table, dsjson, jsonl, obd, parquet
from onearm.engine.storage.joined_form import Extent, Joining
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import DECIDE, LEARN, Columns
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

ARMS = 34  # as in the men's campaign of the Open Bandit Dataset
POLICY = {"minimum": 0.005, "policy": {"name": "exp3_ix", "params": {}}}  # of `floor`
FORMS = {"csv": csv_table, "dsjson": dsjson, "jsonl": jsonl, "obd": obd, "parquet": parquet}
FILES = 8  # of `make_files`
JOINED_AT_ONCE = 5000  # decisions with their rewards
USERS = (3, 6, 10, 10)  # categories of the user features
DRINKS = ("Cappucino", "Cold brew", "Iced mocha", "Latte")
MODEL = "ff0744c1aa494e1ab39ba0c78d048146/550c12cbd3aa47f09fbed3387fb9c6ec"  # of `VWState`
# Vowpal Wabbit reads and predicts, and learns nothing: the least that it can do with a log
VW_FLAGS = "--dsjson --cb_explore_adf -t -b 18 --quiet"


@dataclass(frozen=True)
class File:
    """A log: `shape` tells what its events look like there."""

    form: str
    shape: str
    path: Path
    events: int
    n_arms: int | None

    @property
    def name(self) -> str:
        """Return what the results call it."""
        return f"{self.form} {self.shape}"


def simulation(events: int) -> Simulation:
    """Return the run that makes the log, at its start."""
    world = envs.make("bernoulli", mean=np.linspace(0.02, 0.2, ARMS).tolist())
    return Simulation(policies.make("floor", **POLICY), world, horizon=events)


def make_files(folder: Path, events: int, dsjson_events: int) -> list[File]:
    """Write one log in every shape; of dsjson another one."""
    exports = {form: folder / f"export.{form}" for form in ("parquet", "jsonl")}
    run = simulation(events)
    parts: list[Columns] = []
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(FORMS[form].Writer(path, run.problem, {"policy": run.policy.spec, "seed": "0"}))
            for form, path in exports.items()
        ]
        while run.t < events:
            part = run.advance_logged(min(run.logged_at_once, events - run.t))
            for writer in writers:
                writer.write(part)
            parts.append(part)
    log = concat(parts)
    write_joined(folder / "joined.parquet", exports["parquet"])
    table = table_of(log)
    pq.write_table(table, folder / "table.parquet")
    write_csv(folder / "table.csv", table)
    write_lines(folder / "table.jsonl", table)
    write_campaign(folder / "campaign.csv", table)
    write_dsjson(folder / "log.dsjson", dsjson_events)
    return [
        File("parquet", "export", exports["parquet"], events, None),
        File("parquet", "joined", folder / "joined.parquet", events, None),
        File("parquet", "table", folder / "table.parquet", events, ARMS),
        File("csv", "table", folder / "table.csv", events, ARMS),
        File("obd", "campaign", folder / "campaign.csv", events, None),
        File("jsonl", "export", exports["jsonl"], events, None),
        File("jsonl", "table", folder / "table.jsonl", events, ARMS),
        File("dsjson", "actions", folder / "log.dsjson", dsjson_events, None),
    ]


def table_of(columns: Columns) -> pa.Table:
    """Return decisions with their rewards, of a log in which each reward comes at once."""
    decided, learned = take(columns, columns.kind == DECIDE), take(columns, columns.kind == LEARN)
    assert np.array_equal(decided.number, learned.number)
    return pa.table({"action": decided.action, "reward": learned.reward, "propensity": decided.propensity})


def write_joined(path: Path, export: Path) -> None:
    """Write an export of Parquet, in which each reward comes at once, in the joined form."""
    events = parquet.read_events(Source(export))
    with parquet.JoinedWriter(path, events.problem, events.spec, Extent(0, pq.read_metadata(export).num_rows)) as out:
        while page := list(islice(events.rows, 2 * JOINED_AT_ONCE)):
            learned = [event for event in page if event.kind == LEARN]
            out.write_rows(Joining(lambda numbers, learned=learned: learned).rows(page))


def write_lines(path: Path, table: pa.Table) -> None:
    """Write a plain table as JSON lines."""
    with path.open("w") as lines:
        for batch in table.to_batches(100_000):
            lines.writelines(compact(row) + "\n" for row in batch.to_pylist())


def write_campaign(path: Path, table: pa.Table) -> None:
    """Write a table as the Open Bandit Dataset is written: time, position, hashed user features, affinities."""
    n, draws = table.num_rows, np.random.default_rng(1)
    minutes = pa.array(np.arange(n) * 7_919_000 + 1_574_553_663_979_311).cast(pa.timestamp("us"))
    campaign: dict[str, Any] = {
        "": np.arange(n),
        "timestamp": pa.compute.strftime(minutes, "%Y-%m-%d %H:%M:%S+00:00"),
        "item_id": table["action"],
        "position": draws.integers(1, 4, n),
        "click": table["reward"].cast(pa.int64()),
        "propensity_score": table["propensity"],
    }
    for j, count in enumerate(USERS):
        codes = pa.array([draws.bytes(16).hex() for _ in range(count)])
        campaign[f"user_feature_{j}"] = codes.take(pa.array(draws.integers(0, count, n)))
    affinities = pa.array(["0.0", "1.0"])
    for arm in range(ARMS):
        campaign[f"user-item_affinity_{arm}"] = affinities.take(pa.array((draws.random(n) < 0.02).astype(int)))
    write_csv(path, pa.table(campaign))


def write_csv(path: Path, table: pa.Table) -> None:
    """Write a table without quotes, which Arrow puts around names."""
    with path.open("wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())
        csv.write_csv(table, file, csv.WriteOptions(include_header=False, quoting_style="none"))


def write_dsjson(path: Path, events: int) -> None:
    """Write decisions as Vowpal Wabbit's services log them: a context, four actions with features, ids and outcomes."""
    draws = np.random.default_rng(2)
    favourite, chance = draws.integers(0, len(DRINKS), events), draws.random(events)
    other, reward = draws.integers(0, len(DRINKS), events), (draws.random(events) < 0.2).astype(int)
    times, weathers, people = ("Morning", "Afternoon", "Evening"), ("Sunny", "Rainy", "Snowy"), ("Cathy", "Alice", "Bo")
    kinds = (("hot", "kenya", "yes", "dark"), ("cold", "brazil", "yes", "light"), ("cold", "ethiopia", "no", "light"))
    actions = [
        {
            "_tag": drink,
            "i": {"constant": 1, "id": drink},
            "j": [dict(zip(("type", "origin", "organic", "roast"), kinds[i % 3], strict=True))],
        }
        for i, drink in enumerate(DRINKS)
    ]
    multi = compact(actions)
    with path.open("w") as lines:
        for i in range(events):
            best = int(favourite[i])
            action = best if chance[i] < 0.8 else int(other[i])
            order = [action, *(a for a in range(len(DRINKS)) if a != action)]
            law = [0.85 if a == best else 0.05 for a in order]
            user = f'"timeofday":"{times[i % 3]}","weather":"{weathers[i // 3 % 3]}","name":"{people[i // 9 % 3]}"'
            lines.write(
                f'{{"_label_cost":{-float(reward[i])},"_label_probability":{law[0]},"_label_Action":{action + 1},'
                f'"_labelIndex":{action},"o":[{{"v":{float(reward[i])},"EventId":"{i:032x}","ActionTaken":false}}],'
                f'"Timestamp":"2021-02-04T16:{i // 60 % 60:02}:{i % 60:02}.246Z","Version":"1","EventId":"{i:032x}",'
                f'"a":{compact([a + 1 for a in order])},"c":{{"FromUrl":[{{{user}}}],"_multi":{multi}}},'
                f'"p":{compact(law)},"VWState":{{"m":"{MODEL}"}}}}\n'
            )


def compact(value: Any) -> str:
    """Return JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


def read(file: File) -> Rows:
    """Read what SNIPS needs of a file."""
    rows: Rows = FORMS[file.form].read_rows(Source(file.path), Wanted(contexts=False, n_arms=file.n_arms))
    return rows


def value_of(file: File, target: str, *, diagnostics: bool) -> float:
    """Return the SNIPS value of a target as everybody gets it, with its interval."""
    found = onearm.evaluate(
        file.path, target, method="snips", format=file.form, arms=file.n_arms, diagnostics=diagnostics
    )
    return float(found.to_dict()["estimates"][0]["value"])


def ways_of(file: File, polars: Peer | None, obp: Peer | None, vw: Peer | None) -> dict[str, Way]:
    """Return all ways to a value of this file."""
    targets = ("action:0",) if file.form == "dsjson" else ("uniform", "action:0")
    ways = {f"onearm, {targets[0]}": timed(lambda: value_of(file, targets[0], diagnostics=True))}
    for target in targets:
        ways[f"onearm, {target}, no diagnostics"] = timed(
            lambda target=target: value_of(file, target, diagnostics=False)
        )
    job = {"file": str(file.path), "form": file.form, "shape": file.shape, "arms": ARMS}
    if polars is not None and file.form != "dsjson":
        ways["polars, expressions"] = polars.way(way="expressions", **job)
        ways["polars, one compiled pass"] = polars.way(way="compiled", **job)
        if file.form == "jsonl":
            ways["msgspec, one compiled pass"] = polars.way(way="msgspec", **job)
    if obp is not None and file.shape in ("table", "campaign"):
        ways["pandas, obp"] = obp.way(way="obp", **job)
    if vw is not None and file.form == "dsjson":
        for way in ("workspace", "command"):
            ways[f"vowpalwabbit, {way}"] = vw.way(way=way, flags=f"{VW_FLAGS} -d {file.path}", events=file.events)
    return ways


def measure(
    folder: Path, events: int, dsjson_events: int, rounds: int, peers: bool, step: Callable[[], None]
) -> dict[str, Any]:
    """Return, by file, what it holds and the rate of each way, None for one that failed."""
    files = make_files(folder, events, dsjson_events)
    step()
    found: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        polars, obp, vw = (
            stack.enter_context(peer(library, script)) if peers else None
            for library, script in (("polars", "files.py"), ("obp", "obp_files.py"), ("vowpalwabbit", "vw_files.py"))
        )
        for file in files:
            rates = turns(ways_of(file, polars, obp, vw), file.events, rounds, step)
            found[file.name] = {"events": file.events, "bytes": file.path.stat().st_size, "rates": rates}
    return found


def difference(found: dict[str, Any]) -> float:
    """Return how far two ways' values of one target lie apart at most, as a share of the value."""
    worst = 0.0
    for file in found.values():
        values: dict[str, list[float]] = {}
        for name, rate in file["rates"].items():
            if rate is not None and rate["value"] is not None:
                values.setdefault("action:0" if "action:0" in name else "uniform", []).append(rate["value"])
        for of_target in values.values():
            apart = max(of_target) - min(of_target)
            worst = max(worst, apart / max(map(abs, of_target)) if apart else 0.0)
    return worst
