"""Rewards that come as messages of a broker, told to a running service: each has its effect once.

A reward has an id, the message's own where it says none, and the service takes each id of a decision once; so whatever
is sent again after a failure changes nothing. A message is done with when the service has answered. One that the
service will never take is kept aside in a file, with why, and counted: it must not keep the others waiting.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from ...engine.errors import Forbidden, InvalidInput, Unavailable
from ..client.patience import AGAIN
from ..experiment.ids import in_url
from .broker import Address, Received, Receiver
from .rounds import work

BATCH = 500  # messages
WAIT = 1.0  # seconds for the first of them
TRIED_AGAIN = AGAIN | {500}
DEEPEST = 100  # a list within a list within ...; Python writes some 1000


class RewardMessage(NamedTuple):
    """A reward that a message tells."""

    message: Received
    experiment: str
    reward: dict[str, Any]  # as POST /v1/experiments/{id}/rewards:batch reads it


@dataclass
class Counts:
    """What came so far."""

    accepted: int = 0  # late and early ones too
    duplicates: int = 0
    refused: int = 0  # kept aside
    failures: int = 0  # times that the broker or the service was away


@dataclass
class Consumer:
    """Takes rewards from a stream to a service."""

    address: Address
    group: str
    service: httpx.Client
    aside: Path
    say: Callable[[str], None] = lambda text: None
    counts: Counts = field(default_factory=Counts)
    _receiver: Receiver | None = None

    def run(self, stop: Callable[[], bool], *, once: bool = False) -> None:
        """Take what comes, again and again until `stop`; with `once` until nothing came for a moment.

        Raises `Forbidden` where the service does not let us in, and `InvalidInput` where the file cannot be written.
        """
        try:
            work(lambda: self.round(stop), self._failed, 0.0, stop, once=once)
        finally:
            self._drop()

    def round(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Take some messages, and be done with them; return how many. Raises `Unavailable`."""
        if self._receiver is None:
            self._receiver = self.address.receiver(self.group)
        messages = self._receiver.receive(BATCH, WAIT)
        told: dict[str, list[RewardMessage]] = {}
        for message in messages:
            try:
                reward = told_by(message)
            except InvalidInput as error:
                self._keep_aside(message, error.code, str(error))
            else:
                told.setdefault(reward.experiment, []).append(reward)
        for experiment, rewards in told.items():
            self._tell(experiment, rewards)
        if messages:
            self._receiver.done(messages)
        return len(messages)

    def _tell(self, experiment: str, rewards: Sequence[RewardMessage]) -> None:
        """Tell rewards of one experiment; where all are refused together, one half and then the other."""
        path = f"/v1/experiments/{in_url(experiment)}/rewards:batch"
        try:
            answer = self.service.post(path, json={"rewards": [one.reward for one in rewards]})
            said = _answers(answer, len(rewards)) if answer.is_success else []
        except httpx.TransportError as error:
            raise Unavailable("no_service", f"{self.service.base_url} does not answer ({error})") from None
        if answer.status_code in (401, 403):
            raise Forbidden(
                "not_let_in", f"the service refused {path}: {_said(answer)}; give a --key that may write there"
            )
        if answer.status_code in TRIED_AGAIN:
            raise Unavailable("busy", f"the service cannot take rewards of {experiment} now: {_said(answer)}")
        if answer.is_success:
            self._count(rewards, said)
        elif not _is_refusal(answer):
            raise _not_onearm(answer)
        elif len(rewards) == 1 or answer.status_code == 404:
            for one in rewards:
                self._keep_aside(one.message, _code(answer), _said(answer))
        else:
            half = len(rewards) // 2
            self._tell(experiment, rewards[:half])
            self._tell(experiment, rewards[half:])

    def _count(self, rewards: Sequence[RewardMessage], answers: Iterable[dict[str, Any]]) -> None:
        again = None
        for one, said in zip(rewards, answers, strict=True):
            status = said["status"]
            if status == "duplicate":
                self.counts.duplicates += 1
            elif isinstance(status, str):
                self.counts.accepted += 1
            elif status in TRIED_AGAIN:
                again = said["detail"]
            else:
                self._keep_aside(one.message, said["code"], said["detail"])
        if again is not None:
            raise Unavailable("busy", f"the service could not take all rewards: {again}")

    def _keep_aside(self, message: Received, code: str, why: str) -> None:
        """Keep a message in the file before it is done with; after a failure it may stand there twice."""
        said = {"id": message.id, "code": code, "why": why, "body": message.body.decode("utf-8", "replace")}
        try:
            with self.aside.open("a") as file:
                file.write(json.dumps(said) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InvalidInput(
                "cannot_write", f"{self.aside} cannot be written ({error.strerror}): name another file by --aside"
            ) from None
        self.counts.refused += 1
        self.say(f"message {message.id} is kept aside: {why}")

    def _failed(self, error: Unavailable, wait: float) -> None:
        self._drop()
        self.counts.failures += 1
        self.say(f"{error}; trying again in {wait:g} s")

    def _drop(self) -> None:
        if self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            receiver.close()


def told_by(message: Received) -> RewardMessage:
    """Return the reward that a message tells, as an object or as the data of a CloudEvent.

    >>> told = told_by(Received("7", b'{"experiment": "e", "decision_id": "~0", "value": 1}', None))
    >>> told.experiment, told.reward
    ('e', {'decision_id': '~0', 'value': 1, 'reward_id': '7'})
    """
    rule = 'a reward is {"experiment", "decision_id", "value", "reward_id"}'
    try:
        said = json.loads(message.body)
        _check(said)
    except RecursionError:
        raise InvalidInput("no_json", f"it is nested too deeply: {rule}") from None
    except InvalidInput:
        raise
    except ValueError as error:
        raise InvalidInput("no_json", f"it is no JSON ({error}): {rule}") from None
    if isinstance(said, dict) and "specversion" in said:
        said = said.get("data")
    if not isinstance(said, dict):
        raise InvalidInput("no_object", f"it is no object: {rule}")
    experiment, decision = said.pop("experiment", None), said.get("decision_id")
    if not isinstance(experiment, str) or not isinstance(decision, str) or not experiment:
        raise InvalidInput("no_decision", f"it names no decision of an experiment: {rule}")
    return RewardMessage(message, experiment, {**said, "reward_id": said.get("reward_id") or message.id})


def _check(value: Any, depth: int = 0) -> None:
    """Refuse what JSON cannot say, though Python reads it: numbers that are none, and halves of characters."""
    if depth > DEEPEST:
        raise InvalidInput("no_json", f"it is nested more than {DEEPEST} deep: a reward is flat")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput("no_json", f"it holds {value}, which JSON has no number for: write finite numbers")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidInput("no_json", f"it holds {value!r:.80}, which is no text: write UTF-8") from None
    if isinstance(value, dict | list):
        for one in (*value, *value.values()) if isinstance(value, dict) else value:
            _check(one, depth + 1)


def _answers(answer: httpx.Response, count: int) -> list[dict[str, Any]]:
    """Return what the service says of each reward; raises `Unavailable` where something else answers."""
    found = _object(answer).get("rewards")
    if not isinstance(found, list) or len(found) != count or not all(isinstance(one, dict) for one in found):
        raise _not_onearm(answer)
    return found


def _is_refusal(answer: httpx.Response) -> bool:
    """Whether onearm itself refuses, and the path is one that it has: then what was sent will never be taken."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    code = _object(answer).get("code")
    return kind == "application/problem+json" and isinstance(code, str) and code != "no_such_path"


def _not_onearm(answer: httpx.Response) -> Unavailable:
    return Unavailable(
        "no_service",
        f"{answer.url.copy_with(query=None)} answers with {answer.status_code}, and not as onearm does: see what "
        "stands before the service, or give another --url",
    )


def _code(answer: httpx.Response) -> str:
    return str(_object(answer)["code"])


def _said(answer: httpx.Response) -> str:
    return str(_object(answer).get("detail", answer.text[:200]))


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
