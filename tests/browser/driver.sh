# Runs ChromeDriver ($1) with a home of its own ($2), and removes that after both have ended.

# The browsers get the signal as well: they are in our process group.
trap : TERM

export HOME="$2" TMPDIR="$2"
unset XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME
"$1" --port=0 >"$2/log" 2>&1 &
driver=$!
# A signal to this script interrupts a wait.
while kill -s 0 "$driver" 2>/dev/null; do
    wait "$driver" 2>/dev/null
done

# Browsers that are on their way out may still write.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$2" 2>/dev/null && break
    sleep 0.2
done
