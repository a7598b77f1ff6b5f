"""The report of a comparison as one HTML page that needs nothing else: no script, nothing fetched, charts as SVG.

It is well-formed XML after its first line, so that whoever checks it needs no more than an XML parser.
"""

import html
import pathlib

from charts import bars, curves, stacked_bars
from facts import BUSY_SHARE_MAX
from terminal import all_rates, counted, milliseconds, number, rate, verdict

STYLE = pathlib.Path(__file__).with_name("page.css")
SHARE_CLASSES = {0.1: "low", 0.5: "middle", 0.8: "high"}
VERDICT_CLASSES = {True: "met", False: "missed", None: "unknown"}
PARTS = {"node": "node", "service": "peer", "database": "database", "loadgen": "loadgen"}
LATENCY_SHARES = (50, 90, 99, 99.9, 99.99)


def escaped(text):
    return html.escape(str(text))


def element(name, content, class_=None):
    """`content` is markup already."""
    start = f'{name} class="{class_}"' if class_ else name
    return f"<{start}>{content}</{name}>"


def table(titles, rows, words=(), classes=None):
    """Cells are escaped. The columns `words` are text and begin at the left; `classes` has the class of each row's last cell."""
    sides = ["left" if column in words else None for column in range(len(titles))]
    lines = ["".join(element("th", escaped(title), side) for title, side in zip(titles, sides))]
    for index, row in enumerate(rows):
        of_cells = [*sides[:-1], classes[index]] if classes else sides
        lines.append("".join(element("td", escaped(cell), class_) for cell, class_ in zip(row, of_cells)))
    return element("table", "".join(element("tr", line) for line in lines))


def legend(**kinds):
    return element("p", "".join(f'<i style="background: var(--{kind})"></i>{escaped(words)}' for kind, words in kinds.items()), "legend")


def section(title, text, *parts):
    return element("h2", escaped(title)) + element("p", escaped(text), "soft") + "".join(parts)


def kind_of(name):
    return "bound" if name.startswith("COPY") else "node" if name.startswith("node") else "peer"


def head(report):
    machine, versions, database = report["machine"], report["versions"], report["database"]
    text = (f"{machine['began']}, {versions['wellhead']} at {versions['commit']}, PostgreSQL {database['server_version']} with TimescaleDB "
            f"{database['timescaledb']} ({database['timescaledb.license']}), on {machine['processor']}, {counted(machine['cores'], 'core')} that load "
            f"generator, node and database share. {counted(report['rounds_count'], 'round')}, in which everything takes turns; bars are medians, and the "
            "thin lines go from the least to the most.")
    return element("h1", "wellhead, measured") + element("p", escaped(text), "soft") + warning(machine) + tiles(report)


def warning(machine):
    if machine["busy_share_before"] <= BUSY_SHARE_MAX:
        return ""
    return element("p", f"Others took {100 * machine['busy_share_before']:.0f} % of the processors when this began: these figures are noisy, and no proof "
                        "of anything but that they could be taken.", "warning")


def tiles(report):
    ndjson, http = report["end_to_end"]["ndjson"], report["end_to_end"]["http"]
    figures = (
        (f"{ndjson['ratio_to_bound']:.2f} ×", "a bulk load, by NDJSON in batches of 1,000"),
        (f"{http['ratio_to_bound']:.2f} ×", "a bulk load, by HTTP in batches of 1,000"),
        (rate(ndjson["rows_per_second"]), "rows per second by NDJSON, exactly once"),
        (f"{ndjson['node_cpu_s_per_million']:.2f} s", "node's CPU per million rows"),
        (rate(report["null_sink"]["records_per_second"]), "records per second and reactor, without a database"),
        (f"{report['memory_mib']:.0f} MiB", "the most memory of a node"))
    return element("div", "".join(element("div", element("b", escaped(value)) + element("span", escaped(words)), "tile") for value, words in figures), "tiles")


def targets(report):
    rows = [[target["name"], target["target"], number(target["measured"]), verdict(target["met"])] for target in report["targets"]]
    classes = [VERDICT_CLASSES[target["met"]] for target in report["targets"]]
    return section("Targets", "What the node is meant to reach, and the median of the rounds.",
                   table(["", "target", "measured", ""], rows, classes=classes))


def rates(report):
    rows = []
    for name, one in all_rates(report):
        spread = one["rows_per_second_spread"]
        rows.append((name, one["rows_per_second"], spread["min"], spread["max"], kind_of(name), rate(one["rows_per_second"])))
    return section("Rows per second into the hypertable",
                   "Until the last row is committed, whatever was acknowledged before. The bound is psql's COPY of the same rows from a prepared "
                   "binary file, in the order in which they arrive, into the same table with its indexes.",
                   legend(bound="bulk load from a file", node="the node", peer="what people run instead"),
                   bars("rows per second", rows, (report["bound"]["rows_per_second"], "bound")))


def ratios(report):
    rows = []
    for name, one in all_rates(report):
        if "ratio_to_bound_spread" in one and kind_of(name) == "node":
            spread = one["ratio_to_bound_spread"]
            rows.append((name, spread["median"], spread["min"], spread["max"], "node", f"{spread['median']:.2f}"))
    return section("Against the bulk load",
                   "The node's rate over that of COPY with one connection in the same round: above 1, network, JSON, checks, journal and exactly-once "
                   "together are faster than reading a file. Targets are about this ratio; the table has the one to the faster of one connection and two too.",
                   bars("ratio to the bound", rows, (1.0, "as fast as COPY")), faster_bound_table(report))


def faster_bound_table(report):
    rows = [(name, f"{one['ratio_to_bound']:.2f}", f"{one['ratio_to_faster_bound']:.2f}") for name, one in all_rates(report)
            if "ratio_to_faster_bound" in one and kind_of(name) == "node"]
    return table(["", "to 1 connection", "to the faster of 1 and 2"], rows)


def cpu(report):
    rows = []
    for name, one in all_rates(report):
        parts = dict(one.get("cpu_s_per_million_by_process", {}))
        if "service" in parts:
            parts.pop("node", None)
        if parts:
            rows.append((name, parts))
    return section("Processor time", "CPU seconds per million rows. The database is all processes of the server, those in the background too.",
                   legend(node="node", peer="service or program", database="database", loadgen="load generator"),
                   stacked_bars("CPU seconds per million rows", rows, PARTS))


def latency_table(series):
    rows = []
    for label, one in series:
        points = dict(map(tuple, one["points"]))
        values = [milliseconds(points[share]) if share in points else "–" for share in LATENCY_SHARES]
        rows.append([label, rate(one["rate"]) if "rate" in one else "", *values, milliseconds(one["max"]), f"{one['count']:,}"])
    return table(["milliseconds", "rows/s", *(f"p{share:g}" for share in LATENCY_SHARES), "max", "values"], rows)


def level_curves(words, levels, bare):
    series = [(f"{100 * level['share']:.0f} % of the maximum", level, SHARE_CLASSES[level["share"]]) for level in levels]
    series.append(("bare durable write, 64 KiB", bare, "bare"))
    return (element("h3", escaped(words)) + curves(words, [(label, one["points"], kind) for label, one, kind in series])
            + latency_table([(label, one) for label, one, _ in series]))


def latency(report):
    told = report["latency"]
    parts = [level_curves(words, [level for level in told["levels"] if level["ack"] == ack], told["bare_write"])
             for ack, words in (("journal", "Acknowledged when durable in the journal"), ("commit", "Acknowledged when committed in the database"))]
    if told["at_service_rate"]:
        parts.append(at_service_rate(report))
    return section("Latency under load",
                   f"Open loop by NDJSON in batches of {told['batch']}: counted from when a batch was due, at shares of the "
                   f"{rate(told['maximum_rows_per_second'])} rows per second that this run reached with them. Rarer percentiles are told where there "
                   "are values enough.", *parts)


def at_service_rate(report):
    """The node at the highest rate that a service written by hand reaches, beside that service's own figures there."""
    levels = report["latency"]["at_service_rate"]
    journal = [level for level in levels if level["ack"] == "journal"]
    series = [(f"node, journal, batches of {level['batch']:,}", level["points"], kind) for level, kind in zip(journal, ("high", "middle"))]
    for level, kind in zip(journal, ("service", "other")):
        own = report["peers"][level["service"]]["ack_us"]
        points = [(50, own["p50"]), (90, own["p90"]), (99, own["p99"]), (99.9, own["p999"])]
        series.append((f"the service, batches of {level['batch']:,}", points, kind))
    words = "HTTP at the highest rate that the service written by hand reaches"
    text = ("The service answers when rows are committed, and runs as fast as it answers (closed loop). The node gets that rate, counted from when a batch "
            "was due (open loop), and acknowledges from its journal, as it ships, or at commit, as the service does; the target is about the journal.")
    return (element("h3", words) + element("p", escaped(text), "soft") + curves(words, series)
            + latency_table([(f"node, {level['ack']}, batches of {level['batch']:,}", level) for level in levels]) + service_table(levels))


def service_table(levels):
    rows = [(f"{level['ack']}, batches of {level['batch']:,}", milliseconds(level["service_p99_us"]), milliseconds(level["p99_us"]),
             f"{level['p99_us'] / level['service_p99_us']:.2f}") for level in levels if level["p99_us"] is not None]
    return table(["p99, milliseconds", "service's own maximum", "node at that rate", "ratio"], rows)


def stages(report):
    if not report["stages"]:
        return section("Stages inside", "Of them only the codec was measured in this run.")
    rows = [[f"{stage['stage']}: {stage['case']}", f"{stage['nanoseconds']:,.1f}", stage["unit"], stage["reference"],
             f"{stage['reference_nanoseconds']:,.1f}", f"{stage['ratio']:.2f}"] for stage in report["stages"]]
    return section("Stages inside", "Each beside its references in the same process; the ratio is the speed against the reference, 1 is as fast.",
                   table(["", "ns", "a", "reference", "ns", "ratio"], rows, words=(2, 3)))


def peers(report):
    rows = [[name, one["settings"], one["version"]] for name, one in report["peers"].items()]
    rows += [[name, reason, "not measured"] for name, reason in report["peers_not_measured"].items()]
    return section("Peers", "What people run instead, each in its best case.", table(["", "settings", "version"], rows, words=(1, 2)))


def settings(report):
    tables = (("what was done", report["settings"]), ("node, else its defaults", report["node_settings"]), ("server", report["database"]),
              ("machine", report["machine"]), ("version", report["versions"]))
    return section("Settings", f"{report['command']}: {rate(report['rows'])} rows a load, fewer where it is slow.",
                   *(table(["", words], values.items(), words=(1,)) for words, values in tables))


def page(report):
    parts = (head, targets, rates, ratios, cpu, latency, stages, peers, settings)
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'
            f"<title>wellhead, measured</title>{element('style', STYLE.read_text())}</head>"
            f"{element('body', ''.join(part(report) for part in parts))}</html>\n")


def write_page(report, path):
    path.write_text(page(report), encoding="utf-8")
