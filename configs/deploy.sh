#!/usr/bin/env bash
# Deploy an environment, wait until it is well, and go back to what ran before when it is not.
#
#   configs/deploy.sh ENVIRONMENT [deploy | prepare | check | rollback]
#
#   development   Compose on this machine, images built here
#   staging       Compose, images of ZSCRAPE_VERSION pulled
#   production    Kubernetes: kubernetes/overlays/production at ZSCRAPE_VERSION
#
#   deploy      (the default) prepare, start the new version, check, and roll back by itself
#   prepare     only make the secrets that are missing
#   check       only wait until what runs is well
#   rollback    start the version that was deployed before this one
#
# Settings by the environment; the first, and what Compose takes, may be in configs/.env as well:
#   ZSCRAPE_VERSION       the tag of the images; production must name one, else: latest
#   ZSCRAPE_TARGET        compose, kubernetes or process; default: by the environment
#   ZSCRAPE_HEALTH_URL    where the API answers; Kubernetes needs none
#   ZSCRAPE_HEALTH_LIMIT  seconds until it must be ready            default: 180
#   ZSCRAPE_STATE         where the versions are remembered         default: configs/.deployed
#   ZSCRAPE_START         target `process`: a program; it gets the version, and returns when it
#                         has begun to start it
#
# Exit codes: 0 deployed, 1 failed and nothing could be mended, 2 failed and rolled back,
# 3 wrong usage.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
environment=${1:-}
verb=${2:-deploy}
setting() { # NAME DEFAULT: what Compose would take, too
  local value=${!1:-}
  if [ -z "$value" ] && [ -f "$here/.env" ]; then value=$(sed -n "s/^$1=//p" "$here/.env" | tail -n 1); fi
  case $value in \"*\" | \'*\') value=${value#?} value=${value%?} ;; esac
  printf '%s\n' "${value:-$2}"
}
version=$(setting ZSCRAPE_VERSION latest)
image=$(setting ZSCRAPE_IMAGE zscrape)
limit=${ZSCRAPE_HEALTH_LIMIT:-180}
state=${ZSCRAPE_STATE:-$here/.deployed}
secrets=$(setting ZSCRAPE_SECRETS ./secrets)
case $secrets in /*) ;; *) secrets=$here/$secrets ;; esac

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >&2; }
usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
  exit 3
}

case $environment in
  development) target=${ZSCRAPE_TARGET:-compose} ;;
  staging) target=${ZSCRAPE_TARGET:-compose} ;;
  production) target=${ZSCRAPE_TARGET:-kubernetes} ;;
  *) usage ;;
esac
case $verb in deploy | prepare | check | rollback) ;; *) usage ;; esac
case $target in compose | kubernetes | process) ;; *) usage ;; esac
if [ "$target" = process ] && [ -z "${ZSCRAPE_START:-}" ]; then
  say "the target process needs ZSCRAPE_START, the program that starts a version"
  exit 3
fi

if [ "$environment:$verb" = production:deploy ] && [ -z "${ZSCRAPE_VERSION:-}" ]; then
  say "production needs ZSCRAPE_VERSION: what is deployed has to be a version, for a way back"
  exit 3
fi

compose() { docker compose --project-directory "$here" --file "$here/compose.yaml" "$@"; }
cluster() { kubectl --namespace zscrape "$@"; }

# ---- secrets: made once, never overwritten ---------------------------------------------
secret() { # NAME [VALUE]
  [ -s "$secrets/$1" ] && return
  local value=${2:-}
  [ -n "$value" ] || value=$(head -c 32 /dev/urandom | base64 | tr -d '+/=\n')
  (umask 022 && printf '%s\n' "$value" >"$secrets/$1")
}

prepare() {
  mkdir -p "$secrets"
  chmod 0700 "$secrets"
  secret grafana_password
  secret postgres_password
  secret s3_secret_key
  secret database_url "postgresql://zscrape:$(cat "$secrets/postgres_password")@postgres/zscrape"
  local addresses=() address
  IFS=, read -ra listed <<<"$(setting ZSCRAPE_JOIN_ADDRESSES tcp://gateway:5555)"
  for address in "${listed[@]}"; do addresses+=(--address "$address"); done
  if command -v zscrape >/dev/null; then
    zscrape token prepare "$secrets" "${addresses[@]}"
  elif [ ! -s "$secrets/join_token" ]; then
    docker run --rm --user "$(id -u):$(id -g)" --volume "$secrets:/secrets" \
      "$image-gateway:$version" token prepare /secrets "${addresses[@]}"
  fi
}

# ---- one function for each step and target ---------------------------------------------
start() { # VERSION
  say "starting version $1 ($environment, $target)"
  case $target in
    compose)
      export ZSCRAPE_VERSION=$1
      if [ "$environment" = staging ]; then compose pull --quiet || return; fi
      compose up --detach --remove-orphans
      ;;
    kubernetes)
      kubectl kustomize "$here/kubernetes/overlays/$environment" |
        sed "s|\(image: .*zscrape-[a-z-]*\):.*|\1:$1|" |
        kubectl apply --filename -
      ;;
    process) "$ZSCRAPE_START" "$1" ;;
  esac
}

ready() { # once: is it well now?
  case $target in
    compose)
      compose exec --no-TTY gateway zscrape health --ready >/dev/null 2>&1
      ;;
    kubernetes)
      cluster rollout status statefulset/zscrape-gateway --timeout=1s >/dev/null 2>&1 &&
        cluster rollout status deployment/zscrape-worker --timeout=1s >/dev/null 2>&1
      ;;
    process) zscrape health --ready --url "${ZSCRAPE_HEALTH_URL:-http://127.0.0.1:8000}" >/dev/null 2>&1 ;;
  esac
}

check() {
  local ends_at=$((SECONDS + limit)) in_a_row=0
  while [ "$SECONDS" -lt "$ends_at" ]; do
    # Twice in a row: one answer may come from what is about to end.
    if ready; then in_a_row=$((in_a_row + 1)); else in_a_row=0; fi
    [ "$in_a_row" -lt 2 ] || { say "well"; return 0; }
    sleep 1
  done
  say "not ready within $limit s"
  return 1
}

# ---- versions: the one that is well, and the one before --------------------------------
remembered() { # LINE
  if [ -f "$state" ]; then sed -n "$1p" "$state"; fi
}

remember() { # VERSION
  local before
  before=$(remembered 1)
  [ "$before" != "$1" ] || before=$(remembered 2)
  printf '%s\n%s\n' "$1" "$before" >"$state.new"
  mv "$state.new" "$state"
}

back_to() { # VERSION
  if [ -z "$1" ]; then
    say "nothing ran before: there is no version to go back to"
    return 1
  fi
  say "rolling back to version $1"
  start "$1" && check
}

case $verb in
  prepare) prepare ;;
  check) check ;;
  rollback)
    before=$(remembered 2)
    back_to "$before" || exit 1
    remember "$before"
    ;;
  deploy)
    if [ "$target" = compose ]; then
      [ "$environment" != development ] || ZSCRAPE_VERSION=$version compose build
      prepare
    fi
    if start "$version" && check; then
      remember "$version"
      say "version $version is deployed"
      exit 0
    fi
    back_to "$(remembered 1)" || exit 1
    exit 2
    ;;
esac
