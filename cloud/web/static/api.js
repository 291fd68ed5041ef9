// The API explained from its own description, by Swagger UI.
const place = document.querySelector("#api");
window.SwaggerUIBundle({
  url: place.dataset.description,
  domNode: place,
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  defaultModelsExpandDepth: -1,
  requestInterceptor(request) {
    request.headers["X-CSRF-Token"] = place.dataset.csrf;
    return request;
  },
});
