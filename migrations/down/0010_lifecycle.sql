-- loses: wellhead_archive_marker wellhead_retention_log

DROP FUNCTION wellhead_drop_expired(text, boolean, timestamptz);
DROP FUNCTION wellhead_expired(text, timestamptz);
DROP FUNCTION wellhead_chunks(text);
DROP FUNCTION wellhead_aggregate_query(text, timestamptz, timestamptz);
DROP FUNCTION wellhead_ceiling(interval, timestamptz);
DROP FUNCTION wellhead_floor(interval, timestamptz);
DROP FUNCTION wellhead_maintenance_lock();
DROP TABLE wellhead_retention_log;
DROP TABLE wellhead_archive_marker;
DROP TABLE wellhead_aggregate;
DROP TABLE wellhead_lifecycle;
