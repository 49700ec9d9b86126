"""Streams that are saved at any time and go on to the same bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.stream_rules import RULES, SLOTS, coins, play, shuffled

from onearm.api.arms_once import Stream
from onearm.engine.errors import Conflict, Damaged, InvalidInput


@pytest.mark.parametrize("rule", RULES)
def test_saved_at_any_time_a_stream_goes_on_to_the_same_bits(rule: str) -> None:
    known = {"trials": 3000, "arms": 15}
    for given in (known, {}):
        straight = Stream(rule=rule, slots=SLOTS, seed=2**60, **given)
        play(straight, iter(shuffled(15)), coins(4))
        broken, arms, pull = Stream(rule=rule, slots=SLOTS, seed=2**60, **given), iter(shuffled(15)), coins(4)
        while not broken.done:
            was = broken.status()
            broken = Stream.load(broken.save(), broken.handles)
            assert broken.status() == was
            if broken.ready:
                broken = Stream.load(broken.save(), broken.handles)
                arm = next(arms, None)
                if arm is None:
                    broken.close()
                else:
                    broken.offer(arm)
            else:
                arm, n = broken.ask()
                broken = Stream.load(broken.save(), broken.handles)
                assert broken.ask() == (arm, n)
                broken.tell(arm, *pull(arm, n))
        again = Stream.load(broken.save(), broken.handles)
        assert again.digest() == broken.digest() == straight.digest()
        assert again.commit() == broken.commit() == straight.commit()
        assert again.done


def test_saved_bytes_are_checked() -> None:
    asked = Stream(trials=1000, arms=10)
    asked.offer("a")
    data = asked.save()
    with pytest.raises(InvalidInput, match=r"the arms \[0\] are missing"):
        Stream.load(data, {1: "a"})
    assert Stream.load(data, {0: "b"}).handles == {0: "b"}
    flipped = []
    for bit in range(8 * len(data)):
        flipped.append(bytearray(data))
        flipped[-1][bit // 8] ^= 1 << bit % 8
    for bad in (b"", b"{}", data[:15], data[:30], data[:-1], data[:-4] + b"oops", data + b"x", *map(bytes, flipped)):
        with pytest.raises(Damaged):
            Stream.load(bad, {0: "a"})
    asked._policy = replace(asked._policy, version=9)
    with pytest.raises(Conflict, match="saved by version 9"):
        Stream.load(asked.save(), {0: "a"})
