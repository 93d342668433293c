// Runs a step as the platform's runner does: the runner's own library fetches the step, loads the component and gives
// it a message. There is no broker here; what would be published is printed.
"use strict";

const { Sailor } = require("elasticio-sailor-nodejs/lib/sailor.js");
const { readFrom } = require("elasticio-sailor-nodejs/lib/settings.js");

const published = [];
const broker = {};
for (const name of ["sendData", "sendError", "sendSnapshot", "sendRebound", "sendHttpReply", "ack", "reject"]) {
  broker[name] = async (body) => { published.push([name, body]); };
}

(async () => {
  const sailor = new Sailor(readFrom(process.env));
  sailor.amqpConnection = broker;
  await sailor.prepare();
  const message = { properties: { headers: { messageId: "one" } }, fields: { deliveryTag: 1 } };
  await sailor.processMessage({ body: JSON.parse(process.argv[2]) }, message);
  // The component does not wait until its new keys are stored; this is after all requests have been answered.
  process.once("beforeExit", () => console.log(JSON.stringify({ step: sailor.stepData, published })));
})();
