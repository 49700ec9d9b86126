"""Contextual bandit logs in Vowpal Wabbit's text format, of action sets (`--cb_adf`) or of numbered arms (`--cb`).

Of action sets an event is a run of lines, with an empty line behind it: the features that its actions share, where
there are any, then those of each action. The label, action:cost:probability, stands on the line of the action taken,
and its first number is not looked at:

    shared |user age:31
    |item id=a
    0:-1.0:0.85 |item id=b

Of numbered arms an event is a line; the arms count from 1. Other arms before the bar are those that could be chosen:

    2:-1.0:0.85 |user age:31
    1 2:-1.0:0.85 5 |user age:31

Which of the two it is, the first lines tell. The reward is minus the cost. Tags are read as ids: that of the shared
line, or of the line of numbered arms, is the decision's, that of an action's line the action's. A feature is known as
in JSON logs: `age` of the namespace `user` is the same in both; names that begin with an underscore are left out.
Contexts of numbered arms are rows of numbers, hashed to `DIMENSION` columns where no other dimension is wanted.

Left out, counted and named are events without a label (or with two), and those with numbers that are none.

Source: the wiki of vowpal_wabbit, "Contextual Bandit algorithms", and cb_label_parser.cc of version 9.
"""

from .events import read_events
from .reader import read_rows
from .writer import Writer

__all__ = ["Writer", "read_events", "read_rows"]
