"""Rewards that wait in a file: they survive a restart, are sent once, and none is lost without a word."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from support.keyed import Keyed
from support.listening import Listening

from onearm.api.client.decided import Shown
from onearm.api.client.reward_queue import FORMAT, RewardQueue, move_queue
from onearm.api.service.service import Service
from onearm.client import Client
from onearm.engine.errors import InvalidInput, Unavailable

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")
NOWHERE = "http://127.0.0.1:9"  # nobody listens there
SECONDS = 20.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rewards.db"


def rewards(service: Listening) -> int:
    found: int = service.client.get("/v1/experiments/e").json()["rewards"]
    return found


def test_rewards_wait_until_the_service_is_there_and_are_sent_once(service: Listening, file: Path) -> None:
    with Client(service.url) as client:
        made = [client.decide("e").decision_id for _ in range(30)]
    with Client(NOWHERE, queue=file, queue_max=40) as client:
        for name in made:
            client.reward("e", name, 1.0)
        assert client.queue is not None
        assert client.queue.standing()[:3] == (30, 0, 0)
    assert rewards(service) == 0
    move_queue(file, service.url)
    with Client(service.url, queue=file) as client:
        assert client.queue is not None and client.queue.flush(SECONDS)
        assert client.queue.standing() == (0, 0, 30, None)
        client.reward("e", made[0], 1.0)  # the same again
        assert client.queue.flush(SECONDS)
    assert rewards(service) == 30


def test_a_process_that_dies_leaves_them_to_the_next(service: Listening, file: Path) -> None:
    with Client(service.url) as client:
        name = client.decide("e").decision_id
    told = f"client = Client({NOWHERE!r}, queue={str(file)!r})\nclient.reward('e', {name!r}, 1.0)\nos._exit(9)"
    done = subprocess.run([sys.executable, "-c", f"import os\nfrom onearm.client import Client\n{told}"], check=False)
    assert done.returncode == 9
    move_queue(file, service.url)
    with Client(service.url, queue=file) as client:
        assert client.queue is not None and client.queue.flush(SECONDS)
    assert rewards(service) == 1


def test_a_file_of_format_1_is_read_on_and_its_lists_are_told_apart(file: Path) -> None:
    """Its table had no column for the slots of a list: they lay where an arm's decision has what was asked."""
    RewardQueue(file, NOWHERE).close()
    with closing(sqlite3.connect(file)) as old:
        old.execute("ALTER TABLE rewards DROP COLUMN filled")
        put = "INSERT INTO rewards (experiment, decision_id, body, asked, action_id, propensity, time) "
        for row in (
            ("e", "a", b"{}", b'{"context":1}', "x", 0.5, 0.0),
            ("e", "b", b"{}", b'{"0":"x","1":"y"}', None, None, 0.0),
            ("e", "c", b"{}", None, None, None, 0.0),
        ):
            old.execute(f"{put} VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        old.execute("PRAGMA user_version = 1")
        old.commit()
    for _ in range(2):  # and once more, as it is now
        queue = RewardQueue(file, NOWHERE)
        assert [one.shown for one in queue.waiting(10)] == [
            Shown(b'{"context":1}', "x", 0.5),
            Shown(b"", None, None, {"0": "x", "1": "y"}),
            None,
        ]
        assert queue.standing()[:3] == (3, 0, 0)
        queue.close()


def test_what_was_shown_is_read_as_it_was_put(file: Path) -> None:
    queue = RewardQueue(file, NOWHERE)
    put = [Shown(b"{}", "x"), Shown(b'{"slots":[]}', None, None, {"top": "x"})]
    for number, shown in enumerate(put):
        queue.put("e", str(number), b"{}", shown)
    assert [one.shown for one in queue.waiting(10)] == put
    queue.close()


def test_what_is_refused_is_kept_aside_and_named(service: Listening, file: Path) -> None:
    with Client(service.url, queue=file) as client:
        assert client.queue is not None
        good = client.decide("e")
        client.reward("e", "nobody decided this", 1.0)
        client.reward("gone", "d", 1.0)
        good.reward(1.0)
        assert client.queue.flush(SECONDS)
        found = {one.decision_id: (one.experiment, one.code) for one in client.queue.refused()}
        assert found == {"nobody decided this": ("e", "unknown_decision"), "d": ("gone", "unknown_experiment")}
        assert all(one.detail and json.loads(one.body)["value"] == 1.0 for one in client.queue.refused())
        client.create("gone", arms=[{"id": "x"}])
        client.decide("gone", decision_id="d")
        assert client.queue.retry_refused() == 2
        assert client.queue.flush(SECONDS)
        assert [one.decision_id for one in client.queue.refused()] == ["nobody decided this"]
        assert client.queue.drop_refused() == 1
        assert client.queue.standing() == (0, 0, 2, None)
    assert rewards(service) == 1


def test_a_full_queue_says_so_and_takes_nothing(file: Path) -> None:
    with Client(NOWHERE, queue=file, queue_max=2) as client:
        assert client.queue is not None
        client.reward("e", "1", 1.0)
        client.reward("e", "2", 1.0)
        deadline = time.monotonic() + SECONDS
        while client.queue.standing().trouble is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(Unavailable, match="2 rewards wait") as full:
            client.reward("e", "3", 1.0)
        assert full.value.code == "queue_full"
        assert "no service answers" in str(full.value)
        assert client.queue.standing().waiting == 2
        assert not client.queue.flush(0.05)


def test_of_two_clients_with_one_file_one_sends(service: Listening, file: Path) -> None:
    with Client(service.url, queue=file) as one, Client(service.url, queue=file) as other:
        for client in (one, other):
            for _ in range(20):
                client.decide("e").reward(1.0)
        assert one.queue is not None and one.queue.flush(SECONDS)
        assert one.queue.standing().sent == 40
    assert rewards(service) == 40


def test_a_fallback_waits_with_its_reward(service: Listening, file: Path) -> None:
    with Client(NOWHERE, queue=file, away_ms=20) as client:
        decision = client.decide("e", fallback="b", decision_id="d")
        decision.reward(1.0)
    move_queue(file, service.url)
    with Client(service.url, queue=file) as client:
        assert client.queue is not None and client.queue.flush(SECONDS)
        assert client.queue.refused() == []
        record = client.experiment("e").record("d")
    assert (record.given, record.action_id, record.propensity) == (True, "b", None)
    assert record.reward is not None and record.reward.value == 1.0


@pytest.mark.parametrize("page", [1, 2, 4])
def test_a_damaged_file_is_refused_when_it_is_opened_and_left_as_it_is(file: Path, page: int) -> None:
    queue = RewardQueue(file, "http://service")
    for number in range(200):
        queue.put("e", f"d{number}", b"{}" * 50)
    queue.close()
    content = bytearray(file.read_bytes())
    assert len(content) > 4 * 4096
    content[page * 4096 : page * 4096 + 2000] = bytes(2000)
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"is left as it is: .* saves the rewards that can be read") as damaged:
        RewardQueue(file, "http://service")
    assert damaged.value.code == "bad_queue"
    assert file.read_bytes() == content


def test_files_that_are_no_queue_are_refused(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("these are my notes, and no database of anything" * 50)
    with pytest.raises(InvalidInput, match="cannot be opened") as bad:
        RewardQueue(other, "http://service")
    assert bad.value.code == "bad_queue"
    assert other.read_text().startswith("these are my notes")
    queue = RewardQueue(file, "http://service")
    queue.put("e", "d", b"{}", Shown(b"{}", "a", None))
    (waits,) = queue.waiting(10)
    assert waits.shown is not None and (waits.shown.action_id, waits.shown.propensity) == ("a", None)
    queue._file.execute(f"PRAGMA user_version = {FORMAT + 1}")
    queue.close()
    with pytest.raises(InvalidInput, match="newer onearm"):
        RewardQueue(file, "http://service")
    with pytest.raises(InvalidInput, match="closed"):
        queue.put("e", "d", b"{}")


def test_one_that_is_too_large_keeps_none_of_the_others(tmp_path: Path, file: Path) -> None:
    with Listening(tmp_path, options={"body_bytes": 3000}) as service, Client(service.url, queue=file) as client:
        assert client.queue is not None
        client.reward("e", client.decide("e").decision_id, 1.0, reward_id="x" * 250)
        for _ in range(30):
            client.decide("e").reward(1.0)
        assert client.queue.flush(SECONDS)
        assert client.queue.standing()[:3] == (0, 0, 31)
        client.queue.put(
            "e", "large", json.dumps({"decision_id": "large", "value": 1.0, "reward_id": "x" * 4000}).encode()
        )
        client.decide("e").reward(1.0)
        assert client.queue.flush(SECONDS)
        assert [(one.decision_id, one.code) for one in client.queue.refused()] == [("large", "body_too_large")]
        assert rewards(service) == 32


def until(client: Client, waiting: int) -> None:
    """Wait until so many rewards wait, and there is trouble with them."""
    assert client.queue is not None
    deadline = time.monotonic() + SECONDS
    while client.queue.standing().waiting != waiting or client.queue.standing().trouble is None:
        assert time.monotonic() < deadline, (client.queue.standing(), client.queue.refused())
        time.sleep(0.01)


def test_an_experiment_that_takes_none_now_keeps_no_other_waiting(
    service: Listening, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Service.live
    recovering = {"other"}

    def found(self: Service, name: str) -> object:
        if name in recovering:
            raise Unavailable("recovering", f"{name!r} reads its log: wait")
        return live(self, name)

    with Client(service.url, queue=file) as client:
        client.create("other", arms=[{"id": "a"}])
        names = {name: client.decide(name).decision_id for name in ("other", "e")}
        monkeypatch.setattr(Service, "live", found)
        for name, decision_id in names.items():
            client.reward(name, decision_id, 1.0)
        until(client, waiting=1)
        assert client.queue is not None
        assert client.queue.standing() == (1, 0, 1, "'other' reads its log: wait")
        recovering.clear()
        assert client.queue.flush(SECONDS)
        assert client.experiment("other").about().rewards == 1


def test_rewards_wait_for_a_key_that_may_send_them(tmp_path: Path, file: Path) -> None:
    with Keyed(tmp_path) as service:
        writes = service.key("write")
        with Client(service.url, key=writes) as client:
            name = client.decide("e").decision_id
        with Client(service.url, key=service.key("read"), queue=file) as client:
            client.reward("e", name, 1.0)
            until(client, waiting=1)
        with Client(service.url, key=writes, queue=file) as client:
            assert client.queue is not None and client.queue.flush(SECONDS)
            assert client.queue.standing() == (0, 0, 1, None)


def test_a_file_that_fails_is_told_and_sending_goes_on_once_it_is_mended(service: Listening, file: Path) -> None:
    with Client(service.url, queue=file) as client, closing(sqlite3.connect(file)) as other:
        assert client.queue is not None
        made = [client.decide("e") for _ in range(2)]
        other.execute("ALTER TABLE rewards RENAME TO away")
        with pytest.raises(Unavailable, match="no such table") as failed:
            made[0].reward(1.0)
        assert failed.value.code == "queue_failed"
        deadline = time.monotonic() + SECONDS
        while client.queue.trouble is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        other.execute("ALTER TABLE away RENAME TO rewards")
        made[1].reward(1.0)
        assert client.queue.flush(SECONDS)
        assert client.queue.standing() == (0, 0, 1, None)
    assert rewards(service) == 1


@pytest.mark.parametrize("name", ["..", "x" * 70_000])
def test_a_fallback_with_no_id_keeps_no_other_waiting(service: Listening, file: Path, name: str) -> None:
    """As a file may hold it that was written before ids were checked."""
    queue = RewardQueue(file, "http://service")
    told = json.dumps({"decision_id": name, "value": 1.0}).encode()
    queue.put("e", name, told, Shown(json.dumps({"decision_id": name}).encode(), "b", None))
    queue.close()
    move_queue(file, service.url)
    with Client(service.url, queue=file) as client:
        assert client.queue is not None
        client.decide("e").reward(1.0)
        assert client.queue.flush(SECONDS)
        assert [(one.decision_id, one.code) for one in client.queue.refused()] == [(name, "bad_id")]
    assert rewards(service) == 1


@pytest.mark.parametrize("version", [0, 1])
def test_a_database_of_something_else_is_left_as_it_is(file: Path, version: int) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE rewards (points INTEGER)")
        other.execute(f"PRAGMA user_version = {version}")
    before = file.read_bytes()
    with pytest.raises(InvalidInput, match="something else") as bad:
        RewardQueue(file, "http://service")
    assert bad.value.code == "bad_queue"
    assert file.read_bytes() == before
    assert [found.name for found in file.parent.iterdir()] == [file.name]


def test_a_file_that_is_gone_takes_no_more(service: Listening, file: Path) -> None:
    """What is told would be lost at the end of the process."""
    with Client(service.url, queue=file) as client:
        assert client.queue is not None
        client.decide("e").reward(1.0)
        for part in file.parent.glob(f"{file.name}*"):
            part.unlink()
        for _ in range(2):
            with pytest.raises(Unavailable, match="deleted or replaced") as gone:
                client.decide("e").reward(1.0)
            assert gone.value.code == "queue_failed"
            file.write_bytes(b"")  # another one in its place
        assert client.queue.flush(SECONDS), "what it took before is sent"
    assert rewards(service) == 1


def test_the_file_stays_the_same_in_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(RewardQueue(Path("rewards.db"), "http://service")) as queue:
        monkeypatch.chdir("/")
        queue.put("e", "d", b"{}")
        assert queue.path == tmp_path / "rewards.db"


def test_a_file_holds_rewards_for_the_service_at_one_address(tmp_path: Path) -> None:
    file = tmp_path / "rewards.db"
    with closing(RewardQueue(file, "http://one/")) as queue:
        queue.put("e", "d", b'{"value": 1.0}')
    with pytest.raises(InvalidInput, match="for the service at http://one, and base_url is http://two") as refused:
        RewardQueue(file, "http://two")
    assert refused.value.code == "bad_queue"
    move_queue(file, "http://two/")
    with closing(RewardQueue(file, "http://two")) as queue:
        assert queue.standing().waiting == 1
    with pytest.raises(InvalidInput, match="there is no queue"):
        move_queue(tmp_path / "other.db", "http://two")
    (tmp_path / "text").write_text("no database at all, but a text of some length\n" * 20)
    with pytest.raises(InvalidInput, match="is no queue"):
        move_queue(tmp_path / "text", "http://two")
