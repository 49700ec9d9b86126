"""Bets: what they are worth while nothing changes, where they begin, and how often they are won by chance."""

from __future__ import annotations

from itertools import product

import numpy as np

from onearm.engine.changes.bets import bets, call_off, call_off_all, largest, place_of, stake


def test_a_wealth_below_1_begins_anew_where_it_is_staked_next() -> None:
    book = bets(rows=1, n=1)
    seen = []
    for number, factor in enumerate([0.5, 2.0, 3.0, 0.1, 4.0]):
        stake(book, 0, 0, factor, number)
        seen.append((round(float(book.wealth[0, 0]), 12), int(book.start[0, 0])))
    assert seen == [(0.5, 0), (2.0, 1), (6.0, 1), (0.6, 1), (4.0, 4)]


def test_the_place_is_where_the_largest_wealth_of_the_row_began() -> None:
    book = bets(rows=2, n=3)
    stake(book, 1, 0, 3.0, 10)
    stake(book, 1, 2, 5.0, 20)
    stake(book, 1, 1, 4.0, 30)
    assert (largest(book, 1), place_of(book, 1)) == (5.0, 20)
    assert (largest(book, 0), place_of(book, 0)) == (1.0, 0)


def test_bets_are_called_off_by_the_row_or_all_at_once() -> None:
    book = bets(rows=3, n=2)
    for row in range(3):
        stake(book, row, 1, 8.0, row)
    call_off(book, 1)
    assert book.wealth.tolist() == [[1.0, 8.0], [1.0, 1.0], [1.0, 8.0]]
    call_off_all(book)
    assert (book.wealth == 1.0).all()


def test_fair_factors_are_worth_no_more_than_the_number_of_rewards() -> None:
    """Of all 2^10 courses of a fair factor: what a bet that begins anew is worth, and how often it was won."""
    up, down, chance = 2.5, 0.5, 0.25  # fair: .25 x 2.5 + .75 x .5 = 1
    n, most = 10, 20.0
    worth, won = 0.0, 0.0
    for course in product([True, False], repeat=n):
        book = bets(rows=1, n=1)
        weight, reached = 1.0, False
        for number, is_up in enumerate(course):
            stake(book, 0, 0, up if is_up else down, number)
            weight *= chance if is_up else 1.0 - chance
            reached = reached or largest(book, 0) >= most
        worth += weight * float(book.wealth[0, 0])
        won += weight * reached
    assert 1.0 < worth <= n
    assert 0.0 < won <= n / most


def test_chance_wins_no_more_often_than_once_in_the_wealth() -> None:
    rng = np.random.default_rng(3)
    book = bets(rows=1, n=1)
    most, n, won = 50.0, 20_000, 0
    for number, is_up in enumerate(rng.random(n) < 0.25):
        stake(book, 0, 0, 2.5 if is_up else 0.5, number)
        if largest(book, 0) >= most:
            won += 1
            call_off_all(book)
    assert 0 < won <= n / most
