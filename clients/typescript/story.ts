// Make a workspace, wait until it is ready, ask its model, and delete it.
//
//   make clients
//   API=http://127.0.0.1:8090 TOKEN=... node build/clients/typescript/dist/story.js NAME MODEL QUESTION

import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Problem = components["schemas"]["ProblemDocument"];

const POLL_MILLISECONDS = 500;
const [name, model, question] = process.argv.slice(2);
if (name === undefined || model === undefined || question === undefined) {
  throw new Error("usage: story NAME MODEL QUESTION");
}
const api = createClient<paths>({
  baseUrl: process.env["API"] ?? "http://127.0.0.1:8090",
  headers: { Authorization: `Bearer ${process.env["TOKEN"] ?? ""}` },
});

/** Return the answer's data, or throw what the API says is wrong. */
function ok<T>(answer: { data?: T; error?: Problem }): T {
  if (answer.error !== undefined) throw new Error(`${answer.error.title}: ${answer.error.detail}`);
  if (answer.data === undefined) throw new Error("an answer that the API does not document");
  return answer.data;
}

const made = ok(
  await api.POST("/api/v1/workspaces", { body: { spec: { workspaceName: name, models: [model] } } }),
);
const params = { path: { name: made.name }, query: { team: made.team } };

for (let phase = ""; phase !== "Ready"; ) {
  const read = ok(await api.GET("/api/v1/workspaces/{name}", { params }));
  if (read.status.phase !== phase) console.log(`${name}: ${read.status.phase}`);
  phase = read.status.phase ?? "";
  if (phase !== "Ready") await new Promise((wake) => setTimeout(wake, POLL_MILLISECONDS));
}

const reply = ok(
  await api.POST("/api/v1/workspaces/{name}:prompt", {
    params,
    body: { prompt: question, temperature: 0, seed: 1, stream: false },
    headers: { Accept: "application/json" },
  }),
);
console.log(typeof reply === "string" ? reply : "reply" in reply ? reply.reply : reply);

ok(await api.DELETE("/api/v1/workspaces/{name}", { params }));
console.log(`${name}: deleted`);
