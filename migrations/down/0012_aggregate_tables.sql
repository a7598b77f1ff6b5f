-- loses: telemetry_1min telemetry_1hour telemetry_daily

DROP FUNCTION wellhead_refresh(text, boolean, timestamptz);
DROP FUNCTION wellhead_collect_invalidations(text);
DROP FUNCTION wellhead_set_pending(text, tstzmultirange);
DROP TABLE wellhead_invalidation_pending;
DROP TABLE wellhead_invalidation;
DROP TABLE telemetry_daily;
DROP TABLE telemetry_1hour;
DROP TABLE telemetry_1min;
