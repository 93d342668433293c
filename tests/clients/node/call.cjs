// Makes a client of the platform API, calls its methods in turn, and prints what came of each call.
//
// The order, as JSON in the first argument:
//   module      the package, or the file of one that can only be imported, such as "kitsu/dist/index.mjs"
//   export      the member of it to use; the package itself when left out
//   arguments   of the constructor; {"$": "emitter"} stands for what the platform hands to a component
//   calls       lists of a method's name (dots lead into members) and its arguments
"use strict";

const path = require("node:path");
const { pathToFileURL } = require("node:url");

const order = JSON.parse(process.argv[2]);
const events = [];
const logged = [];

const write = (...words) => logged.push(words.map(String).join(" "));
const emitter = {
  logger: { trace: write, debug: write, info: write, warn: write, error: write },
  emit: async (name, body) => { events.push([name, body]); },
};

const load = (name) =>
  name.endsWith(".mjs") ? import(pathToFileURL(path.join(process.env.NODE_PATH, name))) : require(name);

async function made() {
  const loaded = await load(order.module);
  const Client = order.export ? loaded[order.export] : loaded.default ?? loaded;
  const words = order.arguments.map((each) => (each?.$ === "emitter" ? emitter : each));
  // elasticio-rest-node works only when it is called as a function, as the platform's runner calls it.
  return /^class\b/.test(Client.toString()) ? new Client(...words) : Client(...words);
}

// An answer of axios refers to itself; what a component uses of it is this.
const plain = (value) => (value?.config && value?.headers ? { status: value.status, data: value.data } : value);

// Resources that a JSON:API client has linked may lead back to themselves; there we stop.
function printable(value, around = []) {
  if (value === null || typeof value !== "object") return value;
  if (around.includes(value)) return undefined;
  const inside = [...around, value];
  if (Array.isArray(value)) return value.map((each) => printable(each, inside));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, printable(each, inside)]));
}

async function outcome(client, [name, ...words]) {
  const members = name.split(".");
  const method = members.pop();
  const owner = members.reduce((whole, member) => whole[member], client);
  try {
    return { value: plain(await owner[method](...words)) };
  } catch (error) {
    return { error: { message: error.message, status: error.response?.status ?? error.statusCode } };
  }
}

(async () => {
  const client = await made();
  const outcomes = [];
  for (const call of order.calls) outcomes.push(await outcome(client, call));
  console.log(JSON.stringify(printable({ outcomes, events, logged })));
})();
