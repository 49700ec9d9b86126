"""Moments as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from onearm.api.moments import microseconds_of
from onearm.engine.errors import InvalidInput


@pytest.mark.parametrize("moment", ["yesterday", "", 3, 1.5e9, ["2026-01-31"]])
def test_what_is_no_moment_is_refused(moment: Any) -> None:
    with pytest.raises(InvalidInput, match="is no time: write 2026-01-31 or"):
        microseconds_of(moment)
