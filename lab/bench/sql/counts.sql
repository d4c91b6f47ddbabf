-- PostgreSQL's counts for this database: statements, percentage of HOT updates, bytes, and bytes of WAL (of the whole
-- server).
select
    (select sum(calls) from pg_stat_statements where dbid = pg_database.oid),
    (select 100.0 * sum(n_tup_hot_upd) / nullif(sum(n_tup_upd), 0) from pg_stat_user_tables),
    pg_database_size(oid),
    pg_current_wal_insert_lsn() - '0/0'
from pg_database
where datname = current_database();
