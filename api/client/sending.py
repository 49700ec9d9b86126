"""The thread that sends what waits in the queue, as long as it takes."""

from __future__ import annotations

import random
import threading
from itertools import groupby
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from ...engine.errors import Forbidden, InvalidInput, OnearmError, Unavailable
from ..http.schemas import Rewarded
from .blocking.batches import Batches
from .blocking.connection import Connection, path_of
from .blocking.telling import tell_shown
from .bodies import read_item
from .reward_queue import RewardQueue, Waiting

TOGETHER = 500  # rewards in one call
LOOK_S = 1.0  # how often it looks for what other processes put in
LONGEST_S = 2.0  # between two tries


class Sender:
    """Sends from now on; of several processes with the same file one does."""

    def __init__(self, queue: RewardQueue, base_url: str, key: str | None, timeout: float) -> None:
        self._queue = queue
        self._connection = Connection(base_url, key=key, timeout=timeout, deadline=0.0, transport=None)
        self._lock = FileLock(f"{queue.path}.lock", thread_local=False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="onearm rewards", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread once the call at hand is answered; what waits stays in the file."""
        self._over.set()
        self._queue.news.set()
        self._thread.join()
        self._lock.release()
        self._connection.close()
        self._queue.close()

    def _run(self) -> None:
        wait = 0.0
        while not self._over.is_set():
            self._queue.news.clear()
            try:
                busy = self._may_send() and self._send()
            except Exception as error:  # whatever it is, rewards go on waiting, and `standing` says why
                self._queue.trouble = str(error) or type(error).__name__
                wait = min(max(2.0 * wait, 0.25), LONGEST_S)
                self._over.wait(wait * random.uniform(0.5, 1.0))
                continue
            wait = 0.0
            if not busy:
                self._queue.news.wait(LOOK_S)

    def _may_send(self) -> bool:
        """Tell whether no other process sends from this file."""
        if self._lock.is_locked:
            return True
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    def _send(self) -> bool:
        """Send some of what waits; tell whether there was any.

        An experiment that cannot take rewards now keeps those of others waiting no longer than its own call. Raises
        `OnearmError` where something cannot be sent now.
        """
        held: dict[str, OnearmError] = {}
        found = False
        while not self._over.is_set() and (some := self._queue.waiting(TOGETHER, but=held)):
            found = True
            for experiment, group in groupby(some, lambda one: one.experiment):
                try:
                    self._send_to(experiment, list(group))
                except (Unavailable, Forbidden) as error:
                    if error.code == "no_service":
                        raise
                    held[experiment] = error
        if held:
            raise next(iter(held.values()))
        self._queue.trouble = None
        return found

    def _send_to(self, experiment: str, rewards: list[Waiting]) -> None:
        self._send_plain(experiment, [one for one in rewards if one.shown is None])
        for one in rewards:
            if one.shown is not None:
                self._send_shown(one)

    def _send_plain(self, experiment: str, rewards: list[Waiting]) -> None:
        if not rewards:
            return
        try:
            answers = Batches(self._connection, path_of(experiment), 0.0).reward([one.body for one in rewards])
        except InvalidInput as error:
            if len(rewards) == 1:
                self._judge(rewards, error)
                return
            for one in rewards:  # which of them is it
                self._send_plain(experiment, [one])
            return
        except OnearmError as error:
            self._judge(rewards, error)
            return
        taken, later = [], None
        for one, answer in zip(rewards, answers, strict=True):
            try:
                read_item(Rewarded, answer)
                taken.append(one.number)
            except Unavailable as error:
                later = error
            except OnearmError as error:
                self._queue.refuse(one.number, error)
        self._queue.sent(taken)
        if later is not None:
            raise later

    def _send_shown(self, one: Waiting) -> None:
        assert one.shown is not None
        reward: dict[str, Any] = msgspec.json.decode(one.body)
        del reward["decision_id"]
        try:
            tell_shown(self._connection, path_of(one.experiment), one.decision_id, one.shown, reward)
        except OnearmError as error:
            self._judge([one], error)
        else:
            self._queue.sent([one.number])

    def _judge(self, rewards: list[Waiting], error: OnearmError) -> None:
        """Keep aside what is refused for good; raise what may be mended: an absent service, a key that is not valid."""
        if isinstance(error, (Unavailable, Forbidden)):
            raise error
        for one in rewards:
            self._queue.refuse(one.number, error)
