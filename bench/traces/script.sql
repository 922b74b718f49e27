-- SPDX-License-Identifier: MIT
-- A table filled, indexed, joined, grouped, updated and deleted from, in memory.
PRAGMA journal_mode = MEMORY;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, size INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
  INSERT INTO item SELECT i, hex(i * 2654435761 % 65537), i * 7919 % 4096,
    printf('%.*c', i * 31 % 200, 'x') FROM n;
CREATE INDEX item_name ON item(name);
SELECT count(*), sum(length(note)) FROM item;
SELECT name, count(*), group_concat(id) FROM item GROUP BY name ORDER BY 2 DESC LIMIT 5;
UPDATE item SET note = note || name WHERE size % 3 = 0;
DELETE FROM item WHERE size % 5 = 0;
SELECT a.name, max(a.size + b.size) FROM item a JOIN item b ON a.id = b.size
  GROUP BY a.name ORDER BY 2 LIMIT 3;
