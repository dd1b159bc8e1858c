// Asks Gatepost whether nginx may let a request through (njs 0.7 and later). It answers `auth_request`, which looks at the status alone:
// 204 lets through, 403 does not, and anything else is an error, which lets nothing through either.
//
// A deny is status 200 with `"decision": false`, so the decision must be read. Only `true`, the Boolean, lets a request through.

const ACTIONS = { GET: "get", HEAD: "get", POST: "post" };

async function authorize(r) {
    // The request that is asked about is the one before this subrequest, so all of it is read from variables. `$gatepost_path` is its path
    // as nginx goes by it, decoded and without `..`.
    const user = r.variables.gatepost_user;
    const action = ACTIONS[r.variables.request_method];
    const path = r.variables.gatepost_path;
    if (!user || !action || !path) {
        r.return(403);
        return;
    }
    // `JSON.stringify` escapes what a caller has put into the path: never join strings here.
    const question = JSON.stringify({
        subject: { type: "User", id: user },
        action: { name: action },
        resource: { type: "http-route", id: path, properties: { path: path } },
    });
    try {
        const headers = { "Content-Type": "application/json", "X-Request-ID": r.variables.request_id };
        if (process.env.GATEPOST_TOKEN) {
            headers.Authorization = `Bearer ${process.env.GATEPOST_TOKEN}`;
        }
        const url = `${process.env.GATEPOST_URL}/access/v1/evaluation`;
        const answer = await ngx.fetch(url, { method: "POST", headers: headers, body: question });
        const text = await answer.text();
        if (answer.status !== 200) {
            r.error(`gatepost: status ${answer.status}: ${text}`);
            r.return(500);
            return;
        }
        r.return(JSON.parse(text).decision === true ? 204 : 403);
    } catch (error) {
        r.error(`gatepost: no answer: ${error}`);
        r.return(500);
    }
}

export default { authorize };
