-- Access the fields of structs with -> and the elements of arrays with [1].
SELECT order_id, ship_to->city AS city, ARRAY_LENGTH(items) AS kinds, items[1]->sku AS first_item
FROM orders
WHERE ship_to->country = 'PL' AND amount > 400
ORDER BY amount DESC
LIMIT 5;
