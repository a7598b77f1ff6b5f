"""What comes of the rounds of a comparison: figures by name, each with its value in every round.

A ratio is one of two measurements of the same round. Where a measurement was not made, its figures are not there.
"""

from harness import spread
from plan import CONNECTIONS, PROTOCOLS, bound_name, connections_name, node_name

BATCHES = (1000, 100)


def rates(results, name):
    return [figures["rows_per_second"] for figures in results.get(name, [])]


def cpu(results, name, *processes):
    return [sum(figures["cpu_s_per_million"][process] for process in processes) for figures in results.get(name, [])]


def ratios(values, references):
    return [value / reference for value, reference in zip(values, references)]


def to_bound(results, name):
    return ratios(rates(results, name), rates(results, bound_name(1)))


def memory_mib(results):
    """The most that a node had in any measurement, by round."""
    by_round = [[figures["memory_mib"] for figures in of_round if "memory_mib" in figures] for of_round in zip(*results.values())]
    return [max(values) for values in by_round if values]


def from_rounds(results):
    """Those that rounds give."""
    figures = {}
    for batch in BATCHES:
        for protocol in PROTOCOLS:
            name = node_name(protocol, "journal", batch)
            figures[f"{protocol}, batches of {batch} / bound"] = to_bound(results, name)
            figures[f"{protocol}, batches of {batch}: node's CPU s per million rows"] = cpu(results, name, "node")
        against = node_name("http", "journal", batch)
        figures[f"http, batches of {batch} / hand-written service"] = ratios(rates(results, against), rates(results, f"hand_written_{batch}"))
    figures["CPU per row of node and database / original design"] = ratios(
        cpu(results, node_name("ndjson", "journal", 1000), "node", "database"), cpu(results, "original_design", "service", "database"))
    figures["null sink, records per second and reactor"] = rates(results, "null_sink")
    figures["10,000 connections / 10"] = ratios(rates(results, connections_name(CONNECTIONS[1])), rates(results, connections_name(CONNECTIONS[0])))
    figures["memory under full load, MiB"] = memory_mib(results)
    return {name: values for name, values in figures.items() if values}


def acknowledge_to_peers(results, latency):
    """The node's p99 at the highest rate a service reaches, to that service's there, by batch: one value for all rounds."""
    figures = {}
    for level in latency["at_peer_rate"]:
        own = [point[1] for point in level["points"] if point[0] == 99]
        theirs = spread([figures_of_round["ack_us"]["p99"] for figures_of_round in results[level["peer"]]])["median"]
        figures[f"acknowledge p99, batches of {level['batch']} / hand-written service at its maximum"] = [own[0] / theirs] if own else []
    return {name: values for name, values in figures.items() if values}


def from_micro(micro):
    """Those that micro-benchmarks give; `micro` is None where they were not run."""
    if micro is None:
        return {}
    return {"codec / simdjson reading all fields": [micro["codec"]["ratio_to_simdjson"]],
            "codec, records per second and core": [micro["codec"]["records_per_second"]]}
