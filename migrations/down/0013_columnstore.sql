-- Chunks that are compressed stay so, and can be read.

DO $$
DECLARE
  facts wellhead_lifecycle;
BEGIN
  FOR facts IN SELECT * FROM wellhead_lifecycle WHERE compress_after IS NOT NULL LOOP
    EXECUTE format('CALL remove_columnstore_policy(%L, if_exists => true)', quote_ident(facts.table_name));
  END LOOP;
END
$$;
