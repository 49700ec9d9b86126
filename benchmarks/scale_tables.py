"""The tables of nodes, workers, streams and Dask: from results/cluster_*, workers, publish and sweep_dask.json."""

from __future__ import annotations

from typing import Any

from scale_model import BUSY, MICRO, SHARDS, Cost
from table_text import machine_line, markdown

FAULTS = {
    "killed": "a node is killed, and starts again",
    "taken": "the shards of a node are taken from it in the database",
    "stopped": "a node is stopped for longer than its lease",
    "cut_from_database": "a node is cut from the database",
    "cut_from_nodes": "a node is cut from other nodes",
    "database_restarted": "the database is restarted",
    "added": "a node is added",
    "ended": "a node ends",
    "date_set": "a node's date is set by an hour",
}
PHASES = {
    "lease_left": "the rest of the lease",
    "noticing": "until another node took the shard",
    "taking_up": "until it is known what is in it",
    "folding": "until the log is folded, and answered",
    "all": "all",
}
DATABASES = {"sqlite": "a file of SQLite", "postgresql": "a server of PostgreSQL"}
WAYS = {"threads": "threads", "workers": "workers of Dask", "one_file": "one file, one thread"}
PARTS = {
    "sweep": "a sweep of simulations",
    "files": "a log in files, targets that learn nothing",
    "longer": "the same, with longer files",
    "learners": "a log in files, policies that learn, and a model of the reward",
}


def cluster_faults(result: dict[str, Any]) -> str:
    """Show what happened, for how long nobody answered, and what was wrong."""
    rows = [["what happens", "times", "seconds until all is answered, median", "most"]]
    for name, gap in result["seconds_without_an_answer"].items():
        rows.append([FAULTS[name], str(result["faults"][name]), f"{gap['median']:.1f}", f"{gap['most']:.1f}"])
    answers = ", ".join(f"{count:,} of {what}" for what, count in result["answers"].items())
    words = (
        f"{result['nodes']} nodes with a lease of {result['lease']:g} s, and {result['clients']} clients that retry. "
        f"They got these answers: {answers}. The fence refused {result['writes_refused_by_the_fence']} writes. Of the "
        f"answers and the log {result['n_wrong']} things did not fit together."
    )
    return "\n\n".join([markdown(rows), _with_missed(words, result), machine_line(result["machine"])])


def cluster_takeover(result: dict[str, Any]) -> str:
    """Show where the time goes after a kill."""
    rows = [["after a kill", "seconds, median", "most"]]
    for name, what in PHASES.items():
        found = result["seconds"][name]
        rows.append([what, f"{found['median']:.2f}", f"{found['most']:.2f}"])
    words = (
        f"{len(result['kills'])} kills of one of 3 nodes with a lease of {result['lease']:g} s, and "
        f"{result['events']:,} decisions with rewards of each experiment."
    )
    return "\n\n".join([markdown(rows), _with_missed(words, result), machine_line(result["machine"])])


def cluster_costs(result: dict[str, Any]) -> str:
    """Show what the fence and a request that is passed on cost."""
    rows = [["events of a transaction", "appended a second, one process", "one of several nodes", "fewer"]]
    for size, found in result["fence"].items():
        rates = [f"{found['unfenced']:,}", f"{found['fenced']:,}"]
        rows.append([size, *rates, f"{found['costs']:.1%}"])
    asked = [
        ["a decision, by the node that is asked", "ms, median", "us of CPU, of both nodes", "of PostgreSQL", "more"]
    ]
    for sort, ways in result["forwarding"].items():
        for name, what in (("own", "it has the experiment"), ("forwarded", "it passes the request on")):
            found, more = ways[name], "" if name == "own" else f"{ways['more_cpu_share']:.0%}"
            costs = [f"{found['ms']:.2f}", f"{found['cpu_us']:,.0f}", f"{found['database_us']:,.0f}"]
            asked.append([f"{sort}: {what}", *costs, more])
    words = (
        "The fence is looked at in each transaction. How much more CPU of nodes a request takes that is passed on "
        "is the median of pairs of neighbouring turns."
    )
    text = [markdown(rows), markdown(asked), _with_missed(words, result), machine_line(result["machine"])]
    return "\n\n".join(text)


def workers(result: dict[str, Any]) -> str:
    """Show what a decision costs one process and several workers, and what they would make of free cores."""
    n = result["workers"]
    head = ["a decision, us of CPU", "one process", f"{n} workers", "of the database beside it: one process"]
    rows = [[*head, f"{n} workers", f"times the decisions at most, {n} free cores for all", f"{n} for the workers"]]
    for name, what in DATABASES.items():
        one, several = result[name]["one"], result[name]["several"]
        beside = [found["database_cpu_us"] for found in (one, several)]
        times = [n * one["workers_cpu_us"] / (several["workers_cpu_us"] + more) for more in (beside[1], 0.0)]
        costs = [f"{us:.0f}" for us in (one["workers_cpu_us"], several["workers_cpu_us"], *beside)]
        rows.append([what, *costs, *(f"{each:.2f}" for each in times)])
    made = [f"{1e6 / result[name][runs]['workers_cpu_us']:,.0f}" for name in DATABASES for runs in ("one", "several")]
    cores = [result[name][runs]["cores"] for name in DATABASES for runs in ("one", "several")]
    rates = [[result[name][runs]["decisions_a_second"] for runs in ("one", "several")] for name in DATABASES]
    words = (
        f"{result['clients']} clients ask for batches of {result['batch']} decisions of {result['experiments']} "
        f"experiments; medians of {result['rounds']} rounds. A second of the processor of those who serve makes "
        f"{made[0]} decisions in one process and {made[1]} in workers with a file of SQLite, {made[2]} and {made[3]} "
        f"with a server of PostgreSQL. The last two columns are computed, and not measured: "
        f"all of this had {min(cores):.2f} to {max(cores):.2f} cores here, where workers made "
        f"{' and '.join(f'{several / one:.2f}' for one, several in rates)} times the decisions a second."
    )
    return "\n\n".join([markdown(rows), _with_missed(words, result), machine_line(result["machine"])])


SORTS = {
    "arms": "10 arms",
    "features-8": "10 arms, a context of 8 numbers",
    "features-64": "10 arms, a context of 64 numbers",
    "lists": "a list of 3 of 10",
    "vectors": "a vector of 10 numbers",
}
PARTS_OF_SCALE = {
    "one process": "the core of the process",
    "shards": "the 16 shards",
    "database": "16 cores of PostgreSQL",
    "disk": "the disk",
}


def scale(result: dict[str, Any]) -> str:
    """Show what decisions cost, what rates need, and how far the predictions were off."""
    text = [_costs(result), _capacity(result["capacity"])]
    if result["checked"]:
        rows = [["nodes", "decisions a second, predicted", "made", "off by, median", "in each round", "cores they got"]]
        for one in result["checked"]:
            rates = [f"{one[name]:,.0f}" for name in ("predicted", "measured")]
            rounds = ", ".join(f"{off:+.0%}" for off in one["offs"])
            rows.append([str(one["nodes"]), *rates, f"{one['off']:+.0%}", rounds, f"{one['cores']:.2f}"])
        text.append(markdown(rows))
    idle, memory = 1000 * result["idle_cores"], result["node_bytes"] / 1e6
    passed = [result["several"]["passed"][0] / batch + result["several"]["passed"][1] for batch in (1, 100)]
    words = (
        f"A decision is one with its reward. To pass both on costs {passed[0]:,.0f} us more, in batches of 100 "
        f"{passed[1]:.0f} us. A node that is asked nothing takes {idle:.0f} ms of CPU a second, and one that decides "
        f"{memory:,.0f} MB of memory."
    )
    text += [_worked_out(result), _with_missed(words, result)]
    return "\n\n".join([*text, machine_line(result["machine"])])


def _worked_out(result: dict[str, Any]) -> str:
    """Say how the nodes of one row are computed."""
    need = next(one for one in result["capacity"] if (one["sort"], one["batch"], one["rate"]) == ("arms", 1, 10_000))
    parts = result["sorts"]["arms"]["node_us"], result["several"]["beside"], result["several"]["passed"]
    own, beside, passed = (Cost(*part).at(1) for part in parts)
    us = own + beside + (SHARDS - 1) / SHARDS * passed
    core, seconds = BUSY * MICRO / us, f"{BUSY:g} s"
    return (
        f"The row of {need['rate']:,.0f} decisions a second of 10 arms, one in a request, is worked out like this. "
        f"With {SHARDS} nodes a decision takes {own:,.0f} us at the node that has the experiment, "
        f"{beside:+,.0f} us because there are others, and {SHARDS - 1}/{SHARDS} of {passed:,.0f} us, as so many "
        f"requests come to another node and are passed on: {us:,.0f} us together. In the {seconds} of each second in "
        f"which a core is busy it makes {core:,.0f} of them, and {SHARDS} nodes, the most for the {SHARDS} shards of "
        f"a database, make {SHARDS * core:,.0f}. The table has {need['databases']:,} databases with "
        f"{need['nodes'] // need['databases']:,} nodes each: the fewest that are enough."
    )


def _costs(result: dict[str, Any]) -> str:
    head = ["a decision with its reward", "us of CPU, alone", "in batches of 100", "of PostgreSQL, alone"]
    rows = [[*head, "in batches of 100", "ms of a commit", "bytes in the database", "bytes of a snapshot"]]
    for name, one in result["sorts"].items():
        times = [part[0] / batch + part[1] for part in (one["node_us"], one["database_us"]) for batch in (1, 100)]
        sizes = [f"{one[size]:,.0f}" for size in ("row_bytes", "state_bytes")]
        rows.append([SORTS[name], *(f"{us:,.0f}" for us in times), f"{one['commit_ms']:.1f}", *sizes])
    return markdown(rows)


def _capacity(needs: list[dict[str, Any]]) -> str:
    head = ["decisions a second", "of", "in batches of", "databases", "nodes of one core"]
    rows = [[*head, "cores of PostgreSQL", "MB written a second", "what gives way first"]]
    for need in needs:
        if need["sort"] in ("arms", "features-64"):
            needed = [
                str(need["databases"]),
                f"{need['nodes']:,}",
                f"{need['database_cores']:,.1f}",
                f"{need['written'] / 1e6:,.1f}",
            ]
            rate = [f"{need['rate']:,.0f}", SORTS[need["sort"]], str(need["batch"])]
            rows.append([*rate, *needed, PARTS_OF_SCALE[need["stops"]]])
    return markdown(rows)


def publish(result: dict[str, Any]) -> str:
    """Show how fast the log is sent, and what came where the server was killed."""
    rows = [["events to NATS JetStream", "sent", "a second", "a second of CPU", "failures felt", "messages there"]]
    quick, killed = result["speed"], result["killed"]
    rates = [f"{quick[name]:,.0f}" for name in ("events_per_second", "events_per_cpu_second")]
    rows.append(["undisturbed", f"{quick['events']:,}", *rates, "-", f"{quick['messages']:,}"])
    felt = [str(killed["failures"]), f"{killed['messages']:,}"]
    rows.append([f"server killed {result['kills']} times", f"{killed['events']:,}", "-", "-", *felt])
    whole = quick["whole"] and killed["whole"]
    words = f"Without what came twice it is {'' if whole else 'not '}the log, in order, both times."
    return "\n\n".join([markdown(rows), _with_missed(words, result), machine_line(result["machine"])])


def sweep_dask(result: dict[str, Any]) -> str:
    """Show seconds with and without Dask, and what a worker that is killed changes."""
    rows = [["what", "by", "seconds", "seconds of CPU", "the same bits"]]
    for part, what in PARTS.items():
        if part not in result:  # "longer" may be left out
            continue
        found = result[part]
        for way, seconds in found["seconds"].items():
            bits = "yes" if found["same_bits"] else "no"
            rows.append([what, WAYS[way], f"{seconds:.1f}", f"{found['cpu_seconds'][way]:.1f}", bits])
    killed, asked = result["sweep"]["killed"], result["asked"]
    bits = "yes" if killed["same_bits"] else "no"
    rows.append([PARTS["sweep"], "workers, one of which is killed", f"{killed['seconds']:.1f}", "-", bits])
    times = f", and {asked['longer']} times as many" if "longer" in result else ""
    words = (
        f"{asked['replications']} simulations of {asked['horizon']:,} decisions; {asked['files']} files of "
        f"{asked['rows']:,} decisions{times}; {asked['workers']} threads or workers, "
        f"which start in {result['start_seconds']:.1f} s; the median of {asked['rounds']} rounds."
    )
    return "\n\n".join([markdown(rows), _with_missed(words, result), machine_line(result["machine"])])


def _with_missed(words: str, result: dict[str, Any]) -> str:
    return words + "".join([" Missed:\n", *(f"\n- {each}" for each in result["missed"])] if result["missed"] else [])
