"""Many tuners by key: what makes a key, that their seeds follow from it, and that they are saved together."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from support import with_numba

from onearm.api import saving
from onearm.api.solver import PatternKey, Tuner, Tuners, prepare
from onearm.api.solver.tuners import pattern_of
from onearm.engine.errors import Damaged, InvalidInput

A = sparse.csr_array(np.array([[4.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 4.0]]))
OTHER = sparse.csr_array(np.array([[4.0, 0.0, -1.0], [0.0, 4.0, -1.0], [-1.0, -1.0, 4.0]]))


def unsorted() -> Any:
    """The entries of A in another order, one of them in two parts."""
    index, value = np.array([1, 0, 2, 1, 0, 1, 2, 1]), np.array([-1.0, 4.0, -1.0, 4.0, -1.0, -0.5, 4.0, -0.5])
    return sparse.csr_matrix((value, index, np.array([0, 2, 5, 8])), shape=(3, 3))


FORMS = {
    "csr": A,
    "int64": sparse.csr_array((A.data, A.indices.astype(np.int64), A.indptr.astype(np.int64)), shape=(3, 3)),
    "csc": A.tocsc(),
    "coo": A.tocoo(),
    "dense": A.toarray(),
    "other values": 3.0 * A,
    "prepared": prepare(A),
    "unsorted": unsorted(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_pattern_has_one_key_in_every_form(form: str) -> None:
    assert pattern_of(FORMS[form]) == pattern_of(A)
    tuners = Tuners("ucb1")
    assert tuners["p", 1e-8, FORMS[form]] is tuners["p", 1e-8, A]


def test_patterns_that_differ_have_other_keys() -> None:
    lopsided = A.copy()
    lopsided.data[1] = -0.5
    wide = sparse.csr_array((A.data, A.indices, A.indptr), shape=(3, 4))
    tall = sparse.csr_array((A.data, A.indices, [*A.indptr, A.indptr[-1]]), shape=(4, 3))
    many = [tall, A, OTHER, sparse.eye_array(3).tocsr(), sparse.eye_array(4).tocsr(), wide, np.triu(A.toarray())]
    assert len({pattern_of(each) for each in many}) == len(many)
    assert pattern_of(lopsided) == pattern_of(prepare(lopsided, symmetric=False)) == pattern_of(A)


def test_field_tolerance_and_pattern_make_the_key() -> None:
    tuners = Tuners("ucb1")
    first = tuners["pressure", 1e-8, A]
    assert first is tuners["pressure", np.float64(1e-8), pattern_of(A)]
    others = [tuners["pressure", 1e-6, A], tuners["velocity", 1e-8, A], tuners["pressure", 1e-8, OTHER]]
    assert len({id(tuner) for tuner in (first, *others)}) == len(tuners) == 4
    assert ("velocity", 1e-8, A) in tuners and ("velocity", 1e-9, A) not in tuners and len(tuners) == 4
    assert next(iter(tuners)) == ("pressure", 1e-8, pattern_of(A))
    assert all(tuners[key] is tuner for key, tuner in tuners.items())
    assert tuners["alone"] is tuners[("alone",)] is not tuners["alone", "too"]
    assert tuners[1] is tuners[1.0] is not tuners["1"]
    assert tuners.get(("velocity", 1e-8, A)) is others[1]


@pytest.mark.parametrize("key", [True, b"p", {"p"}, np.ones(3), ("p", ("q",)), object()])
def test_a_key_of_another_kind_is_refused(key: Any) -> None:
    tuners = Tuners("ucb1")
    with pytest.raises(InvalidInput, match="it must be a text, a number, a matrix, or a tuple"):
        tuners[key]
    assert key not in tuners and len(tuners) == 0


def test_seeds_follow_from_the_key_and_not_from_the_order() -> None:
    one, other = Tuners("tsallis", seed=7), Tuners("tsallis", seed=7)
    keys = [("p", 1e-8, A), ("q", 1e-8, A), ("p", 1e-6, A), ("p", 1e-8, OTHER)]
    first = [one[key].settings.seed for key in keys]
    backwards = [other[key].settings.seed for key in reversed(keys)]
    assert first == backwards[::-1] and len(set(first)) == 4
    assert Tuners("tsallis", seed=8)[keys[0]].settings.seed != first[0]


def test_seeds_and_patterns_are_the_same_in_another_process() -> None:
    program = """
import numpy as np
from onearm.api.solver import Tuners
A = np.array([[4.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 4.0]])
print(Tuners("ucb1", seed=7)["p", 1e-8, A].settings.seed)
"""
    done = with_numba.run(program, **with_numba.AS_PYTHON)
    assert int(done.stdout) == Tuners("ucb1", seed=7)["p", 1e-8, A].settings.seed


def test_saved_tuners_go_on_bit_for_bit() -> None:
    tuners = Tuners("tsallis", grid=(1.0, 1.6, 4), seed=7, backstop=4.0)
    keys: list[Any] = [("p", 1e-8, A), "q", ("p", 1e-8, OTHER)]
    for round_number, key in enumerate(keys * 7):
        tuners[key].propose()
        tuners[key].observe(10 + round_number)
    waiting = tuners["q"].propose()
    saved = tuners.save()
    loaded = Tuners.load(saved)
    assert loaded.save() == saved and list(loaded) == list(tuners)
    for key in keys:
        assert loaded[key].digest() == tuners[key].digest() and loaded[key].report() == tuners[key].report()
    loaded["q"].observe(12)
    tuners["q"].observe(12)
    for each in (loaded, tuners):
        for key in (*keys, "new"):
            waiting = each[key].propose()
            each[key].observe(int(10 * waiting))
    assert loaded.save() == tuners.save()


def test_damaged_tuners_are_refused() -> None:
    tuners = Tuners("ucb1", values=[1.0, 1.5])
    tuners["p"].propose()
    saved = tuners.save()
    for place in range(0, len(saved), 3):
        damaged = bytearray(saved)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(Damaged, match="no saved tuners"):
            Tuners.load(bytes(damaged))
    with pytest.raises(Damaged):
        Tuners.load(tuners["p"].save())


def crafted(tuners: Tuners, sizes: dict[str, int], more: bytes = b"") -> bytes:
    """What tuners save, with other sizes and a digest that fits them."""
    head, body = saving.unpack("tuners", tuners.save())
    return saving.pack("tuners", head | {"sizes": sizes}, body + more)


def test_tuners_that_were_written_by_hand_are_refused_though_their_digest_fits() -> None:
    tuners, others = (Tuners("ucb1", values=[1.0, last]) for last in (1.5, 1.6))
    key, size = '["p"]', len(tuners["p"].save())
    assert Tuners.load(crafted(tuners, {key: size}))["p"].values == (1.0, 1.5)
    bad: list[dict[str, int]] = [
        {},
        {key: size - 1},
        {key: size + 1},
        {key: -1},
        {'["q"]': size},
        {"p": size},
        {"": size},
    ]
    for sizes in bad:
        with pytest.raises(Damaged):
            Tuners.load(crafted(tuners, sizes))
    with pytest.raises(Damaged, match="8 bytes of no tuner"):
        Tuners.load(crafted(tuners, {key: size}, b"8 bytes."))
    head, _ = saving.unpack("tuners", tuners.save())
    foreign = others["p"].save()
    with pytest.raises(Damaged, match="of other settings"):
        Tuners.load(saving.pack("tuners", head | {"sizes": {key: len(foreign)}}, foreign))
    for text in ("p", "[", '{"p":1}', '[ "p"]', "[true]", "7"):  # no key, though the seed is that of the text
        alone = Tuner.from_settings(tuners.settings._replace(seed=tuners._seed_of(text))).save()
        with pytest.raises(Damaged, match="of no key"):
            Tuners.load(saving.pack("tuners", head | {"sizes": {text: len(alone)}}, alone))


def test_tuners_are_copied_and_pickled_by_what_they_save() -> None:
    tuners = Tuners("ucb1", values=[1.0, 1.5], seed=3)
    tuners["p", A].propose()
    for other in (pickle.loads(pickle.dumps(tuners)), copy.deepcopy(tuners)):
        assert other["p", A] is not tuners["p", A] and other.save() == tuners.save()


def test_settings_are_checked_before_any_tuner_is_made() -> None:
    with pytest.raises(InvalidInput, match="there is no policy"):
        Tuners("nobody")
    with pytest.raises(TypeError, match="omegas"):
        Tuners(omegas=[1.0])
    assert PatternKey("00").digest == "00"
