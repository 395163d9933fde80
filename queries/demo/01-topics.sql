-- Two topics are being written to right now. This is what they contain.
SHOW TOPICS;
PRINT 'orders' FROM BEGINNING LIMIT 2;
