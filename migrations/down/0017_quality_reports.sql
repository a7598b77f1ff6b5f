DROP VIEW quality_by_device;
DROP VIEW quality_overview;
DROP FUNCTION wellhead_quality_by_device(text, double precision);
DROP FUNCTION wellhead_quality_overview(text, double precision);
DROP FUNCTION wellhead_quality_figures(bigint, bigint, double precision, bigint, bigint);
