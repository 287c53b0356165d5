-- Every secret once, the worst first.
SELECT
    id,
    argMaxMerge(kind) AS kind,
    argMaxMerge(state) AS state,
    maxMerge(admin_accepted) AS admin_accepted,
    sumMerge(seen) AS seen,
    sumMerge(accepted) AS accepted,
    sumMerge(refused) AS refused,
    minMerge(first_seen) AS first_seen,
    maxMerge(last_seen) AS last_seen,
    arraySort(groupUniqArrayArrayMerge(16)(users)) AS users,
    greatest(uniqCombinedArrayMerge(networks), maxMerge(networks_most)) AS networks_at_least
FROM tokenshim.findings
GROUP BY key_id, id
ORDER BY state = 'dead', admin_accepted DESC, accepted > 0 DESC, seen DESC, id;

-- Who still leaks: clients with secrets of the last seven days that are not known to be dead. A report says
-- which clients had a secret, and not how often each of them: that is in its table "Clients to fix".
SELECT
    client,
    count() AS secrets,
    max(last) AS secrets_last_seen
FROM
(
    SELECT
        id,
        groupUniqArrayArrayMerge(64)(clients) AS all_clients,
        maxMerge(last_seen) AS last
    FROM tokenshim.findings
    GROUP BY key_id, id
    HAVING last >= now('UTC') - INTERVAL 7 DAY AND argMaxMerge(state) != 'dead'
)
ARRAY JOIN all_clients AS client
GROUP BY client
ORDER BY secrets DESC, client;
