-- Nothing is lost silently: the records that could not be read, each with its address and reason.
SELECT COUNT(*) AS readable, SUM(amount) AS revenue FROM orders;
SHOW REJECTS;
