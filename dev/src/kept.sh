# Runs a program and ends it when standard input, a pipe, closes: that happens in whatever way the
# process at its other end ends. The arguments are the program and its own arguments.

# Signals to the whole group are meant for the program and those it started. (Not ignored: the program
# would inherit that.)
trap : HUP INT TERM

exec 3<&0 </dev/null
"$@" 3<&- &
program=$!

{
    trap : HUP INT TERM
    read -r _ <&3
    kill -s TERM 0
    trap - TERM
    # Longer than the app takes to let its last requests end.
    sleep 30
    kill -s KILL 0
} >/dev/null 2>&1 &
watch=$!
exec 3<&-

# Silent, because some shells report here how the program ended.
wait "$program" 2>/dev/null
status=$?
# A signal to this script interrupts a wait.
while kill -s 0 "$program" 2>/dev/null; do
    wait "$program" 2>/dev/null
    status=$?
done

kill -s KILL "$watch"
wait "$watch" 2>/dev/null
# What the program started, and the sleep above.
trap '' TERM
kill -s TERM 0
exit "$status"
