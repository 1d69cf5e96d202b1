#!/usr/bin/env bash
# Turns the inputs of the action (INPUT_…) into a command line.
set -euo pipefail

input() {
  local name=${1//-/_}
  name=INPUT_${name^^}
  printf '%s' "${!name-}"
}

binary=$(input binary)
if ! command -v "$binary" >/dev/null; then
  cargo install --locked --path "$GITHUB_ACTION_PATH/../../.."
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
  [ "$(input "$name")" != true ] || arguments+=("--$name")
done

media=$(input media-ids)
if [ -n "$media" ]; then
  exec "$binary" "$command" "${arguments[@]}" --from-file - <<<"$media"
fi
exec "$binary" "$command" "${arguments[@]}"
