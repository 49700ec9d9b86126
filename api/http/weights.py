"""Which features weigh most in an experiment."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...engine.protocol import explains
from ..experiment.weights import TOP_MAX, encoder_of, is_small, no_weights, on_record, table_of, teller, weigh
from ..experiment.weights_schemas import Weights
from ..kinds.arms.kind import ARMS
from ..service.live import Live
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
    encoder, policy, intake = encoder_of(live.spec, top), live.spec.policy, live.spec.intake
    if live.kind is not ARMS or not explains(policy.params):
        raise no_weights()
    await live.prepare_explanations()
    explain = live.explainer
    assert explain is not None, "it was prepared"
    if not explain.compiled:  # as Python it takes seconds, in which rewards would wait
        await service.pools.creations.run(explain.wait)
    listed, labels, k = list(live.roster.arms), list(live.roster.labels), max(len(live.roster.arms), 1)
    arms = [] if intake.per_call else listed

    shown = await service.pools.reads.run(lambda: list(on_record(service.store, live.row.key, live.seq)))

    def told(tell: Any) -> Weights:
        return weigh(encoder, tell, shown, arms, labels, top)

    def read(state: Any) -> Any:
        return teller(explain, policy.params, state, k)

    if not is_small(encoder):
        return await live.turns.take(live.read_state, lambda state: told(read(state)))
    table = await live.turns.take(live.read_state, lambda state: table_of(encoder, read(state)))
    return await service.pools.reads.run(partial(told, table))
