"""The service a good team would write by hand: HTTP in, COPY into TimescaleDB, an answer once the rows are committed.

Takes POST /v1/ingest/telemetry with a record a line, as wellhead does, and answers in its form. Requests that wait together go into one
COPY (asyncpg's copy_records_to_table), by as many writers as there are connections; a request is answered when its COPY is committed.
It checks what the table's constraints check, scores nothing, and a request that is sent again is stored again.

  hand_written_service.py PORT        the database is in DATABASE_URL; a line "ready" says that it listens
"""

import asyncio
import datetime
import json
import os
import sys

import asyncpg
import uvloop
from aiohttp import web

CONNECTIONS = 2
# Past some ten thousand rows a COPY gains nothing any more, and the requests in it only wait longer.
COPY_ROWS_MAX = 10_000
REQUEST_BYTES_MAX = 64 << 20
COLUMNS = ("timestamp", "device_id", "temperature", "vibration", "pressure", "flow_rate", "motor_current", "rpm", "intake_pressure",
           "discharge_pressure")


def rows_of(body):
    """One call of the JSON parser for all lines, which is quicker than one for each."""
    parse_time = datetime.datetime.fromisoformat
    records = json.loads(b"[%b]" % body.strip().replace(b"}\n{", b"},{"))
    return [(parse_time(record["timestamp"]), record["device_id"], record.get("temperature"), record.get("vibration"), record.get("pressure"),
             record.get("flow_rate"), record.get("motor_current"), record.get("rpm"), record.get("intake_pressure"),
             record.get("discharge_pressure")) for record in records]


class Service:
    def __init__(self):
        self.waiting = []  # (rows, future)
        self.arrived = asyncio.Event()

    async def ingest(self, request):
        rows = rows_of(await request.read())
        done = asyncio.get_running_loop().create_future()
        self.waiting.append((rows, done))
        self.arrived.set()
        await done
        return web.Response(text='{"accepted":%d,"rejected":0,"duplicate":0,"errors":[]}' % len(rows), content_type="application/json")

    def take(self):
        """Requests for one COPY, the oldest first."""
        count = rows = 0
        while count < len(self.waiting) and rows < COPY_ROWS_MAX:
            rows += len(self.waiting[count][0])
            count += 1
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    async def write(self):
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        while True:
            await self.arrived.wait()
            taken = self.take()
            if not self.waiting:
                self.arrived.clear()
            if not taken:
                continue
            try:
                await connection.copy_records_to_table("telemetry", columns=COLUMNS, records=[row for rows, _ in taken for row in rows])
            except asyncpg.PostgresError as error:
                for _, done in taken:
                    done.set_exception(web.HTTPServiceUnavailable(text=str(error)))
            else:
                for _, done in taken:
                    done.set_result(None)


async def serve(port):
    service = Service()
    writers = [asyncio.create_task(service.write()) for _ in range(CONNECTIONS)]
    application = web.Application(client_max_size=REQUEST_BYTES_MAX)
    application.router.add_post("/v1/ingest/telemetry", service.ingest)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.gather(*writers)


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(serve(int(sys.argv[1])))
