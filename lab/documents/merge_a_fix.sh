#!/usr/bin/env bash
# Merges a release tag into a copy that has a new name and its own changes, as .github/SECURITY.md describes.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export GIT_{AUTHOR,COMMITTER}_NAME=ci GIT_{AUTHOR,COMMITTER}_EMAIL=ci@localhost
git clone --quiet . "$work/template"
git clone --quiet "$work/template" "$work/copy"

cd "$work/copy"
cargo dev rename my-app
sed -i 's/^pub const MAX_HEADERS: usize = .*/pub const MAX_HEADERS: usize = 65;/' src/limits.rs
git commit --quiet --all --message 'Make it mine'

cd "$work/template"
sed -i 's/^pub const MAX_BODY_BYTES: usize = .*/pub const MAX_BODY_BYTES: usize = 8 * 1024;/' src/limits.rs
git commit --quiet --all --message 'Fix something'
git tag v0.1.1

cd "$work/copy"
git remote add template "$work/template"
git fetch --quiet template --tags
git merge --quiet --no-edit v0.1.1
grep -q '^pub const MAX_BODY_BYTES: usize = 8 ' src/limits.rs
grep -q '^pub const MAX_HEADERS: usize = 65;' src/limits.rs
grep -q '^name = "my-app"' Cargo.toml
cargo metadata --locked --offline --no-deps --format-version 1 >/dev/null
echo "the copy has the fix, its own name and its own changes"
