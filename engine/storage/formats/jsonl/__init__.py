"""JSON lines: our own export, which people can read and `verify` can check, and plain tables of decisions.

An export begins with a header, {"onearm": 1, "problem": {...}, "experiment": {...}}, and goes on with one
event a line:

    {"kind": "decide", "seq": 1, "number": 0, "action": 2, "propensity": 0.25, "context": [0.5, -1.0]}
    {"kind": "learn", "seq": 2, "number": 0, "reward": 1.0}
    {"kind": "change", "seq": 3, "detail": "..."}
    {"kind": "given", "seq": 4, "number": 1, "action": 0, "propensity": 0.5}

A context with a row for each action is a list of those rows; one of named features a list of 1 + k lists, the shared
row first, of slot, value, slot, value ... A propensity of null is unknown; `available` lists the arms (of action sets:
the positions) that could be chosen, and is left out where all could. Where arms stream, an action is a list, [what,
slot, pulls], and a learn line has a `detail`, [pulls done, arm read]: `engine/actions.py`.

In the joined form (`joined_form.py`) what was learned of a decision stands in its line, and the header says so:

    {"kind": "decide", "seq": 1, "number": 0, "action": 2, "propensity": 0.25, "reward": 1.0, "learned": {"seq": 2}}

A plain table has one decision a line, {"action": 2, "reward": 1.0}, with propensity and context if they are known.

Lines are decoded some MB at a time, and one by one only where a block holds a bad one: 0.3 us a line instead of 1.
"""

from .reader import read, read_events, read_rows
from .writer import JoinedWriter, Writer

__all__ = ["JoinedWriter", "Writer", "read", "read_events", "read_rows"]
