#!/usr/bin/env bash
# The abuse suite as an ordinary user, started by root: `tests/abuse/as_user.sh [pytest options]`.
# With it go the tests of what such a user's worker does in other ways than root's.
#
# An interpreter under a closed home folder (mode 0700) cannot be reached by another user. So
# this makes a mount namespace of its own, in which every closed folder on the way to the
# interpreter and to this checkout shows nothing but those. Outside nothing changes.
set -euo pipefail

checkout=$(cd "$(dirname "$0")/../.." && pwd)
python=$(command -v "${PYTHON:-python}")
user_id=12345
files="tests/abuse tests/runtime/test_notify.py tests/worker/test_supervisor.py tests/worker/test_supervised_attempts.py tests/worker/test_shared_memory.py tests/worker/test_browser.py"
cd "$checkout"

if [ "$(id -u)" != 0 ]; then
  # shellcheck disable=SC2086 # words
  exec "$python" -m pytest $files "$@"
fi

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
chmod 0755 "$work"
mkdir "$work/home" "$work/tmp"
chown "$user_id:$user_id" "$work/home" "$work/tmp"

inside() {
  local needed closed path rest kept
  readarray -t needed < <("$python" -c '
import os, sys
paths = (sys.argv[1], sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)))
print("\n".join(sorted({os.path.realpath(path) for path in paths})))' "$checkout")
  mkdir "$work/kept"
  for path in "${needed[@]}"; do
    closed=""
    rest="/"
    while IFS= read -r -d / part; do
      [ -n "$part" ] || continue
      rest="${rest%/}/$part"
      if ! setpriv --reuid "$user_id" --regid "$user_id" --clear-groups test -x "$rest"; then
        closed="$rest"
        break
      fi
    done <<<"$path/"
    [ -n "$closed" ] || continue
    kept="$work/kept/${closed//\//_}"
    mkdir "$kept"
    mount --bind "$closed" "$kept"
    mount -t tmpfs -o mode=0755 none "$closed"
    for rest in "${needed[@]}"; do
      [[ "$rest" == "$closed"/* ]] || continue
      mkdir -p "$rest"
      mount --bind "$kept/${rest#"$closed"/}" "$rest"
    done
    umount "$kept"
  done
  # shellcheck disable=SC2086 # words
  exec setpriv --reuid "$user_id" --regid "$user_id" --clear-groups \
    env -i "PATH=$PATH" LANG=C.UTF-8 "HOME=$work/home" "TMPDIR=$work/tmp" PYTHONDONTWRITEBYTECODE=1 \
    "$python" -m pytest -p no:cacheprovider $files "$@"
}

export -f inside
export work checkout python user_id files
unshare --mount --propagation private bash -euo pipefail -c 'inside "$@"' bash "$@"
