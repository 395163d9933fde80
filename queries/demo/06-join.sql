-- Who buys most? Orders joined with the current customers.
SELECT c.customer_id, c.name, c.tier, COUNT(*) AS orders, SUM(o.amount) AS spent
FROM orders o
JOIN customers c ON o.customer_id = c.customer_id
GROUP BY c.customer_id, c.name, c.tier
ORDER BY spent DESC
LIMIT 5;
