export * from "./api_gen.js";
export * from "./client.js";
export { Problem } from "./problem.js"; // the error, not the document inside it
export * from "./stream.js";
export * from "./webhook.js";
