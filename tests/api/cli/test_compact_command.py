"""`onearm compact`: a log of a running service gets short, and `verify` tells of the archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.listening import Listening

E = "/v1/experiments/e"


def test_the_command_compacts_and_verify_tells_of_it(tmp_path: Path, onearm: Any) -> None:
    with Listening(tmp_path) as listening:
        for n in range(5):
            listening.client.post(f"{E}/decisions", json={"decision_id": f"d{n}"})
        refused = onearm("compact", "e", "--before", "99", "--url", listening.url)
        assert refused.code == 2 and "the log of 'e' ends at seq 5" in refused.err
        done = onearm("compact", "e", "--before", "3", "--url", listening.url)
        assert done.code == 0 and "folded from event 3 on" in done.out and "3 events are in e." in done.out
        done = onearm("compact", "e", "--drop", "--url", listening.url, "--json")
        assert (done.code, done.json["base"], done.json["archive"]) == (0, 5, None)
    database = f"sqlite:///{tmp_path}/run.db"
    found = onearm("verify", "--database", database, "--json")
    assert found.code == 0
    one = next(one for one in found.json["experiments"] if one["id"] == "e")
    assert (one["base"], [link["state"] for link in one["archives"]]) == (5, ["verified", "dropped"])
    table = onearm("verify", "--database", database)
    assert table.code == 0 and "1 verified, 1 dropped" in " ".join(table.out.split())
    empty = tmp_path / "empty"
    empty.mkdir()
    lost = onearm("verify", "--database", database, "--archives", str(empty))
    assert lost.code == 1 and "1 missing" in " ".join(lost.out.split())


@pytest.mark.parametrize("rows", ["events", "decisions"])
def test_a_compacted_log_is_converted_as_it_is_exported(tmp_path: Path, onearm: Any, rows: str) -> None:
    with Listening(tmp_path) as listening:
        for n in range(5):
            listening.client.post(f"{E}/decisions", json={"decision_id": f"d{n}"})
        listening.client.post(f"{E}/decisions/d1/reward", json={"value": 1.0})
        assert onearm("compact", "e", "--before", "4", "--url", listening.url).code == 0
    database = f"sqlite:///{tmp_path}/run.db"
    assert onearm("export", "e", "exported.jsonl", "--rows", rows, "--database", database).code == 0
    assert onearm("convert", database, "log.jsonl", "--rows", rows, "--experiment", "e").code == 0
    assert Path("log.jsonl").read_bytes() == Path("exported.jsonl").read_bytes()
    done = onearm("verify", "log.jsonl")
    assert done.code == 2 and "the log was compacted and begins behind event 4" in done.err
    assert onearm("convert", "log.jsonl", "again.jsonl", "--rows", rows).code == 0
    assert Path("again.jsonl").read_bytes() == Path("exported.jsonl").read_bytes()
