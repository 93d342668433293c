// A first-generation component: its token comes with the step's configuration; it refreshes the token itself.
// The library emits `updateKeys` then, which the runner passes on.
"use strict";

const { OAuth2RestClient } = require("component-commons-library-3");

exports.process = async function read(message, cfg) {
  const client = new OAuth2RestClient(this, {
    resourceServerUrl: message.body.resource,
    authorizationServerTokenEndpointUrl: message.body.token_endpoint,
    oauth2: cfg.oauth,
    oauth2_field_client_id: process.env.OAUTH_CLIENT_ID,
    oauth2_field_client_secret: process.env.OAUTH_CLIENT_SECRET,
  });
  const body = await client.makeRequest({ method: "GET", url: "/api/me" });
  await this.emit("data", { body });
  await this.emit("end");
};
