# Runs a program, and ends it when standard input closes: a pipe from the program's owner, which closes even if
# the owner is killed. The arguments are a signal's name, the program, and the program's own arguments.

signal=$1
shift

# Signals to the process group are for the program, so this shell survives them.
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

# In the foreground: in the background it would ignore SIGINT.
(exec "$@" 2>&4 3<&- 4>&-)
status=$?

# End the watcher and whatever the program left running.
kill -s KILL "$watcher"
trap '' TERM
kill -s TERM 0
exit "$status"
