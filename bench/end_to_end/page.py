"""The report of a comparison as one HTML page that needs nothing else: no script, nothing fetched, charts as SVG.

It is well-formed XML after its first line, so that whoever checks it needs no more than an XML parser.
"""

import html
import pathlib

from charts import bars, curves, stacked_bars
from terminal import all_rates, counted, milliseconds, number, rate, verdict

STYLE = pathlib.Path(__file__).with_name("page.css")
SHARE_CLASSES = {0.1: "low", 0.5: "middle", 0.8: "high"}
VERDICT_CLASSES = {True: "met", False: "missed", None: "unknown"}
PARTS = {"node": "node", "service": "peer", "database": "database", "loadgen": "loadgen"}


def escaped(text):
    return html.escape(str(text))


def table(titles, rows, classes=None):
    """Cells are escaped; `classes` tells the class of a row's last cell."""
    head = "".join(f"<th>{escaped(title)}</th>" for title in titles)
    lines = []
    for index, row in enumerate(rows):
        cells = [f"<td>{escaped(cell)}</td>" for cell in row]
        if classes:
            cells[-1] = f'<td class="{classes[index]}">{escaped(row[-1])}</td>'
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def legend(**kinds):
    return '<p class="legend">' + "".join(f'<i style="background: var(--{kind})"></i>{escaped(words)}' for kind, words in kinds.items()) + "</p>"


def section(title, text, *parts):
    return f"<h2>{escaped(title)}</h2><p class=\"soft\">{escaped(text)}</p>{''.join(parts)}"


def kind_of(name):
    return "bound" if name.startswith("COPY") else "node" if name.startswith("node") else "peer"


def tile(value, words):
    return f'<div class="tile"><b>{escaped(value)}</b><span>{escaped(words)}</span></div>'


def head(report):
    machine, versions, database = report["machine"], report["versions"], report["database"]
    ndjson, http = report["end_to_end"]["ndjson"], report["end_to_end"]["http"]
    tiles = [tile(f"{ndjson['ratio_to_bound']:.2f} ×", "a bulk load, by NDJSON in batches of 1,000"), tile(rate(ndjson["rows_per_second"]), "rows per second by NDJSON, exactly once"),
             tile(f"{http['ratio_to_bound']:.2f} ×", "a bulk load, by HTTP in batches of 1,000"), tile(f"{ndjson['node_cpu_s_per_million']:.2f} s", "node's CPU per million rows"),
             tile(rate(report["null_sink"]["records_per_second"]), "records per second and reactor, without a database"), tile(f"{report['memory_mib']:.0f} MiB", "the most memory of a node")]
    warning = ""
    if machine["busy_share_before"] > 0.1:
        warning = (f'<p class="warning">Others took {100 * machine["busy_share_before"]:.0f} % of the processors when this began: these figures are noisy, and no '
                   'proof of anything but that they could be taken.</p>')
    return (f"<h1>wellhead, measured</h1><p class=\"soft\">{escaped(machine['began'])}, {escaped(versions['wellhead'])} at {escaped(versions['commit'])}, "
            f"PostgreSQL {escaped(database['server_version'])} with TimescaleDB {escaped(database['timescaledb'])} ({escaped(database['timescaledb.license'])}), on "
            f"{escaped(machine['processor'])}, {machine['cores']} cores that load generator, node and database share. {counted(report['rounds_count'], 'round')}, in which everything takes "
            f"turns; bars are medians, and the thin lines go from the least to the most.</p>{warning}<div class=\"tiles\">{''.join(tiles)}</div>")


def targets(report):
    rows = [[target["name"], target["target"], number(target["measured"]), verdict(target["met"])] for target in report["targets"]]
    return section("Targets", "What the node is meant to reach, and the median of the rounds.",
                   table(["", "target", "measured", ""], rows, [VERDICT_CLASSES[target["met"]] for target in report["targets"]]))


def rates(report):
    rows = []
    for name, one in all_rates(report):
        spread = one["rows_per_second_spread"]
        rows.append((name, one["rows_per_second"], spread["min"], spread["max"], kind_of(name), rate(one["rows_per_second"])))
    return section("Rows per second into the hypertable",
                   "Until the last row is committed, whatever was acknowledged before. The bound is psql's COPY of the same rows from a prepared binary file, in the order "
                   "in which they arrive, into the same table with its indexes.",
                   legend(bound="bulk load from a file", node="the node", peer="what people run instead"),
                   bars("rows per second", rows, (report["bound"]["rows_per_second"], "bound")))


def ratios(report):
    rows = []
    for name, one in all_rates(report):
        if "ratio_to_bound_spread" in one and kind_of(name) == "node":
            spread = one["ratio_to_bound_spread"]
            rows.append((name, spread["median"], spread["min"], spread["max"], "node", f"{spread['median']:.2f}"))
    return section("Against the bulk load", "The node's rate over that of COPY with one connection in the same round: above 1, network, JSON, checks, journal and exactly-once "
                   "together are faster than reading a file.", bars("ratio to the bound", rows, (1.0, "as fast as COPY")))


def cpu(report):
    rows = []
    for name, one in all_rates(report):
        if "cpu_s_per_million_by_process" in one:
            parts = dict(one["cpu_s_per_million_by_process"])
            if "service" in parts:
                parts.pop("node", None)
            rows.append((name, parts))
    return section("Processor time", "CPU seconds per million rows. The database is all processes of the server, those in the background too.",
                   legend(node="node", peer="service or program", database="database", loadgen="load generator"), stacked_bars("CPU seconds per million rows", rows, PARTS))


def latency_table(series):
    shares = [50, 90, 99, 99.9, 99.99]
    rows = []
    for label, one in series:
        points = dict(map(tuple, one["points"]))
        rows.append([label, rate(one["rate"]) if "rate" in one else "", *(milliseconds(points[share]) if share in points else "–" for share in shares), milliseconds(one["max"]), one["count"]])
    return table(["milliseconds", "rows/s", *(f"p{share:g}" for share in shares), "max", "values"], rows)


def latency(report):
    told = report["latency"]
    bare = ("bare durable write, 64 KiB", told["bare_write"])
    parts = []
    for ack, words in (("journal", "Acknowledged when durable in the journal"), ("commit", "Acknowledged when committed in the database")):
        series = [(f"{100 * level['share']:.0f} % of the maximum", level) for level in told["levels"] if level["ack"] == ack]
        classes = [SHARE_CLASSES[level["share"]] for _, level in series]
        parts.append(f"<h3>{escaped(words)}</h3>" + curves(words, [(label, one["points"], kind) for (label, one), kind in zip([*series, bare], [*classes, "bare"])])
                     + latency_table([*series, bare]))
    if told["at_service_rate"]:
        parts.append(at_service_rate(report))
    return section("Latency under load", f"Open loop by NDJSON in batches of {told['batch']}: counted from when a batch was due, at shares of the {rate(told['maximum_rows_per_second'])} "
                   "rows per second that this run reached with them. Rarer percentiles are told where there are values enough.", *parts)


def at_service_rate(report):
    """The node at the highest rate that a service written by hand reaches, beside that service's own figures there."""
    levels = report["latency"]["at_service_rate"]
    series = [(f"node, batches of {level['batch']:,}", level["points"], kind) for level, kind in zip(levels, ("high", "middle", "low"))]
    for level, kind in zip(levels, ("service", "other")):
        latencies = report["peers"][level["service"]]["ack_us"]
        series.append((report["peers"][level["service"]]["title"], [(50, latencies["p50"]), (90, latencies["p90"]), (99, latencies["p99"]), (99.9, latencies["p999"])], kind))
    words = "HTTP at the highest rate that the service written by hand reaches"
    return f"<h3>{words}</h3>" + curves(words, series) + latency_table([(f"node, batches of {level['batch']:,}", level) for level in levels])


def stages(report):
    if not report["stages"]:
        return section("Stages inside", "Not measured in this run.")
    rows = [[f"{stage['stage']}: {stage['case']}", f"{stage['nanoseconds']:,.1f}", stage["unit"], stage["reference"] or "",
             f"{stage['reference_nanoseconds']:,.1f}" if stage["reference_nanoseconds"] else "", f"{stage['ratio']:.2f}" if stage["ratio"] else ""] for stage in report["stages"]]
    return section("Stages inside", "Each beside a reference in the same process.", table(["", "ns", "a", "reference", "ns", "ratio"], rows))


def settings(report):
    rows = [[name, one["settings"], one["version"]] for name, one in report["peers"].items()]
    absent = [[name, reason, "not measured"] for name, reason in report["peers_not_measured"].items()]
    lines = "".join(f'<tr><td>{escaped(name)}</td><td class="left"><code>{escaped(words)}</code></td></tr>' for name, words in report["settings"].items())
    return section("Peers", "What people run instead, each in its best case.", table(["", "settings", "version"], rows + absent)) + section(
        "Settings", f"{report['command']}: {rate(report['rows'])} rows a load, fewer where it is slow.", f"<table><tr><th></th><th class=\"left\">what was done</th></tr>{lines}</table>",
        table(["node (else the defaults)", "setting"], report["node_settings"].items()), table(["server", "setting"], report["database"].items()), table(["machine", ""], report["machine"].items()), table(["version", ""], report["versions"].items()))


def page(report):
    parts = (head, targets, rates, ratios, cpu, latency, stages, settings)
    return ("<!doctype html>\n" + f'<html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'
            f"<title>wellhead, measured</title><style>{STYLE.read_text()}</style></head><body>{''.join(part(report) for part in parts)}</body></html>\n")


def write_page(report, path):
    path.write_text(page(report), encoding="utf-8")
