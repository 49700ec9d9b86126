"""Contextual bandit logs of Vowpal Wabbit and Azure Personalizer: "dsjson", a JSON object a line.

    {"_label_cost": -1.0, "_label_probability": 0.85, "_labelIndex": 0, "a": [1, 2], "p": [0.85, 0.15],
     "c": {"user": {"age": 31}, "_multi": [{"i": {"id": "a"}}, {"i": {"id": "b"}}]}}

The action is `_labelIndex`, from 0, or `_label_Action`, from 1: a position in `_multi`, whatever `a` counts from. The
rest of `c` is the shared context; keys that begin with an underscore are no features. Upper and lower case of the names
of labels do not matter.

The reward is minus `_original_label_cost`, the cost that was observed, where a line has it, and minus `_label_cost`
else. The two differ in apprentice mode, where the label says whether the action is that of the baseline: that is for
learning, and says nothing of what an action is worth. A line without a cost is a decision without a reward; one whose
list of outcomes, `o`, has no value has the reward that the joiner takes for the default, and is counted in
`Rows.unobserved`.

Where events were dropped before they were logged, `pdrop` of them, each that is left stands for 1 / (1 - pdrop). This
matters only where shares differ: the propensity is then multiplied by (1 - pdrop) and by the mean of 1 / (1 - pdrop),
so that mean weights stay 1 and estimates are means over all events, those dropped included.

Left out, counted and named are lines that are no JSON object (checkpoints among them), rewards without a decision,
decisions that were never activated (`_skipLearn`), and those that are no contextual bandit's: with slots
(`slots.py` reads them), of a continuous action, without a label.

Source: the reader of vowpal_wabbit 9, parse_example_json.cc, and the logs that come with it.
"""

from .events import read_events
from .reader import read, read_rows
from .writer import Writer

__all__ = ["Writer", "read", "read_events", "read_rows"]
