// Asks a service by the types that `openapi-typescript` makes of its `/openapi.json`, with `openapi-fetch`: one decision, a batch, and
// searches.

import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Schemas = components["schemas"];

const service = createClient<paths>({ baseUrl: process.env["GATEPOST_URL"] ?? "" });
const asked = JSON.parse(readFileSync(process.env["GATEPOST_REQUEST"] ?? "", "utf8")) as Schemas["EvaluationRequest"];
const subject: Schemas["Entity"] = { ...asked.subject, id: "ada" };
const resource: Schemas["Entity"] = { ...asked.resource, id: "acme" };
const pricing: Schemas["Action"] = { name: "viewPricing" };

const one = await service.POST("/access/v1/evaluation", {
    body: {
        subject,
        action: { name: "enterSupportContact" },
        resource,
        context: { phone: "(02) 9374 400", email: "support@acme.example" },
        options: { reasons: "user" },
    },
});
console.log("one:", one.data?.decision, ...Object.keys(one.data?.context?.reason_user ?? {}));

const evaluations: Schemas["Evaluation"][] = ["viewSupportContact", "placeOrder", "viewPricing"].map((name) => ({ action: { name } }));
const semantics: Schemas["Semantic"][] = ["execute_all", "deny_on_first_deny"];
for (const evaluations_semantic of semantics) {
    const body: Schemas["EvaluationsRequest"] = { subject, resource, evaluations, options: { evaluations_semantic } };
    const many = await service.POST("/access/v1/evaluations", { body });
    if (many.data === undefined || !("evaluations" in many.data)) {
        throw new Error("not the answer to a batch");
    }
    console.log("many:", ...many.data.evaluations.map(({ decision }) => decision));
}

const single = await service.POST("/access/v1/evaluations", { body: { subject, action: pricing, resource } });
console.log("one of many:", single.data !== undefined && "decision" in single.data && single.data.decision);

const actions = await service.POST("/access/v1/search/action", { body: { subject, resource, page: { limit: 2 } } });
console.log("actions:", ...(actions.data?.results ?? []).map(({ name }) => name), actions.data?.page?.next_token !== "");

const subjects = await service.POST("/access/v1/search/subject", { body: { subject: { type: "User" }, action: pricing, resource } });
console.log("subjects:", ...(subjects.data?.results ?? []).map(({ id }) => id));

const unclear = { type: "Account", id: "acme", properties: { kind: 7 } };
const refused = await service.POST("/access/v1/evaluation", { body: { subject, action: pricing, resource: unclear } });
const sentence: string | undefined = refused.error;
console.log("refused:", refused.response.status, sentence);

// What the service would refuse does not compile.
// @ts-expect-error: an item is an object.
const wrong: Schemas["EvaluationsRequest"] = { evaluations: [7] };
void wrong;
