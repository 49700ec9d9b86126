"""One live experiment that asks queries within a budget, and recommends a hypothesis in the end.

Queries are the arms of its roster, and the log holds answers as details. Deciding changes the state, since a policy
takes note of what it asks: so it waits, as learning does, until no other thread reads the state.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from ....engine.errors import Conflict, InvalidInput
from ....engine.storage.store import Event
from ....engine.vocabulary import Feedback, Key
from ...experiment.compiling import compile_recommendation
from ...service.history import Concluded
from ...service.live import Asked, Live, Recovered, Story
from ..vectors.feedback import detail_of
from .recommendation import RecommendedHypothesis, recommended

_numbers = msgspec.json.Decoder(tuple[float])


class LiveQuery(Live):
    """A task of active learning, at work."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._concluded: Concluded | None = None

    def recover(self) -> Recovered:
        """Fold the log from the newest good snapshot on, and compile the kernels. Runs in a worker thread."""
        recovered = super().recover()
        self._recommend = compile_recommendation(self.spec)
        return recovered

    def open(self, recovered: Recovered) -> None:
        """Take up work with what was recovered."""
        super().open(recovered)
        self._concluded = recovered.history.concluded

    @property
    def budget(self) -> int:
        """How many queries can be asked."""
        assert self.spec.problem.horizon is not None
        return self.spec.problem.horizon

    def decide(self, asked: Asked, now: int) -> Story:
        """Choose a query and queue the event; the caller waited until the state was `still`."""
        self._check_open()
        self._check_budget()
        assert not self.held, "the state changes while another thread reads it"
        return super().decide(asked, now)

    def _check_budget(self) -> None:
        if self._concluded is not None:
            raise Conflict(
                "committed",
                f"the experiment {self.spec.id!r} is committed to {self._concluded.answer.hypothesis_id!r}: it asks no "
                "more; create another",
            )
        if self.number >= self.budget:
            raise Conflict(
                "budget_spent",
                f"{self.number} queries are asked of {self.budget} (problem.horizon): send the answers that are "
                "missing, and read .../recommendation",
            )

    def learn_answer(self, story: Story, answer: float, reward_id: str, now: int) -> None:
        """Learn the answer to a query and queue the event; the caller checked it, and waited for a `still` state."""
        self._check_open()
        decided = story.event
        assert story.reward is None and decided.action is not None
        feedback = Feedback(0.0, np.array([answer]))
        self._apply(decided, decided.action, feedback)
        story.reward = self._learned(decided, 0.0, detail_of(feedback), reward_id, now)
        story.rewarded = self._queue(story.reward)
        self._snapshot_if_due()

    def recommendation(self) -> RecommendedHypothesis:
        """Return what `commit` would commit to now, or has. Only reads."""
        self.check_usable()
        if self._concluded is not None:
            return self._concluded.answer
        hypothesis = int(self._recommend(self._params, self._state, Key(self._run, self.number)))
        closed = len(self.roster.retired)
        return recommended(self.spec, hypothesis, asked=self.number, answered=self.rewards, closed=closed)

    async def commit(self, now: int) -> RecommendedHypothesis:
        """Ask no more, and keep to what is recommended now; asked again, the first answer."""
        self.check_usable()
        if self._concluded is None:
            self._check_open()
            self._concluded = Concluded(msgspec.structs.replace(self.recommendation(), committed=True))
            self._change(self._concluded, now)
        answer = self._concluded.answer
        await self._changed()
        return answer

    async def add_arm(self, arm: dict[str, Any], now: int) -> bool:
        """Refuse it: the hypotheses say what there is to ask."""
        self.check_usable()
        raise InvalidInput(
            "queries_are_fixed",
            f"the queries of the experiment {self.spec.id!r} are those of its task: none can join; create another",
        )

    async def retire_arm(self, label: str, now: int) -> None:
        """Never ask a query again; once it is closed this changes nothing."""
        self.check_usable()
        last = self.roster.active.sum() == 1 and label in self.roster.numbers and label not in self.roster.retired
        if last and not self.archived:
            raise Conflict("last_arm", f"the query {label!r} is the last open one: commit, or archive, instead")
        await super().retire_arm(label, now)


def answer_of(event: Event) -> float:
    """Return the answer that a LEARN event holds; NaN where it holds none."""
    return _numbers.decode(event.detail)[0] if event.detail else math.nan
