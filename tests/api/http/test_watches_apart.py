"""Policies of several experiments are watched, each whatever becomes of the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.held_commits import held_commits
from support.served import Served

from onearm.api.service import policies as policies_module

SHADOW = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.2}}, "role": "shadow", "start": "log"}


def test_one_whose_commit_hangs_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch begins with what is read from the log, so it waits until that is committed."""
    monkeypatch.setattr(policies_module, "EVERY", 1e6)
    with Served(tmp_path) as served:
        for name in ("e", "other"):
            assert served.create(name, policy="ucb1").status_code == 201
            assert served.post(f"/v1/experiments/{name}/policies", SHADOW).status_code == 201
        portal, policies = served.client.portal, served.service.policies
        assert portal is not None
        hung, other = served.service.live("e"), served.service.live("other")
        with ThreadPoolExecutor(1) as pool:
            with held_commits(served, monkeypatch) as waits:
                decided = pool.submit(served.decide)
                assert waits.wait(30)
                watched = portal.start_task_soon(policies._watched, hung)
                assert portal.start_task_soon(policies._watched, other).result(30).seq == 0
                assert not watched.done()
            assert decided.result(30).status_code == 201
            assert watched.result(30) is policies.watch(hung)
