#!/usr/bin/env bash
# Runs the commands in docs/tour.md against the app, and compares their output with the document. Needs curl.
set -euo pipefail
cd "$(dirname "$0")/../.."

address=127.0.0.1:${PORT:-18082}
work=$(mktemp -d)
BIND_ADDRESS=$address cargo dev >"$work/log" 2>&1 &
dev=$!
trap 'kill -INT $dev; wait $dev || true; rm -rf "$work"' EXIT
until curl -fsS -o /dev/null "http://$address/health/ready" 2>/dev/null; do
  kill -0 $dev 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 1
done

# IDs, keys and times differ between runs, and headers come in any order.
comparable() { sed -E 's/[0-9a-f]{8}-[0-9a-f-]{27}/UUID/g; s/id=[0-9A-Za-z+%]{21}/id=KEY/; s/20[0-9T:-]{17}Z/TIME/g' | sort; }

console=$(sed -n '/^```console$/,/^```$/p' docs/tour.md | grep -v '^```')
expected=$(grep -v '^\$ ' <<<"$console" | comparable)
actual=$(cd "$work" && sed -n 's/^\$ //p' <<<"$console" | sed "s/localhost:8080/$address/g" | bash | comparable)
diff <(echo "$expected") <(echo "$actual")
echo "docs/tour.md is correct"
