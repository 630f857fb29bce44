// Fills a form from a mail, and sends a form as JSON. The page stores nothing.

function fill({ page, token, code }) {
  const form = document.getElementById(page);
  form.elements.token.value = token;
  if (form.elements.code) form.elements.code.value = code;
  const details = form.closest("details");
  details.open = true;
  details.scrollIntoView({ block: "nearest" });
  const empty = [...form.querySelectorAll("input")].find((input) => !input.value);
  (empty ?? form.querySelector("button")).focus();
}

async function send(form) {
  const filled = [...new FormData(form)].filter(([, value]) => value !== "");
  const { auth_token: session, ...body } = Object.fromEntries(filled);
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  if (session) headers.Authorization = `Bearer ${session}`;
  const options = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(form.action, options);
  return `HTTP ${response.status}\n${JSON.stringify(await response.json(), null, 2)}`;
}

for (const button of document.querySelectorAll("button[data-page]")) {
  button.addEventListener("click", () => fill(button.dataset));
}

for (const form of document.forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const output = form.querySelector("pre");
    output.textContent = await send(form).catch((error) => `No response: ${error.message}`);
    output.className = output.textContent.startsWith("HTTP 2") ? "success" : "error";
    output.hidden = false;
  });
}
