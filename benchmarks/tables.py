"""Write the tables of the README and docs/ from benchmarks/results/*.json: python benchmarks/tables.py [--check].

A table stands between `<!-- table:NAME -->` and `<!-- /table -->`, and what was there is replaced. It is made from
NAME.json; so is the table NAME-PART. The table `short` is made from several files. With --check nothing is written, and
the exit code is 1 where a table is not what its results say.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from active_tables import active, active_more
from alone_tables import neighbours, soak
from budgets_tables import budgets
from changes_tables import changes
from defaults_tables import defaults
from evaluate_tables import coverage, evaluate_speed, evaluate_speed_more, propensity_alarms
from lists_tables import lists
from lives_tables import lives
from loop_tables import loop
from scale_tables import cluster_costs, cluster_faults, cluster_takeover, publish, scale, sweep_dask, workers
from short_table import FILES, short
from solver_tables import solver_speed, sor, sor_heat, sor_more
from table_text import machine_line, markdown, plus_minus
from unseen_tables import unseen
from vector_tables import oomd, oomd_more

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
RESULTS = Path(__file__).resolve().parent / "results"
PLACE = re.compile(r"(<!-- table:([\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def regret(result: dict[str, Any]) -> str:
    """Show what five policies lost, the least first, beside playing at random."""
    means, horizon = result["means"], result["horizon"]
    rows = [["policy", f"rewards lost in {horizon:,} decisions"]]
    for name, found in sorted(result["policies"].items(), key=lambda item: item[1]["last"]):
        rows.append([f"`{name}`", f"{found['last']:,.0f} ± {found['stderr']:.0f}"])
    at_random = horizon * sum(means[0] - mean for mean in means) / len(means)
    rows.append(["an arm at random, by the means", f"{at_random:,.0f}"])
    runs = f"Means of {result['replications']} runs with their standard errors; the arms' means are "
    runs += f"{', '.join(map(str, means))}."
    return "\n\n".join([markdown(rows), runs, machine_line(result["machine"])])


def speed(result: dict[str, Any]) -> str:
    """Show steps per second beside C and the fastest other library, then the figures that stand alone."""
    rows = [["policy", "steps/s", "of C -O3", "fastest Python peer", "times the peer"]]
    for name, found in result["simulate"].items():
        peer = fastest_peer(name, result["peers"])
        rows.append(
            [
                f"`{name}`",
                f"{found['onearm'] / 1e6:.1f} M",
                "-" if found["ratio"] is None else f"{found['ratio']:.2f}",
                "-" if peer is None else f"{peer[0]}: {peer[1] / 1e6:.3f} M",
                "-" if peer is None else f"{found['onearm'] / peer[1]:.0f}",
            ]
        )
    call, start, replications = result["call_us"], result["start"], result["replications"]
    alone = [
        ["what", "measured"],
        [
            "a call of the compiled `loop.decide` / `loop.learn`, not through `onearm.open`",
            f"{call['decide']:.2f} / {call['learn']:.2f} us",
        ],
        [
            f"{replications['replications']} replications, {replications['threads']} threads against one",
            f"{replications['speed_up']:.2f} times as fast",
        ],
        ["loops compiled by a second process", f"{result['compilations_of_second_process']}"],
        ["`onearm --help`", f"{start['help']:.2f} s of CPU"],
        ["`onearm simulate` to its first step, warm", f"{start['simulate']:.2f} s of CPU"],
    ]
    return "\n\n".join([markdown(rows), markdown(alone), machine_line(result["machine"])])


def python_interface(result: dict[str, Any]) -> str:
    """Show pairs of decide and learn a second beside river, what whole batches take, and what was missed."""
    rows = [["`engine.decide()`, then `engine.learn()`", "pairs/s", f"river {result['river']}", "times river"]]
    missed = []
    for name, found in result["pairs"].items():
        river, ratio = found["river"], found["ratio"]
        beside = ["-", "-"] if river is None else [f"{river:,.0f}", f"{ratio:.1f}"]
        rows.append([f"`{name}`", f"{found['onearm']:,.0f}", *beside])
        if found["onearm"] < found["asked"]:
            missed.append(f"`{name}`: {found['onearm']:,.0f} pairs/s, where {found['asked']:,.0f} were asked")
    many = [["`engine.decide_many()`, `engine.learn_many()`", "decisions/s", "rewards/s", "decisions, of C -O3"]]
    for name, found in result["many"].items():
        of_c = f"{found['ratio']:.2f}" if "ratio" in found else "-"
        many.append([f"`{name}`", f"{found['decide'] / 1e6:.1f} M", f"{found['learn'] / 1e6:.1f} M", of_c])
    words = (
        "Ten arms; `linucb` has contexts of 32 numbers, in batches without scaling, as C. What was to be reached grows "
    )
    words += f"with river's speed, which is {result['river_speed']:.2f} times that on the machine where it was set"
    words += "\n- ".join([". Missed:\n", *missed]) if missed else "; all of it is."
    return "\n\n".join([markdown(rows), markdown(many), words, machine_line(result["machine"])])


def durable(result: dict[str, Any]) -> str:
    """Show pairs a second of an engine with a log, by how often it commits, and what the disk takes."""
    rows = [["`commit=`", *(f"`{name}`, pairs/s of CPU" for name in result["policies"]), "of the clock"]]
    first = next(iter(result["policies"]))
    for commit in result["policies"][first]:
        rates = [found[commit]["cpu"] for found in result["policies"].values()]
        shown = {"memory": "no log"}.get(commit, f"`{commit}`" if commit.isdecimal() else f'`"{commit}"`')
        rows.append([shown, *(f"{rate:,.0f}" for rate in rates), f"{result['policies'][first][commit]['clock']:,.0f}"])
    singly, disk, ratio = result["commits"], result["syncs"], result["of_the_disk"]
    words = (
        f"Ten arms, SQLite; the clock is that of `{first}`. Where each call is "
        f"committed the engine made {singly:,.0f} commits a second, and the disk took {disk:,.0f} pages with an "
        f"`fdatasync` each, in turns: {ratio:.2f} of it. In batches of 100 and 1000 at least {result['asked']:,} pairs "
        f"a second of CPU were asked for, and the least is {result['least']:,.0f}."
    )
    return "\n\n".join([markdown(rows), words, machine_line(result["machine"])])


def service(result: dict[str, Any]) -> str:
    """Show the cost and the latency of the service's answers beside a bare endpoint's."""
    ratios, many = result["ratios"], str(result["connections"])
    rows = [["request", "connections", "CPU us", "of a bare FastAPI endpoint", "a second", "p50 ms", "p99 ms"]]
    for label, what, connections in (
        ("plain", "decide, no context", many),
        ("context", "decide, 32 numbers of context", many),
        ("state", "decide, in one of 20 states", many),
        ("actions", "decide, ten actions of 32 numbers, `linucb`", many),
        ("batch", "a batch of 100 of these", "4"),
        ("reward", "reward", many),
        ("one", "decide, no context", "1"),
    ):
        found = result[label]
        ratio = f"{ratios[label]:.2f}" if label in ratios else "-"
        times = [f"{found['p50_ms']:.1f}", f"{found['p99_ms']:.1f}"]
        rows.append([what, connections, f"{found['cpu_us']:.0f}", ratio, f"{found['per_second']:,.0f}", *times])
    words = f"A state takes {result['state_cost']:.2f} of the CPU of the same decision without one. "
    words += f"In batches of 100 a CPU second decides {result['batch_gain']:.1f} times as many. "
    if "postgres" in ratios:
        words += f"With PostgreSQL on the same machine {ratios['postgres']:.2f} times as many are answered a second. "
    words += f"One fdatasync took {result['fdatasync_ms']:.2f} ms: with one connection the median answer takes "
    words += f"{result['p50_beyond_fdatasync_ms']:.2f} ms more, commit included; "
    words += f"the bare endpoint, which stores nothing, answers in {result['bare_one']['p50_ms']:.2f} ms."
    return "\n\n".join([markdown(rows), words, machine_line(result["machine"])])


def log(result: dict[str, Any]) -> str:
    """Show how fast the log is read."""
    recovery, replay = result["recovery"], result["replay"]
    rows = [
        ["reading the log", "per second of CPU"],
        [
            f"recovery: fold {recovery['events']:,} events from SQLite, contexts of {recovery['context']} numbers",
            f"{recovery['events_per_second']:,.0f} events",
        ],
        [
            f"replay of UCB1 on {replay['rows']:,} rows of Parquet, reading included",
            f"{replay['events_per_second'] / 1e6:.1f} M rows",
        ],
    ]
    return "\n\n".join([markdown(rows), machine_line(result["machine"])])


def sizes(result: dict[str, Any]) -> str:
    """Show what a decision takes on the disk, and what an experiment and the service take of memory."""
    rows = [["an experiment with the default policy", "a million decisions with rewards, on the disk", "state"]]
    for row in result["rows"]:
        state = row["state_bytes"]
        shown = f"{state / 1e6:.1f} MB" if state >= 1e6 else f"{state / 1e3:.0f} kB"
        rows.append([row["what"], f"{row['pair_bytes'] / 1e3:.2f} GB", shown])
    memory = f"The process itself takes {result['started_bytes'] / 1e6:.0f} MB of memory."
    return "\n\n".join([markdown(rows), memory, machine_line(result["machine"])])


def compacting(result: dict[str, Any]) -> str:
    """Show what a compaction leaves of a decision with its reward, and what its archive takes."""
    rows = [["an experiment with the default policy", "before", "compacted", "after VACUUM", "in the archive"]]
    for row in result["rows"]:
        sizes = (row[name] for name in ("before", "after", "anew", "archive"))
        rows.append([row["what"], *(f"{size:,.0f} bytes" for size in sizes)])
    slowest = max(result["rows"], key=lambda row: row["done_us"])
    took = (
        f"Of a decision with its reward, of {result['decisions']:,} each. Idle, of {slowest['what']}, the "
        f"answer came after {slowest['answered_us']:.0f} us for each of them, and all was slim after "
        f"{slowest['done_us']:.0f} us."
    )
    return "\n\n".join([markdown(rows), took, machine_line(result["machine"])])


def law(result: dict[str, Any]) -> str:
    """Show what a decision by the exact law costs, by the number of arms."""
    found = result["decision_us"]
    rewards = list(next(iter(found.values())))
    rows = [["arms", *(f"us a decision after {int(n):,} rewards an arm" for n in rewards)]]
    rows += [[k, *(f"{times[n]:.0f}" for n in rewards)] for k, times in found.items()]
    return "\n\n".join([markdown(rows), machine_line(result["machine"])])


def first_answer(result: dict[str, Any]) -> str:
    """Show what the first answer takes where nothing is compiled, and what compiling costs."""
    rows = [["what", "first decision after", "CPU with an empty cache", "CPU with a full one"]]
    for row in result["rows"]:
        answered = row["first_decision_ms"]
        cpu = (f"{row[field]:.2f} s" for field in ("cold_cpu_s", "warm_cpu_s"))
        rows.append([row["what"], "-" if answered is None else f"{answered:.0f} ms", *cpu])
    return "\n\n".join([markdown(rows), machine_line(result["machine"])])


def contextual(result: dict[str, Any]) -> str:
    """Show what contextual policies earn beside Vowpal Wabbit, then how fast they are beside C and others."""
    sets = result["sets"]
    names = list(dict.fromkeys(name for rows in sets.values() for name in rows))
    earned = [["mean reward of one pass", *sets, "mean of the first five"]]
    for name in names:
        cells = [f"{rows[name][0]:.3f} ± {rows[name][1]:.3f}" if name in rows else "-" for rows in sets.values()]
        mean = result["mean"].get(name)
        earned.append([f"`{name}`", *cells, f"{mean[0]:.3f} ± {mean[1]:.3f}" if mean else "-"])
    margins = [
        f"{dataset} {difference:+.3f} ({errors:+.1f} standard errors)"
        for dataset, (difference, errors) in result["margin"].items()
    ]
    beside = f"`default` beside `vw_best`: {', '.join(margins)}." if margins else "Vowpal Wabbit is missing."
    speeds = [["speed", "a second", "of C -O3", "of NumPy's BLAS", "times the fastest peer", "times Vowpal Wabbit"]]
    for task, found in result["speed"].items():
        peers = {name: peer["times"] for name, peer in found.get("peers", {}).items() if peer}
        nearest = min(peers, key=lambda name: peers[name], default=None)
        vw = found.get("vw", {}).get("times", {})
        speeds.append(
            [
                f"`{task}`",
                f"{found['onearm'] / 1e6:.2f} M",
                *(f"{found['ratio'][rival]:.2f}" if rival in found["ratio"] else "-" for rival in ("c", "blas")),
                "-" if nearest is None else f"{nearest}: {peers[nearest]:.0f}",
                ", ".join(f"{form}: {times:.0f}" for form, times in vw.items()) or "-",
            ]
        )
    return "\n\n".join([markdown(earned), beside, markdown(speeds), machine_line(result["machine"])])


def sparse(result: dict[str, Any]) -> str:
    """Show how often policies choose wrongly on named features beside Vowpal Wabbit, and learn categories."""
    sets = result["sets"]
    names = list(dict.fromkeys(name for rows in sets.values() for name in rows))
    wrong = [["share of wrong choices in one pass", *sets]]
    for name in names:
        cells = [plus_minus(*rows[name][:2]) if name in rows else "-" for rows in sets.values()]
        wrong.append([f"`{name}`", *cells])
    tuned = [f"{name}: `{rows['vw_best'][2]}`" for name, rows in sets.items() if "vw_best" in rows]
    beside = f"`vw_best` is, for {'; '.join(tuned)}." if tuned else "Vowpal Wabbit is missing."
    quarters = [["right banner of four, 5 countries x 2 devices", "first 2,000 decisions", "second", "third", "last"]]
    for by, shares in result["categories"].items():
        quarters += [[f"`{name}`, by {by}", *(f"{share:.3f}" for share in found)] for name, found in shares.items()]
    shown = [markdown(wrong), beside, markdown(quarters), machine_line(result["machine"]), *sparse_speeds(result)]
    return "\n\n".join(shown)


def sparse_speeds(result: dict[str, Any]) -> list[str]:
    """Show how fast logs of named features are read and learned, and what a decision takes."""
    if "speed" not in result:
        return []
    ways = ("read", "learned", "from_slots", "vw", "vw_products")
    shares = (("learned", "vw"), ("learned", "vw_products"), ("from_slots", "vw_products"))
    heads = ["read", "read and learned", "learned from slots", "Vowpal Wabbit", "with the same products"]
    rows = [["events", *heads, "times its speed", "with its products", "from slots with them", "asked for"]]
    for name, found in result["speed"]["logs"].items():
        rates = [f"{found[way] / 1e3:.1f} k/s" if way in found else "-" for way in ways]
        ratios = [f"{found[ours] / found[theirs]:.2f}" if theirs in found else "-" for ours, theirs in shares]
        rows.append([name, *rates, *ratios, f"{found['asked']:g}"])
    calls = [["one decision", "measured", "asked for"]]
    for name, (taken, asked) in result["speed"]["microseconds"].items():
        calls.append([name, f"{taken:.1f} us", f"{asked:g} us"])
    return [markdown(rows), markdown(calls), machine_line(result["speed"]["machine"])]


# what a column shows: setting, K, T
STREAMS = [
    (setting, arms, trials)
    for setting in ("clear", "mix")
    for arms, trials in ((500, 500_000), (50_000, 50_000_000), (50_000, 1000 * 50_000**3))
]
WORST = (1000, 10**9)  # K, T


def streaming(result: dict[str, Any]) -> str:
    """Show the regret of rules for streams of arms beside uniform exploration, then their speeds."""
    found = {(row["rule"], row["setting"], row["arms"], row["trials"]): row for row in result["rows"]}
    heads = [f"{setting}, K = {arms:,}, T = {trials:.3g}" for setting, arms, trials in STREAMS]
    rows = [["regret over that of uniform exploration", *heads, "arms held"]]
    for rule in dict.fromkeys(row["rule"] for row in result["rows"]):
        of = [found[rule, *size] for size in STREAMS]
        ratios = [plus_minus(row["ratio_to_uniform"], row["ratio_to_uniform_stderr"]) for row in of]
        rows.append([f"`{rule}`", *ratios, str(max(row["peak_held"] for row in of))])
    agreed, figures = sum(each["within"] for each in result["oracle"]), len(result["oracle"])
    agreement = (
        f"{agreed} of {figures} figures agree with those of an independent implementation, within 4 standard errors"
    )
    return "\n\n".join([markdown(rows), f"{agreement}.", stream_speeds(result), machine_line(result["machine"])])


def stream_speeds(result: dict[str, Any]) -> str:
    """Show what an arm, a batch from Python and a long pass cost."""
    speed = result["speed"]
    rows = [["a stream of a million arms", "measured", "of C -O3"]]
    for rule, times in speed["rules"].items():
        for trials, ns in times["ns"].items():
            share = times["of_c"].get(trials)
            beside = "-" if share is None else f"{share:.2f}"
            rows.append([f"`{rule}`, simulated, T = {float(trials):.0e}", f"{ns:.0f} ns an arm", beside])
    for rule, us in speed["batch_us"].items():
        rows.append([f"`{rule}`, `onearm.api.arms_once.run`, beside `pull` itself", f"{us:.1f} us a batch", "-"])
    for interface, peaks in speed["peak_mb"].items():
        sizes = " / ".join(f"{int(arms):,}" for arms in peaks)
        rows.append(
            [
                f"peak memory of `{interface}` over {sizes} arms",
                " / ".join(f"{mb:.0f} MB" for mb in peaks.values()),
                "-",
            ]
        )
    return markdown(rows)


def streaming_more(result: dict[str, Any]) -> str:
    """Show the regret on hard streams, how it grows, what was to be reached, and the plots."""
    worst = [
        row for row in result["rows"] if (row["arms"], row["trials"]) == WORST and row["setting"] in ("hard", "stair")
    ]
    gaps = sorted({row["gap"] for row in worst if "gap" in row})
    slopes = [f"{setting}, over ln {axis}" for setting in result["slopes"] for axis in ("T", "K")]
    hard = [["regret over K^(1/3) T^(2/3)", *(f"f = {gap:g}" for gap in gaps), "stair"]]
    grows = [["slope of ln regret", *slopes]]
    for rule in dict.fromkeys(row["rule"] for row in result["rows"]):
        of = {row.get("gap"): row for row in worst if row["rule"] == rule}
        cells = [plus_minus(of[gap]["scaled_mean"], of[gap]["scaled_stderr"]) for gap in (*gaps, None)]
        hard.append([f"`{rule}`", *cells])
        growth = [pair[rule][axis] for pair in result["slopes"].values() for axis in ("T", "K")]
        grows.append([f"`{rule}`", *("-" if slope is None else f"{slope:.3f}" for slope in growth)])
    claims = [["what was to be reached", "asked", "found", "reached"]]
    for each in result["claims"]:
        claims.append(
            [each["claim"], f"{each['asked']:.3g}", f"{each['found']:.3g}", "yes" if each["holds"] else "**no**"]
        )
    plots = "\n\n".join(f"![mean regret, log-log](../{plot})" for plot in result["plots"])
    return "\n\n".join([markdown(hard), markdown(grows), markdown(claims), plots, machine_line(result["machine"])])


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "short": short,
    "regret": regret,
    "speed": speed,
    "python_interface": python_interface,
    "durable": durable,
    "service": service,
    "neighbours": neighbours,
    "soak": soak,
    "log": log,
    "sizes": sizes,
    "compacting": compacting,
    "first_answer": first_answer,
    "law": law,
    "defaults": defaults,
    "changes": changes,
    "budgets": budgets,
    "lists": lists,
    "lives": lives,
    "loop": loop,
    "contextual": contextual,
    "sparse": sparse,
    "unseen": unseen,
    "streaming": streaming,
    "streaming-more": streaming_more,
    "sor": sor,
    "sor-heat": sor_heat,
    "sor-more": sor_more,
    "solver_speed": solver_speed,
    "oomd": oomd,
    "oomd-more": oomd_more,
    "active": active,
    "active-more": active_more,
    "coverage": coverage,
    "propensity_alarms": propensity_alarms,
    "evaluate_speed": evaluate_speed,
    "evaluate_speed-more": evaluate_speed_more,
    "cluster_faults": cluster_faults,
    "cluster_costs": cluster_costs,
    "cluster_takeover": cluster_takeover,
    "workers": workers,
    "publish": publish,
    "scale": scale,
    "sweep_dask": sweep_dask,
}


def fastest_peer(policy: str, peers: dict[str, Any]) -> tuple[str, float] | None:
    """Return the name, version and rate of the fastest library that has this policy."""
    rates = [
        (f"{name} {peer['version']}", peer["steps_per_second"][policy])
        for name, peer in peers.items()
        if peer and policy in peer["steps_per_second"]
    ]
    return max(rates, key=lambda rate: rate[1], default=None)


def filled(text: str, results: Path) -> str:
    """Return `text` with every table in it made from the results in a folder."""

    def table(place: re.Match[str]) -> str:
        before, name, after = place.groups()
        if name not in TABLES:
            raise SystemExit(f"a page asks for the table {name!r}: known are {', '.join(TABLES)}")
        parts = FILES if name == "short" else (name.partition("-")[0],)
        for part in parts:
            if not (results / f"{part}.json").exists():
                print(f"!!! there is no {results / part}.json: the table {name} stays as it is")
                return place.group()
        found = {part: json.loads((results / f"{part}.json").read_text()) for part in parts}
        return f"{before}{TABLES[name](found if name == 'short' else found[parts[0]])}\n{after}"

    return PLACE.sub(table, text)


def main(arguments: list[str]) -> int:
    """Write the tables, or check them."""
    stale = False
    for page in PAGES:
        text = page.read_text()
        made = filled(text, RESULTS)
        stale |= made != text
        if arguments != ["--check"]:
            page.write_text(made)
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
