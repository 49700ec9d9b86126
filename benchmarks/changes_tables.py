"""Tables of what is earned in worlds that change: from results/changes.json."""

from __future__ import annotations

from typing import Any

from table_text import drawn, machine_line, markdown, said

WHO = ("default", "stationary_default", "told", "best_half_life", "vw_best")


def changes(result: dict[str, Any]) -> str:
    """Show what is earned in each world, what watching costs, what is noticed of arms not played, and the plots."""
    parts = [
        *drawn(result),
        f"Means of {result['seeds']} runs: what the arms are worth that are played, a decision. `default` is "
        "`adaptive` around `stationary_default`, which is `fourier_softmax`, and without contexts "
        "`thompson_any`; `told` begins anew when the world changes, and goes on where a world comes again:",
        _worlds(result["worlds"]),
        _chosen(result["worlds"]),
        "Where nothing changes:",
        _lost(result["nothing_lost"]),
        "Changes found where there are none:",
        _alarms(result["false_alarms"]),
        "Decisions until an arm is played that paid .2 and comes to pay more than the best by so much (in half of the "
        "runs, and in nine tenths), by `look`; and what looking costs where nothing changes:",
        _looked(result["look"]),
        "What the watch costs: of the steps a second, and of a decision and its reward that are served:",
        _speed(result["speed"]),
        said(result),
        machine_line(result["machine"]),
    ]
    return "\n\n".join(parts)


def _worlds(worlds: dict[str, Any]) -> str:
    rows = [["world", "part", *(f"`{name}`" for name in WHO)]]
    for name, of in worlds.items():
        for i, part in enumerate(of["parts"]):
            rows.append([name if i == 0 else "", part, *(f"{of[who][i]:.3f}" for who in WHO)])
    return markdown(rows)


def _chosen(worlds: dict[str, Any]) -> str:
    rows = [["world", "best half-life", "Vowpal Wabbit's best"]]
    for name, of in worlds.items():
        rows.append([name, of["chosen"]["best_half_life"], f"`{of['chosen']['vw_best']}`"])
    return markdown(rows)


def _lost(found: dict[str, Any]) -> str:
    rows = [["earned a decision", "with the watch", "without", "less by"]]
    for name, of in found.items():
        less = f"{of['lost']:.5f} ± {of['stderr']:.5f}"
        rows.append([name, f"{of['default']:.4f}", f"{of['stationary']:.4f}", less])
    return markdown(rows)


def _alarms(found: list[dict[str, Any]]) -> str:
    rows = [["policy inside", "world", "runs", "decisions of each", "runs with a false alarm"]]
    for row in found:
        rows.append([f"`{row['policy']}`", row["world"], f"{row['runs']}", f"{row['plays']:,}", f"{row['alarmed']}"])
    return markdown(rows)


def _looked(found: list[dict[str, Any]]) -> str:
    gains = [name for name in found[0] if name.startswith("gain ")]
    rows = [["`look`", *gains, "regret of 100,000 decisions without a change"]]
    for row in found:
        times = [row[gain] for gain in gains]
        cells = [f"{time['median']:,.0f}; {_within(time, row['plays'])}" for time in times]
        rows.append([f"{row['look']:g}", *cells, f"{row['regret_where_nothing_changes']:.0f}"])
    return markdown(rows)


def _within(time: dict[str, float], plays: int) -> str:
    return f"{time['ninth_tenth']:,.0f}" if time["ninth_tenth"] < plays else f"over {plays:,}"


def _speed(found: dict[str, Any]) -> str:
    rows = [["policy inside", "of the steps", "from Python", "by HTTP"]]
    for name, of in found["steps"].items():
        served = [found[way][name] for way in ("python_us", "http_us")]
        cells = [f"{each['plain']:.1f} us, {each['more']:+.1f}" for each in served]
        rows.append([f"`{name}`", f"{of['ratio']:.2f}", *cells])
    return markdown(rows)
