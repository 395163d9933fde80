-- Nothing is lost silently: a record that could not be read is listed with its address and the reason.
SELECT order_id, amount, ARRAY_LENGTH(items) AS kinds
FROM orders
ORDER BY ROWTIME DESC
LIMIT 3;
SHOW REJECTS;
