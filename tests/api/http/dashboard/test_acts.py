"""What an admin does on pages is what the API does: with its rules, its refusals, and the audit log."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from support.served import Served


def do(served: Served, deed: str, experiment_id: str = "e", **fields: str) -> Any:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = urlencode(fields).encode()
    return served.client.post(
        f"/experiments/{experiment_id}/act/{deed}", content=body, headers=headers, follow_redirects=False
    )


def roles(served: Served) -> dict[int, str]:
    return {one["policy"]: one["role"] for one in served.get("/v1/experiments/e/policies").json()["policies"]}


def test_policies_join_are_promoted_and_retired(served: Served) -> None:
    served.create("guarded", reward={"range": [0, 1]})
    canary = {"policy": "exp3_ix", "role": "canary", "percent": "25"}
    assert do(served, "join", "guarded", **canary, guard="1").status_code == 303
    told = served.get("/v1/experiments/guarded/policies").json()["policies"][1]
    assert (told["role"], told["share"], told["guard"]["against"]) == ("canary", 0.25, "live")
    assert "promoted once it is surely worth more than live" in served.get("/experiments/guarded").text
    assert do(served, "join", **canary).status_code == 303
    page = served.get("/experiments/e").text
    assert "Promote exp3_ix #1" in page and "decides from the next decision on, in place of" in page
    answer = do(served, "promote", policy="1", former="control")
    assert answer.headers["location"] == "/experiments/e?done=promote"
    assert roles(served) == {0: "control", 1: "live"}
    assert "Done: it is live now." in served.get(answer.headers["location"]).text
    assert "Done" not in served.get("/experiments/e?done=send+your+key+to+me").text
    assert do(served, "retire-policy", policy="0").status_code == 303
    assert roles(served) == {1: "live"}
    refused = do(served, "retire-policy", policy="1")
    assert refused.status_code == 409 and "<h1>Conflict</h1>" in refused.text
    actions = [one["action"] for one in served.get("/v1/audit").json()["deeds"]]
    assert actions[:3] == ["lineup.retire_policy", "lineup.promote_policy", "lineup.add_policy"]


def test_what_was_learned_is_rolled_back_to_a_seq_or_a_moment(served: Served) -> None:
    before = served.get("/v1/experiments/e").json()["digest"]
    for _ in range(3):
        served.reward(served.decide().json()["decision_id"], 1.0)
    assert do(served, "roll-back", seq="0").status_code == 303
    assert served.get("/v1/experiments/e").json()["digest"] == before
    later = served.decide().json()["decision_id"]
    served.reward(later, 1.0)
    moment = served.get(f"/v1/experiments/e/decisions/{later}").json()["time"].removesuffix("+00:00")
    assert do(served, "roll-back", moment=moment, seq="1").status_code == 303
    assert served.get("/v1/experiments/e").json()["digest"] == before
    for wrong in ({"seq": "-1"}, {"seq": "x"}, {"seq": "99"}, {"moment": "soon"}, {"moment": "2020-01-01"}):
        assert do(served, "roll-back", **wrong).status_code == 422, wrong
    for said in ("inf", "nan", "1e999", "1.9", "1_0", "", "9" * 5000, str(2**53 + 1)):
        answer = do(served, "roll-back", seq=said)
        assert answer.status_code == 422 and said[:40] in answer.text, said
    assert served.get("/v1/experiments/e").json()["digest"] == before


@pytest.mark.parametrize("percent", ["inf", "nan", "", "1e999", "ten"])
def test_a_share_that_is_no_number_is_refused(served: Served, percent: str) -> None:
    assert do(served, "join", policy="exp3_ix", role="canary", percent=percent).status_code == 422
    assert roles(served) == {0: "live"}


def test_the_timeline_of_a_rollback_has_moments_that_it_takes(served: Served) -> None:
    served.reward(served.decide().json()["decision_id"], 1.0)
    pace, live = served.service.pace, served.service.live("e")
    pace._traces.clear()
    pace._at.clear()
    pace.follow([live])
    page = served.get("/experiments/e").text
    moments = [html.unescape(one) for one in re.findall(r'<option value="(\d{4}-[^"]*)">', page)]
    assert moments
    assert do(served, "roll-back", moment=moments[0], seq="1").status_code == 303


def test_arms_join_and_retire_and_an_experiment_is_archived_and_restored(served: Served) -> None:
    assert do(served, "add-arm", arm_id="d").status_code == 303
    assert do(served, "retire-arm", arm_id="a").status_code == 303
    told = served.get("/v1/experiments/e").json()
    assert ([arm["id"] for arm in told["arms"]], told["retired_arms"]) == (["a", "b", "c", "d"], ["a"])
    offered = re.search(r'<option value="([^"]*)">a</option>', served.get("/experiments/e").text)
    assert offered is not None
    assert do(served, "restore-arm", arm=html.unescape(offered[1])).status_code == 303
    assert served.get("/v1/experiments/e").json()["retired_arms"] == []
    page = served.get("/experiments/e?done=restore-arm").text
    assert "it can be chosen again" in page and "act/restore-arm" not in page
    assert do(served, "archive").status_code == 303
    page = served.get("/experiments/e").text
    assert ">Restore</button>" in page and "act/archive" not in page
    assert do(served, "restore").status_code == 303
    assert served.decide().status_code == 201


@pytest.mark.parametrize("deed", ["delete", "commit", "..%2Fkeys"])
def test_what_is_no_act_is_not_found(served: Served, deed: str) -> None:
    assert do(served, deed).status_code == 404


def test_a_key_is_made_shown_once_and_revoked_on_the_page_of_keys(served: Served) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}

    def post(path: str, **fields: str) -> Any:
        return served.client.post(path, content=urlencode(fields).encode(), headers=headers)

    assert "No keys yet" in served.get("/keys").text and "No backup was ever made" in served.get("/keys").text
    first = post("/keys", name="web", role="write")
    assert first.status_code == 409 and "this is the first key" in html.unescape(first.text)
    made = post("/keys", name="me", role="admin")
    key = re.findall("oa_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", made.text)[0]
    assert served.get("/keys").status_code == 401
    headers["authorization"] = f"Bearer {key}"
    page = served.client.get("/keys", headers=headers).text
    assert key not in page and key.split("_")[1] in page and "yours" in page
    other = post("/keys", name="web <b>", role="write", tenant="shop", experiments="ban*", days="30")
    text = re.findall("oa_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", other.text)[0]
    listed = served.client.get("/v1/keys", headers=headers).json()["keys"][1]
    assert (listed["tenant"], listed["roles"], listed["experiments"]) == ("shop", ["write"], "ban*")
    assert "web &lt;b&gt;" in other.text
    assert "new key" in post(f"/keys/{text.split('_')[1]}/rotate").text
    assert "has ended" in post(f"/keys/{text.split('_')[1]}/revoke").text
    assert post("/keys", name="x", role="king").status_code == 422
    n = len(served.client.get("/v1/keys", headers=headers).json()["keys"])
    for days in ("inf", "nan", "1e308", "1e999", "-1", "ten"):
        refused = post("/keys", name="x", role="admin", days=days)
        assert refused.status_code == 422 and "<h1>Keys" in refused.text, days
    assert len(served.client.get("/v1/keys", headers=headers).json()["keys"]) == n, "no key without an end was made"
