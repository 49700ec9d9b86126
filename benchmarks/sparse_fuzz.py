"""Whether compiled code reads named features as Python does: bodies of all sorts, by both ways.

Run: python benchmarks/sparse_fuzz.py [--bodies 1000000] [--first 0]; a million take some half an hour.
Each is a context and its actions as people send them, and as they should not, once as Python's objects and once as
JSON, of which some has a byte changed. Where compiled code is sure, its slots and values must be those of the plain
path to the bit; what that refuses, it must not be sure of. Prints how many were compared and which differ; the exit
code is 1 if any does.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import msgspec
from bars import progress_bar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.feature_bodies import ENCODERS, LATER, answer, body, plainly

from onearm.engine.features import Encoder
from onearm.engine.featuriser.desk import desk

SHOWN = 20  # seeds of bodies that differ


def main() -> int:
    """Compare, show what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first body")
    arguments = parser.parse_args()
    if arguments.bodies < 1:
        parser.error("at least one body is needed")
    with progress_bar("bodies") as progress:
        task = progress.add_task("comparing", total=arguments.bodies)
        found = compare(range(arguments.first, arguments.first + arguments.bodies), lambda: progress.advance(task))
    print(json.dumps(found))
    return 1 if found["differ"] else 0


def compare(seeds: range, step: Any) -> dict[str, Any]:
    """Return how many bodies were compared, of how many compiled code was sure, and the seeds of those that differ."""
    for entry in desk().entries():
        entry.wait()
    found: dict[str, Any] = {"bodies": len(seeds), "sure": 0, "sure_of_json": 0, "differ": []}
    for seed in seeds:
        draws = random.Random(-1 - seed)
        encoder = draws.choice([*ENCODERS, *LATER])
        shared, actions = body(seed)
        same = [of_objects(encoder, shared, actions), of_json(encoder, shared, changed(actions, draws))]
        found["sure"] += same[0] is not None
        found["sure_of_json"] += same[1] is not None
        if False in same and len(found["differ"]) < SHOWN:
            found["differ"].append(seed)
        step()
    return found


def of_objects(encoder: Encoder, shared: Any, actions: Any) -> bool | None:
    """Return whether compiled code says what Python does, None where it is not sure."""
    if encoder.dimension is None:
        sure: Any = desk().encode(encoder.slots_wanted, shared, actions)
    else:
        sure = desk().dense(encoder.rows_wanted, shared, actions)
    return None if sure is None else answer(lambda *_: sure, None, None) == answer(plainly(encoder), shared, actions)


def changed(actions: Any, draws: random.Random) -> bytes | None:
    """Return actions as JSON, some of it with a byte changed; None where they have none."""
    try:
        text = json.dumps(actions, ensure_ascii=draws.random() < 0.2, indent=draws.choice([None, None, 1])).encode()
    except (TypeError, UnicodeEncodeError, ValueError):
        return None
    if draws.random() < 0.2:
        at = draws.randrange(len(text))
        text = text[:at] + bytes([draws.randrange(256)]) + text[at + draws.randrange(2) :]
    return text


def of_json(encoder: Encoder, shared: Any, actions: bytes | None) -> bool | None:
    """Return what `of_objects` does, of actions that come as JSON."""
    sure = None if actions is None or encoder.dimension is not None else encoder.encode_sent(shared, actions)
    if sure is None or actions is None:
        return None
    try:
        decoded = msgspec.json.decode(actions, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return answer(lambda *_: sure, None, None) == answer(plainly(encoder), shared, decoded)


if __name__ == "__main__":
    sys.exit(main())
