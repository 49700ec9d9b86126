"""An experiment of the service: what holds for all kinds of decisions."""

from __future__ import annotations

from typing import Any

from ....engine.errors import InvalidInput, NotFound, as_seen
from ...experiment.lineup_schemas import LearnFrom, Role
from ...experiment.report_schemas import Report
from ...http.correction_schemas import RolledBack
from ...http.curve_schemas import Curve
from ...http.lineup_schemas import Former, Lineup, PolicyStatus, RetiredPolicy
from ...http.schemas import ArmStatus, DecisionRecord, Deleted, Diagnostics, Experiment, Rewarded
from ..bodies import given
from ..decided import Choice, Pull
from ..reward_queue import RewardQueue
from .connection import Connection, decision_path, in_path, path_of

Named = Choice[Any] | str  # a decision, or its id


class Remote:
    """One experiment. `client.experiment(name)` and its like make it; nothing is asked before the first call."""

    def __init__(
        self, connection: Connection, name: str, queue: RewardQueue | None, batch_s: float | None, away_s: float
    ) -> None:
        self.name = name
        self._connection = connection
        self._queue = queue
        self._batch_s = batch_s  # how long calls are gathered; None: each goes by itself
        self._away_s = away_s  # after how long a fallback is taken
        self._path = path_of(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, at={self._connection.base_url!r})"

    def about(self) -> Experiment:
        """Return the experiment as it was created, its counters, and the digest of its state."""
        return self._connection.ask("GET", self._path, Experiment)

    def digest(self) -> str:
        """Return the digest of the state."""
        return (self.about()).digest or ""

    def diagnostics(self) -> Diagnostics:
        """Return how the experiment is: shares, sizes, changes of the world, certificates."""
        return self._connection.ask("GET", f"{self._path}/diagnostics", Diagnostics)

    def report(self, segments: int | None = None) -> Report:
        """Return the results; `onearm.client.as_frame` makes a DataFrame of them."""
        return self._connection.ask("GET", f"{self._path}/report", Report, query=given(segments=segments))

    def curve(self, by: str = "day", before: str | None = None, limit: int | None = None) -> Curve:
        """Return what was decided in each "hour" or "day", and what came of it."""
        query = given(by=by, before=before, limit=limit)
        return self._connection.ask("GET", f"{self._path}/curve", Curve, query=query)

    def record(self, decision: Named) -> DecisionRecord:
        """Return all that is on record of a decision."""
        return self._connection.ask("GET", self._of(decision), DecisionRecord)

    def correct(self, decision: Named, value: float) -> None:
        """Say what the reward of a decision should have been, which was learned."""
        self._connection.ask("PUT", f"{self._of(decision)}/reward", Rewarded, {"value": value})

    def retract(self, decision: Named) -> None:
        """Say that the reward of a decision should not have been learned."""
        self._connection.ask("DELETE", f"{self._of(decision)}/reward", Rewarded)

    def retire_arm(self, arm_id: str) -> ArmStatus:
        """Let an arm be chosen no more, until it is added again, or close a query for good."""
        return self._connection.ask("POST", f"{self._path}/arms/{in_path('arm_id', arm_id)}:retire", ArmStatus)

    def policies(self) -> Lineup:
        """Return the policies that play a part, and what each is worth."""
        return self._connection.ask("GET", f"{self._path}/policies", Lineup)

    def add_policy(
        self,
        policy: str | dict[str, Any],
        role: Role = "shadow",
        share: float | None = None,
        *,
        start: Any = None,
        guard: dict[str, Any] | None = None,
        learn_from: LearnFrom | None = None,
    ) -> PolicyStatus:
        """Let another policy join: as a shadow that learns, or with a share of the decisions."""
        body = given(policy=policy, role=role, share=share, start=start, guard=guard, learn_from=learn_from)
        return self._connection.ask("POST", f"{self._path}/policies", PolicyStatus, body)

    def assign(
        self, policy: int, role: Role, share: float | None = None, *, guard: dict[str, Any] | None = None
    ) -> PolicyStatus:
        """Give a policy, by its number, another part or another share."""
        body = given(role=role, share=share, guard=guard)
        return self._connection.ask("POST", f"{self._path}/policies/{policy}:assign", PolicyStatus, body)

    def promote(self, policy: int, former: Former = "shadow", share: float | None = None) -> PolicyStatus:
        """Let a policy be live from now on; `former` is what whoever was live does then."""
        body = given(former=former, share=share)
        return self._connection.ask("POST", f"{self._path}/policies/{policy}:promote", PolicyStatus, body)

    def retire_policy(self, policy: int) -> RetiredPolicy:
        """Let a policy play no part any more."""
        return self._connection.ask("POST", f"{self._path}/policies/{policy}:retire", RetiredPolicy)

    def rollback(self, to: int | str) -> RolledBack:
        """Set policies back to what they knew after an event, by its seq, or before a time. Sent once."""
        path = f"{self._path}/policies:rollback"
        return self._connection.ask("POST", path, RolledBack, {"to": to}, once=True)

    def archive(self) -> Experiment:
        """Let no more be decided or rewarded; all can be read yet."""
        return self._connection.ask("POST", f"{self._path}:archive", Experiment)

    def restore(self) -> Experiment:
        """Let an archived experiment go on."""
        return self._connection.ask("POST", f"{self._path}:restore", Experiment)

    def delete(self) -> None:
        """Delete the experiment for good; one that is not there, or not any more, is no error."""
        try:
            self._connection.ask("DELETE", self._path, Deleted, query={"confirm": self.name})
        except NotFound as error:
            if error.code != "unknown_experiment":
                raise

    def _of(self, decision: Named) -> str:
        """Return the path of a decision."""
        return decision_path(self._path, name_of(decision))


def name_of(decision: Named | Pull) -> str:
    """Return the id of a decision."""
    name = decision if isinstance(decision, str) else getattr(decision, "decision_id", None)
    if not isinstance(name, str):
        raise InvalidInput(
            "bad_decision", f"the decision is {as_seen(decision)}: give what was returned for it, or its decision_id"
        )
    return name
