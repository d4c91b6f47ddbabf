# Runs ChromeDriver ($1) with its own home directory ($2). Removes the directory after ChromeDriver and the
# browsers have exited.

# The browsers are in the same process group, so they get the signal, too.
trap : TERM

export HOME="$2" TMPDIR="$2"
unset XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME
"$1" --port=0 >"$2/log" 2>&1 &
driver=$!
# A signal to this script interrupts `wait`.
while kill -s 0 "$driver" 2>/dev/null; do
    wait "$driver" 2>/dev/null
done

# Browsers that are shutting down may still be writing.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$2" 2>/dev/null && break
    sleep 0.2
done
