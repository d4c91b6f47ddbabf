# Runs a program, and stops it when standard input closes. Standard input is a pipe from the program's owner,
# and it closes even if the owner is killed. The arguments are a signal name, the program, and the program's
# arguments.

signal=$1
shift

# Signals to the process group are meant for the program, so this shell ignores them.
trap : HUP INT QUIT TERM

exec 3<&0 4>&2 </dev/null 2>/dev/null

{
    trap : HUP INT QUIT TERM
    read -r _ <&3
    kill -s "$signal" 0
    kill -s CONT 0
    sleep 30
    kill -s KILL 0
} >/dev/null 4>&- &
watcher=$!

# Runs in the foreground, because a background process would ignore SIGINT.
(exec "$@" 2>&4 3<&- 4>&-)
status=$?

# Stops the watcher and any processes that the program left running.
kill -s KILL "$watcher"
trap '' TERM
kill -s TERM 0
exit "$status"
