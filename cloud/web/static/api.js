// The API explained from its own description, by Swagger UI.
// It knows a dark look, which is its own to switch on: it follows the reader's system.
const darkness = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", darkness.matches);
darkness.addEventListener("change", follow);
follow();

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
