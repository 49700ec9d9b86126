"""States follow what is corrected, and are set back: beside a log that is folded from nothing by another hand."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.corrected import Correcting
from support.old_logs import command
from support.served import assert_refused

from onearm.api.cli.verify import has_fault, verified
from onearm.api.log_files import ROWS
from onearm.api.service import correcting
from onearm.engine.storage.store import Store

E = "/v1/experiments/e"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Correcting]:
    with Correcting(tmp_path) as served:
        assert served.create().status_code == 201
        yield served


def test_a_state_follows_corrections_after_a_while(served: Correcting) -> None:
    names = served.rewarded([1.0, 0.0, 5.0, 0.25, 1.0])
    before = served.digest()
    served.correct(names[2], 0.5)
    served.correct(names[3], None)
    assert served.digest() == before
    assert served.get(E).json()["corrections_left"] == 2
    served.follow()
    assert "corrections_left" not in served.get(E).json()
    assert served.digest() != before
    (change,) = served.sets()
    assert change["why"] == "corrected"
    served.assert_right()
    served.rewarded([0.5])
    served.follow()
    assert len(served.sets()) == 1, "nothing is new"
    served.assert_right()


def test_corrections_that_a_service_did_not_come_to_are_found_by_the_next(served: Correcting) -> None:
    names = served.rewarded([1.0, 0.0, 5.0])
    served.correct(names[2], 0.5)
    served.restart()
    served.follow()
    assert len(served.sets()) == 1
    served.restart()
    served.follow()
    assert len(served.sets()) == 1
    served.assert_right()


def test_a_rollback_forgets_what_was_learned_and_nothing_else(served: Correcting) -> None:
    served.rewarded([1.0, 0.0, 1.0])
    known, report = served.digest(), served.get(f"{E}/report").json()
    seq = report["seq"]
    bad = served.rewarded([50.0, 50.0])
    answer = served.rollback(seq)
    assert (answer.status_code, answer.json()["to"]) == (200, seq)
    assert served.digest() == known
    assert served.get(f"{E}/report").json()["rewards"] == 5
    served.assert_right()
    served.correct(bad[0], 1.0)  # is on the path no more
    served.follow()
    assert served.digest() == known
    served.assert_right()


def test_a_rollback_brings_back_nothing_that_was_corrected(served: Correcting) -> None:
    names = served.rewarded([1.0, 50.0, 1.0])
    seq = served.get(E).json()["seq"]
    served.correct(names[1], 0.0)
    served.follow()
    right = served.digest()
    served.rewarded([3.0])
    assert served.rollback(seq).status_code == 200
    assert served.digest() == right
    served.assert_right()


def test_rollbacks_of_rollbacks_and_arms_that_joined_since(served: Correcting) -> None:
    served.rewarded([1.0, 0.0])
    assert served.rollback(2).status_code == 200
    served.rewarded([0.5, 0.25])
    assert served.post(f"{E}/arms", {"id": "d"}).status_code == 201
    names = served.rewarded([1.0, 2.0, 3.0])
    assert served.rollback(4).status_code == 200  # what the first one forgot is known again
    served.assert_right()
    served.correct(names[1], 0.0)
    served.follow()
    served.assert_right()
    assert served.rollback(0).status_code == 200
    served.rewarded([1.0])
    served.assert_right()
    served.restart()
    served.assert_right()


def test_arms_that_joined_in_what_a_rollback_forgot_are_there_after_a_further_one(served: Correcting) -> None:
    served.rewarded([1.0])
    assert served.post(f"{E}/arms", {"id": "d"}).status_code == 201
    first = served.rollback(1).json()["seq"]
    served.rewarded([0.5] * 3)
    for _ in range(8):  # so that verify has given up what it kept of the first one
        assert served.rollback(served.get(E).json()["seq"]).status_code == 200
    assert served.rollback(first).status_code == 200
    served.assert_right()


def test_a_time_names_the_last_event_before_it(served: Correcting) -> None:
    served.rewarded([1.0, 0.0])
    time = served.record("~1").json()["time"]
    served.rewarded([4.0])
    answer = served.rollback(time)
    assert (answer.status_code, answer.json()["to"]) == (200, 2)


def test_a_time_before_all_events_is_refused_and_says_how_it_is_meant(served: Correcting) -> None:
    """A year that was mistyped must not make policies forget everything."""
    served.rewarded([1.0, 0.0])
    known = served.digest()
    answer = served.rollback("1926-01-31T09:00:00Z")
    assert_refused(answer, 422, "bad_to")
    assert 'say {"to": 0}' in answer.json()["detail"]
    assert served.digest() == known
    served.assert_right()


def test_what_a_rollback_refuses(served: Correcting) -> None:
    served.rewarded([1.0, 0.0])
    assert_refused(served.rollback(99), 422, "ahead_of_log")
    assert_refused(served.rollback(-1), 422, "bad_to")
    assert_refused(served.rollback("yesterday"), 422, "bad_to")
    assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
    assert_refused(served.rollback(2), 409, "compacted")
    assert served.rollback(4).status_code == 200
    served.assert_right()
    served.post(f"{E}:archive")
    assert_refused(served.rollback(4), 409, "archived")


def test_no_base_is_made_from_which_a_later_state_cannot_be_folded(served: Correcting) -> None:
    names = served.rewarded([1.0, 0.0, 1.0])
    served.correct(names[0], 0.0)
    assert_refused(served.post(f"{E}:compact", {"archive": False}), 503, "correcting")
    served.follow()
    set_at = served.get(E).json()["seq"]
    served.rewarded([1.0, 1.0])
    assert_refused(served.post(f"{E}:compact", {"before": 4, "archive": False}), 409, "set_later")
    assert served.post(f"{E}:compact", {"before": set_at, "archive": True}).status_code == 200
    names = served.rewarded([1.0, 7.0])
    served.correct(names[1], 0.5)
    served.follow()
    served.assert_right()
    served.restart()
    served.assert_right()


def test_a_wrong_state_is_found(served: Correcting) -> None:
    names = served.rewarded([1.0, 0.0, 1.0])
    served.correct(names[0], 0.0)
    served.follow()
    served.stop()
    store = Store.open(served.url)
    with store._transaction() as connection:
        connection.exec_driver_sql("UPDATE event SET reward = 0.75 WHERE kind = 7")
    store.close()
    (found,) = (one for one in verified(served.url) if one["id"] == "e")
    assert has_fault(found)
    served.start()


def test_old_corrections_of_a_long_log(served: Correcting) -> None:
    numbers = np.random.default_rng(4)
    names = served.rewarded(numbers.random(60).tolist())
    for name in names[:3] + names[30:33] + names[-2:]:
        served.correct(name, float(numbers.random()))
        served.follow()
    assert len(served.sets()) == 8
    served.assert_right()


def assert_exports_verify(served: Correcting, folder: Path) -> None:
    """Check that a file is verified as the database is."""
    for form, rows in product(("jsonl", "parquet"), ROWS):
        file = folder / f"log.{form}"
        file.write_bytes(served.get(f"{E}/log?format={form}&rows={rows}").content)
        status, found = command("verify", str(file))
        assert (status, found["experiments"][0]["digest"]) == (0, served.digest()), found


def test_an_export_of_corrections_and_rollbacks_verifies_alone(served: Correcting, tmp_path: Path) -> None:
    names = served.rewarded([1.0, 50.0, 1.0])
    seq = served.get(E).json()["seq"]
    served.correct(names[1], 0.0)
    served.follow()
    served.rewarded([3.0])
    assert served.rollback(seq).status_code == 200
    names += served.rewarded([0.5] * 5)
    served.correct(names[-1], None)
    served.correct(names[-2], 0.25)
    served.correct(names[-2], 0.75)
    served.follow()
    served.rewarded([1.0] * 10)
    assert_exports_verify(served, tmp_path)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    wrong = next(n for n, line in enumerate(lines) if '"kind":"corrected"' in line)
    lines[wrong] = json.dumps(json.loads(lines[wrong]) | {"reward": 0.875})
    (tmp_path / "other.jsonl").write_text("\n".join(lines) + "\n")
    status, found = command("verify", str(tmp_path / "other.jsonl"))
    assert status == 1 or found["experiments"][0]["digest"] != served.digest()


def changed_bases(served: Correcting) -> list[int]:
    served.client.portal.call(served.service.chores.done)  # type: ignore[union-attr]
    return [base.seq for base in served.store.bases(served.service.live("e").row.key) if base.of_change]


def life(served: Correcting, names: list[str]) -> None:
    """Play on, and let states be set four times: three times by corrections, once back."""
    for value in (0.25, None, 0.75):
        names += served.rewarded([1.0, 0.0, 0.5, 1.0])
        served.correct(names[-2], value)
        served.follow()
    assert served.rollback(served.get(E).json()["seq"] - 2).status_code == 200
    names += served.rewarded([0.5])


def test_bases_of_changes_go_once_no_fold_begins_there_and_all_goes_on(served: Correcting) -> None:
    names: list[str] = []
    sizes = []
    for _ in range(2):
        life(served, names)
        before = changed_bases(served)
        assert len(before) == 4
        digest = served.digest()
        assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
        assert changed_bases(served) == []
        served.restart()
        assert served.digest() == digest
        served.assert_verified()
        life(served, names)
        assert len(changed_bases(served)) == 4, "those that are reached yet stay"
        served.restart()
        assert served.rollback(served.sets()[-2]["settings"][0]["to"]).status_code in (200, 409)
        served.assert_verified()
        assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
        assert changed_bases(served) == []
        with closing(sqlite3.connect(Path(served.url.removeprefix("sqlite:///")))) as file:
            sizes.append(file.execute("SELECT count(*), count(DISTINCT seq) FROM base_part").fetchall())
    plain = len([base for base in served.store.bases(served.service.live("e").row.key) if not base.of_change])
    assert sizes[-1] == [(2 * plain, plain)], "a state and its sums of each, and nothing else"


def test_bases_of_changes_stay_where_an_archive_is_folded_over_them(served: Correcting) -> None:
    names: list[str] = []
    life(served, names)
    served.client.portal.call(served.service.chores.done)  # type: ignore[union-attr]
    assert served.post(f"{E}:compact", {"archive": True}).status_code == 200
    kept = changed_bases(served)
    life(served, names)
    assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
    assert changed_bases(served) == kept and len(kept) == 4
    served.restart()
    assert changed_bases(served) == kept
    served.assert_verified()


def test_each_policy_that_decides_gets_a_state_of_its_own(served: Correcting, tmp_path: Path) -> None:
    numbers = np.random.default_rng(6)
    names = served.rewarded(numbers.random(20).tolist())
    begun = served.get(E).json()["seq"]
    served.correct(names[0], 0.5)
    served.follow()
    path = f"{E}/policies"
    two = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.2}}, "role": "canary", "share": 0.5}
    assert served.post(path, two).status_code == 201
    assert "corrections_left" not in served.get(E).json(), "it has learned nothing that was corrected"
    assert served.post(path, {"policy": "uniform", "role": "control", "share": 0.2}).status_code == 201
    names += served.rewarded(numbers.random(20).tolist())
    for name in (names[3], names[-3]):
        served.correct(name, 0.125)
    served.follow()
    assert [one["policy"] for one in served.sets()[-1]["settings"]] == [0, 1, 2]
    assert served.post(f"{path}/1:promote").status_code == 200
    names += served.rewarded(numbers.random(20).tolist())
    served.correct(names[-2], None)
    served.follow()
    assert served.rollback(begun).status_code == 200, "the one that is live now knew nothing then"
    names += served.rewarded(numbers.random(10).tolist())
    served.correct(names[5], 1.0)
    served.follow()
    served.assert_verified()
    digest = served.digest()
    served.restart()
    assert served.digest() == digest
    body = served.get(f"{E}/log").content
    assert served.post("/v1/experiments:import?experiment_id=again", body).status_code == 201
    assert served.digest("again") == digest
    assert_exports_verify(served, tmp_path)


def test_a_shadow_that_is_promoted_follows_what_was_corrected_before(served: Correcting) -> None:
    numbers = np.random.default_rng(7)
    names = served.rewarded(numbers.random(20).tolist())
    shadow = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.2}}, "role": "shadow", "start": "log"}
    assert served.post(f"{E}/policies", shadow).status_code == 201
    served.correct(names[0], 0.5)
    served.follow()
    names += served.rewarded(numbers.random(20).tolist())
    assert served.post(f"{E}/policies/1:promote").status_code == 200
    assert served.get(E).json()["corrections_left"] == 1
    served.follow()
    assert "corrections_left" not in served.get(E).json()
    served.assert_verified()
    served.restart()
    served.follow()
    assert len(served.sets()) == 2
    served.assert_verified()


def test_a_shadow_that_cannot_learn_a_correction_any_more_is_not_promoted(served: Correcting) -> None:
    """It had learned the reward as it was, what came before the base is folded no more, and it is not in the base."""
    names = served.rewarded([1.0, 0.0, 1.0, 0.0, 1.0])
    shadow = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.2}}, "role": "shadow", "start": "log"}
    assert served.post(f"{E}/policies", shadow).status_code == 201
    names += served.rewarded([1.0, 0.0, 1.0])
    served.correct(names[6], 1.0)
    served.follow()
    base = served.post(f"{E}:compact", {"archive": False}).json()["base"]
    refused = served.post(f"{E}/policies/1:promote")
    assert (refused.status_code, refused.json()["code"]) == (409, "compacted")
    assert f"folded from seq {base} on" in refused.json()["detail"]
    assert "corrections_left" not in served.get(E).json()
    assert served.post(f"{E}/policies", {"policy": "thompson_beta", "role": "shadow"}).status_code == 201
    names += served.rewarded([1.0, 0.0, 1.0])
    served.correct(names[-1], 0.0)
    assert served.post(f"{E}/policies/2:promote").status_code == 200, "it began behind the base"
    served.follow()
    served.assert_verified()


def test_of_who_was_promoted_behind_a_base_nothing_before_is_corrected(served: Correcting) -> None:
    served.rewarded([1.0, 0.0, 1.0])
    shadow = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.2}}, "role": "shadow", "start": "log"}
    assert served.post(f"{E}/policies", shadow).status_code == 201
    served.rewarded([1.0, 0.0, 1.0])
    assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
    before = served.rewarded([0.0, 1.0])
    assert served.post(f"{E}/policies/1:promote").status_code == 200
    behind = served.rewarded([0.0, 1.0])
    served.assert_not_corrected(before[1])
    served.correct(behind[1], 0.0)
    served.follow()
    served.assert_verified()


def test_a_rollback_to_a_rollback_at_a_base_verifies(served: Correcting) -> None:
    served.rewarded([1.0, 0.0, 1.0])
    set_at = served.rollback(3).json()["seq"]
    assert served.post(f"{E}:compact", {"archive": False}).json()["base"] == set_at
    assert served.rollback(set_at).status_code == 200
    served.assert_verified()
    served.rewarded([0.5])
    served.restart()
    served.assert_verified()


@pytest.mark.parametrize("fixed", ["exp3_ix", "tsallis_inf"])
def test_where_a_shadow_makes_way_for_an_arm_the_state_before_that_is_as_it_was(tmp_path: Path, fixed: str) -> None:
    """Who leads is looked for among the larger number of arms, in arrays that the smaller state has as well."""
    with Correcting(tmp_path) as served:
        assert served.create(policy="epsilon_greedy").status_code == 201
        served.rewarded([1.0, 0.0, 1.0])
        assert served.post(f"{E}/policies", {"policy": fixed, "role": "shadow"}).status_code == 201
        served.rewarded([1.0, 0.0])
        assert served.post(f"{E}/arms", {"id": "d"}).status_code == 201
        served.assert_verified()


def test_a_base_that_is_made_during_a_rollback_to_before_it_refuses_that(
    served: Correcting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of a rollback would else be one that nobody can fold again."""
    served.rewarded([1.0, 0.0, 1.0])
    live, fold = served.service.live("e"), correcting.Correcting._gone_on

    async def behind_a_base(self: Any, *given: Any) -> None:
        monkeypatch.setattr(correcting.Correcting, "_gone_on", fold)
        await served.service.compactions.compact(live)
        await fold(self, *given)

    monkeypatch.setattr(correcting.Correcting, "_gone_on", behind_a_base)
    assert_refused(served.rollback(2), 409, "compacted")
    assert served.sets() == []
    served.rewarded([0.5])
    assert served.rollback(7).status_code == 200
    served.assert_right()
