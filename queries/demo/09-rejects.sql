-- Nothing is lost silently: records that could not be read are listed with their address and the reason.
SELECT order_id, amount, ARRAY_LENGTH(items) AS kinds
FROM orders
ORDER BY ROWTIME DESC
LIMIT 3;
SHOW REJECTS;
