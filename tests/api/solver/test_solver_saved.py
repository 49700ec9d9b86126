"""Saved tuners: they go on bit for bit, and bytes that were changed are refused."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
from support import with_numba
from support.tuned import VALUES, drive

from onearm.api import saving
from onearm.api.solver import Tuner
from onearm.api.solver.arm_costs import MEDIAN_OF
from onearm.engine.errors import Conflict, Damaged, InvalidInput
from onearm.engine.vocabulary import Policy
from onearm.policies import catalog as policies


@pytest.mark.parametrize(
    "name",
    ["tsallis", "chebcb", "squarecb", "ucb1", "fixed", "maillard_chain", "tsallis, context", "maillard_chain, context"],
)
def test_a_saved_tuner_goes_on_bit_for_bit(name: str) -> None:
    context = (0.0, 0.4) if name == "chebcb" or "context" in name else None
    tuner = Tuner(name.partition(",")[0], values=VALUES, context=context, seed=4, backstop=3.5, default=1.6)
    drive(tuner, 25)
    waiting = tuner.ask(0.3 if context else None)
    tuner.propose(0.7 if context else None)
    saved = tuner.save()
    loaded = Tuner.load(saved)
    assert loaded.save() == saved
    for each in (tuner, loaded):
        each.observe(44)
        each.tell(waiting.token, 10_000, converged=False, fallback=31)
    assert drive(loaded, 25) == drive(tuner, 25)
    assert loaded.digest() == tuner.digest() and loaded.report() == tuner.report()
    assert loaded.save() == tuner.save()


@pytest.mark.parametrize(
    ("name", "later"),
    [("squarecb", {"origin": 0.0, "second_order": False, "compared": False}), ("epsilon_greedy", {"origin": 0.0})],
)
def test_a_tuner_that_was_saved_before_its_policy_had_an_origin_goes_on(name: str, later: dict[str, Any]) -> None:
    """Costs are counted from 0 then, in the first version of the policy, which lacks the params that came later."""
    tuner = Tuner(policies.make(name, **later), values=VALUES, seed=4)
    drive(tuner, 25)
    head, state = saving.unpack("tuner", tuner.save())
    assert head["settings"]["version"] == 1
    assert {param: head["settings"]["policy"]["params"].pop(param) for param in later} == later
    before = saving.pack("tuner", head, state)
    loaded = Tuner.load(before)
    assert loaded.save() == before
    assert drive(loaded, 25) == drive(tuner, 25)
    assert loaded.digest() == tuner.digest()


def test_a_tuner_goes_on_in_another_process() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=4)
    drive(tuner, 25)
    program = """
import sys
from onearm.api.solver import Tuner
tuner = Tuner.load(bytes.fromhex(sys.argv[1]))
proposed = []
for _ in range(20):
    proposed.append(tuner.propose())
    tuner.observe(30)
print(tuner.digest(), proposed)
"""
    done = with_numba.run(program, tuner.save().hex(), **with_numba.AS_PYTHON)
    proposed = []
    for _ in range(20):
        proposed.append(tuner.propose())
        tuner.observe(30)
    assert done.stdout.strip() == f"{tuner.digest()} {proposed}"


def test_every_bit_that_changed_in_a_saved_tuner_is_found() -> None:
    tuner = Tuner("ucb1", values=[1.0, 1.5])
    tuner.propose()
    saved = tuner.save()
    for place in range(len(saved)):
        for bit in range(8):
            damaged = bytearray(saved)
            damaged[place] ^= 1 << bit
            with pytest.raises(Damaged):
                Tuner.load(bytes(damaged))
    for length in range(0, len(saved), 7):
        with pytest.raises(Damaged, match="no saved tuner, or not all of it"):
            Tuner.load(saved[:length])
    with pytest.raises(Damaged):
        Tuner.load(saved + b"\0")


def crafted(tuner: Tuner, **changes: Any) -> bytes:
    """What a tuner saves, with other things in its head and a digest that fits them."""
    head, state = saving.unpack("tuner", tuner.save())
    for place, value in changes.items():
        *outer, name = place.split("__")
        part = head
        for each in outer:
            part = part[each]
        part[name] = value
    return saving.pack("tuner", head, state)


@pytest.mark.parametrize(
    "changes",
    [
        {"open": [[0, 0, 10**7, 0.5, None]]},
        {"open": [[0, 0, -1, 0.5, None]]},
        {"open": [[0, 0, 1.0, 0.5, None]]},
        {"open": [[0, 0, 1, 0.0, None]]},
        {"open": [[0, 0, 1, 1.5, None]]},
        {"open": [[0, 0, 1, "0.5", None]]},
        {"open": [[0, 0, 1, 0.5, 0.5]]},
        {"open": [[0, -2, 1, 0.5, None]]},
        {"open": [[0, 2, 1, 0.5, None]]},
        {"open": [[0, 10**30, 1, 0.5, None]]},
        {"open": [[9, 0, 1, 0.5, None]]},
        {"open": [[0, 0, 1, 0.5, None]] * 2},
        {"open": [[0, 0, 1, 0.5]]},
        {"open": {"0": 1}},
        {"open": None},
        {"held": 4},
        {"held": -1},
        {"held": True},
        {"proposed": 7},
        {"proposed": []},
        {"clock": -5},
        {"clock": 99},
        {"clock": 2.0},
        {"number": -1},
        {"number": 2**80},
        {"number": None},
        {"course": None},
        {"course__played": [0]},
        {"course__played": [0, 0, 0, -1]},
        {"course__cost": [0.0, 0.0, 0.0, math.nan]},
        {"course__odds": [0.0, 0.0, 0.0, 10**400]},
        {"course__estimated": [0.0, 0.0, 0.0, math.inf]},
        {"course__rounds": 1.5},
        {"course__spent": -1.0},
        {"course__weighed": 1},
        {"course__newest": [1.0] * (MEDIAN_OF + 1)},
        {"course__newest": ["1"]},
        {"settings": 3},
        {"settings__policy": {"name": "tsallis_inf", "params": {"estimator": []}}},
        {"settings__values": [1.0, 1.0]},
        {"settings__values": None},
        {"settings__default": 7.7},
        {"settings__context": [1.0, 0.0]},
        {"settings__seed": "x"},
        {"settings__cost": ["iterations"]},
        {"settings__backstop": 0.5},
    ],
)
def test_bytes_that_were_written_by_hand_are_refused_though_their_digest_fits(changes: dict[str, Any]) -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    tuner.ask()
    tuner.tell(tuner.ask(), 30)
    assert Tuner.load(crafted(tuner)).save() == tuner.save()
    with pytest.raises(Damaged, match=r"load others|of this problem"):
        Tuner.load(crafted(tuner, **changes))


def test_a_context_out_of_range_and_a_head_that_is_none_are_refused_in_saved_bytes() -> None:
    tuner = Tuner("chebcb", values=VALUES, context=(0.0, 1.0))
    tuner.ask(0.5)
    for context in (None, 7.0, "0.5"):
        with pytest.raises(Damaged, match="a context is"):
            Tuner.load(crafted(tuner, open=[[0, 0, 1, 0.25, context]]))
    with pytest.raises(Damaged, match="head is"):
        Tuner.load(saving.pack("tuner", [1], b""))  # type: ignore[arg-type]
    for given in ("text", None, 7):
        with pytest.raises(InvalidInput, match="is no saved tuner"):
            Tuner.load(given)  # type: ignore[arg-type]
    assert Tuner.load(bytearray(tuner.save())).save() == Tuner.load(memoryview(tuner.save())).save() == tuner.save()


def test_a_tuner_is_copied_and_pickled_by_what_it_saves() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=4)
    drive(tuner, 25)
    tuner.propose()
    for other in (pickle.loads(pickle.dumps(tuner)), copy.deepcopy(tuner)):
        assert other is not tuner and other.save() == tuner.save()


def test_a_tuner_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = Tuner("ucb1", values=VALUES).save()
    made = policies.make("ucb1")

    def newer(spec: Any) -> Policy:
        return Policy("ucb1", made.params, made.init, version=made.version + 1)

    monkeypatch.setattr(policies, "from_spec", newer)
    with pytest.raises(Conflict, match="saved by version 1 of 'ucb1', and it is version 2 now"):
        Tuner.load(saved)


def test_a_policy_that_was_made_by_hand_works_and_says_that_it_cannot_be_saved() -> None:
    made = policies.make("ucb1")
    tuner = Tuner(Policy("mine", made.params, made.init), values=VALUES)
    drive(tuner, 9)
    with pytest.raises(InvalidInput, match="policy 'mine' does not know its params, so it cannot be saved"):
        tuner.save()
