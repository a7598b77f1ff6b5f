"""The result of a comparison as one JSON object: the figures people ask for first, then everything in detail."""

import statistics

import figures as figures_of
from harness import spread
from limits import evaluate_targets
from plan import ACKS, BATCHES, BOUNDS, CONNECTIONS, CONNECTIONS_BATCH_LARGE, FAILED, PROTOCOLS, bound_name, connections_name, node_name

HEADLINE_ACK, HEADLINE_BATCH = "journal", 1000


def median(values):
    return round(statistics.median(values), 3)


def told(rounds, name):
    """One measurement's figures over the rounds; the ratio is to the bound of the same round."""
    measured = figures_of.series(rounds, name)
    rates = spread(figures_of.rates(rounds, name))
    summary = {"rows_per_second": rates["median"], "rows_per_second_spread": rates, "rows": measured[0]["rows"]}
    if "cpu_s_per_million" in measured[0]:
        summary["cpu_s_per_million_by_process"] = {process: median([figures_of.cpu(figures, process) for figures in measured])
                                                   for process in measured[0]["cpu_s_per_million"]}
    if "ack_us" in measured[0]:
        summary["ack_us"] = {key: median([figures["ack_us"][key] for figures in measured]) for key in ("p50", "p90", "p99", "p999", "max")}
    if "memory_mib" in measured[0]:
        summary["memory_mib"] = round(max(figures["memory_mib"] for figures in measured), 1)
    for key, ratios in (("ratio_to_bound", figures_of.to_bound(rounds, name)), ("ratio_to_faster_bound", figures_of.to_faster_bound(rounds, name))):
        if ratios:
            summary[key], summary[f"{key}_spread"] = median(ratios), spread(ratios)
    return summary


def node_case(rounds, protocol, ack, batch):
    summary = told(rounds, node_name(protocol, ack, batch))
    return {"ack": ack, "batch": batch, **summary, "node_cpu_s_per_million": summary["cpu_s_per_million_by_process"]["node"]}


def end_to_end(rounds, protocol):
    """The headline case, and all cases that were measured."""
    cases = [node_case(rounds, protocol, ack, batch) for ack in ACKS for batch in BATCHES if node_name(protocol, ack, batch) in rounds[0]]
    headline = next(case for case in cases if (case["ack"], case["batch"]) == (HEADLINE_ACK, HEADLINE_BATCH))
    return {**{key: headline[key] for key in ("rows_per_second", "ratio_to_bound", "ratio_to_faster_bound", "node_cpu_s_per_million", "ack", "batch")},
            "cases": cases}


def peer(rounds, one):
    summary = told(rounds, one.name)
    by_process = summary["cpu_s_per_million_by_process"]
    return {"rows_per_second": summary["rows_per_second"], "cpu_s_per_million": round(by_process["service"] + by_process["database"], 3),
            "title": one.title, "version": one.version(), "settings": one.settings, **summary}


def why_not_measured(target, absent):
    """Of a target without a value: what it needs and is not here, if that is why."""
    if target["met"] is not None:
        return {}
    reasons = [absent[name] for name in figures_of.needs(target["name"]) if name in absent]
    installed = not reasons or any(reason.startswith(FAILED) for reason in reasons)
    return {"not_measured": "; ".join(reasons) or "no value came of the rounds", "needs_what_is_not_installed": not installed}


def summarize(measurements, rounds, peers, absent, micro, latency):
    """Everything but machine, versions and settings of the server."""
    figures = {**figures_of.from_rounds(rounds), **figures_of.acknowledge_to_services(rounds, latency), **figures_of.from_micro([micro])}
    bounds = {f"connections_{connections}" + ("" if synchronous_commit == "on" else "_asynchronous"): told(rounds, bound_name(connections, synchronous_commit))
              for connections, synchronous_commit in BOUNDS}
    return {
        "bound": {"rows_per_second": bounds["connections_1"]["rows_per_second"], **bounds},
        "end_to_end": {protocol: end_to_end(rounds, protocol) for protocol in PROTOCOLS},
        "codec": micro["codec"],
        "stages": micro["stages"],
        "null_sink": {"records_per_second": told(rounds, "null_sink")["rows_per_second"], **told(rounds, "null_sink")},
        "peers": {one.name: peer(rounds, one) for one in peers},
        "peers_not_measured": absent,
        "connections": {str(count): told(rounds, connections_name(count)) for count in CONNECTIONS},
        f"connections_batches_of_{CONNECTIONS_BATCH_LARGE}": {str(count): told(rounds, connections_name(count, CONNECTIONS_BATCH_LARGE))
                                                              for count in CONNECTIONS},
        "latency": latency,
        "memory_mib": round(figures_of.memory_mib(rounds), 1),
        "figures": {name: spread(values) for name, values in figures.items()},
        "targets": [{**target, **why_not_measured(target, absent)} for target in evaluate_targets(figures)],
        "settings": {measurement.name: measurement.settings for measurement in measurements},
        "rounds": rounds,
    }
