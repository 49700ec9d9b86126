"""Many tuners of the same settings, each for systems of its own kind: by field, tolerance and sparsity pattern.

>>> import numpy as np
>>> tuners = Tuners("ucb1", seed=1)
>>> A = np.array([[4.0, -1.0], [-1.0, 4.0]])
>>> tuners["pressure", 1e-8, A] is tuners["pressure", 1e-8, 2 * A]
True
>>> tuners["pressure", 1e-8, A] is tuners["velocity", 1e-8, A], len(tuners)
(False, 2)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.vocabulary import Array
from .. import saving
from .matrices import Matrix
from .settings import Settings, settings_of
from .tuning import Tuner

_LENGTH = 8  # bytes of a length, little-endian


class PatternKey(NamedTuple):
    """The sparsity pattern of a matrix, as a key."""

    digest: str


class Tuners(Mapping[Any, Tuner]):
    """Tuners by key, made when they are first asked for. All have the settings given here, as `Tuner` takes them.

    A key is a text, a number, a matrix, or a tuple of these; of a matrix only its sparsity pattern counts, whatever its
    format. Each tuner has a seed that follows from its key and `seed`, so the order in which they are made does not
    matter.
    """

    def __init__(self, policy: Any = "tsallis", **settings: Any) -> None:
        self.settings = settings_of(policy, **settings)
        self._tuners: dict[str, Tuner] = {}

    def __getitem__(self, key: Any) -> Tuner:
        text = _key_of(key)
        if text not in self._tuners:
            self._tuners[text] = Tuner.from_settings(self._settings_of(text))
        return self._tuners[text]

    def __contains__(self, key: object) -> bool:
        try:
            return _key_of(key) in self._tuners
        except InvalidInput:  # what can be no key
            return False

    def __iter__(self) -> Iterator[Any]:
        """Go over the keys; a matrix is a `PatternKey` there, which is a key as well."""
        return iter([_key_from(text) for text in self._tuners])

    def __len__(self) -> int:
        return len(self._tuners)

    def __repr__(self) -> str:
        return f"Tuners(policy={self.settings.policy.name!r}, keys={len(self)})"

    def save(self) -> bytes:
        """Return all tuners as bytes."""
        saved = {text: tuner.save() for text, tuner in self._tuners.items()}
        head = {"settings": self.settings.to_json(), "sizes": {text: len(data) for text, data in saved.items()}}
        return saving.pack("tuners", head, b"".join(saved.values()))

    @classmethod
    def load(cls, data: bytes) -> Tuners:
        """Return the tuners as they were saved: each goes on bit for bit. Load only bytes that you trust."""
        head, body = saving.unpack("tuners", data)
        loaded = cls.__new__(cls)
        loaded.settings = Settings.from_json(head.get("settings"))
        loaded._tuners = {}
        for text, size in saving.checked_table("sizes", head.get("sizes")).items():
            stop = saving.checked_whole("a size", size, high=len(body))
            tuner, body = Tuner.load(body[:stop]), body[stop:]
            if not _is_key(text) or tuner.settings.to_json() != loaded._settings_of(text).to_json():
                raise saving.unsaved("a tuner", f"one of other settings, or of no key ({text[:40]})")
            loaded._tuners[text] = tuner
        if body:
            raise saving.unsaved("the rest", f"{len(body)} bytes of no tuner")
        return loaded

    def __reduce__(self) -> tuple[Callable[[bytes], Tuners], tuple[bytes]]:
        """Say that copies and pickles are made of what `save` returns."""
        return type(self).load, (self.save(),)

    def _settings_of(self, text: str) -> Settings:
        """Return the settings of the tuner of a key."""
        return self.settings._replace(seed=self._seed_of(text))

    def _seed_of(self, text: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.settings.seed}\n{text}".encode()).digest()[:_LENGTH], "little")


def pattern_of(A: Any) -> PatternKey:
    """Return the digest of where a matrix has entries: stored ones of a sparse matrix, of a dense one those not 0.

    O(nnz): about a millisecond for 1e5 entries, most of it where they are not sorted.
    """
    shape, places = _places(A)
    digest = hashlib.blake2b(f"{shape[0]} {shape[1]}\n".encode(), digest_size=16)
    if len(places) and not (places[1:] > places[:-1]).all():
        places = np.unique(places)
    digest.update(places.astype("<i8", copy=False).tobytes())
    return PatternKey(digest.hexdigest())


def _places(A: Any) -> tuple[tuple[int, int], Array]:
    """Return the shape of a matrix, and row * columns + column of each entry, int64[m]."""
    if isinstance(A, Matrix):
        return (A.n, A.n), _places_of_prepared(A)
    if hasattr(A, "tocsr"):
        A = A.tocsr()
    if hasattr(A, "indptr"):
        rows, columns = (int(length) for length in A.shape)
        row = np.repeat(np.arange(rows), np.diff(A.indptr))
        return (rows, columns), row * columns + np.asarray(A.indices, np.int64)
    dense = np.asarray(A)
    return (len(dense), dense.shape[1]), np.flatnonzero(dense)


def _places_of_prepared(matrix: Matrix) -> Array:
    entries = matrix.rows if matrix.half is None else matrix.half
    assert entries is not None
    row = np.repeat(np.arange(matrix.n), np.diff(entries.start))
    column, diagonal = entries.index.astype(np.int64), np.arange(matrix.n) * (matrix.n + 1)
    image = column[:0] if matrix.half is None else column * matrix.n + row
    return np.sort(np.concatenate((row * matrix.n + column, image, diagonal)))


def _key_of(key: Any) -> str:
    """Return a key as a text, the same in every process."""
    return json.dumps([_part_of(part) for part in (key if type(key) is tuple else (key,))])


def _part_of(part: Any) -> Any:
    if isinstance(part, np.generic):
        part = part.item()
    if isinstance(part, PatternKey):
        return {"pattern": part.digest}
    if part is None or isinstance(part, str):
        return part
    if isinstance(part, (int, float)) and not isinstance(part, bool):
        return float(part)
    if isinstance(part, Matrix) or hasattr(part, "tocsr") or hasattr(part, "indptr") or np.ndim(part) == 2:
        return {"pattern": pattern_of(part).digest}
    raise InvalidInput(
        "bad_key", f"a key of {type(part).__name__}: it must be a text, a number, a matrix, or a tuple of these"
    )


def _key_from(text: str) -> Any:
    parts = [PatternKey(part["pattern"]) if isinstance(part, dict) else part for part in json.loads(text)]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _is_key(text: str) -> bool:
    """Tell whether a text is what `_key_of` returns."""
    try:
        return _key_of(_key_from(text)) == text
    except (InvalidInput, LookupError, TypeError, ValueError):
        return False
