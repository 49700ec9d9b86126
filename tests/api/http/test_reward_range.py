"""Over HTTP a reward outside of the declared range, or of the one that a policy needs, is refused and not written."""

from __future__ import annotations

from support.served import Served, assert_refused

BETA = {"name": "thompson_beta", "params": {}}
ANY = {"name": "thompson_any", "params": {}}
EUROS = {"range": [-5, 15]}


def test_a_reward_that_no_beta_posterior_can_learn_is_refused(served: Served) -> None:
    created = served.create("beta", policy=BETA).json()
    assert created["reward"] == {"range": [0.0, 1.0]}
    served.decide({"decision_id": "d"}, "beta")
    before = served.everything()
    answer = served.reward("d", 7.3, "beta")
    assert_refused(answer, 422, "bad_reward")
    assert answer.json()["detail"] == (
        "the reward is 7.3: the rewards of this experiment lie in [0, 1]; declare the range that rewards have "
        "(reward.range; in Python reward_range), or none with a policy that takes any, like thompson_any"
    )
    assert served.everything() == before
    assert served.reward("d", 1, "beta").json() == {"status": "accepted"}
