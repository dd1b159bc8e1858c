-- Asks Gatepost whether Envoy may let a request through: the script of the filter `envoy.filters.http.lua`, as in envoy.yaml.
--
-- A deny is status 200 with `"decision": false`, so the decision must be read. Whatever else comes lets nothing through.
--
-- What is tried of this recipe is this script, by Lua 5.4 and with a handle that stands for Envoy's. It was not run in Envoy.

local ACTIONS = { GET = "get", HEAD = "get", POST = "post" }

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\" }

-- A string in JSON: what a caller has put into a path must not become another member. What is no UTF-8, Gatepost refuses.
local function quoted(text)
    local escaped = text:gsub('[%c"\\]', function(character)
        return ESCAPES[character] or string.format("\\u%04x", character:byte())
    end)
    return '"' .. escaped .. '"'
end

-- An allow for which no reasons were asked is these bytes and no others, so that Lua needs no parser of JSON.
local function allows(status, body)
    return status == "200" and body == '{"decision":true}'
end

-- Who the user is, a filter before this one must know: here the one for JWT. A header that callers can send is no answer.
local function user_of(handle)
    local metadata = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
    return metadata and metadata["payload"] and metadata["payload"]["sub"]
end

local function refuse(handle)
    handle:respond({ [":status"] = "403" }, "forbidden\n")
end

local function authorize(handle)
    local headers = handle:headers()
    local action = ACTIONS[headers:get(":method")]
    local user = user_of(handle)
    -- Without its query. `normalize_path` and its like in envoy.yaml make it the path by which Envoy goes.
    local path = headers:get(":path"):match("^[^?#]*")
    if action == nil or type(user) ~= "string" or user == "" then
        return refuse(handle)
    end
    local question = '{"subject":{"type":"User","id":' .. quoted(user) .. '},"action":{"name":' .. quoted(action)
        .. '},"resource":{"type":"http-route","id":' .. quoted(path) .. ',"properties":{"path":' .. quoted(path)
        .. '}},"options":{"reasons":"none"}}'
    local answer, body = handle:httpCall("gatepost", {
        [":method"] = "POST",
        [":path"] = "/access/v1/evaluation",
        [":authority"] = "localhost",
        ["content-type"] = "application/json",
        ["x-request-id"] = headers:get("x-request-id"),
        -- Where callers must be known: ["authorization"] = "Bearer " .. os.getenv("GATEPOST_TOKEN"),
    }, question, 2000)
    local status = answer and answer[":status"]
    if allows(status, body) then
        return
    end
    if status ~= "200" then
        handle:logErr("gatepost: status " .. tostring(status) .. ": " .. tostring(body))
    end
    refuse(handle)
end

-- Envoy lets a request through whose script has failed.
function envoy_on_request(handle)
    local done, failure = pcall(authorize, handle)
    if not done then
        handle:logErr("gatepost: " .. tostring(failure))
        refuse(handle)
    end
end
