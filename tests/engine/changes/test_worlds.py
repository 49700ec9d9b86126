"""Worlds: which model a decision belongs to, which has not led for longest, and what of them is kept."""

from __future__ import annotations

from onearm.engine.changes.worlds import FOUND, GONE, KEPT, enter, give_up, is_over, last_of, model_at, seen_by, worlds


def test_a_decision_belongs_to_the_model_of_its_world() -> None:
    seen = worlds()
    for place, model in ((100, 1), (250, 2), (400, 0)):
        enter(seen, place, place + 7, model, 1e9, 3, FOUND)
    assert [model_at(seen, t) for t in (0, 99, 100, 249, 250, 399, 400, 10**12)] == [0, 0, 1, 1, 2, 2, 0, 0]
    assert [is_over(seen, t) for t in (0, 399, 400)] == [True, True, False]


def test_of_worlds_with_one_place_the_last_one_holds() -> None:
    seen = worlds()
    enter(seen, 50, 60, 1, 1e9, 3, FOUND)
    enter(seen, 50, 70, 2, 1e9, 3, FOUND)
    assert [model_at(seen, t) for t in (49, 50)] == [0, 2]


def test_the_worlds_of_a_model_that_begins_anew_are_gone() -> None:
    seen = worlds()
    enter(seen, 100, 110, 1, 1e9, 3, FOUND)
    enter(seen, 200, 210, 0, 1e9, 0, FOUND)
    give_up(seen, 0)
    enter(seen, 300, 310, 0, 1e9, 3, FOUND)
    assert [model_at(seen, t) for t in (5, 150, 250, 350)] == [GONE, 1, GONE, 0]


def test_which_world_a_model_led_in_last() -> None:
    seen = worlds()
    for model in (1, 2, 1, 3):
        enter(seen, 10, 10, model, 1e9, 1, FOUND)
    assert [last_of(seen, model) for model in (0, 1, 2, 3)] == [0, 3, 2, 4]


def test_the_newest_64_are_kept_and_of_older_ones_nothing_is_said() -> None:
    seen = worlds()
    for world in range(1, 200):
        enter(seen, 10 * world, 10 * world + 3, world % 4, 1e9, 2, FOUND)
    changes = seen_by(seen)
    assert [change.place for change in changes] == [10 * world for world in range(200 - KEPT + 1, 200)]
    assert changes[-1] == (199, 1990, 1993, 199 % 4, 1e9, 2, "found")
    oldest = 200 - KEPT
    assert model_at(seen, 10 * oldest) == oldest % 4
    assert model_at(seen, 10 * oldest - 1) == GONE
    assert [last_of(seen, model) for model in range(4)] == [196, 197, 198, 199]
