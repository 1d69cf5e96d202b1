#!/bin/sh
# A deploy script: publish, then purge, and go on only where the CDN has really dropped the old copies.
# Try it without an account:
#   cargo build && VOD_REFRESH=target/debug/vod-refresh cargo run --example deploy_test -- sh examples/deploy.sh
set -u

# (Here your script publishes what is new.)

"${VOD_REFRESH:-vod-refresh}" refresh intro half --timeout 10m --output json >"${REPORT:-/dev/null}"
case $? in
0) echo "deployed: every copy is gone" ;;
7) echo "deployed, but some URLs still serve the old copy; see the report" ;;
8) echo "deployed, but the CDN is not done yet; 'vod-refresh resume' goes on waiting" ;;
*) echo "not deployed" && exit 1 ;;
esac
