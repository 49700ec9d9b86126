"""JSON by compiled code, of decisions over HTTP and lines of dsjson: what Python makes of it, to the bit."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.feature_bodies import ENCODERS, LATER, answer, body, plainly

from onearm.engine.errors import InvalidInput
from onearm.engine.featuriser import pages
from onearm.engine.featuriser.desk import desk
from onearm.engine.storage.formats.dsjson import reader
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.source import Source

SLOTTED = [encoder for encoder in [*ENCODERS, *LATER] if encoder.dimension is None]
# What JSON may look like that is read in another way, or refused.
ODD = [
    b'[{"id":"a","x":1e400}]',
    b'[{"id":"a","x":NaN}]',
    b'[{"id":"a","x":01}]',
    b'[{"id":"a","x":1.}]',
    b'[{"id":"a","x":.5}]',
    b'[{"id":"a","x":+1}]',
    b'[{"id":"a","x":-}]',
    b'[{"id":"a","x":-0}]',
    b'[{"id":-0}]',
    b'[{"id":12345678901234567890}]',
    b'[{"id":"a","x":12345678901234567890}]',
    b'[{"id":"a","x":0.1234567890123456789012345}]',
    b'[{"id":"a","x":9007199254740993}]',
    b'[{"id":"a","x":1,"x":2}]',
    b'[{"id":"a","u":{"x":1},"u":{"y":2}}]',
    b'[{"id":"a","_t":1,"_t":2}]',
    b'[{"id":"a","_text":"x","_text":"y"}]',
    b'[{"id":"a","x":"\\u0041"}]',
    b'[{"id":"a","\\u0041":1}]',
    b'[{"id":"a","x":"\n"}]',
    b'[{"id":"a","x":"\xff"}]',
    b'[{"id":"a","x":"\xed\xa0\x80"}]',
    b'[{"id":"a","_x":"\xff"}]',
    b'[{"id":"a","x":"\xc3\xbc\xe2\x80\x83"}]',
    b'[{"id":"a","_text":"a\xe2\x80\x83b\xc2\xa0c"}]',
    b' [ { "id" : "a" , "x" : [ 1 , 2.5e-3 , [ ] , { } ] } ]\t\r\n',
    b'[{"id":"a",}]',
    b'[{"id":"a"},]',
    b'[,{"id":"a"}]',
    b'[{"id" "a"}]',
    b'[{"id":"a"}',
    b'[{"id":"a"}]]',
    b'[{"id":"a"}] x',
    b'[{"id":"a"]',
    b'[{"id":tru}]',
    b'[{"id":nulll}]',
    b'{"id":"a"}',
    b"[]",
    b"[1]",
    b"null",
    b"",
    b'[{"id":"a","x":' + b"[" * 80 + b"]" * 80 + b"}]",
    b'[{"id":"a","_x":' + b"[" * 80 + b"]" * 80 + b"}]",
    b'[{"id":"a","_x":' + b"[" * 30 + b"]" * 30 + b"}]",
]


@pytest.fixture
def fast() -> Any:
    """The desk of this thread, with compiled code."""
    for entry in desk().entries():
        entry.wait()
    return desk()


def said(encoder: Any, shared: Any, actions: bytes) -> bytes | str | None:
    """Return what the encoder makes of JSON in Python, None where it is no list of objects."""
    try:
        decoded = msgspec.json.decode(actions, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return answer(plainly(encoder), shared, decoded)


@pytest.mark.jit
@pytest.mark.parametrize("actions", ODD, ids=lambda odd: repr(odd)[:40])
def test_odd_json_is_read_as_it_is_in_python_or_left_to_that(fast: Any, actions: bytes) -> None:
    for encoder in SLOTTED:
        for shared in (None, {"u": {"x": 1.5, "c": "d"}}, {"x": "y"}):
            found = fast.encode_sent(encoder.slots_wanted, shared, actions)
            if found is not None:
                assert answer(lambda *_: found, None, None) == said(encoder, shared, actions)  # noqa: B023


@pytest.mark.jit
def test_actions_in_json_are_those_of_python_to_the_bit(fast: Any) -> None:
    sure = 0
    for seed in range(600):
        draws = random.Random(seed)
        shared, actions = body(seed)
        try:
            text = json.dumps(actions, ensure_ascii=draws.random() < 0.2, indent=draws.choice([None, None, 1])).encode()
        except (TypeError, UnicodeEncodeError):
            continue
        if draws.random() < 0.2:
            at = draws.randrange(len(text))
            text = text[:at] + bytes([draws.randrange(256)]) + text[at + draws.randrange(2) :]
        for encoder in SLOTTED:
            found = fast.encode_sent(encoder.slots_wanted, shared, text)
            if found is not None:
                sure += 1
                assert answer(lambda *_: found, None, None) == said(encoder, shared, text), seed  # noqa: B023
    assert sure > 0.2 * 600 * len(SLOTTED)


def numbers(draws: random.Random) -> str:
    """Return a decimal number."""
    digits = "".join(draws.choice("0123456789") for _ in range(draws.choice([1, 3, 8, 15, 16, 17, 18, 19])))
    whole = digits[: draws.randint(1, len(digits))].lstrip("0") or "0"
    tail = digits[len(whole) :]
    power = draws.randint(0, draws.choice([0, 40, 330]))
    exponent = f"e{draws.choice(['', '+', '-'])}{power}" if power else ""
    return draws.choice(["", "-"]) + whole + (f".{tail}" if tail else "") + exponent


@pytest.mark.jit
@pytest.mark.parametrize(
    ("number", "is_one"),
    [
        ("0.5", True),
        ("12.25", True),
        ("-1.5", True),
        ("123.456", True),
        ("1234.5678", True),
        ("1.5e3", True),
        ("1.", False),
        (".5", False),
        ("01.5", False),
        ("1.5.2", False),
        ("1.5.", False),
        ("1.5e", False),
        ("1.5x", False),
        ("1..5", False),
    ],
)
def test_short_numbers_of_json_are_read_and_others_refused(fast: Any, number: str, is_one: bool) -> None:
    encoder = SLOTTED[3]
    found = fast.encode_sent(encoder.slots_wanted, None, f'[{{"id":"a","x":{number},"y":1}}]'.encode())
    assert (found is not None) == is_one
    if found is not None:
        assert answer(lambda *_: found, None, None) == answer(
            plainly(encoder), None, [{"id": "a", "x": float(number), "y": 1}]
        )


@pytest.mark.jit
def test_numbers_have_the_last_bit_of_float(fast: Any) -> None:
    encoder, draws, sure = SLOTTED[3], random.Random(1), 0
    texts = [numbers(draws) for _ in range(20_000)]
    texts += [repr(draws.random()) for _ in range(20_000)] + [repr(draws.random() * 1e-15) for _ in range(5_000)]
    texts += [str(2**53 + n) for n in range(-20, 20)] + [f"{2**53 + n}e-3" for n in range(-20, 20)]
    texts = [text for text in texts if abs(float(text)) <= 1e15]
    for start in range(0, len(texts), 20):
        some = texts[start : start + 20]
        found = fast.encode_sent(encoder.slots_wanted, None, f'[{{"id":"a","x":[{",".join(some)}]}}]'.encode())
        sure += found is not None
        if found is not None:
            assert answer(lambda *_: found, None, None) == answer(  # noqa: B023
                plainly(encoder), None, [{"id": "a", "x": [float(text) for text in some]}]
            )
    assert sure > 0.5 * len(texts) / 20


def line_of(draws: random.Random, seed: int, odd: float) -> bytes:
    """Return a line of a dsjson log."""
    shared, actions = body(seed)
    actions = [action for action in actions if isinstance(action, dict)] or [{"id": 1}]
    shared = shared if isinstance(shared, dict) else {}
    index = draws.randrange(len(actions))
    event: dict[str, Any] = {
        "_label_cost": draws.choice([-1, 0, 0.25, -1.0, 1e-3]),
        "_label_probability": draws.choice([0.5, 1, 0.125, 1e-3]),
        "_label_Action": index + 1,
        "_labelIndex": index,
        "o": draws.choice([[], [{"v": 1}], [{"v": None}, {"EventId": "a"}], [{"a": 1}, {"v": {"b": 2}}], None]),
        "Timestamp": "2020-01-01T00:00:00.0000000Z",
        "EventId": f"e{seed}",
        "c": shared | {"_multi": actions},
        "pdrop": draws.choice([0, 0.0, 0.5]),
    }
    changes: list[dict[str, Any]] = [
        {"_label_cost": draws.choice([None, "1", 1e101, True])},
        {"_label_probability": draws.choice([None, 0, 1.5, "x", False])},
        {"_labelIndex": draws.choice([None, -1, 100, 1.0, True])},
        {"_skipLearn": draws.choice([True, False, None, 1])},
        {"_original_label_cost": draws.choice([None, -0.5, "x"])},
        {"pdrop": draws.choice([1, None, -0.1, "x"])},
        {"_outcomes": draws.choice([None, []])},
        {"RewardValue": draws.choice([None, 1])},
        {"C": {"_multi": actions}},
        {
            "c": draws.choice(
                [{"_multi": []}, {"_multi": actions, "_slots": []}, [], {"_multi": [{"_slot_id": 1, "a": 1}]}]
            )
        },
        {"_LABEL_COST": 0.5},
        {"s\u212aip": 1, "\u212a": 2},
    ]
    for _ in range(draws.choice([1, 1, 2]) if draws.random() < odd else 0):
        event |= draws.choice(changes)
    if draws.random() < odd:
        del event[draws.choice(list(event))]
    items = list(event.items())
    draws.shuffle(items)
    try:
        text = json.dumps(dict(items), ensure_ascii=draws.random() < 0.2).encode()
    except (TypeError, UnicodeEncodeError):
        text = b"{}"
    return text if draws.random() > odd / 9 else text[: draws.randrange(len(text))]


def said_of(path: Path) -> Any:
    """Return what the reader says of a log: columns as bytes, and what was bad."""
    try:
        with reader.read_rows(Source(path), Wanted()) as rows:
            columns = rows.columns()
            arrays = [*columns[:6], *columns.context, columns.available]
            kept = [(np.asarray(array).dtype, np.asarray(array).tobytes()) for array in arrays]
            bad = rows.bad_lines
            return kept, rows.problem, rows.decisions, rows.unobserved, rows.notes, bad.count, bad.lines
    except InvalidInput as error:
        return str(error)


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(20))
def test_lines_of_dsjson_are_those_of_python_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draws = random.Random(seed)
    odd = draws.choice([0.0, 0.05, 0.4])
    lines = [line_of(draws, 200 * seed + n, odd) for n in range(100)]
    for _ in range(3 if odd else 0):
        lines.insert(draws.randrange(100), draws.choice([b"", b"  ", b"\x0b", b"x", b"[]", b"\xa0"]))
    file = tmp_path / "log.dsjson"
    file.write_bytes(draws.choice([b"\n", b"\n", b"\r\n"]).join(lines) + draws.choice([b"", b"\n", b"\n\n"]))
    monkeypatch.setattr(pages, "PLAIN_MAX", -1)
    fast = said_of(file)
    monkeypatch.setattr(pages.Pages, "can_read", lambda this, block: False)
    assert fast == said_of(file)


@pytest.mark.jit
def test_usual_lines_of_dsjson_are_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PLAIN_MAX", -1)
    line = (
        b'{"_label_cost":-1,"_label_probability":0.8,"_label_Action":1,"_labelIndex":0,"o":[{"v":1.0,"EventId":"a"}],'
        b'"Timestamp":"2020-01-01T00:00:00.0000000Z","Version":"1","EventId":"a","a":[1,2],"p":[0.8,0.2],'
        b'"c":{"User":{"age":31,"_text":"red shoes"},"_multi":[{"_tag":"a","i":{"id":"a"},"j":[{"p":0.5}]},'
        b'{"b":{"c":1}}]},'
        b'"VWState":{"m":"x"}}\n'
    )
    of_lines = pages.Pages(reader.read_lines, reader.empty_lines(100), SLOTTED[0].slots_wanted)
    assert of_lines.can_read(b"")
    found = list(of_lines.read(line * 50, 0))
    assert [type(part) for part in found] == [pages.Stretch]
    assert found[0].event[:, reader.LINE].tolist() == list(range(1, 51))
