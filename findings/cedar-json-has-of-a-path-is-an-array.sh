#!/usr/bin/env bash
# Cedar's JSON format of policies (@cedar-policy/cedar-wasm 4.13.0 and 4.5.0, npm): `context has a.b` has an array for its `attr`, where
# `context has a` has a string. An engine some minor versions older reads the same policy as text, but cannot read the JSON of it.
# Expected: within a major version, the JSON of a policy that both can express is read by both; who walks the JSON finds a string in `attr`.
# Seen: 4.13.0 writes ["a","b"]; 4.5.0 writes two tests with strings for the same text, and refuses the array.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund --prefix . newer@npm:@cedar-policy/cedar-wasm@4.13.0 older@npm:@cedar-policy/cedar-wasm@4.5.0
cat > try.cjs <<'JS'
const newer = require('newer/nodejs'), older = require('older/nodejs');
const text = 'permit(principal, action, resource) when { context has a.b };';
const written = newer.policyToJson(text).json;
console.log(JSON.stringify(written.conditions[0].body));
console.log(newer.policyToText(written).type, older.policyToText(written).type);
console.log(JSON.stringify(older.policyToJson(text).json.conditions[0].body));
JS
seen=$(node try.cjs)
echo "$seen"
[ "$seen" = '{"has":{"left":{"Var":"context"},"attr":["a","b"]}}
success failure
{"&&":{"left":{"has":{"left":{"Var":"context"},"attr":"a"}},"right":{"has":{"left":{".":{"left":{"Var":"context"},"attr":"a"}},"attr":"b"}}}}' ] || { echo "changed"; exit 1; }
