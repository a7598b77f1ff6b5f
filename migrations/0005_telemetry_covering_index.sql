-- option: covering_index
--
-- Answers queries of a device's temperature, pressure and flow from the index alone. It costs every insert and about
-- as much disk again as the index it repeats, so it is made only where it is asked for.

CREATE INDEX telemetry_covering_idx ON telemetry (device_id, "timestamp" DESC, temperature, pressure, flow_rate);
