-- The newest five orders. The topic is read from its end, so this takes as long for a billion.
SELECT ROWTIME, order_id, customer_id, amount
FROM orders
ORDER BY ROWTIME DESC
LIMIT 5;
