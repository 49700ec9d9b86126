"""Streams of arms for people: a long row of candidates that come once each, of which a few can be kept.

The rules are policies (`onearm policies`), and run in the same compiled loop as everywhere else. The shortest way is
`run`: it reads an iterator, one arm at a time, and pulls an arm n times with `pull(arm, n)`, which returns the sum of
the rewards and how many pulls were done. Here three headlines have click rates that we know:

>>> from onearm.api import arms_once as stream
>>> rates = {"plain": 0.2, "witty": 0.7, "short": 0.4}
>>> def show(headline, n):
...     return rates[headline] * n, n
>>> found = stream.run(["plain", "witty", "short"], show, trials=10_000, arms=3)
>>> found.arm, round(found.record.mean, 3), found.status.trials_used
('witty', 0.7, 10000)

One headline is stored at a time, beside the one that just came; who is let go is named, so that it can be unloaded:

>>> def unload(headline, record, reason):
...     print(f"{headline} was {reason} after {record.pulls} pulls")
>>> found = stream.run(rates, show, trials=10_000, arms=3, on_evict=unload)
plain was replaced after 893 pulls
short was dropped after 8 pulls

Where rewards come later, or from elsewhere, ask what to pull and tell what it gave:

>>> headlines = stream.Stream(trials=10_000, arms=3)
>>> headlines.offer("plain")
>>> arm, n = headlines.ask()
>>> arm, n
('plain', 893)
>>> headlines.tell("plain", total=160.0, n=893)
>>> headlines.ready
True
>>> headlines.offer("witty")
>>> headlines.commit().arm
'plain'

Before a run, `plan` says what it takes, and whether it can pay:

>>> stream.plan(trials=10_000, arms=5_000).warnings
()
>>> stream.plan(trials=1_000, arms=5_000).warnings
('there are fewer trials than arms: 4000 arms cannot be pulled once; allow more trials, or choose among fewer arms',)

"""

from .asking import Commitment, Status, Stream, run
from .holding import Record
from .planning import Plan, plan

__all__ = ["Commitment", "Plan", "Record", "Status", "Stream", "plan", "run"]
