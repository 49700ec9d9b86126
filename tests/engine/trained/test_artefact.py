"""Artefacts as bytes: what is written is read, and nothing else is."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
from support.small_artefacts import arm_artefact, arm_layers, artefact, flat_artefact, table_artefact, table_laws

from onearm.engine.errors import Damaged, InvalidInput
from onearm.engine.task import best_arm, hypotheses
from onearm.engine.trained.artefact import WEIGHT_MAX, Artefact, pack, unpack

MADE = [arm_artefact(), flat_artefact(), table_artefact()]
QUESTIONS = hypotheses([[1.0, 0.0], [0.0, 0.25]])


def edited(description: bytes, **fields: Any) -> bytes:
    return json.dumps({**json.loads(description), **fields}).encode()


def archive_of(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def members_of(npz: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(npz)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.architecture)
def test_what_is_packed_is_unpacked(made: Artefact) -> None:
    again = unpack(*pack(made))
    assert again.description() == made.description()
    assert again.sha256 == made.sha256
    assert {name: array.tolist() for name, array in again.arrays.items()} == {
        name: array.tolist() for name, array in made.arrays.items()
    }
    assert pack(again) == pack(made)


def test_the_arrays_are_those_that_numpy_reads() -> None:
    made = arm_artefact()
    with np.load(io.BytesIO(pack(made)[0]), allow_pickle=False) as archive:
        assert {name: archive[name].tolist() for name in archive} == {
            name: array.tolist() for name, array in made.arrays.items()
        }


def test_the_digest_is_of_every_part() -> None:
    made = arm_artefact()
    changed = arm_artefact().arrays
    changed["b2"][3] += np.float32(1e-3)
    others = [
        artefact("arm_net/1", best_arm(3), 6, changed),
        arm_artefact(arms=4, name=made.name),
        arm_artefact(budget=7, name=made.name),
        arm_artefact(levels=(2.0, 9.0)),
        arm_artefact(offsets=(0.1, 0.31)),
        arm_artefact(worst_case={"sample": (0.12, 0.33), "greedy": (0.2, 0.6)}),
        arm_artefact(play="greedy"),
        arm_artefact(made={"command": "by hand", "seed": 1}),
        arm_artefact(name="another"),
    ]
    assert len({made.sha256, *(other.sha256 for other in others)}) == len(others) + 1
    assert arm_artefact().sha256 == made.sha256
    assert made.label == f"arms-3-6@{made.sha256[:16]}"


@pytest.mark.parametrize(
    "fields",
    [
        {"budget": 7},
        {"play": "greedy"},
        {"worst_case": {"sample": [0.01, 0.02], "greedy": [0.2, 0.5]}},
        {"task": {"kind": "arms", "queries": 4, "answers": "normal", "loss": "identification"}},
        {"levels": [2.0, 80.0]},
        {"sha256": "0" * 64},
        {"arrays_sha256": "0" * 64},
        {"made": {}},
    ],
)
def test_an_edited_description_is_refused(fields: dict[str, Any]) -> None:
    npz, description = pack(arm_artefact())
    with pytest.raises(Damaged, match="its sha256 is"):
        unpack(npz, edited(description, **fields))


def test_edited_or_foreign_arrays_are_refused() -> None:
    npz, description = pack(arm_artefact())
    with pytest.raises(Damaged, match="its sha256 is"):
        unpack(pack(arm_artefact(seed=1))[0], description)
    with pytest.raises(Damaged, match="its arrays have the shapes"):
        unpack(pack(flat_artefact())[0], description)
    with pytest.raises(Damaged, match="its arrays have the shapes"):
        unpack(archive_of({**members_of(npz), "w9.npy": members_of(npz)["w1.npy"]}), description)


@pytest.mark.parametrize("step", [1, 7])
def test_files_that_are_cut_short_are_refused(step: int) -> None:
    npz, description = pack(table_artefact())
    for length in range(0, len(npz), max(1, step * len(npz) // 40)):
        with pytest.raises(Damaged):
            unpack(npz[:length], description)
    for length in range(0, len(description) - 2, step * 40):
        with pytest.raises(Damaged):
            unpack(npz, description[:length])


def test_a_flipped_bit_changes_nothing_or_is_refused() -> None:
    made = table_artefact()
    npz, description = pack(made)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        place, bit = int(rng.integers(len(npz))), 1 << int(rng.integers(8))
        broken = bytearray(npz)
        broken[place] ^= bit
        try:
            assert unpack(bytes(broken), description).sha256 == made.sha256  # a bit of the archive's own bookkeeping
        except Damaged:
            refused += 1
    assert refused > 150


def test_pickles_are_not_read() -> None:
    npz, description = pack(arm_artefact())
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(Damaged, match="an array of object"):
        unpack(archive_of({**members_of(npz), "b1.npy": stream.getvalue()}), description)


def test_an_array_that_claims_to_be_huge_takes_no_memory() -> None:
    npz, description = pack(arm_artefact())
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 20)})
    with pytest.raises(Damaged, match=r"an array of the shape \(1099511627776, 1048576\)"):
        unpack(archive_of({**members_of(npz), "w1.npy": stream.getvalue()}), description)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    npz, description = pack(arm_artefact())
    monkeypatch.setattr("onearm.engine.trained.artefact.BYTES_MAX", 1 << 20)
    size = 1 << 21
    bomb = archive_of({"w1.npy": bytes(size)})
    assert len(bomb) < 4000
    with pytest.raises(Damaged, match="more than 1048576 bytes"):
        unpack(bomb, description)
    liar = bomb.replace(struct.pack("<L", size), struct.pack("<L", 100))  # in both places that hold the size
    with pytest.raises(Damaged, match="cannot be read"):
        unpack(liar, description)
    with pytest.raises(Damaged, match="must hold arrays alone"):
        unpack(archive_of({**members_of(npz), "run.sh": b""}), description)


@pytest.mark.parametrize("description", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_description_is_refused(description: bytes) -> None:
    with pytest.raises(Damaged, match="is not a JSON object"):
        unpack(pack(arm_artefact())[0], description)


@pytest.mark.parametrize(
    "fields",
    [
        {"task": None},
        {"task": {"kind": "arms", "queries": 10**9}},
        {"levels": 3},
        {"levels": ["a", "b"]},
        {"worst_case": [1.0]},
        {"worst_case": {"sample": [0.1, float("inf")]}},
        {"budget": 1e999},
        {"name": "../../etc/passwd"},
        {"made": {"nested": float("nan")}},
        {"extra": 1},
    ],
)
def test_a_description_of_something_else_is_refused(fields: dict[str, Any]) -> None:
    npz, description = pack(arm_artefact())
    with pytest.raises(Damaged, match="the file of a friend"):
        unpack(npz, edited(description, **fields), "the file of a friend")


def test_a_missing_field_is_named() -> None:
    npz, description = pack(arm_artefact())
    body = json.loads(description)
    del body["offsets"]
    with pytest.raises(Damaged, match="offsets"):
        unpack(npz, json.dumps(body).encode())


@pytest.mark.parametrize("fields", [{"format": 2}, {"architecture": "arm_net/2"}, {"architecture": None}])
def test_another_version_is_named(fields: dict[str, Any]) -> None:
    npz, description = pack(arm_artefact())
    with pytest.raises(InvalidInput, match="this version of onearm reads format 1 and arm_net/1"):
        unpack(npz, edited(description, **fields))


def test_parts_that_do_not_fit_are_refused() -> None:
    wide = arm_layers() | {"b1": np.zeros(2000, np.float32)}
    nan = arm_layers()
    nan["w2"][0, 0] = np.nan
    big = arm_layers()
    big["w2"][0, 0] = 2 * WEIGHT_MAX
    doubled = {name: array.astype(np.float64) for name, array in arm_layers().items()}
    laws = table_laws(best_arm(2, "bits"), 3)
    no_law = laws | {"query": laws["query"] * 1.01}
    wrong: list[tuple[str, Any]] = [
        ("b1 is missing", lambda: artefact("arm_net/1", best_arm(3), 6, {})),
        ("not of 1 to 1024", lambda: artefact("arm_net/1", best_arm(3), 6, wide)),
        ("not finite", lambda: artefact("arm_net/1", best_arm(3), 6, nan)),
        ("above 10000", lambda: artefact("arm_net/1", best_arm(3), 6, big)),
        ("of float64", lambda: artefact("arm_net/1", best_arm(3), 6, doubled)),
        ("is not for the task", lambda: artefact("flat_net/1", best_arm(3), 6, arm_layers())),
        ("is not for the task", lambda: artefact("arm_net/1", QUESTIONS, 6, arm_layers())),
        ("no law", lambda: artefact("table/1", best_arm(2, "bits"), 3, no_law)),
        ("normal", lambda: artefact("table/1", best_arm(2), 3, laws)),
        (r"needs query \[35, 2\]", lambda: artefact("table/1", best_arm(2, "bits"), 4, laws)),
        ("too many states", lambda: artefact("table/1", best_arm(5000, "bits"), 10**6, laws)),
        ("ascend", lambda: arm_artefact(levels=(8.0, 2.0))),
        ("ascend", lambda: arm_artefact(levels=(0.0, 2.0))),
        ("one of 0 or more", lambda: arm_artefact(offsets=(0.1,))),
        ("one of 0 or more", lambda: arm_artefact(offsets=(-0.1, 0.2))),
        ("the default among them", lambda: arm_artefact(worst_case={"greedy": (0.1, 0.2)})),
        ("the default among them", lambda: arm_artefact(worst_case={"sample": (0.1, 0.2), "other": (0.1, 0.2)})),
        ("its name is", lambda: arm_artefact(name="a/b")),
        ("the budget is", lambda: arm_artefact(budget=0, name="a")),
        ("no JSON", lambda: arm_artefact(made={"x": {1, 2}})),
    ]
    for message, make in wrong:
        with pytest.raises(InvalidInput, match=message):
            make()
