"""Categories of arms, by which MIPS weighs: from a file, or from what a campaign of the Open Bandit Dataset tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from ...engine.errors import InvalidInput
from ...engine.storage.formats import obd
from ...engine.vocabulary import Array


def embedding_of(name: str, log: Path, form: str) -> Array:
    """Return the category of each arm, int64[k].

    `name` is a CSV file of two columns, arm (from 0) and category, or an item feature of the campaign `log`.
    """
    if Path(name).is_file():
        return _from_file(Path(name))
    if form == "obd":
        return obd.read_items(log, name)
    raise InvalidInput(
        "no_embedding", f"{name} is no file: --embedding takes a CSV file with the columns arm, category"
    )


def _from_file(path: Path) -> Array:
    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types={"arm": pa.int64()}))
        arms = table.column("arm").to_numpy()
        categories = table.column("category").combine_chunks().dictionary_encode().indices.to_numpy()
    except (pa.ArrowException, KeyError) as error:
        why = " ".join(str(error).split())
        raise InvalidInput("bad_embedding", f"{path} has no columns arm and category ({why}): give both") from None
    if sorted(arms.tolist()) != list(range(len(arms))):
        raise InvalidInput(
            "bad_embedding",
            f"{path} names the arms {sorted(arms.tolist())[:5]} ...: each from 0 on must be there once",
        )
    found = np.zeros(len(arms), np.int64)
    found[arms] = categories
    return found
