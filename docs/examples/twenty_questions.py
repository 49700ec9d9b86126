"""Twenty questions about a number from 1 to 100, and one answer of ten is wrong: what to ask, and which number is it?

`python twenty_questions.py` plays a game by itself, and then many to compare policies; with `play` it asks you. Nothing
is downloaded: the table of facts is made here. Yours may be symptoms and diseases, or faults and the tests for them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import numpy as np

import onearm
from onearm.engine.simulation import simulate
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

QUESTIONS, WRONG, GAMES = 20, 0.1, 400
NUMBERS = range(1, 101)
PRIMES = [n for n in NUMBERS if n > 1 and all(n % k for k in range(2, n))]
FACTS: dict[str, Callable[[int], bool]] = {
    "Is it even?": lambda n: n % 2 == 0,
    "Can it be divided by 3?": lambda n: n % 3 == 0,
    "Can it be divided by 5?": lambda n: n % 5 == 0,
    "Is it a prime number?": lambda n: n in PRIMES,
    "Is it a square?": lambda n: round(n**0.5) ** 2 == n,
    "Is it above 50?": lambda n: n > 50,
    "Is it from 26 to 75?": lambda n: 26 <= n <= 75,
    "Is its last digit above 4?": lambda n: n % 10 > 4,
    "Is its last digit 2, 3, 6 or 7?": lambda n: n % 10 in (2, 3, 6, 7),
    "Is the digit before the last one odd?": lambda n: n // 10 % 2 == 1,
    "Is the digit before the last one 1, 2, 5 or 6?": lambda n: n // 10 in (1, 2, 5, 6),
    "Is the sum of its digits above 9?": lambda n: sum(map(int, str(n))) > 9,
    "Is the sum of its digits even?": lambda n: sum(map(int, str(n))) % 2 == 0,
    "Is there a 7 in it?": lambda n: "7" in str(n),
    "Does it leave 1 or 2 when it is divided by 4?": lambda n: n % 4 in (1, 2),
    "Does it leave 1 when it is divided by 3?": lambda n: n % 3 == 1,
    "Has it an odd number of ones in binary?": lambda n: n.bit_count() % 2 == 1,
}
TABLE = np.array([[float(fact(n)) for fact in FACTS.values()] for n in NUMBERS])


def game(answer: Callable[[str], bool], policy: str = "generalised_binary_search", seed: int = 0) -> int:
    """Ask twenty questions, and return the number that is named."""
    problem = {
        "task": "hypotheses",
        "queries": list(FACTS),
        "hypotheses": [{"id": str(n), "answers": row} for n, row in zip(NUMBERS, TABLE.tolist(), strict=True)],
    }
    engine = onearm.open(policy, task=problem, horizon=QUESTIONS, seed=seed)
    while engine.left:
        question = engine.ask()
        engine.tell(question, 1 if answer(question.query_id) else -1)
    return int(engine.recommend().hypothesis_id)


def unreliable(number: int, luck: random.Random) -> Callable[[str], bool]:
    """Return who answers about a number, and is wrong now and then; what is said is printed."""

    def answer(question: str) -> bool:
        right = luck.random() >= WRONG
        said = FACTS[question](number) == right
        print(f"{question:48} {'yes' if said else 'no'}{'' if right else '   (wrong)'}")
        return said

    return answer


def share_found(policy: str, games: int = GAMES) -> tuple[float, float]:
    """Return the share of numbers that a policy names rightly, and its standard error."""
    world = envs.make("twenty_questions", table=TABLE.tolist(), noise=WRONG)
    curves = simulate(policies.parse(policy), world, horizon=QUESTIONS, replications=games, seed=1)
    found = 1.0 - curves.regret[:, -1]
    return float(found.mean()), float(found.std(ddof=1) / games**0.5)


def main() -> None:
    """Play one game, then many."""
    print(f"It is {game(unreliable(73, random.Random(5)))}. (It was 73.)\n")
    for policy in ("generalised_binary_search", 'generalised_binary_search:{"noise":0.1}', "uniform_budget"):
        mean, stderr = share_found(policy)
        print(f"{policy:42} named {mean:.3f} +- {stderr:.3f} of {GAMES} numbers")


if __name__ == "__main__":
    if sys.argv[1:] == ["play"]:
        print(f"Think of a number from 1 to 100, and answer y or n. It is {game(lambda q: input(f'{q} ') == 'y')}.")
    else:
        main()
