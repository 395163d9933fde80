-- The newest five orders. The topic is read from its end, so this is just as fast with a billion records.
SELECT ROWTIME, order_id, customer_id, amount
FROM orders
ORDER BY ROWTIME DESC
LIMIT 5;
