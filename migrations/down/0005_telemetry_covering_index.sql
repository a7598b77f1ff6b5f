DROP INDEX telemetry_covering_idx;
