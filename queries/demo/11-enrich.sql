-- A live join: each order of a gold customer, with what the table says about the customer at that moment.
CREATE STREAM IF NOT EXISTS gold_orders AS
SELECT o.customer_id AS customer_id, order_id, name, address->city AS city, amount
FROM orders o
JOIN customers c ON o.customer_id = c.customer_id
WHERE tier = 'GOLD';

SELECT order_id, name, city, amount
FROM gold_orders
WHERE ROWTIME > UNIX_TIMESTAMP() - 10000
EMIT CHANGES
LIMIT 5;
