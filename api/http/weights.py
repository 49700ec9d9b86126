"""Which features weigh most in an experiment."""

from __future__ import annotations

from typing import Any

from ...engine.featuriser.desk import desk
from ...engine.protocol import explains
from ..experiment.weights import TOP_MAX, encoder_of, no_weights, on_record, teller, weigh
from ..experiment.weights_schemas import Weights
from ..kinds.arms.kind import ARMS
from ..service.service import Service
from .endpoint import Answer, Call
from .requests import whole_number


async def weights(service: Service, call: Call) -> Answer:
    """Tell the features with the largest weights: of the context, and of each arm.

    Names are those of features that came lately, and of the newest decisions on record. The state is looked at in
    another thread, and rewards wait meanwhile.
    """
    live = service.live(call.path["experiment_id"])
    top = whole_number("top", call.parameter("top") or "50", TOP_MAX)
    encoder, policy = encoder_of(live.spec, top), live.spec.policy
    if live.kind is not ARMS or not explains(policy.params):
        raise no_weights()
    await live.prepare_explanations()
    explain, met, intake = live.explainer, desk().met(), live.spec.intake
    assert explain is not None, "it was compiled"
    arms = [] if intake.per_call else list(live.roster.arms)

    def look(state: Any) -> Weights:
        on_record(service.store, live.row.key, live.seq, intake, live.roster.arms)
        tell = teller(explain, policy.params, state, max(len(arms), 1))
        return weigh(encoder, tell, met | desk().met(), arms, live.roster.labels, top)

    return Answer(200, await live.read_state(look))
