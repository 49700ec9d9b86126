"""Logs that onearm 0.1.0 wrote: every decision is made again, and every answer given again, whatever was moved since.

`python -m pytest tests/test_old_logs.py` takes a few seconds with the JIT off; fixtures/make_old.py says what the files
hold.
"""

from __future__ import annotations

import gzip
import inspect
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import golden
import pytest
from support import with_numba
from support.every_run import every_run
from support.old_logs import FIXTURES, Reader, command, export_digest, read_answers, verified

from onearm.api import log_files
from onearm.engine.errors import InvalidInput
from onearm.engine.storage.records import Event
from onearm.engine.storage.rows import Wanted
from onearm.engine.vocabulary import Columns
from onearm.policies import catalog

ANSWERS = read_answers()
NAMES = list(ANSWERS)
POLICIES = {name: answer["experiment"]["policy"]["name"] for name, answer in ANSWERS.items()}
EXPORTS = sorted((FIXTURES / "exports").iterdir())
SIMULATED = sorted((FIXTURES / "simulated").iterdir())
OURS = [file for file in SIMULATED if file.suffix in (".jsonl", ".parquet")]
OTHERS = [file for file in SIMULATED if file not in OURS]
CHANGED = [  # an experiment of each kind, whose policy draws by what it learned
    "exp3_ix.none",
    "maillard_chain.one",
    "squarecb.dense",
    "softmax.rows",
    "bag.named",
    "linear_thompson.columns",
    "squarecb.items",
    "squarecb.item_columns",
    "budget.dense.1",
    "early_drop.known.0",
    "early_drop.unknown.0",
    "ftrl.gradient.ball.0",
    "optimistic_hedge.losses.simplex.12",
    "implicit_omd.example.box.4",
    "point_gradient.reward.product.21",
    "point_gradient.two_rewards.ball.21",
    "top_two_thompson.arms.9",
    "generalised_binary_search.thresholds.0",
    "generalised_binary_search.animals.0",
]
EVERY_RUN = {*CHANGED, *{policy: name for name, policy in reversed(POLICIES.items())}.values()}  # and the first of each
each_log = pytest.mark.parametrize("name", every_run(NAMES, EVERY_RUN))


def copied(folder: Path, names: list[str]) -> str:
    """Copy what the database, which is never written to, holds of some experiments, and return the URL of the copy."""
    shutil.copyfile(FIXTURES / "old.db", folder / "old.db")
    with closing(sqlite3.connect(folder / "old.db")) as connection:
        known = connection.execute("SELECT id, key FROM experiment").fetchall()
        gone = [(key,) for name, key in known if name not in names]
        for table, column in (("snapshot_part", "experiment"), ("snapshot", "experiment"), ("event", "experiment")):
            connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", gone)
        connection.executemany("DELETE FROM experiment WHERE key = ?", gone)
        connection.commit()
    return f"sqlite:///{folder / 'old.db'}"


@pytest.fixture(scope="module")
def names(request: pytest.FixtureRequest) -> list[str]:
    """Return the experiments that this run tries."""
    asked = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    return [name for name in NAMES if name in asked or name in EVERY_RUN]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> dict[str, Any]:
    """Return what verify finds."""
    return verified("--database", copied(tmp_path_factory.mktemp("verify"), names))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> Iterator[Reader]:
    """Yield the service over a copy."""
    with Reader(copied(tmp_path_factory.mktemp("read"), names)) as reader:
        yield reader


@pytest.fixture(scope="module")
def told(reader: Reader, names: list[str]) -> dict[str, Any]:
    """Return what the service tells of each experiment, and then decides in it."""
    assert reader.experiments() == names
    found = {name: reader.told(name) for name in names}
    for name, answer in [(name, ANSWERS[name]) for name in names]:
        if answer["again"] is not None:
            found[name]["again"] = reader.decide(name, answer["again"]["body"])
        found[name]["next"] = reader.decide(name, answer["next"]["body"])
    return found


# Policies that 0.1 did not have:
NEWER = {
    "adaptive",
    "constrained",
    "differential_q",
    "fixed_arm",
    "fourier_softmax",
    "half_visit",
    "imed_rl",
    "kl_ucrl",
    "loop",
    "loop_mixture",
    "optimistic_q",
    "paced_budget",
    "psrl",
    "split",
    "sticky",
    "thompson_any",
    "ucrl2",
    "ucrl2_vtr",
    "ucrl2b",
    "ucrl3_box",
}


def test_every_policy_with_a_golden_digest_has_a_log() -> None:
    assert set(golden.read()) - set(POLICIES.values()) == NEWER
    assert {POLICIES[name] for name in EVERY_RUN} == set(POLICIES.values())


@each_log
def test_every_decision_is_made_again(found: dict[str, Any], name: str) -> None:
    assert found[name] == ANSWERS[name]["verify"]
    assert found[name]["first_difference"] is None


@each_log
def test_the_service_answers_as_it_did(told: dict[str, Any], name: str) -> None:
    """What it tells, the decision that is asked for again, and the one that comes next."""
    for field, answer in told[name].items():
        known = ANSWERS[name][field]
        if field == "diagnostics":  # the working space of a state may change
            known = {key: value for key, value in known.items() if key != "state_bytes"}
        assert answer == (known["answer"] if field in ("again", "next") else known), field


def needed(policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy with only those of its params that have no default."""
    known = inspect.signature(catalog.factory(policy["name"])).parameters
    left = {key: value for key, value in policy["params"].items() if known[key].default is inspect.Parameter.empty}
    return {"name": policy["name"], "params": left}


def test_experiments_that_are_asked_for_again_are_the_same(reader: Reader, names: list[str]) -> None:
    """Clients create them at every start: with all that was said then, or without what followed from defaults then."""
    with closing(sqlite3.connect(FIXTURES / "old.db")) as connection:
        known = connection.execute("SELECT id, spec FROM experiment").fetchall()
    specs = [json.loads(spec) for name, spec in known if name in names]
    assert len(specs) == len(names)
    for spec in specs:
        grew = catalog.completed(spec["policy"]) != spec["policy"]  # so its defaults may have changed as well
        for body in (spec, spec | {"policy": needed(spec["policy"])}) if grew else (spec,):
            status, answer = reader.create(body)
            assert (status, answer.get("policy", answer)) == (200, spec["policy"])
        status, answer = reader.create(spec | {"seed": 12_345})
        assert (status, answer["code"]) == (409, "experiment_exists")


def test_states_are_folded_from_older_snapshots_or_none(tmp_path: Path, names: list[str]) -> None:
    """Every second experiment has no snapshot here, the others the one from the middle of their course."""
    url = copied(tmp_path, names)
    newest = "seq = (SELECT max(seq) FROM snapshot AS other WHERE other.experiment = snapshot.experiment)"
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute(f"DELETE FROM snapshot WHERE experiment % 2 = 0 OR {newest}")
        connection.commit()
    with Reader(url) as reader:
        assert {name: reader.digest(name) for name in names} == {
            name: ANSWERS[name]["experiment"]["digest"] for name in names
        }


def test_a_log_of_a_policy_from_outside_is_verified_with_its_file() -> None:
    """In a process of its own, as the file adds a policy to this one's. It reads its last arms and pulls nothing."""
    database = f"sqlite:///{FIXTURES / 'outside.db'}"
    verify = ["verify", "--database", database, "--policy-file", str(FIXTURES / "passing_by.py"), "--json"]
    done = with_numba.run(with_numba.COMMAND, *verify, **with_numba.AS_PYTHON)
    assert done.returncode == 0, done.stderr
    found = {one["id"]: (one["decisions"], one["first_difference"]) for one in json.loads(done.stdout)["experiments"]}
    assert found == {"hello": (0, None), "over": (14, None), "under_way": (13, None)}


@pytest.mark.parametrize("name", every_run(NAMES, CHANGED))
def test_the_export_is_what_it_was(tmp_path: Path, name: str) -> None:
    assert export_digest(f"sqlite:///{FIXTURES / 'old.db'}", name, tmp_path) == ANSWERS[name]["export"]


@pytest.mark.covering
@pytest.mark.parametrize("form", log_files.EXPORTS)
@pytest.mark.parametrize("name", every_run(NAMES, CHANGED))
def test_the_joined_form_holds_the_same_log(
    tmp_path: Path, name: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{FIXTURES / 'old.db'}"
    found: dict[str, list[Event]] = {}
    for rows in log_files.ROWS:
        file = tmp_path / f"{rows}.{form}"
        assert command("export", name, str(file), "--database", url, "--rows", rows)[0] == 0
        events = log_files.module_of(form).read_events(log_files.source_of(file))
        found[rows] = list(events.rows)
        assert not events.bad_lines.count
    assert found["decisions"] == found["events"]
    for contexts in (False, True):
        one, other = (judged(form, tmp_path / f"{rows}.{form}", contexts) for rows in log_files.ROWS)
        assert one == other
    capsys.readouterr()
    code, told = command("verify", str(file))
    if len(events.spec.get("arms") or ()) == len(ANSWERS[name]["experiment"].get("arms") or ()):
        (seen,) = told["experiments"]
        assert (code, seen["digest"]) == (0, ANSWERS[name]["verify"]["digest"])
    else:
        assert (code, told) == (2, None)
        assert "and an export cannot say from which event on" in capsys.readouterr().err


def judged(form: str, file: Path, contexts: bool) -> Any:
    """Return what an evaluation reads of an export, or why it reads nothing."""
    try:
        with log_files.module_of(form).read_rows(log_files.source_of(file), Wanted(contexts=contexts)) as rows:
            columns: Columns = rows.columns()
            values = [each.tobytes() for each in (columns.reward, columns.action, columns.propensity)]
            return rows.decisions, rows.notes, dict(rows.bad_lines.count), values
    except InvalidInput as error:
        return error.code, str(error).replace(str(file), "it")


@pytest.mark.parametrize("file", EXPORTS, ids=lambda file: file.name)
def test_an_export_is_read_written_and_verified(tmp_path: Path, file: Path) -> None:
    name = file.name.removesuffix(".jsonl.gz")
    code, _ = command("convert", str(file), str(tmp_path / "again.jsonl"))
    assert code == 0
    exported = parsed(gzip.decompress(file.read_bytes()))
    assert parsed((tmp_path / "again.jsonl").read_bytes()) == exported
    if len(exported[0]["experiment"]["arms"]) == len(ANSWERS[name]["experiment"]["arms"]):  # else verify refuses it
        assert verified(str(file)) == {name: ANSWERS[name]["verify"]}


def parsed(export: bytes) -> list[Any]:
    return [json.loads(line) for line in export.splitlines()]


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_the_log_of_a_simulation_is_read_and_verified(tmp_path: Path, file: Path) -> None:
    (seen,) = verified(str(file)).values()
    assert (seen["first_difference"], seen.get("bad_lines")) == (None, None)
    assert command("convert", str(file), str(tmp_path / "again.jsonl"))[0] == 0
    assert (tmp_path / "again.jsonl").read_bytes() == file.with_suffix(".jsonl").read_bytes()


@pytest.mark.parametrize("file", OTHERS, ids=lambda file: file.name)
def test_the_log_of_a_simulation_is_converted_as_it_was(tmp_path: Path, file: Path) -> None:
    name, ending = file.name.split(".", 1)
    again, form = tmp_path / file.name, {"obd.csv": "obd", "dat": "vw"}.get(ending, ending)
    source = FIXTURES / "simulated" / f"{name}.jsonl"
    assert command("convert", str(source), str(again), "--to", form, "--lossy")[0] == 0
    assert again.read_bytes() == file.read_bytes()
    code, told = command("convert", str(file), str(tmp_path / "back.jsonl"))
    assert (code, told["decisions"], told["bad_lines"]) == (0, 20, {})


# -- what is changed is found ------------------------------------------------------------------------------------------


def changed(folder: Path, name: str, change: str) -> int | None:
    """Change an event of an experiment in a copy; return the first decision that verify finds to differ."""
    url = copied(folder, [name])
    problem = ANSWERS[name]["experiment"]["problem"]
    with closing(sqlite3.connect(folder / "old.db")) as connection:
        CHANGES[change](connection, problem)
        connection.commit()
    first: int | None = verified("--database", url)[name]["first_difference"]
    return first


def change_propensity(connection: sqlite3.Connection, problem: dict[str, Any]) -> None:
    change_first(connection, "propensity = coalesce(propensity / 2, 0.5)")


def change_action(connection: sqlite3.Connection, problem: dict[str, Any]) -> None:
    """Choose another arm or query, ask for other pulls, or move a point by the last bit of a number."""
    if problem["kind"] in ("arms", "queries"):
        change_first(connection, "action = (action + 1) % 3")
        return
    pulls_or_point = "coalesce(decision_id, '') NOT LIKE '~arm%'"
    first = f"SELECT seq, vector FROM event WHERE kind = 0 AND {pulls_or_point} ORDER BY seq"
    seq, vector = connection.execute(first).fetchone()
    vector = bytearray(vector)
    vector[-8] ^= 1
    connection.execute("UPDATE event SET vector = ? WHERE seq = ?", (bytes(vector), seq))


def change_first(connection: sqlite3.Connection, change: str) -> None:
    """Change the first decision."""
    first = "(SELECT min(seq) FROM event WHERE kind = 0)"
    assert connection.execute(f"UPDATE event SET {change} WHERE seq = {first}").rowcount == 1


def change_reward(connection: sqlite3.Connection, problem: dict[str, Any]) -> None:
    """Change what the first decisions brought: their rewards, and what was revealed of vectors and answered."""
    rows = connection.execute("SELECT seq, reward, detail FROM event WHERE kind = 1 ORDER BY seq").fetchall()
    for seq, reward, detail in rows[:20]:
        numbers = json.loads(detail or "null")
        if problem["kind"] == "arm_stream":
            reward /= 2
        elif problem["kind"] == "queries":
            numbers = [1 - numbers[0] if problem["answers"] == "bits" else -numbers[0]]
        else:
            reward, numbers = 1 - reward, numbers and [-number / 2 for number in numbers]
        told = None if numbers is None else json.dumps(numbers)
        connection.execute("UPDATE event SET reward = ?, detail = ? WHERE seq = ?", (reward, told, seq))


CHANGES = {"propensity": change_propensity, "action": change_action, "reward": change_reward}


PLANTED = [(name, change) for name in CHANGED for change in CHANGES]
# One change in each experiment, and all of them in one of arms, of moves, of vectors and of queries.
ONE_OF_EACH = {"exp3_ix.none", "early_drop.known.0", "ftrl.gradient.ball.0", "top_two_thompson.arms.9"}
PLANTED_IN_EVERY_RUN = [
    (name, change)
    for i, name in enumerate(CHANGED)
    for j, change in enumerate(CHANGES)
    if i % len(CHANGES) == j or name in ONE_OF_EACH
]


@pytest.mark.parametrize(("name", "change"), every_run(PLANTED, PLANTED_IN_EVERY_RUN))
def test_a_change_is_found(tmp_path: Path, name: str, change: str) -> None:
    assert changed(tmp_path, name, change) is not None
