-- Findings of a fleet, keyed by the id of the secret. Load each report once:
--
--   tokenshim audit --key KEY --format ndjson /var/log/nginx > findings.ndjson
--   clickhouse-client --query "INSERT INTO tokenshim.findings_in FORMAT JSONEachRow" \
--     --input_format_skip_unknown_fields 1 < findings.ndjson
--
-- Reports that are added up have to be of different lines, as for audit-merge. Ids are the same in
-- all reports only if the key is: give every host the same key file.

CREATE DATABASE IF NOT EXISTS tokenshim;

-- What a line of NDJSON has, as far as it is used here. Nothing is kept in it.
CREATE TABLE IF NOT EXISTS tokenshim.findings_in
(
    type           String,
    key_id         String,
    id             String,
    kind           String,
    confidence     String,
    users          Array(String),
    count          UInt64,
    accepted       UInt64,
    refused        UInt64,
    first_seen     Nullable(String),
    last_seen      Nullable(String),
    admin          Bool,
    admin_accepted Bool,
    endpoints      Array(String),
    clients        Array(String),
    networks       Array(String),
    networks_count UInt64,
    state          String,
    checked_at     Nullable(String)
)
ENGINE = Null;

CREATE TABLE IF NOT EXISTS tokenshim.findings
(
    key_id         LowCardinality(String),
    id             String,
    kind           AggregateFunction(argMax, String, UInt8),
    reports        AggregateFunction(count),
    seen           AggregateFunction(sum, UInt64),
    accepted       AggregateFunction(sum, UInt64),
    refused        AggregateFunction(sum, UInt64),
    first_seen     AggregateFunction(min, Nullable(DateTime('UTC'))),
    last_seen      AggregateFunction(max, Nullable(DateTime('UTC'))),
    admin_accepted AggregateFunction(max, UInt8),
    users          AggregateFunction(groupUniqArrayArray(16), Array(String)),
    clients        AggregateFunction(groupUniqArrayArray(64), Array(String)),
    endpoints      AggregateFunction(groupUniqArrayArray(64), Array(String)),
    -- A report names a few of very many networks, and counts all of its own.
    networks       AggregateFunction(uniqCombinedArray, Array(String)),
    networks_most  AggregateFunction(max, UInt64),
    state          AggregateFunction(argMax, String, DateTime('UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (key_id, id);

CREATE MATERIALIZED VIEW IF NOT EXISTS tokenshim.findings_add TO tokenshim.findings AS
SELECT
    key_id,
    id,
    argMaxState(kind, toUInt8(indexOf(['context', 'shape', 'verified'], confidence))) AS kind,
    countState() AS reports,
    sumState(count) AS seen,
    sumState(in.accepted) AS accepted,
    sumState(in.refused) AS refused,
    minState(parseDateTimeBestEffortOrNull(in.first_seen, 'UTC')) AS first_seen,
    maxState(parseDateTimeBestEffortOrNull(in.last_seen, 'UTC')) AS last_seen,
    maxState(toUInt8(in.admin_accepted)) AS admin_accepted,
    groupUniqArrayArrayState(16)(in.users) AS users,
    groupUniqArrayArrayState(64)(in.clients) AS clients,
    groupUniqArrayArrayState(64)(in.endpoints) AS endpoints,
    uniqCombinedArrayState(in.networks) AS networks,
    maxState(in.networks_count) AS networks_most,
    -- The word of whoever looked last; who did not look says nothing.
    argMaxState(in.state, ifNull(parseDateTimeBestEffortOrNull(in.checked_at, 'UTC'), toDateTime(0, 'UTC'))) AS state
FROM tokenshim.findings_in AS in
-- The last line of a report has its totals, and is of no token.
WHERE in.type = 'token'
GROUP BY key_id, id;
