#!/usr/bin/env bash
# Turns the inputs of the action (INPUT_…) into a command line.
set -euo pipefail

input() {
  local name
  name=INPUT_$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')
  printf '%s' "${!name-}"
}

# Says what is wrong with the inputs, as the command does where it can't begin. One line, so that none is a command.
refuse() {
  local message=${1//[$'\r\n']/ }
  printf '::error title=vod-refresh%%3A usage::%s\n' "${message//%/%25}" >&2
  printf 'outcome=usage\nexit-code=2\nmessage=%s\n' "$message" >>"${GITHUB_OUTPUT:-/dev/null}"
  exit 2
}

binary=$(input binary)
if ! command -v "$binary" >/dev/null; then
  [ "$binary" = vod-refresh ] || refuse "binary: there is no '$binary'"
  cargo install --locked --features postgres --path "$GITHUB_ACTION_PATH/../../.."
  # The folder of installed commands need not be on PATH.
  binary=${CARGO_HOME:-$HOME/.cargo}/bin/vod-refresh
fi

command=$(input command)
case "$command" in
  refresh | preload) ;;
  *) refuse "command: '$command' is neither refresh nor preload" ;;
esac

arguments=()
for name in from-file formats definitions stream-type result-type slice-count extend queue lookup-after outcome-wait poll-interval \
  timeout timeout-exit-code max-rps region endpoint task-endpoint signature-version profile journal keep edge-node edge-header \
  edge-auth-key-file edge-sample report report-html \
  report-junit metrics-file; do
  value=$(input "$name")
  [ -z "$value" ] || arguments+=("--$name=$value")
done
for name in no-wait no-resubmit then-preload fail-fast check-quota verify-edge; do
  case "$(input "$name" | tr 'A-Z' 'a-z')" in
    true) arguments+=("--$name") ;;
    false | "") ;;
    *) refuse "$name: '$(input "$name")' is neither true nor false" ;;
  esac
done

media=$(input media-ids)
if [ -n "$media" ]; then
  exec "$binary" "$command" ${arguments[@]+"${arguments[@]}"} --from-file - <<<"$media"
fi
exec "$binary" "$command" ${arguments[@]+"${arguments[@]}"}
