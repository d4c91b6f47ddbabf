# Runs PostgreSQL, and creates its data first if there is none. The arguments are the directory of
# PostgreSQL's programs, the server's home, and the server's own arguments.

bin=$1 home=$2
shift 2
umask 077
exec >>"$home/log" 2>&1

# The data directory gets its final name only when it's complete.
if ! [ -d "$home/data" ]; then
    rm -rf "$home/data.new"
    "$bin/initdb" --pgdata="$home/data.new" --username=postgres --pwfile="$home/password" \
        --auth=password --encoding=UTF8 --locale=C --no-sync &&
        mv "$home/data.new" "$home/data" || exit
fi

exec "$bin/postgres" -D "$home/data" "$@"
