#!/usr/bin/env bash
# @cedar-policy/cedar-wasm 4.13.0 (npm): `policyToJson` gives a Long as a JavaScript number, so that one beyond 2^53 is rounded without a
# word. The policy that `policyToText` makes of it compares with another number than the one that was written.
# Expected by who reads Cedar's documentation: a Long has 64 bits, and the JSON format says the same as the text.
# Seen: 9007199254740993 comes back as 9007199254740992.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund --prefix . @cedar-policy/cedar-wasm@4.13.0
cat > try.cjs <<'JS'
const cedar = require('@cedar-policy/cedar-wasm/nodejs');
const json = cedar.policyToJson('permit(principal, action, resource) when { context.level >= 9007199254740993 };').json;
console.log(cedar.policyToText(json).text);
JS
seen=$(node try.cjs)
echo "$seen"
[ "$seen" = 'permit(principal, action, resource) when { context.level >= 9007199254740992 };' ] || { echo "changed"; exit 1; }
