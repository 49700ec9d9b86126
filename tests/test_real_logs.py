"""The logs of others in tests/data/ are the files that the READMEs beside them describe, to the byte."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

ROW = re.compile(r"^\| `(?P<file>[^`]+)` \| `(?P<packed>[0-9a-f]{64})` \| (?:`(?P<unpacked>[0-9a-f]{64})`|-) \|$", re.M)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["obd", "dsjson", "sparse"])
def test_files_are_those_of_the_readme(data_folder: Path, name: str) -> None:
    folder = data_folder / name
    rows = list(ROW.finditer((folder / "README.md").read_text()))
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "README.md"]
    assert sorted(row["file"] for row in rows) == sorted(path.relative_to(folder).as_posix() for path in files)
    for row in rows:
        content = (folder / row["file"]).read_bytes()
        assert sha256(content) == row["packed"], row["file"]
        if row["file"].endswith(".gz"):
            assert sha256(gzip.decompress(content)) == row["unpacked"], row["file"]


def test_every_folder_says_whose_its_files_are(data_folder: Path) -> None:
    folders = [path for path in data_folder.iterdir() if path.is_dir()]
    assert sorted(folder.name for folder in folders) == ["dsjson", "obd", "sparse"]
    for folder in folders:
        text = (folder / "README.md").read_text()
        assert [word for word in ("Source: ", "Authors: ", "Licence", "Changes: ") if word not in text] == []
    assert "CC BY 4.0" in (data_folder / "obd" / "README.md").read_text()
    assert "Redistribution and use in source and binary forms" in (data_folder / "dsjson" / "README.md").read_text()
