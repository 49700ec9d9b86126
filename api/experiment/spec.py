"""What an experiment is: its policy, its problem, its arms and its seed, fixed at creation."""

from __future__ import annotations

import inspect
import json
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numba
import numpy as np

from ...engine.domain import Domain
from ...engine.draws import POLICY, run_key
from ...engine.errors import InvalidInput, OnearmError
from ...engine.problem import HORIZON_MAX, REWARD_MAX, check_problem, check_seed, fitted, query_problem
from ...engine.task import Task
from ...engine.vocabulary import VECTOR_FEEDBACKS, FeedbackKind, Policy, Problem
from ...policies import catalog
from ...policies.queries.mapo import shelf
from ..kinds.queries.problem import FIELDS, NamedTask, read_task, task_fields
from .ids import check_fields, check_id
from .intake import Intake, hints

DEPTH_MAX = 40  # of brackets in a spec: far from where JSON readers and the compiler give up
SAFE_INTEGER_MAX = 2**53  # larger whole numbers lose digits in many JSON readers: they travel as strings
DEFAULT_POLICY = {"name": "thompson_beta", "params": {}}
CONTEXT_POLICY = {"name": "fourier_ucb", "params": {}}  # where there are contexts
STREAM_POLICY = {"name": "early_drop", "params": {}}  # where arms come once
VECTOR_POLICY = {"name": "optimistic_ftrl", "params": {}}  # where a vector is decided, and gradients are revealed
WEIGHTS_POLICY = {"name": "optimistic_hedge", "params": {}}  # where all losses of weights are
TRAINED_POLICY = {"name": "mapo", "params": {}}  # where queries are asked, and an artefact is for the problem; else
ARMS_POLICY = {"name": "lucb_budget", "params": {}}  # to find the best arm
BISECTION_POLICY = {"name": "generalised_binary_search", "params": {}}  # to identify a row of zeros and ones
QUERY_POLICY = {"name": "uniform_budget", "params": {}}  # for other tasks
UNIT = (0.0, 1.0)  # the range of the rewards of a stream, where its problem does not say


@dataclass(frozen=True)
class Spec:
    """The immutable spec of an experiment."""

    id: str
    policy: Policy
    problem: Problem
    arms: tuple[dict[str, Any], ...]  # each with its "id"; arm number = position; none where actions are listed.
    # Where queries are asked, these
    seed: int
    intake: Intake
    reward_range: tuple[float, float] | None = None  # of one pull, where arms come once; None without limits
    hypotheses: tuple[str, ...] = ()  # the ids of what can be recommended, where queries are asked

    @cached_property
    def run(self) -> np.uint64:
        """The run key of the policy's draws."""
        return run_key(self.seed, 0, POLICY)

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON; `Spec.from_json` reads it back."""
        problem: dict[str, Any] = {"kind": "arms", **self.intake.to_json()}
        if self.problem.slots is not None:
            limits = None if self.reward_range is None else list(self.reward_range)
            problem = {"kind": "arm_stream", "slots": self.problem.slots, "reward_range": limits}
            problem |= {"arms": self.problem.n_arms} if self.problem.n_arms else {}
        if self.problem.domain is not None:
            domain, feedback = self.problem.domain.to_json(), self.problem.feedback
            problem = {"kind": "vector", "domain": domain, "feedback": feedback, **self.intake.to_json()}
        if self.problem.task is not None:
            queries = tuple(arm["id"] for arm in self.arms)
            problem = {"kind": "queries", **task_fields(NamedTask(self.problem.task, queries, self.hypotheses))}
        if self.problem.horizon is not None:
            problem["horizon"] = self.problem.horizon
        return {
            "experiment_id": self.id,
            "problem": problem,
            "policy": self.policy.spec,
            "arms": [] if self.problem.task is not None else list(self.arms),
            "seed": self.seed if self.seed <= SAFE_INTEGER_MAX else str(self.seed),
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Spec:
        """Check a creation body (docs/http.md) and return its spec; nothing is left unread."""
        if not _is_shallow(body):
            raise InvalidInput("too_deep", f"the experiment has brackets nested deeper than {DEPTH_MAX}: keep it flat")
        check_fields("the experiment", body, {"experiment_id", "problem", "policy", "arms", "seed"}, {"reward"})
        arms = _arms(body.get("arms", []))
        hypotheses: tuple[str, ...] = ()
        intake, reward_range = Intake(), None
        if isinstance(body.get("problem"), dict) and body["problem"].get("kind") == "queries":
            problem, arms, hypotheses = _queries(body["problem"], arms)
        else:
            problem, intake, reward_range = _problem(body.get("problem", {}), arms, body.get("policy"))
        seed = _seed(body.get("seed", 0))
        experiment_id = check_id("experiment_id", body["experiment_id"])
        said = f"the policy {json.dumps(body['policy'])[:200]}" if "policy" in body else "the usual policy"
        policy = _policy(
            _scaled(body["policy"] if "policy" in body else _default(problem), reward_range), problem, said
        )
        return cls(experiment_id, policy, problem, arms, seed, intake, reward_range, hypotheses)

    def versions(self) -> dict[str, Any]:
        """Return the versions that the bits of a decision depend on."""
        return {
            "onearm": version("onearm"),
            "policy": self.policy.version,
            "numba": numba.__version__,
            "numpy": np.__version__,
            "platform": f"{platform.system()}-{platform.machine()}",
        }


def _arms(arms: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(arms, list):
        raise InvalidInput("bad_arms", 'arms must be a list of one or more objects like {"id": "a"}')
    seen = set()
    for arm in arms:
        label = check_arm(arm)
        if label in seen:
            raise InvalidInput("bad_arms", f"two arms have the id {label!r}: ids of arms are unique")
        seen.add(label)
    return tuple(arms)


def check_arm(arm: Any) -> str:
    """Return the id of an arm, an object that has one."""
    if not isinstance(arm, dict):
        raise InvalidInput("bad_arms", f'an arm is {json.dumps(arm)[:80]}: it must be an object like {{"id": "a"}}')
    if not _is_shallow(arm):
        raise InvalidInput("too_deep", f"the arm has brackets nested deeper than {DEPTH_MAX}: keep it flat")
    return check_id("the id of an arm", arm.get("id"))


def _is_shallow(value: Any, depth: int = DEPTH_MAX) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return depth > 0 and all(_is_shallow(inner, depth - 1) for inner in value)


def _policy(spec: Any, problem: Problem, said: str) -> Policy:
    """Return the policy of a spec; it refuses params and problems that do not fit. `said` is what errors call it."""
    try:
        policy = fitted(catalog.from_spec(spec), problem)
        policy.init(policy.params, problem)
    except OnearmError:
        raise
    except Exception as error:  # the function of a policy file need not check everything that a client may send
        raise InvalidInput(
            "bad_param",
            f"{said} cannot be built ({type(error).__name__}: {error}): check its params and the size of the problem",
        ) from error
    return policy


def _default(problem: Problem) -> dict[str, Any]:
    if problem.domain is not None:
        return _default_of_vectors(problem.domain, problem.feedback)
    if problem.slots is not None:
        return STREAM_POLICY
    if problem.task is not None:
        return _default_of_queries(problem, problem.task)
    return DEFAULT_POLICY if problem.context_shape == (0,) else CONTEXT_POLICY


def _default_of_vectors(domain: Domain, feedback: FeedbackKind) -> dict[str, Any]:
    if feedback not in ("gradient", "losses"):
        raise InvalidInput(
            "no_policy", f"no policy is the usual one where {feedback} is revealed: name one (see `onearm policies`)"
        )
    weights = feedback == "losses" and [part.kind for part in domain.parts] == ["simplex"]
    return WEIGHTS_POLICY if weights else VECTOR_POLICY


def _default_of_queries(problem: Problem, task: Task) -> dict[str, Any]:
    try:
        shelf.fitting(problem)
    except InvalidInput as error:
        if error.code != "no_artefact":  # there are several: the client names one
            raise
    else:
        return TRAINED_POLICY
    if task.kind == "arms":
        return ARMS_POLICY
    identified = task.kind == "hypotheses" and task.loss == "identification" and task.answers != "normal"
    return BISECTION_POLICY if identified and np.isin(task.table, (0.0, 1.0)).all() else QUERY_POLICY


def _scaled(spec: Any, reward_range: tuple[float, float] | None) -> Any:
    """Return the spec of a policy; a param `scale` that is left out becomes the width of the rewards' range."""
    if reward_range is None or not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        return spec
    params = spec.get("params", {})
    known = inspect.signature(catalog.factory(spec["name"])).parameters
    if not isinstance(params, dict) or "scale" in params or "scale" not in known:
        return spec
    return {**spec, "params": {**params, "scale": reward_range[1] - reward_range[0]}}


def _problem(
    body: Any, arms: tuple[dict[str, Any], ...], policy: Any
) -> tuple[Problem, Intake, tuple[float, float] | None]:
    """Return the problem, how contexts and actions arrive, and where arms come once the range of a reward."""
    if isinstance(body, dict) and body.get("kind") == "arm_stream":
        return _stream(body, arms)
    if isinstance(body, dict) and body.get("kind") == "vector":
        return (*_vectors(body, arms, policy), None)
    check_fields("problem", body, {"kind", "context", "actions", "horizon"}, {"domain", "memory"})
    if (kind := body.get("kind", "arms")) != "arms":
        raise InvalidInput(
            "not_built", f"the kind of problem is {kind!r}: arms, arm_stream, vector and queries are known"
        )
    horizon = _whole("bad_horizon", "the horizon", body.get("horizon"))
    intake = Intake.from_json(body.get("context", {"kind": "none"}), body.get("actions", {"kind": "fixed"}))
    if intake.listed and arms:
        raise InvalidInput("bad_arms", "arms are given, but the actions are listed in each call: leave the arms out")
    if not intake.listed and not arms:
        raise InvalidInput("bad_arms", 'arms must be a list of one or more objects like {"id": "a"}')
    if intake.encoder is not None and arms:
        intake.read(None, arms)  # raises where an arm has a field that is no feature
    problem = intake.problem(len(arms), horizon)
    check_problem(problem)
    return problem, intake, None


def _stream(
    body: dict[str, Any], arms: tuple[dict[str, Any], ...]
) -> tuple[Problem, Intake, tuple[float, float] | None]:
    check_fields("problem", body, {"kind", "slots", "arms", "horizon", "reward_range"}, {"domain", "memory"})
    if arms:
        raise InvalidInput(
            "bad_arms", "arms are given, but they come once: leave them out, and offer them with POST .../arms"
        )
    horizon = _whole("bad_horizon", "the horizon", body.get("horizon"))
    if horizon is not None and horizon > HORIZON_MAX:
        raise InvalidInput("bad_horizon", f"the horizon is {horizon}: it is at most 2^53 pulls, or left out")
    slots = _whole("bad_slots", "problem.slots", body.get("slots", 1))
    n_arms = _whole("bad_arms", "problem.arms", body.get("arms"))
    if n_arms == 0:
        raise InvalidInput("bad_arms", "problem.arms is 0: it is about how many arms will be offered, or left out")
    problem = Problem(n_arms or 0, horizon=horizon, slots=1 if slots is None else slots)
    check_problem(problem)
    limits = body.get("reward_range", UNIT)
    return problem, Intake(), None if limits is None else _range(limits)


def _vectors(body: dict[str, Any], arms: tuple[dict[str, Any], ...], policy: Any) -> tuple[Problem, Intake]:
    """Return the problem, and how contexts arrive; where the policy reads forecasts, a context is one."""
    check_fields("problem", body, {"kind", "domain", "feedback", "context", "horizon"}, {"memory"})
    if arms:
        raise InvalidInput("bad_arms", "arms are given, but a vector is decided: leave them out")
    if "domain" not in body:
        raise InvalidInput(
            "bad_domain", 'the problem has no domain: say where vectors lie, like {"kind": "ball", "dimension": 3}'
        )
    domain = Domain.from_json(body["domain"])
    if (feedback := body.get("feedback", "gradient")) not in VECTOR_FEEDBACKS:
        raise InvalidInput(
            "bad_feedback",
            f"problem.feedback is {json.dumps(feedback)[:80]}: it must be one of {', '.join(VECTOR_FEEDBACKS)}",
        )
    horizon = _whole("bad_horizon", "the horizon", body.get("horizon"))
    usual: dict[str, Any] = {"kind": "none"}
    if hints(policy):
        usual = {"kind": "dense", "length": domain.dimension}
    intake = Intake.from_json(body.get("context", usual), {})
    if intake.encoder is not None:
        raise InvalidInput("bad_context", "the context has named features, but a vector is decided: take kind dense")
    problem = Problem(0, (intake.length,), horizon, domain=domain, feedback=feedback)
    check_problem(problem)
    return problem, intake


def _queries(
    body: dict[str, Any], arms: tuple[dict[str, Any], ...]
) -> tuple[Problem, tuple[dict[str, Any], ...], tuple[str, ...]]:
    """Return the problem, its queries as arms are, and the ids of what can be recommended."""
    check_fields("problem", body, {"kind", "horizon", *FIELDS}, {"memory"})
    if arms:
        raise InvalidInput("bad_arms", "arms are given, but queries are asked: leave them out, and name the queries")
    named = read_task(body)
    budget = _whole("bad_horizon", "the horizon", body.get("horizon"))
    if budget is None:
        raise InvalidInput(
            "no_budget", "the problem has no horizon: it is the budget, the number of queries that can be asked"
        )
    problem = query_problem(named.task, budget)
    check_problem(problem)
    return problem, tuple({"id": label} for label in named.queries), named.hypotheses


def _range(limits: Any) -> tuple[float, float]:
    """Return the range of a reward: two numbers, the lower one first."""
    numbers = isinstance(limits, (list, tuple)) and len(limits) == 2
    for limit in limits if numbers else ():
        numbers = numbers and isinstance(limit, (int, float)) and not isinstance(limit, bool)
    if not numbers or not -REWARD_MAX <= limits[0] < limits[1] <= REWARD_MAX:
        raise InvalidInput(
            "bad_range",
            f"reward_range is {json.dumps(limits)[:80]}: it must be [low, high], two numbers, or null for no limits",
        )
    return float(limits[0]), float(limits[1])


def _whole(code: str, what: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InvalidInput(code, f"{what} is {value!r}: it must be a whole number, or left out")
    number: int | None = value
    return number


def _seed(seed: Any) -> int:
    """Return the seed; one above 2^53 comes as a string of digits."""
    if isinstance(seed, str) and seed.isascii() and seed.isdigit() and len(seed) <= 20:
        seed = int(seed)
    elif isinstance(seed, int) and seed > SAFE_INTEGER_MAX:
        raise InvalidInput(
            "bad_seed",
            f"the seed is {seed}: a seed above 2^53 is written as a string, for JSON readers round it",
        )
    return check_seed(seed)
