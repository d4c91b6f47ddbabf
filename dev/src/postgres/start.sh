# Runs PostgreSQL, and creates its data first if there is none. The arguments are the directory of
# PostgreSQL's programs, the server's home, and the server's own arguments.

bin=$1 home=$2
shift 2
umask 077
exec >>"$home/log" 2>&1

# PostgreSQL refuses to run as root, so root runs it as the owner of the data, or as `postgres` or `nobody`. That user
# can still enter private directories, because the project may be in `/root`.
run=
if [ "$(id -u)" = 0 ]; then
    if ! command -v setpriv >/dev/null; then
        echo 'PostgreSQL refuses to run as root: install `setpriv` (util-linux)'
        exit 1
    fi
    user=$(id -nu postgres 2>/dev/null || id -nu nobody)
    account=$(stat -c '--reuid=%u --regid=%g' "$home/data" 2>/dev/null ||
        echo "--reuid=$user --regid=$(id -g "$user")")
    # Without the last option, access(2) would ignore the privilege.
    run="setpriv $account --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override
        --securebits=+no_setuid_fixup"
fi

# The data directory gets its final name only when it's complete.
if ! [ -d "$home/data" ]; then
    rm -rf "$home/data.new"
    $run "$bin/initdb" --pgdata="$home/data.new" --username=postgres --pwfile="$home/password" \
        --auth=password --encoding=UTF8 --locale=C --no-sync &&
        mv "$home/data.new" "$home/data" || exit
fi

# If the keeper of an earlier server was killed, that server may still be using the data, or just be stopping.
pid=$(head -n 1 "$home/data/postmaster.pid" 2>/dev/null)
if [ "$pid" ] && ps -ww -o args= -p "$pid" | grep -qF "/postgres -D $home/data "; then
    $run "$bin/pg_ctl" stop --pgdata="$home/data" --mode=fast
fi

exec $run "$bin/postgres" -D "$home/data" --listen_addresses=127.0.0.1 --unix_socket_directories= "$@"
