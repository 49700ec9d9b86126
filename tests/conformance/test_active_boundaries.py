"""Tasks at their edges: what every kind of answer means for every kind of task, and what is refused at the boundary."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.querying import Play
from support.small_artefacts import arm_artefact

import onearm
from onearm.api.gym.queries import QueryEnv
from onearm.api.log_files import read_log
from onearm.api.train.plan import Plan
from onearm.engine.errors import Damaged, InvalidInput
from onearm.engine.hardness.complexity import difficulty
from onearm.engine.hardness.exact.losses import grid_instances
from onearm.engine.task import AnswerKind, Task, best_arm, hypotheses, thresholds
from onearm.engine.trained.artefact import pack, unpack
from onearm.policies import catalog

TABLE = [[1, 0, 0], [1, 1, 1], [0, 1, 0]]
ASKED = 200


@pytest.mark.parametrize("answers", ["normal", "signs", "bits"])
@pytest.mark.parametrize("task", [best_arm(3), thresholds(3), hypotheses(TABLE)], ids=lambda task: task.kind)
def test_what_the_true_answers_recommend_loses_nothing(task: Task, answers: AnswerKind) -> None:
    """Each query is answered as its mean says: of bits and signs by as many of each."""
    task = Task(task.kind, task.n_queries, answers, task.loss, task.rows)
    for shares in ([0.9, 0.2, 0.1], [0.9, 0.8, 0.3], [0.1, 0.7, 0.2], [0.1, 0.2, 0.3]):
        up = np.array(shares)
        means = up if answers == "bits" else 2.0 * up - 1.0
        play = Play(catalog.make("uniform_budget"), task, 3 * ASKED)
        evidence = play.state.evidence
        evidence.asked[:] = evidence.count[:] = ASKED
        evidence.total[:] = ASKED * means
        assert task.losses(means)[play.recommend()] == 0.0


def test_bits_are_as_hard_as_the_signs_that_they_stand_for() -> None:
    up = np.array([0.9, 0.8, 0.3, 0.1])
    for make in (thresholds, lambda n, answers: hypotheses(np.tri(n + 1, n, -1), answers)):
        bits, signs = make(4, "bits"), make(4, "signs")
        assert difficulty(bits, up) == pytest.approx(difficulty(signs, 2.0 * up - 1.0), rel=1e-12)
        assert bits.losses(up) == pytest.approx(signs.losses(2.0 * up - 1.0))


def test_networks_are_not_trained_for_bits_of_thresholds() -> None:
    with pytest.raises(InvalidInput, match="take --answers signs"):
        Plan(thresholds(3, "bits"), 4, (9.0,))


def test_means_that_no_answer_can_have_are_no_grid() -> None:
    for task, grid in (
        (best_arm(2, "bits"), [-0.02, 0.5]),
        (best_arm(2, "signs"), [0.1, 7.0]),
        (best_arm(2), [0.1, 0.5]),
    ):
        with pytest.raises(InvalidInput, match=r"means of|normal"):
            grid_instances(task, grid, 100.0)
    with pytest.raises(InvalidInput, match="nan"):
        grid_instances(best_arm(2, "bits"), [0.1, float("nan")], 100.0)


def test_a_header_that_does_not_end_is_damage() -> None:
    npz, description = pack(arm_artefact())
    spoilt = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(npz)) as whole, zipfile.ZipFile(spoilt, "w") as other:
        for name in whole.namelist():
            member = whole.read(name)
            length = int.from_bytes(member[8:10], "little")
            other.writestr(name, member[:10] + b"(" * length + member[10 + length :])
    with pytest.raises(Damaged):
        unpack(spoilt.getvalue(), description)


def test_true_is_no_action_and_no_horizon() -> None:
    env = QueryEnv("thresholds", horizon=2)
    env.reset(seed=1)
    with pytest.raises(InvalidInput, match="True"):
        env.step(True)
    with pytest.raises(InvalidInput):
        QueryEnv("thresholds", horizon=0)


def test_tasks_and_answers_of_another_kind_are_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match=r"onearm\.best_arm"):
        onearm.open(task="thresholds", horizon=3)  # type: ignore[call-overload]
    with pytest.raises(InvalidInput, match="normal, signs, bits"):
        best_arm(3, answers=["normal"])  # type: ignore[arg-type]
    engine = onearm.open(task=best_arm(3), horizon=3)
    before = engine.digest()
    query = engine.ask()
    with pytest.raises(InvalidInput, match="1e\\+100"):
        engine.tell(query, 10**400)
    engine.tell(query, 1.0)
    assert engine.digest() != before


def test_queries_after_the_budget_are_bad_lines(tmp_path: Path) -> None:
    task = '"task":{"kind":"arms","queries":2,"answers":"bits","loss":"identification"}'
    lines = [
        '{"onearm":1,"problem":{"n_arms":2,"context_shape":[0],"horizon":2,' + task + "},",
        '"experiment":{"policy":{"name":"uniform_budget","params":{}},"seed":"0"}}',
    ]
    rows = [f'{{"kind":"decide","seq":{t + 1},"number":{t},"action":0,"propensity":0.5}}' for t in range(4)]
    file = tmp_path / "log.jsonl"
    file.write_text("".join(lines) + "\n" + "\n".join(rows) + "\n")
    log = read_log(file, None)
    assert dict(log.bad_lines.count) == {"after_budget": 2}
    assert log.events is not None and len(log.events.kind) == 2
