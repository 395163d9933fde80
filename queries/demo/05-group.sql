-- Totals over the whole topic, without the broken records.
SELECT ship_to->country AS country, COUNT(*) AS orders, SUM(amount) AS revenue, CAST(AVG(amount) AS DECIMAL(9, 2)) AS average
FROM orders
WHERE status <> 'CANCELLED'
GROUP BY ship_to->country
ORDER BY revenue DESC;
