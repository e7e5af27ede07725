#!/bin/sh
# A drill: is what `zscrape backup` writes really a gateway that works? It backs up the home of a
# gateway (which may be running), restores that into an empty home, starts a gateway there on free
# ports and compares the two. Nothing of the first one is touched. Exit code 0: they are the same.
#
#   sh drill.sh [--home HOME] [--keep FOLDER]
#
# --home   the home of the gateway; without it, what ZSCRAPE_HOME or the platform says
# --keep   an empty folder that the backup is made in, and stays in
set -eu

zscrape=${ZSCRAPE:-zscrape}
home=${ZSCRAPE_HOME:-}
keep=""
while [ $# -gt 0 ]; do
  case $1 in
    --home) home=${2:?--home needs a folder}; shift 2 ;;
    --keep) keep=${2:?--keep needs a folder}; shift 2 ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 3 ;;
  esac
done
[ -n "$home" ] || home=${XDG_DATA_HOME:-$HOME/.local/share}/zscrape
[ -e "$home/zscrape.db" ] || { echo "drill: there is no gateway's database in $home" >&2; exit 3; }

work=$(mktemp -d)
gateway=""
finish() {
  if [ -n "$gateway" ]; then
    kill "$gateway" 2>/dev/null || true
    wait "$gateway" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
place=${keep:-$work}
mkdir -p "$place"
chmod 0700 "$place"
other=$work/home

# What leads to the gateway that is drilled, or says how it is set, must not lead the other one.
for name in $(env | sed -n 's/^\(ZSCRAPE_[A-Z_]*\)=.*/\1/p'); do
  [ "$name" = ZSCRAPE ] || unset "$name"
done

echo "drill: backing up $home"
"$zscrape" backup "$place/zscrape.bak" --home "$home" --json >"$work/backup"
pick() { # FILE EXPRESSION: of the JSON document `d`
  python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"
}
wanted=$(pick "$work/backup" 'd["task_count"]')
# The key of secrets is in no backup, on purpose: keep it apart. The link's keys let workers
# that have joined come back without a new token.
for file in secrets.key link.toml; do
  [ ! -e "$home/$file" ] || cp -p "$home/$file" "$place/"
done

echo "drill: restoring into an empty home"
mkdir -m 0700 "$other"
for file in secrets.key link.toml; do
  [ ! -e "$place/$file" ] || cp -p "$place/$file" "$other/"
done
"$zscrape" restore "$place/zscrape.bak" --home "$other" --json >"$work/restored"

echo "drill: starting a gateway on it"
mkdir "$work/scripts"
# Schedules that are due would begin to run: without a worker they only wait, and go with the drill.
"$zscrape" gateway --home "$other" --http 127.0.0.1:0 --link tcp://127.0.0.1:0 \
  --scripts "$work/scripts" --json >"$work/ready" 2>"$work/log" &
gateway=$!
until [ -s "$work/ready" ]; do
  kill -0 "$gateway" 2>/dev/null || { cat "$work/log" >&2; echo "drill: FAILED, it does not start" >&2; exit 1; }
  sleep 0.2
done

failed=""
found=$(pick "$work/restored" 'd["facts"]["task_count"]')
echo "drill: $found of $wanted tasks"
[ "$found" = "$wanted" ] || failed=1
"$zscrape" tasks list --status completed --limit 1 --home "$other" --json >"$work/tasks"
newest=$(pick "$work/tasks" '"".join(t["request_id"] for t in d["tasks"])')
if [ -n "$newest" ]; then
  "$zscrape" tasks show "$newest" --home "$other" --json >"$work/task"
  [ "$(pick "$work/task" 'd["status"]')" = completed ] || failed=1
  echo "drill: the newest completed task is there: $newest"
fi
for noun in schedules secrets; do
  "$zscrape" "$noun" list --home "$other" --json >"$work/$noun"
  echo "drill: $noun: $(pick "$work/$noun" "len(d['$noun'])")"
done
if [ -n "$failed" ]; then
  echo "drill: FAILED" >&2
  exit 1
fi
echo "drill: passed${keep:+; the backup is in $keep}"
