-- Two topics are being written right now. This is what is in them.
SHOW TOPICS;
PRINT 'orders' FROM BEGINNING LIMIT 2;
