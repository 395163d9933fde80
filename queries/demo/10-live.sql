-- A live table: the revenue of each country in each ten minutes, and how it changes as orders arrive.
CREATE TABLE IF NOT EXISTS revenue AS
SELECT ship_to->country AS country, COUNT(*) AS orders, SUM(amount) AS revenue
FROM orders WINDOW TUMBLING (SIZE 10 MINUTES)
WHERE status <> 'CANCELLED'
GROUP BY ship_to->country;

SELECT country, FROM_UNIXTIME(windowstart) AS since, orders, revenue
FROM revenue
WHERE windowend > UNIX_TIMESTAMP()
EMIT CHANGES
LIMIT 12;
