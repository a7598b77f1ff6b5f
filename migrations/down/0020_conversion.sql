DROP TABLE wellhead_conversion;
