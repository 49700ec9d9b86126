"""What is not here is skipped and named; what must be here fails; servers come with the environment of the tests."""

from __future__ import annotations

import re
from pathlib import Path

import both_ways
import pytest
from support import needs
from support.needs import NEEDS, needed, required


@pytest.fixture
def nothing_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(needs, "SBIN", str(tmp_path))
    monkeypatch.delenv(needs.VARIABLE, raising=False)


@pytest.mark.parametrize("name", ["browser", "nginx", "systemd", "node", "compiler"])
def test_a_test_without_its_program_is_skipped_and_says_what_to_install(name: str, nothing_on_the_path: None) -> None:
    with pytest.raises(pytest.skip.Exception, match=f"{re.escape(NEEDS[name].what)} is not here: install "):
        needed(name)


def test_a_program_that_must_be_there_fails_its_test(
    nothing_on_the_path: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEARM_REQUIRE", "nginx, browser")
    with pytest.raises(pytest.fail.Exception, match=r"install chromium\. ONEARM_REQUIRE names it"):
        needed("browser")
    with pytest.raises(pytest.skip.Exception):
        needed("systemd")


def test_a_program_that_no_test_needs_cannot_be_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEARM_REQUIRE", "browser,ngnix")
    with pytest.raises(pytest.UsageError, match="ONEARM_REQUIRE names ngnix: it takes browser, nginx, systemd"):
        required()


@pytest.mark.parametrize(("name", "program"), [("postgres", "initdb"), ("nats", "nats-server")])
def test_a_server_on_the_path_is_preferred_to_that_of_a_wheel(
    name: str, program: str, nothing_on_the_path: None, tmp_path: Path
) -> None:
    assert Path(needed(name)).name == program  # the environment brings it
    installed = tmp_path / program
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    assert needed(name) == str(installed)


def test_the_end_of_a_run_counts_why_tests_were_skipped(tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    one = '<testcase><skipped message="nginx is not here: install nginx"/></testcase>'
    file.write_text(f"<testsuites><testsuite>{one * 2}<testcase/></testsuite></testsuites>")
    assert both_ways.reasons(file) == {"nginx is not here: install nginx": 2}
