"""What many look at is made once; an error is made again, and what nobody looks at leaves."""

from __future__ import annotations

import asyncio

import pytest

from onearm.api.service.glances import KEPT_MAX, Glances


def test_what_many_look_at_is_made_once_until_it_is_old() -> None:
    now, made = [0.0], []

    async def make() -> int:
        made.append(now[0])
        await asyncio.sleep(0)
        return len(made)

    async def look() -> None:
        glances = Glances(clock=lambda: now[0])
        assert set(await asyncio.gather(*(glances.get("k", 2.0, make) for _ in range(50)))) == {1}
        now[0] = 1.9
        assert await glances.get("k", 2.0, make) == 1
        assert await glances.get("other", 2.0, make) == 2
        now[0] = 2.0
        assert await glances.get("k", 2.0, make) == 3
        for i in range(2 * KEPT_MAX):
            await glances.get(i, 2.0, make)
        assert len(glances._made) == KEPT_MAX

    asyncio.run(look())


def test_an_error_is_told_to_all_and_not_kept() -> None:
    tries: list[int] = []

    async def fail() -> int:
        tries.append(1)
        raise ValueError("no")

    async def look() -> None:
        glances = Glances()
        for n in (1, 2):
            with pytest.raises(ValueError, match="no"):
                await glances.get("k", 60.0, fail)
            assert len(tries) == n

    asyncio.run(look())
