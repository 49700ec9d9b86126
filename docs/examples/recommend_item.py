"""A new user comes: ask what they think of a few items, then recommend one of all.

Ratings of earlier users say how items go together. So an item that was never asked about can be recommended: what it is
worth is a weighted sum of the ratings that are asked for. An answer varies from day to day, and so may be asked again.
Everything is made up here; a table of yours goes in where `RATINGS` is.
"""

from __future__ import annotations

import numpy as np

import onearm
from onearm.engine.simulation import simulate
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

USERS, ITEMS, ASKED, TRAITS, NOISE, VISITS = 400, 40, 8, 3, 1.0, 400
rng = np.random.default_rng(7)
RATINGS = 2.0 * rng.standard_normal((USERS, TRAITS)) @ rng.standard_normal((TRAITS, ITEMS)) / TRAITS**0.5
RATINGS += 0.5 * rng.standard_normal(ITEMS)  # some items are liked more by all
KNOWN, NEW = RATINGS[: USERS // 2], RATINGS[USERS // 2 :]


def weights() -> np.ndarray:
    """Return how much each rating that is asked for says of each item, [items, asked]: least squares over the known."""
    found = np.linalg.lstsq(KNOWN[:, :ASKED], KNOWN, rcond=None)[0].T.round(6)
    found[:ASKED] = np.eye(ASKED)  # of these the rating itself
    return found


def recommend(ratings: np.ndarray, questions: int, seed: int = 0) -> int:
    """Ask a user of these ratings so many questions; return the item that is recommended."""
    task = onearm.hypotheses(weights(), answers="normal", loss="simple_regret")
    engine = onearm.open("uniform_budget", task=task, horizon=questions, seed=seed)
    mood = np.random.default_rng(seed)
    while engine.left:
        question = engine.ask()
        engine.tell(question, (ratings[question.query] + NOISE * mood.standard_normal()) / NOISE)  # in units of noise
    return engine.recommend().hypothesis


def loss(policy: str, questions: int, asked: list[int], visits: int = VISITS) -> tuple[float, float]:
    """Return how much more a new user's best item is worth than what is recommended, on average over many of them."""
    world = envs.make("recommendation", ratings=RATINGS.tolist(), asked=asked, noise=NOISE)
    curves = simulate(policies.parse(policy), world, horizon=questions, replications=visits, seed=1)
    return NOISE * float(curves.regret[:, -1].mean()), NOISE * float(curves.regret[:, -1].std(ddof=1) / visits**0.5)


def unasked() -> float:
    """Return the same where nothing is asked: everybody gets the item that is liked best by the known users."""
    return float((NEW.max(axis=1) - NEW[:, KNOWN.mean(axis=0).argmax()]).mean())


def main() -> None:
    """Recommend to one user, then to many."""
    item = recommend(NEW[0], questions=16)
    print(f"the first user gets item {item}, worth {NEW[0, item]:.2f}; their best one is worth {NEW[0].max():.2f}")
    print(f"loss where nothing is asked: {unasked():.2f}")
    for questions in (8, 16, 32):
        few, all_items = list(range(ASKED)), list(range(ITEMS))
        mean, stderr = loss("uniform_budget", questions, few)
        print(f"{questions} questions about {ASKED} items, one of {ITEMS} recommended: {mean:.2f} +- {stderr:.2f}")
    for policy in ("lucb_budget", "uniform_budget"):
        mean, stderr = loss(policy, 2 * ITEMS, all_items)
        print(f"{2 * ITEMS} questions about all items, {policy}: {mean:.2f} +- {stderr:.2f}")


if __name__ == "__main__":
    main()
