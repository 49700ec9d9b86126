"""The queue of arms in front of a stream's slots."""

from __future__ import annotations

import pytest
from support.stream_service import labels

from onearm.api.kinds.streams.arm_queue import ArmQueue, empty_places
from onearm.engine.errors import Damaged
from onearm.engine.vocabulary import Problem


def test_an_arm_is_in_its_slot_since_it_was_stored_there() -> None:
    """A pull of the arm that was in the slot before it came later than the newcomer arrived."""
    line = ArmQueue(Problem(0, slots=1), empty_places(1))
    for label in labels(3):
        line.offer({"id": label})
    assert line.read(number=0, slot=1, arm=0) == []
    assert line.read(number=2, slot=0, arm=1) == []
    (gone,) = line.read(number=9, slot=0, arm=2)
    assert (gone.id, gone.reason) == ("a0", "replaced")
    assert line.places.since.tolist() == [9, 9] and line.places.arm.tolist() == [1, 2]
    with pytest.raises(Damaged, match="lacks its offer"):
        line.read(number=10, slot=1, arm=3)
