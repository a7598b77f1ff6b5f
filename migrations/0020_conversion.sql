-- Where the conversion of a table stands that was there before wellhead: see `wellhead migrate convert`.
--
--   prepared   its new table lies empty in the schema wellhead_next, nothing else is touched
--   copying    changes to the old table are noted, and its rows are copied
--   copied     every row is copied, and what was noted is brought over as it comes
--   swapped    the new table has the name, the old one is kept as table_name || '_before'
--   finished   the old one is gone

CREATE TABLE wellhead_conversion (
  table_name      text        PRIMARY KEY,
  state           text        NOT NULL CHECK (state IN ('prepared', 'copying', 'copied', 'swapped', 'finished')),
  position        text[],
  last_key        text[],
  rows_expected   bigint      NOT NULL DEFAULT 0,
  rows_copied     bigint      NOT NULL DEFAULT 0,
  later           text[]      NOT NULL DEFAULT '{}',
  kept_columns    text[]      NOT NULL DEFAULT '{}',
  dropped_columns text[]      NOT NULL DEFAULT '{}',
  changed_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE wellhead_conversion IS 'Where the conversion of each table stands; written by `wellhead migrate convert` only';
COMMENT ON COLUMN wellhead_conversion.position IS 'the key up to which rows are copied';
COMMENT ON COLUMN wellhead_conversion.last_key IS 'the greatest key when copying began; greater ones were noted';
COMMENT ON COLUMN wellhead_conversion.later IS 'indexes of the new table, made when the rows are in it';
COMMENT ON COLUMN wellhead_conversion.kept_columns IS 'columns that were carried along or kept their default; no migration makes them so';
COMMENT ON COLUMN wellhead_conversion.dropped_columns IS 'those of them that go with the old table';
