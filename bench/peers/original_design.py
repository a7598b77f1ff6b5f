"""The original design's writer: a consumer that inserts in batches of 1,000 rows, or what there is after a second, by asyncpg's
executemany. In its best case: nothing before it, the records are lines of a file that is in memory when the clock starts.

  original_design.py FILE             the database is in DATABASE_URL; prints rows, seconds and processor seconds as JSON,
                                      both from the first record taken to the last one stored
"""

import asyncio
import datetime
import json
import os
import pathlib
import sys
import time

import asyncpg

BATCH_ROWS = 1000
FLUSH_SECONDS = 1.0
CONNECTIONS = 2
COLUMNS = ("timestamp", "device_id", "temperature", "vibration", "pressure", "flow_rate", "motor_current", "rpm", "intake_pressure",
           "discharge_pressure")
INSERT = f"INSERT INTO telemetry ({', '.join(COLUMNS)}) VALUES ({', '.join(f'${number + 1}' for number in range(len(COLUMNS)))})"


def row_of(line):
    record = json.loads(line)
    return (datetime.datetime.fromisoformat(record["timestamp"]), *(record.get(column) for column in COLUMNS[1:]))


async def consume(connection, lines):
    """Takes records until there are none; every one of these consumers has a connection."""
    batch, flushed = [], time.monotonic()
    for line in lines:
        batch.append(row_of(line))
        if len(batch) >= BATCH_ROWS or time.monotonic() - flushed >= FLUSH_SECONDS:
            await connection.executemany(INSERT, batch)
            batch, flushed = [], time.monotonic()
    if batch:
        await connection.executemany(INSERT, batch)


async def main(path):
    lines = pathlib.Path(path).read_bytes().splitlines()
    shared = iter(lines)
    connections = [await asyncpg.connect(os.environ["DATABASE_URL"]) for _ in range(CONNECTIONS)]
    begin, used = time.monotonic(), time.process_time()
    await asyncio.gather(*(consume(connection, shared) for connection in connections))
    print(json.dumps({"rows": len(lines), "seconds": time.monotonic() - begin, "cpu_seconds": time.process_time() - used}))
    for connection in connections:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
