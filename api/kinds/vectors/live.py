"""One live experiment whose decisions are vectors: the log holds the point as bytes and its feedback as a list."""

from __future__ import annotations

import numpy as np

from ....engine.errors import Damaged, InvalidInput
from ....engine.limits import limits_of
from ....engine.storage.store import Event
from ....engine.vocabulary import DECIDE, Array, Certificate, Feedback, Instance, Key
from ...experiment.compiling import compile_certificate
from ...service.live import Asked, Live, Recovered, Story
from .feedback import detail_of


class LiveVector(Live):
    """Decisions in a domain, at work."""

    def recover(self) -> Recovered:
        """Fold the log from the newest good snapshot on, and compile the kernels. Runs in a worker thread."""
        recovered = super().recover()
        self._certify = compile_certificate(self.spec)
        self._limits = limits_of(self.problem)
        return recovered

    def decide(self, asked: Asked, now: int) -> Story:
        """Decide a point and queue the event."""
        self._check_open()
        instance = Instance(self.number, asked.context, asked.available)
        decision = self._select(self._params, self._state, instance, Key(self._run, self.number))
        self._limits.check_decided(self.spec.policy.name, decision.action, self.number)
        story = self._enter(DECIDE, asked, decision, None, now)
        self._snapshot_if_due()
        return story

    def learn_feedback(self, story: Story, point: Array, feedback: Feedback, reward_id: str, now: int) -> None:
        """Learn what a point revealed, and queue the event; the caller checked it, and waited for a `still` state."""
        self._check_open()
        assert story.reward is None
        self._apply(story.event, point, feedback)
        story.reward = self._learned(story.event, feedback.reward, detail_of(feedback), reward_id, now)
        story.rewarded = self._queue(story.reward)
        self._snapshot_if_due()

    def point(self, event: Event) -> Array:
        """Return what a DECIDE event decided, float64[d]; two points one behind the other."""
        vector = event.vector or b""
        if len(vector) != 8 * self.problem.dimension:
            raise Damaged(
                "bad_action",
                f"the log holds a point of {len(vector)} bytes at decision {event.number}: restore it from a backup",
            )
        return np.frombuffer(vector, "<f8").astype(np.float64)

    def mask(self, event: Event) -> Array:
        """Return bool[1]: a vector can always be decided."""
        return np.ones(1, np.bool_)

    @property
    def certificate(self) -> Certificate:
        """What the policy proves of what it learned; NaN where it proves nothing."""
        self.check_usable()
        return Certificate(*map(float, self._certify(self._params, self._state)))

    def _check_fixed_arms(self) -> None:
        raise InvalidInput("no_arms", f"the experiment {self.spec.id!r} decides vectors: it has no arms; decide points")
