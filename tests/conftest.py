"""What all tests share: the repository's root, the folder of real data, and strict numbers."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

# Compiling inside an example takes seconds, and a busy machine is no bug; fixed examples keep a red run red.
hypothesis.settings.register_profile("onearm", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("onearm")


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real data, named by ONEARM_TEST_DATA; fail where it does not exist."""
    folder = Path(os.environ.get("ONEARM_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.fail(
            f"there is no folder of test data at {folder}: it must hold the Open Bandit sample as obd/; "
            "set ONEARM_TEST_DATA to where it lies"
        )
    return folder.resolve()
