// Everything comes from this origin: no validator service, no addresses taken from the query, no key kept after the page.
SwaggerUIBundle({
  url: new URL("../openapi.json", document.currentScript.src).href, // beside this page, whatever path a proxy has put in front
  dom_id: "#page",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  persistAuthorization: false,
  queryConfigEnabled: false,
  tryItOutEnabled: true,
  validatorUrl: null,
});
