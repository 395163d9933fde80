CREATE STREAM s (k STRING KEY, v INT, d DECIMAL(6, 2), t STRING) WITH (KAFKA_TOPIC = 's', PARTITIONS = 2, VALUE_FORMAT = 'JSON');
CREATE TABLE numbers AS SELECT k, COUNT(*) AS n, SUM(v) AS s, SUM(d) AS ds, AVG(v) AS a, MIN(v) AS least, MAX(t) AS most FROM s GROUP BY k;
CREATE TABLE collected AS SELECT v, COLLECT_LIST(t) AS list, COLLECT_SET(t) AS kinds, COUNT_DISTINCT(t) AS n, HISTOGRAM(t) AS h, TOPK(v, 2) AS top, LATEST_BY_OFFSET(t) AS last, EARLIEST_BY_OFFSET(t, 2) AS firsts, STDDEV_SAMP(v) AS dev FROM s GROUP BY v;
CREATE TABLE hourly AS SELECT k, COUNT(*) AS n, COLLECT_LIST(v) AS list FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k;
CREATE TABLE hops AS SELECT k, SUM(v) AS s FROM s WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 30 MINUTES) GROUP BY k;
CREATE TABLE visits AS SELECT k, COUNT(*) AS n, MAX(v) AS v FROM s WINDOW SESSION (10 MINUTES) GROUP BY k;
CREATE TABLE finals AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 0 SECONDS) GROUP BY k EMIT FINAL;
INSERT INTO s (ROWTIME, k, v, d, t) VALUES (1000, 'a', 1, 1.25, 'x'), (2000, 'b', 2, -3.50, 'y'), (3000, 'a', 3, NULL, 'z'), (700000, 'a', 1, 0.01, 'x');
INSERT INTO s (ROWTIME, k, v, d, t) VALUES (900000, 'c', 2, 7.00, NULL), (950000, 'b', 1, 2.00, 'x');
-- continue
INSERT INTO s (ROWTIME, k, v, d, t) VALUES (1000000, 'a', 5, 1.00, 'w'), (1000001, 'b', 2, 0.25, 'y'), (3700000, 'a', 1, 1.00, 'v'), (3700001, 'b', 1, 1.00, 'v'), (3700002, 'c', 1, 1.00, 'v'), (5000, 'a', 9, 9.00, 'late');
SELECT * FROM numbers ORDER BY k;
SELECT * FROM collected ORDER BY v;
SELECT * FROM hourly ORDER BY k, windowstart;
SELECT * FROM hops ORDER BY k, windowstart;
SELECT * FROM visits ORDER BY k, windowstart;
SELECT * FROM finals ORDER BY k, windowstart;
