"""For how long an experiment is not answered by any node: somebody asks for it all the time, wherever it can be had."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import httpx

ASKED_SECONDS = 0.5  # for which one node is waited for, before another one is asked
PAUSE_SECONDS = 0.1  # between an answer and the next question


class Watch(threading.Thread):
    """Asks for one experiment until all is over, and keeps the longest time without an answer."""

    def __init__(self, experiment: str, urls: Callable[[], list[str]], over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._experiment, self._urls, self._over = experiment, urls, over
        self._random = random.Random(experiment)
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self._longest, self._last = 0.0, time.monotonic()

    @property
    def gap(self) -> float:
        """The most seconds without an answer since it began, with those that still go on."""
        return max(self._longest, time.monotonic() - self._last)

    def run(self) -> None:
        """Ask until all is over."""
        with httpx.Client(timeout=ASKED_SECONDS, trust_env=False) as http:
            while not self._over.is_set():
                if self._is_answered(http):
                    now = time.monotonic()
                    self._longest, self._last = max(self._longest, now - self._last), now
                time.sleep(PAUSE_SECONDS)

    def _is_answered(self, http: httpx.Client) -> bool:
        try:
            url = f"{self._random.choice(self._urls())}/v1/experiments/{self._experiment}"
            return http.get(url).status_code == 200
        except httpx.TransportError:
            return False
