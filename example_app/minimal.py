"""A whole chat in one file, to copy: connect, ask, see what is left, disconnect.

``make demo APP=minimal`` runs it without an account, this one with OpenRouter:
``flask --app example_app.minimal run --port 3000``
"""

from collections.abc import Iterator

from flask import Flask, Response, render_template_string, request

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.client import read_stream
from flask_openrouter.errors import OpenRouterError

MODEL = "openai/gpt-4o-mini"
HELP = "export FLASK_SECRET_KEY=$(python3 -c 'import secrets; print(secrets.token_hex())')"
auth = OpenRouterAuth()


def create_app(config: dict[str, object] | None = None) -> Flask:
    """Create the app. Its settings are in the environment: ``FLASK_SECRET_KEY`` and others."""
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=256 * 1024, OPENROUTER_KEY_LIMIT=1)  # bytes, USD
    app.config["OPENROUTER_LANGUAGE"] = "en"  # as the page
    app.config.from_prefixed_env()
    app.config.update(config or {})
    if not app.config["SECRET_KEY"]:
        raise SystemExit(f"The app needs a SECRET_KEY, always the same one. Type this:\n{HELP}")
    auth.init_app(app)

    @app.get("/")
    def home() -> str:
        return render_template_string(PAGE, model=MODEL)

    @app.post("/ask")
    @requires_openrouter_key
    def ask() -> Response:
        question = {"model": MODEL, "messages": request.get_json(), "max_tokens": 2000}
        reply = current_openrouter.session.post(
            "chat/completions", json={**question, "stream": True}, stream=True
        )
        # An error until the first word becomes JSON in plain words; a dead key, a 401.
        stream = read_stream(reply).start()

        def words() -> Iterator[str]:
            try:
                yield from stream.iter_text()
                answer = stream.completion
                if answer.finish_reason == "length" or not (answer.text or answer.refusal):
                    yield "\n(The answer ended early. Ask for the rest.)"
            except OpenRouterError:
                yield "\n(The answer broke off. Reload the page to see what is left to spend.)"

        response = Response(words(), mimetype="text/plain")
        response.headers["X-Accel-Buffering"] = "no"  # nginx passes each word on at once
        response.call_on_close(stream.close)  # the visitor may have left: stop paying
        return response

    return app


PAGE = """<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Chat</title>
<link rel="icon" href="data:,">
{{ openrouter_styles() }}
<style>
  body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
  #log p { white-space: pre-wrap; overflow-wrap: anywhere }
  textarea { width: 100%; box-sizing: border-box }
  textarea, form button { padding: .375rem .75rem; font: inherit }
</style>
<main>
<h1>Chat with {{ model }}</h1>
{% if current_openrouter %}
<p>Your key {{ current_openrouter.masked_key }}: {{ openrouter_usage() }}</p>
<div id="log" role="log"></div>
<p role="alert"><span id="problem"></span>
  <a id="connect" href="{{ url_for('openrouter.login', next='/') }}" hidden>Connect again</a></p>
<form id="form">
  <p><label>Question <textarea id="text" rows="3" required></textarea></label></p>
  <p><button id="send">Send</button> <button type="button" id="new">New chat</button></p>
</form>
{{ openrouter_disconnect_button() }}
<script>
  const [log, problem, connect, form, text, send] =
    ["log", "problem", "connect", "form", "text", "send"].map((id) => document.getElementById(id));
  // The conversation is kept in this tab only. A reload shows it again, and asks nothing.
  const chat = JSON.parse(sessionStorage.chat ?? "[]");
  const show = ({ role, content }) => {
    const paragraph = log.appendChild(document.createElement("p"));
    paragraph.append(role === "user" ? "You: " : "Model: ", content);
    return paragraph.lastChild;
  };
  chat.forEach(show);
  text.value = sessionStorage.draft ?? ""; // of a question that failed, such as before a new login

  form.onsubmit = async (event) => {
    event.preventDefault();
    const question = { role: "user", content: text.value };
    const answer = { role: "assistant", content: "" };
    problem.textContent = "";
    connect.hidden = send.disabled = true;
    log.ariaBusy = "true"; // screen readers wait for the whole answer
    try {
      const response = await fetch("ask", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify([...chat, question].slice(-21)),
      });
      connect.hidden = response.status !== 401;
      if (!response.ok) throw await response.json();
      text.value = sessionStorage.draft = "";
      chat.push(question, answer);
      show(question);
      const shown = show(answer);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part; !(part = await reader.read()).done;) {
        shown.data = answer.content += part.value;
        sessionStorage.chat = JSON.stringify(chat);
      }
    } catch (error) {
      sessionStorage.draft = text.value;
      problem.textContent = error instanceof Error ? "It did not work. Try again." : error.message;
    }
    log.ariaBusy = send.disabled = false;
  };
  document.getElementById("new").onclick = () => { sessionStorage.clear(); location.reload(); };
  onsubmit = (event) => { if (event.target !== form) sessionStorage.clear(); }; // disconnecting
</script>
{% else %}
<p>Each answer is paid from your own OpenRouter account.</p>
<p>{{ openrouter_button("cta") }}</p>
{% endif %}
</main>"""
