// The support-contact page of an account, for a signed-in user: which buttons it shows, by one action search, and what
// it says when the phone number that the user enters is refused. It needs nothing but `fetch`, which browsers have too;
// but a decision that a browser takes protects nothing, so this is for the service behind the page.
//
//     node support-contact.js ROLE ACCOUNT-OF-THE-USER [PHONE]
//
// GATEPOST_URL is where the service is, GATEPOST_TOKEN the token if it wants one. Exit 1: permissions were not checked.

import { randomUUID } from "node:crypto";

type Json = { readonly [name: string]: unknown };

const url = process.env.GATEPOST_URL ?? "http://127.0.0.1:8180";
const token = process.env.GATEPOST_TOKEN;
const milliseconds = 3000;
const unchecked =
  "Permissions cannot be checked at the moment, so nothing can be changed here. Please try again later.";

const buttons = new Map([
  ["view", "viewSupportContact"],
  ["enter", "enterSupportContact"],
  ["edit", "editSupportContact"],
  ["delete", "deleteSupportContact"],
  ["order", "placeOrder"],
]);

// A page reads the account from its own database.
const account = {
  type: "Account",
  id: "acme",
  properties: {
    kind: "direct",
    stage: "new",
    supportedBy: "megaport",
    provisionedServices: 0,
    signUpEmail: "owner@acme.example",
    billingMarket: "AU",
  },
};

/** The service gave no decision. Whoever catches this must not allow anything. */
class Unchecked extends Error {}

/** The buttons that the page shows to that user. */
async function buttonsOf(user: Json): Promise<string[]> {
  // Whether a contact may be entered depends on the contact too. The one that the form shows as its placeholder is in
  // order, so the answer is about the user and the account.
  const placeholder = { phone: "(02) 9374 4000", email: "owner@acme.example" };
  const question = { subject: user, resource: account, context: placeholder };
  const allowed = new Set<unknown>();
  let page: Json = {};
  do {
    const answer = await ask("/access/v1/search/action", { ...question, page });
    if (!Array.isArray(answer.results)) throw new Unchecked("the search has no results");
    for (const action of answer.results) if (isObject(action)) allowed.add(action.name);
    // An empty token is that of the last page.
    page = { token: isObject(answer.page) ? answer.page.next_token : "" };
  } while (page.token);
  return [...buttons].filter(([, action]) => allowed.has(action)).map(([button]) => button);
}

/** The sentences to show where that user may not enter that contact; none if it is fine. */
async function whyRefused(user: Json, contact: Json): Promise<string[]> {
  const answer = await ask("/access/v1/evaluation", {
    subject: user,
    action: { name: "enterSupportContact" },
    resource: account,
    context: contact,
    options: { reasons: "user" },
  });
  // Only `true` is an allow: nothing else that is truthy, and nothing that is missing.
  if (answer.decision === true) return [];
  const reasons = isObject(answer.context) && isObject(answer.context.reason_user) ? answer.context.reason_user : {};
  // What `gatepost:…` says is about the request, and not for users.
  const sentences = Object.entries(reasons).filter(([policy]) => !policy.startsWith("gatepost:"));
  return sentences.length > 0 ? sentences.map(([, sentence]) => String(sentence)) : ["This is not allowed."];
}

/** The answer of the service. Throws `Unchecked`, and logs why, where there is none. */
async function ask(path: string, question: Json): Promise<Json> {
  const id = randomUUID();
  const headers = new Headers({ "Content-Type": "application/json", "X-Request-ID": id });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let status: number, text: string;
  try {
    const response = await fetch(url + path, {
      method: "POST",
      headers,
      body: JSON.stringify(question),
      signal: AbortSignal.timeout(milliseconds),
      // The service never sends one elsewhere, and the token must not go there.
      redirect: "manual",
    });
    [status, text] = [response.status, await response.text()];
  } catch (error) {
    throw logged(id, `no answer: ${error}`);
  }
  if (status === 400) throw logged(id, `this program is wrong: ${text}`);
  if (status === 401) throw logged(id, `the service does not take the token in GATEPOST_TOKEN: ${text}`);
  if (status !== 200) throw logged(id, `status ${status}: ${text}`);
  try {
    const answer: unknown = JSON.parse(text);
    if (isObject(answer)) return answer;
  } catch {
    // It is said below.
  }
  throw logged(id, `not understood: ${text}`);
}

function logged(id: string, problem: string): Unchecked {
  console.error(`request ${id}: ${problem}`);
  return new Unchecked(problem);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const [role, ownAccount, phone] = process.argv.slice(2);
if (role === undefined || ownAccount === undefined) {
  console.error("usage: support-contact ROLE ACCOUNT-OF-THE-USER [PHONE]");
  process.exit(2);
}
// A page knows its user from the session.
const user = { type: "User", id: "ada", properties: { role, account: ownAccount } };
try {
  console.log(`buttons: ${(await buttonsOf(user)).join(" ") || "none"}`);
} catch (error) {
  if (!(error instanceof Unchecked)) throw error;
  console.log(`buttons: none\nnotice: ${unchecked}`);
  process.exitCode = 1;
}
if (phone !== undefined) {
  // The user presses "enter".
  try {
    const refused = await whyRefused(user, { phone, email: "support@acme.example" });
    console.log(refused.length > 0 ? refused.map((sentence) => `refused: ${sentence}`).join("\n") : `saved: ${phone}`);
  } catch (error) {
    if (!(error instanceof Unchecked)) throw error;
    console.log(`refused: ${unchecked}`);
    process.exitCode = 1;
  }
}
