-- A pull query reads the live table from the state of its query: the latest half hour in Poland.
SELECT FROM_UNIXTIME(windowstart) AS since, orders, revenue
FROM revenue
WHERE country = 'PL'
ORDER BY since DESC
LIMIT 3;

EXPLAIN SELECT orders, revenue FROM revenue WHERE country = 'PL';
