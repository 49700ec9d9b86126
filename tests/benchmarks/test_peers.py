"""What is said of the libraries that onearm is compared with goes to standard error: JSON has the other to itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def test_a_library_that_cannot_be_installed_is_told_beside_the_results(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    import speed

    monkeypatch.setattr(speed, "PEERS", tmp_path / "peers")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    pins = tmp_path / "library.txt"
    pins.write_text("library==1\n")
    assert speed.peer_python(pins) is None
    said = capsys.readouterr()
    assert said.out == ""
    assert f"building {tmp_path / 'peers' / 'library'}" in said.err and "library could not be installed" in said.err
