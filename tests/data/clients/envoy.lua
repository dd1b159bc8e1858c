-- Stands for Envoy: runs the script of its filter on one request, and prints what it asks and what becomes of the request.
--
-- lua5.4 envoy.lua SCRIPT METHOD PATH USER STATUS BODY: an empty user is one that is not known; the status is that of the answer to the
-- script's call, "none" where there is no answer, and "broken" where the call itself fails.

local script, method, path, user, status, body = table.unpack(arg)

local handle = { errors = {} }

function handle:headers()
    local sent = { [":method"] = method, [":path"] = path, ["x-request-id"] = "7" }
    return { get = function(_, name) return sent[name] end }
end

function handle:streamInfo()
    local metadata = user ~= "" and { payload = { sub = user } } or nil
    return { dynamicMetadata = function() return { get = function(_, name)
        return name == "envoy.filters.http.jwt_authn" and metadata or nil
    end } end }
end

function handle:httpCall(cluster, headers, question, timeout)
    assert(cluster == "gatepost" and headers[":method"] == "POST" and headers[":path"] == "/access/v1/evaluation")
    assert(headers["content-type"] == "application/json" and headers["x-request-id"] == "7" and timeout <= 5000)
    print("asked " .. question)
    if status == "broken" then error("the call failed") end
    if status == "none" then return nil, nil end
    return { [":status"] = status }, body
end

function handle:respond(headers, text)
    -- As in Envoy, the script does not go on after this.
    self.response = headers[":status"]
    coroutine.yield()
end

function handle:logErr(text)
    table.insert(self.errors, text)
end

dofile(script)
local filter = coroutine.create(envoy_on_request)
local done, failure = coroutine.resume(filter, handle)
assert(done, failure)
print(handle.response and "refused " .. handle.response or "let through")
for _, text in ipairs(handle.errors) do print("logged " .. text) end
