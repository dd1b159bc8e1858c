#!/usr/bin/env bash
# @cedar-policy/cedar-wasm 4.13.0 (npm): a string may go over several lines, and a policy file may have the line ends of Windows, but not
# both: a carriage return inside a string is an error, while everywhere else it is space.
# Expected by who checks files out with those line ends: what is read on one machine is read on another.
# Seen: the policy with LF is read, the same with CRLF is refused.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund --prefix . @cedar-policy/cedar-wasm@4.13.0
cat > try.cjs <<'JS'
const cedar = require('@cedar-policy/cedar-wasm/nodejs');
const read = (text) => cedar.checkParsePolicySet({ staticPolicies: text }).type;
const within = '@note("one\ntwo")\npermit(principal, action, resource);\n';
const outside = '@note("one")\npermit(principal,\n action, resource);\n';
const windows = (text) => text.replaceAll('\n', '\r\n');
console.log(read(within), read(windows(within)), read(windows(outside)));
JS
seen=$(node try.cjs)
echo "$seen"
[ "$seen" = 'success failure success' ] || { echo "changed"; exit 1; }
