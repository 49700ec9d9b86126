"""For how long an experiment is not answered by any node: somebody asks for it all the time, wherever it can be had."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import httpx

ASKED_SECONDS = 0.5  # for which one node is waited for, before another one is asked
PAUSE_SECONDS = 0.1  # between an answer and the next question


class Gap(NamedTuple):
    """A time without an answer."""

    seconds: float
    heard: dict[str, float]  # seconds of it by what was answered instead, or how a connection failed


class Watch(threading.Thread):
    """Asks for one experiment until all is over, and keeps the longest time without an answer."""

    def __init__(self, experiment: str, urls: Callable[[], list[str]], over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._experiment, self._urls, self._over = experiment, urls, over
        self._random = random.Random(experiment)
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self._longest, self._last = Gap(0.0, {}), time.monotonic()
        self._heard: Counter[str] = Counter()

    @property
    def gap(self) -> Gap:
        """The longest time without an answer since it began, be it one that still goes on."""
        return max(self._longest, Gap(time.monotonic() - self._last, dict(self._heard)), key=_seconds)

    def run(self) -> None:
        """Ask until all is over."""
        with httpx.Client(timeout=ASKED_SECONDS, trust_env=False) as http:
            while not self._over.is_set():
                begun = time.monotonic()
                heard = self._asked(http)
                now = time.monotonic()
                if heard is None:
                    self._longest = max(self._longest, Gap(now - self._last, dict(self._heard)), key=_seconds)
                    self._last, self._heard = now, Counter()
                time.sleep(PAUSE_SECONDS)
                if heard is not None:
                    self._heard[heard] += time.monotonic() - begun

    def _asked(self, http: httpx.Client) -> str | None:
        """Ask some node; return what came instead of the experiment."""
        try:
            url = f"{self._random.choice(self._urls())}/v1/experiments/{self._experiment}"
            answer = http.get(url)
        except httpx.TransportError as error:
            return type(error).__name__
        return None if answer.status_code == 200 else str(answer.json()["code"])


def _seconds(gap: Gap) -> float:
    return gap.seconds
