"""Parquet: our own export in columns, with schema and units in the metadata, and plain tables of decisions.

An export has a row for each event, in the order of the log, and the header of a JSON lines export in its
metadata. On learn rows action and propensity are repeated from the decision; context and mask are null there. A context
with a row for each action is a list of those rows; one of named features the lists `start`, `index` and `value` of
`Features`, with `start` from 0. Masks are then as long as the set of actions.
In the joined form a row of a decision holds what was learned of it too: `joined_form.py`.
A plain table has the columns action and reward, and propensity and context (a list of numbers) if they are
known.
"""

from .blanking import blanked, tells
from .file import header_of
from .reader import read, read_events, read_rows
from .writer import JoinedWriter, Writer

__all__ = ["JoinedWriter", "Writer", "blanked", "header_of", "read", "read_events", "read_rows", "tells"]
