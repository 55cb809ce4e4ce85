"""A whole chat in one file, to copy. ``flask --app example_app.minimal run --port 3000``."""

from collections.abc import Iterator

from flask import Flask, Response, render_template_string, request
from requests.exceptions import InvalidJSONError

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.client import read_stream
from flask_openrouter.errors import OpenRouterError

HELP = "export FLASK_SECRET_KEY=$(python3 -c 'import secrets; print(secrets.token_hex())')"


def create_app(config: dict[str, object] | None = None) -> Flask:
    """Create the app. Its settings come from the environment, as ``FLASK_SECRET_KEY``."""
    app = Flask(__name__)
    app.config.from_mapping(MAX_CONTENT_LENGTH=256 * 1024, OPENROUTER_KEY_LIMIT=1)  # bytes, USD
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})
    if not app.config["SECRET_KEY"]:
        raise SystemExit(f"The app needs the same secret key at every start. Type this:\n{HELP}")
    auth = OpenRouterAuth(app)
    for error in (RecursionError, InvalidJSONError):  # too many lists within lists, or NaN
        app.register_error_handler(error, lambda _: ({"message": "Reload the page."}, 400))

    @app.get("/")
    def home() -> str:
        return render_template_string(PAGE)

    @app.post("/ask")
    @requires_openrouter_key
    def ask() -> Response:
        body = {"model": "openai/gpt-4o-mini", "messages": request.get_json(), "stream": True}
        reply = current_openrouter.session.post("chat/completions", json=body, stream=True)
        # Here an error still becomes JSON in plain words: a dead key, spent credit, a rate limit.
        stream = read_stream(reply).start()

        def words() -> Iterator[str]:
            with stream:  # closed when the visitor leaves
                try:
                    yield from stream.iter_text()
                except OpenRouterError as error:
                    yield f"\n({auth.explain(error).title}. The answer ended early.)"
            if stream.completion.finish_reason == "length":
                yield "\n(The answer ended early: it reached its length limit.)"

        return Response(words(), mimetype="text/plain", headers={"X-Accel-Buffering": "no"})

    return app


PAGE = """<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width"><title>Chat</title>
<link rel="icon" href="data:,">
{{ openrouter_styles() }}
<style>
  :root { color-scheme: light dark }
  body { max-width: 40rem; margin: auto; padding: 1rem; font: 1rem/1.5 system-ui }
  #log { white-space: pre-wrap; overflow-wrap: anywhere }
  textarea { width: 100%; box-sizing: border-box; font: inherit }
</style>
<main><h1>Chat</h1>
{% if current_openrouter %}
<p>Your key {{ current_openrouter.masked_key }}: {{ openrouter_usage() }}</p>
<div id="log" role="log"></div>
<p role="alert"><span id="problem"></span>
  <a id="connect" href="{{ url_for('openrouter.login', display='popup') }}" target="_blank" hidden>
    Connect in a new tab, then send again</a></p>
<form id="form">
  <p><label>Question <textarea id="text" rows="3" required></textarea></label></p>
  <p><button id="send">Send</button></p>
</form>
{{ openrouter_disconnect_button() }}
<script>
  const [log, problem, connect, form, text, send] =
    ["log", "problem", "connect", "form", "text", "send"].map((id) => document.getElementById(id));
  const chat = []; // lives as long as the page
  form.onsubmit = async (event) => {
    event.preventDefault();
    const question = { role: "user", content: text.value };
    problem.textContent = "";
    connect.hidden = send.disabled = log.ariaBusy = true;
    try {
      const response = await fetch("ask", {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify([...chat, question]),
      });
      connect.hidden = response.status !== 401;
      if (!response.ok) throw await response.json();
      const answer = { role: "assistant", content: "" };
      const shown = new Text();
      text.value = "";
      chat.push(question, answer);
      log.append(`You: ${question.content}\\n\\nModel: `, shown, "\\n\\n");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part; !(part = await reader.read()).done;) shown.data = answer.content += part.value;
    } catch (error) {
      problem.textContent = error instanceof Error ? "It did not work. Try again." : error.message;
    }
    send.disabled = log.ariaBusy = false;
  };
</script>
{% else %}
<p>Each answer is paid from your own OpenRouter account.</p>
{{ openrouter_button("cta") }}
{% endif %}
</main>"""
