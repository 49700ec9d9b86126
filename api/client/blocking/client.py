"""The client: experiments by their names, and what is asked of the service as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import httpx

from ...http.policy_schemas import ListedPolicy, Policies
from ...http.schemas import Experiment, Experiments, Health, Listed, Version
from ...opening import creation_body
from ..arguments import check_above_0, check_from_0, check_service
from ..bodies import given
from ..decided import ArmChoice
from ..reward_queue import MOST, RewardQueue
from ..sending import Sender
from .arms import Arms
from .connection import Connection
from .deciding import new_id
from .experiment import Remote
from .queries import Queries
from .streams import Stream

if TYPE_CHECKING:
    from .lists import Lists
    from .vectors import Vectors

Of = TypeVar("Of", bound=Remote)
PAGE = 1000  # experiments in one call


class Client:
    """A service. Not to be shared between processes; threads, or tasks of one loop, may share it.

    `base_url` may have a prefix. `key` is sent with every call. A request waits for `timeout` seconds, and a call is
    tried for `deadline` seconds, 0 for once: where the connection fails or the service cannot answer now. Each call
    carries its id, so that nothing is made or counted twice. With `batch_ms` decisions and rewards of an experiment
    are gathered for so long, and go in one call. `queue` is a file in which rewards wait until the service has them,
    also beyond a restart, at most `queue_max` of them. Where a call has a fallback, that is taken after `away_ms`.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        *,
        key: str | None = None,
        timeout: float = 10.0,
        deadline: float = 30.0,
        batch_ms: float | None = None,
        queue: str | Path | None = None,
        queue_max: int = MOST,
        away_ms: float = 1000.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        check_service(base_url, key)
        for name, above_0 in {"timeout": timeout, "away_ms": away_ms, "queue_max": queue_max}.items():
            check_above_0(name, above_0)
        for name, from_0 in {"deadline": deadline, "batch_ms": batch_ms or 0.0}.items():
            check_from_0(name, from_0)
        self._connection = Connection(base_url, key=key, timeout=timeout, deadline=deadline, transport=transport)
        self._how = None if batch_ms is None else batch_ms / 1000, away_ms / 1000
        self._known: dict[tuple[type[Remote], str], Any] = {}
        self.queue = None if queue is None else RewardQueue(Path(queue), base_url, queue_max)
        self._sender = None if self.queue is None else Sender(self.queue, base_url, key, timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Rewards that wait stay in the file of the queue, for the next client that opens it."""
        if self._sender is not None:
            self._sender.close()
        self._connection.close()

    def experiment(self, name: str) -> Arms:
        """Return an experiment that chooses arms, or actions of the call; nothing is asked yet."""
        return self._of(Arms, name)

    def lists(self, name: str) -> Lists:
        """Return an experiment that fills lists; nothing is asked yet."""
        from .lists import Lists

        return self._of(Lists, name)

    def vectors(self, name: str) -> Vectors:
        """Return an experiment that decides vectors; nothing is asked yet."""
        from .vectors import Vectors

        return self._of(Vectors, name)

    def queries(self, name: str) -> Queries:
        """Return an experiment that asks within a budget; nothing is asked yet."""
        return self._of(Queries, name)

    def stream(self, name: str) -> Stream:
        """Return an experiment whose arms come once; nothing is asked yet."""
        return self._of(Stream, name)

    def decide(
        self, experiment: str, context: Any = None, eligible: Iterable[str] | None = None, **how: Any
    ) -> ArmChoice[None]:
        """Choose an action; as `decide` of the experiment."""
        return self.experiment(experiment).decide(context, eligible, **how)

    def reward(self, experiment: str, decision_id: str, value: float, **how: Any) -> None:
        """Tell the reward of a decision by its id; as `learn` of the experiment."""
        self.experiment(experiment).learn(decision_id, value, **how)

    def create(self, experiment_id: str | None = None, **fields: Any) -> Experiment:
        """Create an experiment of the fields of docs/http.md: `arms`, `policy`, `problem`, `reward` and so on.

        The same again returns the one that is there. Without an id it gets one, so that it is made once.
        """
        body = {"experiment_id": experiment_id or new_id(), **fields}
        return self._connection.ask("POST", "/v1/experiments", Experiment, body)

    @overload
    def open(
        self,
        experiment: str,
        policy: str | dict[str, Any] | None = None,
        arms: Sequence[str | dict[str, Any]] | int | None = None,
        *,
        reward: dict[str, Any] | None = None,
        context: int | dict[str, Any] = 0,
        actions: int | dict[str, Any] | None = None,
        feedback: str | None = None,
        states: int | Sequence[str] | dict[str, int] | None = None,
        seed: int = 0,
        horizon: int | None = None,
        reward_range: tuple[float, float] | None = None,
        constraints: dict[str, Any] | None = None,
    ) -> Arms: ...

    @overload
    def open(
        self,
        experiment: str,
        policy: str | dict[str, Any] | None = None,
        arms: Sequence[str | dict[str, Any]] | int | None = None,
        *,
        slots: int | dict[str, Any],
        reward: dict[str, Any] | None = None,
        context: int | dict[str, Any] = 0,
        actions: int | dict[str, Any] | None = None,
        seed: int = 0,
        horizon: int | None = None,
        reward_range: tuple[float, float] | None = None,
    ) -> Lists: ...

    @overload
    def open(
        self,
        experiment: str,
        policy: str | dict[str, Any] | None = None,
        *,
        domain: Any,
        feedback: str | None = None,
        context: int | dict[str, Any] = 0,
        seed: int = 0,
        horizon: int | None = None,
    ) -> Vectors: ...

    @overload
    def open(
        self, experiment: str, policy: str | dict[str, Any] | None = None, *, task: Any, horizon: int, seed: int = 0
    ) -> Queries: ...

    @overload
    def open(
        self,
        experiment: str,
        policy: str | dict[str, Any] | None = None,
        *,
        stream: int | dict[str, Any],
        horizon: int | None = None,
        reward_range: tuple[float, float] | None = None,
        seed: int = 0,
    ) -> Stream: ...

    def open(
        self,
        experiment: str,
        policy: str | dict[str, Any] | None = None,
        arms: Any = None,
        **problem: Any,
    ) -> Any:
        """Create an experiment by the arguments of `onearm.open`, or take the one that is there, and return it."""
        body = creation_body(experiment, arms, **problem) | given(policy=None if policy == "default" else policy)
        made: dict[str, Callable[[str], Remote]] = {
            "arms": self.experiment,
            "lists": self.lists,
            "vector": self.vectors,
            "queries": self.queries,
            "arm_stream": self.stream,
        }
        self._connection.ask("POST", "/v1/experiments", Experiment, body)
        return made[body["problem"].get("kind", "arms")](experiment)

    def experiments(self) -> list[Listed]:
        """Return all experiments of the key's tenant, as the list tells them."""
        found: list[Listed] = []
        after: str | None = None
        while True:
            query = given(after=after, limit=PAGE)
            page = self._connection.ask("GET", "/v1/experiments", Experiments, query=query)
            found += page.experiments
            after = page.next
            if after is None:
                return found

    def policies(self) -> list[ListedPolicy]:
        """Return the policies that an experiment may have, with their params."""
        return (self._connection.ask("GET", "/v1/policies", Policies)).policies

    def ready(self) -> Health:
        """Return how the service is, once it answers that it is ready; raises `Unavailable` at the deadline."""
        return self._connection.ask("GET", "/health/ready", Health)

    def version(self) -> Version:
        """Return what answers."""
        return self._connection.ask("GET", "/version", Version)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Return what the service answers to any call of docs/http.md, as JSON. A POST is sent once."""
        once = method.upper() == "POST"
        return self._connection.ask(method, path, Any, body, query=query, once=once)

    def _of(self, kind: type[Of], name: str) -> Of:
        """Return an experiment; the same one each time, so that its calls are gathered."""
        if (kind, name) not in self._known:
            self._known[kind, name] = kind(self._connection, name, self.queue, *self._how)
        found: Of = self._known[kind, name]
        return found
