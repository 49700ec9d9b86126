"""How the logs that an old version wrote are read: over HTTP in this process, and by commands.

`fixtures/make_old.py` asked this of the version that wrote them and kept the answers; `test_old_logs.py` asks again.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from httpx import Response
from starlette.testclient import TestClient
from support.direct import Direct

from onearm.api.cli.main import run
from onearm.api.http.app import create_app
from onearm.engine.storage.store import Store

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
ANSWERS = FIXTURES / "old_answers.json.gz"
EXPERIMENTS = "/v1/experiments"

Answers = dict[str, Any]


def read_answers() -> Answers:
    """Return what the version that wrote the logs answered, by experiment."""
    found: Answers = json.loads(gzip.decompress(ANSWERS.read_bytes()))
    return found


def write_answers(answers: Answers) -> None:
    """Write answers, an experiment a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(answer, sort_keys=True)}" for name, answer in answers.items())
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    ANSWERS.write_bytes(gzip.compress(text.encode(), mtime=0))


def command(*arguments: str) -> tuple[int, Any]:
    """Run a command that tells what it did as JSON; return its exit code and that."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run([*arguments, "--json"])
    return code, json.loads(out.getvalue() or "null")


def verified(*arguments: str) -> dict[str, Any]:
    """Return what `onearm verify` finds, by experiment, without the note on versions."""
    _, found = command("verify", *arguments)
    return {one["id"]: {name: one[name] for name in one if name != "note"} for one in found["experiments"]}


def export_digest(url: str, experiment: str, folder: Path) -> str:
    """Return the sha256 of an experiment's export."""
    file = folder / "export.jsonl"
    code, _ = command("export", experiment, str(file), "--database", url)
    assert code == 0
    return hashlib.sha256(file.read_bytes()).hexdigest()


def until_ready(client: TestClient) -> None:
    """Wait until every experiment of a service answers."""
    while client.get("/health/ready").status_code == 503:
        time.sleep(0.01)


def once_read(ask: Callable[[], Response]) -> Response:
    """Return an answer once the log of the experiment is read: that of an archived one is when somebody asks."""
    while (answer := ask()).status_code == 503:
        time.sleep(0.01)
    return answer


class Reader:
    """The service over a copy of an old database."""

    def __init__(self, url: str) -> None:
        self._client = Direct(create_app(Store.open(url)))

    def __enter__(self) -> Reader:
        self._client.__enter__()
        until_ready(self._client)
        return self

    def __exit__(self, *error: Any) -> None:
        self._client.__exit__(*error)

    def experiments(self) -> list[str]:
        """Return the ids of all."""
        names: list[str] = []
        page: Any = {"next": ""}
        while page["next"] is not None:
            after = f"&after={page['next']}" if page["next"] else ""
            page = self._client.get(f"{EXPERIMENTS}?limit=100{after}").json()
            names += [one["experiment_id"] for one in page["experiments"]]
        return names

    def told(self, experiment: str) -> Answers:
        """Return all that is told of an experiment; this changes nothing."""
        one = self._get(experiment, "")
        health = self._get(experiment, "/diagnostics")
        for name in ("compiling", "loop_lag_ms", "state_bytes"):  # of the process as it is now, and not of the log
            health.pop(name, None)
        last = one["decisions"] - 1
        return {
            "experiment": one,
            "report": self._get(experiment, "/report"),
            "diagnostics": health,
            "recommendation": self._get(experiment, "/recommendation"),
            "decisions": [self._get(experiment, f"/decisions/~{n}") for n in sorted({0, last // 2, last}) if n >= 0],
        }

    def digest(self, experiment: str) -> str:
        """Return the digest of a state."""
        digest: str = self._get(experiment, "")["digest"]
        return digest

    def decide(self, experiment: str, body: str) -> Any:
        """Return the answer to a decision that is asked for with a body of JSON."""
        return _short(self._client.post(f"{EXPERIMENTS}/{experiment}/decisions", content=body.encode()))

    def create(self, body: dict[str, Any]) -> tuple[int, Any]:
        """Ask for an experiment; return the status and the answer."""
        answer = once_read(lambda: self._client.post(EXPERIMENTS, json=body))
        return answer.status_code, answer.json()

    def _get(self, experiment: str, path: str) -> Any:
        return _short(once_read(lambda: self._client.get(f"{EXPERIMENTS}/{experiment}{path}")))


def _short(answer: Any) -> Any:
    """Return a body, without the notes that 0.1 had not; of a refusal its status and code, for its words may change."""
    body = answer.json()
    body.pop("notes", None)
    return {name: body[name] for name in ("status", "code")} if answer.status_code >= 400 else body
