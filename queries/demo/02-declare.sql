-- A stream has a row for every record of a topic; a table has the latest value of each key.
CREATE STREAM IF NOT EXISTS orders (
    order_id STRING KEY,
    customer_id STRING,
    status STRING,
    amount DECIMAL(9, 2),
    items ARRAY<STRUCT<sku STRING, quantity INT, price DECIMAL(9, 2)>>,
    ship_to STRUCT<street STRING, city STRING, country STRING>
) WITH (KAFKA_TOPIC = 'orders', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');

CREATE TABLE IF NOT EXISTS customers (
    customer_id STRING PRIMARY KEY,
    name STRING,
    email STRING,
    tier STRING,
    address STRUCT<city STRING, country STRING>
) WITH (KAFKA_TOPIC = 'customers', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');
