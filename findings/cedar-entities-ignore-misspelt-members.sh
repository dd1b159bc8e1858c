#!/usr/bin/env bash
# Cedar's JSON of entities (@cedar-policy/cedar-wasm 4.13.0, npm): a member of an entity, or of its uid, that the format does not have is
# passed over without an error, also where a schema is given. An entity with its tags under `tag` has none, and a policy that forbids
# by a tag is silent on it; an undeclared *attribute* of the same entity is an error.
# Expected: what is strict about attributes is strict about the members around them.
# Seen: the entity with `tag` is taken and allowed, the one with `tags` denied.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund --prefix . @cedar-policy/cedar-wasm@4.13.0
cat > try.cjs <<'JS'
const cedar = require('@cedar-policy/cedar-wasm/nodejs');
const schema = 'entity U = {} tags String; action act appliesTo { principal: U, resource: U, context: {} };';
const policies = { staticPolicies:
  'permit(principal, action, resource); forbid(principal, action, resource) when { principal.hasTag("suspended") };' };
const uid = { type: 'U', id: 'u' };
for (const [member, attrs] of [['tags', {}], ['tag', {}], ['tags', { pin: 1 }]]) {
  const entities = [{ uid, attrs, parents: [], [member]: { suspended: 'yes' } }];
  const action = { type: 'Action', id: 'act' };
  const answer = cedar.isAuthorized({ principal: uid, action, resource: uid, context: {}, schema, policies, entities });
  console.log(member, Object.keys(attrs).join(), answer.type, answer.response?.decision);
}
JS
seen=$(node try.cjs)
echo "$seen"
[ "$seen" = 'tags  success deny
tag  success allow
tags pin failure undefined' ] || { echo "changed"; exit 1; }
