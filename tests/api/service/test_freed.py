"""A service that ended leaves nothing behind in its process, which may go on to start others."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from support.served import Served


def test_what_a_service_held_is_freed_after_its_end(tmp_path: Path) -> None:
    frozen = gc.get_freeze_count()
    with Served(tmp_path) as served:
        served.create()
        served.reward(served.decide().json()["decision_id"], 1.0)
        held = [weakref.ref(one) for one in (served.app, served.service, served.store)]
    del served
    gc.collect()
    assert [one() for one in held] == [None] * len(held)
    assert gc.get_freeze_count() <= frozen
