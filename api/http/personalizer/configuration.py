"""The service configuration and the learning settings, as an experiment has them.

What an experiment was made with never changes. So a configuration that is put before the first rank makes it, and later
the learning mode alone can be another one, which is the part that its policy plays.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ....engine.errors import Conflict, InvalidInput, NotFound
from ...experiment.lineup import leader
from ...kinds.arms.problem import exploring_policy
from ...service.live import Live
from ...service.service import Service
from .. import lineup
from ..audit import audited
from ..bodies import read
from ..call import Call
from ..endpoint import Answer, encode
from ..requests import iso
from .errors import refuse
from .made import REWARD, create

OURS = {"average": "mean"}  # aggregations that have another name here
THEIRS = {ours: theirs for theirs, ours in OURS.items()}
AT_ONCE = "PT0S"
KEPT = -1  # days: for ever
DURATION = re.compile(r"P(?:([0-9]{1,3})D)?(?:T(?:([0-9]{1,4})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8})S)?)?")
IN_SECONDS = (86_400, 3_600, 60, 1)
Mode = Literal["Online", "Apprentice", "LoggingOnly"]


class ServiceConfiguration(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What Personalizer calls the configuration of a service; what is left out stays as it is."""

    reward_wait_time: str | UnsetType | None = UNSET  # ISO 8601
    default_reward: float | UnsetType | None = UNSET
    reward_aggregation: str | UnsetType | None = UNSET
    exploration_percentage: float | UnsetType | None = UNSET  # null where the policy has no such share
    model_export_frequency: str | UnsetType = UNSET
    model_retrain_days: int | UnsetType = UNSET
    log_retention_days: int | UnsetType = UNSET
    learning_mode: Mode | UnsetType = UNSET
    is_auto_optimization_enabled: bool | UnsetType | None = UNSET
    log_mirror_enabled: bool | UnsetType | None = UNSET
    last_configuration_edit_date: str | UnsetType | None = UNSET  # is told, and not read
    auto_optimization_frequency: str | UnsetType | None = UNSET
    auto_optimization_start_date: str | UnsetType | None = UNSET
    log_mirror_sas_uri: str | UnsetType | None = UNSET


class LearningSettings(msgspec.Struct, forbid_unknown_fields=True):
    """A policy: its name, and its params as JSON."""

    name: str
    arguments: str = "{}"


TOLD = ("last_configuration_edit_date",)
AT_CREATION = ("reward_wait_time", "default_reward", "reward_aggregation", "exploration_percentage")
_configuration = msgspec.json.Decoder(ServiceConfiguration)
_settings = msgspec.json.Decoder(LearningSettings)
_assign, _add = map(audited, (lineup.assign_policy, lineup.add_policy))


async def read_service(service: Service, call: Call) -> Answer:
    """Tell the configuration; before the first rank that with which it will be made."""
    live = _found(service, call)
    return Answer(200, _unmade() if live is None else _of(live))


async def write_service(service: Service, call: Call) -> Answer:
    """Make the experiment so, or change what may be changed of it."""
    said = read(_configuration, call.body, "the configuration")
    live = _found(service, call)
    now = _unmade() if live is None else _of(live)
    other = {field for field in said.__struct_fields__ if field not in TOLD and _differs(said, now, field)}
    if fixed := sorted(other - {*AT_CREATION, "learning_mode"}):
        told = getattr(now, fixed[0])
        refuse(f"another {_camel(fixed[0])}", f"here it is {'left out' if told is UNSET else told}; leave it out")
    if said.learning_mode == "LoggingOnly":
        refuse("the learningMode LoggingOnly", "take Apprentice, which shows your own action and learns beside it")
    changed = sorted(other & {*AT_CREATION})
    if live is not None and changed:
        raise Conflict(
            "experiment_exists",
            f"{_camel(changed[0])} is {getattr(said, changed[0])}, and the experiment was made with "
            f"{getattr(now, changed[0])}, which never changes: configure another one, by the endpoint /x/NAME",
        )
    if live is None:
        live = await create(service, call, _body(said))
    if said.learning_mode is not UNSET and said.learning_mode != _mode(live):
        part: dict[str, Any] = {"role": "live"}
        if said.learning_mode == "Apprentice":
            part = {"role": "apprentice", "learn_from": "agreement"}
        await _assign(service, _of_policy(call, leader(live.members).policy, part))
    return Answer(200, _of(live))


async def read_policy(service: Service, call: Call) -> Answer:
    """Tell the policy that decides, and its params."""
    return Answer(200, _settings_of(service.live(call.path["experiment_id"])))


async def write_policy(service: Service, call: Call) -> Answer:
    """Let another policy have the part of the one that decides, knowing nothing; whoever had it goes on as a shadow.

    The one that has the part already keeps it, and what it learned.
    """
    said, live = read(_settings, call.body, "the policy"), service.live(call.path["experiment_id"])
    try:
        params = msgspec.json.decode(said.arguments or "{}", type=dict[str, Any])
    except msgspec.DecodeError:
        refuse(
            "a policy with arguments that are no JSON object, as those of Vowpal Wabbit,",
            'name one of ours (onearm policies) with its params, as {"name": "squarecb", "arguments": "{}"}',
        )
    body = {"policy": {"name": said.name, "params": params}, **_part(live)}
    await _add(service, call._replace(body=encode(body)))
    return Answer(200, _settings_of(live))


async def reset_policy(service: Service, call: Call) -> Answer:
    """Give the part back to the policy with which the experiment was made; it went on learning."""
    live = service.live(call.path["experiment_id"])
    if leader(live.members).policy != 0:
        await _assign(service, _of_policy(call, 0, _part(live)))
    return Answer(200, _settings_of(live))


def _found(service: Service, call: Call) -> Live | None:
    try:
        return service.live(call.path["experiment_id"])
    except NotFound:
        return None


def _part(live: Live) -> dict[str, Any]:
    """Return the part of the policy that decides, or would, as clients say it: the learning mode."""
    first = leader(live.members)
    return {"role": first.role, "learn_from": first.learn_from}


def _of_policy(call: Call, number: int, body: dict[str, Any]) -> Call:
    return call._replace(path={**call.path, "policy": str(number)}, body=encode(body))


def _settings_of(live: Live) -> LearningSettings:
    spec = leader(live.members).spec
    return LearningSettings(spec["name"], encode(spec["params"]).decode())


def _unmade() -> ServiceConfiguration:
    """Return the configuration of an experiment that will be made."""
    return _told(_seconds_of(REWARD["wait_time"]), REWARD["default"], REWARD["aggregation"])


def _of(live: Live) -> ServiceConfiguration:
    """Return the configuration with which an experiment was made; without a window it waits for no reward."""
    window = live.created.window
    found = _told(0, None, "earliest") if window is None else _told(window.wait // 10**6, *window[1:3])
    found.exploration_percentage = live.created.policy.spec["params"].get("epsilon")
    found.learning_mode, found.last_configuration_edit_date = _mode(live), iso(live.row.created_at)
    return found


def _told(seconds: int, default: float | None, aggregation: str) -> ServiceConfiguration:
    return ServiceConfiguration(
        _duration(seconds),
        default,
        THEIRS.get(aggregation, aggregation),
        None,
        AT_ONCE,
        0,
        KEPT,
        "Online",
        False,
        False,
    )


def _mode(live: Live) -> Mode:
    return "Apprentice" if live.is_apprentice else "Online"


def _body(said: ServiceConfiguration) -> dict[str, Any]:
    """Return what a configuration says of a new experiment."""
    reward = dict(REWARD)
    if said.reward_wait_time:
        reward["wait_time"] = f"{_seconds(said.reward_wait_time)}s"
    if said.default_reward is not None and said.default_reward is not UNSET:
        reward["default"] = said.default_reward
    if said.reward_aggregation:
        reward["aggregation"] = OURS.get(said.reward_aggregation, said.reward_aggregation)
    share = said.exploration_percentage
    explored = {} if share is None or share is UNSET else {"policy": exploring_policy(share)}
    return {"reward": reward, **explored}


def _differs(said: ServiceConfiguration, now: ServiceConfiguration, field: str) -> bool:
    """Tell whether a configuration says something else than there is; null says nothing."""
    value, there = getattr(said, field), getattr(now, field)
    if value is None or value is UNSET:
        return False
    return bool(_seconds(value) != _seconds(there) if field == "reward_wait_time" else value != there)


def _seconds(text: str) -> int:
    """Return the seconds of a duration of ISO 8601.

    >>> _seconds("PT10M"), _seconds("P1DT1S")
    (600, 86401)
    """
    found = DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise InvalidInput(
            "bad_window", f"rewardWaitTime is {text[:40]!r}: it must be a duration of whole seconds, such as PT10M"
        )
    return sum(int(number or 0) * unit for number, unit in zip(found.groups(), IN_SECONDS, strict=True))


def _duration(seconds: int) -> str:
    """Return seconds as a duration of ISO 8601.

    >>> _duration(600), _duration(90_061), _duration(0)
    ('PT10M', 'P1DT1H1M1S', 'PT0S')
    """
    days, rest = divmod(seconds, IN_SECONDS[0])
    hours, rest = divmod(rest, 3_600)
    minutes, last = divmod(rest, 60)
    time = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M"), (last, "S")) if number)
    date = f"P{days}D" if days else "P"
    return f"{date}T{time}" if time else date if days else AT_ONCE


def _seconds_of(wait_time: str) -> int:
    """Return the seconds of one of our own wait times."""
    return _seconds(f"PT{wait_time.upper()}")


def _camel(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)
