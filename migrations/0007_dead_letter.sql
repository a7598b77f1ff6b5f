-- Records that did not become rows, each with the reason and its bytes.
--
-- The nodes write it like any stream, so it holds exactly what they acknowledged. Nothing in it may be refused, hence
-- no constraints. The partition key comes first and id begins with the same time (a version 7 UUID): looking one up
-- needs no index of its own.

CREATE TABLE dead_letter (
  received_at   timestamptz NOT NULL,
  id            uuid        NOT NULL,
  node_id       text,
  stream        text        NOT NULL,
  code          text        NOT NULL,
  field         text,
  message       text,
  sqlstate      text,
  source        text,
  device_id     text,
  payload       bytea,
  payload_bytes bigint,
  payload_form  text,
  record_index  integer,
  replayed_at   timestamptz
);

COMMENT ON TABLE dead_letter IS 'Records that were rejected or refused; see `wellhead dead-letter`';
COMMENT ON COLUMN dead_letter.received_at IS 'when the node received the record, or when the database refused its row';
COMMENT ON COLUMN dead_letter.code IS 'the error code of the reply; not_kept: tells how many more the request had';
COMMENT ON COLUMN dead_letter.source IS 'listener and peer, as far as known';
COMMENT ON COLUMN dead_letter.payload IS 'the record, or its beginning where payload_bytes is more';
COMMENT ON COLUMN dead_letter.payload_bytes IS 'length of the whole record';
COMMENT ON COLUMN dead_letter.payload_form IS 'original: the bytes as received; row: JSON made from the row the database refused';
COMMENT ON COLUMN dead_letter.record_index IS 'of the record within its request, from 0';
COMMENT ON COLUMN dead_letter.replayed_at IS 'when a replay of it was accepted';

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    PERFORM create_hypertable('dead_letter', 'received_at', chunk_time_interval => INTERVAL '1 day',
                              create_default_indexes => false);
  END IF;
END
$$;

CREATE INDEX dead_letter_time_idx ON dead_letter (received_at DESC);
CREATE INDEX dead_letter_stream_time_idx ON dead_letter (stream, received_at DESC);
