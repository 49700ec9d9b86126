"""Which features weigh most in an experiment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...engine.features import Encoder
from ...engine.kernel import Entry
from ...engine.protocol import explains
from ..experiment.weights import TOP_MAX, encoder_of, is_small, no_weights, on_record, table_of, teller, weigh
from ..experiment.weights_schemas import Weights
from ..kinds.arms.kind import ARMS
from ..service.live import Live
from ..service.read_state import read_state
from ..service.service import Service
from .call import Call
from .endpoint import Answer
from .requests import whole_number


async def weights(service: Service, call: Call) -> Answer:
    """Tell the features with the largest weights: of the context, and of each arm."""
    top = whole_number("top", call.parameter("top") or "50", TOP_MAX)
    return Answer(200, await weights_of(service, service.live(call.path["experiment_id"]), top))


async def weights_of(service: Service, live: Live, top: int) -> Weights:
    """Return the features with the largest weights, by the names of those in the newest decisions on record.

    All is done in other threads. Rewards wait while weights are read: of a small table until they are copied.
    """
    encoder = encoder_of(live.spec, top)
    while True:
        explain = await _explainer(service, live)
        shown = await service.pools.reads.run(lambda: list(on_record(service.store, live.row.key, live.seq)))
        looking = partial(_looking, live, explain, partial(weigh, encoder, shown=shown, top=top), encoder)
        if (found := await read_state(live, service.pools.states, looking)) is not None:
            return found if isinstance(found, Weights) else await service.pools.reads.run(found)


async def _explainer(service: Service, live: Live) -> Entry:
    """Return what explains decisions of the policy that decides now, compiled."""
    if live.kind is not ARMS or not explains(live.spec.policy.params):
        raise no_weights()
    await live.prepare_explanations()
    explain = live.explainer
    assert explain is not None, "it was prepared"
    if not explain.compiled:  # as Python it takes seconds, in which rewards would wait
        await service.pools.creations.run(explain.wait)
    return explain


def _looking(
    live: Live, explain: Entry, told: Callable[..., Weights], encoder: Encoder
) -> Callable[[Any], Weights | Callable[[], Weights] | None]:
    """Return what looks at the state, and returns the weights; of a small table what tells them without the state.

    The caller has the turn. Nothing is found where another policy decides than the one that is explained.
    """
    if live.explainer is not explain:
        return lambda _: None
    params, arms, labels = live.spec.policy.params, list(live.roster.arms), list(live.roster.labels)
    told = partial(told, arms=[] if live.spec.intake.per_call else arms, labels=labels)

    def look(state: Any) -> Weights | Callable[[], Weights]:
        tell = teller(explain, params, state, max(len(arms), 1))
        return partial(told, table_of(encoder, tell)) if is_small(encoder) else told(tell)

    return look
