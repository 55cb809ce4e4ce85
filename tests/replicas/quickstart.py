"""An app in the shape of OpenAI's Flask quick start: a chat that a generator streams."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, render_template_string, request, stream_with_context

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key  # added

chat_history = [{"role": "system", "content": "You are a helpful assistant."}]


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(config)
    OpenRouterAuth(app)  # added

    @app.route("/", methods=["GET"])
    def index() -> str:
        return render_template_string(
            "{{ openrouter_button() if not current_openrouter }} {{ chat_history }}",  # added
            chat_history=chat_history,
        )

    @app.route("/chat", methods=["POST"])
    def chat() -> Any:
        chat_history.append({"role": "user", "content": request.json["message"]})
        return jsonify(success=True)

    @app.route("/stream", methods=["GET"])
    @requires_openrouter_key  # added
    def stream() -> Response:
        client = current_openrouter.openai()  # added

        def generate() -> Any:
            words = ""
            with client.chat.completions.create(
                model="openai/gpt-4o-mini", messages=chat_history, stream=True
            ) as stream:
                for chunk in stream:
                    if chunk.choices[0].delta and chunk.choices[0].delta.content:
                        words += chunk.choices[0].delta.content
                        yield f"data: {chunk.choices[0].delta.content}\n\n"
                    if chunk.choices[0].finish_reason == "stop":
                        break
            chat_history.append({"role": "assistant", "content": words})

        return Response(stream_with_context(generate()), mimetype="text/event-stream")

    return app
