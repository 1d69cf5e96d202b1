#!/usr/bin/env bash
# Turns the inputs of the action (INPUT_…) into a command line.
set -euo pipefail

input() {
  local name
  name=INPUT_$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')
  printf '%s' "${!name-}"
}

binary=$(input binary)
if ! command -v "$binary" >/dev/null; then
  [ "$binary" = vod-refresh ] || { echo "binary: there is no '$binary'" >&2; exit 2; }
  cargo install --locked --path "$GITHUB_ACTION_PATH/../../.."
  # The folder of installed commands need not be on PATH.
  binary=${CARGO_HOME:-$HOME/.cargo}/bin/vod-refresh
fi

command=$(input command)
case "$command" in
  refresh | preload) ;;
  *) echo "command: '$command' is neither refresh nor preload" >&2; exit 2 ;;
esac

arguments=()
for name in from-file formats definitions stream-type result-type slice-count extend queue lookup-after outcome-wait poll-interval \
  timeout timeout-exit-code max-rps region endpoint task-endpoint signature-version profile journal keep report report-html \
  report-junit metrics-file; do
  value=$(input "$name")
  [ -z "$value" ] || arguments+=("--$name=$value")
done
for name in no-wait no-resubmit fail-fast check-quota; do
  case "$(input "$name" | tr 'A-Z' 'a-z')" in
    true) arguments+=("--$name") ;;
    false | "") ;;
    *) echo "$name: '$(input "$name")' is neither true nor false" >&2; exit 2 ;;
  esac
done

media=$(input media-ids)
if [ -n "$media" ]; then
  exec "$binary" "$command" ${arguments[@]+"${arguments[@]}"} --from-file - <<<"$media"
fi
exec "$binary" "$command" ${arguments[@]+"${arguments[@]}"}
