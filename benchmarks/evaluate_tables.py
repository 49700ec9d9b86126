"""The tables of evaluation and replay: how fast they are beside other libraries, and how often intervals cover."""

from __future__ import annotations

from typing import Any

from table_text import machine_line, markdown, said

Rates = dict[str, Any]
FILES = {
    "parquet export": "Parquet, our export",
    "parquet joined": "Parquet, our export in the joined form",
    "parquet table": "Parquet, a plain table",
    "csv table": "CSV: action, reward, propensity",
    "obd campaign": "CSV of the Open Bandit Dataset",
    "jsonl export": "JSON lines, our export",
    "jsonl table": "JSON lines, a plain table",
    "dsjson actions": "dsjson",
}
ARRAYS = {  # ours, and what of obp's it is held against
    "ips": "ips",
    "snips": "snips",
    "dr, of all actions": "dr",
    "dr": "dr",
    "dr, normal": "dr, bootstrap",
    "dr, empirical likelihood": "dr, bootstrap",
    "dr, bootstrap of 1000": "dr, bootstrap",
    "snips, confidence sequence": None,
}
LIBRARIES = ("bare numba", "obp", "river", "mabwiser")


def evaluate_speed(result: dict[str, Any]) -> str:
    """Show SNIPS from files beside the fastest peer, then doubly robust estimates and the replay of a LinUCB."""
    files = [["SNIPS from a file's first byte to the value", "events/s", "fastest peer", "of the peer"]]
    for name, title in FILES.items():
        if name in result["files"]:
            files.append([title, *beside(result["files"][name]["rates"])])
    arrays, replay = result["arrays"], result["replay"]
    rows = [["in memory", "rows/s", "peer", "times the peer"]]
    for title, name in (("`dr`, of laws and predictions of all actions", "dr, of all actions"), ("`dr`", "dr")):
        rows.append([title, *against(arrays["onearm"][name], "obp", theirs(arrays, "dr"))])
    with_interval = against(arrays["onearm"]["dr, normal"], bootstrap_of(arrays), theirs(arrays, "dr, bootstrap"))
    rows.append(["`dr` with its normal interval", *with_interval])
    for learn in ("logged", "matched"):
        title, of = f"replay of `linucb`, learning {learn}", replay[learn]
        rows.append([title, *against(of["onearm"], "obp", of.get("obp"))])
        rows.append([f"{title}, no scaling", *against(of["onearm, no scaling"], "bare numba", of.get("bare numba"))])
    parts = [markdown(files), markdown(rows), *sizes(result), said(result), machine_line(result["machine"])]
    return "\n\n".join(parts)


def evaluate_speed_more(result: dict[str, Any]) -> str:
    """Show every way that was measured."""
    tables = []
    for name, title in FILES.items():
        if name not in result["files"]:  # it was measured before there was such a file
            continue
        found = result["files"][name]
        head = f"{title}: {found['events']:,} events, {found['bytes'] / 1e6:,.0f} MB"
        rows = [[head, "events/s"], *([way, million(rate)] for way, rate in found["rates"].items())]
        tables.append(markdown(rows))
    arrays, replay = result["arrays"], result["replay"]
    rows = [[f"{arrays['events']:,} rows in memory", "rows/s", "obp", "times obp"]]
    for name, other in ARRAYS.items():
        cells = against(arrays["onearm"][name], "", None if other is None else theirs(arrays, other))
        rows.append([name, cells[0], cells[1].removeprefix(": "), cells[2]])
    tables += [markdown(rows), f"An interval of obp's is its bootstrap of {arrays['obp_resamples']} draws."]
    title = f"LinUCB on {replay['rows']:,} rows, {replay['arms']} arms, contexts of {replay['length']}: rows/s"
    rows = [[title, *(f"learning {learn}" for learn in ("logged", "matched"))]]
    for name in ("onearm", "onearm, no scaling", *LIBRARIES):
        rows.append([name, *(million(replay[learn].get(name)) for learn in ("logged", "matched"))])
    return "\n\n".join([*tables, markdown(rows), *sizes(result), machine_line(result["machine"])])


def beside(rates: Rates) -> list[str]:
    """Return our rate, of what peers do too, the fastest peer and its rate, and ours as a share of that."""
    alone = [rate for name, rate in rates.items() if name.startswith("onearm") and "no diagnostics" in name]
    ours = alone[0] if alone else next(iter(rates.values()))
    peers = {name: rate["per_second"] for name, rate in rates.items() if rate and not name.startswith("onearm")}
    if not peers:
        return [million(ours), "-", "-"]
    fastest = max(peers, key=lambda name: peers[name])
    return [million(ours), f"{fastest}: {million(rates[fastest])}", f"{ours['per_second'] / peers[fastest]:.2f}"]


def against(ours: Rates, name: str, rate: Rates | None) -> list[str]:
    """Return our rate, a peer's, and how many times as fast we are."""
    if rate is None:
        return [million(ours), "-", "-"]
    return [million(ours), f"{name}: {million(rate)}", f"{ours['per_second'] / rate['per_second']:.3g}"]


def theirs(arrays: dict[str, Any], name: str) -> Rates | None:
    """Return obp's rate, None where it is missing."""
    found: Rates | None = arrays["obp"].get(name)
    return found


def bootstrap_of(arrays: dict[str, Any]) -> str:
    """Say what obp's interval is."""
    return f"obp, bootstrap of {arrays['obp_resamples']}"


def million(rate: Rates | None) -> str:
    """Return a rate in millions."""
    return "-" if rate is None else f"{rate['per_second'] / 1e6:.3g} M"


def sizes(result: dict[str, Any]) -> list[str]:
    """Say how much memory `onearm evaluate` takes, and how much of that is no file which is mapped."""
    peaks = []
    for each in result["memory"]:
        own = f", {each['peak_own_bytes'] / 1e6:,.0f} MB of them its own" if each["peak_own_bytes"] else ""
        over = f"over {each['bytes'] / 1e9:.1f} GB ({each['events']:,} events, {each['asked']})"
        peaks.append(f"{each['peak_bytes'] / 1e6:,.0f} MB {over}{own}")
    return [f"Peak memory of `onearm evaluate` over exports of JSON lines: {'; '.join(peaks)}."] if peaks else []


def coverage(result: dict[str, Any]) -> str:
    """Show how often intervals cover, how often sequences ever miss, and when alarms come."""
    found = {(row["estimator"], row["interval"]): row for row in result["intervals"]}
    estimators, kinds = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    first, whole = result["intervals"][0], f"{result['level']:.0%} intervals: covered, and mean width"
    rows = [[whole, *(f"`{estimator}`" for estimator in estimators)]]
    for kind in kinds:
        of = [found.get((estimator, kind)) for estimator in estimators]
        cells = ["-" if row is None else f"{row['covered']:.1%}, {row['width']:.3f}" for row in of]
        rows.append([kind.replace("_", "-"), *cells])
    missed = {(row["world"], row["variant"]): row for row in result["sequences"]}
    worlds, variants = (list(dict.fromkeys(key[place] for key in missed)) for place in (0, 1))
    paths = result["sequences"][0]
    title = f"sequences that ever miss, of {paths['paths']:,} paths of {paths['decisions']:,} decisions"
    ever = [[title, *worlds]]
    for variant in variants:
        ever.append([variant, *(f"{missed[world, variant]['miscovered']:.2%}" for world in worlds)])
    logs = f"{first['repeats']:,} biased logs of {first['decisions']:,} decisions, drawn from a table with all rewards."
    return "\n\n".join([logs, markdown(rows), markdown(ever), machine_line(result["machine"])])


def propensity_alarms(result: dict[str, Any]) -> str:
    """Show how often true propensities are called false, by law and length, and how often faults are found."""
    false = {(row["law"], row["decisions"]): row for row in result["false"]}
    laws, lengths = (list(dict.fromkeys(key[place] for key in false)) for place in (0, 1))
    rows = [["any alarm, of logs that are right; with the whole law", *(f"{n:,} decisions" for n in lengths)]]
    for law in laws:
        of = [false[law, n] for n in lengths]
        rows.append([law, *(f"{row['any']:.1%}; {row['any with the law']:.1%}" for row in of)])
    rows.append(["logs of each", *(f"{false[laws[0], n]['logs']:,}" for n in lengths)])
    found = [["faults that are found; with the whole law", *(f"{n:,} decisions" for n in result["power_decisions"])]]
    for row in result["power"]:
        shares = [f"{row[f'{n}']:.0%}; {row[f'{n} with the law']:.0%}" for n in result["power_decisions"]]
        found.append([f"{row['fault']}: {row['law']}", *shares])
    worst = max(result["false"], key=lambda row: row["any"] / row["limit"])
    told = (
        "In all cells but one of a thousand, measured shares are below their limit while the true one is 1 %: of "
        f"{worst['law']}, {worst['decisions']:,} decisions, which came nearest, {worst['any']:.1%} of "
        f"{worst['limit']:.1%}."
    )
    return "\n\n".join([markdown(rows), told, markdown(found), machine_line(result["machine"])])
