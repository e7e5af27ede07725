#!/bin/sh
# Installs zscrape from the folder that this file is in. Nothing is fetched from anywhere.
# Again with a newer bundle it upgrades; settings that are there are left as they are.
set -eu

usage() {
  echo "usage: sh install.sh [--prefix /opt/zscrape] [--python python3] [--no-compile]" >&2
  exit 3
}

fail() {
  echo "install.sh: $*" >&2
  exit 3
}

prefix=/opt/zscrape
python=python3
compile=--compile-bytecode # which the worker's user may not be able to do later
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) [ $# -ge 2 ] || usage; prefix=$2; shift 2 ;;
    --python) [ $# -ge 2 ] || usage; python=$2; shift 2 ;;
    --no-compile) compile=""; shift ;; # half the room on a small disk
    *) usage ;;
  esac
done
case $prefix in
  /*) ;;
  *) prefix=$(pwd)/$prefix ;;
esac
case $prefix in
  *[\"\\]*) fail "--prefix must have no quotes and no backslashes" ;;
esac

cd -- "$(dirname -- "$0")"
sha256sum --quiet --check SHA256SUMS || fail "the bundle is damaged: copy it again"
command -v "$python" >/dev/null || fail "there is no $python: name one by --python"
"$python" -I - <<'PY' || exit 3
import json, platform, sys
about = json.load(open("bundle.json"))
have, want = "%d.%d" % sys.version_info[:2], about["python"]
if have != want:
    sys.exit(f"install.sh: this bundle is for Python {want}, and {sys.executable} is {have}: "
             "name another by --python, or make a bundle with `--python " + have + "`")
if platform.machine() not in about["machines"]:
    sys.exit(f"install.sh: this bundle is for {', '.join(about['machines'])}, not for "
             f"{platform.machine()}: make one with `--platform {platform.machine()}`")
PY

# uv is among the wheels: it makes the environment, so the machine needs neither pip nor venv.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -I - "$work/uv" <<'PY'
import glob, platform, sys, zipfile
(wheel,) = glob.glob("wheels/uv-*_%s.whl" % platform.machine())
with zipfile.ZipFile(wheel) as archive:
    (name,) = [each for each in archive.namelist() if each.endswith("/scripts/uv")]
    with open(sys.argv[1], "wb") as file:
        file.write(archive.read(name))
PY
chmod 0755 "$work/uv"
offline="--offline --no-config --no-python-downloads --cache-dir $work/cache --quiet"

mkdir -p "$prefix"
rm -rf "$prefix/venv.new" "$prefix/bundle.new"
# shellcheck disable=SC2086 # several words, none with a blank: mktemp's folder
"$work/uv" venv $offline --relocatable --no-project --python "$(command -v "$python")" \
  "$prefix/venv.new"
# shellcheck disable=SC2086
"$work/uv" pip install $offline --no-index --find-links wheels --link-mode copy \
  $compile --python "$prefix/venv.new/bin/python" "zscrape[postgres]"
mkdir "$prefix/bundle.new"
cp -R wheels scripts bundle.json "$prefix/bundle.new"
for part in venv bundle; do
  rm -rf "$prefix/$part.old"
  [ ! -e "$prefix/$part" ] || mv "$prefix/$part" "$prefix/$part.old"
  mv "$prefix/$part.new" "$prefix/$part"
  rm -rf "$prefix/$part.old"
done

settings=$prefix/zscrape.toml
if [ ! -e "$settings" ]; then
  cat >"$settings.new" <<TOML
# Written by install.sh of a bundle, and left alone by it from then on.
[worker]
offline = true
find_links = ["$prefix/bundle/wheels"]

[[repositories]]
type = "dir"
name = "bundle"
url = "$prefix/bundle/scripts"
TOML
  mv "$settings.new" "$settings"
fi

"$prefix/venv/bin/zscrape" --version
echo "everything on this machine:  $prefix/venv/bin/zscrape up --config $settings"
echo "a worker of another gateway: $prefix/venv/bin/zscrape worker install --config $settings --join TOKEN --now"
