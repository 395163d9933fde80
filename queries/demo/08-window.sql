-- Full SQL: the most expensive order of each country, with a window function.
SELECT country, order_id, amount
FROM (
    SELECT ship_to->country AS country, order_id, amount,
           ROW_NUMBER() OVER (PARTITION BY ship_to->country ORDER BY amount DESC) AS place
    FROM orders
) AS ranked
WHERE place = 1
ORDER BY amount DESC;
