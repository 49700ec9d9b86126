"""The two official clients of Azure Personalizer against a service: what they sent, and whether the answers were right.

Run: python play.py URL KEY, with the Python of the clients' own environment. Prints JSON: {client: {fact: whether}}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from azure.ai.personalizer import PersonalizerAdministrationClient, PersonalizerClient
from azure.cognitiveservices.personalizer import PersonalizerClient as OldClient
from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from msrest.authentication import CognitiveServicesCredentials
from msrest.exceptions import HttpOperationError

N_ACTIONS = 50
CONTEXT = [{"user": {"age": 31, "city": "paris", "tags": ["new", "vip"]}}, {"time": {"hour": 9, "weekend": True}}]
FEATURES = [[{"taste": "sweet" if a % 2 else "salty", "price": a / 10}, {"origin": {"country": f"c{a % 7}"}}] for a in
            range(N_ACTIONS)]  # fmt: skip
IDS = [f"meal-{a}" for a in range(N_ACTIONS)]


def main() -> None:
    """Play everything and print what came of it."""
    url, key = sys.argv[1:]
    print(json.dumps({"cognitiveservices 0.1.1": old_client(url, key), "ai 1.0.0b1": new_client(url, key)}))


def old_client(url: str, key: str) -> dict[str, bool]:
    """Rank, reward and activate with the client of v1.0."""
    client = OldClient(url, CognitiveServicesCredentials(key))

    def rank(**fields: Any) -> Any:
        actions = [RankableAction(id=name, features=row) for name, row in zip(IDS, FEATURES, strict=True)]
        return client.rank(RankRequest(actions=actions, context_features=CONTEXT, **fields))

    first = rank(event_id="old-1", excluded_actions=["meal-3"])
    found = ranked(
        {one.id: one.probability for one in first.ranking}, first.ranking[0].id, first.reward_action_id, "meal-3"
    )
    again = rank(event_id="old-1", excluded_actions=["meal-3"])
    found["the same event has the same answer"] = first.as_dict() == again.as_dict() and again.event_id == "old-1"
    own = rank()
    found["the service gives an event id"] = bool(own.event_id)
    found["a reward of it is taken"] = client.events.reward(own.event_id, 0.5) is None
    found["a second reward is taken"] = client.events.reward("old-1", 1) is client.events.reward("old-1", 0)
    rank(event_id="old-2", defer_activation=True)
    found["a deferred event is activated, twice"] = all(client.events.activate("old-2") is None for _ in range(2))
    found["one that was not is activated as well"] = client.events.activate("old-1") is None
    found["a reward of 2 is refused with 400"] = status_of(lambda: client.events.reward("old-1", 2)) == 400
    wrong = OldClient(url, CognitiveServicesCredentials("oa_wrong"))
    found["a wrong key is refused with 401"] = status_of(lambda: wrong.events.reward("old-1", 0)) == 401
    there = OldClient(f"{url}/x/personalizer", CognitiveServicesCredentials(key))
    found["an endpoint with an experiment is that one"] = there.events.activate("old-2") is None
    nowhere = OldClient(f"{url}/x/nowhere", CognitiveServicesCredentials(key))
    found["one that is not there is refused with 404"] = status_of(lambda: nowhere.events.activate("old-2")) == 404
    return found


def new_client(url: str, key: str) -> dict[str, bool]:
    """Rank one action and several slots, learn as an apprentice, and administrate, with the client of the preview."""
    credential = AzureKeyCredential(key)
    client = PersonalizerClient(url, credential)
    body = {
        "actions": [{"id": name, "features": row} for name, row in zip(IDS, FEATURES, strict=True)],
        "contextFeatures": CONTEXT,
        "excludedActions": ["meal-0"],
    }
    first = client.rank({**body, "eventId": "new-1"})
    found = ranked(
        {one["id"]: one["probability"] for one in first["ranking"]},
        first["ranking"][0]["id"],
        first["rewardActionId"],
        "meal-0",
    )
    found["the same event has the same answer"] = client.rank({**body, "eventId": "new-1"}) == first
    found["a reward is taken"] = client.reward("new-1", {"value": 1.0}) is None
    client.rank({**body, "eventId": "new-2", "deferActivation": True})
    found["a deferred event is activated"] = client.activate("new-2") is None
    other = {**body, "eventId": "new-1", "excludedActions": []}
    found["another body under the same event is refused with 409"] = status_of(lambda: client.rank(other)) == 409
    return found | slots(client, body) | apprentice(url, credential, client, body) | administration(url, credential)


def slots(client: Any, body: dict[str, Any]) -> dict[str, bool]:
    """Fill three slots, reward two of them, activate."""
    shelf = {
        "actions": body["actions"],
        "contextFeatures": CONTEXT,
        "slots": [
            {"id": "top", "baselineAction": "meal-1", "features": [{"size": "large"}], "excludedActions": ["meal-0"]},
            {"id": "middle", "baselineAction": "meal-2", "features": [{"size": "small"}]},
            {"id": "bottom", "baselineAction": "meal-3"},
        ],
    }
    filled = client.rank_multi_slot({**shelf, "eventId": "shelf-1"})
    shown = [slot["rewardActionId"] for slot in filled["slots"]]
    reward = {"reward": [{"slotId": "top", "value": 1.0}, {"slotId": "bottom", "value": 0.0}]}
    client.rank_multi_slot({**shelf, "eventId": "shelf-2", "deferActivation": True})
    twice = {**shelf, "slots": [{**slot, "baselineAction": "meal-1"} for slot in shelf["slots"]]}
    return {
        "slots come in their order": [slot["id"] for slot in filled["slots"]] == ["top", "middle", "bottom"],
        "no action is in two slots, nor where it is excluded": len(set(shown)) == 3 and shown[0] != "meal-0",
        "the same list has the same answer": client.rank_multi_slot({**shelf, "eventId": "shelf-1"}) == filled,
        "slots are rewarded": client.reward_multi_slot("shelf-1", reward) is None,
        "a deferred list is activated": client.activate_multi_slot("shelf-2") is None,
        "two slots with one baseline are refused with 400": status_of(lambda: client.rank_multi_slot(twice)) == 400,
    }


def apprentice(url: str, credential: Any, client: Any, body: dict[str, Any]) -> dict[str, bool]:
    """Switch to apprentice mode and back."""
    administrator = PersonalizerAdministrationClient(url, credential)
    told = administrator.update_service_configuration({"learningMode": "Apprentice"})
    shown = client.rank({**body, "eventId": "apprentice-1"})
    client.reward("apprentice-1", {"value": 0.5})
    free = administrator.update_service_configuration({"learningMode": "Online"})
    return {
        "apprentice mode is told": told["learningMode"] == "Apprentice",
        "an apprentice shows the first action that is not excluded": shown["rewardActionId"] == "meal-1",
        "its answer stays the same once it is free": client.rank({**body, "eventId": "apprentice-1"}) == shown,
        "it decides again": free["learningMode"] == "Online"
        and len({client.rank({**body, "eventId": f"free-{i}"})["rewardActionId"] for i in range(20)}) > 1,
    }


def administration(url: str, credential: Any) -> dict[str, bool]:
    """Read and write what an administrator may, and ask for what is not built."""
    administrator = PersonalizerAdministrationClient(url, credential)
    fresh = PersonalizerAdministrationClient(f"{url}/x/fresh", credential)
    planned = {
        "rewardWaitTime": "PT5M",
        "defaultReward": 0.25,
        "rewardAggregation": "sum",
        "explorationPercentage": 0.2,
    }
    made = fresh.update_service_configuration(planned)
    policy = administrator.get_policy()
    squarecb = administrator.update_policy({"name": "squarecb", "arguments": "{}"})
    return {
        "a configuration makes an experiment": all(made[name] == value for name, value in planned.items())
        and fresh.get_service_configuration() == made,
        "another wait is refused with 409": status_of(
            lambda: fresh.update_service_configuration({"rewardWaitTime": "PT6M"})
        )
        == 409,
        "the policy is another one": squarecb["name"] == "squarecb" and administrator.reset_policy() == policy,
        "the model is exported": len(b"".join(administrator.export_model())) > 100,
        "the model has times": set(administrator.get_model_properties()) == {"creationTime", "lastModifiedTime"},
        "the log has times": set(administrator.get_log_properties()["dateRange"]) == {"from", "to"},
        "feature importance is refused with 501": status_of(lambda: administrator.get_feature_importance("one")) == 501,
        "evaluations are refused with 501": status_of(lambda: list(administrator.list_evaluations())) == 501,
        "a wrong key is an error of the client's own": _is_refused(url),
    }


def _is_refused(url: str) -> bool:
    try:
        PersonalizerAdministrationClient(url, AzureKeyCredential("oa_wrong")).get_policy()
    except ClientAuthenticationError:
        return True
    return False


def ranked(probabilities: dict[str, float], first: str, shown: str, excluded: str) -> dict[str, bool]:
    """Check the answer to a rank of 50 actions, of which one is excluded."""
    return {
        "all actions are ranked": sorted(probabilities) == sorted(IDS),
        "the first is the one to show": first == shown != excluded,
        "probabilities add up to 1": abs(sum(probabilities.values()) - 1.0) < 1e-6,
        "the excluded one has none, the shown one has some": probabilities[excluded] == 0.0 < probabilities[shown],
    }


def status_of(call: Callable[[], Any]) -> int | None:
    """Return the status with which a call is refused, None where it is not."""
    try:
        call()
    except HttpResponseError as error:
        return error.status_code
    except HttpOperationError as error:
        return error.response.status_code
    return None


if __name__ == "__main__":
    main()
