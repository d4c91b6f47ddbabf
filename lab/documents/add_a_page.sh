#!/usr/bin/env bash
# Follows docs/add-a-page.md in a copy of this project, and runs the new page's tests. Needs Python 3.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
git clone --quiet . "$work/app"
cd "$work/app"

python3 - <<'PYTHON'
import pathlib, re
document = pathlib.Path("docs/add-a-page.md").read_text()
block = r":\n\n```\w+\n(.*?)```"
for path, text in re.findall(r"^Create `([^`]+)`" + block, document, re.M | re.S):
    pathlib.Path(path).write_text(text)
for path, where, mark, text in re.findall(r"^In `([^`]+)`, (below|above) `([^`]+)`" + block, document, re.M | re.S):
    lines = pathlib.Path(path).read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if mark in line)
    lines.insert(at + (where == "below"), text)
    pathlib.Path(path).write_text("".join(lines))
for path, old, new in re.findall(r"^In `([^`]+)`, replace `([^`]+)` with `([^`]+)`", document, re.M):
    text = pathlib.Path(path).read_text()
    assert old in text, old
    pathlib.Path(path).write_text(text.replace(old, new))
PYTHON

cargo dev prepare
cargo fmt --all --check
cargo clippy --quiet --all-targets -- -D warnings
cargo test --quiet --test web notes
