-- A visit moves expires_at once a minute. An index on it made each of these updates write to every index of the table;
-- without one, and with room on the page, it is a heap-only (HOT) update. The sweep goes through the pages instead.

-- Whoever holds the table for long, such as a dump, keeps us waiting, and behind us every visit, which gives up after half
-- a second: give up sooner, and try again.
set local lock_timeout = '200ms';
drop index sessions_expires_at_idx;
alter table sessions set (fillfactor = 90);
