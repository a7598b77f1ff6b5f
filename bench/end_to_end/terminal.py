"""The report of a comparison for a terminal: tables, with bars where people would rather look."""

BAR_COLUMNS = 32
EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(value, largest):
    columns = BAR_COLUMNS * value / largest
    whole = int(columns)
    return "█" * whole + EIGHTHS[int((columns - whole) * 8)].strip()


def counted(count, what):
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def rate(value):
    return f"{value:,.0f}"


def range_of(spread):
    return f"{rate(spread['min'])} … {rate(spread['max'])}" if spread["rounds"] > 1 else ""


def milliseconds(microseconds):
    value = microseconds / 1000
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def table(titles, rows, left=1):
    """Lines of a table whose first `left` columns, and any bars at the end, begin at the left."""
    cells = [[str(cell) for cell in row] for row in [titles, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    last = len(titles) - 1
    for row in cells:
        yield "  " + "  ".join(cell.ljust(width) if column < left or (column == last and titles[last] == "") else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(row, widths))).rstrip()


def rate_row(name, one, largest):
    cpu = one.get("cpu_s_per_million_by_process", {})
    return [name, rate(one["rows_per_second"]), range_of(one["rows_per_second_spread"]),
            *(f"{one[ratio]:.2f}" if ratio in one else "" for ratio in ("ratio_to_bound", "ratio_to_faster_bound")),
            *(f"{cpu[process]:.2f}" if process in cpu else "" for process in ("node", "database", "loadgen")),
            milliseconds(one["ack_us"]["p99"]) if "ack_us" in one else "", f"{one['memory_mib']:.0f}" if "memory_mib" in one else "",
            bar(one["rows_per_second"], largest)]


def all_rates(report):
    """(name, figures) of everything that is loaded into the table, in the order of the report."""
    bound = report["bound"]
    rows = [("COPY from a file, 1 connection", bound["connections_1"]), ("COPY from a file, 2 connections", bound["connections_2"]),
            ("COPY from a file, 1 connection, synchronous_commit off", bound["connections_1_asynchronous"])]
    rows += [(f"node, {protocol}, {case['ack']}, batches of {case['batch']:,}", case)
             for protocol, one in report["end_to_end"].items() for case in one["cases"]]
    for one in report["peers"].values():
        by_process = one["cpu_s_per_million_by_process"]
        rows.append((one["title"], {**one, "cpu_s_per_million_by_process": {**by_process, "node": by_process["service"]}}))
    for key, words in (("connections", ""), ("connections_batches_of_100", ", batches of 100")):
        rows += [(f"node, {int(count):,} connections{words}", one) for count, one in report[key].items()]
    return rows


def rates_lines(report):
    rows = all_rates(report)
    largest = max(one["rows_per_second"] for _, one in rows)
    yield "Rows per second into the hypertable, until the last is committed; CPU seconds per million rows; acknowledge p99 in ms; memory in MiB;"
    yield "/ bound: to COPY with 1 connection, which targets are about; / faster: to the faster of 1 and 2"
    yield from table(["", "rows/s", "least … most", "/ bound", "/ faster", "node or peer", "database", "loadgen", "ack p99", "memory", ""],
                     [rate_row(name, one, largest) for name, one in rows])


def held(level):
    return "" if level["rate_held"] else " (not held)"


def latency_lines(report):
    latency = report["latency"]
    yield f"Latency under load in ms: NDJSON, batches of {latency['batch']}, of a maximum of {rate(latency['maximum_rows_per_second'])} rows/s"
    shares = [50, 90, 99, 99.9, 99.99]
    series = [(f"{level['ack']} at {100 * level['share']:.0f} %" + held(level), level) for level in latency["levels"]]
    series += [(f"{level['ack']}, at the maximum of the {report['peers'][level['service']]['title']}" + held(level), level)
               for level in latency["at_service_rate"]]
    series.append(("bare durable write of 64 KiB", latency["bare_write"]))
    rows = []
    for name, one in series:
        points = dict(map(tuple, one["points"]))
        rows.append([name, rate(one["rate"]) if "rate" in one else "", *(milliseconds(points[share]) if share in points else "–" for share in shares),
                     milliseconds(one["max"]), one["count"]])
    yield from table(["", "rows/s", *(f"p{share:g}" for share in shares), "max", "values"], rows)
    yield from service_lines(report)


def service_lines(report):
    """The three figures that acknowledgement is held against the service by."""
    for level in report["latency"]["at_service_rate"]:
        if level["p99_us"] is not None:
            yield (f"p99 at {rate(level['rate'])} rows/s, the maximum of the {report['peers'][level['service']]['title']}: {milliseconds(level['service_p99_us'])} ms "
                   f"of its own (closed loop, committed), {milliseconds(level['p99_us'])} ms of the node (open loop, acknowledged at {level['ack']}): "
                   f"{level['p99_us'] / level['service_p99_us']:.2f} of it" + held(level))


def stage_lines(report):
    if not report["stages"]:
        yield "Stages inside: of them only the codec was measured"
        return
    yield "Stages inside, beside a reference in the same process"
    yield from table(["stage", "case", "ns", "a", "reference", "ns", "ratio"],
                     [[stage["stage"], stage["case"], f"{stage['nanoseconds']:,.1f}", stage["unit"], stage["reference"] or "",
                       f"{stage['reference_nanoseconds']:,.1f}" if stage["reference_nanoseconds"] else "", f"{stage['ratio']:.2f}" if stage["ratio"] else ""]
                      for stage in report["stages"]], left=2)


def number(value):
    return "–" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def verdict(met):
    return {True: "met", False: "MISSED", None: "NOT MEASURED"}[met]


def target_lines(report):
    yield "Targets"
    yield from table(["", "target", "measured", ""], [[target["name"], target["target"], number(target["measured"]), verdict(target["met"])]
                                                      for target in report["targets"]])


def fact_lines(report):
    machine, versions, database = report["machine"], report["versions"], report["database"]
    yield f"{report['command']}   {counted(report['rounds_count'], 'round')}, {rate(report['rows'])} rows, {machine['minutes']} minutes"
    yield (f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}; "
           f"{100 * machine['busy_share_before']:.0f} % busy before, {100 * machine['stolen_share']:.1f} % stolen meanwhile; {machine['file_system']}")
    yield (f"{versions['wellhead']}, {versions['commit']}, {versions['compiler']}; PostgreSQL {database['server_version']}, "
           f"TimescaleDB {database['timescaledb']} ({database['timescaledb.license']})")
    for name, reason in report["peers_not_measured"].items():
        yield f"not measured: {name}: {reason}"


def print_report(report):
    parts = (fact_lines, rates_lines, latency_lines, stage_lines, null_sink_lines, target_lines)
    print("\n\n".join("\n".join(lines(report)) for lines in parts))


def null_sink_lines(report):
    one = report["null_sink"]
    spread = range_of(one["rows_per_second_spread"])
    yield (f"Null sink: {rate(one['records_per_second'])} records/s through one reactor by NDJSON{', ' if spread else ''}{spread}; "
           f"node's CPU {one['cpu_s_per_million_by_process']['node']:.2f} s per million; the most memory of a node in all of this {report['memory_mib']:.0f} MiB")
