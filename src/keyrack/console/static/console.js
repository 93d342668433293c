// What pages gain where scripts run; each of them works without.
(function () {
  "use strict";

  // Copies what a button names; the button says that it was done.
  document.addEventListener("click", async function (event) {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copies);
    const said = button.textContent;
    const label = button.getAttribute("aria-label");
    button.removeAttribute("aria-label");  // it would be read in place of what the button says now
    try {
      await navigator.clipboard.writeText(source.value !== undefined ? source.value : source.textContent);
      button.textContent = "Copied";
    } catch (error) {
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(function () {
      button.textContent = said;
      if (label) button.setAttribute("aria-label", label);
    }, 2500);
  });

  // A form that was sent is not sent again by a second press.
  document.addEventListener("submit", function (event) {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-disabled", "true");
  });
  window.addEventListener("pageshow", function () {  // back by the browser's button
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
    }
  });

  // The way to a provider opens in a window beside the page, which waits; where none may open, the page itself goes there.
  document.addEventListener("click", function (event) {
    const link = event.target.closest("a[data-popup]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const width = 620, height = 760;
    const left = Math.max(0, screenX + (outerWidth - width) / 2), top = Math.max(0, screenY + (outerHeight - height) / 3);
    const beside = window.open(link.href, link.dataset.popup, `popup,width=${width},height=${height},left=${left},top=${top}`);
    if (!beside) return;
    event.preventDefault();
    beside.focus();
  });
  if (window.name === "keyrack-connect" && document.querySelector("[data-closes-popup]")) window.close();

  // "/" leads to the search field of the page.
  document.addEventListener("keydown", function (event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    const field = document.querySelector("input[type=search]");
    if (!field) return;
    event.preventDefault();
    field.focus();
  });

  // What was found beneath the search field of the frame goes away with Escape.
  document.addEventListener("keydown", function (event) {
    const around = event.key === "Escape" && event.target.closest(".find");
    if (!around) return;
    around.querySelector(".find-found").replaceChildren();
    around.querySelector("input").focus();
  });

  // What updates by itself waits while nobody looks, and while somebody works in it.
  document.addEventListener("htmx:beforeRequest", function (event) {
    const part = event.target;
    if (!part.hasAttribute("data-live")) return;
    if (document.hidden || part.contains(document.activeElement)) event.preventDefault();
  });

  document.documentElement.classList.add("scripts");
})();
