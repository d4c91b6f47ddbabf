#!/usr/bin/env bash
# Does in a copy of this repository what recipes/README.md says, and runs all tests and checks after each step.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
# Written in two parts, so that `cargo dev rename` doesn't replace it.
if ! grep -q '^name = "actix-postgres-''sessions"' Cargo.toml; then
  echo "This app has a name of its own. The recipes are only tested in the template."
  exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Not in target/ itself, where `cargo dev` would find the copy of it.
export CARGO_TARGET_DIR=$root/target/recipes
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@localhost GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@localhost

copy() { git clone -q "$root" "$work/$1" && cd "$work/$1"; }

apply() {
  case $1 in
    rename) cargo dev rename my-app "My own app" ;;
    without-demo) git rm -rq --pathspec-from-file=recipes/without-demo.txt && git apply recipes/without-demo.patch ;;
    *) git apply "recipes/$1.patch" ;;
  esac || { echo "the recipe $1 doesn't apply (after: $done)" >&2; exit 1; }
  git add --all && git commit -qm "$1"
  done="$done $1"
}

check() {
  cargo fmt --all --check
  cargo clippy --quiet --workspace --all-targets -- -D warnings
  cargo test --quiet
  git diff --exit-code -- . ':!Cargo.lock'
}

copy all && done=
for recipe in rename page login without-demo; do
  printf '\n== %s\n' "$recipe"
  apply $recipe
  check
done
cargo dev browser
! git grep -q actix-postgres-sessions -- . ':!LICENSE-*' || { git grep actix-postgres-sessions; exit 1; }

# Each by itself, and other orders.
for recipes in page login without-demo "login page" "page without-demo" "login without-demo" "without-demo login page"; do
  printf '== %s\n' "$recipes"
  copy "${recipes// /-}" && done=
  for recipe in $recipes; do apply "$recipe"; done
  cargo check --quiet --workspace --all-targets
done
