"""The pages of evaluations of an experiment's log: the form, one at work, and its report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

from ....engine.errors import InvalidInput, OnearmError
from ....engine.replay.matching import check_matching
from ...experiment.ids import in_url
from ...offline.drawing import drawing
from ...offline.evaluation import Evaluation
from ...offline.options import INTERVALS
from ...offline.report.about import About
from ...offline.report.frame import Frame, served
from ...service.evaluating import FormQuestion, Printer, Run
from ...service.live import Live
from ...service.service import Service
from ..call import Call
from ..endpoint import Answer, refusal
from ..requests import find
from .asking import BASELINES, INTERVAL, LEARNING, METHOD, OFFERED, command_of, form_question, offer_of, placed, usual
from .rendering import GUARDED, HTML, page, redirect
from .session import form_of

FEATURES_MAX = 20  # that are offered as segments

Page = Callable[[Evaluation, About, Frame], str]  # what makes a page of a report: it loads matplotlib


async def ask(service: Service, call: Call) -> Answer:
    """Show the form, and what was asked before."""
    live = _checked(service, call)
    return await _form(service, call, live, usual(live))


async def begin(service: Service, call: Call) -> Answer:
    """Begin an evaluation, and lead to it; or show the form with what is wrong, at the field."""
    live = _checked(service, call)
    given = form_of(call)
    try:
        await live.committed()
        question = await service.pools.creations.run(form_question, given, live, service.room.limits.one)
        pen = await service.pools.creations.run(drawing)
        run = service.evaluations.start(live.row, question, _printer(call, live, question, pen.page))
    except OnearmError as error:
        return await _form(service, call, live, given, error)
    return redirect(call, f"{_here(call, live)}/{run.number}")


async def show(service: Service, call: Call) -> Answer:
    """Show one: how far it is, its report, or the form that asked for it with what was wrong."""
    row = service.row(call.path["experiment_id"])
    run = service.evaluations.find(row, call.path["number"])
    if run.report is not None:
        return Answer(200, run.report, GUARDED, HTML)
    if run.ended is None:
        return page(call, "evaluation.html", experiment_id=call.caller.called(row.id), run=run)
    return await _form(service, call, _checked(service, call), run.question.given, run.error, run)


async def progress(service: Service, call: Call) -> Answer:
    """Show how far one is; once it has ended the page is to look again."""
    row = service.row(call.path["experiment_id"])
    run = service.evaluations.find(row, call.path["number"])
    answer = page(call, "evaluation_progress.html", experiment_id=call.caller.called(row.id), run=run)
    return answer if run.ended is None else answer._replace(headers=(*answer.headers, (b"hx-refresh", b"true")))


async def cancel(service: Service, call: Call) -> Answer:
    """Stop one, and show the form that asked for it."""
    row = service.row(call.path["experiment_id"])
    run = service.evaluations.find(row, call.path["number"])
    service.evaluations.cancel(run)
    return redirect(call, f"/experiments/{in_url(call.caller.called(row.id))}/evaluations/{run.number}")


def is_judged(live: Live) -> bool:
    """Tell whether the log of an experiment says already what other policies would have earned."""
    return live.problem.choice.why_no_matching is None and live.rewards > 0


def _checked(service: Service, call: Call) -> Live:
    """Return the experiment; raises `InvalidInput` where no other policy can be judged on its log, or not yet."""
    live = service.live(call.path["experiment_id"])
    live.check_usable()
    check_matching(live.problem)
    if not live.rewards:
        called = call.caller.called(live.row.id)
        raise InvalidInput(
            "no_rewards", f"no decision of {called!r} has a reward yet: evaluate it once some were learned"
        )
    return live


def _here(call: Call, live: Live) -> str:
    return f"/experiments/{in_url(call.caller.called(live.row.id))}/evaluations"


def _printer(call: Call, live: Live, question: FormQuestion, page_of: Page) -> Printer:
    """Return what makes the report of an evaluation, for this service and whoever asks."""
    called = call.caller.called(live.row.id)
    here = f"{call.prefix}/experiments/{in_url(called)}"
    way = (("Experiments", f"{call.prefix}/"), (called, here), ("Ask again", f"{here}/evaluations"))
    frame = served(f"{call.prefix}/static/report", f"{call.prefix}/static/favicon.svg", way)
    labels = live.roster.labels
    return partial(_printed, page_of, frame, called, command_of(question, called), labels)


def _printed(page_of: Page, frame: Frame, called: str, command: str, labels: Sequence[str], found: Evaluation) -> bytes:
    """Return the report of an evaluation, as a page."""
    made = datetime.now(UTC).isoformat(" ", "minutes").replace("+00:00", " UTC")
    if not found.rows.labels and len(labels) == found.rows.problem.n_arms:
        found.rows.labels = list(labels)
    about = About(called, "database", command, version("onearm"), made, found.options.seed)
    return page_of(found, about, frame).encode()


async def _form(
    service: Service,
    call: Call,
    live: Live,
    given: Mapping[str, str],
    error: OnearmError | None = None,
    run: Run | None = None,
) -> Answer:
    """Show the form as it was filled in, and what is wrong with it."""
    field, said = ("", "") if error is None else placed(error)
    refused = Answer(200, b"") if error is None or run is not None else refusal(error)
    return page(
        call,
        "evaluations.html",
        refused.status,
        refused.headers,
        experiment_id=call.caller.called(live.row.id),
        offer=await service.pools.creations.run(offer_of, live),
        methods=OFFERED,
        intervals=INTERVALS,
        learning=LEARNING,
        features=await _features(live),
        baselines=BASELINES,
        method=METHOD,
        interval=INTERVAL,
        given=given,
        wrong={field: said} if said else {},
        cancelled=run is not None and run.error is None,
        runs=service.evaluations.of(live.row),
        now=service.evaluations.now,
    )


async def _features(live: Live) -> list[str]:
    """Return what can name segments: features of the newest decision, or places in a context."""
    if live.problem.layout == "dense":
        return [f"context[{place}]" for place in range(min(live.problem.context_shape[0], FEATURES_MAX))]
    if live.problem.layout != "named" or not live.number:
        return []
    newest = (await find(live, f"~{live.number - 1}")).event
    context = json.loads(newest.sent or "{}").get("context")
    return sorted(context)[:FEATURES_MAX] if isinstance(context, dict) else []
