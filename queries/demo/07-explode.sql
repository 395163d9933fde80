-- One row for each item of an order.
SELECT item->sku AS sku, SUM(item->quantity) AS sold
FROM (SELECT EXPLODE(items) AS item FROM orders) AS sales
GROUP BY item->sku
ORDER BY sold DESC
LIMIT 5;
