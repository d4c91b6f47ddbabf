-- The cost of each contender's statements.
select
    datname as database,
    calls,
    rows,
    round((1000 * total_exec_time / calls)::numeric, 1) as microseconds,
    round(wal_bytes / calls) as wal_bytes,
    left(regexp_replace(query, '\s+', ' ', 'g'), 100) as query
from pg_stat_statements
join pg_database on pg_database.oid = dbid
where calls > 1000
order by datname, total_exec_time desc;
