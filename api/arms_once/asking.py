"""Ask and tell for a stream of arms, and the run that does both over an iterator."""

from __future__ import annotations

import inspect
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...engine import snapshot
from ...engine.errors import Conflict, InvalidInput
from ...engine.estimate.chosen_arm import interval
from ...engine.problem import SLOTS_MAX, check_seed
from ...policies import catalog
from .. import saving
from ..kinds.streams.arm_queue import within
from . import bar
from .holding import Held, Holding, Record
from .planning import (
    RULE,
    Rule,
    budgeted,
    check_range,
    missed_about,
    plan,
    rule_policy,
    stream_problem,
)

Pull = Callable[[Any, int], tuple[float, int]]  # (arm, n) -> sum of the rewards, pulls done: at most n
OnEvict = Callable[[Any, Record, str], None]  # (arm, record, reason): "dropped", "replaced" or "over"

_END = object()


class Status(NamedTuple):
    """How far a stream is."""

    arms_seen: int
    arms: int | None  # K
    trials_used: int
    trials_left: int | None
    explored: int  # trials used on arms before the stream was over
    explored_share: float  # of the trials, or where these are unknown, of those used
    explored_projected: int | None  # trials, once all arms are seen at this pace
    king: Any  # the arm that the rule would commit to, None where there is none
    king_since: int  # arms seen when it became that
    record: Record | None  # of the king
    crownings: int  # how often the king changed, the first one counted
    regret: float  # so far, estimated: what the king's mean would have brought more
    held: int
    peak: int
    done: bool


class Commitment(NamedTuple):
    """What to commit to, and how sure that is."""

    arm: Any
    record: Record
    low: float  # of an interval of its mean: 95 %, for all arms seen and at all times at once
    high: float
    missed: float  # by about how much an arm that was seen can be better
    trials: int  # used so far
    status: Status


def run(
    stream: Iterable[Any],
    pull: Pull,
    *,
    trials: int | None = None,
    arms: int | None = None,
    budget: float | None = None,
    rule: Rule = RULE,
    slots: int = 1,
    seed: int = 0,
    reward_range: tuple[float, float] = (0.0, 1.0),
    on_evict: OnEvict | None = None,
    progress: bool = False,
) -> Commitment:
    """Read arms from an iterator one at a time, find a good one, and give it the trials that are left.

    `pull(arm, n)` returns the sum of the rewards of up to n pulls, and how many were done; 0 ends the run. Of a stream
    that is longer than `arms` the rest is left unread. What the other arguments mean, `Stream` says; to go on after an
    exception, or to save what was learned, make one and call its `run`.
    """
    asked = Stream(
        trials=trials,
        arms=arms,
        budget=budget,
        rule=rule,
        slots=slots,
        seed=seed,
        reward_range=reward_range,
        on_evict=on_evict,
    )
    return asked.run(stream, pull, progress=progress)


class Stream:
    """Arms that come once, of which at most `slots` are stored beside the one that came last.

    `trials` is how many pulls there are in all, `arms` how many arms will come; an order of magnitude is enough, and
    None says that nobody knows. Instead of the trials a `budget` of pulls that explore may be given, with the arms;
    with it, or without trials, the stream is done once the rule has chosen. `rule` is a policy: a name,
    name:{json params}, or {"name": ..., "params": {...}}. Each reward lies in `reward_range`.
    `on_evict(arm, record, reason)` is called for each arm that is let go: "dropped", where it came and was not stored,
    "replaced", where another was stored in its place, "over", where all is done and another was chosen. What it raises
    passes through; the arm is let go anyway, and the others that are let go with it are named.

    Not to be shared between threads. A call that is refused changes nothing.
    """

    def __init__(
        self,
        *,
        trials: int | None = None,
        arms: int | None = None,
        budget: float | None = None,
        rule: Rule = RULE,
        slots: int = 1,
        seed: int = 0,
        reward_range: tuple[float, float] = (0.0, 1.0),
        on_evict: OnEvict | None = None,
    ) -> None:
        if not (on_evict is None or callable(on_evict)):
            raise InvalidInput(
                "bad_on_evict", f"on_evict is {reprlib.repr(on_evict)}: it must be a function of arm, record and reason"
            )
        self.low, self.high = self._range = check_range(reward_range)
        self._problem = stream_problem(trials, arms, slots)
        self._budget = budget
        if budget is not None:
            if trials is not None or arms is None:
                raise InvalidInput("bad_budget", "a budget takes the place of the trials, and needs to know the arms")
            self._problem = stream_problem(budgeted(budget, arms), arms, slots)
        self._policy = rule_policy(rule, self.high - self.low, self._problem)
        self._seed = check_seed(seed)
        self._on_evict = on_evict
        self._holding = Holding(self._policy, self._problem, seed, self.low, spare=trials is None)
        self._holding.begin()
        self._running = False

    def __repr__(self) -> str:
        return f"Stream(rule={self._policy.name!r}, held={self.held}, done={self.done})"

    @property
    def ready(self) -> bool:
        """Whether the next arm can be offered."""
        holding = self._holding
        return holding.reading is not None and holding.slot < 0 and not holding.done

    @property
    def done(self) -> bool:
        """Whether all trials are made; where these are not given, whether the rule has chosen."""
        return self._holding.done

    @property
    def held(self) -> int:
        """How many arms are held now, the one that came last included."""
        return self._holding.held

    @property
    def peak(self) -> int:
        """How many arms were held at the most so far; never more than `slots` + 1."""
        return self._holding.peak

    @property
    def slots(self) -> int:
        """How many arms can be stored."""
        return len(self._holding.places) - 1

    @property
    def handles(self) -> dict[int, Any]:
        """The arms that are held, by their numbers in the stream."""
        return {held.number: held.arm for held in self._holding.places if held is not None}

    def offer(self, arm: Any) -> None:
        """Let the next arm come; only when `ready`."""
        self._check_not_running()
        if not self.ready:
            raise Conflict("not_ready", self._why_not_ready())
        self._holding.arrive(arm)
        self._tell_of_leaving()

    def ask(self) -> tuple[Any, int]:
        """Return which arm to pull and how often. Asking again gives the same answer, until something was told.

        While the next arm is awaited, this is the best one so far.
        """
        self._check_not_running()
        holding = self._holding
        if self.ready:
            holding.meanwhile()
        if holding.slot < 0:
            raise Conflict("nothing_to_pull", self._why_nothing())
        return self._asked().arm, holding.pulls

    def tell(self, arm: Any, total: float, n: int) -> None:
        """Tell the sum of the rewards of the n pulls that were done, at most as many as `ask` said.

        Telling 0 pulls takes the question back.
        """
        self._check_not_running()
        if self._holding.slot < 0:
            raise Conflict("not_asked", f"nothing was asked about {reprlib.repr(arm)}: ask which arm to pull first")
        asked = self._asked()
        if not _same(arm, asked.arm):
            there = any(_same(arm, held) for held in self.handles.values())
            why = "something else was asked" if there else "it is not held: it was let go, or never came"
            raise Conflict(
                "not_asked",
                f"{reprlib.repr(arm)} was pulled, but {why}; tell about {reprlib.repr(asked.arm)}, "
                f"up to {self._holding.pulls} pulls",
            )
        self._learn(total, n)
        self._tell_of_leaving()

    def close(self) -> None:
        """Say that no more arms will come. The one that came last is judged nevertheless."""
        self._check_not_running()
        self._close()

    def run(self, stream: Iterable[Any], pull: Pull, progress: bool = False) -> Commitment:
        """Go on with the arms of `stream`, pulling with `pull`, until it is done; as the function `run` does.

        What these raise passes through, and nothing is lost: commit, or run again. A pull that failed is made again.
        What they call cannot change the stream meanwhile.
        """
        self._check_not_running()
        if not callable(pull):
            raise InvalidInput("bad_pull", f"pull is {reprlib.repr(pull)}: it must be a function of arm and n")
        try:
            arms = iter(stream)
        except TypeError as error:
            raise InvalidInput(
                "bad_stream", f"stream is {reprlib.repr(stream)}: it must be arms to iterate over, as a list"
            ) from error
        holding, self._running = self._holding, True
        try:
            with bar.shown(progress, self._problem.n_arms or None) as came:
                while not holding.done:
                    if holding.slot >= 0:
                        if not self._pull(pull):
                            break
                    elif (arm := next(arms, _END)) is _END:
                        self._close()
                    else:
                        holding.arrive(arm)
                        if holding.leaving:
                            self._tell_of_leaving()
                        came()
                    arm = None  # no handle is kept beside those that are held
        finally:
            self._running = False
        return self.commit()

    def commit(self) -> Commitment:
        """Say which arm to commit to now, and how sure that is. Reads only: it may be asked at any time."""
        held = self._holding.chosen()
        if held is None:
            raise Conflict("nothing_held", "no arm has come yet, so there is nothing to commit to: offer one")
        status, record = self.status(), held.record
        low, high = interval(held.total, held.pulls, self._holding.read, self._range)
        return Commitment(held.arm, record, low, high, self._missed(held), status.trials_used, status)

    def status(self) -> Status:
        """Say how far it is, in O(slots)."""
        holding, problem = self._holding, self._problem
        king, made, seen = holding.chosen(), holding.made, holding.read
        _, king_since, crownings = holding.reign()
        trials = problem.horizon if self._budget is None else None
        projected = None
        if problem.n_arms and seen:
            projected = min(round(holding.explored / seen * problem.n_arms), holding.trials)
        record = None if king is None else king.record
        return Status(
            arms_seen=seen,
            arms=problem.n_arms or None,
            trials_used=made,
            trials_left=None if trials is None else trials - made,
            explored=holding.explored,
            explored_share=holding.explored / max(trials or made, 1),
            explored_projected=projected,
            king=None if king is None else king.arm,
            king_since=king_since,
            record=record,
            crownings=crownings,
            regret=record.mean * made - holding.earned if record is not None and record.pulls else 0.0,
            held=holding.held,
            peak=holding.peak,
            done=holding.done,
        )

    def digest(self) -> str:
        """Return the digest of the rule's state."""
        return snapshot.digest(self._holding.state)

    def save(self) -> bytes:
        """Return all that was learned as bytes; the handles of the arms are yours to keep (`handles`).

        What was asked and not told is not saved: it is taken back, ask again.
        """
        problem = self._problem
        head = {
            "trials": problem.horizon if self._budget is None else None,
            "arms": problem.n_arms or None,
            "budget": self._budget,
            "rule": self._policy.spec,
            "version": self._policy.version,
            "slots": self.slots,
            "seed": str(self._seed),
            "reward_range": [self.low, self.high],
            "holding": self._holding.to_json(),
        }
        return saving.pack("stream", head, snapshot.pack(self._holding.state))

    @classmethod
    def load(cls, data: bytes, handles: Mapping[int, Any], on_evict: OnEvict | None = None) -> Stream:
        """Return a stream as it was saved: it goes on bit for bit. `handles` are its arms by their numbers."""
        head, state = saving.unpack("stream", data)
        names = ("trials", "arms", "budget", "slots", "reward_range")
        saved = {name: head[name] for name in names} | {"rule": catalog.completed(head["rule"])}
        loaded = cls(**saved, seed=int(head["seed"]), on_evict=on_evict)
        if head["version"] != loaded._policy.version:
            raise Conflict(
                "other_version",
                f"this was saved by version {head['version']} of {loaded._policy.name!r}, and it is version "
                f"{loaded._policy.version} now: go on with the onearm that saved it",
            )
        body = head["holding"]
        numbers = [held[0] for held in body["places"] if held is not None]
        if missing := [number for number in numbers if number not in handles]:
            raise InvalidInput("bad_handles", f"the arms {missing} are missing: give the handles of arms {numbers}")
        holding = Holding(loaded._policy, loaded._problem, loaded._seed, loaded.low, spare=head["trials"] is None)
        snapshot.unpack([state], holding.state)
        holding.restore(body, dict(handles))
        loaded._holding = holding
        loaded._tell_of_leaving()
        return loaded

    def _check_not_running(self) -> None:
        if self._running:
            raise Conflict(
                "running",
                "run is going on, and asks, tells and offers by itself: return the pulls done, or the next arm",
            )

    def _close(self) -> None:
        self._holding.end()
        self._tell_of_leaving()

    def _asked(self) -> Held:
        held = self._holding.places[self._holding.slot]
        assert held is not None
        return held

    def _pull(self, pull: Pull) -> bool:
        """Pull what is to be pulled; return whether any pull was done."""
        holding = self._holding
        # What is to be pulled is held. This runs once a batch, so `_asked`, which asserts it, is not called.
        answer = pull(holding.places[holding.slot].arm, holding.pulls)  # type: ignore[union-attr]
        try:
            total, n = answer
        except (TypeError, ValueError):
            raise _no_pulls(answer) from None
        self._learn(total, n)
        if holding.leaving:
            self._tell_of_leaving()
        return n > 0

    def _learn(self, total: float, n: int) -> None:
        """Check what was pulled, and learn it."""
        asked = self._holding.pulls
        if type(n) is not int:
            n = _count(n)
        if not 0 <= n <= asked:
            raise InvalidInput("bad_pulls", f"{n} pulls were done: it must be 0 to {asked}, as many as were asked")
        if type(total) is not float:
            total = _sum(total)
        if not (self.low * n <= total <= self.high * n or within(total, n, self._range)):  # a call takes 0.2 us
            raise InvalidInput(
                "bad_reward",
                f"{n} rewards add up to {total:g}: each lies in [{self.low:g}, {self.high:g}], so it must be "
                f"{self.low * n:g} to {self.high * n:g}; check the sum, or give another reward_range",
            )
        if n > 0:
            self._holding.learn(total, n)
        else:
            self._holding.take_back()

    def _tell_of_leaving(self) -> None:
        """Name the arms that were let go."""
        leaving, tell = self._holding.leaving, self._on_evict
        if tell is None:
            leaving.clear()
            return
        if leaving:
            held, reason = leaving.pop(0)
            try:
                tell(held.arm, held.record, reason)
            finally:
                self._tell_of_leaving()

    def _missed(self, kept: Held) -> float:
        """Return by about how much an arm that was seen can be better than the one that is kept.

        Where the arms or the trials are unknown, as many count as there were so far; and where the kept arm could not
        be pulled as often as planned, its own pulls.
        """
        seen, pulls = self._holding.read, float(kept.pulls)
        if pulls > 0 and seen > 1:
            trials, arms = self._problem.horizon or self._holding.made, self._problem.n_arms or seen
            planned = plan(trials, arms, self._policy.spec, slots=SLOTS_MAX, reward_range=self._range)
            pulls = min(pulls, planned.pulls)
        return missed_about(seen, pulls, self.high - self.low)

    def _why_not_ready(self) -> str:
        holding = self._holding
        if holding.done:
            return "all is done: no more arms are taken"
        if holding.ended or holding.over:
            return "the stream is over: no more arms are taken"
        asked = self._asked()
        return (
            f"the next arm cannot come yet: {reprlib.repr(asked.arm)} is to be pulled {holding.pulls} times; "
            "ask, and tell what was done"
        )

    def _why_nothing(self) -> str:
        if self._holding.done:
            return "all is done: commit says which arm was chosen"
        return "no arm is held: offer one"


def _no_pulls(answer: Any) -> InvalidInput:
    """Return the error of a pull that returned something else."""
    advice = ""
    if inspect.iscoroutine(answer):
        answer.close()
        advice = "; where rewards come later, ask what to pull and tell what it gave"
    return InvalidInput(
        "bad_pull",
        f"pull returned {reprlib.repr(answer)}: it must return the sum of rewards, and pulls done{advice}",
    )


def _same(arm: Any, other: Any) -> bool:
    """Tell whether two handles are the same: one object, or equal texts or numbers."""
    return arm is other or (isinstance(arm, (str, int)) and isinstance(other, (str, int)) and arm == other)


def _count(n: Any) -> int:
    if isinstance(n, np.integer):
        return int(n)
    raise InvalidInput("bad_pulls", f"the pulls done are {reprlib.repr(n)}: it must be a whole number")


def _sum(total: Any) -> float:
    if isinstance(total, (int, np.integer, np.floating)) and not isinstance(total, bool):
        try:
            return float(total)
        except OverflowError:
            return math.inf
    raise InvalidInput("bad_reward", f"the sum of rewards is {reprlib.repr(total)}: it must be a number")
