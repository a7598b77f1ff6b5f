-- loses: telemetry.quality_flags esp_telemetry.quality_flags

DROP FUNCTION wellhead_quality_reasons(text, bigint);
DROP FUNCTION wellhead_scored_fields(text);

COMMENT ON COLUMN telemetry.is_anomaly IS NULL;
COMMENT ON COLUMN esp_telemetry.is_anomaly IS NULL;

ALTER TABLE telemetry DROP COLUMN quality_flags;
ALTER TABLE esp_telemetry DROP COLUMN quality_flags;
