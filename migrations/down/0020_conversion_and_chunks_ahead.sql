DROP FUNCTION wellhead_make_chunks(text, timestamptz, integer);
DROP TABLE wellhead_conversion;
