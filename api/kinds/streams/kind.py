"""Streams of arms as a kind of decision: what it keeps in work is the queue of the arms."""

from __future__ import annotations

from ....engine.choices import ArmStream
from ...experiment.compiling import compile_recommending
from ..kind import Encoded, Kind, Own
from . import changes, http, moves, problem
from .bodies import StreamDecision
from .forms import FORMS
from .gym import GYM
from .report import report, tally

STREAMS = Kind(
    name="arm_stream",
    choice=ArmStream,
    plural="moves",
    does="lets arms stream past",
    read_problem=problem.read_problem,
    problem_json=problem.problem_json,
    default_policy=problem.default_policy,
    defaults=problem.DEFAULTS,
    complete=problem.scaled,
    kernels=compile_recommending,
    fields=frozenset(),
    unread="the decision has {name}, but the arms of {id!r} come once: the policy chooses among those that it holds; "
    "leave it out",
    request=http.request,
    check=moves.check,
    encode=lambda work, request, decision: Encoded(),  # each move brings its own
    moves=moves.moves,
    action=moves.action,
    answer=http.answer,
    answered=StreamDecision,
    record=http.record,
    reader=http.READER,
    read_feedback=http.read_feedback,
    feedback_on=http.feedback_on,
    detail_json=moves.detail_json,
    reward_record=http.reward_record,
    reward_exists=http.reward_exists,
    learned=http.learned,
    tally=tally,
    report=report,
    has_rewards=True,
    gym=GYM,
    forms=FORMS,
    slims=False,  # its events are small, and what they say is asked for: who was read, pulled and dropped
    decide_waits=True,
    no_examples="the arms of {id!r} come once: decisions that someone else made say nothing about them; offer arms",
    own=Own(
        begin=changes.begin,
        fold=changes.fold,
        end=changes.end,
        fresh=changes.fresh,
        part=lambda queue: queue.places,
        join=changes.Kept,
        split=lambda kept: (kept.state, kept.places),
    ),
    change_types=(changes.ArmOffered, changes.StreamClosed, changes.Committed),
    changes=changes.CHANGES,
    recommend=changes.recommend,
    sample=http.sample,
    describe=http.describe,
)
