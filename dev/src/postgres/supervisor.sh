# Keeps one PostgreSQL for the process at the other end of the pipe on standard input, and ends it
# when that pipe closes: so nothing is left behind, in whatever way that process ended.
#
# Arguments: the directory of PostgreSQL's programs; the home of the server (data, log, password), or
# nothing for a temporary one; the server's options. Commands come in a line each and are answered by a line.

# A reader that has died must not end this script before its work is done.
trap '' PIPE
# Asked to end, it ends as if the pipe had closed. (Not ignored: the server would inherit that.)
trap : HUP INT TERM
umask 077

bin=$1 home=$2 temporary= server= last_signal=INT
shift 2
if [ -z "$home" ]; then
    home=$(mktemp -d "${TMPDIR:-/tmp}/postgres.XXXXXX") || exit 1
    temporary=yes last_signal=QUIT
fi
printf '%s\n' "$home"
: >"$home/log"

# Made beside its place and then moved there, so that what a power cut leaves half made is never used.
init() {
    [ -d "$home/data" ] && return
    rm -rf "$home/data.new"
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$home/password" &&
        "$bin/initdb" --pgdata="$home/data.new" --username=postgres --pwfile="$home/password" \
            --auth=password --encoding=UTF8 --locale=C ${temporary:+--no-sync} >>"$home/log" 2>&1 </dev/null &&
        mv "$home/data.new" "$home/data"
}

reap() {
    # Again and again, because a signal to this script interrupts a wait.
    while [ -n "$server" ] && kill -s 0 "$server"; do wait "$server"; done
    server=
}

while read -r command arguments; do
    case $command in
    init) init ;;
    start)
        "$bin/postgres" -D "$home/data" "$@" -c "port=$arguments" >>"$home/log" 2>&1 </dev/null &
        server=$!
        ;;
    signal) kill -s $arguments ;;
    signal-server) [ -z "$server" ] || kill -s "$arguments" "$server" ;;
    reap) reap ;;
    esac
    echo "$? $server"
done

if [ -n "$server" ]; then
    kill -s "$last_signal" "$server"
    # One that was stopped takes its signal only when it goes on.
    kill -s CONT "$server"
    reap
fi
if [ -n "$temporary" ]; then
    # The last processes of a server that was killed may still write.
    for _ in 1 2 3 4 5; do rm -rf "$home" && break || sleep 1; done
fi
