"""Archives of what was compacted know nothing of who is erased either; all else in them stays."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.every_run import every_run
from support.people import EVERY_SHAPE, SORTS, create, visit
from support.served import Served

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service.archives import PARTIAL, Archives
from onearm.engine.storage.formats.parquet.blanking import KEPT

ANN, BOB = "Ann of 12 High Street", "Bob"
PATH = "/v1/experiments/p"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


def archived(served: Served, sort: str) -> list[Path]:
    """Let people visit, and compact twice; of the first archive some decisions are learned in the second one."""
    create(served, sort)
    files = []
    for start in (0, 20):
        for i in range(start, start + 12):
            name = ANN if i % 3 == 0 else BOB
            visit(served, sort, name, f"{name} visits {i}", rewarded=i % 4 != 3)
        made = served.post(f"{PATH}:compact").json()
        files.append(served.store.url.database + ".archives/" + made["archive"])
    return [Path(file) for file in files]


def rows(file: Path) -> list[dict[str, Any]]:
    return pq.read_table(file).to_pylist()


def links(served: Served) -> list[tuple[str, str | None]]:
    served.stop()
    found = next(one for one in verified(served.url, Archives.beside(served.store.url)) if one["id"] == "p")
    assert not has_fault(found), found
    served.start()
    return [(link["state"], link.get("note")) for link in found["archives"]]


@pytest.mark.parametrize("sort", every_run(SORTS, ("arms", *EVERY_SHAPE[3:])))  # test_erase.py tries the others
def test_who_is_erased_is_in_no_archive_and_all_others_are(served: Served, sort: str) -> None:
    files = archived(served, sort)
    before = [rows(file) for file in files]
    mine = {row["number"] for some in before for row in some if row["unit_id"] == ANN}
    assert len(mine) == 8 and links(served) == [("verified", None)] * 2
    assert served.post(f"{PATH}:erase", {"unit_id": ANN}).json()["decisions"] == 8
    for file, some in zip(files, before, strict=True):
        assert ANN not in str(rows(file)) and BOB in str(rows(file))
        for old, new in zip(some, rows(file), strict=True):
            plain = not isinstance(old["action"], list)
            kept = {name for name in KEPT if name != "action" or plain} if old["number"] in mine else set(old)
            assert new == {name: value if name in kept else None for name, value in old.items()}
        assert not Path(f"{file}{PARTIAL}").exists()
    bases = served.store.bases(served.service.live("p").row.key)
    for base in bases:
        if base.archive is not None:
            content = (files[0].parent / base.archive).read_bytes()
            assert base.archive_sha256 == hashlib.sha256(content).hexdigest() and base.archive_bytes == len(content)
    again = {"verified"} if sort == "arms" else {"blank"}  # without contexts what is left is decided again
    assert {state for state, _ in links(served)} == again


def test_an_archive_of_others_is_left_as_it_is(served: Served) -> None:
    create(served, "contexts")
    visit(served, "contexts", BOB, "Bob visits", rewarded=True)
    file = Path(f"{served.store.url.database}.archives") / served.post(f"{PATH}:compact").json()["archive"]
    content = file.read_bytes()
    visit(served, "contexts", ANN, "Ann visits", rewarded=True)
    assert served.post(f"{PATH}:erase", {"unit_id": ANN}).json()["decisions"] == 1
    assert file.read_bytes() == content
    assert links(served) == [("verified", None)]


@pytest.mark.parametrize("stage", ["written", "noted", "replaced"])
def test_what_was_not_done_when_the_service_ended_is_done_at_the_next_start(
    served: Served, tmp_path: Path, stage: str
) -> None:
    files = archived(served, "contexts")
    live = served.service.live("p")
    numbers = sorted({row["number"] for file in files for row in rows(file) if row["unit_id"] == ANN})
    served.client.portal.call(served.service.compactions.move_base, live)
    served.store.erase(live.row.key, numbers)
    archives, base = Archives.beside(served.store.url), served.store.bases(live.row.key)[0]
    written = archives.blank(base.archive, numbers)
    assert written is not None
    if stage != "written":
        fresh = base._replace(archive_sha256=written.sha256, archive_bytes=written.size)
        served.store.put_archive(fresh)
    if stage == "replaced":
        archives.replace(base.archive)
    assert ANN in str([rows(file) for file in files])
    served.restart()
    assert ANN not in str([rows(file) for file in files])
    assert not [*files[0].parent.glob(f"*{PARTIAL}")]
    assert {state for state, _ in links(served)} == {"blank"}


def test_an_archive_that_cannot_be_written_again_is_said(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "onearm")
    files = archived(served, "contexts")
    files[0].unlink()
    assert served.post(f"{PATH}:erase", {"unit_id": ANN}).status_code == 200
    (said,) = [record.getMessage() for record in caplog.records]
    assert files[0].name in said and "holds what was erased" in said
    assert ANN not in str(rows(files[1])), "the other one is blank"
    assert served.get(f"{PATH}/units/{ANN}/decisions").json()["decisions"] == []
